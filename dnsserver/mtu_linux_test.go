package dnsserver_test

import (
	"context"
	"net"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/dnstest"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// largeAnswers answers with 38 addresses in some 1,100 octets.
func largeAnswers(_ context.Context, name string) (*dns.Msg, error) {
	msg := new(dns.Msg)
	for i := range 38 {
		msg.Answer = append(msg.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(192, 0, 2, byte(i)),
		})
	}
	return msg, nil
}

// TestReplyLargerThanTheLink: no reply is sent in fragments. One that the link does not take is cut, and its client comes back over TCP.
func TestReplyLargerThanTheLink(t *testing.T) {
	t.Parallel()
	dnstest.OwnNetwork(t, 600)
	cache := newCache(t)
	s := startLive(t, dnsserver.Config{Cache: cache, Resolver: fakeNetwork(largeAnswers)})
	conn := s.dial("udp")
	for id, what := range []string{"waits for the network", "comes from the cache"} {
		if id == 1 {
			keepLargeAnswer(t, cache)
		}
		r := largeReply(t, conn, uint16(id))
		if !r.Truncated || len(r.Answer) != 0 || r.IsEdns0() == nil || r.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: %v\nwant a truncated reply with OPT and no records", what, r)
		}
	}
	if hits := cache.Stats().Hits; hits == 0 {
		t.Error("no reply came from the cache")
	}
	if r := largeReply(t, s.dial("tcp"), 3); r.Truncated || len(r.Answer) != 38 {
		t.Errorf("over TCP: %v\nwant 38 records", r)
	}
}

func keepLargeAnswer(t *testing.T, cache *rrcache.Cache) {
	t.Helper()
	name := dnsname.MustParse("large.example")
	key := rrcache.Key{Name: []byte(name), Type: dns.TypeA, Class: dns.ClassINET}
	answer, err := fakeNetwork(largeAnswers).Resolve(t.Context(), &key, nil)
	if err != nil || !cache.Put(&key, answer.Msg, time.Now().UnixNano()) {
		t.Fatalf("the answer is not kept (%v)", err)
	}
}

func largeReply(t *testing.T, conn net.Conn, id uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("large.example.", dns.TypeA)
	m.SetEdns0(1232, false)
	m.Id = id
	c := &dns.Conn{Conn: conn, UDPSize: 4096}
	if err := c.WriteMsg(m); err != nil {
		t.Fatal(err)
	}
	r, err := c.ReadMsg()
	if err != nil {
		t.Fatalf("%s: %v", conn.RemoteAddr().Network(), err)
	}
	return r
}
