package rrcache

import "cenote/dnsname"

// scanStep is how many records a flush looks at before it lets others have the shard.
const scanStep = 256

// Flush forgets every answer for name, and with subtree for every name below it too, and returns how many there were. It walks the whole
// cache, a little at a time. What is put while it runs may stay. It waits for a Resize to end.
func (c *Cache) Flush(name dnsname.Name, subtree bool) int {
	name = name.Canonical()
	forget := func(r record) bool {
		owner := r.name()
		if !subtree {
			return string(owner) == string(name)
		}
		for len(owner) > len(name) {
			owner = owner[1+int(owner[0]):]
		}
		return string(owner) == string(name)
	}
	return c.flush(forget)
}

// FlushAll forgets every answer and returns how many there were.
func (c *Cache) FlushAll() int {
	return c.flush(func(record) bool { return true })
}

func (c *Cache) flush(forget func(record) bool) (n int) {
	c.walking.Lock()
	defer c.walking.Unlock()
	for i := range c.places {
		s := c.places[i].Load()
		if s.place != i {
			continue // it was met before
		}
		// The small ring first: what moves to the main one meanwhile is met there.
		n += s.scan(&s.small, forget) + s.scan(&s.main, forget)
	}
	return n
}

// scan forgets records of one ring, oldest first. It ends where the youngest was when it began, or after one more round for those that
// were moved meanwhile.
func (s *shard) scan(q *queue, forget func(record) bool) (n int) {
	s.mu.RLock()
	pos, end := q.tail, q.head+q.size
	s.mu.RUnlock()
	for more := true; more; {
		var found int
		pos, found, more = s.scanSome(q, pos, end, forget)
		n += found
	}
	return n
}

// scanSome goes on from pos for up to scanStep records.
func (s *shard) scanSome(q *queue, pos, end uint64, forget func(record) bool) (next uint64, n int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pos = max(pos, q.tail)
	for range scanStep {
		if pos >= min(q.head, end) {
			return pos, n, false
		}
		off := q.at(pos)
		r := s.record(off)
		pos += uint64(r.size())
		if !r.dead() && forget(r) {
			s.remove(s.slotAt(r.tag(), off))
			n++
		}
	}
	return pos, n, true
}
