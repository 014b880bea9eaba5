package blocklist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cenote/directory"
	"cenote/nameindex"

	"github.com/zeebo/xxh3"
)

// store is the directory in which policies and kept copies of feeds live:
//
//	lock                      held while a publisher uses the directory
//	current                   which policy is served, and the one before; one line of JSON and one with its sum
//	policy/<number>.index     compiled names, see nameindex
//	policy/<number>.delta     what differs from the names of an index, see nameindex.Index.With
//	feeds/<feed>/<number>.rows   kept copies, see Rows; the number is that of the compilation that read them. Those that the policies were
//	                          compiled from, those of the history in current, and what layers among them lie over
//	feeds/<feed>/<number>.lines  what is kept of the lines of the list of which the last good copy was made, see lineMarks. Nothing is lost without it
//	decisions.jsonl           what operators decided of held rows, see Decision
//	fetched/<feed>/list/<name>   the list of a feed with a URL as it was fetched last, named as in the URL
//	fetched/<feed>/zone/         what is kept of a policy zone that is taken from primaries, see ZoneTaker
//	fetched/<feed>/state.json    what the next fetch is to know of it, see fetchedState
//
// Files are written whole under another name and then renamed. Compilation only adds files; what is served changes
// when current is replaced, and only then are files removed. So a crash at any point leaves the old policy or the new one.
type store struct {
	layout
	lock *directory.Lock
}

// layout knows the names in a state directory.
type layout struct{ dir string }

func (l layout) current() string { return filepath.Join(l.dir, "current") }

func (l layout) policyDir() string { return filepath.Join(l.dir, "policy") }

func (l layout) feedsDir() string { return filepath.Join(l.dir, "feeds") }

func (l layout) fetchedRoot() string { return filepath.Join(l.dir, "fetched") }

func (l layout) fetchedDir(feed string) string {
	return filepath.Join(l.fetchedRoot(), escapeFeed(feed))
}

func (l layout) fetchedPath(feed, name string) string {
	return filepath.Join(l.fetchedDir(feed), "list", name)
}

func (l layout) fetchedZone(feed string) string { return filepath.Join(l.fetchedDir(feed), "zone") }

func (l layout) fetchedState(feed string) string {
	return filepath.Join(l.fetchedDir(feed), fetchedStateName)
}

func (l layout) index(number uint64) string {
	return filepath.Join(l.policyDir(), strconv.FormatUint(number, 10)+indexSuffix)
}

func (l layout) delta(number uint64) string {
	return filepath.Join(l.policyDir(), strconv.FormatUint(number, 10)+deltaSuffix)
}

func (l layout) feedDir(feed string) string { return filepath.Join(l.feedsDir(), escapeFeed(feed)) }

func (l layout) rows(feed string, number uint64) string {
	return filepath.Join(l.feedDir(feed), rowsName(number))
}

// rowsName is the name of the rows file of a copy.
func rowsName(number uint64) string { return strconv.FormatUint(number, 10) + rowsSuffix }

func (l layout) lines(feed string, number uint64) string {
	return filepath.Join(l.feedDir(feed), strconv.FormatUint(number, 10)+linesSuffix)
}

const (
	indexSuffix      = ".index"
	deltaSuffix      = ".delta"
	rowsSuffix       = ".rows"
	linesSuffix      = ".lines"
	fetchedStateName = "state.json"
)

// escapeFeed makes a name of a file of any name of a feed; different feeds get different names. Capital letters are escaped as well, for file
// systems that do not tell them from small ones.
func escapeFeed(feed string) string {
	var b strings.Builder
	for i := 0; i < len(feed); i++ {
		c := feed[i]
		if c-'a' < 26 || c-'0' < 10 || c == '-' || c == '_' || c == '.' && i > 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ErrInUse says that another process publishes from the same state directory.
var ErrInUse = errors.New("the state directory is in use by another cenote")

// openStore makes the directory, takes its lock and removes what a crash left unfinished.
func openStore(dir string) (*store, error) {
	s := &store{layout: layout{dir}}
	for _, d := range []string{s.policyDir(), s.feedsDir()} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, fmt.Errorf("state directory: %w", err)
		}
	}
	var err error
	switch s.lock, err = directory.TakeLock(filepath.Join(dir, "lock"), 0o640); {
	case errors.Is(err, directory.ErrLocked):
		return nil, fmt.Errorf("%w: %s: %w", ErrInUse, dir, err)
	case err != nil:
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return s, nil
}

// close gives the directory up.
func (s *store) close() error { return s.lock.Release() }

// storedPolicy names the files of one published policy.
type storedPolicy struct {
	Number uint64 `json:"number"` // of the generation; a change of zones alone counts it on without new files
	storedFiles
	Zones string            `json:"zones"` // fingerprint of the policy zones
	Feeds map[string]uint64 `json:"feeds"` // the kept copy of each feed, also of those that no zone holds
}

// storedFiles are the numbers of the files that hold the names of a policy.
type storedFiles struct {
	Index uint64 `json:"index"`
	Delta uint64 `json:"delta,omitempty"` // 0 for none
}

// storedState is the content of the file current.
type storedState struct {
	Current  storedPolicy        `json:"current"`
	Previous *storedPolicy       `json:"previous,omitempty"`
	History  map[string][]uint64 `json:"history,omitempty"` // of each feed, the kept copies, newest first
	Pins     map[string]Pin      `json:"pins,omitempty"`    // of those feeds that stay at a copy
	Former   []string            `json:"former,omitempty"`  // feeds that are not configured any more; see Publisher.Former
}

// sameCopies reports whether two states tell the same about the copies of feeds.
func (s *storedState) sameCopies(o *storedState) bool {
	return maps.Equal(s.Current.Feeds, o.Current.Feeds) && maps.EqualFunc(s.History, o.History, slices.Equal) && maps.Equal(s.Pins, o.Pins)
}

// errCurrentDamaged says that the file current cannot be believed.
var errCurrentDamaged = errors.New("file is damaged")

// load reads current. It returns fs.ErrNotExist where nothing was ever published.
func (s *store) load() (storedState, error) {
	var state storedState
	b, err := os.ReadFile(s.current())
	if err != nil {
		return state, err
	}
	line, sum, _ := strings.Cut(string(b), "\n")
	if sum != sumLine(line) {
		return state, fmt.Errorf("%s: %w", s.current(), errCurrentDamaged)
	}
	if err := json.Unmarshal([]byte(line), &state); err != nil {
		return state, fmt.Errorf("%s: %w: %v", s.current(), errCurrentDamaged, err)
	}
	return state, nil
}

func sumLine(line string) string { return fmt.Sprintf("xxh3 %016x\n", xxh3.HashString(line)) }

// commit makes state the published one, when the files that are not synced yet are.
func (s *store) commit(state storedState, unsynced []string) error {
	if err := syncFiles(unsynced); err != nil {
		return fmt.Errorf("publishing policy %d: %w", state.Current.Number, err)
	}
	line, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := writeAtomic(s.current(), []byte(string(line)+"\n"+sumLine(string(line)))); err != nil {
		return fmt.Errorf("publishing policy %d: %w", state.Current.Number, err)
	}
	return nil
}

// candidates are the policies that may be served after a start, best first: the current one, the same without its delta, the one before, then
// whatever indexes and deltas there are.
func (s *store) candidates(state storedState) []storedPolicy {
	var out []storedPolicy
	if state.Current.Number != 0 {
		out = append(out, state.Current)
	}
	if base := (storedFiles{Index: state.Current.Index}); state.Current.Delta != 0 {
		out = append(out, storedPolicy{Number: base.Index, storedFiles: base})
	}
	if state.Previous != nil {
		out = append(out, *state.Previous)
	}
	deltas := numbersIn(s.policyDir(), deltaSuffix)
	for _, number := range numbersIn(s.policyDir(), indexSuffix) {
		for _, delta := range append(deltas, 0) { // one that is another index's is refused when it is opened
			files := storedFiles{number, delta}
			if (delta == 0 || delta > number) && !slices.ContainsFunc(out, func(p storedPolicy) bool { return p.storedFiles == files }) {
				out = append(out, storedPolicy{Number: max(number, delta), storedFiles: files})
			}
		}
	}
	return out
}

// open opens the files of a policy, with nothing beside that answers queries.
func (l layout) open(files storedFiles, mapped bool) (*nameindex.Index, error) {
	return l.openWith(files, nameindex.OpenOptions{Mapped: mapped})
}

// openAgain opens the files of a policy that is served by whoever asks for this work, who has looked whether they are whole.
func (l layout) openAgain(files storedFiles) (*nameindex.Index, error) {
	return l.openWith(files, nameindex.OpenOptions{Mapped: true, Again: true})
}

func (l layout) openWith(files storedFiles, o nameindex.OpenOptions) (*nameindex.Index, error) {
	var delta *nameindex.Index
	if files.Delta != 0 { // first: a publisher may remove it any moment, and the index takes long
		var err error
		if delta, err = nameindex.Open(l.delta(files.Delta), nameindex.OpenOptions{Again: o.Again}); err != nil {
			return nil, err
		}
	}
	index, err := nameindex.Open(l.index(files.Index), o)
	if err != nil || delta == nil {
		return index, err
	}
	return index.With(delta)
}

// newestRows returns the numbers of the kept copies of a feed, newest first. A feed without a directory has none.
func (s *store) newestRows(feed string) ([]uint64, error) {
	return listNumbers(s.feedDir(feed), rowsSuffix)
}

// numbersIn lists the numbered files of a directory, highest first; none where it cannot be read.
func numbersIn(dir, suffix string) []uint64 {
	out, _ := listNumbers(dir, suffix)
	return out
}

// listNumbers is numbersIn with what the system says.
func listNumbers(dir, suffix string) (out []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.ParseUint(text, 10, 64); ok && err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

// prune removes what neither policy nor the history of state needs, and what a compilation left unfinished. It must not run beside one.
func (s *store) prune(state storedState) error {
	keep := map[string]bool{s.current(): true, filepath.Join(s.dir, "lock"): true}
	policies := []storedPolicy{state.Current}
	if state.Previous != nil {
		policies = append(policies, *state.Previous)
	}
	for _, p := range policies {
		keep[s.index(p.Index)], keep[s.delta(p.Delta)] = true, true
		for feed, number := range p.Feeds {
			keep[s.rows(feed, number)] = true
		}
	}
	for feed, number := range state.Current.Feeds {
		keep[s.lines(feed, number)] = true
	}
	for feed, numbers := range state.History {
		for _, number := range numbers {
			keep[s.rows(feed, number)] = true
		}
	}
	unknown := s.keepBases(keep)
	return errors.Join(unknown, s.removeOthers(keep)) // a large file takes milliseconds
}

// keepBases adds what the layers in keep lie over. Where that cannot be known, it adds all copies of the feed, and tells why.
func (s *store) keepBases(keep map[string]bool) error {
	var failed []error
	for _, path := range slices.Collect(maps.Keys(keep)) {
		if !strings.HasSuffix(path, rowsSuffix) {
			continue
		}
		dir := filepath.Dir(path)
		base, err := layerBase(path)
		if err != nil {
			failed = append(failed, fmt.Errorf("all copies beside one stay: %w", err))
			for _, number := range numbersIn(dir, rowsSuffix) {
				keep[filepath.Join(dir, rowsName(number))] = true
			}
		}
		if base != 0 {
			keep[filepath.Join(dir, rowsName(base))] = true
		}
	}
	return errors.Join(failed...)
}

// removeOthers removes the files outside keep.
func (s *store) removeOthers(keep map[string]bool) error {
	unfinished, _ := filepath.Glob(filepath.Join(s.dir, tempPattern)) // the pattern is right
	var failed []error
	for _, path := range unfinished {
		failed = append(failed, os.Remove(path))
	}
	for _, root := range []string{s.policyDir(), s.feedsDir()} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || keep[path] {
				return err
			}
			return os.Remove(path)
		})
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// freeNumber returns a number above every one that is or may have been in use.
func (s *store) freeNumber(state storedState) uint64 {
	highest := state.Current.Number
	for _, n := range append(numbersIn(s.policyDir(), indexSuffix), numbersIn(s.policyDir(), deltaSuffix)...) {
		highest = max(highest, n)
	}
	entries, _ := os.ReadDir(s.feedsDir())
	for _, e := range entries {
		for _, n := range numbersIn(filepath.Join(s.feedsDir(), e.Name()), rowsSuffix) {
			highest = max(highest, n)
		}
	}
	return highest + 1
}
