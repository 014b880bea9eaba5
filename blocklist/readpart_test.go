package blocklist_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
)

// twins are two directories with copies of one list: in one of them what can be is read in part, in the other all is read whole.
type twins struct {
	t          testing.TB
	part, all  string
	config     blocklist.FeedConfig
	kept       uint64 // the number of the last copies
	now        time.Time
	layers     int // LayerShare of what is read in part
	inPart     int
	layered    int // versions in layers
	ended      int // whole copies that came of layers
	wasLayer   bool
	lastReport *blocklist.FeedReport
	lastRows   []blocklist.Row
}

func newTwins(t testing.TB, c blocklist.FeedConfig) *twins {
	dir := t.TempDir()
	c.Name, c.Path, c.AllowEmpty = "f", filepath.Join(dir, "list"), true
	return &twins{t: t, part: filepath.Join(dir, "part"), all: filepath.Join(dir, "all"), config: c, now: time.Unix(1_700_000_000, 0)}
}

// next reads the next version of the list both ways and compares all that came of it.
func (w *twins) next(list []byte) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.config.Path, list, 0o644))
	w.now = w.now.Add(time.Minute)
	number := w.kept + 1
	got, err := blocklist.ReadListVersion(w.t.Context(), w.part, w.config, w.kept, number, w.now, blocklist.Reading{LayerShare: w.layers})
	want, wantErr := blocklist.ReadListVersion(w.t.Context(), w.all, w.config, w.kept, number, w.now, blocklist.Reading{Whole: true})
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		w.t.Fatalf("version %d: error %v, and if it is read whole %v", number, err, wantErr)
	}
	if err != nil {
		return
	}
	if got.Part {
		w.inPart++
	}
	if want.Part {
		w.t.Fatalf("version %d was read in part where nothing is known of the one before", number)
	}
	if a, b := asJSON(w.t, got.Report), asJSON(w.t, want.Report); a != b {
		w.t.Fatalf("version %d (in part: %v): the report is\n%s\nand if it is read whole\n%s", number, got.Part, a, b)
	}
	w.countLayers(&got)
	if !got.Layer && got.Content != want.Content {
		w.t.Errorf("version %d (in part: %v): the copies differ", number, got.Part)
	}
	if a, b := asJSON(w.t, got.Rows), asJSON(w.t, want.Rows); a != b {
		w.t.Fatalf("version %d (in part: %v): the rows are\n%s\nand if it is read whole\n%s", number, got.Part, a, b)
	}
	if !bytes.Equal(got.Names, want.Names) || !bytes.Equal(got.Changed, want.Changed) {
		w.t.Fatalf("version %d (in part: %v): the changed names are %q, and if it is read whole %q", number, got.Part, got.Names, want.Names)
	}
	w.kept, w.lastReport, w.lastRows = number, got.Report, got.Rows
}

// countLayers counts copies in layers, and those that ended them.
func (w *twins) countLayers(v *blocklist.ListVersion) {
	if v.Layer {
		w.layered++
	} else if v.Part && w.wasLayer {
		w.ended++
	}
	w.wasLayer = v.Layer
}

func asJSON(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

// TestListReadInPartIsAsReadWhole: of random lists of each format whose lines stand alone, edited at random again and again, reading only what differs
// makes the same copy as reading all: rows with their lines and times, counts, faults, held and popular rows, and the names that have changed. A copy in layers
// says the same, too.
func TestListReadInPartIsAsReadWhole(t *testing.T) {
	rounds := 25
	if testing.Short() || raceEnabled {
		rounds = 5
	}
	for _, format := range []string{"domains", "hosts", "wildcard", "dnsmasq", ""} {
		t.Run(cmp.Or(format, "detected"), func(t *testing.T) {
			t.Parallel()
			inPart, read, layered, ended := 0, 0, 0, 0
			for seed := range rounds {
				r := rand.New(rand.NewPCG(uint64(seed), 7))
				popular := filepath.Join(t.TempDir(), "popular")
				write(t, popular, "1,name3.example\n2,name5.example\n3,name8.example\n")
				c := blocklist.FeedConfig{Format: format, Family: []string{"", "family"}[r.IntN(2)], Threat: "threat"}
				c.Protect = blocklist.Protection{Names: []string{"own.example"}, Popular: blocklist.Popular{
					Lists: []string{popular}, Hold: 2, Action: blocklist.PopularAction(r.IntN(3)),
				}}
				if r.IntN(2) == 0 {
					c.Released, c.Refused = []string{"github.io."}, []string{"blogspot.com."}
				}
				w := newTwins(t, c)
				w.layers = seed % 4 // none, or of up to all names, or of up to half or a third of them
				e := newListEditor(r, cmp.Or(format, "domains"))
				for range 8 {
					w.next(e.text())
					read++
					e.edit()
				}
				inPart, layered, ended = inPart+w.inPart, layered+w.layered, ended+w.ended
			}
			t.Logf("%d of %d versions were read in part, %d into layers, and %d copies were made whole again", inPart, read, layered, ended)
			if layered*16 < inPart || ended == 0 && !testing.Short() && !raceEnabled {
				t.Errorf("%d of %d copies are layers, and %d were made whole again: too few to tell", layered, inPart, ended)
			}
			if inPart*3 < read {
				t.Errorf("%d of %d versions were read in part: too few to tell", inPart, read)
			}
		})
	}
}

// listEditor writes and changes a list at random.
type listEditor struct {
	r      *rand.Rand
	format string
	lines  []string
	odd    int // one line of so many is none that lists one name by itself
	names  int // how many different ones there are
	ends   string
}

func newListEditor(r *rand.Rand, format string) *listEditor {
	e := &listEditor{r: r, format: format, odd: 8 + r.IntN(40), names: 50 + r.IntN(5000), ends: []string{"\n", "\r\n"}[r.IntN(2)]}
	for range 20 + r.IntN(400) {
		e.lines = append(e.lines, e.line())
	}
	return e
}

func (e *listEditor) text() []byte {
	text := strings.Join(e.lines, e.ends)
	if e.r.IntN(2) == 0 {
		text += e.ends
	}
	if e.r.IntN(8) == 0 {
		text = "\xef\xbb\xbf" + text
	}
	return []byte(text)
}

func (e *listEditor) line() string {
	name := fmt.Sprintf("name%d.example", e.r.IntN(e.names))
	if e.r.IntN(e.odd) > 0 {
		return e.row(name)
	}
	switch e.r.IntN(16) {
	case 0:
		return ""
	case 1:
		return "# a remark"
	case 2:
		return e.row("com")
	case 3:
		return e.row("github.io")
	case 4:
		return e.row("blogspot.com")
	case 5:
		return e.row("192.0.2." + fmt.Sprint(e.r.IntN(9)))
	case 6:
		return e.row(name) + " # said of " + fmt.Sprint(e.r.IntN(3))
	case 7:
		return e.row("own.example")
	case 8:
		return e.row("bad name/")
	case 9:
		return e.row(strings.ToUpper(name))
	case 10:
		return "*." + name
	case 11:
		return "." + name
	case 12:
		return e.row("name3.example")
	case 13:
		return e.row("münchen.example")
	case 14:
		return "server=/" + name + "/#"
	}
	return strings.Repeat("x", blocklist.LineMax+e.r.IntN(3))
}

func (e *listEditor) row(name string) string {
	switch e.format {
	case "hosts":
		if e.r.IntN(30) == 0 {
			return "0.0.0.0 " + name + []string{" second-" + name, " localhost", " com", " bad/"}[e.r.IntN(4)]
		}
		return "0.0.0.0 " + name
	case "wildcard":
		return "*." + name
	case "dnsmasq":
		return "address=/" + name + "/"
	}
	return name
}

// edit changes some lines, in one or several ways.
func (e *listEditor) edit() {
	for range e.r.IntN(4) {
		n := len(e.lines)
		if n == 0 {
			e.lines = append(e.lines, e.line())
			continue
		}
		at, size := e.r.IntN(n), 1+e.r.IntN(1+n/12)
		end := min(at+size, n)
		switch e.r.IntN(7) {
		case 0:
			e.lines = slices.Delete(e.lines, at, end)
		case 1:
			for range size {
				e.lines = slices.Insert(e.lines, e.r.IntN(len(e.lines)+1), e.line())
			}
		case 2: // a block moves
			block := slices.Clone(e.lines[at:end])
			e.lines = slices.Delete(e.lines, at, end)
			e.lines = slices.Insert(e.lines, e.r.IntN(len(e.lines)+1), block...)
		case 3:
			for range size {
				e.lines[e.r.IntN(n)] = e.line()
			}
		case 4: // and comes twice
			e.lines = append(e.lines, e.lines[at:end]...)
		case 5:
			e.lines[at], e.lines[end-1] = e.lines[end-1], e.lines[at]
		case 6:
			if e.r.IntN(6) == 0 {
				slices.Sort(e.lines)
			}
		}
	}
}

// FuzzListReadInPart reads one list after another, in part and whole; see TestListReadInPartIsAsReadWhole.
func FuzzListReadInPart(f *testing.F) {
	f.Add([]byte("a.example\nb.example\nc.example\nd.example\n"), []byte("a.example\nc.example\nx.example\nd.example\n"), uint8(0))
	f.Add([]byte("a.example\nb.example\nc.example\nd.example\n"), []byte("a.example\nc.example\nx.example\nd.example\na.example\n"), uint8(5))
	f.Add([]byte("0.0.0.0 a.example\n0.0.0.0 b.example\n"), []byte("0.0.0.0 b.example\n0.0.0.0 a.example b.example\n"), uint8(1))
	f.Add([]byte("*.a.example\na.example\nb.example # x\n"), []byte("\n*.a.example\na.example\na.example\n"), uint8(2))
	f.Add([]byte("address=/a.example/b.example/\nserver=/c.example/#\n"), []byte("server=/c.example/#\n"), uint8(3))
	f.Fuzz(func(t *testing.T, before, after []byte, format uint8) {
		formats := []string{"domains", "hosts", "wildcard", "dnsmasq", ""}
		w := newTwins(t, blocklist.FeedConfig{Format: formats[int(format)%len(formats)]})
		w.layers = int(format) / len(formats) % 3
		for _, list := range [][]byte{before, after, before, append(append([]byte{}, before...), after...)} {
			w.next(list)
		}
	})
}

// TestMatchLines: what two lists have in common is found, in order, and is really in both.
func TestMatchLines(t *testing.T) {
	lines := func(from, to int) (out []uint64) {
		for i := from; i < to; i++ {
			out = append(out, uint64(i)*0x9e3779b97f4a7c15)
		}
		return out
	}
	join := func(parts ...[]uint64) []uint64 { return slices.Concat(parts...) }
	for _, tc := range []struct {
		name       string
		old, fresh []uint64
		want       int // lines in common
	}{
		{"both empty", nil, nil, 0},
		{"the same", lines(0, 1000), lines(0, 1000), 1000},
		{"nothing", lines(0, 1000), lines(1000, 2000), 0},
		{"one line less", lines(0, 1000), join(lines(0, 500), lines(501, 1000)), 999},
		{"one line more", lines(0, 1000), join(lines(0, 500), lines(5000, 5001), lines(500, 1000)), 1000},
		{"one line changed", lines(0, 1000), join(lines(0, 500), lines(5000, 5001), lines(501, 1000)), 999},
		{"a large block comes", lines(0, 10_000), join(lines(0, 5000), lines(20_000, 120_000), lines(5000, 10_000)), 10_000},
		{"a large block goes", lines(0, 200_000), join(lines(0, 50), lines(150_000, 200_000)), 50_050},
		{"another end", lines(0, 100_000), join(lines(0, 90_000), lines(200_000, 210_000)), 90_000},
		{"only the last line stays", lines(0, 50), join(lines(100, 140), lines(49, 50)), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			runs, ok := blocklist.MatchLines(tc.old, tc.fresh, len(tc.fresh))
			if !ok {
				t.Fatal("too many lines are new")
			}
			i, j, found := 0, 0, 0
			for _, run := range runs {
				if run[0] < i || run[1] < j || !slices.Equal(tc.old[run[0]:run[0]+run[2]], tc.fresh[run[1]:run[1]+run[2]]) {
					t.Fatalf("run %v is none, or comes before the last", run)
				}
				i, j, found = run[0]+run[2], run[1]+run[2], found+run[2]
			}
			if found != tc.want {
				t.Errorf("%d lines in common were found, want %d", found, tc.want)
			}
			if came := len(tc.fresh) - tc.want; came > 0 {
				if _, ok := blocklist.MatchLines(tc.old, tc.fresh, came-1); ok {
					t.Errorf("%d new lines are not too many for %d", came, came-1)
				}
			}
		})
	}
}

// TestLargeListReadInPart: lines are passed over wherever a piece of the file ends.
func TestLargeListReadInPart(t *testing.T) {
	w := newTwins(t, blocklist.FeedConfig{Format: "domains"})
	lines := strings.Split(domainList("large", 0, 20_000), "\n")
	w.next([]byte(strings.Join(lines, "\n")))
	for i := range 12 {
		lines = slices.Insert(lines, 1600*i, fmt.Sprintf("come%d.example", i), strings.Repeat("x", blocklist.LineMax+i))
		lines = slices.Delete(lines, 1600*i+700, 1600*i+700+i)
		w.next([]byte(strings.Join(lines, "\n")))
	}
	if w.inPart != 12 {
		t.Errorf("%d of 12 lists were read in part", w.inPart)
	}
}

// domainList is a list of names that are numbered.
func domainList(below string, from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "n%d.%s.example\n", i, below)
	}
	return b.String()
}

// partWorld serves a list of 3,000 names.
func partWorld(t *testing.T) *world {
	w := newWorld(t, nil)
	w.merging = true
	w.feed("f", domainList("old", 0, 3000))
	w.reload(blocklist.ReloadOptions{})
	return w
}

// readInPart reloads, and reports whether only what differs was read.
func (w *world) readInPart(o blocklist.ReloadOptions) bool {
	w.t.Helper()
	report := w.reload(o)
	if len(report.Feeds) != 1 || report.Feeds[0].Failure != nil {
		w.t.Fatalf("the feed was not read: %+v", report)
	}
	return report.Feeds[0].Part
}

// atLine wants a name to be traced to a line of the feed.
func (w *world) atLine(name string, line int) {
	w.t.Helper()
	rows, err := w.current().Find(0, []byte(dnsname.MustParse(name)))
	if err != nil || rows[0].Line != line {
		w.t.Errorf("%s: rows %+v, %v; want line %d", name, rows, err, line)
	}
}

// TestReplacedListIsReadInPart: of a list that is replaced only what differs is read, before and after a restart, and each name is served or not and
// traced to its line as the new list has it.
func TestReplacedListIsReadInPart(t *testing.T) {
	t.Parallel()
	w := partWorld(t)
	w.feed("f", "first.example\n"+domainList("old", 0, 1000)+domainList("old", 1001, 3000)+"last.example\n")
	if !w.readInPart(blocklist.ReloadOptions{}) {
		t.Error("the list was read whole")
	}
	if !w.lists("first.example") || !w.lists("last.example") || !w.lists("n999.old.example") || w.lists("n1000.old.example") {
		t.Error("what is served is not what the new list has")
	}
	w.atLine("first.example", 1)
	w.atLine("n0.old.example", 2)
	w.atLine("n1001.old.example", 1002)
	w.atLine("last.example", 3001)
	if got := w.metric("cenote_blocklist_part_reads_total"); got != 1 {
		t.Errorf("%v readings in part were counted, want 1", got)
	}
	w.close()
	w.feed("f", domainList("old", 200, 1400)+domainList("old", 1500, 3000)+domainList("old", 0, 100)) // a block has moved
	if !w.readInPart(blocklist.ReloadOptions{}) {
		t.Error("after a restart the list was read whole")
	}
	w.atLine("n200.old.example", 1)
	w.atLine("n1000.old.example", 801)
	w.atLine("n1500.old.example", 1201)
	w.atLine("n0.old.example", 2701)
	if w.lists("n1400.old.example") || w.lists("first.example") {
		t.Error("names are served that the list has no more")
	}
	if found, err := filepath.Glob(filepath.Join(w.dir, "state/feeds/f/*.lines")); len(found) != 1 {
		t.Errorf("what is known of lines is in %q, %v; want that of the last copy alone", found, err)
	}
}

// TestListIsReadWholeWhereItMustBe: in part only a list is read of whose former lines all is known, and which is read as they were.
func TestListIsReadWholeWhereItMustBe(t *testing.T) {
	t.Parallel()
	linesOf := func(t *testing.T, w *world) string {
		found, err := filepath.Glob(filepath.Join(w.dir, "state/feeds/f/*.lines"))
		if err != nil || len(found) != 1 {
			t.Fatalf("what is known of lines is in %q, %v", found, err)
		}
		return found[0]
	}
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, w *world) blocklist.ReloadOptions
		part   bool
	}{
		{"nothing stands against it", func(*testing.T, *world) (o blocklist.ReloadOptions) { return }, true},
		{"what is known is gone", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			must(t, os.Remove(linesOf(t, w)))
			return
		}, false},
		{"it is damaged", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			damage(t, linesOf(t, w), 5000)
			return
		}, false},
		{"its head is damaged", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			damage(t, linesOf(t, w), 40)
			return
		}, false},
		{"it is cut off", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			must(t, os.Truncate(linesOf(t, w), 1000))
			return
		}, false},
		{"the copy is damaged", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			rows, err := filepath.Glob(filepath.Join(w.dir, "state/feeds/f/*.rows"))
			must(t, err)
			damage(t, rows[0], 5000)
			return
		}, false},
		{"it is forced", func(*testing.T, *world) blocklist.ReloadOptions { return blocklist.ReloadOptions{Force: true} }, false},
		{"rows are read in another way", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			w.close()
			w.feeds[0].Match = blocklist.MatchSubtree
			return
		}, false},
		{"other names are protected", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			w.close()
			w.feeds[0].Protect.Names = []string{"n7.old.example"}
			return
		}, false},
		{"the child died on it", func(t *testing.T, w *world) (o blocklist.ReloadOptions) {
			settings, good := w.config(nil).Settings, w.config(nil).Settings
			settings.Child = childWith(t, "dies-reading=f")
			must(t, w.p.Update(settings))
			if report := w.reload(o); report.Feeds[0].Failure == nil || !report.Feeds[0].Failure.Crash {
				t.Fatalf("the child did not die: %+v", report)
			}
			must(t, w.p.Update(good))
			return
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := partWorld(t)
			w.feed("f", domainList("old", 100, 3000)+"x.example\n")
			o := tc.change(t, w)
			if got := w.readInPart(o); got != tc.part {
				t.Errorf("read in part: %v, want %v", got, tc.part)
			}
			w.atLine("x.example", 2901)
			w.atLine("n200.old.example", 101)
			if w.lists("n0.old.example") {
				t.Error("a name is served that the list has no more")
			}
		})
	}
}

// TestListThatGuardsKeepBackIsReadInPartLater: a list that is not taken leaves what is known of the one before.
func TestListThatGuardsKeepBackIsReadInPartLater(t *testing.T) {
	t.Parallel()
	w := partWorld(t)
	w.feed("f", domainList("old", 0, 100))
	if report := w.reload(blocklist.ReloadOptions{}); report.Feeds[0].Failure == nil {
		t.Fatalf("the list was taken: %+v", report)
	}
	w.feed("f", domainList("old", 50, 3000))
	if !w.readInPart(blocklist.ReloadOptions{}) {
		t.Error("the next list was read whole")
	}
	w.atLine("n50.old.example", 1)
	w.feed("f", "# a remark\n"+domainList("old", 50, 3000))
	if !w.readInPart(blocklist.ReloadOptions{}) {
		t.Error("the same rows on other lines were read whole")
	}
	w.atLine("n50.old.example", 2)
}

// TestListIsReadWholeAfterADay: whatever went wrong with what is known of lines ends then.
func TestListIsReadWholeAfterADay(t *testing.T) {
	w := newTwins(t, blocklist.FeedConfig{Format: "domains"})
	list := domainList("old", 0, 500)
	for _, tc := range []struct {
		later  time.Duration
		inPart int
	}{{0, 0}, {time.Hour, 1}, {blocklist.PartAgeMax, 1}, {time.Hour, 2}, {-2 * blocklist.PartAgeMax, 2}} {
		w.now = w.now.Add(tc.later)
		list = "x" + fmt.Sprint(w.kept) + ".example\n" + list
		if w.next([]byte(list)); w.inPart != tc.inPart {
			t.Errorf("%v later: %d lists were read in part, want %d", tc.later, w.inPart, tc.inPart)
		}
	}
}
