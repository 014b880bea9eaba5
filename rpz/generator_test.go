package rpz_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
	"cenote/rpz"
	"cenote/wire"
)

// at is when the zones of the tests are made. Some rules expired an hour before, others do an hour later.
var at = time.Unix(500_000*3600+1800, 0)

const apex = dnsname.Name("\x03rpz\x04test\x00")

// randomPolicy has zones, feeds and rules that often touch each other, all below w.example.
func randomPolicy(t testing.TB, r *rand.Rand) *policy.Policy {
	t.Helper()
	m := randomManifest(r)
	members := map[string][]policy.Member{}
	for range r.IntN(30) {
		addRandom(r, &m, members)
	}
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for name, list := range members {
		if err := b.Add([]byte(name), b.AddSet(policy.EncodeSet(list))); err != nil {
			t.Fatal(err)
		}
	}
	var zones []policy.Zone
	for i := range 1 + r.IntN(4) {
		zones = append(zones, randomZone(r, i, m.Feeds))
	}
	p, err := policy.New(policy.Config{Zones: zones, Index: save(t, b, &m)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// randomManifest has feeds, and local data of every kind.
func randomManifest(r *rand.Rand) policy.Manifest {
	m := policy.Manifest{Generation: 1, Families: []string{""}, Threats: []string{""}}
	for i := range 1 + r.IntN(4) {
		m.Feeds = append(m.Feeds, policy.Feed{Name: fmt.Sprint("feed ", i), ClosestEncloser: r.IntN(2) == 0})
	}
	for _, data := range []policy.RRset{
		{Type: wire.TypeA, TTL: 600, RData: [][]byte{{192, 0, 2, 1}, {192, 0, 2, 2}}},
		{Type: wire.TypeCNAME, TTL: 5, RData: [][]byte{[]byte("\x01*\x06garden\x07example\x00")}},
		{Type: wire.TypeCNAME, TTL: 5, RData: [][]byte{[]byte("\x01a\x01w\x07example\x00")}}, // which may be the listed name itself
		{Type: 16, TTL: 5, RData: [][]byte{[]byte("\x03a;b")}},
	} {
		m.Data = append(m.Data, policy.LocalData{RRsets: []policy.RRset{data}})
	}
	return m
}

func addRandom(r *rand.Rand, m *policy.Manifest, members map[string][]policy.Member) {
	k := policy.Member{Feed: uint16(r.IntN(len(m.Feeds))), Kind: policy.Kind(r.IntN(3)), Confidence: policy.ConfidenceUnknown, Exception: r.IntN(6) == 0}
	if r.IntN(2) == 0 {
		k.Action = policy.Action(1 + r.IntN(int(policy.ActionDisabled)))
	}
	if k.Action == policy.ActionLocalData {
		k.Data = uint32(1 + r.IntN(len(m.Data)))
	}
	if r.IntN(6) == 0 {
		k.Expiry = 500_000 + uint32(r.IntN(2))
	}
	if r.IntN(3) == 0 {
		k.Confidence = uint8(r.IntN(101))
	}
	name := randomName(r, 4)
	if r.IntN(20) == 0 {
		name, k.Kind, k.Exception = dnsname.Root, policy.KindBelow, false
	}
	members[string(name)] = append(members[string(name)], k)
	if !m.Feeds[k.Feed].ClosestEncloser {
		return
	}
	for n := name.Parent(); !n.IsRoot(); n = n.Parent() {
		members[string(n)] = append(members[string(n)], policy.Member{Feed: k.Feed, Kind: policy.KindENT, Confidence: policy.ConfidenceUnknown})
	}
}

func randomZone(r *rand.Rand, number int, feeds []policy.Feed) policy.Zone {
	z := policy.Zone{Name: fmt.Sprint("zone ", number), LogOnly: r.IntN(5) == 0, TTL: 10, TTLMax: 60}
	z.Action = []policy.Action{policy.ActionDefault, policy.ActionNXDOMAIN, policy.ActionPassthru, policy.ActionLocalData}[r.IntN(4)]
	z.Target = "\x04zone\x06garden\x07example\x00"
	if r.IntN(2) == 0 {
		z.IPv4, z.IPv6 = []netip.Addr{netip.MustParseAddr("192.0.2.53")}, []netip.Addr{netip.MustParseAddr("2001:db8::53")}
	}
	if r.IntN(6) == 0 {
		z.Override = []policy.Action{policy.ActionNODATA, policy.ActionDisabled, policy.ActionPassthru}[r.IntN(3)]
	}
	if r.IntN(8) == 0 {
		z.LocalDataOr = policy.ActionPassthru
	}
	for _, i := range r.Perm(len(feeds)) {
		if r.IntN(3) > 0 {
			z.Feeds = append(z.Feeds, feeds[i].Name)
		}
	}
	return z
}

// randomName has one to most labels, some of which come before an asterisk and some behind.
func randomName(r *rand.Rand, most int) dnsname.Name {
	name := dnsname.Name("\x01w\x07example\x00")
	for range 1 + r.IntN(most) {
		name, _ = name.Child([]string{"a", "!", "b"}[r.IntN(3)])
	}
	return name
}

func save(t testing.TB, b *nameindex.Builder, m *policy.Manifest) *nameindex.Index {
	t.Helper()
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "names")
	if _, err := b.WriteFile(path, manifest); err != nil {
		t.Fatal(err)
	}
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// reader is a resolver that has the zone, as the draft describes it.
type reader struct {
	owners map[dnsname.Name][]string // relative
	exists map[dnsname.Name]bool     // with empty non-terminals
}

func read(t testing.TB, g *rpz.Generator) *reader {
	t.Helper()
	z := &reader{map[dnsname.Name][]string{}, map[dnsname.Name]bool{}}
	last, count := apex, 2
	for r := range g.Records() {
		owner := dnsname.Name(r.Owner)
		if dnsname.Compare(last, owner) > 0 {
			t.Fatalf("%s comes behind %s", owner, last)
		}
		last = owner
		count++
		rel := owner[:len(owner)-len(apex)] + "\x00"
		z.owners[rel] = append(z.owners[rel], fmt.Sprintf("%s %d %x", wire.TypeText(r.Type), r.TTL, r.Data))
		for n := rel; !n.IsRoot(); n = n.Parent() {
			z.exists[n] = true
		}
	}
	if got := g.Report().Records; got != count {
		t.Errorf("%d records, and the report has %d", count, got)
	}
	return z
}

// ask finds what the zone says; encloser says whether a longer name that exists stops a wildcard.
func (z *reader) ask(name dnsname.Name, encloser bool) string {
	if here, ok := z.owners[name]; ok || encloser && z.exists[name] {
		return said(here)
	}
	for above := name.Parent(); ; above = above.Parent() {
		wild, _ := above.Child("*")
		if here, ok := z.owners[wild]; ok || encloser && z.exists[above] {
			return said(here)
		}
		if above.IsRoot() {
			return said(nil)
		}
	}
}

func said(records []string) string {
	if len(records) == 0 || strings.Contains(records[0], fmt.Sprintf("%x", "\x0crpz-passthru\x00")) {
		return "truth"
	}
	slices.Sort(records)
	return strings.Join(records, ", ")
}

// want is what a policy does to a name, in the words of said; ok is false for what RPZ cannot say.
func want(p *policy.Policy, name dnsname.Name) (text string, ok bool) {
	d := p.CheckQuery(&policy.Request{Name: []byte(name), Time: at, Type: wire.TypeANY, Class: 1, RD: true})
	if !d.Matched() {
		return said(nil), true
	}
	rule := p.Rule(d.Winner)
	one := func(t uint16, ttl uint32, data string) string {
		return fmt.Sprintf("%s %d %x", wire.TypeText(t), ttl, data)
	}
	z := rule.Zone
	switch d.Winner.Action {
	case policy.ActionPassthru:
		return said(nil), true
	case policy.ActionNXDOMAIN:
		return one(wire.TypeCNAME, z.TTL, "\x00"), true
	case policy.ActionNODATA:
		return one(wire.TypeCNAME, z.TTL, "\x01*\x00"), true
	case policy.ActionDrop:
		return one(wire.TypeCNAME, z.TTL, "\x08rpz-drop\x00"), true
	case policy.ActionTCPOnly:
		return one(wire.TypeCNAME, z.TTL, "\x0crpz-tcp-only\x00"), true
	case policy.ActionSinkhole:
		if len(z.IPv4) == 0 {
			return one(wire.TypeCNAME, z.TTL, "\x01*\x00"), true
		}
		return said([]string{one(wire.TypeA, z.TTL, string(z.IPv4[0].AsSlice())), one(wire.TypeAAAA, z.TTL, string(z.IPv6[0].AsSlice()))}), true
	case policy.ActionLocalData:
		var all []string
		for _, s := range rule.Data.RRsets {
			for _, data := range s.RData {
				all = append(all, one(s.Type, min(s.TTL, z.TTLMax), string(data)))
				if s.Type == wire.TypeCNAME && string(data) == string(name) {
					return "", false
				}
			}
		}
		return said(all), z.LocalDataOr == policy.ActionDefault
	}
	return d.Winner.Action.String(), true
}

// Whoever reads the zone does to every name what the policy does, whether or not it lets longer names stop a wildcard.
func TestZoneSaysWhatThePolicyDoes(t *testing.T) {
	filled, passed, blocked := 0, 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := randomPolicy(t, r)
		z, report := generate(t, p, 1+r.IntN(20))
		filled, passed = filled+report.Filled, passed+report.Passed
		for _, name := range names(r) {
			want, ok := want(p, name)
			if !ok {
				continue
			}
			if want != "truth" {
				blocked++
			}
			for _, encloser := range []bool{false, true} {
				if got := z.ask(name, encloser); got != want {
					t.Fatalf("seed %d: %s, stopped by longer names %v\ngot  %s\nwant %s\nzone %v\nof %+v", seed, name, encloser, got, want, z.owners, p.Zones())
				}
			}
		}
	}
	if filled == 0 || passed == 0 || blocked == 0 {
		t.Errorf("filled %d, passed %d, blocked %d: not all was tested", filled, passed, blocked)
	}
}

func generate(t testing.TB, p *policy.Policy, names int) (*reader, rpz.Report) {
	t.Helper()
	g := generator(t, p, rpz.Config{Names: names})
	z := read(t, g)
	return z, g.Report()
}

func generator(t testing.TB, p *policy.Policy, c rpz.Config) *rpz.Generator {
	t.Helper()
	x, err := p.Excerpt(policy.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	c.Apex, c.Policy, c.At = apex, x, at
	g, err := rpz.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func names(r *rand.Rand) (all []dnsname.Name) {
	for range 60 {
		all = append(all, randomName(r, 6))
	}
	return all
}

// Cenote itself, with the zone as its only feed, decides as it did: of every name, what RPZ cannot say left out.
func TestZoneReadAgainDecidesAlike(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomPolicy(t, r)
		again := readAgain(t, generator(t, p, rpz.Config{}))
		for _, name := range names(r) {
			before, ok := want(p, name)
			if !ok {
				continue
			}
			if after, _ := want(again, name); withoutTTL(after) != withoutTTL(before) {
				t.Fatalf("seed %d: %s\ngot  %s\nwant %s", seed, name, after, before)
			}
		}
	}
}

// withoutTTL: a policy zone that is read gives no TTL to what its rules make; that is of the zone it is read into.
func withoutTTL(text string) string {
	var out []string
	for r := range strings.SplitSeq(text, ", ") {
		words := strings.Fields(r)
		if len(words) == 3 {
			words = slices.Delete(words, 1, 2)
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, ", ")
}

func readAgain(t testing.TB, g *rpz.Generator) *policy.Policy {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "zone")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.WriteMaster(f, 1, "made by a test"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if err := os.Mkdir(filepath.Join(dir, "policy"), 0o700); err != nil {
		t.Fatal(err)
	}
	feed := blocklist.CompileFeed{FeedConfig: blocklist.FeedConfig{Name: "again", Path: path, Format: "rpz", AllowEmpty: true, AllowSuffixes: true}, ShrinkMax: 1, Read: true, Serve: true}
	report, err := blocklist.Compile(context.Background(), blocklist.CompileConfig{Dir: dir, Generation: 1, Merge: true, Feeds: []blocklist.CompileFeed{feed}})
	if err != nil {
		t.Fatal(err)
	}
	if failure := report.Feeds[0].Failure; failure != nil {
		t.Fatal(failure.Text)
	}
	if r := report.Feeds[0].Report; r.Refused > 0 {
		t.Fatalf("%d rows are refused: %+v", r.Refused, r)
	}
	x, err := nameindex.Open(filepath.Join(dir, "policy", "1.index"), nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(policy.Config{Index: x, Zones: []policy.Zone{{Name: "again", Feeds: []string{"again"}, TTL: 10, TTLMax: 60}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
