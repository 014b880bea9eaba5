package directory_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/directory"
)

// listened are notices whose paths arrive.
type listened struct {
	*directory.Notices
	t    *testing.T
	told chan string
}

func listen(t *testing.T) *listened {
	t.Helper()
	n, err := directory.Listen()
	must(t, err)
	l := &listened{n, t, make(chan string, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Run(ctx, func(path string) { l.told <- path })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return l
}

// expect waits until a path is told of.
func (l *listened) expect(path string) {
	l.t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case got := <-l.told:
			if got == path {
				return
			}
		case <-end:
			l.t.Fatalf("nothing is told of %q", path)
		}
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte("x"), 0o600))
}

// TestNoticesTellOfPaths in the directories that are asked about, also in one that took the place of another, and in no other; and that all may have changed when
// some were lost.
func TestNoticesTellOfPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	must(t, os.Mkdir(a, 0o700))
	must(t, os.Mkdir(b, 0o700))
	l := listen(t)
	l.Watch(a)
	l.Watch(b)
	l.Watch(filepath.Join(dir, "none"))
	if n := l.Watched(); n != 2 {
		t.Errorf("the kernel is asked about %d directories, want 2", n)
	}
	touch(t, filepath.Join(a, "one"))
	l.expect(filepath.Join(a, "one"))
	must(t, os.Rename(a, a+".old"))
	must(t, os.Mkdir(a, 0o700))
	l.Watch(a)
	touch(t, filepath.Join(a, "two"))
	l.expect(filepath.Join(a, "two"))
	l.Only(map[string]bool{b: true})
	if n := l.Watched(); n != 1 {
		t.Errorf("the kernel is asked about %d directories, want 1", n)
	}
	touch(t, filepath.Join(a, "three"))
	l.Overflow()
	for path := ""; path != filepath.Join(b, "four"); path = <-l.told {
		if path == filepath.Join(a, "three") {
			t.Error("a directory is told of that is not asked about any more")
		}
		touch(t, filepath.Join(b, "four"))
	}
	l.Overflow()
	l.expect("")
}

// TestNoticesOfADirectoryThatComesBack under its name and as it was, which the kernel has given up meanwhile.
func TestNoticesOfADirectoryThatComesBack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o700))
	l := listen(t)
	l.Watch(dir)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Rename(dir+".old", dir))
	l.expect(dir)
	if n := l.Watched(); n != 0 {
		t.Errorf("the kernel is said to be asked about %d directories that it has given up", n)
	}
	l.Watch(dir)
	touch(t, filepath.Join(dir, "one"))
	l.expect(filepath.Join(dir, "one"))
}

// TestNoticesOfADirectoryWithTwoNames come under both; under the second too after the first is given up.
func TestNoticesOfADirectoryWithTwoNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	must(t, os.Mkdir(a, 0o700))
	must(t, os.Symlink(a, b))
	l := listen(t)
	l.Watch(a)
	l.Watch(b)
	touch(t, filepath.Join(a, "one"))
	l.expect(filepath.Join(a, "one"))
	l.expect(filepath.Join(b, "one"))
	l.Only(map[string]bool{b: true})
	l.Watch(b)
	touch(t, filepath.Join(a, "two"))
	l.expect(filepath.Join(b, "two"))
}
