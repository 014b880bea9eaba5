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
	copies := 0
	open, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	for _, link := range open {
		if path, _ := os.Readlink(link); path == filepath.Join(w.dir, "state", "lock") {
			fd, err := strconv.Atoi(filepath.Base(link))
			must(t, err)
			held, err := syscall.Dup(fd)
			must(t, err)
			defer syscall.Close(held)
			copies++
		}
	}
	if copies != 1 {
		t.Fatalf("the lock is open %d times, want once", copies)
	}
	w.close()
	w.open(nil)
	if !w.lists("a.example") {
		t.Error("a.example is not served after a restart")
	}
}
