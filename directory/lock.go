package directory

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Lock keeps other processes out of what a file stands for, such as a directory of state. A process that ends loses it, however it ends.
type Lock struct{ file *os.File }

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("another process has the lock")

// lockPatience is how long the lock is waited for: what a killed server had just started holds a copy of its files until it runs a program of its own.
const lockPatience = time.Second

// TakeLock takes the lock of the file of that name, which is made if need be. It waits a moment for one that is just being given up; the error is ErrLocked, beside
// that of the system, if that is not the case. Where there is another reason, such as a file system without locks, the error is the system's alone.
func TakeLock(path string, perm os.FileMode) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, perm)
	if err != nil {
		return nil, err
	}
	for begun := time.Now(); ; time.Sleep(lockPatience / 50) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return &Lock{f}, nil
		}
		held := errors.Is(err, syscall.EWOULDBLOCK)
		if held && time.Since(begun) <= lockPatience || errors.Is(err, syscall.EINTR) {
			continue
		}
		f.Close()
		if held {
			err = fmt.Errorf("%w: %w", ErrLocked, err)
		}
		return nil, &os.PathError{Op: "locking", Path: path, Err: err}
	}
}

// Release gives the lock up; it is called once. It is taken off by name: a child that is just being started holds a copy of every open file for a moment.
func (l *Lock) Release() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
