package dnsserver_test

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/zone"

	"github.com/miekg/dns"
)

// noticesTaken are the zones of which notices were heard.
type noticesTaken struct {
	mu    sync.Mutex
	zones []string // guarded by mu
}

func (n *noticesTaken) Notice(apex []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zones = append(n.zones, dnsname.Name(apex).String())
}

func (n *noticesTaken) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.zones
	n.zones = nil
	return out
}

// hearing are zones that hear notices from 127.0.0.1, from elsewhere, or from nobody; branch.example's key counts for all that hear.
func hearing(t testing.TB) *zone.Set {
	t.Helper()
	read := func(name string) *zone.Zone {
		z, faults, err := zone.Read(dnsname.MustParse(name), strings.NewReader("@ 300 SOA ns host 5 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.1\n"), name, time.Now())
		if err != nil {
			t.Fatal(err, faults)
		}
		return z
	}
	keys := []dnsname.Name{dnsname.MustParse("branch.example")}
	near := func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") }
	far := func(netip.Addr) bool { return false }
	return must1(zone.NewSet(zone.Served{Zone: read("near.test"), NotifyFrom: near, NotifyKeys: keys}, zone.Served{Zone: read("far.test"), NotifyFrom: far, NotifyKeys: keys},
		zone.Served{Zone: read("own.test")}))
}

// TestNoticeReplies holds what a NOTIFY message gets, and which are heard: those from a primary's address, and those that a primary's key has signed.
func TestNoticeReplies(t *testing.T) {
	set, taken := hearing(t), new(noticesTaken)
	settings := dnsserver.DefaultSettings()
	branchKeys(&settings)
	closed := settings
	closed.Access.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	open := startLive(t, dnsserver.Config{Zones: func() *zone.Set { return set }, Notices: taken, Settings: settings})
	stranger := startLive(t, dnsserver.Config{Zones: func() *zone.Set { return set }, Notices: taken, Settings: closed})
	nothing := startLive(t, dnsserver.Config{Settings: settings})
	for _, tc := range []struct {
		name   string
		server *live
		zone   string
		key    string // that signs
		change func(*dns.Msg)
		rcode  int
		heard  bool
	}{
		{"from a primary", open, "near.test.", "", nil, dns.RcodeSuccess, true},
		{"in other letters", open, "NEAR.test.", "", nil, dns.RcodeSuccess, true},
		{"with the SOA record as a hint", open, "near.test.", "", func(m *dns.Msg) {
			m.Answer = []dns.RR{must1(dns.NewRR("near.test. 300 SOA ns.near.test. host.near.test. 6 7200 3600 1209600 60"))}
		}, dns.RcodeSuccess, true},
		{"from a primary outside the access list", stranger, "near.test.", "", nil, dns.RcodeSuccess, true},
		{"from somebody else", open, "far.test.", "", nil, dns.RcodeRefused, false},
		{"from somebody else with a primary's key", open, "far.test.", "branch.example.", nil, dns.RcodeSuccess, true},
		{"from somebody else with a key of his own", open, "far.test.", "other.example.", nil, dns.RcodeNotAuth, false},
		{"from somebody else outside the access list", stranger, "far.test.", "", nil, dns.RcodeRefused, false},
		{"a zone that is taken from nobody", open, "own.test.", "", nil, dns.RcodeNotAuth, false},
		{"a name in a zone", open, "ns.near.test.", "", nil, dns.RcodeNotAuth, false},
		{"no zone", open, "example.", "", nil, dns.RcodeNotAuth, false},
		{"of another type", open, "near.test.", "", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, dns.RcodeNotImplemented, false},
		{"of another class", open, "near.test.", "", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassHESIOD }, dns.RcodeRefused, false},
		{"two questions", open, "near.test.", "", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError, false},
		{"a server without such zones", nothing, "near.test.", "", nil, dns.RcodeNotImplemented, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if network == "tcp" && tc.server == stranger && !tc.heard {
				continue // its connections are for addresses that a zone knows
			}
			t.Run(tc.name+" by "+network, func(t *testing.T) {
				m := new(dns.Msg).SetNotify(tc.zone)
				if tc.change != nil {
					tc.change(m)
				}
				client := &dns.Client{Net: network, Timeout: time.Minute, TsigSecret: map[string]string{
					"branch.example.": base64.StdEncoding.EncodeToString(branchSecret), "other.example.": base64.StdEncoding.EncodeToString([]byte("other secret, of an other server")),
				}}
				if tc.key != "" {
					m.SetTsig(tc.key, dns.HmacSHA256, 300, time.Now().Unix())
				}
				r, _, err := client.Exchange(m, tc.server.Addrs()[0].Addr.String())
				if r == nil || tc.rcode == 0 && err != nil {
					t.Fatal(err)
				}
				if r.Rcode != tc.rcode || r.Opcode != dns.OpcodeNotify || r.RecursionAvailable && tc.rcode == 0 || r.Authoritative != (tc.rcode == 0) || len(r.Answer) > 0 {
					t.Errorf("got %v, want %s", r, dns.RcodeToString[tc.rcode])
				}
				if heard := taken.take(); tc.heard != slices.Equal(heard, []string{strings.ToLower(strings.TrimSuffix(tc.zone, "."))}) {
					t.Errorf("heard %q, want %v", heard, tc.heard)
				}
			})
		}
	}
}
