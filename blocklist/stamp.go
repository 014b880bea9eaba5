package blocklist

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sys/unix"
)

// Stamp is the state of a feed's source from the outside: two stamps with the same Sum are of the same, unchanged files. It is made from
// the resolved path, device, inode, time of change, size and mode of every file, since size and time of modification alone miss a file
// that was replaced by one as long and as old.
type Stamp struct {
	Sum      string    `json:"sum,omitempty"`      // "" where there is nothing
	Identity string    `json:"identity,omitempty"` // of paths, devices and inodes alone: a file that is written in place keeps it
	Size     int64     `json:"size"`               // octets of all files as they are stored
	Files    int       `json:"files"`
	Changed  time.Time `json:"changed,omitzero"` // the latest time of change (ctime) of a file
}

// isOfSameFiles reports whether two stamps are of the same files of a source, whatever became of the lists that guard it.
func (s *Stamp) isOfSameFiles(o *Stamp) bool {
	return s.Identity == o.Identity && s.Size == o.Size && s.Files == o.Files && s.Changed.Equal(o.Changed)
}

// Bounds of a scan.
const (
	scanFilesMax = 100_000
	scanDepthMax = 8
	recentMax    = 32          // files that are asked whether somebody is writing them
	recentAge    = time.Minute // how recently such a file has changed
)

// sourceScan walks the files of a source.
type sourceScan struct {
	sum      *xxh3.Hasher
	identity *xxh3.Hasher
	stamp    Stamp
	now      time.Time
	recent   []string  // the files that changed a short time ago
	listed   time.Time // the latest time of change of a list of protected or popular names
}

// scanSource stamps the sources of a feed. Hidden files and directories are left out, as ReadFeed leaves them out; symbolic links are
// followed.
func scanSource(c *FeedConfig, now time.Time) (*sourceScan, error) {
	s := &sourceScan{sum: xxh3.New(), identity: xxh3.New(), now: now}
	if err := s.root(c.Path); err != nil {
		if c.Shown != "" && os.IsNotExist(err) {
			err = fmt.Errorf("%s: %w", c.Shown, errNotFetched)
		}
		return nil, err
	}
	if c.SuffixList != "" {
		if err := s.root(c.SuffixList); err != nil {
			return nil, err
		}
	}
	if err := s.lists(&c.Protect); err != nil {
		return nil, err
	}
	s.stamp.Sum = fmt.Sprintf("%016x", s.sum.Sum64())
	s.stamp.Identity = fmt.Sprintf("%016x", s.identity.Sum64())
	return s, nil
}

// lists adds the lists of protected and popular names to the sum. They are no part of the feed's size and age.
func (s *sourceScan) lists(p *Protection) error {
	for _, path := range p.files() {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: the system tells no inode", path)
		}
		changed := time.Unix(st.Ctim.Unix())
		s.hash(s.sum, path, uint64(st.Dev), st.Ino, uint64(changed.UnixNano()), uint64(info.Size()))
		if changed.After(s.listed) {
			s.listed = changed
		}
	}
	return nil
}

// root adds a path that the configuration names.
func (s *sourceScan) root(path string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return err
	}
	return s.add(resolved, info, 0)
}

func (s *sourceScan) add(path string, info fs.FileInfo, depth int) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: the system tells no inode", path)
	}
	s.hash(s.identity, path, uint64(st.Dev), st.Ino)
	s.hash(s.sum, path, uint64(st.Dev), st.Ino, uint64(info.Mode()))
	if info.IsDir() {
		return s.directory(path, depth+1)
	}
	changed := time.Unix(st.Ctim.Unix())
	s.hash(s.sum, "", uint64(changed.UnixNano()), uint64(info.Size()))
	s.stamp.Size += info.Size()
	if s.stamp.Files++; s.stamp.Files > scanFilesMax {
		return fmt.Errorf("%s: more than %d files", path, scanFilesMax)
	}
	if changed.After(s.stamp.Changed) {
		s.stamp.Changed = changed
	}
	if s.now.Sub(changed) < recentAge && len(s.recent) < recentMax {
		s.recent = append(s.recent, path)
	}
	return nil
}

func (s *sourceScan) directory(path string, depth int) error {
	if depth > scanDepthMax {
		return fmt.Errorf("%s: more than %d directories deep", path, scanDepthMax)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := s.member(filepath.Join(path, entry.Name()), entry, depth); err != nil {
			return err
		}
	}
	return nil
}

// member adds an entry of a directory. A link that leads nowhere is a state too: it may be mended.
func (s *sourceScan) member(path string, entry fs.DirEntry, depth int) error {
	if entry.Type()&fs.ModeSymlink != 0 {
		s.hash(s.sum, path)
		resolved, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil
		}
		path = resolved
	}
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil // removed since the directory was read: the next scan sees it
	}
	if err != nil {
		return err
	}
	return s.add(path, info, depth)
}

func (s *sourceScan) hash(h *xxh3.Hasher, text string, numbers ...uint64) {
	h.WriteString(text)
	b := []byte{0}
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	h.Write(b)
}

// writerState is whether a process has a file open for writing.
type writerState uint8

const (
	writerUnknown writerState = iota
	writerNone
	writerActive
)

// writers asks the kernel whether somebody is writing a file that changed a short time ago.
func (s *sourceScan) writers() writerState {
	state := writerNone
	for _, path := range s.recent {
		switch writerOf(path) {
		case writerActive:
			return writerActive
		case writerUnknown:
			state = writerUnknown
		case writerNone:
		}
	}
	return state
}

// writerOf asks for a read lease, which the kernel gives only on a file that nobody has open for writing, and returns it at once. It gives
// none on the file of another owner (without CAP_LEASE) or on a file system that knows no leases.
func writerOf(path string) writerState {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return writerUnknown
	}
	defer unix.Close(fd)
	switch _, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err {
	case nil:
		unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
		return writerNone
	case unix.EAGAIN:
		return writerActive
	}
	return writerUnknown
}
