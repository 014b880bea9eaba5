package rrcache

import "sync/atomic"

// counts of one shard. They are written by readers and writers alike.
type counts struct {
	hits, stale, misses, evictions atomic.Uint64
}

// Stats is what a cache holds and has done since it was made.
type Stats struct {
	Entries   int   // answers that are there, expired ones included
	Bytes     int64 // octets of their records
	Capacity  int64 // octets the cache has taken in all: fixed, at most Config.Bytes
	Hits      uint64
	Stale     uint64 // looked up past their TTL, within StaleMax
	Misses    uint64
	Evictions uint64           // pushed out by others
	Refused   [refusals]uint64 // by Refusal
}

// RefusedTotal sums the refusals.
func (s *Stats) RefusedTotal() (n uint64) {
	for _, v := range s.Refused {
		n += v
	}
	return n
}

// Stats adds up the shards. Each is right by itself; the sum is not of one moment.
func (c *Cache) Stats() Stats {
	var sum Stats
	for i := range c.shards {
		c.shards[i].addTo(&sum)
	}
	return sum
}

func (s *shard) addTo(sum *Stats) {
	s.mu.RLock()
	sum.Entries += s.live
	sum.Bytes += s.liveBytes
	s.mu.RUnlock()
	sum.Capacity += int64(len(s.arena)) + int64(len(s.slots))*slotSize + int64(len(s.ghosts))*ghostSize
	sum.Hits += s.counts.hits.Load()
	sum.Stale += s.counts.stale.Load()
	sum.Misses += s.counts.misses.Load()
	sum.Evictions += s.counts.evictions.Load()
	for i := range s.refusedFor {
		sum.Refused[i] += s.refusedFor[i].Load()
	}
}
