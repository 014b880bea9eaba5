package rpz_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
	"cenote/rpz"
	"cenote/zone"
)

// BenchmarkZoneOf1M makes the zone of a policy with a million names, each with all below it, as the server does: two million records.
func BenchmarkZoneOf1M(b *testing.B) {
	p := largePolicy(b, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		g := generator(b, p, rpz.Config{})
		z, err := zone.Build(apex, func(yield func(zone.Record) bool) {
			for _, r := range rpz.Apex(apex, 1) {
				if !yield(zone.Record{Owner: dnsname.Name(r.Owner), Type: r.Type, TTL: r.TTL, Data: r.Data}) {
					return
				}
			}
			for r := range g.Records() {
				if !yield(zone.Record{Owner: dnsname.Name(r.Owner), Type: r.Type, TTL: r.TTL, Data: r.Data}) {
					return
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(z.Records()), "records")
		b.ReportMetric(float64(z.Bytes())/float64(z.Records()), "octets/record")
	}
}

func largePolicy(b *testing.B, names int) *policy.Policy {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	m := policy.Manifest{Generation: 1, Families: []string{""}, Threats: []string{""}, Feeds: []policy.Feed{{Name: "f", Entries: names}}}
	index := nameindex.NewBuilder(nameindex.BuildOptions{Names: names})
	set := index.AddSet(policy.EncodeSet([]policy.Member{{Kind: policy.KindSubtree, Confidence: policy.ConfidenceUnknown}}))
	for i := range names {
		name := dnsname.MustParse(fmt.Sprintf("host-%x%d.%s", r.Uint32(), i, []string{"com", "net", "example"}[i%3]))
		if err := index.Add([]byte(name), set); err != nil {
			b.Fatal(err)
		}
	}
	p, err := policy.New(policy.Config{Index: save(b, index, &m), Zones: []policy.Zone{{Name: "z", Feeds: []string{"f"}, Action: policy.ActionNXDOMAIN, TTL: 10}}})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkChangesOf1kIn1M finds what 1,000 names more do to the zone of a million, and makes the zone that has them.
func BenchmarkChangesOf1kIn1M(b *testing.B) {
	p := largePolicy(b, 1_000_000)
	base := p.Index()
	delta := nameindex.NewBuilder(nameindex.BuildOptions{Base: base})
	set := delta.AddSet(policy.EncodeSet([]policy.Member{{Kind: policy.KindSubtree, Confidence: policy.ConfidenceUnknown}}))
	for i := range 1000 {
		if err := delta.Add([]byte(dnsname.MustParse(fmt.Sprintf("fresh-%d.com", i))), set); err != nil {
			b.Fatal(err)
		}
	}
	index, err := base.With(save(b, delta, p.Manifest()))
	if err != nil {
		b.Fatal(err)
	}
	changed, err := p.With(index, 2)
	if err != nil {
		b.Fatal(err)
	}
	before := generator(b, p, rpz.Config{})
	z := zoneOf(b, before, 1)
	var changes rpz.Changes
	b.Run("since", func(b *testing.B) {
		for b.Loop() {
			var ok bool
			if changes, ok = generator(b, changed, rpz.Config{}).Since(before, 10_000); !ok {
				b.Fatal("not told")
			}
		}
	})
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			if _, err := zone.Apply(z, diffOf(1, 2, &changes)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			zoneOf(b, generator(b, changed, rpz.Config{}), 2)
		}
	})
}
