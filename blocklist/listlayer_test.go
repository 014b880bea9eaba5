package blocklist_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/blocklist"
)

// layersFrom is above the number of names from which on a list is kept in layers.
const layersFrom = 12_000

// layeredWorld serves a list whose second version, which is kept in a layer, lacks the first ten names and has two more.
func layeredWorld(t *testing.T) *world {
	w := newWorld(t, nil)
	w.merging = true
	w.feed("f", domainList("old", 0, layersFrom))
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", "first.example\n"+domainList("old", 10, layersFrom)+"last.example\n")
	if !w.readInPart(blocklist.ReloadOptions{}) || !w.current().Copy(0).IsLayer() {
		t.Fatal("the second version is in no layer")
	}
	return w
}

// secondVersion wants what is served, and its lines, to be those of the second version.
func (w *world) secondVersion(when string) {
	w.t.Helper()
	if !w.lists("first.example") || !w.lists("last.example") || !w.lists("n10.old.example") || w.lists("n9.old.example") {
		w.t.Errorf("%s: what is served is not what the list has", when)
	}
	w.atLine("first.example", 1)
	w.atLine("n10.old.example", 2)
	w.atLine("n11999.old.example", layersFrom-9)
	w.atLine("last.example", layersFrom-8)
}

// TestListIsKeptInLayers: what a list that is read in part says of a few names lies over the copy before, over a restart too, and rows are traced to their lines.
func TestListIsKeptInLayers(t *testing.T) {
	t.Parallel()
	w := layeredWorld(t)
	w.secondVersion("at once")
	w.close()
	w.open(nil)
	w.secondVersion("after a restart")
	must(t, w.current().Copy(0).Verify())
	w.feed("f", "# a remark\nfirst.example\n"+domainList("old", 5, 6000)+domainList("old", 6100, layersFrom))
	if !w.readInPart(blocklist.ReloadOptions{}) || !w.current().Copy(0).IsLayer() {
		t.Fatal("the third version is in no layer")
	}
	if w.lists("last.example") || w.lists("n6000.old.example") || !w.lists("n5.old.example") {
		t.Error("what is served is not what the third version has")
	}
	w.atLine("first.example", 2)
	w.atLine("n5.old.example", 3)
	w.atLine("n6100.old.example", 5998)
	if n := w.status("f").Report.Names; n != layersFrom-105+1 {
		t.Errorf("%d names are told, want %d", n, layersFrom-104)
	}
}

// TestListThatIsWrittenAgain: a list in layers that says what it said is taken for unchanged.
func TestListThatIsWrittenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i, list := range []string{domainList("old", 0, layersFrom), domainList("old", 1, layersFrom)} {
		w.feed("f", list)
		w.reload(blocklist.ReloadOptions{})
		if kept := w.current().Copy(0).IsLayer(); kept != (i > 0) {
			t.Fatalf("version %d is in a layer: %v", i, kept)
		}
		for range 2 {
			kept := w.status("f").Copy
			w.feed("f", list)
			report := w.reload(blocklist.ReloadOptions{})
			if len(report.Feeds) != 1 || report.Feeds[0].Outcome != blocklist.OutcomeUnchanged || !report.Feeds[0].Part || w.status("f").Copy != kept {
				t.Fatalf("version %d was read again as %+v", i, report.Feeds)
			}
		}
	}
}

// TestLayersOfAListEnd: a copy is written whole where a layer would have too many names, and what nobody needs goes.
func TestLayersOfAListEnd(t *testing.T) {
	t.Parallel()
	w := layeredWorld(t)
	base := filepath.Join(w.dir, "state/feeds/f/1.rows")
	layers := 0
	for from := 1000; from <= 8000; from += 1000 {
		w.feed("f", domainList("old", from, layersFrom)+domainList("new", 0, from))
		if !w.readInPart(blocklist.ReloadOptions{}) {
			t.Errorf("version from %d was read whole", from)
		}
		if w.current().Copy(0).IsLayer() {
			layers++
		}
		w.atLine(fmt.Sprintf("n%d.old.example", from), 1)
		w.atLine("n0.new.example", layersFrom-from+1)
		w.atLine(fmt.Sprintf("n%d.new.example", from-1), layersFrom)
		must(t, w.current().Copy(0).Verify())
	}
	if layers == 0 || layers == 8 {
		t.Errorf("%d of 8 copies are layers", layers)
	}
	if _, err := os.Stat(base); err == nil {
		t.Error("the first copy is still there, though no layer lies over it")
	}
}

// TestHistoryOfAListInLayers: copies in layers are compared and gone back to like others.
func TestHistoryOfAListInLayers(t *testing.T) {
	t.Parallel()
	w := layeredWorld(t)
	w.feed("f", domainList("old", 0, layersFrom))
	w.readInPart(blocklist.ReloadOptions{})
	diff, err := w.p.Diff(t.Context(), blocklist.DiffOptions{Feed: "f"})
	must(t, err)
	if c := diff.Counts; c.Added != 10 || c.Removed != 2 || c.Changed != 0 {
		t.Errorf("the difference is %+v", c)
	}
	for _, row := range diff.Rows {
		if row.Listed == "first.example" && row.Was.Line != 1 || row.Listed == "n9.old.example" && row.Is.Line != 10 {
			t.Errorf("%s: %+v, now %+v", row.Listed, row.Was, row.Is)
		}
	}
	w.rollback(blocklist.RollbackOptions{Feed: "f"})
	w.secondVersion("after going back")
	_, err = w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"})
	must(t, err)
	if w.lists("first.example") || !w.lists("n0.old.example") {
		t.Error("the list is not followed again")
	}
	w.atLine("n10.old.example", 11)
}

// TestDamagedLayerOfAList: where a layer or what it lies over is damaged, the policy is served and the list is read whole.
func TestDamagedLayerOfAList(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		number int
		at     int
	}{{"header of the layer", 2, 20}, {"header of the base", 1, 20}, {"rows of the layer", 2, 250}, {"rows of the base", 1, 100_000}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := layeredWorld(t)
			w.close()
			damage(t, fmt.Sprintf("%s/state/feeds/f/%d.rows", w.dir, tc.number), tc.at)
			w.feed("f", domainList("old", 20, layersFrom))
			if w.readInPart(blocklist.ReloadOptions{}) {
				t.Error("the list was read in part")
			}
			if !w.lists("n20.old.example") || w.lists("first.example") || w.lists("n19.old.example") {
				t.Error("what is served is not what the list has")
			}
			w.atLine("n20.old.example", 1)
			must(t, w.current().Copy(0).Verify())
		})
	}
}

// TestRowsInLayersKeepTheirTimes: a row is dated from when it was first in the list, and one that comes back from when it did.
func TestRowsInLayersKeepTheirTimes(t *testing.T) {
	w := newTwins(t, blocklist.FeedConfig{Format: "domains"})
	w.layers = 1
	began := w.now
	around := domainList("old", 0, 20)
	for _, list := range []string{"a.example\nb.example\n", "a.example\n", "a.example\nb.example\nx.example\n"} {
		w.next([]byte(around + list))
	}
	if w.layered != 2 {
		t.Fatalf("%d copies are layers, want 2", w.layered)
	}
	for _, row := range w.lastRows {
		minutes := time.Duration(1)
		if name := row.Name.String(); name == "b.example" || name == "x.example" {
			minutes = 3
		}
		if !row.Added.Equal(began.Add(minutes * time.Minute)) {
			t.Errorf("%s was added at %v, want minute %d", row.Name, row.Added, minutes)
		}
	}
}
