package directory

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// Notices are what the kernel tells of directories. They are hints: many a change is told by none, on file systems of other hosts, or behind links. A poll has to
// decide. The methods may be called at once.
type Notices struct {
	watcher *fsnotify.Watcher
	mu      sync.Mutex
	watched map[string]identity   // guarded by mu
	names   map[identity][]string // of those watched: the kernel tells of a directory by the first alone; guarded by mu
}

// identity tells a directory from another that took its name.
type identity struct{ dev, inode uint64 }

// Listen asks the kernel to tell of directories, of none at first. Whoever listens calls Run, which ends it.
func Listen() (*Notices, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &Notices{watcher: w, watched: map[string]identity{}, names: map[identity][]string{}}, nil
}

// Run tells of every path to which something has happened until ctx ends. Where notices are missing, or may be, it tells of the path "", which stands for all.
func (n *Notices) Run(ctx context.Context, told func(path string)) {
	lost, ended := n.losses()
	defer func() { n.watcher.Close(); <-ended }()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-n.watcher.Events:
			if !ok {
				return
			}
			for _, path := range n.follow(e) {
				told(path)
			}
		case <-lost:
			told("")
		}
	}
}

// losses says when notices are missing, until the watcher is closed. Errors are taken by a goroutine that waits for nothing: the watcher may send one with its lock
// held, for which Watch waits with mu held.
func (n *Notices) losses() (lost, ended chan struct{}) {
	lost, ended = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for range n.watcher.Errors {
			select {
			case lost <- struct{}{}:
			default: // it will be told anyway
			}
		}
	}()
	return lost, ended
}

// follow returns by which paths an event is told: one for each name of its directory. A watched directory that was removed or got another name is asked about no more,
// by none of its names: it may come back as it was.
func (n *Notices) follow(e fsnotify.Event) (paths []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	dir, base := filepath.Split(e.Name)
	dir = filepath.Clean(dir)
	paths = append(paths, e.Name)
	for _, name := range n.names[n.watched[dir]] {
		if name != dir {
			paths = append(paths, filepath.Join(name, base))
		}
	}
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		n.forget(e.Name)
	}
	return paths
}

// forget asks about a directory no more, by none of its names: the next look of those who want one asks anew. mu is held.
func (n *Notices) forget(dir string) {
	id, ok := n.watched[dir]
	if !ok {
		return
	}
	for _, name := range n.names[id] {
		_ = n.watcher.Remove(name) // fails for all but the first, and where the kernel has given it up
		delete(n.watched, name)
	}
	delete(n.names, id)
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
	n.forget(dir)
	if n.watcher.Add(dir) == nil {
		n.watched[dir], n.names[id] = id, append(n.names[id], dir)
	}
}

// Only asks about no other directories than these any more. One of them that has another name, which is given up, waits for Watch.
func (n *Notices) Only(dirs map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for dir := range n.watched {
		if !dirs[dir] {
			n.forget(dir)
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
