package zone

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"cenote/directory"
)

// Of few files each is looked at each time. Of many a part is in turn, and beside it those that have changed and not come to rest, and those of which the kernel
// says that something has happened to them. That is a hint and no more, since many a change is told by none: on file systems of other hosts, or behind links.
const (
	filesEachLook = 1000 // are in turn, and a part in filesRound of them where that is more
	filesRound    = 10   // looks after which each file was looked at, if there are no more than that many times filesEachLook
	noticesMax    = 4096 // paths that are kept from one look to the next; of more, all files are looked at
	watchedMax    = 1024 // directories of which the kernel is asked
)

// fileLooks say which files are looked at next. They are guarded by Keeper.mu.
type fileLooks struct {
	each     int                // are in turn at a look, at least
	zones    []*kept            // those that have one
	byPath   map[string][]*kept // the same, if they are not all looked at each time
	next     int                // of zones, is in turn
	look     uint64             // the number of the last one of which not all were in turn
	restless map[*kept]bool     // those that have changed, and were not read since
	notices  *fileNotices       // nil: none are had
	deaf     bool               // none can be had; of watchDirs alone
}

func newFileLooks() fileLooks { return fileLooks{each: filesEachLook, restless: map[*kept]bool{}} }

// set takes the zones that there are.
func (f *fileLooks) set(zones []*kept) {
	f.zones, f.byPath, f.next = nil, nil, 0
	for _, z := range zones {
		if z.source.Path != "" {
			f.zones = append(f.zones, z)
		}
	}
	there := make(map[*kept]bool, len(f.restless))
	for _, z := range f.zones {
		if f.restless[z] {
			there[z] = true
		}
	}
	f.restless = there
	if f.turn() == len(f.zones) {
		return
	}
	f.byPath = make(map[string][]*kept, len(f.zones))
	for _, z := range f.zones {
		f.byPath[z.source.Path] = append(f.byPath[z.source.Path], z)
	}
}

// turn is how many are in turn at a look.
func (f *fileLooks) turn() int {
	return min(max(f.each, (len(f.zones)+filesRound-1)/filesRound), len(f.zones))
}

// due are the zones whose files are looked at now, each once.
func (f *fileLooks) due() []*kept {
	n := f.turn()
	if n == len(f.zones) {
		return f.zones
	}
	paths, all := f.notices.take()
	if all {
		return f.zones
	}
	f.look++
	out := make([]*kept, 0, n+len(f.restless)+len(paths))
	choose := func(z *kept) {
		if z.look != f.look {
			z.look = f.look
			out = append(out, z)
		}
	}
	for range n {
		choose(f.zones[f.next])
		f.next = (f.next + 1) % len(f.zones)
	}
	for z := range f.restless {
		choose(z)
	}
	for path := range paths {
		for _, z := range f.byPath[path] {
			choose(z)
		}
	}
	return out
}

// rest notes whether a file that was looked at is to be looked at the next time too.
func (f *fileLooks) rest(z *kept, restless bool) {
	if restless {
		f.restless[z] = true
	} else {
		delete(f.restless, z)
	}
}

// dirs are the directories in which something can happen, those of the first zones; none if each file is looked at each time.
func (f *fileLooks) dirs() map[string]bool {
	out := map[string]bool{}
	if f.byPath == nil {
		return out
	}
	for _, z := range f.zones {
		if out[filepath.Dir(z.source.Path)] = true; len(out) == watchedMax {
			break
		}
	}
	return out
}

// watchDirs asks the kernel about the directories of files that are not all looked at each time, once a round.
func (k *Keeper) watchDirs(run func(*fileNotices)) {
	k.mu.Lock()
	f := &k.files
	dirs, notices, files := f.dirs(), f.notices, len(f.zones)
	begins := f.next < f.turn() // a round
	k.mu.Unlock()
	if !begins || notices == nil && (len(dirs) == 0 || f.deaf) {
		return
	}
	if notices == nil {
		var err error
		if notices, err = newFileNotices(); err != nil {
			f.deaf = true
			k.log.Warn("the kernel does not tell of changes of zones' files: changes are seen some seconds later", "files", files, "err", err)
			return
		}
		k.mu.Lock()
		f.notices = notices
		k.mu.Unlock()
		run(notices)
	}
	notices.Only(dirs)
	for dir := range dirs {
		notices.Watch(dir)
	}
}

// fileNotices are what the kernel tells of directories. Nil has nothing to tell.
type fileNotices struct {
	*directory.Notices

	mu    sync.Mutex
	paths map[string]bool // to which something has happened; guarded by mu
	all   bool            // it may have happened to every file; guarded by mu
}

func newFileNotices() (*fileNotices, error) {
	n, err := directory.Listen()
	if err != nil {
		return nil, err
	}
	return &fileNotices{Notices: n, paths: map[string]bool{}}, nil
}

// run keeps what is told until ctx ends.
func (n *fileNotices) run(ctx context.Context) { n.Run(ctx, n.note) }

// note keeps that something has happened to a path. Names that begin with two dots are those of links behind which all files of a directory change at once, as of
// mounted volumes of Kubernetes; "" stands for every path.
func (n *fileNotices) note(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if path == "" || strings.HasPrefix(filepath.Base(path), "..") || len(n.paths) == noticesMax {
		n.all = true
		clear(n.paths)
	}
	if !n.all {
		n.paths[path] = true
	}
}

// take is what was told since it was called last.
func (n *fileNotices) take() (paths map[string]bool, all bool) {
	if n == nil {
		return nil, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	paths, all = n.paths, n.all
	n.paths, n.all = map[string]bool{}, false
	return paths, all
}
