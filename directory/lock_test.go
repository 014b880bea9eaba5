package directory_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cenote/directory"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLockHasOneHolder at a time, and whoever comes later is told what is wrong.
func TestLockHasOneHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := directory.TakeLock(path, 0o600)
	must(t, err)
	if _, err := directory.TakeLock(path, 0o600); !errors.Is(err, directory.ErrLocked) || !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("a second holder: %v, want ErrLocked and EWOULDBLOCK", err)
	}
	must(t, first.Release())
	second, err := directory.TakeLock(path, 0o600)
	must(t, err)
	must(t, second.Release())
	if _, err := directory.TakeLock(filepath.Join(path, "lock"), 0o600); err == nil || errors.Is(err, directory.ErrLocked) {
		t.Errorf("of a file that cannot be made: %v", err)
	}
}

// TestLockIsReleasedByName: a copy of the file, as a child has it until it runs its own program, does not keep it.
func TestLockIsReleasedByName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := directory.TakeLock(path, 0o600)
	must(t, err)
	fd, err := syscall.Dup(lock.Fd())
	must(t, err)
	defer syscall.Close(fd)
	must(t, lock.Release())
	again, err := directory.TakeLock(path, 0o600)
	must(t, err)
	must(t, again.Release())
}

// TestLockOfAKilledServerEndsSoon: what a killed server had started holds a copy of its files until it runs a program of its own.
func TestLockOfAKilledServerEndsSoon(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	held, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	must(t, err)
	defer held.Close()
	fd, given := int(held.Fd()), make(chan error, 1)
	must(t, syscall.Flock(fd, syscall.LOCK_EX))
	time.AfterFunc(100*time.Millisecond, func() { given <- syscall.Flock(fd, syscall.LOCK_UN) })
	lock, err := directory.TakeLock(path, 0o600)
	must(t, err)
	must(t, <-given)
	must(t, lock.Release())
}
