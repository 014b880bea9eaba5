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

// addressIndex is what build makes of rules by answered addresses.
func addressIndex(b testing.TB, build *nameindex.Builder, prefixes []netip.Prefix) *nameindex.Index {
	b.Helper()
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
// there, and one that has 1,000 addresses more, and a look at an answer, listed and not.
func BenchmarkAddressRules300k(b *testing.B) {
	index := addressIndex(b, nameindex.NewBuilder(nameindex.BuildOptions{}), manyAddresses(addressRulesMany))
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
	b.Run("delta", func(b *testing.B) {
		build := nameindex.NewBuilder(nameindex.BuildOptions{Base: index})
		delta, err := index.With(addressIndex(b, build, manyAddresses(addressRulesMany + 1000)[addressRulesMany:]))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := p.With(delta, 2); err != nil {
				b.Fatal(err)
			}
		}
	})
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

// TestListedAddressesTakeNoAllocation: an answer with an address that prefixes of several lengths list, and that is itself listed, costs none.
func TestListedAddressesTakeNoAllocation(t *testing.T) {
	var rules []netip.Prefix
	for _, text := range []string{"192.0.2.0/24", "192.0.2.0/28", "192.0.2.7/32", "2001:db8::7/128"} {
		rules = append(rules, netip.MustParsePrefix(text))
	}
	p := addressPolicy(t, addressIndex(t, nameindex.NewBuilder(nameindex.BuildOptions{}), rules))
	q := ask(dnsname.MustParse("www.example"), 1)
	for text, want := range map[string]string{"A 192.0.2.7": "192.0.2.7/32", "A 192.0.2.9": "192.0.2.0/28", "AAAA 2001:db8::7": "2001:db8::7/128", "A 198.51.100.1": ""} {
		a := &policy.Answer{Msg: answer(t, "www.example", true, "www.example. "+text)}
		var d policy.Decision
		if n := testing.AllocsPerRun(200, func() { d = p.CheckAnswer(q, a, policy.Decision{}) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", text, n)
		}
		got := ""
		if d.Matched() {
			got = p.Prefix(&d.Winner).String()
		}
		if got != want {
			t.Errorf("%s: got the rule %q, want %q", text, got, want)
		}
	}
}
