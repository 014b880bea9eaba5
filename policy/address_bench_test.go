package policy_test

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"runtime"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// addressRulesMany is about how many addresses the largest public lists have.
const addressRulesMany = 300_000

// manyAddresses are n addresses of IPv4, some in runs as lists have them, and a tenth of prefixes.
func manyAddresses(n int) (out []netip.Prefix) {
	r := rand.New(rand.NewPCG(4, 2))
	seen := map[netip.Prefix]bool{}
	for len(out) < n {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+r.Uint32N(0xc0000000))
		for range 1 + r.IntN(3) {
			p := netip.PrefixFrom(netip.AddrFrom4(a), 32)
			if r.IntN(10) == 0 {
				p = netip.PrefixFrom(p.Addr(), 24+r.IntN(8)).Masked()
			}
			if !seen[p] && len(out) < n {
				seen[p] = true
				out = append(out, p)
			}
			a[3]++
		}
	}
	return out
}

// addressIndex is an index of rules by answered addresses.
func addressIndex(b testing.TB, prefixes []netip.Prefix) *nameindex.Index {
	b.Helper()
	build := nameindex.NewBuilder(nameindex.BuildOptions{Names: len(prefixes)})
	set := build.AddSet(policy.EncodeSet([]policy.Member{{Family: 0, Threat: 0, Confidence: policy.ConfidenceUnknown}}))
	for _, p := range prefixes {
		if err := build.Add(policy.AppendPrefixKey(nil, policy.TriggerIP, p), set); err != nil {
			b.Fatal(err)
		}
	}
	manifest, err := json.Marshal(policy.Manifest{Generation: 1, Families: []string{""}, Threats: []string{""},
		Feeds: []policy.Feed{{Name: "ips", Triggers: policy.TriggerCounts{IP: len(prefixes)}}}})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "policy.idx")
	if _, err := build.WriteFile(path, manifest); err != nil {
		b.Fatal(err)
	}
	index, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return index
}

func addressPolicy(b testing.TB, index *nameindex.Index) *policy.Policy {
	b.Helper()
	p, err := policy.New(policy.Config{Zones: []policy.Zone{{Name: "ips", Feeds: []string{"ips"}}}, Index: index})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// held is what the heap holds, in octets.
func held() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkAddressRules300k says what so many rules by address cost: octets of the heap for each, the time to make a policy of an index that is
// there, and a look at an answer, listed and not.
func BenchmarkAddressRules300k(b *testing.B) {
	index := addressIndex(b, manyAddresses(addressRulesMany))
	b.Run("policy", func(b *testing.B) {
		before := held()
		p := addressPolicy(b, index)
		each := float64(held()-before) / addressRulesMany
		runtime.KeepAlive(p)
		for b.Loop() {
			addressPolicy(b, index)
		}
		b.ReportMetric(each, "octets/address")
	})
	p := addressPolicy(b, index)
	q := ask(dnsname.MustParse("www.example"), 1)
	listed := manyAddresses(addressRulesMany)
	for name, addr := range map[string]string{"listed": listed[0].Addr().String(), "clean": "10.1.2.3"} {
		msg := answer(b, "www.example", true, "www.example. A "+addr)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.CheckAnswer(q, &policy.Answer{Msg: msg}, policy.Decision{})
			}
		})
	}
}
