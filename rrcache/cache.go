package rrcache

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"cenote/hugepage"
)

// Config says how much a Cache keeps and for how long. Zero values stand for the defaults.
type Config struct {
	// Bytes is all the memory the cache takes: records, slots and ghosts. It is taken when the cache is made, and Resize
	// alone changes it. A plain answer needs about 120 octets, a signed one about 500. At least 1 MiB, at most 1 TiB. Default 64 MiB; an operator with 100,000
	// clients gives it 1 << 30.
	Bytes int64
	// MessageMax is the longest message kept, in octets. Default and upper limit 16384. Example: 4096.
	MessageMax int
	// TTLMin raises shorter TTLs. Above 0 it keeps what its owner wanted to be asked for every time. Default 0. Example: 5s.
	TTLMin time.Duration
	// TTLMax lowers longer TTLs, so that what was seized or moved is not served for weeks. Default 24h. Example: 1h.
	TTLMax time.Duration
	// NegativeTTLMin is TTLMin for NXDOMAIN and NODATA, where it is more. Default 0. Example: 10s.
	NegativeTTLMin time.Duration
	// NegativeTTLMax is TTLMax for NXDOMAIN and NODATA (RFC 2308 section 5). Default 1h. Example: 5m.
	NegativeTTLMax time.Duration
	// FailureTTL is how long SERVFAIL is remembered (RFC 9520 section 3.2). From 1s to 5s. Default 2s.
	FailureTTL time.Duration
	// StaleMax is how long past its TTL an answer may still be given if nobody can be asked (RFC 8767). Negative: never. Default 24h.
	StaleMax time.Duration
	// StaleTTL is the TTL of a stale answer (RFC 8767 section 4). Default 30s.
	StaleTTL time.Duration
	// StaleHold is for how long a stale answer is given at once after a refresh of it failed (RFC 8767 section 5, failure recheck
	// timer). Default 30s. Example: 10s.
	StaleHold time.Duration
	// PrefetchShare is the last part of the TTL, from 0 to 0.5, in which one caller is told to fetch an answer that was hit more than
	// once. Negative: never. Default 0.1.
	PrefetchShare float64
}

// Bounds and defaults of Config.
const (
	BytesMin     = 1 << 20
	BytesMax     = 1 << 40
	bytesDefault = 64 << 20
	messageMax   = 16 << 10
	ttlCeiling   = 1 << 31 * time.Second // RFC 2181 section 8
	shardsMax    = 256
	shardBytes   = 1 << 20 // shards are split no further than this
)

func (c *Config) setDefaults() {
	orDefault(&c.Bytes, bytesDefault)
	orDefault(&c.MessageMax, messageMax)
	orDefault(&c.TTLMax, 24*time.Hour)
	orDefault(&c.NegativeTTLMax, time.Hour)
	orDefault(&c.FailureTTL, 2*time.Second)
	orDefault(&c.StaleMax, 24*time.Hour)
	orDefault(&c.StaleTTL, 30*time.Second)
	orDefault(&c.StaleHold, 30*time.Second)
	orDefault(&c.PrefetchShare, 0.1)
	c.StaleMax = max(c.StaleMax, 0)
	c.PrefetchShare = max(c.PrefetchShare, 0)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) check() error {
	switch {
	case c.Bytes < BytesMin || c.Bytes > BytesMax:
		return fmt.Errorf("cache of %d octets: want %d to %d", c.Bytes, BytesMin, int64(BytesMax))
	case c.MessageMax < 512 || c.MessageMax > messageMax:
		return fmt.Errorf("longest message of the cache is %d octets: want 512 to %d", c.MessageMax, messageMax)
	case c.TTLMin < 0 || c.TTLMax < time.Second || c.TTLMin > c.TTLMax || c.TTLMax >= ttlCeiling:
		return fmt.Errorf("TTLs from %v to %v: want 0 <= min <= max, max at least 1s", c.TTLMin, c.TTLMax)
	case c.NegativeTTLMin < 0 || c.NegativeTTLMin > c.NegativeTTLMax || c.NegativeTTLMin > c.TTLMax:
		return fmt.Errorf("shortest negative TTL %v: want at most the longest, %v, and that of all answers, %v", c.NegativeTTLMin, c.NegativeTTLMax, c.TTLMax)
	case c.NegativeTTLMax < time.Second || c.NegativeTTLMax >= ttlCeiling:
		return fmt.Errorf("longest negative TTL %v: want at least 1s", c.NegativeTTLMax)
	case c.FailureTTL < time.Second || c.FailureTTL > 5*time.Second:
		return fmt.Errorf("TTL of failures %v: want 1s to 5s (RFC 9520)", c.FailureTTL)
	case c.StaleTTL < time.Second || c.StaleTTL >= ttlCeiling || c.StaleMax >= ttlCeiling:
		return fmt.Errorf("stale answers with TTL %v for up to %v: want at least 1s, less than %v", c.StaleTTL, c.StaleMax, ttlCeiling)
	case c.StaleHold < 0 || c.StaleHold > time.Hour:
		return fmt.Errorf("hold of stale answers %v: want 0 to 1h", c.StaleHold)
	case c.PrefetchShare > 0.5:
		return fmt.Errorf("prefetch share %v: want at most 0.5", c.PrefetchShare)
	}
	return nil
}

// State says what Get found.
type State uint8

// The states of an answer.
const (
	Miss  State = iota // nothing that could be given
	Fresh              // within its TTL
	Stale              // past its TTL, within StaleMax: to be given if nothing newer can be had (RFC 8767)
)

// String names the state for logs and tests.
func (s State) String() string {
	switch s {
	case Miss:
		return "miss"
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	}
	return "unknown"
}

// Answer says what Get wrote to dst.
type Answer struct {
	Len      int    // of the message; if dst was too short, State is Miss and Len is what it takes
	State    State  // whether there is a message, and of what quality
	TTL      uint32 // the smallest TTL in the message, in s
	Stamp    uint64 // the policy generation at which it was found clean, 0 for none; generations are below 2^59
	Prefetch bool   // the caller is the one to fetch it anew, soon
	Held     bool   // stale, and a try to refresh it failed less than StaleHold ago: give it without another one
}

// Cache keeps answers. New makes one.
type Cache struct {
	config   atomic.Pointer[Config] // with its defaults, never changed once stored
	sources  atomic.Pointer[Sources]
	hash     hasher
	places   [shardsMax]atomic.Pointer[shard] // by the first octet of a hash; where there are fewer shards, each has several places
	tallies  [shardsMax]tally                 // by the place of the shard
	builders sync.Pool                        // of *builder
	settling sync.Mutex                       // held while config is replaced
	walking  sync.Mutex                       // held by whoever walks through all shards or replaces them
}

// New returns an empty cache that has taken all its memory.
func New(config Config) (*Cache, error) {
	config.setDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	c := &Cache{hash: newHasher()}
	c.config.Store(&config)
	c.builders.New = func() any { return new(builder) }
	n := shardCount(config.Bytes)
	for i := range c.places {
		if i < n {
			c.places[i].Store(newShard(i, config.Bytes/int64(n), &c.tallies[i]))
		} else {
			c.places[i].Store(c.places[i-n].Load())
		}
	}
	return c, nil
}

// Update takes over every setting but Bytes, which Resize changes. What is in the cache keeps the TTL it has.
func (c *Cache) Update(config Config) error {
	config.setDefaults()
	if err := config.check(); err != nil {
		return err
	}
	c.settle(func(now *Config) {
		config.Bytes = now.Bytes
		*now = config
	})
	return nil
}

// settle puts a changed config in force.
func (c *Cache) settle(change func(*Config)) {
	c.settling.Lock()
	defer c.settling.Unlock()
	config := *c.config.Load()
	change(&config)
	c.config.Store(&config)
}

func shardCount(bytes int64) int {
	n := 1
	for n < shardsMax && int64(n)*2*shardBytes <= bytes {
		n *= 2
	}
	return n
}

// Shares of a shard's memory. Most records are longer than slotSpan/0.75, so that the arena is full before the slots are.
const (
	slotSize   = 16
	slotSpan   = 80 // octets of arena for one slot
	ghostSpan  = 2 * slotSpan
	ghostSize  = 4
	smallShare = 10 // the small ring is a tenth of the arena
)

// newShard makes an empty shard that has taken its memory.
func newShard(place int, bytes int64, t *tally) *shard {
	s := &shard{place: place, tally: t}
	s.allocate(bytes)
	return s
}

// allocate divides bytes into arena, slots and ghosts.
func (s *shard) allocate(bytes int64) {
	const unit = ghostSpan + 2*slotSize + ghostSize // a span of arena with all that serves it
	ghosts := bytes / unit
	arena := ghosts * ghostSpan
	small := arena / smallShare &^ (recordAlign - 1)
	s.slots, s.ghosts = hugepage.Make[slot](int(2*ghosts)), make([]uint32, ghosts)
	s.arena = hugepage.Make[byte](int(arena))
	s.small = queue{size: uint64(small)}
	s.main = queue{base: uint32(small), size: uint64(arena - small)}
	s.liveMax = len(s.slots) * 3 / 4
}

// Get looks k up at now, in ns since 1970, and writes the message to dst: id 0; QR and RA set, AD and RCODE as they were kept, all other
// flags clear; the question in canonical form; records with their TTLs aged; no OPT. It allocates nothing.
func (c *Cache) Get(k *Key, now int64, dst []byte) Answer {
	sum := c.hash.sum(k)
	s := c.rlock(sum)
	a := c.read(s, sum, k, now, dst, true)
	s.mu.RUnlock()
	switch a.State {
	case Fresh:
		s.counts.hits.Add(1)
	case Stale:
		s.counts.stale.Add(1)
	case Miss:
		s.counts.misses.Add(1)
	}
	return a
}

// Peek is Get for the one who fetches answers: it neither counts nor makes the answer look popular, and never asks for a prefetch.
func (c *Cache) Peek(k *Key, now int64, dst []byte) Answer {
	sum := c.hash.sum(k)
	s := c.rlock(sum)
	defer s.mu.RUnlock()
	return c.read(s, sum, k, now, dst, false)
}

// rlock returns the shard for a hash, read-locked. Its tag is the lower half of the hash.
func (c *Cache) rlock(sum uint64) *shard {
	for {
		s := c.places[sum>>56].Load()
		s.mu.RLock()
		if !s.retired {
			return s
		}
		s.mu.RUnlock() // another one has its place since
	}
}

// lock is rlock for who changes something.
func (c *Cache) lock(sum uint64) *shard {
	for {
		s := c.places[sum>>56].Load()
		s.mu.Lock()
		if !s.retired {
			return s
		}
		s.mu.Unlock()
	}
}

// read is Get and Peek while the shard is read-locked.
func (c *Cache) read(s *shard, sum uint64, k *Key, now int64, dst []byte, asked bool) Answer {
	k.version = 0
	if i, r := s.find(uint32(sum), k); i >= 0 {
		return c.give(s, i, r, k, now, dst, asked)
	}
	if s.origin == nil {
		return Answer{}
	}
	old := s.origin.of(sum)
	old.mu.RLock()
	defer old.mu.RUnlock()
	if i, r := old.find(uint32(sum), k); i >= 0 {
		return c.give(old, i, r, k, now, dst, asked)
	}
	return Answer{}
}

// give writes the record of slot i to dst, if it is of use.
func (c *Cache) give(s *shard, i int, r record, k *Key, now int64, dst []byte, asked bool) Answer {
	config, age := c.config.Load(), r.age(now)
	if age >= r.usable(int64(config.StaleMax)) {
		return Answer{}
	}
	if len(dst) < r.length() {
		return Answer{Len: r.length()}
	}
	sl := &s.slots[i]
	if asked {
		sl.touch()
	}
	k.version = r.version()
	a := Answer{Len: r.length(), State: Fresh, Stamp: sl.state.Load() >> stateBits}
	if age >= r.lifetime() {
		a.State, a.TTL, a.Held = Stale, seconds(config.StaleTTL), r.held(now)
		r.copyStale(dst, a.TTL)
		return a
	}
	gone := uint32(age / int64(time.Second))
	a.TTL = r.ttl() - gone
	r.copyTo(dst, gone)
	a.Prefetch = asked && config.isLate(age, r.lifetime()) && !r.held(now) && sl.claim()
	return a
}

// isLate reports whether age lies in the last share of a lifetime.
func (c *Config) isLate(age, lifetime int64) bool {
	return float64(lifetime-age) <= c.PrefetchShare*float64(lifetime)
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// Put keeps msg, a whole response to the question of k, from now on, and reports whether it did. What is refused is counted by reason.
// A failure never takes the place of an answer that could still be given: it puts that one on hold instead (RFC 8767 section 5), so that it is not
// fetched again for a while, and
// Put returns false. now must come from the same clock as Get's.
func (c *Cache) Put(k *Key, msg []byte, now int64) bool {
	b := c.builders.Get().(*builder)
	defer c.builders.Put(b)
	sum := c.hash.sum(k)
	config := c.config.Load()
	if why := b.build(config, k, uint32(sum), msg, now); why != refusedNot {
		c.places[sum>>56].Load().refusedFor[why].Add(1)
		return false
	}
	s := c.lock(sum)
	defer s.mu.Unlock()
	t := turn{shard: s, now: now, staleMax: int64(config.StaleMax), spare: b.spare, chances: secondChancesMax}
	t.fetch(sum, k)
	kept := t.put(k, b.record, int64(config.StaleHold))
	b.spare = t.spare
	return kept
}

// put stores rec in place of what the key has, or adds it.
func (t *turn) put(k *Key, rec record, holdNS int64) bool {
	t.version = max(t.version+1, 1) // 0 means none
	rec.setVersion(t.version)
	i, old := t.find(rec.tag(), k)
	if i < 0 {
		ghost := t.ghost(rec.tag())
		known := *ghost == rec.tag()
		if known {
			*ghost = 0
		}
		t.add(rec, known, 0)
		return true
	}
	if rec.failure() && !old.failure() && t.useful(old) {
		old.hold(t.now, holdNS)
		t.slots[i].disclaim()
		t.refusedFor[RefusedHeld].Add(1)
		return false
	}
	t.replace(i, old, rec)
	return true
}

// replace puts rec where old is if it fits there without waste, else at the young end of the same ring. Its popularity stays.
func (t *turn) replace(i int, old, rec record) {
	room, state := old.size(), t.slots[i].state.Load()&stateFrequency
	if n := rec.size(); n <= room && room-n <= room/4 {
		copy(old, rec)
		old.setSize(room)
		t.slots[i].state.Store(state)
		return
	}
	inMain := t.slots[i].off() >= t.main.base
	t.remove(i)
	t.add(rec, inMain, state)
}

// Stamp notes that the answer which Get or Peek last found by k was clean at a policy generation. If another has taken its place, or
// k found nothing, it does nothing.
func (c *Cache) Stamp(k *Key, generation uint64) {
	if k.version == 0 {
		return
	}
	sum := c.hash.sum(k)
	s := c.rlock(sum)
	defer s.mu.RUnlock()
	if s.stamp(sum, k, generation) || s.origin == nil {
		return
	}
	old := s.origin.of(sum)
	old.mu.RLock()
	defer old.mu.RUnlock()
	old.stamp(sum, k, generation)
}

// stamp is Stamp in a shard that is read-locked. It reports whether the shard has an answer to k.
func (s *shard) stamp(sum uint64, k *Key, generation uint64) bool {
	i, r := s.find(uint32(sum), k)
	if i >= 0 && r.version() == k.version {
		s.slots[i].stamp(generation)
	}
	return i >= 0
}

// Remove forgets the answer to k, fresh or not.
func (c *Cache) Remove(k *Key) {
	sum := c.hash.sum(k)
	s := c.lock(sum)
	defer s.mu.Unlock()
	s.forget(sum, k)
	if s.origin != nil {
		old := s.origin.of(sum)
		old.mu.Lock()
		defer old.mu.Unlock()
		old.forget(sum, k)
	}
}

func (s *shard) forget(sum uint64, k *Key) {
	if i, _ := s.find(uint32(sum), k); i >= 0 {
		s.remove(i)
	}
}
