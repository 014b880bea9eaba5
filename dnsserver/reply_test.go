package dnsserver_test

import (
	"fmt"
	"strings"
	"testing"

	"cenote/dnsserver"

	"github.com/miekg/dns"
)

func TestLetterCaseIsKept(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	for range 2 { // from the network, then from the cache
		r := b.ask(query("wWw.eXaMpLe", dns.TypeA)) // ask compares the question octet by octet
		expect(t, r, "NOERROR", "wWw.eXaMpLe. 60 IN A 192.0.2.1")
	}
}

// big is an answer of about n octets.
func big(n int) map[string]string {
	var s strings.Builder
	for i := 0; s.Len() < n*2; i++ {
		fmt.Fprintf(&s, "big.example. 60 AAAA 2001:db8::%x\n", i+1)
		if (i+1)*28 > n {
			break
		}
	}
	return map[string]string{"big.example AAAA": s.String()}
}

func TestReplySize(t *testing.T) {
	for _, tc := range []struct {
		name   string
		octets int
		edns   uint16 // 0: none
		tcp    bool
		want   int // most octets; 0: not truncated
	}{
		{"small without EDNS", 300, 0, false, 0},
		{"512 without EDNS", 600, 0, false, 512},
		{"a size below 512 means 512", 300, 100, false, 0},
		{"the client's size", 1000, 600, false, 600},
		{"fits the client's size", 1000, 1232, false, 0},
		{"ours if the client's is larger", 2000, 4096, false, 1232},
		{"TCP has room", 2000, 600, true, 0},
		{"TCP without EDNS", 20000, 0, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: big(tc.octets)})
			b.tcp = tc.tcp
			m := new(dns.Msg)
			m.SetQuestion("big.example.", dns.TypeAAAA)
			if tc.edns > 0 {
				m.SetEdns0(tc.edns, false)
			}
			for _, from := range []string{"network", "cache"} {
				r := b.ask(m)
				if r.Truncated != (tc.want > 0) || r.Truncated && len(r.Answer)+len(r.Ns) > 0 || !r.Truncated && len(r.Answer) == 0 {
					t.Errorf("from %s: truncated %v with %d records", from, r.Truncated, len(r.Answer))
				}
				if got := r.Len(); tc.want > 0 && got > tc.want {
					t.Errorf("from %s: %d octets, want at most %d", from, got, tc.want)
				}
			}
		})
	}
}

// The limit is exact: an answer that fits to the octet is sent whole, and one octet less of room truncates it.
func TestReplySizeToTheOctet(t *testing.T) {
	b := newBench(t, options{answers: big(700)})
	m := query("big.example", dns.TypeAAAA)
	full := must1(b.ask(m).Pack())
	in := must1(m.Pack())
	b.fill(append([]byte{}, in...))
	dnsserver.Answer(b.worker, &b.q)
	size := len(b.q.Reply)
	for _, tc := range []struct {
		room      int
		truncated bool
	}{{size, false}, {size - 1, true}} {
		m.IsEdns0().SetUDPSize(uint16(tc.room))
		if r := b.ask(m); r.Truncated != tc.truncated {
			t.Errorf("%d octets of room for %d (%d packed elsewhere): truncated %v", tc.room, size, len(full), r.Truncated)
		}
	}
}

func TestNoRoomForAReply(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	b.out = make([]byte, 20)
	expect(t, b.ask(query("www.example", dns.TypeA)), "dropped")
}

func TestReplyFlags(t *testing.T) {
	answers := map[string]string{"signed.example A": "<AD>\nsigned.example. 60 A 192.0.2.1", "www.example A": "www.example. 60 A 192.0.2.1"}
	for _, tc := range []struct {
		name       string
		qname      string
		change     func(*dns.Msg)
		ad, cd, do bool
	}{
		{"validated, client does not care", "signed.example.", func(*dns.Msg) {}, false, false, false},
		{"validated, client sets AD", "signed.example.", func(m *dns.Msg) { m.AuthenticatedData = true }, true, false, false},
		{"validated, client sets DO", "signed.example.", func(m *dns.Msg) { m.IsEdns0().SetDo() }, true, false, true},
		{"not validated", "www.example.", func(m *dns.Msg) { m.AuthenticatedData = true }, false, false, false},
		{"CD comes back", "www.example.", func(m *dns.Msg) { m.CheckingDisabled = true }, false, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: answers})
			m := query(tc.qname, dns.TypeA)
			tc.change(m)
			r := b.ask(m)
			if r.AuthenticatedData != tc.ad || r.CheckingDisabled != tc.cd || r.IsEdns0().Do() != tc.do || !r.RecursionAvailable || !r.RecursionDesired || r.Authoritative {
				t.Errorf("flags = %v, DO %v; want AD %v CD %v DO %v RA RD, no AA", r.MsgHdr.String(), r.IsEdns0().Do(), tc.ad, tc.cd, tc.do)
			}
			if got := r.IsEdns0().UDPSize(); got != 1232 || r.IsEdns0().Version() != 0 {
				t.Errorf("OPT says %d octets, version %d, want 1232 and 0", got, r.IsEdns0().Version())
			}
		})
	}
}

func TestHideEDE(t *testing.T) {
	b := newBench(t, options{settings: func(s *dnsserver.Settings) { s.HideEDE = true }})
	expect(t, b.ask(query("example", dns.TypeAXFR)), "REFUSED")
}
