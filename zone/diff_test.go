package zone_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"
)

// withSerial is a text of randomZone with another serial.
func withSerial(text string, n int) string {
	return strings.Replace(text, "SOA ns host 1 ", fmt.Sprintf("SOA ns host %d ", n), 1)
}

// TestAllIsTheZone holds that a walk gives every record once, in canonical order, and that a zone made of them is the same.
func TestAllIsTheZone(t *testing.T) {
	for seed := range uint64(200) {
		z := load(t, "example", randomZone(rand.New(rand.NewPCG(seed, 1)), 40))
		all := slices.Collect(z.All())
		if len(all) != z.Records() {
			t.Fatalf("%d records, want %d", len(all), z.Records())
		}
		if !slices.IsSortedFunc(all, func(a, b zone.Record) int { return dnsname.Compare(a.Owner, b.Owner) }) {
			t.Fatal("not in canonical order")
		}
		again, faults, err := zone.Make(z.Name(), slices.Values(all), "itself", now)
		if err != nil || !zone.SameData(z, again) {
			t.Fatalf("made of its records it is another: %v %v", err, faults)
		}
	}
}

// TestDiffLeadsThere holds that what Compare finds makes one version the other, octet by octet, and backwards.
func TestDiffLeadsThere(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		from, to := randomZone(r, 40), randomZone(r, 40)
		if seed%2 == 0 { // a small edit
			lines := strings.SplitAfter(from, "\n")
			to = strings.Join(append(lines[:6:6], lines[min(6+r.IntN(4), len(lines)):]...), "") + "zz.zz A 192.0.2.77\nns 77 A 192.0.2.78\n"
		}
		a, b := load(t, "example", from), load(t, "example", withSerial(to, 2))
		check := func(from, to *zone.Zone) {
			d := zone.Compare(from, to)
			if len(d.Removed) == 0 || d.Removed[0].Type != wire.TypeSOA || d.Added[0].Type != wire.TypeSOA {
				t.Fatalf("seed %d: the SOA records are not first", seed)
			}
			got, err := zone.Apply(from, d)
			if err != nil || !zone.SameData(got, to) || got.Records() != to.Records() || got.Names() != to.Names() {
				t.Fatalf("seed %d: %v; the zone is not what it should be", seed, err)
			}
			assertSameAnswers(t, got, to)
		}
		check(a, b)
		check(b, a)
	}
}

// assertSameAnswers asks two zones for all their names.
func assertSameAnswers(t *testing.T, a, b *zone.Zone) {
	t.Helper()
	x, y := setOf(t, a), setOf(t, b)
	for r := range b.All() {
		name := r.Owner.String()
		if got, want := shown(ask(t, x, name, r.Type, false)), shown(ask(t, y, name, r.Type, false)); got != want {
			t.Fatalf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestApplyRefusesWhatDoesNotFit holds what makes a difference unfit, and that the error says it.
func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	a := load(t, "example", serial("1", "192.0.2.1"))
	b := load(t, "example", serial("2", "192.0.2.2"))
	good := zone.Compare(a, b)
	foreign := zone.Record{Owner: dnsname.MustParse("other.test"), Type: wire.TypeA, TTL: 60, Data: []byte{192, 0, 2, 1}}
	there := zone.Record{Owner: dnsname.MustParse("ns.example"), Type: wire.TypeA, TTL: 60, Data: []byte{192, 0, 2, 1}}
	for _, tc := range []struct {
		name, want string
		edit       func(*zone.Diff)
	}{
		{"another beginning", "begins with serial 7", func(d *zone.Diff) { d.From = 7 }},
		{"another end", "leads to serial 9, and leaves 2", func(d *zone.Diff) { d.To = 9 }},
		{"removes what is not there", "is to be removed, and is not there", func(d *zone.Diff) { d.Removed = append(d.Removed, d.Added[1]) }},
		{"adds what is there", "is to be added, and is there already", func(d *zone.Diff) { d.Removed = d.Removed[:1]; d.Added[1] = there }},
		{"a record of another zone", "is no record of example", func(d *zone.Diff) { d.Added = append(d.Added, foreign) }},
		{"no SOA record", "0 SOA records", func(d *zone.Diff) { d.Added = d.Added[1:] }},
		{"nothing at all", "no records of its own", func(d *zone.Diff) { d.Removed = slices.Collect(a.All()); d.Added = nil }},
		{"two SOA records", "2 SOA records", func(d *zone.Diff) { d.Removed = d.Removed[1:] }},
		{"data that are none", "is no record of example", func(d *zone.Diff) { d.Added[1].Data = []byte{1} }},
	} {
		d := zone.Diff{From: good.From, To: good.To, Removed: slices.Clone(good.Removed), Added: slices.Clone(good.Added)}
		tc.edit(&d)
		if _, err := zone.Apply(a, d); !errors.Is(err, zone.ErrDiff) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// manyHosts is the text of a zone of so many names, with a record each; every one in step of them has another address.
func manyHosts(names, step, serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 300\n@ SOA ns host %d 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n", serial)
	for i := range names {
		last := 1
		if step > 0 && i%step == 0 {
			last = 2
		}
		fmt.Fprintf(&b, "host%07d.part%d A 192.0.2.%d\n", i, i%10, last)
	}
	return b.String()
}

// BenchmarkDiff is an edit of one name in a thousand: 1,000 of a zone of 1 M names.
func BenchmarkDiff(b *testing.B) {
	const names = 1_000_000
	from, to := load(b, "example", manyHosts(names, 0, 1)), load(b, "example", manyHosts(names, 1000, 2))
	d := zone.Compare(from, to)
	b.Run(fmt.Sprintf("Compare/names=%d/edited=%d", names, len(d.Added)-1), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			zone.Compare(from, to)
		}
	})
	b.Run(fmt.Sprintf("Apply/names=%d/edited=%d", names, len(d.Added)-1), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := zone.Apply(from, d); err != nil {
				b.Fatal(err)
			}
		}
	})
}
