package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// tailoring is a tree with a zone whose servers answer by the network of the client, and others that do not.
const tailoring = `
	zone .               server a.root.test @1
	zone test            server ns.nic.test @2
	zone cdn.test        server ns.cdn.test @3
	    www              A     192.0.2.1
	    plain            A     192.0.2.2
	    alias            CNAME www
	    away             CNAME www.other.test.
	    b.c.d            A     192.0.2.3
	zone other.test      server ns.other.test @4
	    www              A     192.0.2.7
	    in               CNAME www.cdn.test.
`

// startTailoring starts a resolver that tells the servers of cdn.test who asks. They answer www by the third octet of the network, for scope bits.
func startTailoring(t *testing.T, scope uint8, change ...func(*resolver.Config)) *rooted {
	t.Helper()
	zones := func(c *resolver.Config) {
		c.Recursion.Subnets.Zones = []dnsname.Name{dnsname.MustParse("cdn.test").Canonical()}
	}
	r := startRooted(t, tailoring, append([]func(*resolver.Config){zones}, change...)...)
	r.tree.Hook("@3", tailored(scope))
	return r
}

// tailored answers www by the network that is told.
func tailored(scope uint8) dnstest.Hook {
	return func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		p, err := netip.ParsePrefix(q.Subnet)
		if err != nil {
			return right
		}
		ecs := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), SourceScope: scope, Address: p.Addr().AsSlice()}
		if p.Addr().Is6() {
			ecs.Family = 2
		}
		opt := right.IsEdns0()
		opt.Option = append(opt.Option, ecs)
		for _, rr := range right.Answer {
			if a, ok := rr.(*dns.A); ok && p.Addr().Is4() {
				a.A = a.A.To4()
				a.A[2] = p.Addr().As4()[2]
			}
		}
		return right
	}
}

// askFrom asks as a client that lets others be told a prefix; "" for nobody. It returns the last answer.
func (r *rooted) askFrom(t *testing.T, client, name string) string {
	t.Helper()
	var asker netip.Prefix
	if client != "" {
		asker = netip.MustParsePrefix(client)
	}
	k := &rrcache.Key{Name: []byte(dnsname.MustParse(name).Canonical()), Type: dns.TypeA, Class: dns.ClassINET}
	got, err := r.Resolve(r.OneQuery(context.Background(), asker), k, nil)
	if err != nil {
		return err.Error()
	}
	var m dns.Msg
	if err := m.Unpack(got.Msg); err != nil || len(m.Answer) == 0 {
		return fmt.Sprint("no answer: ", err)
	}
	words := strings.Fields(m.Answer[len(m.Answer)-1].String())
	return words[len(words)-1]
}

// told are the networks that a server was told of, with the names, without those that it was not.
func (r *rooted) told(server string) (all []string) {
	for _, q := range r.tree.Queries(server) {
		if q.Subnet != "" {
			all = append(all, strings.ToLower(q.Name)+" "+q.Subnet)
		}
	}
	return all
}

// Clients of different networks get different answers, which those of one network share; nobody but the listed zone is told, and no more than the prefix.
func TestSubnetsTailorAnswers(t *testing.T) {
	clock := newClock()
	r := startTailoring(t, 24, func(c *resolver.Config) { c.Now = clock.now })
	for _, c := range []struct{ client, name, want string }{
		{"198.51.1.77/32", "www.cdn.test", "192.0.1.1"},
		{"198.51.2.77/32", "www.cdn.test", "192.0.2.1"},
		{"198.51.1.78/32", "www.cdn.test", "192.0.1.1"},
		{"198.51.1.79/32", "alias.cdn.test", "192.0.1.1"},
		{"198.51.3.1/32", "alias.cdn.test", "192.0.3.1"},
		{"198.51.3.1/32", "b.c.d.cdn.test", "192.0.3.3"},
		{"198.51.3.1/32", "away.cdn.test", "192.0.2.7"},
		{"198.51.3.1/32", "www.other.test", "192.0.2.7"},
	} {
		if got := r.askFrom(t, c.client, c.name); got != c.want {
			t.Errorf("%s for %s: got %s, want %s", c.name, c.client, got, c.want)
		}
	}
	for _, server := range []string{"@1", "@2", "@4"} {
		if told := r.told(server); len(told) > 0 {
			t.Errorf("%s, whose zone is not listed, was told of %v", server, told)
		}
	}
	told := r.told("@3")
	for _, line := range told {
		if !strings.HasSuffix(line, ".0/24") {
			t.Errorf("the zone was told more than the network: %s", line)
		}
		if strings.HasPrefix(line, "d.cdn.") {
			t.Errorf("told with a part of a name: %s", line)
		}
	}
	before := len(r.tree.Queries("@3"))
	clock.advance(100 * time.Second)
	r.askFrom(t, "198.51.2.1/32", "www.cdn.test")
	if n := len(r.tree.Queries("@3")); n != before {
		t.Errorf("what is known for the network was asked %d times again", n-before)
	}
	r.Flush(dnsname.MustParse("cdn.test").Canonical(), true)
	if r.askFrom(t, "198.51.2.1/32", "www.cdn.test"); len(r.tree.Queries("@3")) == before {
		t.Error("after a flush it was not asked again")
	}
}

// A client that says so is told of to nobody, nor is one whose address says nothing to strangers; what they get is given to nobody else.
func TestSubnetsAreTheClientsToTell(t *testing.T) {
	r := startTailoring(t, 24)
	for _, client := range []string{"", "10.1.2.3/32", "127.0.0.1/32", "100.64.7.7/32", "fd00::1/128"} {
		if got := r.askFrom(t, client, "www.cdn.test"); got != "192.0.2.1" {
			t.Errorf("for %q: got %s", client, got)
		}
	}
	if told := r.told("*"); len(told) > 0 {
		t.Errorf("told %v", told)
	}
	if n := len(r.tree.Queries("@3")); n != 1 {
		t.Errorf("asked %d times for clients of whom nobody is told", n)
	}
	if got := r.askFrom(t, "198.51.9.9/32", "www.cdn.test"); got != "192.0.9.1" {
		t.Errorf("after them: got %s", got)
	}
	r.askFrom(t, "198.51.100.9/16", "www.cdn.test")
	r.askFrom(t, "2001:db8:1:2ff::1/128", "www.cdn.test")
	want := []string{"www.cdn.test. 198.51.9.0/24", "www.cdn.test. 198.51.0.0/16", "www.cdn.test. 2001:db8:1:200::/56"}
	if got := r.told("@3"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// What a server says for all, or without the option, is for all. A scope that is shorter or longer than what was told, and a reply to another network.
func TestSubnetScopes(t *testing.T) {
	for _, c := range []struct {
		name  string
		hook  dnstest.Hook
		asked int // for clients of 198.51.1.0/24, 198.51.2.0/24 and 203.0.113.0/24
		want  string
	}{
		{"scope 0", tailored(0), 1, "192.0.1.1"},
		{"scope 8", tailored(8), 2, "192.0.113.1"},
		{"scope 24", tailored(24), 3, "192.0.113.1"},
		{"scope 32", tailored(32), 3, "192.0.113.1"},
		{"no option", nil, 1, "192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startTailoring(t, 0)
			r.tree.Hook("@3", c.hook)
			r.askFrom(t, "198.51.1.1/32", "www.cdn.test")
			r.askFrom(t, "198.51.2.1/32", "www.cdn.test")
			if got := r.askFrom(t, "203.0.113.1/32", "www.cdn.test"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := len(r.tree.Queries("@3")); got != c.asked {
				t.Errorf("asked %d times, want %d", got, c.asked)
			}
		})
	}
	r := startTailoring(t, 24)
	r.tree.Hook("@3", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		right = tailored(24)(q, right)
		if opt := right.IsEdns0(); len(opt.Option) > 0 {
			opt.Option[0].(*dns.EDNS0_SUBNET).Address[2] ^= 1
		}
		return right
	})
	if got := r.askFrom(t, "198.51.1.1/32", "www.cdn.test"); strings.HasPrefix(got, "192.") {
		t.Errorf("a reply to a query for another network was believed: %s", got)
	}
}

// However many networks ask, a bounded number of answers is kept for one name, and a bounded number of queries is under way for it.
func TestSubnetsAreBounded(t *testing.T) {
	r := startTailoring(t, 24)
	for i := range 200 {
		r.askFrom(t, fmt.Sprintf("198.51.%d.1/32", i), "www.cdn.test")
	}
	if n := r.Scoped(); n != 64 {
		t.Errorf("%d answers are kept for one name, want 64", n)
	}
	release := make(chan bool)
	r.tree.Hook("@3", func(_ dnstest.Query, right *dns.Msg) *dns.Msg {
		<-release
		return right
	})
	before := r.Stats().Joined
	var asking sync.WaitGroup
	for i := range 100 {
		asking.Go(func() { r.askFrom(t, fmt.Sprintf("198.51.%d.1/32", i), "plain.cdn.test") })
	}
	eventually(t, "all but 17 wait for the answer for nobody in particular", func() bool { return r.Stats().Joined-before == 100-17 })
	close(release)
	asking.Wait()
	networks := map[string]bool{}
	for _, line := range r.told("@3") {
		networks[line] = strings.HasPrefix(line, "plain.")
	}
	n := 0
	for _, plain := range networks {
		if plain {
			n++
		}
	}
	if n != 16 {
		t.Errorf("%d networks were told of for one name at once, want 16", n)
	}
}

// An alias of a zone that is not listed leads to one that is: nobody is told, and all get the same.
func TestSubnetsBehindAliasOfOthers(t *testing.T) {
	r := startTailoring(t, 24)
	for _, client := range []string{"198.51.1.1/32", "198.51.2.1/32"} {
		if got := r.askFrom(t, client, "in.other.test"); got != "192.0.2.1" {
			t.Errorf("for %s: got %s", client, got)
		}
	}
	if told := r.told("*"); len(told) > 0 {
		t.Errorf("told %v", told)
	}
}

// FuzzReplyScope holds that whatever a reply says of a network, its answer is for a part of the world that has the client in it.
func FuzzReplyScope(f *testing.F) {
	for _, option := range [][]byte{{0, 1, 24, 24, 198, 51, 1}, {0, 1, 24, 0, 198, 51, 1}, {0, 1, 24, 255, 198, 51, 1}, {0, 2, 56, 48, 32, 1, 13, 184, 0, 1, 2}, {0, 1}, {}} {
		m := new(dns.Msg).SetQuestion("www.cdn.test.", dns.TypeA).SetEdns0(1232, false)
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: option})
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, told := range []string{"198.51.1.0/24", "2001:db8:1:200::/56", "198.51.0.0/16"} {
			p := netip.MustParsePrefix(told)
			scope, ok := resolver.ReplyScope(packet, p)
			if scope.IsValid() && (!ok || scope.Bits() > p.Bits() || scope.Bits() < 1 || !scope.Contains(p.Addr()) || scope != scope.Masked()) {
				t.Errorf("told %v: scope %v, %v", p, scope, ok)
			}
		}
	})
}
