package zone_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"cenote/zone"
)

// plainZone is a random zone without cuts and aliases of whole names, with asterisks and empty names.
func plainZone(r *rand.Rand, serial int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 300\n@ SOA ns host %d 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n", serial)
	taken := map[string]bool{"ns": true}
	for range 5 + r.IntN(60) {
		var labels []string
		for range 1 + r.IntN(3) {
			labels = append(labels, []string{"*", "a", "b", "c", "d"}[r.IntN(5)])
		}
		if name := strings.Join(labels, "."); !taken[name] {
			taken[name] = true
			fmt.Fprintf(&b, "%s TXT text-%d\n", name, r.IntN(2))
		}
	}
	return b.String()
}

// TestNextVersionKeepsItsTable holds that a version that is made of the one before finds the same names, octet by octet, as one that is read, and that what
// Apply changed is what a comparison of all finds.
func TestNextVersionKeepsItsTable(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 11))
		present := load(t, "example", plainZone(r, 1))
		for serial := 2; serial < 6; serial++ {
			want := load(t, "example", plainZone(r, serial))
			d := zone.Compare(present, want)
			next, err := zone.Apply(present, d)
			if err != nil || !zone.SameData(next, want) || next.Records() != want.Records() || next.Names() != want.Names() {
				t.Fatalf("seed %d, serial %d: %v; the zone is not what it should be", seed, serial, err)
			}
			if got, ok := zone.CompareDerived(present, next); !ok || !reflect.DeepEqual(got, d) {
				t.Fatalf("seed %d, serial %d: %v changed, want %v", seed, serial, got, d)
			}
			if _, ok := zone.CompareDerived(want, next); ok {
				t.Fatal("a difference from a version that it was not made of")
			}
			assertSameAnswers(t, next, want)
			present = next
		}
	}
}
