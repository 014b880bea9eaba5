package blocklist_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"

	gocmp "github.com/google/go-cmp/cmp"
)

// zoneModel is a version of the policy zone rpz.test: types and data by relative owner.
type zoneModel struct {
	serial int
	rules  map[string][]string
}

func (z *zoneModel) lines(owner dnsname.Name) (out []string) {
	text := owner.String() + ". 60 IN "
	if owner == modelApex {
		out = append(out, fmt.Sprintf("%sSOA localhost. root.localhost. %d 60 60 3600 60\n", text, z.serial), text+"NS localhost.\n")
	}
	relative, below := strings.CutSuffix(owner.String(), ".rpz.test")
	if owner == modelApex {
		relative, below = "@", true
	}
	if below {
		for _, data := range z.rules[relative] {
			out = append(out, text+data+"\n")
		}
	}
	return out
}

var modelApex = dnsname.MustParse("rpz.test")

func modelOwner(relative string) dnsname.Name {
	if relative == "@" {
		return modelApex
	}
	return dnsname.MustParse(relative + ".rpz.test")
}

func (z *zoneModel) owners() []dnsname.Name {
	all := []dnsname.Name{modelApex}
	for relative := range z.rules {
		all = append(all, modelOwner(relative))
	}
	slices.SortFunc(all, dnsname.Compare)
	return slices.Compact(all)
}

func (z *zoneModel) text() string {
	var b strings.Builder
	for _, owner := range z.owners() {
		b.WriteString(strings.Join(z.lines(owner), ""))
	}
	return b.String()
}

// change is the difference to another version.
func (z *zoneModel) change(to *zoneModel) *blocklist.ZoneChange {
	c := &blocklist.ZoneChange{From: uint32(z.serial), To: uint32(to.serial)}
	touched := map[dnsname.Name]bool{}
	for _, owner := range append(z.owners(), to.owners()...) {
		if !touched[owner] && !slices.Equal(z.lines(owner), to.lines(owner)) {
			touched[owner] = true
			c.Owners = append(c.Owners, owner)
		}
	}
	slices.SortFunc(c.Owners, dnsname.Compare)
	c.Append = func(text []byte, owner dnsname.Name, after bool) []byte {
		version := z
		if after {
			version = to
		}
		return append(text, strings.Join(version.lines(owner), "")...)
	}
	kept := z.owners()
	c.Kept = func(below dnsname.Name, visit func(owner []byte) bool) {
		at, _ := slices.BinarySearchFunc(kept, below, dnsname.Compare)
		for ; at < len(kept) && (kept[at] == below || kept[at].IsBelow(below)); at++ {
			if kept[at] != below && !touched[kept[at]] && !visit([]byte(kept[at])) {
				return
			}
		}
	}
	return c
}

// modelPrimary gives versions of a model, and tells what changes before.
type modelPrimary struct {
	mu      sync.Mutex
	has     *zoneModel // guarded by mu
	kept    *zoneModel // guarded by mu: that was taken last
	cut     bool       // guarded by mu: the version is told of, and then not given
	unable  bool       // guarded by mu: what changes is not told
	instead *zoneModel // guarded by mu: what is given in the place of the version that the change leads to
	during  func()     // guarded by mu: is called between what changes and the version
}

// Open implements blocklist.ZoneTaker.
func (*modelPrimary) Open(blocklist.ZoneRequest) {}

// Take implements blocklist.ZoneTaker.
func (p *modelPrimary) Take(ctx context.Context, r blocklist.ZoneRequest) (*blocklist.ZoneVersion, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	z := p.has
	if p.kept != nil && p.kept.serial != z.serial && !p.unable {
		r.Changing(ctx, p.kept.change(z))
	}
	if p.during != nil {
		p.during()
	}
	if p.cut {
		return nil, &blocklist.TransferError{Outcome: blocklist.FetchNotStored, Err: fmt.Errorf("the disk is full")}
	}
	if p.instead != nil {
		z = p.instead
	}
	p.kept = z
	return &blocklist.ZoneVersion{
		Serial: uint32(z.serial), Sum: fmt.Sprint(z.serial), Primary: "192.0.2.54:53", Octets: 100, Differences: 1, Refresh: time.Hour, Retry: time.Hour,
		Write: func(w io.Writer) error { _, err := io.WriteString(w, z.text()); return err },
	}, nil
}

func (p *modelPrimary) gives(z *zoneModel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.has = z
}

// modelWorld serves a feed f of a zone that is taken from a primary.
func modelWorld(t testing.TB, change func(*blocklist.Feed)) (*world, *modelPrimary) {
	p := &modelPrimary{}
	w := newWorld(t, func(c *blocklist.Config) { c.Taker, c.ShrinkMax = p, 1 })
	f := blocklist.Feed{
		FeedConfig: blocklist.FeedConfig{Name: "f", Zone: "rpz.test"},
		Fetch:      blocklist.Fetch{Transfer: blocklist.Transfer{Zone: modelApex, Primaries: []string{"192.0.2.54:53"}}, Timeout: time.Minute},
	}
	if change != nil {
		change(&f)
	}
	w.add(f)
	return w, p
}

// randomRules are rules of all kinds, some of which are refused or held.
func randomRules(r *rand.Rand, n int) map[string][]string {
	out := map[string][]string{}
	for range n {
		owner := randomOwner(r)
		out[owner] = randomData(r)
	}
	return out
}

func randomOwner(r *rand.Rand) string {
	name := fmt.Sprintf("%s.example", []string{"a", "b", "c", "*"}[r.IntN(4)])
	for range r.IntN(4) {
		name = []string{"x", "y", "z"}[r.IntN(3)] + "." + name
	}
	switch r.IntN(14) {
	case 0, 1, 2:
		return "*." + name
	case 3:
		return name + ".rpz-nsdname"
	case 4:
		return "*." + name + ".rpz-nsdname"
	case 5:
		return fmt.Sprintf("32.%d.2.0.192.rpz-ip", r.IntN(5))
	case 6:
		return fmt.Sprintf("32.%d.2.0.192.rpz-client-ip", r.IntN(3))
	case 7:
		return []string{"com", "co.uk", "github.io", "*.github.io", "blogspot.com", "protected.own.test", "own.test", "x.rpz-nonsense", "300.1.2.0.192.rpz-ip", "*"}[r.IntN(10)]
	case 8:
		return "@"
	case 9, 10: // a single word of zeros is written in two ways; see policy.PrefixSpellings
		return []string{"128.8.7.6.5.4.3.0", "128.8.7.6.5.4.3.zz", "128.8.0.6.5.0.3.1", "128.8.0.6.5.zz.3.1", "48.zz.db8"}[r.IntN(5)] + ".2001." +
			[]string{"rpz-ip", "rpz-client-ip", "rpz-nsip"}[r.IntN(3)]
	}
	return name
}

func randomData(r *rand.Rand) []string {
	switch r.IntN(8) {
	case 0:
		return []string{"CNAME *."}
	case 1:
		return []string{"CNAME rpz-passthru."}
	case 2, 3:
		return []string{fmt.Sprintf("A 192.0.2.%d", r.IntN(3)), "TXT \"text\""}
	case 4:
		return []string{fmt.Sprintf("CNAME walled%d.garden.test.", r.IntN(2))}
	case 5:
		return []string{"CNAME rpz-nothing."}
	}
	return []string{"CNAME ."}
}

// copySays is all that the copy of the feed says, but for places and times.
func copySays(t *testing.T, g *blocklist.Generation) (rows []string, report blocklist.FeedReport) {
	t.Helper()
	must(t, g.Copy(0).Verify())
	var all []blocklist.Row
	must(t, g.Copy(0).All(func(r blocklist.Row) bool { all = append(all, r); return true }))
	return withoutPlaces(all, *g.Copy(0).Report())
}

func withoutPlaces(all []blocklist.Row, report blocklist.FeedReport) (rows []string, _ blocklist.FeedReport) {
	for _, r := range all {
		data := ""
		if r.Data != nil {
			data = fmt.Sprint(*r.Data)
		}
		rows = append(rows, fmt.Sprintf("%s %v %v %v %q %s", r.Name, r.Kind, r.Action, r.Family, r.Comment, data))
	}
	report.Source = blocklist.SourceState{}
	report.Faults = maps.Clone(report.Faults)
	for reason, c := range report.Faults {
		report.Faults[reason] = &blocklist.FaultCount{Count: c.Count}
	}
	report.Duplicates.First, report.Crowded.First = blocklist.Fault{}, blocklist.Fault{}
	for _, list := range []*[]blocklist.HeldRow{&report.HeldRows, &report.PopularRows, &report.GuardedRows} {
		held := slices.Clone(*list)
		for i := range held {
			held[i].Line, held[i].File, held[i].Since = 0, "", time.Time{}
		}
		slices.SortFunc(held, func(a, b blocklist.HeldRow) int { return strings.Compare(a.Name+a.Text, b.Name+b.Text) })
		if *list = held; len(held) == 0 {
			*list = nil
		}
	}
	return rows, report
}

// TestChangeSaysWhatTheWholeSays changes a policy zone with rules of all kinds at random: what is served as soon as the difference has come, without reading the zone, is
// what the whole zone says: policy, rows, counts, and rows that are refused or wait.
func TestChangeSaysWhatTheWholeSays(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() || raceEnabled {
		rounds = 12
	}
	r := rand.New(rand.NewPCG(11, 3))
	lists := t.TempDir()
	write(t, lists+"/popular", "1,x.a.example\n2,b.example\n30,c.example\n")
	write(t, lists+"/protected", "y.b.example\n.own.test\n")
	settings := func(f *blocklist.Feed) {
		f.Protect = blocklist.Protection{
			Names: []string{"protected.own.test"}, Lists: []string{lists + "/protected"}, Popular: blocklist.Popular{Lists: []string{lists + "/popular"}, Hold: 2},
		}
		f.Released = []string{"blogspot.com"}
	}
	w, p := modelWorld(t, settings)
	whole := newWorld(t, func(c *blocklist.Config) { c.ShrinkMax = 1 })
	whole.whole = true
	now := &zoneModel{serial: 1, rules: randomRules(r, 300)}
	p.gives(now)
	w.fetch()
	whole.feeds = []blocklist.Feed{{FeedConfig: blocklist.FeedConfig{Name: "f", Zone: "rpz.test", Path: w.dir + "/list"}}}
	settings(&whole.feeds[0])
	for round := range rounds {
		next := &zoneModel{serial: now.serial + 1, rules: maps.Clone(now.rules)}
		next.rules[fmt.Sprintf("only-in-%d.example", next.serial)] = []string{"CNAME ."} // a zone that says what it said is not taken
		delete(next.rules, fmt.Sprintf("only-in-%d.example", now.serial))
		for range r.IntN(12) {
			switch owner := randomOwner(r); r.IntN(3) {
			case 0:
				next.rules[owner] = randomData(r)
			case 1:
				delete(next.rules, owner)
			case 2:
				for other := range next.rules {
					delete(next.rules, other)
					break
				}
			}
		}
		p.gives(next)
		before := w.metric("cenote_blocklist_zone_changes_total")
		reads := strings.Count(w.log(), "feed read")
		w.fetch()
		now = next
		if n := w.metric("cenote_blocklist_zone_changes_total") - before; n == 1 && strings.Count(w.log(), "feed read") != reads {
			t.Fatalf("round %d: after a change that was taken over the zone was read", round)
		}
		must(t, os.WriteFile(w.dir+"/list", []byte(now.text()), 0o600))
		whole.reload(blocklist.ReloadOptions{})
		if got, want := said(t, w.current().Policy), said(t, whole.current().Policy); !maps.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("round %d: the policy says otherwise than the whole (-whole +change):\n%s", round, gocmp.Diff(want, got))
		}
		rows, report := copySays(t, w.current())
		wantRows, wantReport := copySays(t, whole.current())
		if diff := gocmp.Diff(wantRows, rows); diff != "" {
			t.Fatalf("round %d: the copy says otherwise than the whole (-whole +change):\n%s", round, diff)
		}
		if diff := gocmp.Diff(wantReport, report); diff != "" {
			t.Fatalf("round %d: the report is another than that of the whole (-whole +change):\n%s", round, diff)
		}
		rowsAreFound(t, w.current())
		if round%8 == 7 {
			w.close()
			w.open(nil)
		}
	}
	if n := strings.Count(w.log(), "change of a policy zone taken over"); n < rounds/3 {
		t.Errorf("%d of %d changes were taken over: too few to tell\n%s", n, rounds, w.log())
	}
}

// TestChangeOfAnAddressThatIsSpelledTwice: of two rules for the same IPv6 address, spelled in the two ways that there are, one goes or changes; the other is in force.
func TestChangeOfAnAddressThatIsSpelledTwice(t *testing.T) {
	t.Parallel()
	const written, short = "128.8.7.6.5.4.3.0.2001.", "128.8.7.6.5.4.3.zz.2001."
	for _, trigger := range []string{"rpz-ip", "rpz-client-ip", "rpz-nsip"} {
		for name, next := range map[string]map[string][]string{
			"the one goes":      {short + trigger: {"CNAME *."}},
			"the other goes":    {written + trigger: {"CNAME ."}},
			"the one changes":   {written + trigger: {"CNAME rpz-passthru."}, short + trigger: {"CNAME *."}},
			"the other changes": {written + trigger: {"CNAME ."}, short + trigger: {"CNAME rpz-drop."}},
			"both go":           {"a.example": {"CNAME ."}},
		} {
			t.Run(trigger+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newZoneTwins(t)
				w.next(&zoneModel{1, map[string][]string{written + trigger: {"CNAME ."}, short + trigger: {"CNAME *."}}})
				w.next(&zoneModel{2, next})
				w.next(&zoneModel{3, map[string][]string{written + trigger: {"CNAME ."}, short + trigger: {"CNAME *."}}})
				if w.changed != 2 {
					t.Errorf("%d of 2 changes were read by themselves", w.changed)
				}
			})
		}
	}
}

// TestChangeOfALenientFeedIsNotReadByItself: there is no end of ways to spell an address that such a feed takes.
func TestChangeOfALenientFeedIsNotReadByItself(t *testing.T) {
	t.Parallel()
	w := newZoneTwins(t)
	w.config.Lenient = true
	w.next(&zoneModel{1, map[string][]string{"128.1.zz.2001.rpz-ip": {"CNAME ."}, "128.0001.0.0.zz.2001.rpz-ip": {"CNAME *."}}})
	w.next(&zoneModel{2, map[string][]string{"128.1.zz.2001.rpz-ip": {"CNAME ."}}})
	if w.changed != 0 {
		t.Error("the change was read by itself")
	}
}

// zoneTwins make copies of one zone in two directories: in one of them by what changes where that can be, in the other by reading all.
type zoneTwins struct {
	t             testing.TB
	change, whole string
	config        blocklist.FeedConfig
	now           *zoneModel
	changed       int
}

// next makes the copies of the next version, and compares them.
func (w *zoneTwins) next(z *zoneModel) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.config.Path, []byte(z.text()), 0o600))
	kept, at := uint64(0), time.Unix(1_700_000_000+int64(z.serial), 0)
	if w.now != nil {
		kept = uint64(w.now.serial)
	}
	want, wantErr := blocklist.ReadListVersion(w.t.Context(), w.whole, w.config, kept, uint64(z.serial), at, blocklist.Reading{Whole: true})
	must(w.t, wantErr)
	var got blocklist.ListVersion
	err := errNotWhole
	if w.now != nil {
		got, err = blocklist.ReadZoneChange(w.t.Context(), w.change, w.config, kept, uint64(z.serial), w.now.change(z), at)
	}
	if err == nil {
		w.changed++
	} else {
		got, err = blocklist.ReadListVersion(w.t.Context(), w.change, w.config, kept, uint64(z.serial), at, blocklist.Reading{Whole: true})
		must(w.t, err)
	}
	rows, report := withoutPlaces(got.Rows, *got.Report)
	wantRows, wantReport := withoutPlaces(want.Rows, *want.Report)
	if diff := gocmp.Diff(wantRows, rows); diff != "" {
		w.t.Fatalf("serial %d, by what changes: %v: the copy says otherwise than the whole (-whole +change):\n%s", z.serial, got.Part, diff)
	}
	if diff := gocmp.Diff(wantReport, report); diff != "" {
		w.t.Fatalf("serial %d, by what changes: %v: the report is another than that of the whole (-whole +change):\n%s", z.serial, got.Part, diff)
	}
	for i := range got.Rows {
		if a, b := got.Rows[i].Added, want.Rows[i].Added; got.Rows[i].Kind != policy.KindENT && !a.Equal(b) {
			w.t.Fatalf("serial %d: %s was first seen at %v, want %v", z.serial, got.Rows[i].Name, a, b)
		}
	}
	told := map[string]bool{}
	for rest := got.Names; len(rest) > 0; {
		n, _, err := dnsname.Check(rest)
		must(w.t, err)
		told[string(rest[:n])], rest = true, rest[n:]
	}
	for rest := want.Names; got.Part && len(rest) > 0; {
		n, _, err := dnsname.Check(rest)
		must(w.t, err)
		if !told[string(rest[:n])] {
			w.t.Fatalf("serial %d: it is not told that %s has changed", z.serial, dnsname.Name(rest[:n]))
		}
		rest = rest[n:]
	}
	w.now = z
}

var errNotWhole = fmt.Errorf("there is nothing to change")

func newZoneTwins(t testing.TB) *zoneTwins {
	dir := t.TempDir()
	c := blocklist.FeedConfig{Name: "f", Format: "rpz", Zone: "rpz.test", Path: dir + "/list", AllowEmpty: true, Released: []string{"blogspot.com"}}
	c.Protect = blocklist.Protection{Names: []string{"protected.own.test"}}
	return &zoneTwins{t: t, change: dir + "/change", whole: dir + "/whole", config: c}
}

// edited is a version with some rules changed.
func (z *zoneModel) edited(r *rand.Rand, most int) *zoneModel {
	next := &zoneModel{serial: z.serial + 1, rules: maps.Clone(z.rules)}
	there := slices.Sorted(maps.Keys(z.rules))
	for range 1 + r.IntN(most) {
		switch r.IntN(3) {
		case 0:
			next.rules[randomOwner(r)] = randomData(r)
		case 1:
			delete(next.rules, randomOwner(r))
		case 2:
			if len(there) > 0 {
				delete(next.rules, there[r.IntN(len(there))])
			}
		}
	}
	return next
}

// TestCopyInLayersSaysWhatTheWholeSays is TestChangeSaysWhatTheWholeSays of the copies alone, of many more zones.
func TestCopyInLayersSaysWhatTheWholeSays(t *testing.T) {
	t.Parallel()
	zones, changed, all := 60, 0, 0
	if testing.Short() || raceEnabled {
		zones = 8
	}
	for seed := range uint64(zones) {
		r := rand.New(rand.NewPCG(seed, 31))
		w := newZoneTwins(t)
		z := &zoneModel{serial: 1, rules: randomRules(r, r.IntN(150))}
		w.next(z)
		for range 10 {
			z = z.edited(r, 1+r.IntN([]int{12, 120}[seed%2]))
			w.next(z)
			all++
		}
		changed += w.changed
	}
	t.Logf("%d of %d versions were made of what changed", changed, all)
	if changed*2 < all {
		t.Errorf("%d of %d versions were made of what changed: too few to tell", changed, all)
	}
}

// FuzzZoneChange reads one zone after another, by what changes and whole; see TestCopyInLayersSaysWhatTheWholeSays.
func FuzzZoneChange(f *testing.F) {
	f.Add(uint64(1), uint8(10), uint8(3))
	f.Add(uint64(2), uint8(100), uint8(12))
	f.Fuzz(func(t *testing.T, seed uint64, rules, edits uint8) {
		r := rand.New(rand.NewPCG(seed, 32))
		w := newZoneTwins(t)
		z := &zoneModel{serial: 1, rules: randomRules(r, int(rules))}
		w.next(z)
		for range 4 {
			z = z.edited(r, 1+int(edits))
			w.next(z)
		}
	})
}

// rulesOf are rules that block names.
func rulesOf(names ...string) map[string][]string {
	out := map[string][]string{}
	for _, name := range names {
		out[name] = []string{"CNAME ."}
	}
	return out
}

// changedWorld serves version 1 with a.example, b.example and github.io, which is held, and has taken over version 2, which has c.example in the place of b.example.
func changedWorld(t *testing.T, change func(*blocklist.Feed)) (*world, *modelPrimary) {
	w, p := modelWorld(t, change)
	p.gives(&zoneModel{1, rulesOf("a.example", "b.example", "github.io")})
	w.fetch()
	p.gives(&zoneModel{2, rulesOf("a.example", "c.example", "github.io")})
	w.fetch()
	return w, p
}

func (w *world) changes() int { return int(w.metric("cenote_blocklist_zone_changes_total")) }

// TestChangeIsServedBeforeItsVersion: what changes is served while the version is not there yet, and nobody reads the old list meanwhile, whoever insists; the new one
// need not be read.
func TestChangeIsServedBeforeItsVersion(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	looked := false
	p.during = func() {
		looked = true
		if !w.lists("d.example") || w.lists("c.example") || w.current().Copy(0).Report().Serial != 3 {
			t.Errorf("d.example is not served yet: %+v", w.status("f"))
		}
		report := w.reload(blocklist.ReloadOptions{Force: true, Feeds: []string{"f"}})
		if len(report.Feeds) != 1 || report.Feeds[0].Failure == nil || !w.lists("d.example") {
			t.Errorf("what was forced: %+v", report.Feeds)
		}
	}
	p.gives(&zoneModel{3, rulesOf("a.example", "d.example", "github.io")})
	w.fetch()
	p.during = nil
	s := w.status("f")
	if n := strings.Count(w.log(), "feed read"); !looked || n != 1 || w.changes() != 2 || s.State != blocklist.FeedGood || s.Fetch.Zone.Serial != 3 || !w.current().Copy(0).IsLayer() {
		t.Errorf("the zone was read %d times, %d changes were taken over: %+v", n, w.changes(), s)
	}
	row := findRow(t, w.current(), "d.example")
	if row.Line != 0 || !strings.HasPrefix(row.File, "rpz.test (from ") || row.Added.Before(findRow(t, w.current(), "a.example").Added) {
		t.Errorf("the row is %+v", row)
	}
	w.reload(blocklist.ReloadOptions{Force: true})
	if g := w.current(); g.Copy(0).IsLayer() || findRow(t, g, "d.example").Line == 0 || !findRow(t, g, "d.example").Added.Equal(row.Added) {
		t.Errorf("read whole the row is %+v", findRow(t, g, "d.example"))
	}
}

func findRow(t *testing.T, g *blocklist.Generation, name string) blocklist.Row {
	t.Helper()
	row, err := g.Locate(0, []byte(dnsname.MustParse(name)))
	must(t, err)
	return row
}

// TestChangeWhoseVersionDoesNotCome: what has been taken over stays, over a restart too, and the list of the version before is not read again; the next
// version that comes is.
func TestChangeWhoseVersionDoesNotCome(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	p.cut = true
	p.gives(&zoneModel{3, rulesOf("a.example", "d.example", "github.io")})
	w.fetch()
	check := func(when string) {
		t.Helper()
		if s := w.status("f"); !w.lists("d.example") || w.lists("c.example") || s.Report.Serial != 3 || s.Fetch.Zone.Serial != 2 {
			t.Errorf("%s: serial %d, list %d; %s", when, s.Report.Serial, s.Fetch.Zone.Serial, w.log())
		}
	}
	check("at once")
	w.reload(blocklist.ReloadOptions{Force: true})
	check("after a reload")
	w.close()
	w.open(nil)
	check("after a restart")
	w.reload(blocklist.ReloadOptions{Force: true})
	check("after a restart and a reload")
	p.cut, p.unable = false, true
	w.fetch()
	if s := w.status("f"); !w.lists("d.example") || s.Fetch.Zone.Serial != 3 || s.Report.Serial != 3 || s.State != blocklist.FeedGood || w.current().Copy(0).IsLayer() {
		t.Errorf("when the version has come: %+v", s)
	}
}

// TestChangeThatIsReadWhole: what is out of the ordinary is left to the reading of the list, and is then as ever.
func TestChangeThatIsReadWhole(t *testing.T) {
	t.Parallel()
	popular := t.TempDir() + "/popular"
	write(t, popular, domainList("popular", 0, 100_001))
	for name, tc := range map[string]struct {
		change func(*blocklist.Feed)
		before func(*world, *modelPrimary)
		next   *zoneModel
		why    string
		lists  string // "" for c.example, since it is not taken
	}{
		"lenient":                       {change: func(f *blocklist.Feed) { f.Lenient = true }, why: "settings are out of the ordinary"},
		"with a TTL":                    {change: func(f *blocklist.Feed) { f.TTL = time.Hour }, why: "settings are out of the ordinary"},
		"guarded by a large list":       {change: func(f *blocklist.Feed) { f.Protect.Popular.Lists = []string{popular} }, why: "100001 names are protected or popular"},
		"shrinks":                       {change: func(f *blocklist.Feed) { f.ShrinkMax = -1 }, next: &zoneModel{3, rulesOf("d.example")}, why: "would be lost"},
		"is empty":                      {next: &zoneModel{3, nil}, why: "it has no rows"},
		"has many bad rows":             {change: func(f *blocklist.Feed) { f.ErrorMax = -1 }, next: &zoneModel{3, manyBad()}, why: "too many of its rows cannot be read"},
		"of another serial":             {before: func(w *world, p *modelPrimary) { p.kept = &zoneModel{7, p.kept.rules} }, next: &zoneModel{8, rulesOf("a.example", "d.example", "github.io")}, why: "the copy is of serial", lists: "d.example"},
		"of another zone than the copy": {before: func(w *world, p *modelPrimary) { p.kept = &zoneModel{2, rulesOf("a.example", "other.example")} }, why: "the zone is read whole", lists: "d.example"},
		"pinned":                        {before: func(w *world, p *modelPrimary) { w.rollback(blocklist.RollbackOptions{Feed: "f"}) }, why: "not served as its source is", lists: "b.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := changedWorld(t, tc.change)
			if tc.before != nil {
				tc.before(w, p)
			}
			next, done := tc.next, w.changes()
			if next == nil {
				next = &zoneModel{3, rulesOf("a.example", "d.example", "github.io")}
				tc.lists = cmp.Or(tc.lists, "d.example")
			}
			p.gives(next)
			w.fetch()
			if !strings.Contains(w.log(), tc.why) || w.changes() != done || !w.lists(cmp.Or(tc.lists, "c.example")) {
				t.Errorf("%d changes were taken over; the log:\n%s", w.changes()-done, w.log())
			}
		})
	}
}

func manyBad() map[string][]string {
	out := rulesOf("a.example", "github.io")
	for i := range 200 {
		out[fmt.Sprintf("bad%d.rpz-nonsense", i)] = []string{"CNAME ."}
	}
	return out
}

// TestLayersInHistory: copies in layers are compared, gone back to and kept like others, and what they lie over stays as long as one of them does.
func TestLayersInHistory(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	base := w.copies()
	for serial := 3; serial < 9; serial++ {
		p.gives(&zoneModel{serial, rulesOf("a.example", fmt.Sprintf("n%d.example", serial), "github.io")})
		w.fetch()
	}
	all, err := w.p.History("f")
	must(t, err)
	if len(all[0].Copies) != 3 || w.changes() != 7 {
		t.Fatalf("%d changes were taken over, and there are the copies %+v; before %s", w.changes(), all[0].Copies, base)
	}
	for _, c := range all[0].Copies {
		if c.Error != "" || c.Entries != 2 {
			t.Errorf("copy %d: %+v", c.Copy, c)
		}
	}
	diff, err := w.p.Diff(t.Context(), blocklist.DiffOptions{Feed: "f", From: all[0].Copies[2].Copy})
	must(t, err)
	if len(diff.Rows) != 2 || diff.Counts.Added != 1 || diff.Counts.Removed != 1 {
		t.Errorf("the difference is %+v", diff)
	}
	w.rollback(blocklist.RollbackOptions{Feed: "f"})
	if !w.lists("n7.example") || w.lists("n8.example") || !w.current().Copy(0).IsLayer() {
		t.Error("the copy before is not served")
	}
	w.close()
	w.open(nil)
	if !w.lists("n7.example") || w.lists("n8.example") {
		t.Error("it is not served after a restart")
	}
	_, err = w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"})
	must(t, err)
	if !w.lists("n8.example") || w.lists("n7.example") {
		t.Errorf("the source is not followed again: %+v", w.status("f"))
	}
	for serial := 9; serial < 13; serial++ { // each is written whole
		p.unable = true
		p.gives(&zoneModel{serial, rulesOf("a.example", fmt.Sprintf("n%d.example", serial), "github.io")})
		w.fetch()
	}
	if files, _ := filepath.Glob(w.dir + "/state/feeds/f/*.rows"); len(files) > 4 { // three in the history, and one of the policy before
		t.Errorf("what nobody needs is still there: %q", files)
	}
}

// TestDamagedLayer: where a layer or what it lies over is damaged, the policy is served and the feed read again.
func TestDamagedLayer(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"layer", "base"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w, _ := changedWorld(t, nil)
			layer := w.status("f").Copy
			w.close()
			number := layer
			if what == "base" {
				number = 1
			}
			damage(t, fmt.Sprintf("%s/state/feeds/f/%d.rows", w.dir, number), 20)
			w.open(nil)
			if !w.lists("c.example") || !strings.Contains(w.log(), "kept copy of a feed cannot be used") {
				t.Errorf("c.example is served: %v; the log:\n%s", w.lists("c.example"), w.log())
			}
			w.fetch()
			if s := w.status("f"); !w.lists("c.example") || w.lists("b.example") || s.State != blocklist.FeedGood || s.Copy == layer {
				t.Errorf("after a reload: %+v", s)
			}
			must(t, w.current().Copy(0).Verify())
		})
	}
}

// TestFirstChangeAfterARestart: after a restart neither the list that followed a change is read nor what changes next, whoever has looked at the list meanwhile; a list that somebody has replaced is.
func TestFirstChangeAfterARestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes int // before the restart
		between func(*testing.T, *world)
		whole   bool
	}{
		"of a copy that was read":                    {},
		"of a layer":                                 {changes: 1},
		"of a layer, when all lists were looked at":  {changes: 1, between: func(_ *testing.T, w *world) { w.reload(blocklist.ReloadOptions{}) }},
		"of a layer, when somebody wrote the list":   {changes: 1, between: func(t *testing.T, w *world) { write(t, w.listPath(t), "; what nobody sent\n") }, whole: true},
		"of a layer, when the state says less":       {changes: 1, between: func(t *testing.T, w *world) { must(t, os.Remove(filepath.Join(w.dir, "state/fetched/f/state.json"))) }, whole: true},
		"of a layer whose list was never written":    {changes: 1, between: func(t *testing.T, w *world) { must(t, os.Remove(w.listPath(t))) }, whole: true},
		"of a second layer over the one that is old": {changes: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := modelWorld(t, nil)
			for serial := 1; serial <= 1+c.changes; serial++ {
				p.gives(&zoneModel{serial, rulesOf("a.example", fmt.Sprintf("v%d.example", serial))})
				w.fetch()
			}
			w.close()
			if c.between != nil && c.whole {
				c.between(t, w)
			}
			reads, last := strings.Count(w.log(), "feed read"), 2+c.changes
			w.open(nil)
			if c.between != nil && !c.whole {
				c.between(t, w)
			}
			next := &zoneModel{last, rulesOf("a.example", fmt.Sprintf("v%d.example", last))}
			number := w.p.TakeChange(t.Context(), "f", p.kept.change(next))
			if taken := number != 0; taken == c.whole || strings.Count(w.log(), "feed read") != reads {
				t.Fatalf("it is in copy %d; the log:\n%s", number, w.log())
			}
			if !c.whole && (!w.lists(fmt.Sprintf("v%d.example", last)) || w.lists(fmt.Sprintf("v%d.example", last-1))) {
				t.Error("the change is not in force")
			}
			p.gives(next)
			w.fetch()
			if !w.lists(fmt.Sprintf("v%d.example", last)) || w.lists(fmt.Sprintf("v%d.example", last-1)) {
				t.Errorf("the version is not in force; the log:\n%s", w.log())
			}
			must(t, w.current().Copy(0).Verify())
		})
	}
}

// listPath is where the list of the feed f lies.
func (w *world) listPath(t *testing.T) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, "state/fetched/f/list/*"))
	must(t, err)
	return all[0]
}

// TestDecisionsOfRowsInLayers: rows that wait are listed as they come and go, keep the time since when they wait, and are decided of.
func TestDecisionsOfRowsInLayers(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	held := func() (names []string, since time.Time) {
		rows, _ := w.p.HeldRows()
		for _, r := range rows {
			names, since = append(names, r.Name), r.Since
		}
		return names, since
	}
	_, since := held()
	p.gives(&zoneModel{3, rulesOf("a.example", "blogspot.com", "github.io")})
	w.fetch()
	if names, _ := held(); !slices.Equal(names, []string{"github.io", "blogspot.com"}) {
		t.Errorf("%q wait", names)
	}
	p.gives(&zoneModel{4, map[string][]string{"a.example": {"CNAME ."}, "b.example": {"CNAME ."}, "github.io": {"CNAME *."}}})
	w.fetch()
	if names, now := held(); !slices.Equal(names, []string{"github.io"}) || !now.Equal(since) || w.changes() != 3 {
		t.Errorf("%q wait since %v, want %v; %d changes\n%s", names, now, since, w.changes(), w.log())
	}
	_, err := w.p.Decide(t.Context(), blocklist.Decision{Feed: "f", Name: "github.io", Verdict: blocklist.VerdictRelease, Who: "me", Why: "test"})
	must(t, err)
	if names, _ := held(); len(names) > 0 || !w.lists("github.io") {
		t.Errorf("%q wait after the decision", names)
	}
	p.gives(&zoneModel{5, map[string][]string{"a.example": {"CNAME ."}, "github.io": {"CNAME ."}}})
	w.fetch()
	if !w.lists("github.io") || w.lists("b.example") || w.changes() != 4 {
		t.Errorf("the decision does not hold for what changes; %d changes", w.changes())
	}
}

// TestChangeIsGuardedByLists: what changes is guarded by the lists as they are now; when they have changed the zone is read whole.
func TestChangeIsGuardedByLists(t *testing.T) {
	t.Parallel()
	popular := t.TempDir() + "/popular"
	write(t, popular, "1,d.example\n2,e.example\n")
	w, p := changedWorld(t, func(f *blocklist.Feed) { f.Protect.Popular = blocklist.Popular{Lists: []string{popular}, Hold: 1} })
	done := w.changes()
	p.gives(&zoneModel{3, rulesOf("a.example", "d.example", "e.example", "github.io")})
	w.fetch()
	if w.changes() != done+1 || w.lists("d.example") || !w.lists("e.example") || w.status("f").Report.Held != 2 {
		t.Errorf("%d changes were taken over; %+v", w.changes()-done, w.status("f").Report)
	}
	write(t, popular, "1,f.example\n")
	p.gives(&zoneModel{4, rulesOf("a.example", "d.example", "f.example", "github.io")})
	w.fetch()
	if !w.lists("d.example") || w.lists("f.example") || w.status("f").Report.Held != 2 {
		t.Errorf("when the list has changed: %+v", w.status("f").Report)
	}
}

// TestChangeWhoseDeltaFailsIsCompiledWhole: a change whose delta cannot be written is in force as soon as all copies have been compiled.
func TestChangeWhoseDeltaFailsIsCompiledWhole(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	for n := w.current().Number + 1; n < 20; n++ {
		must(t, os.MkdirAll(fmt.Sprintf("%s/state/policy/%d.delta/in the way", w.dir, n), 0o700))
	}
	p.gives(&zoneModel{3, rulesOf("a.example", "d.example", "github.io")})
	w.fetch()
	if g := w.current(); !w.lists("d.example") || w.lists("c.example") || g.Policy.Index().Delta() != nil || !g.Copy(0).IsLayer() || strings.Count(w.log(), "feed read") != 1 {
		t.Errorf("it is served as %+v; the log:\n%s", g.Policy.Index().Delta(), w.log())
	}
	if s := w.p.CompileStatus(); s.Pending || s.Error != "" {
		t.Errorf("status = %+v", s)
	}
	must(t, w.current().Copy(0).Verify())
}

// TestVersionThatIsNotWhatTheChangeSaidIsRead: the list of another version than that to which a change has led is read.
func TestVersionThatIsNotWhatTheChangeSaidIsRead(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	done := w.changes()
	p.instead = &zoneModel{4, rulesOf("a.example", "e.example", "github.io")}
	p.gives(&zoneModel{3, rulesOf("a.example", "d.example", "github.io")})
	w.fetch()
	if s := w.status("f"); w.changes() != done+1 || !w.lists("e.example") || w.lists("d.example") || s.Report.Serial != 4 {
		t.Errorf("%d changes were taken over, and the copy is of serial %d", w.changes()-done, s.Report.Serial)
	}
}

// TestChangeDoesNotWaitForACompilation: while the publisher is busy a change is left to the reading of the list, so that whoever looks at the primary is free for other zones.
func TestChangeDoesNotWaitForACompilation(t *testing.T) {
	t.Parallel()
	w, p := changedWorld(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	end, err := w.p.HoldTurn(ctx)
	must(t, err)
	number := w.p.TakeChange(ctx, "f", p.kept.change(&zoneModel{3, rulesOf("a.example")}))
	if number != 0 || ctx.Err() != nil || !strings.Contains(w.log(), "feeds are being compiled") {
		t.Errorf("it is in copy %d; the context: %v", number, ctx.Err())
	}
	end()
	p.gives(&zoneModel{3, rulesOf("a.example", "d.example", "github.io")})
	w.fetch()
	if !w.lists("d.example") || w.lists("c.example") {
		t.Error("the next change is not in force")
	}
}

// TestBaseOfALayerThatCannotBeLookedAtStays: while it cannot be told what the served copy lies over, no copy of the feed is removed.
func TestBaseOfALayerThatCannotBeLookedAtStays(t *testing.T) {
	t.Parallel()
	w, _ := changedWorld(t, nil)
	base, layer := w.dir+"/state/feeds/f/1.rows", fmt.Sprintf("%s/state/feeds/f/%d.rows", w.dir, w.status("f").Copy)
	must(t, os.Rename(layer, w.dir+"/aside"))
	must(t, os.Symlink(layer, layer)) // opening it fails, and not since it is not there
	if err := w.p.Prune(); err == nil {
		t.Error("it is not told")
	}
	must(t, os.Remove(layer))
	must(t, os.Rename(w.dir+"/aside", layer))
	if _, err := os.Stat(base); err != nil {
		t.Error(err)
	}
	w.close()
	w.open(nil)
	if !w.lists("c.example") || strings.Contains(w.log(), "cannot be used") {
		t.Errorf("after a restart; the log:\n%s", w.log())
	}
}
