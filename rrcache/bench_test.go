package rrcache_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"cenote/dnsname"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

func benchKeys(n int, label string) []rrcache.Key {
	keys := make([]rrcache.Key, n)
	for i := range keys {
		keys[i] = *keyOf(fmt.Sprintf("host%d.%s.example", i, label), dns.TypeA)
	}
	return keys
}

func benchFill(b *testing.B, keys []rrcache.Key) *rrcache.Cache {
	c := newCache(b, rrcache.Config{Bytes: max(rrcache.BytesMin, int64(len(keys))*220)})
	for i := range keys {
		c.Put(&keys[i], benchMessage(b, &keys[i]), start)
	}
	return c
}

func benchMessage(b *testing.B, k *rrcache.Key) []byte {
	name := dns.Fqdn(dnsname.Name(k.Name).String())
	return pack(b, response(b, name, dns.TypeA, 0, name+" 3600 IN A 192.0.2.1"))
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		keys := benchKeys(n, "bench")
		c := benchFill(b, keys)
		absent := benchKeys(n, "absent")
		b.Run(fmt.Sprintf("hit/entries=%d", c.Stats().Entries), func(b *testing.B) { benchGet(b, c, keys) })
		b.Run(fmt.Sprintf("miss/entries=%d", c.Stats().Entries), func(b *testing.B) { benchGet(b, c, absent) })
		b.Run(fmt.Sprintf("hot/entries=%d", c.Stats().Entries), func(b *testing.B) { benchGet(b, c, keys[:100]) })
	}
}

func benchGet(b *testing.B, c *rrcache.Cache, keys []rrcache.Key) {
	dst, rng := make([]byte, 1232), rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		c.Get(&keys[rng.IntN(len(keys))], start, dst)
	}
}

func BenchmarkGetParallelHot(b *testing.B) {
	keys := benchKeys(10_000, "bench")
	c := benchFill(b, keys)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		dst, k := make([]byte, 1232), keys[0]
		for p.Next() {
			c.Get(&k, start, dst)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	keys := benchKeys(100_000, "bench")
	msgs := make([][]byte, len(keys))
	for i := range keys {
		msgs[i] = benchMessage(b, &keys[i])
	}
	c := newCache(b, rrcache.Config{}) // holds a few thousand: nearly every Put evicts
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Put(&keys[i%len(keys)], msgs[i%len(keys)], start)
	}
}
