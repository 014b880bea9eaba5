package rrcache

import "sync/atomic"

// tally is what the shards of one place have done. It outlives each of them.
type tally struct {
	counts     counts
	refusedFor [refusals]atomic.Uint64
	_          [64]byte // keeps the next one off its cache lines
}

// counts of one shard. They are written by readers and writers alike.
type counts struct {
	hits, stale, misses, evictions atomic.Uint64
}

// Stats is what a cache holds and has done since it was made.
type Stats struct {
	Entries   int   // answers that are there, expired ones included
	Bytes     int64 // octets of their records
	Capacity  int64 // octets the cache has taken in all: at most Config.Bytes, but for the time of a Resize
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
	for i := range c.places {
		if s := c.places[i].Load(); s.place == i {
			s.addTo(&sum)
		}
		c.tallies[i].addTo(&sum)
	}
	return sum
}

// addTo adds what the shard holds, and what a shard before it still holds, which the first of those that follow it counts.
func (s *shard) addTo(sum *Stats) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sum.Entries += s.live
	sum.Bytes += s.liveBytes
	sum.Capacity += int64(len(s.arena)) + int64(len(s.slots))*slotSize + int64(len(s.ghosts))*ghostSize
	if s.origin == nil {
		return
	}
	for _, old := range s.origin.shards {
		if old.place%int(s.origin.after) == s.place {
			old.addTo(sum)
		}
	}
}

func (t *tally) addTo(sum *Stats) {
	sum.Hits += t.counts.hits.Load()
	sum.Stale += t.counts.stale.Load()
	sum.Misses += t.counts.misses.Load()
	sum.Evictions += t.counts.evictions.Load()
	for i := range t.refusedFor {
		sum.Refused[i] += t.refusedFor[i].Load()
	}
}
