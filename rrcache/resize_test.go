package rrcache_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"cenote/rrcache"

	"github.com/miekg/dns"
)

func resize(t testing.TB, c *rrcache.Cache, bytes int64) {
	t.Helper()
	if err := c.Resize(bytes, start, func() {}); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.Capacity > bytes || s.Capacity < bytes-bytes/100 {
		t.Errorf("a cache of %d octets takes %d, want at most that and at least 99%%", bytes, s.Capacity)
	}
	if err := c.Check(); err != nil {
		t.Errorf("of %d octets: %v", bytes, err)
	}
}

// TestResizeKeepsWhatFits: through larger and smaller sizes, with fewer and more shards, nothing that has room is lost, nor what is known of it.
func TestResizeKeepsWhatFits(t *testing.T) {
	c := newCache(t, rrcache.Config{Bytes: rrcache.BytesMin})
	keys, dst := make([]*rrcache.Key, 500), make([]byte, 512)
	for i := range keys {
		name := fmt.Sprintf("n%d.example.", i)
		keys[i] = keyOf(name, dns.TypeA)
		c.Put(keys[i], pack(t, response(t, name, dns.TypeA, 0, name+" 100 IN A 192.0.2.1")), start)
		c.Get(keys[i], start, dst)
		c.Stamp(keys[i], uint64(i))
	}
	for _, bytes := range []int64{5 << 20, 70 << 20, 68 << 20, 2 << 20, 16 << 20, rrcache.BytesMin, 7_777_777} {
		resize(t, c, bytes)
		for i, k := range keys {
			if a := c.Peek(k, at(30), dst); a.State != rrcache.Fresh || a.TTL != 70 || a.Stamp != uint64(i) {
				t.Fatalf("of %d octets: %s is %+v, want fresh for 70 s with stamp %d", bytes, k.Name, a, i)
			}
		}
	}
	if s := c.Stats(); s.Entries != len(keys) || s.Evictions != 0 || s.Hits != uint64(len(keys)) {
		t.Errorf("%d entries, %d evictions, %d hits; want all %d, none, and what was counted before", s.Entries, s.Evictions, s.Hits, len(keys))
	}
}

// TestShrinkKeepsThePopularOnes: what does not fit goes at once, and of what was asked for again most stays.
func TestShrinkKeepsThePopularOnes(t *testing.T) {
	c := newCrowd(t, 2000)
	resize(t, c.cache, 4<<20)
	for range 4 {
		for _, k := range c.popular {
			c.ask(k)
		}
	}
	c.flood(20_000, 1)
	for _, k := range c.popular {
		c.ask(k)
	}
	resize(t, c.cache, rrcache.BytesMin)
	if s := c.cache.Stats(); s.Evictions == 0 || s.Bytes > rrcache.BytesMin {
		t.Errorf("%d evictions, %d octets left; want some, and at most %d", s.Evictions, s.Bytes, rrcache.BytesMin)
	}
	stay := 0
	for _, k := range c.popular {
		if c.cache.Peek(k, start, c.dst).State == rrcache.Fresh {
			stay++
		}
	}
	if stay < len(c.popular)*9/10 {
		t.Errorf("%d of %d popular answers stay, want most", stay, len(c.popular))
	}
}

// TestBoundWhileResizing: at no time more is taken than the larger size and one shard of the smaller.
func TestBoundWhileResizing(t *testing.T) {
	c := newCache(t, rrcache.Config{Bytes: 8 << 20})
	for i := range 2000 {
		name := fmt.Sprintf("n%d.example.", i)
		c.Put(keyOf(name, dns.TypeA), pack(t, response(t, name, dns.TypeA, 0, name+" 100 IN A 192.0.2.1")), start)
	}
	was := int64(8 << 20)
	for _, bytes := range []int64{24 << 20, 8 << 20, 2 << 20, 9 << 20} {
		looks, most, least := 0, int64(0), 2000
		err := c.Resize(bytes, start, func() {
			s := c.Stats()
			looks, most, least = looks+1, max(most, s.Capacity), min(least, s.Entries)
		})
		if err != nil || looks < 10 {
			t.Fatalf("%v, %d looks; want enough to see it", err, looks)
		}
		if bound := max(was, bytes) + 2<<20; most > bound {
			t.Errorf("from %d to %d octets up to %d were taken, want at most %d", was, bytes, most, bound)
		}
		if least != 2000 {
			t.Errorf("from %d to %d octets only %d entries were counted at a time, want all 2000", was, bytes, least)
		}
		was = bytes
	}
}

// TestNobodySeesAResize: whoever puts, gets, stamps and removes meanwhile finds what it did last. All has room at every size.
func TestNobodySeesAResize(t *testing.T) {
	c := newCache(t, rrcache.Config{Bytes: 4 << 20})
	stop := make(chan struct{})
	var users sync.WaitGroup
	for g := range 4 {
		users.Go(func() { useWhile(t, c, g, stop) })
	}
	for range 4 {
		for _, bytes := range []int64{16 << 20, 6 << 20, 9 << 20, 4 << 20} {
			resize(t, c, bytes)
		}
	}
	close(stop)
	users.Wait()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// useWhile works on names of its own until stop is closed.
func useWhile(t *testing.T, c *rrcache.Cache, user int, stop <-chan struct{}) {
	dst := make([]byte, 512)
	keys, messages := make([]*rrcache.Key, 50), make([][2][]byte, 50)
	for i := range keys {
		name := fmt.Sprintf("n%d.user%d.example.", i, user)
		keys[i] = keyOf(name, dns.TypeA)
		for j := range messages[i] {
			messages[i][j] = pack(t, response(t, name, dns.TypeA, 0, fmt.Sprintf("%s 100 IN A 192.0.2.%d", name, j+1)))
		}
	}
	for round := uint64(0); ; round++ {
		for i, k := range keys {
			select {
			case <-stop:
				return
			default:
			}
			if round > 0 {
				if a := c.Get(k, start, dst); a.State != rrcache.Fresh || a.Stamp != round || !sameData(dst[:a.Len], messages[i][(round-1)%2]) {
					t.Errorf("%s in round %d is %+v, want what was put and its stamp", k.Name, round, a)
					return
				}
			}
			if round%3 == 2 {
				c.Remove(k)
				if a := c.Peek(k, start, dst); a.State != rrcache.Miss {
					t.Errorf("%s was removed, and is %+v", k.Name, a)
					return
				}
			}
			c.Put(k, messages[i][round%2], start)
			c.Peek(k, start, dst)
			c.Stamp(k, round+1)
		}
	}
}

// sameData compares the last octet of an address.
func sameData(a, b []byte) bool { return slices.Equal(a[len(a)-4:], b[len(b)-4:]) }

func TestResizeIsChecked(t *testing.T) {
	c := newCache(t, rrcache.Config{})
	for _, bytes := range []int64{-1, 0, rrcache.BytesMin - 1, rrcache.BytesMax + 1} {
		if err := c.Resize(bytes, start, func() {}); err == nil {
			t.Errorf("%d octets are no fault", bytes)
		}
	}
}
