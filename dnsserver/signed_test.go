package dnsserver_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/tsig"

	"github.com/miekg/dns"
)

// branchSecret is the secret of branchKey, which clients of these tests sign with.
var branchSecret = []byte("sixteen octets and more of them!")

func branchKey() tsig.Key {
	return tsig.Key{Name: dnsname.MustParse("branch.example").Canonical(), Algorithm: tsig.HMACSHA256, Secret: branchSecret}
}

func branchKeys(s *dnsserver.Settings) { s.Keys = must1(tsig.NewKeys(branchKey())) }

// signedBy is m signed by the library that judges us, with its MAC.
func signedBy(t *testing.T, m *dns.Msg, key string, secret []byte, at time.Time) (in []byte, mac string) {
	t.Helper()
	m.SetTsig(key, dns.HmacSHA256, 300, at.Unix())
	in, mac, err := dns.TsigGenerate(m, base64.StdEncoding.EncodeToString(secret), "", false)
	must(t, err)
	return in, mac
}

// isSignedFor fails unless reply is signed by branchKey as one to the query with a MAC.
func isSignedFor(t *testing.T, reply []byte, mac string) *dns.Msg {
	t.Helper()
	var r dns.Msg
	must(t, r.Unpack(reply))
	if err := dns.TsigVerify(reply, base64.StdEncoding.EncodeToString(branchSecret), mac, false); err != nil {
		t.Errorf("the reply is not signed: %v\n%v", err, &r)
	}
	return &r
}

func TestSignedQueriesHaveSignedReplies(t *testing.T) {
	big := strings.TrimSuffix(strings.Repeat("www.example. 60 TXT "+strings.Repeat("x", 200)+"\n", 10), "\n")
	answers := map[string]string{"www.example A": "www.example. 60 A 192.0.2.1", "www.example TXT": big, "broken.example A": "<SERVFAIL>"}
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		peer        string
		change      func(*dns.Msg)
		rcode       int
		truncated   bool
	}{
		{name: "answer", qname: "www.example", qtype: dns.TypeA},
		{name: "sinkhole", qname: "bad.example", qtype: dns.TypeA},
		{name: "truncated", qname: "www.example", qtype: dns.TypeTXT, truncated: true},
		{name: "nothing there", qname: "none.example", qtype: dns.TypeA, rcode: dns.RcodeNameError},
		{name: "failure", qname: "broken.example", qtype: dns.TypeA, rcode: dns.RcodeServerFailure},
		{name: "class", qname: "www.example", qtype: dns.TypeA, change: func(m *dns.Msg) { m.Question[0].Qclass = 9 }, rcode: dns.RcodeRefused},
		{name: "EDNS version", qname: "www.example", qtype: dns.TypeA, change: func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }, rcode: dns.RcodeBadVers},
		{name: "outsider", qname: "www.example", qtype: dns.TypeA, peer: "203.0.113.1:53", rcode: dns.RcodeRefused},
		{name: "without EDNS", qname: "www.example", qtype: dns.TypeTXT, change: func(m *dns.Msg) { m.Extra = nil }, truncated: true},
		{name: "long name", qname: strings.Repeat(strings.Repeat("l", 61)+".", 3) + "example", qtype: dns.TypeA, change: func(m *dns.Msg) { m.Extra = nil },
			rcode: dns.RcodeNameError},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: answers, settings: branchKeys,
				policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
			if tc.peer != "" {
				b.peer = netip.MustParseAddrPort(tc.peer)
			}
			m := query(tc.qname, tc.qtype)
			if tc.change != nil {
				tc.change(m)
			}
			in, mac := signedBy(t, m, "Branch.Example.", branchSecret, b.now)
			r := isSignedFor(t, b.send(in), mac)
			if r.Rcode != tc.rcode || r.Truncated != tc.truncated {
				t.Errorf("reply = %v, want %s, truncated: %v", r, dns.RcodeToString[tc.rcode], tc.truncated)
			}
		})
	}
}

func TestWrongSignaturesAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		secret    []byte
		late      time.Duration
		change    func(in []byte)
		rcode     int
		code      uint16
		signed    bool
		silent    bool // there is no TSIG record in the reply
	}{
		{name: "unknown key", key: "other.example.", secret: branchSecret, rcode: dns.RcodeNotAuth, code: dns.RcodeBadKey},
		{name: "other secret", key: "branch.example.", secret: []byte("another secret, as long as that."), rcode: dns.RcodeNotAuth, code: dns.RcodeBadSig},
		{name: "changed on the way", key: "branch.example.", secret: branchSecret, change: func(in []byte) { in[13] ^= 2 }, rcode: dns.RcodeNotAuth, code: dns.RcodeBadSig},
		{name: "too old", key: "branch.example.", secret: branchSecret, late: 301 * time.Second, rcode: dns.RcodeNotAuth, code: dns.RcodeBadTime, signed: true},
		{name: "too new", key: "branch.example.", secret: branchSecret, late: -302 * time.Second, rcode: dns.RcodeNotAuth, code: dns.RcodeBadTime, signed: true},
		{name: "TTL", key: "branch.example.", secret: branchSecret, change: func(in []byte) { in[len(in)-16-32-13-4-1]++ }, rcode: dns.RcodeFormatError, silent: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers, settings: branchKeys,
				policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
			in, mac := signedBy(t, query("bad.example", dns.TypeA), tc.key, tc.secret, b.now.Add(-tc.late))
			if tc.change != nil {
				tc.change(in)
			}
			reply := b.send(in)
			var r dns.Msg
			must(t, r.Unpack(reply))
			record := r.IsTsig()
			if r.Rcode != tc.rcode || len(r.Answer) > 0 || (record == nil) != tc.silent {
				t.Fatalf("reply = %v, want %s and no answer", &r, dns.RcodeToString[tc.rcode])
			}
			if tc.silent {
				return
			}
			if record.Error != tc.code || (record.MACSize > 0) != tc.signed {
				t.Errorf("TSIG = %v, want error %d, signed: %v", record, tc.code, tc.signed)
			}
			if tc.code == dns.RcodeBadTime {
				isBadTime(t, reply, record, mac, b.now)
			}
		})
	}
}

// isBadTime holds a reply to RFC 8945 section 5.2.3: signed with the time of the query, and the server's beside it.
func isBadTime(t *testing.T, reply []byte, record *dns.TSIG, mac string, now time.Time) {
	t.Helper()
	if want := fmt.Sprintf("%012x", now.Unix()); strings.ToLower(record.OtherData) != want {
		t.Errorf("other data = %s, want the server's time %s", record.OtherData, want)
	}
	key := branchKey()
	s, fault := key.Verify(reply, time.Unix(int64(record.TimeSigned), 0), must1(hexOctets(mac)))
	if fault != tsig.FaultNone || s.Code != tsig.CodeTime {
		t.Errorf("the reply's signature: %v, code %d", fault, s.Code)
	}
}

func hexOctets(text string) (out []byte, err error) {
	_, err = fmt.Sscanf(text, "%x", &out)
	return out, err
}

// A signature over the rate gets a reply that its client can believe, and one that is wrong no other treatment.
func TestSignedQueriesOverTheRate(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers, settings: func(s *dnsserver.Settings) {
		branchKeys(s)
		s.Rates.PerSecond, s.Rates.Burst, s.Rates.Slip = 1, 1, 1
	}})
	m := query("www.example", dns.TypeA)
	b.ask(m)
	in, mac := signedBy(t, query("www.example", dns.TypeA), "branch.example.", branchSecret, b.now)
	if r := isSignedFor(t, b.send(in), mac); !r.Truncated {
		t.Errorf("reply = %v, want TC", r)
	}
}

// No bounds are exceeded by a signature: what has no room for it goes without a reply.
func TestSignatureKeepsTheLimit(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers, settings: branchKeys})
	m := query("www.example", dns.TypeTXT)
	m.Extra = nil
	in, _ := signedBy(t, m, "branch.example.", branchSecret, b.now)
	if reply := b.send(in); len(reply) > dns.MinMsgSize {
		t.Errorf("the reply has %d octets without EDNS", len(reply))
	}
}

// FuzzSigned feeds messages with TSIG records to the path: none of them may be taken for signed.
func FuzzSigned(f *testing.F) {
	m := query("www.example", dns.TypeA)
	m.SetTsig("branch.example.", dns.HmacSHA256, 300, 1_700_000_000)
	f.Add(must1(m.Pack()))
	signed, _, _ := dns.TsigGenerate(m, base64.StdEncoding.EncodeToString([]byte("another secret, as long as that.")), "", false)
	f.Add(signed)
	cut := append([]byte(nil), signed...)
	binary.BigEndian.PutUint16(cut[len(cut)-6-32-2:], 8)
	f.Add(cut)
	b := newBench(f, options{answers: wwwAnswers, settings: branchKeys})
	f.Fuzz(func(t *testing.T, in []byte) {
		b.t = t
		reply := b.send(in)
		if b.q.Key() != nil {
			t.Fatalf("%x was taken for signed", in)
		}
		if len(reply) > 1232 {
			t.Fatalf("a reply of %d octets", len(reply))
		}
	})
}
