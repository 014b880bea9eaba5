package nameindex

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// openMapped is load for a file that is used where it is. The mapping ends when nobody can use the Index any more.
func openMapped(f *os.File, size int64, o OpenOptions) (*Index, error) {
	head := make([]byte, headerLen)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	h, err := decodeHeader(head, size)
	if err != nil {
		return nil, err
	}
	file, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	x, err := parse(file, h, o)
	if err != nil {
		_ = unix.Munmap(file)
		return nil, err
	}
	runtime.AddCleanup(x, func(file []byte) { _ = unix.Munmap(file) }, file)
	_ = unix.Madvise(file, unix.MADV_RANDOM) // all of it is in memory; what is dropped and comes back comes alone
	return x, nil
}
