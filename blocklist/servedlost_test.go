package blocklist_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// crashed leaves the state directory as a loss of power does that comes after a change is served and before it is stored: nothing of it was synced.
func crashed(t *testing.T) (w *world, p *modelPrimary, was uint64, served string) {
	t.Helper()
	w, p = modelWorld(t, nil)
	first := &zoneModel{1, rulesOf("a.example", "v1.example")}
	p.gives(first)
	w.fetch()
	dir := filepath.Join(w.dir, "state")
	current, err := os.ReadFile(filepath.Join(dir, "current"))
	must(t, err)
	next := &zoneModel{2, rulesOf("a.example", "v2.example")}
	if w.p.TakeChange(t.Context(), "f", first.change(next)) == 0 || !w.lists("v2.example") {
		t.Fatalf("not taken over:\n%s", w.log())
	}
	was, served = w.current().Number, "v2.example"
	w.close()
	must(t, os.WriteFile(filepath.Join(dir, "current"), current, 0o640))
	for _, lost := range []string{"policy/2.delta", "feeds/f/2.rows"} {
		must(t, os.Remove(filepath.Join(dir, lost)))
	}
	p.gives(next)
	w.open(nil)
	return w, p, was, served
}

// TestServedNumberIsNotGivenAgain: no two policies that were served have one number.
func TestServedNumberIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	w, p, was, _ := crashed(t)
	if w.p.TakeChange(t.Context(), "f", p.kept.change(&zoneModel{3, rulesOf("a.example", "other.example")})) == 0 {
		t.Fatalf("not taken over:\n%s", w.log())
	}
	if n := w.current().Number; n <= was {
		t.Errorf("generation %d, which was served with v2.example, is now one with other.example (%v)", n, w.lists("other.example"))
	}
}

// TestServedChangeComesBackSoon: what was served and lost is asked for at the start, not after the hour of the SOA record.
func TestServedChangeComesBackSoon(t *testing.T) {
	t.Parallel()
	w, _, _, served := crashed(t)
	w.run()
	for end := time.Now().Add(time.Minute); !w.lists(served); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s was in force, and is not a minute after a restart; the log:\n%s", served, w.log())
		}
	}
}
