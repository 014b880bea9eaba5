package rrcache_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

func noRest() {}

// put keeps an answer with one address.
func put(t testing.TB, c *rrcache.Cache, k *rrcache.Key, addr string, ttl int, now int64) {
	t.Helper()
	name := dns.Fqdn(dnsname.Name(k.Name).String())
	if !c.Put(k, pack(t, response(t, name, k.Type, 0, fmt.Sprintf("%s %d IN A %s", name, ttl, addr))), now) {
		t.Fatalf("%s is not kept", name)
	}
}

func dumpOf(t testing.TB, c *rrcache.Cache, now int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.Dump(&b, now, noRest); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDumpIsLoadedWithItsAge: every variant is there again, aged by the time between, and what has run out is not.
func TestDumpIsLoadedWithItsAge(t *testing.T) {
	before := newCache(t, rrcache.Config{StaleMax: time.Minute})
	plain := keyOf("www.example", dns.TypeA)
	signed, other := *plain, *plain
	signed.DO, signed.CD = true, true
	other.Group = 7
	put(t, before, plain, "192.0.2.1", 300, at(0))
	put(t, before, &signed, "192.0.2.2", 300, at(0))
	put(t, before, &other, "192.0.2.3", 300, at(0))
	put(t, before, keyOf("short.example", dns.TypeA), "192.0.2.4", 20, at(0))
	put(t, before, keyOf("gone.example", dns.TypeA), "192.0.2.5", 5, at(0))
	before.Put(keyOf("failed.example", dns.TypeA), pack(t, response(t, "failed.example.", dns.TypeA, dns.RcodeServerFailure)), at(0))
	dump := dumpOf(t, before, at(1))

	after := newCache(t, rrcache.Config{StaleMax: time.Minute})
	put(t, after, &other, "192.0.2.33", 300, at(99))
	got, err := after.Load(bytes.NewReader(dump), at(70), noRest)
	if want := (rrcache.Loaded{Kept: 3, Newer: 1, Expired: 1}); err != nil || got != want {
		t.Errorf("loaded %+v, %v; want %+v", got, err, want)
	}
	if err := after.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key   *rrcache.Key
		want  string
		ttl   uint32
		state rrcache.State
	}{
		{plain, "192.0.2.1", 230, rrcache.Fresh}, {&signed, "192.0.2.2", 230, rrcache.Fresh}, {&other, "192.0.2.33", 300, rrcache.Fresh},
		{keyOf("short.example", dns.TypeA), "192.0.2.4", 30, rrcache.Stale},
	} {
		dst := make([]byte, 512)
		a := after.Get(c.key, at(70), dst)
		if a.State != c.state || a.TTL != c.ttl {
			t.Errorf("%+v: %v with TTL %d, want %v with %d", c.key, a.State, a.TTL, c.state, c.ttl)
			continue
		}
		if m := unpack(t, dst[:a.Len]); m.Answer[0].(*dns.A).A.String() != c.want {
			t.Errorf("%+v: %v, want %s", c.key, m.Answer[0], c.want)
		}
	}
	if a := after.Get(keyOf("gone.example", dns.TypeA), at(70), make([]byte, 512)); a.State != rrcache.Miss {
		t.Errorf("what ran out is given: %+v", a)
	}
}

// TestDumpOfTheFutureIsNotKept: nobody can tell how old its answers are.
func TestDumpOfTheFutureIsNotKept(t *testing.T) {
	before := newCache(t, rrcache.Config{})
	put(t, before, keyOf("www.example", dns.TypeA), "192.0.2.1", 300, at(3600))
	got, err := newCache(t, rrcache.Config{}).Load(bytes.NewReader(dumpOf(t, before, at(3600))), at(0), noRest)
	if want := (rrcache.Loaded{Expired: 1}); err != nil || got != want {
		t.Errorf("loaded %+v, %v; want %+v", got, err, want)
	}
}

// TestDamagedDumpIsRefused at whatever octet it is changed or cut, and never gives another answer.
func TestDamagedDumpIsRefused(t *testing.T) {
	before := newCache(t, rrcache.Config{})
	for i := range 20 {
		put(t, before, keyOf(fmt.Sprintf("n%d.example", i), dns.TypeA), "192.0.2.1", 300, at(0))
	}
	whole := dumpOf(t, before, at(0))
	load := func(b []byte) (rrcache.Loaded, error) {
		return newCache(t, rrcache.Config{}).Load(bytes.NewReader(b), at(0), noRest)
	}
	if got, err := load(whole); err != nil || got.Kept != 20 {
		t.Fatalf("the whole one: %+v, %v", got, err)
	}
	for i := 0; i < len(whole); i += 7 {
		changed := bytes.Clone(whole)
		changed[i] ^= 1 << (i % 8)
		if got, err := load(changed); err == nil || !errors.Is(err, rrcache.ErrDump) && !errors.Is(err, rrcache.ErrSource) {
			t.Errorf("octet %d changed: %+v, %v", i, got, err)
		}
		if got, err := load(whole[:i]); !errors.Is(err, rrcache.ErrDump) {
			t.Errorf("cut at %d: %+v, %v", i, got, err)
		}
	}
	const head, end = 15 + 2 + 4 + 4 + 4, 16
	if got, err := load(append(bytes.Clone(whole[:head]), whole[len(whole)-end:]...)); !errors.Is(err, rrcache.ErrDump) {
		t.Errorf("a block is missing: %+v, %v", got, err)
	}
	old := bytes.Replace(bytes.Clone(whole), []byte("cache-2"), []byte("cache-1"), 1)
	if _, err := load(old); !errors.Is(err, rrcache.ErrDump) {
		t.Errorf("another version: %v", err)
	}
	elsewhere := newCache(t, rrcache.Config{})
	elsewhere.SetSources(rrcache.NewSources(nil, "recursion").WithBasis("elsewhere"))
	if _, err := elsewhere.Load(bytes.NewReader(whole), at(0), noRest); !errors.Is(err, rrcache.ErrSource) {
		t.Errorf("another basis: %v", err)
	}
	there := dumpOf(t, elsewhere, at(0))
	if _, err := elsewhere.Load(bytes.NewReader(there), at(0), noRest); err != nil {
		t.Errorf("the same basis: %v", err)
	}
	if _, err := load(there); !errors.Is(err, rrcache.ErrSource) {
		t.Errorf("no basis: %v", err)
	}
}

// FuzzLoad: whatever a file holds, the cache stays in order.
func FuzzLoad(f *testing.F) {
	c := newCache(f, rrcache.Config{})
	put(f, c, keyOf("www.example", dns.TypeA), "192.0.2.1", 300, at(0))
	f.Add(dumpOf(f, c, at(0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newCache(t, rrcache.Config{})
		_, _ = c.Load(bytes.NewReader(b), at(1), noRest)
		_, _ = c.Load(bytes.NewReader(sealed(b)), at(1), noRest)
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	})
}

// sealed makes a dump of one block out of entries, with right checksums.
func sealed(entries []byte) []byte {
	head := append([]byte("cenote-cache-2\n"), 4, 0)
	head = append(head, "here\x00\x00\x00\x00"...)
	out := binary.LittleEndian.AppendUint32(head, rrcache.Checksum(head))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(entries)))
	out = binary.LittleEndian.AppendUint32(out, rrcache.Checksum(entries))
	return append(out, entries...)
}

// TestKeptTellsAllVariants of a name, and of no other.
func TestKeptTellsAllVariants(t *testing.T) {
	c := newCache(t, rrcache.Config{})
	signed := *keyOf("www.example", dns.TypeA)
	signed.DO = true
	put(t, c, keyOf("www.example", dns.TypeA), "192.0.2.1", 10, at(0))
	put(t, c, &signed, "192.0.2.2", 300, at(0))
	put(t, c, keyOf("a.www.example", dns.TypeA), "192.0.2.3", 300, at(0))
	c.Put(keyOf("www.example", dns.TypeMX), pack(t, response(t, "www.example.", dns.TypeMX, dns.RcodeServerFailure)), at(20))
	got := c.Kept(dnsname.MustParse("WWW.example"), 0, at(20))
	if len(got) != 3 {
		t.Fatalf("got %+v, want three", got)
	}
	for _, k := range got {
		switch {
		case k.Type == dns.TypeMX:
			if !k.Failure {
				t.Errorf("%+v: want a failure", k)
			}
		case k.DO:
			if k.State != rrcache.Fresh || k.TTL != 280 || k.Stored != at(0) || k.Expires != at(300) {
				t.Errorf("%+v: want fresh with 280", k)
			}
		default:
			if k.State != rrcache.Stale || k.TTL != 30 || unpack(t, k.Msg).Answer[0].Header().Ttl != 30 {
				t.Errorf("%+v: want stale with 30", k)
			}
		}
	}
	if got := c.Kept(dnsname.MustParse("www.example"), dns.TypeMX, at(20)); len(got) != 1 {
		t.Errorf("of one type: %+v", got)
	}
}

// TestDumpWhileTheCacheIsUsed is for the race detector.
func TestDumpWhileTheCacheIsUsed(t *testing.T) {
	c := newCache(t, rrcache.Config{})
	keys := benchKeys(2000, "race")
	done := make(chan bool)
	go func() {
		defer close(done)
		dst, rng := make([]byte, 512), rand.New(rand.NewPCG(1, 2))
		for i := range 4000 {
			put(t, c, &keys[rng.IntN(len(keys))], "192.0.2.1", 300, at(float64(i)/1000))
			c.Get(&keys[rng.IntN(len(keys))], at(4), dst)
		}
	}()
	other := newCache(t, rrcache.Config{})
	for range 5 {
		if _, err := other.Load(bytes.NewReader(dumpOf(t, c, at(4))), at(4), noRest); err != nil {
			t.Error(err)
		}
	}
	<-done
	if err := errors.Join(c.Check(), other.Check()); err != nil {
		t.Error(err)
	}
}

func BenchmarkDumpAndLoad(b *testing.B) {
	const n = 1_000_000
	keys := benchKeys(n, "bench")
	c := benchFill(b, keys)
	dump := dumpOf(b, c, start)
	name := fmt.Sprintf("entries=%d/octets=%d", c.Stats().Entries, len(dump))
	b.Run("dump/"+name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var to discard
			if _, err := c.Dump(&to, start, noRest); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load/"+name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			to := newCache(b, rrcache.Config{Bytes: n * 220})
			b.StartTimer()
			if got, err := to.Load(bytes.NewReader(dump), start, noRest); err != nil || got.Kept < n*9/10 {
				b.Fatalf("%+v, %v", got, err)
			}
		}
	})
}

type discard struct{}

func (*discard) Write(b []byte) (int, error) { return len(b), nil }

// slowReader takes nothing before it is released.
type slowReader struct{ reached, release chan bool }

func (s slowReader) Write(b []byte) (int, error) {
	select {
	case s.reached <- true:
	default:
	}
	<-s.release
	return len(b), nil
}

// TestSlowDumpHoldsNobodyUp: while somebody does not take what a dump writes, answers are forgotten and the cache changes its size.
func TestSlowDumpHoldsNobodyUp(t *testing.T) {
	c := newCache(t, rrcache.Config{Bytes: 4 * rrcache.BytesMin})
	keys := benchKeys(10_000, "slow")
	for i := range keys {
		put(t, c, &keys[i], "192.0.2.1", 300, at(0))
	}
	slow := slowReader{make(chan bool, 1), make(chan bool)}
	ended := make(chan error)
	go func() {
		_, err := c.Dump(slow, at(1), noRest)
		ended <- err
	}()
	<-slow.reached
	if n := c.Flush(dnsname.Name(keys[0].Name), false); n != 1 {
		t.Errorf("%d answers were forgotten", n)
	}
	if err := c.Resize(rrcache.BytesMin, at(1), noRest); err != nil {
		t.Error(err)
	}
	c.FlushAll()
	close(slow.release)
	if err := errors.Join(<-ended, c.Check()); err != nil {
		t.Error(err)
	}
}
