package blocklist_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"

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
	mu     sync.Mutex
	has    *zoneModel // guarded by mu
	kept   *zoneModel // guarded by mu: that was taken last
	cut    bool       // guarded by mu: the version is told of, and then not given
	unable bool       // guarded by mu: what changes is not told
	during func()     // guarded by mu: is called between what changes and the version
}

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
	switch r.IntN(12) {
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
	must(t, g.Copy(0).All(func(r blocklist.Row) bool {
		data := ""
		if r.Data != nil {
			data = fmt.Sprint(*r.Data)
		}
		rows = append(rows, fmt.Sprintf("%s %v %v %v %q %s", r.Name, r.Kind, r.Action, r.Family, r.Comment, data))
		return true
	}))
	report = *g.Copy(0).Report()
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
	settings := func(f *blocklist.Feed) {
		f.Protect = blocklist.Protection{Names: []string{"protected.own.test"}}
		f.Released = []string{"blogspot.com."}
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
	if n := w.metric("cenote_blocklist_zone_changes_total"); int(n) < rounds%8 { // a start counts anew
		t.Errorf("%v changes since the last start were taken over: nothing was tested\n%s", n, w.log())
	}
	if n := strings.Count(w.log(), "change of a policy zone taken over"); n < rounds/2 {
		t.Errorf("%d of %d changes were taken over: too few to tell\n%s", n, rounds, w.log())
	}
}
