package directory

import (
	"context"
	"os"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// Notices are what the kernel tells of directories. They are hints: many a change is told by none, on file systems of other hosts, or behind links. A poll has to
// decide. The methods may be called at once.
type Notices struct {
	watcher *fsnotify.Watcher
	mu      sync.Mutex
	watched map[string]identity // guarded by mu
}

// identity tells a directory from another that took its name.
type identity struct{ dev, inode uint64 }

// Listen asks the kernel to tell of directories, of none at first. Whoever listens calls Run, which ends it.
func Listen() (*Notices, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &Notices{watcher: w, watched: map[string]identity{}}, nil
}

// Run tells of every path to which something has happened until ctx ends. Where notices are missing, or may be, it tells of the path "", which stands for all.
func (n *Notices) Run(ctx context.Context, told func(path string)) {
	defer n.watcher.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-n.watcher.Events:
			if !ok {
				return
			}
			told(e.Name)
		case _, ok := <-n.watcher.Errors:
			if !ok {
				return
			}
			told("")
		}
	}
}

// Watch asks about a directory from now on. One that was replaced by another of its name is asked about anew; one that cannot be costs nothing but the time until the
// owner's next look.
func (n *Notices) Watch(dir string) {
	id, ok := identify(dir)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !ok || n.watched[dir] == id {
		return
	}
	_ = n.watcher.Remove(dir) // fails where there was none
	if n.watcher.Add(dir) == nil {
		n.watched[dir] = id
	}
}

// Only asks about no other directories than these any more.
func (n *Notices) Only(dirs map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for dir := range n.watched {
		if !dirs[dir] {
			_ = n.watcher.Remove(dir)
			delete(n.watched, dir)
		}
	}
}

// Watched is about how many directories the kernel is asked.
func (n *Notices) Watched() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.watched)
}

func identify(dir string) (identity, bool) {
	info, err := os.Stat(dir)
	if err != nil {
		return identity{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, false
	}
	return identity{uint64(st.Dev), st.Ino}, true
}
