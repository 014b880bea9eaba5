package rpz_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
	"cenote/rpz"
	"cenote/zone"
)

// editedPolicy is a policy whose lists change by deltas.
type editedPolicy struct {
	r       *rand.Rand
	m       policy.Manifest
	members map[string][]policy.Member
	base    *nameindex.Index
	listed  map[string]string // the payloads of the base
	policy  *policy.Policy
	at      time.Time
	selects policy.Selection
	merged  int // how often changes were merged into an index of their own
}

func newEditedPolicy(t *testing.T, r *rand.Rand) *editedPolicy {
	t.Helper()
	e := &editedPolicy{r: r, m: randomManifest(r), members: map[string][]policy.Member{}, listed: map[string]string{}, at: at}
	if r.IntN(3) == 0 {
		e.selects.Confidence = 50
	}
	for range r.IntN(40) {
		e.add()
	}
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for name, list := range e.members {
		payload := policy.EncodeSet(list)
		e.listed[name] = string(payload)
		if err := b.Add([]byte(name), b.AddSet(payload)); err != nil {
			t.Fatal(err)
		}
	}
	e.count()
	e.base = save(t, b, &e.m)
	var zones []policy.Zone
	for i := range 1 + r.IntN(4) {
		zones = append(zones, randomZone(r, i, e.m.Feeds))
	}
	var err error
	if e.policy, err = policy.New(policy.Config{Zones: zones, Index: e.base}); err != nil {
		t.Fatal(err)
	}
	return e
}

// add lists something: mostly a name, sometimes an address, a name server or a name that RPZ cannot say.
func (e *editedPolicy) add() {
	if e.r.IntN(5) > 0 {
		addRandom(e.r, &e.m, e.members)
		return
	}
	key := []string{
		prefix(policy.TriggerIP, []string{"192.0.2.0/24", "192.0.2.0/25", "192.0.2.1/32"}[e.r.IntN(3)]), prefix(policy.TriggerClientIP, "198.51.100.0/24"),
		prefix(policy.TriggerNSIP, "2001:db8::/32"), server([]string{"ns.example", "a.ns.example", "b.a.ns.example"}[e.r.IntN(3)]), name("a.rpz-ip"), name("b.w.example"),
		name("z.example"), name("example"), name("a.*.w.example"),
	}[e.r.IntN(9)]
	k := policy.Member{Feed: uint16(e.r.IntN(len(e.m.Feeds))), Confidence: policy.ConfidenceUnknown, Action: policy.ActionNXDOMAIN}
	if !policy.TriggerOf([]byte(key)).ByAddress() {
		k.Kind = policy.Kind(e.r.IntN(3))
	}
	e.members[key] = append(e.members[key], k)
}

// count writes into the manifest how much the feeds list.
func (e *editedPolicy) count() {
	e.m.Feeds = slices.Clone(e.m.Feeds)
	for i := range e.m.Feeds {
		e.m.Feeds[i].Entries, e.m.Feeds[i].Triggers = 0, policy.TriggerCounts{}
	}
	for key, list := range e.members {
		for _, k := range list {
			e.m.Feeds[k.Feed].Entries++
			e.m.Feeds[k.Feed].Triggers.Add(policy.TriggerOf([]byte(key)))
		}
	}
}

// edit lists some more, and less, lets an hour pass or not, and makes the policy that follows: with a delta, or merged into an index of its own.
func (e *editedPolicy) edit(t *testing.T) {
	t.Helper()
	if e.r.IntN(4) == 0 {
		e.at = e.at.Add(time.Hour)
	}
	for range e.r.IntN(3) {
		e.add()
	}
	names := make([]string, 0, len(e.members))
	for name := range e.members {
		names = append(names, name)
	}
	slices.Sort(names)
	for range e.r.IntN(3) {
		if len(names) > 0 {
			delete(e.members, names[e.r.IntN(len(names))])
		}
	}
	e.count()
	manifest, err := json.Marshal(&e.m)
	if err != nil {
		t.Fatal(err)
	}
	index := e.merge(t, manifest)
	if index == nil {
		path := filepath.Join(t.TempDir(), "delta")
		if _, err = e.changes(t).WriteFile(path, manifest); err != nil {
			t.Fatal(err)
		}
		if index, err = e.base.With(open(t, path)); err != nil {
			t.Fatal(err)
		}
	}
	if e.policy, err = e.policy.With(index, e.policy.Generation()+1); err != nil {
		t.Fatal(err)
	}
}

// changes are what the lists say otherwise than the base.
func (e *editedPolicy) changes(t *testing.T) *nameindex.Builder {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: e.base})
	for name := range e.listed {
		if _, is := e.members[name]; !is {
			if err := b.Add([]byte(name), b.AddSet(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, list := range e.members {
		if payload := policy.EncodeSet(list); e.listed[name] != string(payload) {
			if err := b.Add([]byte(name), b.AddSet(payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

// merge sometimes makes an index of its own of the changes, if its buckets have room for them, and nil otherwise.
func (e *editedPolicy) merge(t *testing.T, manifest []byte) *nameindex.Index {
	t.Helper()
	if e.r.IntN(4) > 0 {
		return nil
	}
	path := filepath.Join(t.TempDir(), "merged")
	if _, err := e.changes(t).MergeFile(path, manifest); errors.Is(err, nameindex.ErrCrowded) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	e.merged++
	e.base, e.listed = open(t, path), map[string]string{}
	for name, list := range e.members {
		e.listed[name] = string(policy.EncodeSet(list))
	}
	return e.base
}

func open(t *testing.T, path string) *nameindex.Index {
	t.Helper()
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// generator is one of the policy as it is.
func (e *editedPolicy) generator(t *testing.T) *rpz.Generator {
	t.Helper()
	excerpt, err := e.policy.Excerpt(e.selects)
	if err != nil {
		t.Fatal(err)
	}
	g, err := rpz.New(rpz.Config{Apex: apex, Policy: excerpt, At: e.at})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The changes that are told from those of the lists, and from what has expired, make the zone that going through all of it makes, and the same report.
func TestSinceIsTheWholeZone(t *testing.T) {
	told, merged, seeds := 0, 0, 80
	if os.Getenv("CENOTE_LONG") == "1" {
		seeds = 4000
	}
	for seed := range uint64(seeds) {
		e := newEditedPolicy(t, rand.New(rand.NewPCG(seed, 8)))
		before := e.generator(t)
		z := zoneOf(t, before, 1)
		for n := range uint32(6) {
			e.edit(t)
			whole, g := e.generator(t), e.generator(t)
			want := zoneOf(t, whole, n+2)
			changes, ok := g.Since(before, 1000)
			if !ok {
				before, z = whole, want
				continue
			}
			told++
			next, err := zone.Apply(z, diffOf(z.Serial(), n+2, &changes))
			if err != nil {
				t.Fatalf("seed %d, edit %d: %v", seed, n, err)
			}
			if d := zone.Compare(next, want); len(d.Removed)+len(d.Added) > 0 {
				t.Fatalf("seed %d, edit %d: the changes %+v\nleave %+v\nand lack %+v\nof %+v", seed, n, changes, d.Removed, d.Added, e.policy.Zones())
			}
			if g.Report() != whole.Report() {
				t.Fatalf("seed %d, edit %d: the report is\n%+v, want\n%+v", seed, n, g.Report(), whole.Report())
			}
			before, z = g, next
		}
		merged += e.merged
	}
	if told < seeds*5 || merged < seeds/2 {
		t.Errorf("only %d of %d changes were told, and %d were merged", told, seeds*6, merged)
	}
}

// Changes that lists do not explain have to be found by going through all.
func TestSinceRefuses(t *testing.T) {
	e := newEditedPolicy(t, rand.New(rand.NewPCG(1, 8)))
	before := generator(t, e.policy, rpz.Config{})
	zoneOf(t, before, 1)
	for e.edit(t); e.policy.Index().Delta() == nil || e.policy.Index().Delta().Len() == 0; e.edit(t) {
	}
	excerpt, err := e.policy.Excerpt(policy.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		config rpz.Config
		most   int
	}{
		"another answer": {rpz.Config{Apex: apex, Policy: excerpt, At: at, Answer: rpz.Answer{Action: policy.ActionNODATA}}, 1000},
		"an earlier":     {rpz.Config{Apex: apex, Policy: excerpt, At: at.Add(-time.Second)}, 1000},
		"another apex":   {rpz.Config{Apex: dnsname.Name("\x05other\x00"), Policy: excerpt, At: at}, 1000},
		"too many":       {rpz.Config{Apex: apex, Policy: excerpt, At: at}, 0},
		"another base":   {rpz.Config{Apex: apex, Policy: newEditedPolicy(t, rand.New(rand.NewPCG(1, 8))).policy, At: at}, 1000},
	} {
		g, err := rpz.New(tc.config)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := g.Since(before, tc.most); ok {
			t.Errorf("%s: the changes are told", name)
		}
	}
}

// zoneOf is the zone of all records of a generator.
func zoneOf(t testing.TB, g *rpz.Generator, serial uint32) *zone.Zone {
	t.Helper()
	z, err := zone.Build(apex, func(yield func(zone.Record) bool) {
		for _, r := range rpz.Apex(apex, serial) {
			if !yield(recordOf(&r)) {
				return
			}
		}
		for r := range g.Records() {
			if !yield(recordOf(&r)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func recordOf(r *rpz.Record) zone.Record {
	return zone.Record{Owner: dnsname.Name(r.Owner), Type: r.Type, TTL: r.TTL, Data: r.Data}
}

// diffOf is the difference that changes make.
func diffOf(from, to uint32, c *rpz.Changes) zone.Diff {
	d := zone.Diff{From: from, To: to}
	was, is := rpz.Apex(apex, from)[0], rpz.Apex(apex, to)[0]
	d.Removed, d.Added = append(d.Removed, recordOf(&was)), append(d.Added, recordOf(&is))
	for i := range c.Removed {
		d.Removed = append(d.Removed, recordOf(&c.Removed[i]))
	}
	for i := range c.Added {
		d.Added = append(d.Added, recordOf(&c.Added[i]))
	}
	return d
}
