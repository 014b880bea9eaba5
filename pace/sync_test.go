package pace_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"cenote/pace"
)

func TestSync(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 16 { // more than rest between two syncs
		f, err := os.Create(filepath.Join(dir, string(rune('a'+i))))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all.Go(func() {
			for range 5 {
				if _, err := f.Write(make([]byte, 10_000)); err != nil {
					t.Error(err)
				}
				if err := pace.Sync(f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestSyncFails shows that what cannot be synced fails as with os.File.Sync, and that later ones go well.
func TestSyncFails(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, f := range []*os.File{w, closed} {
		want := f.Sync()
		if err := pace.Sync(f); want == nil || err == nil {
			t.Errorf("%s: got %v, from the file itself %v", f.Name(), err, want)
		}
	}
	if err := pace.Sync(closed); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pace.Sync(f); err != nil {
		t.Error(err)
	}
}
