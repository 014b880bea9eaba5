package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"cenote/config"
	"cenote/dnsname"
)

// TestWhatZonesLetThroughIsNotGuarded: a feed that every zone lets through stops nothing, whatever a protected or a popular name is; one that is in another
// zone, too, does.
func TestWhatZonesLetThroughIsNotGuarded(t *testing.T) {
	c, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(`
state: /state
listen: ['127.0.0.1:0']
feeds:
  - {name: allow, path: allow.txt}
  - {name: both, path: both.txt}
  - {name: always, path: always.txt}
  - {name: block, path: block.txt}
  - {name: own, path: own.rpz, allow_protected: true}
  - {name: sure, path: sure.txt, allow_popular: true, grow_max: 0%, error_max: 0%, shrink_max: 0%}
  - {name: unheld, path: unheld.txt}
policy:
  sinkhole: {ipv4: [192.0.2.53]}
  protect:
    names: [www.own.example]
    domains: [own.example]
    lists: [crl.json]
    popular: {lists: [top.csv], action: log-only}
  zones:
    - {name: first, feeds: [allow, both], action: passthru}
    - {name: second, feeds: [always], override: passthru}
    - {name: third, feeds: [both, block, own, sure]}
  views:
    - {name: v, zones: [{name: w, feeds: [allow], action: passthru, override: local-data-or-disabled}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range feeds(c) {
		p := &f.Protect
		names := p.Builtin && len(p.Names) == 1 && len(p.Domains) == 1 && len(p.Lists) == 1 && p.Lists[0] == "/etc/cenote/crl.json"
		none := !p.Builtin && len(p.Names)+len(p.Domains)+len(p.Lists) == 0
		popular := len(p.Popular.Lists) == 1 && p.Popular.Hold == 100_000 && p.Popular.Action.String() == "log-only"
		want := map[string][3]bool{ // lets names through, is guarded by names, by popularity
			"allow": {true, true, true}, "both": {false, true, true}, "always": {true, false, false}, "block": {false, true, true}, "own": {false, false, true},
			"sure": {false, true, false}, "unheld": {false, true, true},
		}[f.Name]
		if got := [3]bool{f.LetsThrough, names, popular}; got != want || names == none {
			t.Errorf("%s: %v, want %v: %+v", f.Name, got, want, p)
		}
		if f.Name == "sure" && (f.GrowMax != -1 || f.ErrorMax != -1 || f.ShrinkMax != -1) {
			t.Errorf("0%% is no bound: grow %v, errors %v, shrink %v", f.GrowMax, f.ErrorMax, f.ShrinkMax)
		}
		if f.Name == "block" && (f.GrowMax != 10 || f.ErrorMax != 0.5 || f.ShrinkMax != 0.5) {
			t.Errorf("the defaults are: grow %v, errors %v, shrink %v", f.GrowMax, f.ErrorMax, f.ShrinkMax)
		}
	}
}

// TestOwnerOfAZoneIsToldByTheSuffixList: two customers of one registry are two owners. Where the list cannot be read the log says so, once, and names of two labels are owners.
func TestOwnerOfAZoneIsToldByTheSuffixList(t *testing.T) {
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	for _, c := range []struct{ list, zone, want string }{
		{"", "a.one.co.uk", "one.co.uk"}, {"", "two.co.uk", "two.co.uk"}, {"", "co.uk", ""}, {"", "a.one.example", "one.example"}, {"", "any.ck", "any.ck"}, {"", "a.any.ck", "a.any.ck"},
		{filepath.Join(t.TempDir(), "none"), "a.one.co.uk", "co.uk"},
	} {
		of := owner(c.list, log)
		for range 2 {
			got, ok := of(dnsname.MustParse(c.zone).Canonical())
			if ok != (c.want != "") || ok && got != dnsname.MustParse(c.want) {
				t.Errorf("by the list %q %s is %v's, %v; want %q", filepath.Base(c.list), c.zone, got, ok, c.want)
			}
		}
	}
	if n := strings.Count(said.String(), "cannot be told by the suffix list"); n != 1 {
		t.Errorf("the log says %d times that there is no list:\n%s", n, said.String())
	}
}
