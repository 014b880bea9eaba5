package rrcache_test

import (
	"bytes"
	"errors"
	"testing"

	"cenote/dnsname"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

func zoneOf(name string, group uint16, label string) rrcache.SourceZone {
	return rrcache.SourceZone{Zone: dnsname.MustParse(name).Canonical(), Group: group, Label: label}
}

// TestSourceIsThatOfTheClosestZone: DS records are the parent's.
func TestSourceIsThatOfTheClosestZone(t *testing.T) {
	s := rrcache.NewSources([]rrcache.SourceZone{
		zoneOf("corp.example", 3, "forward corp.example"), zoneOf("lab.corp.example", rrcache.GroupMax, "stub lab.corp.example"),
		zoneOf("corp.example", 5, "stub corp.example"), zoneOf("a.b.c.d.test", 7, ""), {Group: 9, Label: "by itself"},
	}, "recursion")
	for _, c := range []struct {
		name  string
		rtype uint16
		want  uint16
	}{
		{".", dns.TypeNS, 0}, {".", dns.TypeDS, 0}, {"example", dns.TypeA, 0}, {"corp.example", dns.TypeA, 3}, {"corp.example", dns.TypeDS, 0}, {"www.corp.example", dns.TypeDS, 3},
		{"a.b.www.corp.example", dns.TypeA, 3}, {"lab.corp.example", dns.TypeA, rrcache.GroupMax}, {"lab.corp.example", dns.TypeDS, 3}, {"x.lab.corp.example", dns.TypeA, rrcache.GroupMax},
		{"xcorp.example", dns.TypeA, 0}, {"b.c.d.test", dns.TypeA, 0}, {"x.a.b.c.d.test", dns.TypeA, 7}, {"corp.example.test", dns.TypeA, 0},
	} {
		name := dnsname.MustParse(c.name).Canonical()
		if got := s.Of([]byte(name), c.rtype); got != c.want || s.OfName(name, c.rtype) != got {
			t.Errorf("%s %s: got %d, want %d", c.name, dns.TypeToString[c.rtype], got, c.want)
		}
	}
	for group, want := range map[uint16]string{0: "recursion", 3: "forward corp.example", rrcache.GroupMax: "stub lab.corp.example", 9: "by itself", 4: ""} {
		if got := s.Label(group); got != want {
			t.Errorf("group %d is called %q, want %q", group, got, want)
		}
	}
	everything := rrcache.NewSources([]rrcache.SourceZone{zoneOf(".", 2, "forward .")}, "recursion")
	if got := everything.Of([]byte(dnsname.MustParse("www.example")), dns.TypeA); got != 2 {
		t.Errorf("all names: got %d, want 2", got)
	}
	var none *rrcache.Sources
	if none.Of([]byte{0}, dns.TypeA) != 0 || none.Label(0) != "" {
		t.Error("no sources: want group 0 without a name")
	}
}

// TestForgetEndsASource: what a source said that is none any more goes, what is below a name that is asked of others goes, and what leads there by an alias.
func TestForgetEndsASource(t *testing.T) {
	c := newCache(t, rrcache.Config{})
	put(t, c, keyOf("kept.example", dns.TypeA), "192.0.2.1", 300, at(0))
	put(t, c, keyOf("www.moved.example", dns.TypeA), "192.0.2.2", 300, at(0))
	gone, stays := *keyOf("gone.example", dns.TypeA), *keyOf("stays.example", dns.TypeA)
	gone.Group, stays.Group = 1000, 1001
	put(t, c, &gone, "192.0.2.3", 300, at(0))
	put(t, c, &stays, "192.0.2.4", 300, at(0))
	for _, target := range []string{"www.moved.example.", "MOVED.example.", "unmoved.example."} {
		name := "to-" + target
		k := keyOf(dnsname.MustParse(name).Canonical().String(), dns.TypeA)
		if !c.Put(k, pack(t, response(t, name, dns.TypeA, 0, name+" 300 IN CNAME "+target, target+" 300 IN A 192.0.2.5")), at(0)) {
			t.Fatal("not put")
		}
	}
	c.SetSources(rrcache.NewSources([]rrcache.SourceZone{zoneOf("stays.example", 1001, "stays")}, "recursion"))
	if n := c.Forget([]dnsname.Name{dnsname.MustParse("moved.example").Canonical()}); n != 4 {
		t.Errorf("%d were forgotten, want 4", n)
	}
	for _, want := range []struct {
		key   *rrcache.Key
		state rrcache.State
	}{
		{keyOf("kept.example", dns.TypeA), rrcache.Fresh}, {&stays, rrcache.Fresh}, {keyOf("to-unmoved.example", dns.TypeA), rrcache.Fresh}, {&gone, rrcache.Miss},
		{keyOf("www.moved.example", dns.TypeA), rrcache.Miss}, {keyOf("to-moved.example", dns.TypeA), rrcache.Miss}, {keyOf("to-www.moved.example", dns.TypeA), rrcache.Miss},
	} {
		if got := c.Peek(want.key, at(1), make([]byte, 512)).State; got != want.state {
			t.Errorf("%v: got %v, want %v", dnsname.Name(want.key.Name), got, want.state)
		}
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// TestChangeOfSourcesEndsDumpAndLoad: what a change forgets cannot come back by a dump that is being read, and none is written that holds answers of both sides of it.
func TestChangeOfSourcesEndsDumpAndLoad(t *testing.T) {
	c := newCache(t, rrcache.Config{})
	for i := range 1000 {
		put(t, c, keyOf(string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676))+".example", dns.TypeA), "192.0.2.1", 300, at(0))
	}
	dump := dumpOf(t, c, at(1))
	into := newCache(t, rrcache.Config{})
	change := func() { into.SetSources(rrcache.NewSources(nil, "recursion")) }
	got, err := into.Load(bytes.NewReader(dump), at(1), change)
	if !errors.Is(err, rrcache.ErrSource) || got.Kept == 0 || got.Kept == 1000 {
		t.Errorf("loading went on: %+v, %v", got, err)
	}
	if n, err := c.Dump(new(bytes.Buffer), at(1), func() { c.SetSources(rrcache.NewSources(nil, "recursion")) }); !errors.Is(err, rrcache.ErrSource) || n != 0 {
		t.Errorf("dumping went on: %d, %v", n, err)
	}
}

// TestDumpUnderOtherSources: of a dump that was written under other sources or conditions what still holds is taken, each answer as that of whom its name is asked of now; what is below the zones that
// have others, or leads there, is not, and is counted.
func TestDumpUnderOtherSources(t *testing.T) {
	source := func(name string, group uint16, identity string) rrcache.SourceZone {
		z := zoneOf(name, group, "")
		z.Identity = identity
		return z
	}
	was := newCache(t, rrcache.Config{})
	broken := rrcache.Condition{Zone: dnsname.MustParse("broken.example"), Identity: "until 2027"}
	was.SetSources(rrcache.NewSources([]rrcache.SourceZone{source("same.example", 5, "x"), source("moved.example", 6, "x"), source("gone.example", 7, "x")}, "recursion", broken))
	putAt := func(name string, group uint16, alias string) {
		k := *keyOf(name, dns.TypeA)
		k.Group = group
		owner, records := name+".", []string(nil)
		if alias != "" {
			owner, records = alias+".", []string{name + ". 300 IN CNAME " + alias + "."}
		}
		if !was.Put(&k, pack(t, response(t, name+".", dns.TypeA, 0, append(records, owner+" 300 IN A 192.0.2.1")...)), at(0)) {
			t.Fatalf("%s is not put", name)
		}
	}
	putAt("www.same.example", 5, "")
	putAt("www.moved.example", 6, "")
	putAt("www.gone.example", 7, "")
	putAt("www.new.example", 0, "")
	putAt("www.broken.example", 0, "")
	putAt("www.other.example", 0, "")
	putAt("alias.other.example", 0, "www.moved.example")
	dump := dumpOf(t, was, at(1))

	now := newCache(t, rrcache.Config{})
	now.SetSources(rrcache.NewSources([]rrcache.SourceZone{source("same.example", 12, "x"), source("moved.example", 13, "y"), source("new.example", 14, "x")}, "recursion"))
	got, err := now.Load(bytes.NewReader(dump), at(1), noRest)
	if want := (rrcache.Loaded{Kept: 2, Others: 5}); err != nil || got != want {
		t.Errorf("loaded %+v, %v; want %+v", got, err, want)
	}
	for name, group := range map[string]uint16{"www.same.example": 12, "www.other.example": 0} {
		k := keyOf(name, dns.TypeA)
		if k.Group = group; now.Peek(k, at(1), make([]byte, 512)).State != rrcache.Fresh {
			t.Errorf("%s is not there as an answer of group %d", name, group)
		}
	}
	all := newCache(t, rrcache.Config{})
	all.SetSources(rrcache.NewSources([]rrcache.SourceZone{source(".", 3, "everything")}, "recursion"))
	if got, err := all.Load(bytes.NewReader(dump), at(1), noRest); err != nil || got.Kept != 0 || got.Others != 7 {
		t.Errorf("all names are asked of others: %+v, %v", got, err)
	}
}
