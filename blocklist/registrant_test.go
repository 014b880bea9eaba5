package blocklist_test

import (
	"testing"

	"cenote/blocklist"
	"cenote/dnsname"
)

// TestRegistrantIsBelowAPublicSuffix: by the rules of registries and of companies, of wildcards and of what they leave out.
func TestRegistrantIsBelowAPublicSuffix(t *testing.T) {
	r, err := blocklist.NewRegistrants("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, want string }{
		{".", ""}, {"com", ""}, {"no-such-tld", ""}, {"example.com", "example.com"}, {"a.b.example.com", "example.com"}, {"x.example.no-such-tld", "example.no-such-tld"},
		{"co.uk", ""}, {"example.co.uk", "example.co.uk"}, {"a.b.example.co.uk", "example.co.uk"}, {"other.co.uk", "other.co.uk"},
		{"ck", ""}, {"anything.ck", "anything.ck"}, {"x.anything.ck", "x.anything.ck"}, {"y.x.anything.ck", "x.anything.ck"}, {"www.ck", "www.ck"}, {"a.www.ck", "www.ck"},
		{"kawasaki.jp", ""}, {"ward.kawasaki.jp", "ward.kawasaki.jp"}, {"a.ward.kawasaki.jp", "a.ward.kawasaki.jp"}, {"city.kawasaki.jp", "city.kawasaki.jp"}, {"a.city.kawasaki.jp", "city.kawasaki.jp"},
		{"github.io", "github.io"}, {"someone.github.io", "someone.github.io"}, {"a.someone.github.io", "someone.github.io"},
	} {
		got, ok := r.Of(dnsname.MustParse(c.name).Canonical())
		if want := c.want; ok != (want != "") || ok && got != dnsname.MustParse(want).Canonical() {
			t.Errorf("%s: got %v, %v; want %q", c.name, got, ok, want)
		}
	}
	if _, err := blocklist.NewRegistrants(t.TempDir()); err == nil {
		t.Error("a directory is taken for a list")
	}
}
