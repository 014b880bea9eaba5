package pace

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A sync handed over by io_submit(2) is done by a thread of the kernel, and the end of it is told by an eventfd(2), for which Go waits as it waits for
// the network. What the C structures of linux/aio_abi.h hold is the same on all processors, but for the order of two fields.

const (
	aioSync      = 2 // IOCB_CMD_FSYNC
	aioTellsFile = 1 // IOCB_FLAG_RESFD
)

// aioRequest is struct iocb on little-endian machines; on others the key and the flags change places, and there is nobody to hand over to.
type aioRequest struct {
	_      [4]uint32 // what comes back with the result, key, flags of reads and writes
	opcode uint16
	_      int16 // priority
	file   uint32
	_      [4]uint64 // buffer, its length, offset; one is kept free
	flags  uint32
	tells  uint32
}

// aioDone is struct io_event.
type aioDone struct {
	data, request uint64
	result        int64
	_             int64
}

// aioSyncer hands over one sync at a time.
type aioSyncer struct {
	context uintptr
	told    *os.File // an eventfd
}

// aioSyncers rest here between two syncs. One that finds no room is closed.
var aioSyncers = make(chan *aioSyncer, 4)

var errNotHandedOver = errors.New("the kernel takes no sync")

// syncElsewhere has the kernel sync f while this thread does something else. It fails with errNotHandedOver if the kernel does not take it.
func syncElsewhere(f *os.File) error {
	s := borrowSyncer()
	if s == nil {
		return errNotHandedOver
	}
	result, err := s.sync(f)
	if err != nil && !errors.Is(err, errNotHandedOver) { // it is not known what became of it
		s.close()
		return err
	}
	select {
	case aioSyncers <- s:
	default:
		s.close()
	}
	if err != nil {
		return err
	}
	if result < 0 {
		return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.Errno(-result)}
	}
	return nil
}

func borrowSyncer() *aioSyncer {
	select {
	case s := <-aioSyncers:
		return s
	default:
		return newSyncer()
	}
}

// newSyncer returns nil where there can be none: a filter of system calls, no room in the kernel (fs.aio-max-nr), a machine of the other byte order.
func newSyncer() *aioSyncer {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil
	}
	s := &aioSyncer{told: os.NewFile(uintptr(fd), "eventfd")}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&s.context)), 0); errno != 0 {
		s.told.Close()
		return nil
	}
	return s
}

// close waits for a sync that is under way.
func (s *aioSyncer) close() {
	_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, s.context, 0, 0)
	s.told.Close()
}

// sync returns 0 or an error number below 0, as the kernel has it.
func (s *aioSyncer) sync(f *os.File) (result int64, err error) {
	if err := s.submit(f); err != nil {
		return 0, err
	}
	var count [8]byte
	if _, err := s.told.Read(count[:]); err != nil {
		return 0, err
	}
	var done aioDone
	var never unix.Timespec
	n, _, errno := unix.RawSyscall6(unix.SYS_IO_GETEVENTS, s.context, 1, 1, uintptr(unsafe.Pointer(&done)), uintptr(unsafe.Pointer(&never)), 0)
	if errno != 0 {
		return 0, errno
	}
	if n != 1 {
		return 0, errors.New("a sync has ended, but not how")
	}
	return done.result, nil
}

// submit hands over. The kernel has copied the request and holds the file when it returns.
func (s *aioSyncer) submit(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return errNotHandedOver
	}
	told, err := s.told.SyscallConn()
	if err != nil {
		return errNotHandedOver
	}
	request := aioRequest{opcode: aioSync, flags: aioTellsFile}
	var errno syscall.Errno
	submit := func(fd uintptr) {
		request.file = uint32(fd)
		list := [1]*aioRequest{&request}
		_, _, errno = unix.RawSyscall(unix.SYS_IO_SUBMIT, s.context, 1, uintptr(unsafe.Pointer(&list)))
		runtime.KeepAlive(&request)
	}
	var inner error
	err = told.Control(func(fd uintptr) {
		request.tells = uint32(fd)
		inner = raw.Control(submit)
	})
	if err != nil || inner != nil || errno != 0 {
		return errNotHandedOver // a closed file, a file system that cannot, ...
	}
	return nil
}
