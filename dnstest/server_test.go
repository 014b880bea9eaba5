package dnstest_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const text = `
	; a comment
	example.         3600 SOA ns.example. host.example. 1 3600 600 86400 60
	www.example.      300 A 192.0.2.1
	www.example.      300 A 192.0.2.2
	alias.example.    300 CNAME www.example.
	loop.example.     300 CNAME loop.example.
	*.wild.example.   300 A 192.0.2.3
	deep.er.example.  300 TXT "here"
	! slow.example    delay=1ms times=1
	! broken.example  rcode=SERVFAIL
`

// patience is how long a reply is waited for, on the slowest of machines; short is enough to see that there is none.
const patience, short = 20 * time.Second, 250 * time.Millisecond

func ask(t *testing.T, s *dnstest.Server, network, name string, qtype uint16) (*dns.Msg, error) {
	t.Helper()
	return askWithin(t, patience, s, network, name, qtype)
}

func askWithin(t *testing.T, timeout time.Duration, s *dnstest.Server, network, name string, qtype uint16) (*dns.Msg, error) {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	c := dns.Client{Net: network, Timeout: timeout}
	r, _, err := c.Exchange(q, s.Addr().String())
	return r, err
}

func TestAnswers(t *testing.T) {
	up := dnstest.Start(t, text)
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		rcode       int
		answers, ns int
	}{
		{"records", "www.example.", dns.TypeA, dns.RcodeSuccess, 2, 0},
		{"letter case", "WWW.eXample.", dns.TypeA, dns.RcodeSuccess, 2, 0},
		{"alias followed", "alias.example.", dns.TypeA, dns.RcodeSuccess, 3, 0},
		{"alias asked for", "alias.example.", dns.TypeCNAME, dns.RcodeSuccess, 1, 0},
		{"alias in a circle", "loop.example.", dns.TypeA, dns.RcodeSuccess, 16, 0},
		{"wildcard", "a.b.wild.example.", dns.TypeA, dns.RcodeSuccess, 1, 0},
		{"no such type", "www.example.", dns.TypeAAAA, dns.RcodeSuccess, 0, 1},
		{"no such name", "none.example.", dns.TypeA, dns.RcodeNameError, 0, 1},
		{"empty name between", "er.example.", dns.TypeA, dns.RcodeSuccess, 0, 1},
		{"a name without a zone", "none.test.", dns.TypeA, dns.RcodeNameError, 0, 0},
		{"fault in the text", "broken.example.", dns.TypeA, dns.RcodeServerFailure, 0, 0},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(tc.name+"/"+network, func(t *testing.T) {
				r, err := ask(t, up, network, tc.qname, tc.qtype)
				if err != nil {
					t.Fatal(err)
				}
				if r.Rcode != tc.rcode || len(r.Answer) != tc.answers || len(r.Ns) != tc.ns || !r.RecursionAvailable {
					t.Errorf("got %d answers, %d in authority, %s\nwant %d, %d, %s", len(r.Answer), len(r.Ns), dns.RcodeToString[r.Rcode], tc.answers, tc.ns, dns.RcodeToString[tc.rcode])
				}
			})
		}
	}
	if got := up.Asked("www.example", dns.TypeA); got != 4 {
		t.Errorf("Asked(www.example, A) = %d, want 4", got)
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault dnstest.Fault
		check func(r *dns.Msg, err error) bool
	}{
		{"drop", dnstest.Fault{Drop: true}, func(_ *dns.Msg, err error) bool { return err != nil }},
		{"delay", dnstest.Fault{Delay: time.Millisecond}, func(r *dns.Msg, err error) bool { return err == nil && len(r.Answer) == 2 }},
		{"rcode", dnstest.Fault{Rcode: dns.RcodeRefused}, func(r *dns.Msg, err error) bool { return err == nil && r.Rcode == dns.RcodeRefused }},
		{"truncate", dnstest.Fault{Truncate: true}, func(r *dns.Msg, err error) bool { return err == nil && r.Truncated && len(r.Answer) == 0 }},
		{"wrong id", dnstest.Fault{WrongID: true}, func(_ *dns.Msg, err error) bool { return err != nil }},
		{"wrong question", dnstest.Fault{WrongQuestion: true}, func(r *dns.Msg, err error) bool {
			return err == nil && r.Question[0].Name == "other.WWW.example."
		}},
		{"lower case", dnstest.Fault{LowerCase: true}, func(r *dns.Msg, err error) bool { return err == nil && r.Question[0].Name == "www.example." }},
		{"junk", dnstest.Fault{Junk: true}, func(_ *dns.Msg, err error) bool { return err != nil }},
		{"many wrong ids, then right", dnstest.Fault{WrongID: true, Copies: 20, ThenRight: true}, func(r *dns.Msg, err error) bool { return err == nil && len(r.Answer) == 2 }},
		{"wrong id, then right", dnstest.Fault{WrongID: true, ThenRight: true}, func(r *dns.Msg, err error) bool { return err == nil && len(r.Answer) == 2 }},
		{"over after its times", dnstest.Fault{Times: 1, Rcode: dns.RcodeRefused}, func(r *dns.Msg, err error) bool { return err == nil && r.Rcode == dns.RcodeRefused }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := dnstest.Start(t, text)
			up.Break("www.example", tc.fault)
			timeout := patience
			if tc.fault.Drop || tc.fault.WrongID && !tc.fault.ThenRight {
				timeout = short
			}
			if r, err := askWithin(t, timeout, up, "udp", "WWW.example.", dns.TypeA); !tc.check(r, err) {
				t.Errorf("fault %+v: got %v, %v", tc.fault, r, err)
			}
			if tc.fault.Times == 0 {
				up.Mend()
			}
			if r, err := ask(t, up, "udp", "www.example.", dns.TypeA); err != nil || len(r.Answer) != 2 {
				t.Errorf("afterwards: got %v, %v, want two answers", r, err)
			}
		})
	}
}

func TestHoldAndClose(t *testing.T) {
	up := dnstest.Start(t, text)
	open := make(chan struct{})
	up.Break("*", dnstest.Fault{Hold: open, Times: 1})
	up.Break("*", dnstest.Fault{Close: true})
	done := make(chan error)
	go func() {
		_, err := ask(t, up, "udp", "www.example.", dns.TypeA)
		done <- err
	}()
	for up.Total() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := ask(t, up, "tcp", "www.example.", dns.TypeA); err == nil {
		t.Error("a connection that the fault closes gave a reply")
	}
	close(open)
	if err := <-done; err != nil {
		t.Errorf("after the hold: %v", err)
	}
	up.Close()
	if _, err := ask(t, up, "tcp", "www.example.", dns.TypeA); err == nil {
		t.Error("a closed server gave a reply")
	}
}

func TestTruncatesByTheClientsSize(t *testing.T) {
	up := dnstest.Start(t, strings.Repeat("big.example. TXT \""+strings.Repeat("x", 200)+"\"\n", 1)+
		"big.example. TXT \""+strings.Repeat("y", 200)+"\"\nbig.example. TXT \""+strings.Repeat("z", 200)+"\"\n")
	if r, err := ask(t, up, "udp", "big.example.", dns.TypeTXT); err != nil || !r.Truncated {
		t.Errorf("512 octets: got %v, %v, want TC=1", r, err)
	}
	q := new(dns.Msg).SetQuestion("big.example.", dns.TypeTXT).SetEdns0(1232, true)
	if r, _, err := (&dns.Client{Timeout: patience}).Exchange(q, up.Addr().String()); err != nil || r.Truncated || len(r.Answer) != 3 {
		t.Errorf("1232 octets: got %v, %v, want three records", r, err)
	}
	if got := up.Queries()[1]; !got.EDNS || !got.DO || got.UDPMax != 1232 || got.TCP {
		t.Errorf("Queries()[1] = %+v, want EDNS, DO and 1232 over UDP", got)
	}
}

func TestPad(t *testing.T) {
	up := dnstest.Start(t, text+"\n! www.example pad=5000")
	query, err := new(dns.Msg).SetQuestion("www.example.", dns.TypeA).SetEdns0(1232, false).Pack()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(up.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(query)
	buf, r := make([]byte, dns.MaxMsgSize), new(dns.Msg)
	n, err := conn.Read(buf)
	if err != nil || n < 5000 || r.Unpack(buf[:n]) != nil || r.Truncated || len(r.Answer) != 2 {
		t.Errorf("by UDP: got %d octets, %v, want two answers in 5000 octets more than we had room for", n, err)
	}
	if r, err := ask(t, up, "tcp", "www.example.", dns.TypeA); err != nil || r.Len() > 1000 {
		t.Errorf("by TCP: got %v, %v, want the plain reply", r, err)
	}
}

func TestTrickle(t *testing.T) {
	up := dnstest.Start(t, text+"\n! www.example trickle")
	if r, err := askWithin(t, short, up, "tcp", "www.example.", dns.TypeA); err == nil {
		t.Errorf("by TCP: got %v, want a reply that never ends", r)
	}
	if r, err := ask(t, up, "udp", "www.example.", dns.TypeA); err != nil || len(r.Answer) != 2 {
		t.Errorf("by UDP: got %v, %v, want two answers", r, err)
	}
}

func TestReopen(t *testing.T) {
	up := dnstest.Start(t, text)
	for range 3 {
		for _, network := range []string{"udp", "tcp"} {
			if r, err := ask(t, up, network, "www.example.", dns.TypeA); err != nil || len(r.Answer) != 2 {
				t.Errorf("while it is open, by %s: got %v, %v", network, r, err)
			}
		}
		up.Close()
		if r, err := ask(t, up, "udp", "www.example.", dns.TypeA); err == nil {
			t.Errorf("while it is closed: got %v", r)
		}
		up.Reopen(t)
	}
}

func TestTextFaults(t *testing.T) {
	up := dnstest.Start(t, text)
	for name, line := range map[string]string{
		"no record": "www.example. A nonsense", "a directive": "$INCLUDE /etc/hosts", "unknown fault": "! a.example explode",
		"fault without words": "! a.example", "unknown rcode": "! a.example rcode=NO",
	} {
		if err := up.SetText("ok.example. A 192.0.2.1\n" + line); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: SetText error = %v, want one that names line 2", name, err)
		}
	}
}
