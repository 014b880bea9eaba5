package rrcache_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"

	"github.com/miekg/dns"
)

const start = int64(1_700_000_000) * int64(time.Second)

// at is start plus a number of seconds.
func at(seconds float64) int64 { return start + int64(seconds*float64(time.Second)) }

func newCache(t testing.TB, c rrcache.Config) *rrcache.Cache {
	t.Helper()
	if c.Bytes == 0 {
		c.Bytes = rrcache.BytesMin
	}
	cache, err := rrcache.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func keyOf(name string, qtype uint16) *rrcache.Key {
	return &rrcache.Key{Name: []byte(dnsname.MustParse(name).Canonical()), Type: qtype, Class: wire.ClassIN}
}

// response makes a reply to name and qtype. Records are in presentation format; those after "--" belong to the next section.
func response(t testing.TB, name string, qtype uint16, rcode int, records ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.Id, m.Response, m.RecursionAvailable, m.Rcode, m.Compress = 4711, true, true, rcode, true
	sections := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}
	for _, text := range records {
		if text == "--" {
			sections = sections[1:]
			continue
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		*sections[0] = append(*sections[0], rr)
	}
	return m
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t testing.TB, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("what came out does not parse: %v (%x)", err, b)
	}
	return m
}

// get looks k up and returns the message, nil after a miss.
func get(t testing.TB, c *rrcache.Cache, k *rrcache.Key, now int64) (rrcache.Answer, *dns.Msg) {
	t.Helper()
	dst := make([]byte, 65535)
	a := c.Get(k, now, dst)
	if a.State == rrcache.Miss {
		return a, nil
	}
	return a, unpack(t, dst[:a.Len])
}

const soa = "example. 900 IN SOA ns.example. host.example. 1 3600 600 86400 60"

func TestWhatIsKept(t *testing.T) {
	edit := func(m *dns.Msg, f func(*dns.Msg)) *dns.Msg { f(m); return m }
	many := make([]string, 1200)
	for i := range many {
		many[i] = fmt.Sprintf("www.example. 60 IN A 192.0.%d.%d", i>>8, i&255)
	}
	for _, tc := range []struct {
		name   string
		msg    *dns.Msg
		ttl    uint32 // 0: refused
		reason rrcache.Refusal
	}{
		{"plain answer", response(t, "www.example", dns.TypeA, 0, "www.example. 60 IN A 192.0.2.1"), 60, 0},
		{"smallest TTL counts", response(t, "www.example", dns.TypeA, 0, "www.example. 60 IN CNAME a.example.", "a.example. 7 IN A 192.0.2.1"), 7, 0},
		{"letter case of the question", response(t, "wWw.eXample", dns.TypeA, 0, "www.example. 60 IN A 192.0.2.1"), 60, 0},
		{"long TTL", response(t, "www.example", dns.TypeA, 0, "www.example. 2000000 IN A 192.0.2.1"), 86400, 0},
		{"TTL of 0", response(t, "www.example", dns.TypeA, 0, "www.example. 0 IN A 192.0.2.1"), 0, rrcache.RefusedTTL},
		{"highest bit of the TTL", response(t, "www.example", dns.TypeA, 0, "www.example. 2147483649 IN A 192.0.2.1"), 0, rrcache.RefusedTTL},
		{"NXDOMAIN by the SOA's minimum", response(t, "www.example", dns.TypeA, 3, "--", soa), 60, 0},
		{"NODATA by the SOA's TTL", response(t, "www.example", dns.TypeA, 0, "--", strings.Replace(soa, "900", "30", 1)), 30, 0},
		{"long negative TTL", response(t, "www.example", dns.TypeA, 3, "--", "example. 90000 IN SOA ns.example. host.example. 1 2 3 4 90000"), 3600, 0},
		{"NODATA behind an alias", response(t, "www.example", dns.TypeA, 0, "www.example. 50 IN CNAME a.example.", "--", soa), 50, 0},
		{"NXDOMAIN behind an alias", response(t, "www.example", dns.TypeA, 3, "www.example. 500 IN CNAME a.example.", "--", soa), 60, 0},
		{"NXDOMAIN without SOA", response(t, "www.example", dns.TypeA, 3), 0, rrcache.RefusedNoSOA},
		{"NODATA without SOA", response(t, "www.example", dns.TypeA, 0), 0, rrcache.RefusedNoSOA},
		{"a referral", response(t, "www.example", dns.TypeA, 0, "--", "example. 60 IN NS ns.example."), 0, rrcache.RefusedNoSOA},
		{"SERVFAIL", response(t, "www.example", dns.TypeA, 2), 2, 0},
		{"REFUSED", response(t, "www.example", dns.TypeA, 5), 0, rrcache.RefusedRcode},
		{"truncated", edit(response(t, "www.example", dns.TypeA, 0, "www.example. 60 IN A 192.0.2.1"), func(m *dns.Msg) { m.Truncated = true }), 0, rrcache.RefusedTruncated},
		{"a query", edit(response(t, "www.example", dns.TypeA, 0), func(m *dns.Msg) { m.Response = false }), 0, rrcache.RefusedQuestion},
		{"another name", response(t, "wwx.example", dns.TypeA, 0, "wwx.example. 60 IN A 192.0.2.1"), 0, rrcache.RefusedQuestion},
		{"a longer name", response(t, "www2.example", dns.TypeA, 0, "www2.example. 60 IN A 192.0.2.1"), 0, rrcache.RefusedQuestion},
		{"another type", response(t, "www.example", dns.TypeAAAA, 0, "www.example. 60 IN AAAA 2001:db8::1"), 0, rrcache.RefusedQuestion},
		{"two questions", edit(response(t, "www.example", dns.TypeA, 0), func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), 0, rrcache.RefusedQuestion},
		{"extended rcode", edit(response(t, "www.example", dns.TypeA, 0), func(m *dns.Msg) { m.SetEdns0(1232, false); m.Rcode = dns.RcodeBadVers }), 0, rrcache.RefusedRcode},
		{"oversized", response(t, "www.example", dns.TypeA, 0, many...), 0, rrcache.RefusedOversized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
			kept := c.Put(k, pack(t, tc.msg), at(0))
			a, _ := get(t, c, k, at(0))
			if kept != (tc.ttl > 0) || a.TTL != tc.ttl {
				t.Errorf("kept %v for %d s, want %d s", kept, a.TTL, tc.ttl)
			}
			if s := c.Stats(); !kept && s.Refused[tc.reason] != 1 {
				t.Errorf("refused for %v, want %v", s.Refused, tc.reason)
			}
		})
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	good := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 60 IN A 192.0.2.1"))
	with := func(f func([]byte) []byte) []byte { return f(append([]byte(nil), good...)) }
	// Names that are well formed, but for where they lie: they would change with the TTLs.
	two := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 60 IN A 192.0.2.1", "www.example. 60 IN A 192.0.0.2"))
	inTTL, overItself := bytes.Clone(two), bytes.Clone(two)
	inTTL[46] = 36      // the owner of the second record: an octet 0 of the TTL of the first, so the root
	overItself[30] = 28 // that of the first: from the end of the question through its own record
	for name, msg := range map[string][]byte{
		"empty":                nil,
		"owner in a TTL":       inTTL,
		"owner over itself":    overItself,
		"header alone":         good[:12],
		"cut question":         good[:20],
		"cut record":           good[:len(good)-1],
		"more records claimed": with(func(b []byte) []byte { b[7] = 2; return b }),
		"owner in the header":  with(func(b []byte) []byte { b[29], b[30] = 0xc0, 4; return b }),
		"owner points forward": with(func(b []byte) []byte { b[29], b[30] = 0xc1, 0xff; return b }),
	} {
		t.Run(name, func(t *testing.T) {
			c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
			if c.Put(k, msg, at(0)) {
				t.Errorf("Put kept %x", msg)
			}
			if s := c.Stats(); s.Refused[rrcache.RefusedMalformed] != 1 {
				t.Errorf("refused for %v, want malformed", s.Refused)
			}
		})
	}
}

func TestMessageIsNormalised(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	m := response(t, "WWW.Example", dns.TypeA, 0, "WWW.Example. 60 IN CNAME a.Example.", "a.Example. 70 IN A 192.0.2.1", "--", "--", "ns.example. 5 IN A 192.0.2.9")
	m.Authoritative, m.AuthenticatedData, m.CheckingDisabled, m.RecursionDesired, m.RecursionAvailable = true, true, true, true, false
	m.SetEdns0(4096, true)
	m.Extra = append(m.Extra, m.Answer[1])
	if !c.Put(k, append(pack(t, m), "trailing"...), at(0)) {
		t.Fatal("not kept")
	}
	_, got := get(t, c, k, at(3))
	want := dns.MsgHdr{Response: true, RecursionAvailable: true, AuthenticatedData: true}
	if got.MsgHdr != want {
		t.Errorf("header = %+v, want %+v", got.MsgHdr, want)
	}
	if got.Question[0].Name != "www.example." || got.Answer[0].Header().Name != "www.example." {
		t.Errorf("question %q, first owner %q, want both canonical", got.Question[0].Name, got.Answer[0].Header().Name)
	}
	if len(got.Answer) != 2 || got.Answer[1].Header().Ttl != 67 || len(got.Extra) != 1 || got.Extra[0].Header().Ttl != 2 {
		t.Errorf("records are\n%v\n%v\nwant two answers, the second with TTL 67, and the additional record before OPT with TTL 2", got.Answer, got.Extra)
	}
}

func TestAgeing(t *testing.T) {
	c, k := newCache(t, rrcache.Config{StaleMax: time.Minute}), keyOf("www.example", dns.TypeA)
	c.Put(k, pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 10 IN CNAME a.example.", "a.example. 300 IN A 192.0.2.1")), at(0))
	for _, tc := range []struct {
		after       float64
		state       rrcache.State
		ttl, second uint32
	}{
		{0, rrcache.Fresh, 10, 300},
		{0.999, rrcache.Fresh, 10, 300},
		{1, rrcache.Fresh, 9, 299},
		{9.999, rrcache.Fresh, 1, 291},
		{10, rrcache.Stale, 30, 30},
		{69.9, rrcache.Stale, 30, 30},
		{70, rrcache.Miss, 0, 0},
		{-5, rrcache.Fresh, 10, 300},
		{-59, rrcache.Fresh, 10, 300},
		{-61, rrcache.Miss, 0, 0},
		{-86400, rrcache.Miss, 0, 0},
	} {
		a, m := get(t, c, k, at(tc.after))
		if a.State != tc.state || a.TTL != tc.ttl {
			t.Errorf("after %v s: %v with TTL %d, want %v with %d", tc.after, a.State, a.TTL, tc.state, tc.ttl)
		}
		if m != nil && (m.Answer[0].Header().Ttl != tc.ttl || m.Answer[1].Header().Ttl != tc.second) {
			t.Errorf("after %v s: TTLs %d and %d, want %d and %d", tc.after, m.Answer[0].Header().Ttl, m.Answer[1].Header().Ttl, tc.ttl, tc.second)
		}
	}
}

func TestKeysAreApart(t *testing.T) {
	c := newCache(t, rrcache.Config{})
	base := *keyOf("www.example", dns.TypeA)
	keys := []rrcache.Key{base, base, base, base, base, base, base}
	keys[1].DO, keys[2].CD, keys[3].Group, keys[4].Type = true, true, 7, dns.TypeAAAA
	keys[5].Group, keys[6].Group = 7+256, rrcache.GroupMax
	for i := range keys {
		rr := fmt.Sprintf("www.example. 60 IN A 192.0.2.%d", i)
		if i == 4 {
			rr = "www.example. 60 IN AAAA 2001:db8::4"
		}
		if !c.Put(&keys[i], pack(t, response(t, "www.example", keys[i].Type, 0, rr)), at(0)) {
			t.Fatalf("key %d not kept", i)
		}
	}
	for i := range keys {
		_, m := get(t, c, &keys[i], at(0))
		if m == nil || !strings.HasSuffix(m.Answer[0].String(), fmt.Sprint(i)) {
			t.Errorf("key %d found %v", i, m)
		}
	}
}

func TestFailureDoesNotReplaceAnAnswer(t *testing.T) {
	c, k := newCache(t, rrcache.Config{StaleHold: 20 * time.Second}), keyOf("www.example", dns.TypeA)
	good := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 10 IN A 192.0.2.1"))
	fail := pack(t, response(t, "www.example", dns.TypeA, 2))
	c.Put(k, good, at(0))
	if a, _ := get(t, c, k, at(11)); a.State != rrcache.Stale || a.Held {
		t.Fatalf("got %+v, want stale and not held", a)
	}
	if c.Put(k, fail, at(12)) {
		t.Error("Put kept the failure")
	}
	if a, m := get(t, c, k, at(31)); a.State != rrcache.Stale || !a.Held || m.Rcode != 0 {
		t.Errorf("after a failure: %+v, want the answer stale and held", a)
	}
	if a, _ := get(t, c, k, at(33)); a.State != rrcache.Stale || a.Held {
		t.Errorf("after the hold: %+v, want stale and not held", a)
	}
	c.Put(k, good, at(40))
	if a, _ := get(t, c, k, at(51)); a.State != rrcache.Stale || a.Held {
		t.Errorf("after a success: %+v, want stale and not held", a)
	}
}

func TestFailuresAreNeverStale(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	m := response(t, "www.example", dns.TypeA, 2, "www.example. 600 IN A 192.0.2.1")
	c.Put(k, pack(t, m), at(0))
	if a, m := get(t, c, k, at(1)); a.State != rrcache.Fresh || m.Rcode != 2 || len(m.Answer) != 0 {
		t.Errorf("got %+v %v, want a fresh SERVFAIL without records", a, m)
	}
	if a, _ := get(t, c, k, at(2)); a.State != rrcache.Miss {
		t.Errorf("got %v, want miss", a.State)
	}
}

func TestPrefetchIsToldOnce(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	msg := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1"))
	told := func(from, to int) (n int) {
		for s := from; s < to; s++ {
			if a, _ := get(t, c, k, at(float64(s))); a.Prefetch {
				n++
			}
		}
		return n
	}
	c.Put(k, msg, at(0))
	if a, _ := get(t, c, k, at(95)); a.Prefetch {
		t.Error("an answer that was asked for once is to be prefetched")
	}
	c.Put(k, msg, at(0))
	if n := told(0, 90); n != 0 {
		t.Errorf("told %d times in the first nine tenths, want 0", n)
	}
	if n := told(90, 100); n != 1 {
		t.Errorf("told %d times in the last tenth, want 1", n)
	}
	c.Put(k, msg, at(100))
	if n := told(100, 200); n != 1 {
		t.Errorf("told %d times after the answer was renewed, want 1", n)
	}
}

func TestStampHoldsForTheRecordThatWasSeen(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	msg := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1"))
	c.Put(k, msg, at(0))
	c.Stamp(k, 41)
	if a, _ := get(t, c, k, at(0)); a.Stamp != 0 {
		t.Errorf("stamp %d without a look at the record, want 0", a.Stamp)
	}
	c.Stamp(k, 42)
	if a, _ := get(t, c, k, at(0)); a.Stamp != 42 {
		t.Errorf("stamp %d, want 42", a.Stamp)
	}
	c.Put(keyOf("www.example", dns.TypeA), msg, at(1))
	c.Stamp(k, 43)
	if a, _ := get(t, c, k, at(1)); a.Stamp != 0 {
		t.Errorf("stamp %d on a record that was not looked at, want 0", a.Stamp)
	}
}

func TestShortBufferIsAMiss(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	c.Put(k, pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1")), at(0))
	a := c.Get(k, at(0), make([]byte, 20))
	if a.State != rrcache.Miss || a.Len != 45 {
		t.Errorf("got %+v, want a miss that needs 45 octets", a)
	}
}

func TestFlush(t *testing.T) {
	names := []string{"example", "www.example", "a.www.example", "notwww.example", "other"}
	fill := func() *rrcache.Cache {
		c := newCache(t, rrcache.Config{Bytes: 4 << 20})
		for _, name := range names {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeMX} {
				c.Put(keyOf(name, qtype), pack(t, response(t, name, qtype, 3, "--", ". 60 IN SOA . . 1 2 3 4 5")), at(0))
			}
		}
		return c
	}
	for _, tc := range []struct {
		what    string
		name    string
		subtree bool
		want    string
	}{
		{"one name", "WWW.example", false, "example a.www.example notwww.example other"},
		{"subtree", "www.example", true, "example notwww.example other"},
		{"root alone", ".", false, "example www.example a.www.example notwww.example other"},
		{"everything", ".", true, ""},
	} {
		t.Run(tc.what, func(t *testing.T) {
			c := fill()
			n := c.Flush(dnsname.MustParse(tc.name), tc.subtree)
			var left []string
			for _, name := range names {
				if a, _ := get(t, c, keyOf(name, dns.TypeMX), at(0)); a.State == rrcache.Fresh {
					left = append(left, name)
				}
			}
			if got := strings.Join(left, " "); got != tc.want || n != 2*(len(names)-len(left)) {
				t.Errorf("flushed %d, left %q, want %q", n, got, tc.want)
			}
			if err := c.Check(); err != nil {
				t.Error(err)
			}
		})
	}
	if c := fill(); c.FlushAll() != 2*len(names) || c.Stats().Entries != 0 || c.Stats().Bytes != 0 {
		t.Errorf("after FlushAll: %+v", c.Stats())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, config := range map[string]rrcache.Config{
		"too small":       {Bytes: 1000},
		"too large":       {Bytes: 1 << 50},
		"long messages":   {MessageMax: 65535},
		"min over max":    {TTLMin: 2 * time.Hour, TTLMax: time.Hour},
		"negative min":    {TTLMin: -1},
		"long failures":   {FailureTTL: time.Minute},
		"tiny stale TTL":  {StaleTTL: time.Millisecond},
		"prefetch always": {PrefetchShare: 1},
	} {
		if _, err := rrcache.New(config); err == nil {
			t.Errorf("%s: New took %+v", name, config)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	for _, bytes := range []int64{rrcache.BytesMin, 3_333_333, 64 << 20} {
		c := newCache(t, rrcache.Config{Bytes: bytes})
		if s := c.Stats(); s.Capacity > bytes || s.Capacity < bytes-bytes/100 {
			t.Errorf("a cache of %d octets takes %d, want at most that and at least 99%%", bytes, s.Capacity)
		}
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	msg := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1"))
	c.Put(k, msg, at(0))
	dst, absent := make([]byte, 512), keyOf("absent.example", dns.TypeA)
	for name, f := range map[string]func(){
		"hit":   func() { c.Get(k, at(1), dst) },
		"stale": func() { c.Get(k, at(1000), dst) },
		"miss":  func() { c.Get(absent, at(1), dst) },
		"stamp": func() { c.Stamp(k, 7) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}

func TestRemoveAndReset(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	msg := pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1"))
	c.Remove(k)
	c.Put(k, msg, at(0))
	get(t, c, k, at(0))
	k.Reset()
	c.Stamp(k, 42)
	if a, _ := get(t, c, k, at(0)); a.Stamp != 0 {
		t.Errorf("stamp %d by a key that was reset, want 0", a.Stamp)
	}
	c.Remove(k)
	if a, _ := get(t, c, k, at(0)); a.State != rrcache.Miss || c.Stats().Entries != 0 {
		t.Errorf("after Remove: %v, %d entries", a.State, c.Stats().Entries)
	}
}

func TestPeekLeavesNoTrace(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	c.Put(k, pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1")), at(0))
	dst := make([]byte, 512)
	for range 5 {
		if a := c.Peek(k, at(95), dst); a.State != rrcache.Fresh || a.Prefetch {
			t.Errorf("Peek = %+v, want fresh and no prefetch", a)
		}
	}
	if a, _ := get(t, c, k, at(95)); a.Prefetch {
		t.Error("the first hit after five peeks is to prefetch")
	}
	if s := c.Stats(); s.Hits != 1 || s.Misses != 0 {
		t.Errorf("%d hits and %d misses counted, want 1 and 0", s.Hits, s.Misses)
	}
}

func TestUpdateHoldsForWhatIsThere(t *testing.T) {
	c, k := newCache(t, rrcache.Config{}), keyOf("www.example", dns.TypeA)
	c.Put(k, pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 100 IN A 192.0.2.1")), at(0))
	if err := c.Update(rrcache.Config{StaleMax: -1, TTLMin: 3 * time.Hour, TTLMax: time.Hour}); err == nil {
		t.Error("Update took TTLs that contradict each other")
	}
	if a, _ := get(t, c, k, at(100)); a.State != rrcache.Stale {
		t.Errorf("after a refused update: %v, want stale", a.State)
	}
	if err := c.Update(rrcache.Config{StaleMax: -1}); err != nil {
		t.Fatal(err)
	}
	if a, _ := get(t, c, k, at(100)); a.State != rrcache.Miss {
		t.Errorf("with stale answers turned off: %v, want miss", a.State)
	}
}

// TestFailedPrefetchIsTriedAgain: what was fetched ahead in vain is fetched again, but not before a while.
func TestFailedPrefetchIsTriedAgain(t *testing.T) {
	c, k := newCache(t, rrcache.Config{StaleHold: 30 * time.Second}), keyOf("www.example", dns.TypeA)
	c.Put(k, pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 1000 IN A 192.0.2.1")), at(0))
	told := func(s float64) bool {
		t.Helper()
		a, _ := get(t, c, k, at(s))
		if a.State != rrcache.Fresh {
			t.Errorf("at %v: %v", s, a.State)
		}
		return a.Prefetch
	}
	if told(10) || told(20) || !told(910) || told(911) {
		t.Fatal("want to be told once, in the last tenth")
	}
	c.Put(k, pack(t, response(t, "www.example", dns.TypeA, dns.RcodeServerFailure)), at(912))
	if told(913) || told(940) {
		t.Error("told again at once")
	}
	if !told(943) || told(944) {
		t.Error("not told again after a while, once")
	}
}

// TestNegativeTTLMin: denials have a least lifetime of their own, where that of all answers is not longer.
func TestNegativeTTLMin(t *testing.T) {
	denial := response(t, "none.example", dns.TypeA, dns.RcodeNameError)
	denial.Ns = response(t, "none.example", dns.TypeA, 0, "example. 1 IN SOA ns.example. host.example. 1 2 3 4 1").Answer
	for name, tc := range map[string]struct {
		config       rrcache.Config
		denied, real uint32
	}{
		"neither":     {rrcache.Config{}, 1, 2},
		"its own":     {rrcache.Config{NegativeTTLMin: 10 * time.Second}, 10, 2},
		"of all":      {rrcache.Config{TTLMin: 20 * time.Second, NegativeTTLMin: 10 * time.Second}, 20, 20},
		"of both":     {rrcache.Config{TTLMin: 5 * time.Second, NegativeTTLMin: 10 * time.Second}, 10, 5},
		"the longest": {rrcache.Config{NegativeTTLMin: 10 * time.Second, NegativeTTLMax: 10 * time.Second}, 10, 2},
	} {
		c := newCache(t, tc.config)
		none, www := keyOf("none.example", dns.TypeA), keyOf("www.example", dns.TypeA)
		c.Put(none, pack(t, denial), at(0))
		c.Put(www, pack(t, response(t, "www.example", dns.TypeA, 0, "www.example. 2 IN A 192.0.2.1")), at(0))
		if a, _ := get(t, c, none, at(0)); a.TTL != tc.denied {
			t.Errorf("%s: a denial lives for %d s, want %d", name, a.TTL, tc.denied)
		}
		if a, _ := get(t, c, www, at(0)); a.TTL != tc.real {
			t.Errorf("%s: an answer lives for %d s, want %d", name, a.TTL, tc.real)
		}
	}
	if _, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin, NegativeTTLMin: time.Hour, NegativeTTLMax: time.Minute}); err == nil {
		t.Error("a shortest TTL above the longest is taken")
	}
}
