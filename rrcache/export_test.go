package rrcache

import "fmt"

// Check reports the first thing that is wrong with the inner order of the cache: rings that are not tiled by records, slots that point
// elsewhere, sums that do not add up.
func (c *Cache) Check() error {
	for i := range c.places {
		if err := c.places[i].Load().check(); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return nil
}

func (s *shard) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, bytes := 0, int64(0)
	for _, q := range []*queue{&s.small, &s.main} {
		if q.head-q.tail > q.size {
			return fmt.Errorf("ring of %d octets holds %d", q.size, q.head-q.tail)
		}
		for pos := q.tail; pos < q.head; {
			r := s.record(q.at(pos))
			if pos += uint64(r.size()); r.size() == 0 || r.size()%recordAlign != 0 || pos > q.head {
				return fmt.Errorf("record of %d octets at %d ends past %d", r.size(), pos, q.head)
			}
			if !r.dead() {
				live, bytes = live+1, bytes+int64(r.size())
			}
		}
	}
	slots := 0
	for i := range s.slots {
		if s.slots[i].ref == 0 {
			continue
		}
		slots++
		r := s.record(s.slots[i].off())
		if r.dead() || r.tag() != s.slots[i].tag() || s.slotAt(r.tag(), s.slots[i].off()) != i {
			return fmt.Errorf("slot %d points to a record that is not its own", i)
		}
	}
	if live != s.live || live != slots || bytes != s.liveBytes {
		return fmt.Errorf("%d live records of %d octets in the rings, %d and %d counted, %d slots", live, bytes, s.live, s.liveBytes, slots)
	}
	return nil
}

// Checksum is the checksum of a dump.
func Checksum(b []byte) uint32 { return checksum(b) }
