package blocklist_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"

	"github.com/google/go-cmp/cmp"
)

// snapshotOf is the content of every file below dir.
func snapshotOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	}))
	return out
}

// TestOpenStoredOnlyLooks: whoever explains a policy beside the publisher, or with other zones than it has, sees it under the number that it was
// published with, traced to its rows, and leaves the directory as it was.
func TestOpenStoredOnlyLooks(t *testing.T) {
	w := newWorld(t, nil)
	path := w.feed("list", "malware.example\n")
	w.open(nil)
	_, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{})
	must(t, err)
	before := snapshotOf(t, filepath.Join(w.dir, "state"))
	for name, zones := range map[string][]policy.Zone{"the same zones": w.zones(), "others": {{Name: "shadow", Feeds: []string{"list"}, LogOnly: true}}} {
		g, err := blocklist.OpenStored(w.config(func(c *blocklist.Config) { c.Zones = zones }))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := w.p.Current().Number; g.Number != want {
			t.Errorf("%s: generation %d, want %d", name, g.Number, want)
		}
		row, err := g.Locate(0, []byte("\x07malware\x07example\x00"))
		if err != nil || row.File != path || row.Line != 1 {
			t.Errorf("%s: the row is %s:%d, %v; want %s:1", name, row.File, row.Line, err, path)
		}
		must(t, g.Close())
	}
	if diff := cmp.Diff(before, snapshotOf(t, filepath.Join(w.dir, "state"))); diff != "" {
		t.Errorf("the directory has changed (-before +after):\n%s", diff)
	}
}

// TestOpenStoredTakesTheOneBefore: a damaged index is no reason to explain nothing.
func TestOpenStoredTakesTheOneBefore(t *testing.T) {
	w := newWorld(t, nil)
	w.whole = true
	w.feed("list", "first.example\n")
	w.open(nil)
	_, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{})
	must(t, err)
	first := w.p.Current().Number
	w.feed("list", "first.example\nsecond.example\n")
	_, err = w.p.Reload(t.Context(), blocklist.ReloadOptions{})
	must(t, err)
	indexes, err := filepath.Glob(filepath.Join(w.dir, "state", "policy", "*.index"))
	must(t, err)
	if len(indexes) != 2 {
		t.Fatalf("indexes are %v, want two", indexes)
	}
	must(t, os.WriteFile(indexes[1], []byte("spoilt"), 0o600))
	g, err := blocklist.OpenStored(w.config(nil))
	must(t, err)
	if g.Number != first {
		t.Errorf("generation %d, want %d", g.Number, first)
	}
	must(t, g.Close())
}

// TestOpenStoredBesideAPublisher: a delta that is replaced before it could be opened is no reason to take an older list.
func TestOpenStoredBesideAPublisher(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("f", "0.0.0.0 always.example\n")
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", "0.0.0.0 always.example\n0.0.0.0 later.example\n")
	w.reload(blocklist.ReloadOptions{})
	c := w.config(nil)
	c.Log = slog.New(slog.DiscardHandler)
	g, err := blocklist.OpenStoredDuring(c, func() {
		w.feed("f", "0.0.0.0 always.example\n0.0.0.0 later.example\n0.0.0.0 last.example\n")
		w.reload(blocklist.ReloadOptions{})
	})
	must(t, err)
	for _, name := range []string{"always.example", "later.example", "last.example"} {
		if _, listed := g.Policy.Index().Lookup([]byte(dnsname.MustParse(name))); !listed {
			t.Errorf("%s is not listed", name)
		}
	}
	if g.Number != w.current().Number {
		t.Errorf("generation %d, want %d", g.Number, w.current().Number)
	}
	must(t, g.Close())
}

func TestOpenStoredWhereNothingIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := blocklist.OpenStored(blocklist.Config{Dir: dir}); !errors.Is(err, blocklist.ErrNothingStored) {
		t.Errorf("got %v, want ErrNothingStored", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made (%v)", err)
	}
}
