package blocklist

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cenote/pace"
)

// fetchedList is the list of one feed as it was fetched last: a file of the state directory, and beside it what is to be known for the next fetch. See
// the layout in store.go. One goroutine at a time uses it.
type fetchedList struct {
	dir     string
	path    string
	state   fetchedState
	trusted bool // the file was found to be the one that the state speaks of
}

// fetchedState travels as JSON, so that a restart goes on where the last run ended.
type fetchedState struct {
	Place        string    `json:"place"`                   // fingerprint of the URL and the key
	ETag         string    `json:"etag,omitempty"`          // as the server says it
	LastModified string    `json:"last_modified,omitempty"` // the same
	Fetched      time.Time `json:"fetched,omitzero"`        // when the server last said that this is its list
	Size         int64     `json:"size"`
	SHA256       string    `json:"sha256"`
	AddedAfter   string    `json:"added_after,omitempty"` // of a collection: the time from which new objects are asked for, as the server wrote it
	Resynced     time.Time `json:"resynced,omitzero"`     // when all of it was read
	Objects      int       `json:"objects,omitempty"`     // in it

	Zone *ZoneStatus `json:"zone,omitempty"` // of a policy zone by transfer: the version that the list is of
	Copy *listCopy   `json:"copy,omitempty"` // of such a zone: the copy that is of the list, though nobody has read it; nil if somebody is to
}

// listCopy is a copy of a policy zone that was made of what has changed, and is of the list that was written after it. It travels as JSON.
type listCopy struct {
	Copy uint64 `json:"copy"`
	Of   Stamp  `json:"of"` // that of the list
}

// errNotFetched says that there is no list yet.
var errNotFetched = fmt.Errorf("it has not been fetched yet: %w", fs.ErrNotExist)

// openFetched finds the list of a feed that a former run fetched. What cannot be read, or is of another place, is as good as none: it is fetched anew.
func openFetched(l layout, f *Feed) *fetchedList {
	out := &fetchedList{dir: l.fetchedDir(f.Name), path: f.Path}
	b, err := os.ReadFile(l.fetchedState(f.Name))
	if err != nil || json.Unmarshal(b, &out.state) != nil || out.state.Place != f.Fetch.fingerprint() {
		out.state = fetchedState{}
	}
	out.state.Place = f.Fetch.fingerprint()
	return out
}

// known is what the server may be asked to compare with: nothing, unless the list is there as it was fetched.
func (l *fetchedList) known() fetchedState {
	info, err := os.Stat(l.path)
	if err == nil && info.Mode().IsRegular() && info.Size() == l.state.Size && l.state.SHA256 != "" && (l.trusted || l.verify()) {
		l.trusted = true
		return l.state
	}
	return fetchedState{}
}

// verify compares the file with its sum, once a run: a disk may have damaged it.
func (l *fetchedList) verify() bool {
	var sum string
	err := pace.Behind(func() (err error) {
		sum, err = fileSum(l.path)
		return err
	})
	return err == nil && sum == l.state.SHA256
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// create begins a file for a list that is being fetched, and removes those that a crash left behind.
func (l *fetchedList) create() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o750); err != nil {
		return nil, err
	}
	left, _ := filepath.Glob(filepath.Join(l.dir, tempPattern)) // the pattern is right
	for _, path := range left {
		os.Remove(path) // if it stays, it is in nobody's way
	}
	return os.CreateTemp(l.dir, tempPattern)
}

// install puts a whole list in the place of the one before, and closes it. The state follows: a crash in between costs one fetch.
func (l *fetchedList) install(f *os.File, state fetchedState) error {
	if t, err := http.ParseTime(state.LastModified); err == nil && t.Before(state.Fetched) {
		os.Chtimes(f.Name(), t, t) // rows without a date count from it; without, from the fetch
	}
	l.trusted = false
	if err := commitFile(f, l.path); err != nil {
		return err
	}
	l.state, l.trusted = state, true
	return errors.Join(l.save(), l.removeOthers())
}

// confirm notes that the server still has the same list.
func (l *fetchedList) confirm(state fetchedState) error {
	l.state = state
	return l.save()
}

func (l *fetchedList) save() error {
	b, err := json.Marshal(l.state)
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(l.dir, fetchedStateName), append(b, '\n'))
}

// removeOthers removes lists that a former URL had under another name.
func (l *fetchedList) removeOthers() error {
	dir, base := filepath.Split(l.path)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != base {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// removeFetched removes the lists of feeds that are not fetched any more.
func (s *store) removeFetched(feeds []Feed) error {
	keep := map[string]bool{}
	for _, f := range feeds {
		keep[escapeFeed(f.Name)] = f.Fetch.on()
	}
	entries, err := os.ReadDir(s.fetchedRoot())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.fetchedRoot(), e.Name())))
		}
	}
	return err
}
