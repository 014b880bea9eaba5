package dnssec_test

import (
	"fmt"
	"testing"
	"time"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

// TestRangesAge holds that what is too old proves nothing, and that the TTL of a proof is what is left.
func TestRangesAge(t *testing.T) {
	for _, kind := range []worldKind{{}, {nsec3: true}} {
		w := newWorld(t, ecSigner(t, "example.", 257), "example.", kind, "a 300 IN A 192.0.2.1\n")
		r := dnssec.NewRanges(name("example."), 10)
		for _, s := range w.chain {
			r.Add(s, 60, noon)
		}
		for age, wanted := range map[time.Duration]dnssec.Inference{0: dnssec.NameError, 59 * time.Second: dnssec.NameError, 60 * time.Second: dnssec.Unknown} {
			got, sets := r.Answer(name("x.example."), dns.TypeA, noon.Add(age), dnssec.NewWork())
			if got != wanted || got == dnssec.Unknown && sets != nil {
				t.Errorf("%v after %v: got %v with %d sets, want %v", kind, age, got, len(sets), wanted)
			}
			for _, s := range sets {
				if left := uint32((60*time.Second - age) / time.Second); s.TTL != left {
					t.Errorf("%v after %v: the TTL is %d, want %d", kind, age, s.TTL, left)
				}
			}
		}
		if w.chain[0].TTL != 300 {
			t.Error("the set that was added has changed")
		}
	}
}

// TestRangesAreUsedWhileOthersHash holds that whoever has a name hashed, and gives way meanwhile, holds up nobody: records are added and looked at all the while. What the zone has
// under other parameters by then proves nothing together with what was found before.
func TestRangesAreUsedWhileOthersHash(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	w := newWorld(t, key, "example.", worldKind{nsec3: true}, "a 300 IN A 192.0.2.1\n")
	other := newWorld(t, key, "example.", worldKind{nsec3: true, salt: "aabb", rounds: 3}, "a 300 IN A 192.0.2.1\n")
	for change, wanted := range map[bool]dnssec.Inference{false: dnssec.NameError, true: dnssec.Unknown} {
		r := dnssec.NewRanges(name("example."), 100)
		add := func(chain []*dnssec.Set) {
			for _, s := range chain {
				r.Add(s, 60, noon)
			}
		}
		add(w.chain)
		work, hashed := dnssec.NewWork(), 0
		work.GiveWay = func() bool {
			if hashed++; hashed >= 2 && change {
				add(other.chain)
			} else {
				add(w.chain)
			}
			r.Answer(name("a.example."), dns.TypeTXT, noon, dnssec.NewWork())
			return true
		}
		if got, _ := r.Answer(name("x.y.example."), dns.TypeA, noon, work); got != wanted || hashed < 2 {
			t.Errorf("parameters changed %v: got %v after %d hashes, want %v", change, got, hashed, wanted)
		}
	}
}

// TestRangesAreBounded holds that old records go first, then those that end first.
func TestRangesAreBounded(t *testing.T) {
	r := dnssec.NewRanges(name("example."), 100)
	add := func(i int, ttl uint32, now time.Time) {
		s := unsignedSets(t, fmt.Sprintf("n%04d.example. 300 IN NSEC n%04d.example. A RRSIG NSEC", i, i+1))[0]
		if !r.Add(s, ttl, now) {
			t.Fatalf("record %d was refused", i)
		}
	}
	known := func(i int, now time.Time) bool {
		got, _ := r.Answer(name(fmt.Sprintf("n%04d.example.", i)), dns.TypeTXT, now, dnssec.NewWork())
		return got == dnssec.NoData
	}
	for i := range 1000 {
		add(i, uint32(1000+i), noon)
		if r.Len() > 100 {
			t.Fatalf("%d records are kept, want no more than 100", r.Len())
		}
	}
	if !known(999, noon) || known(0, noon) {
		t.Error("the record that lives longest is not kept, or the first to go is")
	}
	later := noon.Add(time.Hour)
	for i := range 101 {
		add(i, 10, later)
	}
	for i := range 50 {
		if !known(100-i, later) {
			t.Errorf("record %d is not kept, though older ones ended", 100-i)
		}
	}
}

// TestYoungerRangesReplaceOlder holds that a name which has gone since is not thought to be there, and a new one not to be missing.
func TestYoungerRangesReplaceOlder(t *testing.T) {
	r := dnssec.NewRanges(name("example."), 10)
	ask := func(n string) dnssec.Inference {
		got, _ := r.Answer(name(n), dns.TypeTXT, noon, dnssec.NewWork())
		return got
	}
	add := func(text string) {
		for _, s := range unsignedSets(t, text) {
			r.Add(s, 300, noon)
		}
	}
	add("example. 300 IN NSEC a.example. NS SOA\na.example. 300 IN NSEC c.example. A\nc.example. 300 IN NSEC example. A")
	for n, want := range map[string]dnssec.Inference{"a.example.": dnssec.NoData, "b.example.": dnssec.NameError, "c.example.": dnssec.NoData} {
		if got := ask(n); got != want {
			t.Errorf("%s: got %v, want %v", n, got, want)
		}
	}
	add("a.example. 300 IN NSEC b.example. A\nb.example. 300 IN NSEC c.example. TXT")
	for n, want := range map[string]dnssec.Inference{"b.example.": dnssec.Unknown, "bb.example.": dnssec.NameError} {
		if got := ask(n); got != want {
			t.Errorf("with a new name: %s: got %v, want %v", n, got, want)
		}
	}
	add("a.example. 300 IN NSEC example. A")
	for n, want := range map[string]dnssec.Inference{"b.example.": dnssec.NameError, "c.example.": dnssec.NameError} {
		if got := ask(n); got != want {
			t.Errorf("with names that have gone: %s: got %v, want %v", n, got, want)
		}
	}
}

// TestRangesRefuse holds what may not be used for other names.
func TestRangesRefuse(t *testing.T) {
	nsec := func(text string) *dnssec.Set { return unsignedSets(t, text)[0] }
	good := "a.example. 300 IN NSEC c.example. A"
	two := nsec(good)
	two.RData = append(two.RData, two.RData[0])
	wild := nsec(good)
	wild.Sigs = [][]byte{make([]byte, 30)}
	large := nsec(good)
	large.Sigs = [][]byte{append([]byte{0, 0, 0, 2}, make([]byte, dnssec.RangeSetMax)...)}
	r := dnssec.NewRanges(name("example."), 10)
	for what, s := range map[string]*dnssec.Set{
		"two records": two, "a wildcard's": wild, "a large set": large, "another zone": nsec("a.test. 300 IN NSEC b.test. A"),
		"another type": nsec("a.example. 300 IN A 192.0.2.1"), "opt-out": pick(t, rfc5155, "2t7")[0],
	} {
		if r.Add(s, 300, noon) {
			t.Errorf("%s: was added", what)
		}
	}
	if r.Add(nsec(good), 0, noon) || r.Len() != 0 {
		t.Error("a set without a life was added")
	}
	if got, _ := r.Answer(name("test."), dns.TypeA, noon, dnssec.NewWork()); got != dnssec.Unknown {
		t.Errorf("for another zone: got %v", got)
	}
}

// TestRangesFollowNewParameters holds that a zone with a new salt is learned anew.
func TestRangesFollowNewParameters(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	old := newWorld(t, key, "example.", worldKind{nsec3: true, salt: "aa"}, "a 300 IN A 192.0.2.1\n")
	new := newWorld(t, key, "example.", worldKind{nsec3: true, salt: "bb"}, "a 300 IN A 192.0.2.1\n")
	r := dnssec.NewRanges(name("example."), 10)
	for _, s := range append(old.chain, new.chain...) {
		r.Add(s, 300, noon)
	}
	if got, _ := r.Answer(name("x.example."), dns.TypeA, noon, dnssec.NewWork()); got != dnssec.NameError || r.Len() != len(new.chain) {
		t.Errorf("got %v from %d records", got, r.Len())
	}
	if got, _ := r.Answer(name("x.example."), dns.TypeA, noon, &dnssec.Work{}); got != dnssec.Unknown {
		t.Errorf("without work left: got %v", got)
	}
}
