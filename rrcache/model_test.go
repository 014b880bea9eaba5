package rrcache_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// oracle is what a cache without bound would do, in the plainest way.
type oracle map[oracleKey]*oracleEntry

type oracleKey struct {
	name   string
	qtype  uint16
	do, cd bool
	group  uint16
}

type oracleEntry struct {
	msg        *dns.Msg
	stored     int64
	ttl        uint32
	failure    bool
	held       int64 // until when
	generation uint64
}

const oracleStale = 100 // seconds

func oracleKeyOf(k *rrcache.Key) oracleKey {
	return oracleKey{name: string(k.Name), qtype: k.Type, do: k.DO, cd: k.CD, group: k.Group}
}

// put returns whether m is kept. gone says that what the key had may have been pushed out.
func (o oracle) put(k *rrcache.Key, m *dns.Msg, now int64, gone bool) bool {
	e := &oracleEntry{msg: m.Copy(), stored: now, failure: m.Rcode == dns.RcodeServerFailure}
	old := o[oracleKeyOf(k)]
	switch {
	case e.failure:
		e.ttl, e.msg.Answer, e.msg.Ns = 2, nil, nil
		if !gone && old != nil && !old.failure && now < old.stored+int64(old.ttl+oracleStale)*1e9 {
			old.held = now + 10e9
			return false
		}
	default:
		e.ttl = 86400
		for _, rr := range append(append([]dns.RR{}, e.msg.Answer...), e.msg.Ns...) {
			h := rr.Header()
			if soa, ok := rr.(*dns.SOA); ok {
				h.Ttl = min(h.Ttl, soa.Minttl)
			}
			e.ttl = min(e.ttl, h.Ttl)
		}
		if e.ttl == 0 {
			return false
		}
	}
	o[oracleKeyOf(k)] = e
	return true
}

// get returns the message with its TTLs at now, nil for a miss.
func (o oracle) get(k *rrcache.Key, now int64) (*dns.Msg, rrcache.State, *oracleEntry) {
	e := o[oracleKeyOf(k)]
	if e == nil {
		return nil, rrcache.Miss, nil
	}
	age, state := uint32((now-e.stored)/1e9), rrcache.Fresh
	if age >= e.ttl {
		state = rrcache.Stale
	}
	if state == rrcache.Stale && (e.failure || age >= e.ttl+oracleStale) {
		return nil, rrcache.Miss, nil
	}
	m := e.msg.Copy()
	for _, rr := range append(append([]dns.RR{}, m.Answer...), m.Ns...) {
		if rr.Header().Ttl -= age; state == rrcache.Stale {
			rr.Header().Ttl = 30
		}
	}
	return m, state, e
}

// model drives a cache and an oracle with the same steps.
type model struct {
	*testing.T
	rng     *rand.Rand
	cache   *rrcache.Cache
	oracle  oracle
	now     int64
	names   int
	mayMiss bool // the cache is small: it may have dropped what the oracle has
	sizes   []int64
	moving  bool // a Resize is under way
	hits    int
}

func (m *model) key() *rrcache.Key {
	name := fmt.Sprintf("n%d.zone%d.example", m.rng.IntN(m.names), m.rng.IntN(3))
	k := keyOf(name, []uint16{dns.TypeA, dns.TypeTXT}[m.rng.IntN(2)])
	k.DO, k.CD, k.Group = m.rng.IntN(4) == 0, m.rng.IntN(8) == 0, []uint16{7: 1, 15: 257}[m.rng.IntN(16)]
	return k
}

func (m *model) reply(k *rrcache.Key) *dns.Msg {
	name := dns.Fqdn(dnsname.Name(k.Name).String())
	ttl := m.rng.IntN(200)
	soa := fmt.Sprintf("example. %d IN SOA ns.example. host.example. 1 2 3 4 %d", ttl, m.rng.IntN(200))
	switch m.rng.IntN(6) {
	case 0:
		return response(m, name, k.Type, dns.RcodeNameError, "--", soa)
	case 1:
		return response(m, name, k.Type, 0, fmt.Sprintf("%s %d IN CNAME a.example.", name, m.rng.IntN(300)), "--", soa)
	case 2:
		return response(m, name, k.Type, dns.RcodeServerFailure)
	}
	var records []string
	for i := range 1 + m.rng.IntN(5) {
		data := fmt.Sprintf("A 192.0.2.%d", m.rng.IntN(256))
		if k.Type == dns.TypeTXT {
			data = fmt.Sprintf("TXT %q", bytes.Repeat([]byte{'x'}, m.rng.IntN(250)))
		}
		records = append(records, fmt.Sprintf("%s %d IN %s", name, ttl+i, data))
	}
	return response(m, name, k.Type, 0, records...)
}

func (m *model) step() {
	k := m.key()
	switch m.rng.IntN(20) {
	default:
		m.lookUp(k)
	case 0, 1, 2, 3, 4, 5, 6:
		reply := m.reply(k)
		kept := m.cache.Put(k, pack(m, reply), m.now)
		if want := m.oracle.put(k, reply, m.now, m.mayMiss && kept); kept != want {
			m.Fatalf("%s: kept %v, want %v", dnsname.Name(k.Name), kept, want)
		}
	case 7:
		m.now += m.rng.Int64N(3e8)
	case 8:
		if m.rng.IntN(30) == 0 && !m.moving {
			m.flush(dnsname.Name(k.Name).Parent())
		}
	case 9:
		m.cache.Remove(k)
		delete(m.oracle, oracleKeyOf(k))
	case 10:
		if m.rng.IntN(40) == 0 && !m.moving {
			m.resize()
		}
	}
}

// resize changes the size of the cache, and goes on meanwhile.
func (m *model) resize() {
	m.moving = true
	err := m.cache.Resize(m.sizes[m.rng.IntN(len(m.sizes))], m.now, func() {
		if m.rng.IntN(4) == 0 {
			m.step()
		}
	})
	if err != nil {
		m.Fatal(err)
	}
	m.moving = false
}

func (m *model) lookUp(k *rrcache.Key) {
	a, got := get(m, m.cache, k, m.now)
	want, state, e := m.oracle.get(k, m.now)
	if got == nil && (want == nil || m.mayMiss) {
		return
	}
	if got == nil || want == nil || a.State != state || a.Held != (state == rrcache.Stale && m.now/1e9 < e.held/1e9) && a.State == rrcache.Stale && !near(m.now, e.held) {
		m.Fatalf("%s: got %+v %v, want %v %v", dnsname.Name(k.Name), a, got, state, want)
	}
	m.hits++
	got.Id, want.RecursionAvailable, want.RecursionDesired = want.Id, true, false
	if got.String() != want.String() {
		m.Fatalf("got\n%v\nwant\n%v", got, want)
	}
	if a.Stamp != e.generation && !m.mayMiss {
		m.Fatalf("stamp %d, want %d", a.Stamp, e.generation)
	}
	e.generation++
	m.cache.Stamp(k, e.generation)
}

// near allows a hold, which is kept in whole seconds, to end up to a second early.
func near(now, until int64) bool { return until-now < int64(time.Second) && now < until }

func (m *model) flush(name dnsname.Name) {
	m.cache.Flush(name, true)
	for k := range m.oracle {
		if n := dnsname.Name(k.name); n == name || n.IsBelow(name) {
			delete(m.oracle, k)
		}
	}
}

func TestAgainstOracle(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sizes []int64 // the first is to begin with
		names int
		steps int
	}{
		{"room for all", []int64{16 << 20, 12 << 20, 40 << 20, 20 << 20}, 20, 20_000},
		{"a fraction fits", []int64{rrcache.BytesMin, 2 << 20, 3 << 20, 9 << 20}, 500, 50_000},
	} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s, seed %d", tc.name, seed), func(t *testing.T) {
				t.Parallel()
				cache := newCache(t, rrcache.Config{Bytes: tc.sizes[0], StaleMax: oracleStale * time.Second, StaleHold: 10 * time.Second})
				m := &model{T: t, rng: rand.New(rand.NewPCG(seed, 1)), cache: cache, oracle: oracle{}, now: start, names: tc.names, sizes: tc.sizes, mayMiss: tc.sizes[0] == rrcache.BytesMin}
				steps := tc.steps
				if raceEnabled {
					steps /= 2
				}
				for i := range steps {
					if m.step(); i%5000 == 0 {
						if err := cache.Check(); err != nil {
							t.Fatal(err)
						}
					}
				}
				if m.hits < steps/50 {
					t.Errorf("only %d hits: the test compares too little", m.hits)
				}
				if s := cache.Stats(); m.mayMiss != (s.Evictions > 0) {
					t.Errorf("%d evictions, want some only where not all fits", s.Evictions)
				}
			})
		}
	}
}

// textOf makes a TXT answer all of whose records say the same, so that a torn one shows.
func textOf(t testing.TB, k *rrcache.Key, word string, records int) []byte {
	name := dns.Fqdn(dnsname.Name(k.Name).String())
	lines := make([]string, records)
	for i := range lines {
		lines[i] = fmt.Sprintf("%s 60 IN TXT %q", name, fmt.Sprintf("%s %04d", word, records))
	}
	return pack(t, response(t, name, dns.TypeTXT, 0, lines...))
}

func TestReadersNeverSeeHalfARecord(t *testing.T) {
	cache := newCache(t, rrcache.Config{})
	rounds := 1500
	if raceEnabled {
		rounds = 300
	}
	type variants struct {
		key  rrcache.Key
		msgs [2][]byte
	}
	all, rng := make([]variants, 600), rand.New(rand.NewPCG(1, 2))
	for i := range all {
		k := keyOf(fmt.Sprintf("n%d.example", i), dns.TypeTXT)
		all[i].key = *k
		for j := range all[i].msgs {
			all[i].msgs[j] = textOf(t, k, fmt.Sprintf("variant%d", j), 1+rng.IntN(120))
		}
	}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for g := range 4 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 2))
			for range rounds {
				v := &all[rng.IntN(len(all))]
				k := v.key
				cache.Put(&k, v.msgs[rng.IntN(2)], start)
				if rng.IntN(500) == 0 {
					cache.Flush(dnsname.Name(k.Name), false)
				}
			}
		})
	}
	for g := range 4 {
		readers.Go(func() {
			rng, dst := rand.New(rand.NewPCG(uint64(g), 3)), make([]byte, 16<<10)
			for {
				select {
				case <-stop:
					return
				default:
				}
				k := all[rng.IntN(len(all))].key
				if a := cache.Get(&k, start, dst); a.State != rrcache.Miss {
					checkWhole(t, &k, dst[:a.Len])
					cache.Stamp(&k, uint64(g))
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if err := cache.Check(); err != nil {
		t.Error(err)
	}
	if s := cache.Stats(); s.Hits == 0 || s.Evictions == 0 {
		t.Errorf("stats %+v: want hits and evictions, or nothing was tested", s)
	}
}

func checkWhole(t *testing.T, k *rrcache.Key, msg []byte) {
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		t.Errorf("what came out does not parse: %v", err)
		return
	}
	if m.Question[0].Name != dns.Fqdn(dnsname.Name(k.Name).String()) {
		t.Errorf("asked for %s, got %s", dnsname.Name(k.Name), m.Question[0].Name)
	}
	for _, rr := range m.Answer {
		text := rr.(*dns.TXT).Txt[0]
		if text != m.Answer[0].(*dns.TXT).Txt[0] || text[len(text)-4:] != fmt.Sprintf("%04d", len(m.Answer)) {
			t.Errorf("torn answer: %d records, %q beside %q", len(m.Answer), text, m.Answer[0])
			return
		}
	}
}

func TestPrefetchIsToldToOneOfMany(t *testing.T) {
	cache := newCache(t, rrcache.Config{})
	k := keyOf("www.example", dns.TypeTXT)
	cache.Put(k, textOf(t, k, "w", 1), start)
	get(t, cache, k, at(1))
	get(t, cache, k, at(1))
	var told [8]int
	var all sync.WaitGroup
	for g := range told {
		all.Go(func() {
			k, dst := keyOf("www.example", dns.TypeTXT), make([]byte, 512)
			for range 100 {
				if cache.Get(k, at(58), dst).Prefetch {
					told[g]++
				}
			}
		})
	}
	all.Wait()
	sum := 0
	for _, n := range told {
		sum += n
	}
	if sum != 1 {
		t.Errorf("%d callers were told to prefetch, want 1", sum)
	}
}

// crowd asks for names of which some are popular and most are new.
type crowd struct {
	testing.TB
	cache   *rrcache.Cache
	rng     *rand.Rand
	popular []*rrcache.Key
	dst     []byte
}

func newCrowd(t testing.TB, popular int) *crowd {
	c := &crowd{TB: t, cache: newCache(t, rrcache.Config{}), rng: rand.New(rand.NewPCG(4, 4)), dst: make([]byte, 512)}
	for i := range popular {
		c.popular = append(c.popular, keyOf(fmt.Sprintf("popular%d.example", i), dns.TypeA))
	}
	return c
}

// ask looks k up, puts it if it is not there, and reports whether it was.
func (c *crowd) ask(k *rrcache.Key) bool {
	if c.cache.Get(k, start, c.dst).State == rrcache.Fresh {
		return true
	}
	name := dns.Fqdn(dnsname.Name(k.Name).String())
	c.cache.Put(k, pack(c, response(c, name, dns.TypeA, 0, name+" 3600 IN A 192.0.2.1")), start)
	return false
}

// flood asks for new names, each of them times times.
func (c *crowd) flood(names, times int) {
	for range names {
		k := keyOf(fmt.Sprintf("%x.flood.example", c.rng.Uint64()), dns.TypeA)
		for range times {
			c.ask(k)
		}
	}
}

// share returns how many of the popular names were there during a flood of new ones that are asked for times times.
func (c *crowd) share(times int) float64 {
	hits := 0
	rounds := 3000
	if raceEnabled {
		rounds = 1500
	}
	for range rounds {
		c.flood(20, times)
		if c.ask(c.popular[c.rng.IntN(len(c.popular))]) {
			hits++
		}
	}
	return float64(hits) / float64(rounds)
}

func TestFloodLeavesThePopularOnes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		popular int
		times   int
	}{
		{"names asked for once", 500, 1},
		{"names asked for three times", 100, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCrowd(t, tc.popular)
			c.flood(12_000, tc.times) // so that the cache is full before the popular ones come
			for range 3 {
				for _, k := range c.popular {
					c.ask(k)
				}
			}
			if share := c.share(tc.times); share < 0.99 {
				t.Errorf("%.1f%% of the popular names were in the cache, want 99%%", 100*share)
			}
			if err := c.cache.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}
