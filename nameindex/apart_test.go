package nameindex_test

import (
	"maps"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

const (
	one   = "\x03one\x05APART\x00"
	two   = "\x03two\x05APART\x00"
	three = "\x05three\x05APART\x00"
)

func apart(x *nameindex.Index) map[string]string {
	got := map[string]string{}
	for name, set := range x.Apart() {
		got[string(name)] = string(x.Set(set))
	}
	return got
}

// A name whose last label is in upper case is found as itself, among those that are kept apart, and by no query name.
func TestNamesAreKeptApart(t *testing.T) {
	names := oracle{one: "1", two: "2", "\x03one\x05apart\x00": "a query name", dnsname.MustParse("www.example"): "another"}
	x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	if got, want := apart(x), map[string]string{one: "1", two: "2"}; !maps.Equal(got, want) {
		t.Errorf("Apart yields %q, want %q", got, want)
	}
	if got := walk(x, "\x03www\x03one\x05apart\x00"); !equal(got, []string{"2=a query name"}) {
		t.Errorf("the query name finds %q", got)
	}
	if got := walk(x, "\x03www\x03one\x05APART\x00"); !equal(got, []string{"2=1"}) {
		t.Errorf("the name that is kept apart finds %q", got)
	}
}

func TestDeltaChangesNamesKeptApart(t *testing.T) {
	x := build(t, oracle{one: "1", two: "2"}, nameindex.NewBuilder(nameindex.BuildOptions{}))
	for range x.ApartOfDelta() {
		t.Error("an index without a delta has a change")
	}
	with, err := x.With(reopenDelta(t, x, oracle{one: "", three: "3", dnsname.MustParse("www.example"): "4"}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := apart(with), map[string]string{two: "2", three: "3"}; !maps.Equal(got, want) {
		t.Errorf("Apart yields %q, want %q", got, want)
	}
	changed := map[string]string{}
	for name, set := range with.ApartOfDelta() {
		if changed[string(name)] = "gone"; set != nameindex.Unlisted {
			changed[string(name)] = string(with.Set(set))
		}
	}
	if want := map[string]string{one: "gone", three: "3"}; !maps.Equal(changed, want) {
		t.Errorf("the delta changes %q, want %q", changed, want)
	}
}
