package resolver_test

import (
	"fmt"
	"testing"
)

// TestDenialsOfAllZonesAreBounded: however many zones prove however much, the records that are kept of that are bounded together.
func TestDenialsOfAllZonesAreBounded(t *testing.T) {
	text := "zone . server a.root.test @1 sign\n"
	for i := range 6 {
		text += fmt.Sprintf("zone z%d server ns.z%d @2 sign\n    k A 192.0.2.1\n    p A 192.0.2.2\n", i, i)
	}
	r := trusting(t, text)
	r.BoundDenials(8)
	for i := range 6 {
		for _, name := range []string{"a", "l", "z"} {
			r.ask(t, fmt.Sprintf("%s.z%d", name, i), "A")
		}
	}
	if zones, records := r.Denials(); records > 8 || zones == 0 {
		t.Errorf("%d records of %d zones, want 8 records at most", records, zones)
	}
	r.Flush("\x00", true)
	if zones, records := r.Denials(); zones != 0 || records != 0 {
		t.Errorf("after a flush: %d records of %d zones", records, zones)
	}
}
