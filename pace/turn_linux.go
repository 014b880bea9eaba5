package pace

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// turnPoller parks its goroutine in Go's network poller on an eventfd(2) that is told something meanwhile, so that the poller, whenever it is asked next,
// finds the goroutine ready together with all for which something has come. The poller is told of edges: each write is one, though nobody reads.
type turnPoller struct {
	file *os.File // nil where there is none
	raw  syscall.RawConn
	told bool
	tell func(fd uintptr) bool
}

func newTurnPoller() (p turnPoller) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return p
	}
	file := os.NewFile(uintptr(fd), "eventfd")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return p
	}
	p.file, p.raw = file, raw
	return p
}

// wait reports whether it could.
func (p *turnPoller) wait() bool {
	if p.file == nil {
		return false
	}
	if p.tell == nil {
		p.tell = p.once
	}
	p.told = false
	return p.raw.Read(p.tell) == nil
}

// once tells the poller the first time, and is content with having waited the second. What is written is the least that counts: 2^64 turns fit.
func (p *turnPoller) once(fd uintptr) bool {
	if p.told {
		return true
	}
	p.told = true
	one := uint64(1)
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
	return errno != 0
}

func (p *turnPoller) close() {
	if p.file != nil {
		p.file.Close()
	}
}
