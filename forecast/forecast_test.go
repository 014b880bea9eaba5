package forecast_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/forecast"
	"cenote/nameindex"
	"cenote/policy"
)

// entry is one name that a feed lists.
type entry struct {
	feed   uint16
	name   string
	kind   policy.Kind
	action policy.Action
}

var feeds = []policy.Feed{{Name: "new", Entries: 4, Triggers: policy.TriggerCounts{ClientIP: 1, IP: 2}}, {Name: "top"}, {Name: "allow"}}

// policyOf compiles names into the policy of a forecast.
func policyOf(t testing.TB, entries ...entry) *policy.Policy {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for _, e := range entries {
		set := policy.EncodeSet([]policy.Member{{Feed: e.feed, Kind: e.kind, Action: e.action, Confidence: policy.ConfidenceUnknown}})
		if err := b.Add([]byte(dnsname.MustParse(e.name)), b.AddSet(set)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := json.Marshal(policy.Manifest{Generation: 1, Feeds: feeds, Families: []string{""}, Threats: []string{""}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "index")
	if _, err := b.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(policy.Config{Zones: forecast.Zones("new", []string{"top"}, []string{"allow"}), Index: x, AnswerEarly: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func client(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func asked(name string, from int, at time.Time) *forecast.Query {
	return &forecast.Query{Time: at, Client: client(from), Name: []byte(dnsname.MustParse(name)), RD: true}
}

func TestTally(t *testing.T) {
	t.Parallel()
	tally := forecast.New(policyOf(t,
		entry{0, "evil.example", policy.KindSubtree, 0}, entry{0, "pass.example", policy.KindExact, policy.ActionPassthru},
		entry{0, "off.example", policy.KindExact, policy.ActionDisabled}, entry{1, "example", policy.KindSubtree, 0}, entry{2, "fine.org", policy.KindExact, 0},
	))
	for _, q := range []*forecast.Query{
		asked("evil.example", 1, noon), asked("a.evil.example", 1, noon), asked("a.evil.example", 2, noon.Add(24*time.Hour)),
		asked("pass.example", 3, noon), asked("off.example", 3, noon), asked("fine.org", 4, noon), asked("www.example", 5, noon.Add(-time.Hour)),
		{Time: noon, Client: client(9)}, // a query without a name
	} {
		tally.Add(q)
	}
	known := asked("evil.example", 1, noon)
	known.Action, known.Feed, known.Enforced = "sinkhole", "old", true
	tally.Add(known)
	seen := asked("evil.example", 1, noon)
	seen.Action, seen.Feed = "sinkhole", "old"
	tally.Add(seen)
	r := tally.Report(2)
	if r.Queries != 10 || r.Clients.Count != 6 || !r.From.Equal(noon.Add(-time.Hour)) || !r.Until.Equal(noon.Add(24*time.Hour)) || r.AllMatched {
		t.Errorf("the log: %+v", r)
	}
	if m := r.Matched; m.Queries != 7 || m.New != 6 || m.Clients.Count != 3 || m.Names.Count != 4 || m.Top != 7 || m.Allow != 0 ||
		fmt.Sprint(m.Actions) != "map[disabled:1 passthru:1 sinkhole:5]" {
		t.Errorf("matched: %+v", m)
	}
	if len(r.Names) != 2 || r.Names[0].Name != "evil.example" || r.Names[0].Queries != 3 || r.Names[1].Name != "a.evil.example" || r.Names[1].Clients.Count != 2 ||
		r.Names[1].Listed != "evil.example" || !r.Names[0].Top || r.Names[0].Allow {
		t.Errorf("names: %+v", r.Names)
	}
	if len(r.Busiest) != 2 || r.Busiest[0].Client != client(1) || r.Busiest[0].Queries != 4 {
		t.Errorf("clients: %+v", r.Busiest)
	}
	if len(r.Days) != 2 || r.Days[0].Day != "2026-01-02" || r.Days[0].Matched != 6 || r.Days[0].Clients.Count != 2 || r.Days[1].Matched != 1 {
		t.Errorf("days: %+v", r.Days)
	}
	if r.Rows.Entries != 4 || r.Rows.Matched.Count != 3 || r.Rows.Never != 1 || r.Rows.Unreplayed.IP != 2 || r.Rows.Unreplayed.ClientIP != 0 {
		t.Errorf("rows: %+v", r.Rows)
	}
	if len(r.Today) != 3 || r.Today[0] != (forecast.Today{Queries: 5}) {
		t.Errorf("today: %+v", r.Today)
	}
}

func TestOverlapNamesTheFirst(t *testing.T) {
	t.Parallel()
	tally := forecast.New(policyOf(t, entry{0, "evil.example", policy.KindSubtree, 0}, entry{0, "pass.example", policy.KindExact, policy.ActionPassthru}))
	add := tally.Overlap("list", true, 100)
	tally.Overlap("another", false, 1)
	for i := 99; i >= 0; i-- {
		add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.evil.example", i))), i+1, noon)
	}
	add([]byte(dnsname.MustParse("pass.example")), 200, noon)
	add([]byte(dnsname.MustParse("other.example")), 201, noon)
	lists := tally.Report(1).Lists
	if len(lists) != 2 || lists[0].Stopped != 100 || lists[0].Entries != 100 || !lists[0].Allow || len(lists[0].First) != 20 {
		t.Fatalf("lists: %+v", lists)
	}
	for i, n := range lists[0].First {
		if n.Place != i+1 || n.Name != fmt.Sprintf("n%d.evil.example", i) || n.Listed != "evil.example" {
			t.Errorf("name %d: %+v", i, n)
		}
	}
}

// TestCountsAreExactUpToTheBound: and above it they are estimates that say so and are not far off.
func TestCountsAreExactUpToTheBound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 7))
	for _, bound := range []int{512, 4096} {
		for _, n := range []int{0, 1, bound, bound + 1, 10 * bound, 300 * bound} {
			hashes := make([]uint64, 0, 2*n)
			for range n {
				h := r.Uint64()
				hashes = append(hashes, h, h)
			}
			got := forecast.Distinct(bound, hashes)
			off := math.Abs(float64(got.Count)-float64(n)) / float64(max(n, 1))
			switch {
			case n <= bound && (int(got.Count) != n || got.Estimated):
				t.Errorf("bound %d: %+v of %d", bound, got, n)
			case n > bound && (!got.Estimated || off > 5*1.2/math.Sqrt(float64(bound))):
				t.Errorf("bound %d: %+v of %d, off by %.1f%%", bound, got, n, 100*off)
			}
		}
	}
	if got := forecast.Distinct(8, []uint64{0, 0}); got.Count != 1 {
		t.Errorf("the hash 0 is counted as %+v", got)
	}
}

// TestNamesAskedForMostAreNeverMissing, however many others there are: memory is bounded, and what a count may lack is told.
func TestNamesAskedForMostAreNeverMissing(t *testing.T) {
	t.Parallel()
	tally := forecast.New(policyOf(t, entry{0, "evil.example", policy.KindSubtree, 0}))
	const often, rounds = 400, 3 * forecast.NamesMax / 400
	tally.Add(asked("later.evil.example", 1, noon)) // which is forgotten
	for round := range rounds {
		for i := range often {
			tally.Add(asked(fmt.Sprintf("r%d.n%d.evil.example", round, i), 2000+often*round+i, noon))
		}
		if round >= rounds/2 { // they come late
			tally.Add(asked("late.evil.example", 1, noon))
			tally.Add(asked("later.evil.example", round, noon))
		}
	}
	r := tally.Report(2)
	for i, name := range []string{"late.evil.example", "later.evil.example"} {
		n, want := r.Names[i], uint64(rounds-rounds/2+i)
		if n.Name != name || n.Queries > want || n.Queries+n.Short < want {
			t.Errorf("name %d is %+v, want %s with %d", i, n, name, want)
		}
	}
	if names, clients := tally.Tracked(); names > forecast.NamesMax || clients > forecast.BusiestMax {
		t.Errorf("%d names and %d clients are told apart", names, clients)
	}
	if total := uint64(often*rounds + 2); r.Matched.Names.Estimated || r.Matched.Names.Count != total {
		t.Errorf("%+v different names, want %d", r.Matched.Names, total)
	}
}

func TestDaysAndClientsAreBounded(t *testing.T) {
	t.Parallel()
	tally := forecast.New(policyOf(t, entry{0, "evil.example", policy.KindSubtree, 0}))
	for d := range forecast.DaysMax + 5 {
		tally.Add(asked("evil.example", 1, noon.Add(time.Duration(d)*24*time.Hour)))
	}
	for i := range forecast.BusiestMax + forecast.BusiestMax/2 {
		tally.Add(asked("evil.example", i+2, noon))
	}
	if _, clients := tally.Tracked(); clients > forecast.BusiestMax {
		t.Errorf("%d clients are told apart", clients)
	}
	r := tally.Report(1)
	if len(r.Days) != forecast.DaysMax || r.Matched.Unlisted != 5 {
		t.Errorf("%d days are listed, %d queries are not", len(r.Days), r.Matched.Unlisted)
	}
	if r.Busiest[0].Client != client(1) || r.Busiest[0].Queries != forecast.DaysMax+5 {
		t.Errorf("the busiest client is %+v", r.Busiest[0])
	}
	want := float64(forecast.BusiestMax + forecast.BusiestMax/2 + 1)
	if got := r.Matched.Clients; !got.Estimated || math.Abs(float64(got.Count)-want) > want/50 {
		t.Errorf("%+v clients, want about %.0f", got, want)
	}
	if n := r.Names[0].Clients; !n.Estimated || math.Abs(float64(n.Count)-want) > want/4 {
		t.Errorf("of the name: %+v clients, want about %.0f", n, want)
	}
}

func BenchmarkAdd(b *testing.B) {
	tally := forecast.New(policyOf(b, entry{0, "evil.example", policy.KindSubtree, 0}))
	var queries []*forecast.Query
	for i := range 1 << 16 {
		name := fmt.Sprintf("n%d.example", i)
		if i%100 == 0 {
			name = fmt.Sprintf("n%d.evil.example", i%1000)
		}
		queries = append(queries, asked(name, i*7919%100_000, noon))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		tally.Add(queries[i%len(queries)])
	}
}
