package zone_test

import (
	"fmt"
	"testing"

	"cenote/dnsname"
	"cenote/zone"
)

// TestLookaheadTakesEveryName holds that names are noted and fetched whatever they are, that a zone without data has none, and that nothing is allocated.
func TestLookaheadTakesEveryName(t *testing.T) {
	set := setOf(t, load(t, "example", manyHosts(1000, 0, 1)))
	var ahead zone.Lookahead
	names := [][]byte{[]byte(dnsname.MustParse("other.test")), []byte(dnsname.MustParse("example")), {0}}
	for i := range 100 {
		names = append(names, []byte(dnsname.MustParse(fmt.Sprintf("host%07d.part%d.example", i, i%10))))
	}
	allocs := testing.AllocsPerRun(10, func() {
		for _, name := range names {
			ahead.Add(set, name)
		}
		ahead.Fetch()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
