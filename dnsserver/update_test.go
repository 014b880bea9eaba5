package dnsserver_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/dnstest"
	"cenote/tsig"
	"cenote/zone"

	"github.com/miekg/dns"
)

// updater counts what it is asked to change, and answers with an RCODE; a negative one is a fault of its own.
type updater struct {
	asked atomic.Int64
	rcode int
	last  atomic.Pointer[zone.UpdateRequest]
}

func (u *updater) ApplyUpdate(r *zone.UpdateRequest) int {
	u.asked.Add(1)
	u.last.Store(r)
	if u.rcode < 0 {
		panic("a fault")
	}
	return u.rcode
}

// changeable serves open.test, which branchKey may change from anywhere, near.test, from 192.0.2.0/24 alone, and fixed.test, which nobody may.
func changeable(t testing.TB) func() *zone.Set {
	t.Helper()
	read := func(name string) *zone.Zone {
		z, faults, err := zone.Read(dnsname.MustParse(name), strings.NewReader("$TTL 300\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n"), name, time.Now())
		if err != nil {
			t.Fatal(err, faults)
		}
		return z
	}
	grants := []zone.Grant{{Keys: []dnsname.Name{branchKey().Name}}}
	near := func(a netip.Addr) bool { return netip.MustParsePrefix("192.0.2.0/24").Contains(a) }
	set := must1(zone.NewSet(zone.Served{Zone: read("open.test"), Updates: &zone.Updates{Grants: grants}},
		zone.Served{Zone: read("near.test"), Updates: &zone.Updates{Grants: grants, Allow: near}}, zone.Served{Zone: read("fixed.test")}))
	return func() *zone.Set { return set }
}

// TestUpdateReplies holds who may change a zone at all, and that all others are told so by a server that does nothing for them.
func TestUpdateReplies(t *testing.T) {
	for _, tc := range []struct {
		name, zone string
		signed     bool
		change     func(*dns.Msg)
		answer     int // of the updater
		rcode      int
		asked      int64
		ago        time.Duration // when it was signed, with an hour allowed
		key        string        // by which; "" for the right one
		secret     []byte        // likewise
		counted    string        // as which result of signatures; "" where that is "right", or nothing was signed
	}{
		{name: "made", zone: "open.test", signed: true, asked: 1},
		{name: "made in other letters", zone: "OPEN.test", signed: true, asked: 1},
		{name: "not made", zone: "open.test", signed: true, answer: dns.RcodeNXRrset, rcode: dns.RcodeNXRrset, asked: 1},
		{name: "a fault of the server", zone: "open.test", signed: true, answer: -1, rcode: dns.RcodeServerFailure, asked: 1},
		{name: "signed four minutes ago", zone: "open.test", signed: true, ago: 4 * time.Minute, asked: 1},
		{name: "signed six minutes ago", zone: "open.test", signed: true, ago: 6 * time.Minute, rcode: dns.RcodeNotAuth, counted: "time"},
		{name: "signed in six minutes", zone: "open.test", signed: true, ago: -6 * time.Minute, rcode: dns.RcodeNotAuth, counted: "time"},
		{name: "signed by a key that is not known", zone: "open.test", signed: true, key: "other.example.", rcode: dns.RcodeNotAuth, counted: "key"},
		{name: "signed by another secret", zone: "open.test", signed: true, secret: []byte("another secret, as long as that."), rcode: dns.RcodeNotAuth, counted: "signature"},
		{name: "not signed", zone: "open.test", rcode: dns.RcodeRefused},
		{name: "from elsewhere", zone: "near.test", signed: true, rcode: dns.RcodeRefused},
		{name: "a zone that nobody changes", zone: "fixed.test", signed: true, rcode: dns.RcodeRefused},
		{name: "no zone of ours", zone: "nowhere.test", signed: true, rcode: dns.RcodeNotAuth},
		{name: "a name in a zone", zone: "ns.open.test", signed: true, rcode: dns.RcodeNotAuth},
		{name: "a zone section of another type", zone: "open.test", signed: true, change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, rcode: dns.RcodeFormatError},
		{name: "two zones", zone: "open.test", signed: true, change: func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, rcode: dns.RcodeFormatError},
		{name: "another class", zone: "open.test", signed: true, change: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, rcode: dns.RcodeRefused},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(tc.name+" by "+network, func(t *testing.T) {
				u := &updater{rcode: tc.answer}
				settings := dnsserver.DefaultSettings()
				branchKeys(&settings)
				s := startLive(t, dnsserver.Config{Zones: changeable(t), Updates: u, Settings: settings})
				m := new(dns.Msg)
				m.SetUpdate(dns.Fqdn(tc.zone))
				m.Insert([]dns.RR{must1(dns.NewRR("new." + dns.Fqdn(tc.zone) + " 60 A 192.0.2.9"))})
				if tc.change != nil {
					tc.change(m)
				}
				client := dns.Client{Net: network, Timeout: patience}
				if tc.signed {
					key, secret := cmp.Or(tc.key, "branch.example."), branchSecret
					if tc.secret != nil {
						secret = tc.secret
					}
					m.SetTsig(key, dns.HmacSHA256, 3600, time.Now().Add(-tc.ago).Unix())
					client.TsigSecret = map[string]string{key: base64.StdEncoding.EncodeToString(secret)}
				}
				r, _, err := client.Exchange(m, s.Addrs()[0].Addr.String())
				if err != nil && tc.rcode != dns.RcodeNotAuth { // which the library takes for a fault of the signature
					t.Fatal(err)
				}
				if r.Rcode != tc.rcode || r.Opcode != dns.OpcodeUpdate || r.RecursionAvailable || len(r.Answer)+len(r.Ns) > 0 {
					t.Errorf("got\n%v\nwant %s", r, dns.RcodeToString[tc.rcode])
				}
				if got := u.asked.Load(); got != tc.asked {
					t.Errorf("%d updates were made, want %d", got, tc.asked)
				}
				if tc.counted != "" && s.figure("cenote_dnsserver_signatures_total", tc.counted) != 1 {
					t.Errorf("it is not counted as a wrong %s", tc.counted)
				}
				if last := u.last.Load(); last != nil && (last.Zone != dnsname.MustParse("open.test").Canonical() || last.Key != branchKey().Name) {
					t.Errorf("asked for %s with %s", last.Zone, last.Key)
				}
			})
		}
	}
}

// TestUpdateIsKnownAgain holds that an update which somebody sends again who has seen it is known for the same, though its id, which no signature is of, is another.
func TestUpdateIsKnownAgain(t *testing.T) {
	u := new(updater)
	settings := dnsserver.DefaultSettings()
	branchKeys(&settings)
	s := startLive(t, dnsserver.Config{Zones: changeable(t), Updates: u, Settings: settings})
	conn := must1(net.Dial("udp", s.Addrs()[0].Addr.String()))
	defer conn.Close()
	send := func(msg []byte) [sha256.Size]byte {
		t.Helper()
		must1(conn.Write(msg))
		conn.SetReadDeadline(time.Now().Add(patience))
		reply := make([]byte, 512)
		if must1(conn.Read(reply)); reply[3]&15 != dns.RcodeSuccess {
			t.Fatalf("RCODE %d", reply[3]&15)
		}
		return u.last.Load().Signed
	}
	m := new(dns.Msg)
	m.SetUpdate("open.test.")
	m.Insert([]dns.RR{must1(dns.NewRR("new.open.test. 60 A 192.0.2.9"))})
	key := branchKey()
	plain, now := must1(m.Pack()), time.Now()
	msg, _ := tsig.Sign(slices.Clone(plain), &key, now, nil)
	first := send(msg)
	msg[0]++ // of the id
	if again := send(msg); again != first {
		t.Error("it is taken for another one")
	}
	msg, _ = tsig.Sign(plain, &key, now.Add(time.Second), nil)
	if other := send(msg); other == first {
		t.Error("another one is taken for it")
	}
}

// TestUpdateWithoutZones holds that a server without zones that take updates does not know what one is.
func TestUpdateWithoutZones(t *testing.T) {
	s := startLive(t, dnsserver.Config{Zones: handed(t, 1), Updates: new(updater)})
	m := new(dns.Msg)
	m.SetUpdate("large.test.")
	r, err := dnstest.Ask(m, s.Addrs()[0].Addr.String())
	if err != nil || r.Rcode != dns.RcodeNotImplemented {
		t.Errorf("%v\n%v", err, r)
	}
}

// refusalLines takes the lines about refused updates.
type refusalLines chan string

func (l refusalLines) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "an update is refused") {
		l <- string(b)
	}
	return len(b), nil
}

// TestRefusedUpdatesAreTold to the log, one a second, by whom, of which zone and why, with how many were not; and all are counted.
func TestRefusedUpdatesAreTold(t *testing.T) {
	var second atomic.Int64
	start := time.Now().Truncate(time.Second)
	now := func() time.Time { return start.Add(time.Duration(second.Load()) * time.Second) }
	lines := make(refusalLines, 100)
	settings := dnsserver.DefaultSettings()
	other := branchKey()
	other.Name = dnsname.MustParse("second.example").Canonical()
	settings.Keys = must1(tsig.NewKeys(branchKey(), other))
	s := startLive(t, dnsserver.Config{Zones: changeable(t), Updates: new(updater), Settings: settings, Now: now, Log: slog.New(slog.NewTextHandler(lines, nil))})
	send := func(zone, key string, secret []byte) {
		t.Helper()
		m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
		client := dns.Client{Timeout: patience}
		if key != "" {
			m.SetTsig(key, dns.HmacSHA256, 300, now().Unix())
			client.TsigSecret = map[string]string{key: base64.StdEncoding.EncodeToString(secret)}
		}
		if r, _, err := client.Exchange(m, s.Addrs()[0].Addr.String()); r == nil || r.Rcode == dns.RcodeSuccess {
			t.Fatalf("got %v, %v", r, err)
		}
	}
	refused := 0
	for _, tc := range []struct {
		zone, key, want string
		secret          []byte
	}{
		{"open.test", "", `zone=open.test client=127.0.0.1 key="" reason="there is no signature"`, nil},
		{"OPEN.test", "branch.example.", `zone=open.test client=127.0.0.1 key=branch.example reason="the signature is wrong"`, []byte("another secret, as long as that.")},
		{"open.test", "other.example.", `zone=open.test client=127.0.0.1 key=other.example reason="the key is not known, or has another algorithm"`, branchSecret},
		{"open.test", "second.example.", `key=second.example reason="the key may change nothing in the zone"`, branchSecret},
		{"near.test", "branch.example.", `zone=near.test client=127.0.0.1 key=branch.example reason="none are taken from this address"`, branchSecret},
		{"fixed.test", "branch.example.", `zone=fixed.test client=127.0.0.1 key=branch.example reason="the zone takes no updates"`, branchSecret},
	} {
		passed := " not_logged=2"
		if refused == 0 {
			passed = " not_logged=0"
		}
		second.Add(1)
		send(tc.zone, tc.key, tc.secret)
		s.WaitTold()
		line := <-lines
		if !strings.Contains(line, tc.want+passed) {
			t.Errorf("%s by %q: the log says %q, want %q", tc.zone, tc.key, line, tc.want+passed)
		}
		send(tc.zone, tc.key, tc.secret)
		send(tc.zone, "", nil)
		if refused += 3; s.figure("cenote_dnsserver_updates_total", "refused") != float64(refused) {
			t.Errorf("%v refused updates are counted, want %d", s.figure("cenote_dnsserver_updates_total", "refused"), refused)
		}
	}
	s.stop()
	s.ended()
	if len(lines) > 0 {
		t.Errorf("the log also says %q", <-lines)
	}
}
