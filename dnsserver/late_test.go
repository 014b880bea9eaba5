package dnsserver_test

import (
	"testing"
	"time"

	"cenote/dnsserver"
	"cenote/policy"

	"github.com/miekg/dns"
)

// An answer that the world held back for seconds is not sent whole to an address that may be forged.
func TestLateAnswersAreCut(t *testing.T) {
	for _, c := range []struct {
		name      string
		name2     string
		age       time.Duration
		transport policy.Transport
		want      string
	}{
		{"in time", "www.example", time.Second, policy.TransportUDP, "NOERROR"},
		{"late", "www.example", 3 * time.Second, policy.TransportUDP, "NOERROR TC"},
		{"late, no such name", "none.example", 3 * time.Second, policy.TransportUDP, "NOERROR TC"},
		{"late, a failure", "bad.example", 3 * time.Second, policy.TransportUDP, "SERVFAIL"},
		{"late, by TCP", "www.example", 3 * time.Second, policy.TransportTCP, "NOERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 A 192.0.2.1", "bad.example A": "<SERVFAIL>"}})
			b.fill(must1(query(c.name2, dns.TypeA).Pack()))
			b.q.Time, b.q.Transport = time.Now().Add(-c.age), c.transport
			if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.NeedNetwork {
				t.Fatalf("verdict = %v, want NeedNetwork", v)
			}
			dnsserver.Resolve(t.Context(), b.worker, &b.q)
			if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.Replied {
				t.Fatalf("verdict = %v, want Replied", v)
			}
			var r dns.Msg
			must(t, r.Unpack(b.q.Reply))
			got := dns.RcodeToString[r.Rcode]
			if r.Truncated {
				got += " TC"
			}
			if got != c.want || r.Truncated && len(r.Answer)+len(r.Ns) > 0 {
				t.Errorf("got %s, want %s\n%v", got, c.want, &r)
			}
		})
	}
}
