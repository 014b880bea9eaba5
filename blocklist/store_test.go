package blocklist_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"cenote/blocklist"
)

// TestStateIsFreeOnceClosed: a copy of the lock's file that somebody else still holds, as a child that is being started does, keeps nobody out.
func TestStateIsFreeOnceClosed(t *testing.T) {
	w := newWorld(t, nil)
	w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	lock, err := openFile(filepath.Join(w.dir, "state", "lock"))
	must(t, err)
	held, err := syscall.Dup(lock)
	must(t, err)
	defer syscall.Close(held)
	w.close()
	w.open(nil)
	if !w.lists("a.example") {
		t.Error("a.example is not served after a restart")
	}
}

// openFile returns the descriptor under which this process has a file open.
func openFile(path string) (fd int, err error) {
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		if at, _ := os.Readlink(link); at == path {
			return strconv.Atoi(filepath.Base(link))
		}
	}
	return 0, os.ErrNotExist
}
