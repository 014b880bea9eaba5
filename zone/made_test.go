package zone_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// A zone that is built of the records of another is that zone; records out of place are refused.
func TestBuildFromRecords(t *testing.T) {
	apex := dnsname.MustParse("corp.example")
	want, _, err := zone.Read(apex, strings.NewReader("$TTL 60\n@ SOA ns host 7 60 60 600 60\n@ NS ns\nns A 192.0.2.1\na.b A 192.0.2.2\na.b A 192.0.2.3\n*.b TXT x\n"), "corp", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	records := slices.Collect(want.All())
	got, err := zone.Build(apex, slices.Values(records))
	if err != nil {
		t.Fatal(err)
	}
	if d := zone.Compare(want, got); len(d.Removed)+len(d.Added) > 0 || got.Records() != want.Records() || got.Names() != want.Names() {
		t.Errorf("it differs: %+v", d)
	}
	backwards := slices.Clone(records)
	slices.Reverse(backwards)
	for what, bad := range map[string][]zone.Record{
		"none": nil, "backwards": backwards, "no SOA": slices.DeleteFunc(slices.Clone(records), func(r zone.Record) bool { return r.Type == 6 }), "elsewhere": append(slices.Clone(records), zone.Record{Owner: dnsname.MustParse("x.example"), Type: 1}),
	} {
		if _, err := zone.Build(apex, slices.Values(bad)); err == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
}
