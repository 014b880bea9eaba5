package zone_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/zone"
)

// recordLines are the lines of a zone as WriteMaster writes it, of one owner, or of all but those of some owners below a name.
func recordLines(t *testing.T, z *zone.Zone, owner dnsname.Name) string {
	t.Helper()
	var b strings.Builder
	if err := z.WriteMaster(&b); err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(b.String()) {
		if name, _, _ := strings.Cut(line, "\t"); name == owner.String()+"." {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// TestChangeTellsTheNextVersion holds that what is told of a version before it is made is what it has then: which names are touched, their records before and after, and which others
// lie below each name.
func TestChangeTellsTheNextVersion(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 21))
		from, to := load(t, "example", plainZone(r, 1)), load(t, "example", plainZone(r, 2))
		if seed%3 == 0 {
			from, to = load(t, "example", randomZone(r, 40)), load(t, "example", withSerial(randomZone(r, 40), 2))
		}
		d := zone.Compare(from, to)
		next, err := zone.Apply(from, d)
		if err != nil {
			t.Fatal(err)
		}
		c, err := zone.ChangeOf(from, d)
		if err != nil {
			if from.Signed() || next.Signed() {
				continue
			}
			t.Fatalf("seed %d: %v", seed, err)
		}
		touched := map[dnsname.Name]bool{}
		for _, r := range append(slices.Clone(d.Removed), d.Added...) {
			touched[r.Owner] = true
		}
		if len(c.Owners()) != len(touched) || c.From != 1 || c.To != 2 {
			t.Fatalf("seed %d: it touches %d names from %d to %d, want %d", seed, len(c.Owners()), c.From, c.To, len(touched))
		}
		names := map[dnsname.Name]bool{}
		for _, z := range []*zone.Zone{from, next} {
			for r := range z.All() {
				for name := r.Owner; len(name) >= len(z.Name()); name = name.Parent() {
					names[name] = true
				}
			}
		}
		for name := range names {
			for _, after := range []bool{false, true} {
				z := from
				if after {
					z = next
				}
				got := c.AppendMaster(nil, name, after)
				if want := recordLines(t, z, name); string(got) != want {
					t.Fatalf("seed %d: %s has (after: %v)\n%s\nwant\n%s", seed, name, after, got, want)
				}
			}
			var kept, want []dnsname.Name
			c.Kept(name, func(owner []byte) bool { kept = append(kept, dnsname.Name(owner)); return true })
			for r := range from.All() {
				if r.Owner.IsBelow(name) && !touched[r.Owner] && !slices.Contains(want, r.Owner) {
					want = append(want, r.Owner)
				}
			}
			if !slices.Equal(kept, want) {
				t.Fatalf("seed %d: below %s stay %q, want %q", seed, name, kept, want)
			}
		}
	}
}

// TestChangeFailsWhereApplyDoes: nothing is told of a difference that cannot be applied.
func TestChangeFailsWhereApplyDoes(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 22))
		from, to := load(t, "example", plainZone(r, 1)), load(t, "example", plainZone(r, 2))
		d := zone.Compare(from, to)
		lists := []*[]zone.Record{&d.Removed, &d.Added}
		for range 1 + r.IntN(2) {
			list := lists[r.IntN(2)]
			if n := len(*list); n > 0 {
				i := r.IntN(n)
				switch r.IntN(3) {
				case 0:
					*list = slices.Delete(slices.Clone(*list), i, i+1)
				case 1:
					*list = append(slices.Clone(*list), (*list)[i])
				case 2:
					other := lists[r.IntN(2)]
					*other = append(slices.Clone(*other), (*list)[i])
				}
			}
		}
		_, failed := zone.Apply(from, d)
		_, err := zone.ChangeOf(from, d)
		if (failed == nil) != (err == nil) || err != nil && !errors.Is(err, zone.ErrDiff) {
			t.Fatalf("seed %d: Apply fails with %v, and what is told beforehand with %v", seed, failed, err)
		}
	}
}

// TestChangeIsToldWithoutWaste: the records of a policy zone, of which there are thousands in a change, are told without much memory for each.
func TestChangeIsToldWithoutWaste(t *testing.T) {
	from, to := load(t, "example", withSerial(serial("1", "192.0.2.1")+"a.b CNAME .\n", 1)), load(t, "example", serial("2", "192.0.2.2")+"a.b CNAME .\n")
	c, err := zone.ChangeOf(from, zone.Compare(from, to))
	if err != nil {
		t.Fatal(err)
	}
	room := make([]byte, 0, 1<<12)
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.AppendMaster(room, dnsname.MustParse("a.b.example"), true)
		}
	})
	if n := r.AllocedBytesPerOp(); n > 2048 {
		t.Errorf("%d octets for one record", n)
	}
}
