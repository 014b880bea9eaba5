package zone_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
	"cenote/zone"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

var transferKey = tsig.Key{Name: dnsname.MustParse("key.example"), Algorithm: tsig.HMACSHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}

// primaryServer answers transfers as a test says: replies are the messages to a question of a type, in presentation format, each record on its line.
type primaryServer struct {
	t     *testing.T
	addr  netip.AddrPort
	mu    sync.Mutex // guards what follows where change changes it
	reply func(q *dns.Msg) [][]string
	sign  func(signer *tsig.StreamSigner, i int, msg []byte) []byte // nil: nothing is signed
	edit  func(i int, msg []byte) []byte                            // nil: messages stay as they are
}

func startPrimary(t *testing.T, p *primaryServer) *primaryServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p.t, p.addr = t, l.Addr().(*net.TCPAddr).AddrPort()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

// change has the server answer another way from now on.
func (p *primaryServer) change(how func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how()
}

func (p *primaryServer) serve(c net.Conn) {
	defer c.Close()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	request := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, request); err != nil {
		return
	}
	s, _ := transferKey.Verify(request, time.Now(), nil)
	q := new(dns.Msg)
	if q.Unpack(request) != nil {
		return
	}
	signer := tsig.NewStreamSigner(&transferKey, s.MAC)
	p.mu.Lock()
	reply, edit := p.reply, p.edit
	p.mu.Unlock()
	for i, lines := range reply(q) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative, m.Compress, m.Ns, m.Extra = true, true, nil, nil
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				p.t.Error(err)
				return
			}
			m.Answer = append(m.Answer, rr)
		}
		msg, err := m.Pack()
		if err != nil {
			p.t.Error(err)
			return
		}
		if p.sign != nil {
			msg = p.sign(signer, i, msg)
		}
		if edit != nil {
			msg = edit(i, msg)
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
			return
		}
	}
}

func corpSOA(serial int) string {
	return fmt.Sprintf("corp.example. 300 IN SOA ns.corp.example. root.corp.example. %d 3600 600 86400 60", serial)
}

func wholeZone(serial int, more ...string) []string {
	out := append([]string{corpSOA(serial), "corp.example. 300 IN NS ns.corp.example.", "ns.corp.example. 300 IN A 192.0.2.1"}, more...)
	return append(out, corpSOA(serial))
}

var transferBounds = zone.TransferBounds{Octets: 1 << 20, Records: 1000, Time: 20 * time.Second}

// followed is one zone by transfer.
type followed struct {
	*zone.Keeper
	all *zone.Secondaries
	log *lines
}

func follow(t *testing.T, bounds zone.TransferBounds, key *tsig.Key, addrs ...netip.AddrPort) *followed {
	t.Helper()
	f, apex := &followed{log: new(lines)}, dnsname.MustParse("corp.example")
	var err error
	f.Keeper, err = zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(f.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := zone.Secondary{Name: apex, Bounds: bounds}
	for _, a := range addrs {
		s.Primaries = append(s.Primaries, zone.Primary{Addr: a, Key: key})
	}
	f.all = zone.NewSecondaries(f.Keeper, []zone.Secondary{s})
	return f
}

// look asks the primaries once.
func (f *followed) look(t *testing.T) error {
	return f.all.Look(t.Context(), dnsname.MustParse("corp.example"))
}

// failsWith looks once, and wants that to fail for a reason: the version that was there is served, and the status, the log and the metric tell of it.
func (f *followed) failsWith(t *testing.T, want string) {
	t.Helper()
	apex := []byte(dnsname.MustParse("corp.example"))
	good, failed := f.Set().Exact(apex), labelled(t, f.all, "cenote_zone_transfers_total", "failed")
	if err := f.look(t); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if f.Set().Exact(apex).Zone != good.Zone || !f.Set().Exact(apex).Ready() {
		t.Error("the last good state is gone")
	}
	if s := f.Status()[0]; s.State != zone.StateKept || !strings.Contains(s.Fault, want) || s.Serial != good.Zone.Serial() {
		t.Errorf("%+v", s)
	}
	if f.log.count(want) != 1 {
		t.Errorf("the log has %q %d times:\n%s", want, f.log.count(want), &f.log.text)
	}
	if n := labelled(t, f.all, "cenote_zone_transfers_total", "failed"); n != failed+1 {
		t.Errorf("%v failures are counted, want one more than %v", n, failed)
	}
}

// labelled is the value of a metric with one label.
func labelled(t *testing.T, c prometheus.Collector, name, label string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %s", name, label)
	return 0
}

// followOnce makes a keeper of one zone by transfer and asks its primaries once for each step.
func followOnce(t *testing.T, bounds zone.TransferBounds, key *tsig.Key, addrs ...netip.AddrPort) (*zone.Keeper, func() error) {
	t.Helper()
	f := follow(t, bounds, key, addrs...)
	return f.Keeper, func() error { return f.look(t) }
}

// byType makes a reply of SOA questions, of differences and of whole zones.
func byType(serial int, differences, whole [][]string) func(q *dns.Msg) [][]string {
	return func(q *dns.Msg) [][]string {
		switch q.Question[0].Qtype {
		case dns.TypeSOA:
			return [][]string{{corpSOA(serial)}}
		case dns.TypeIXFR:
			return differences
		}
		return whole
	}
}

// TestHostilePrimaries: whatever a primary sends, the last good state is served and the reason is told.
func TestHostilePrimaries(t *testing.T) {
	first := [][]string{wholeZone(1, "www.corp.example. 300 IN A 192.0.2.80")}
	long := make([]string, 1100)
	for i := range long {
		long[i] = fmt.Sprintf("h%d.corp.example. 300 IN A 192.0.2.9", i)
	}
	for what, c := range map[string]struct {
		serial      int
		differences [][]string
		whole       [][]string
		edit        func(i int, msg []byte) []byte
		want        string
	}{
		"cut":                {2, nil, [][]string{wholeZone(2)[:3]}, nil, "ended it before it was whole"},
		"nothing":            {2, nil, nil, nil, "ended it before it was whole"},
		"serial goes back":   {0, nil, [][]string{wholeZone(0)}, nil, "serial goes back"},
		"no SOA first":       {2, nil, [][]string{wholeZone(2)[1:]}, nil, "does not begin with an SOA"},
		"another SOA":        {2, nil, [][]string{{corpSOA(2), "other.example. 300 IN SOA a. b. 2 1 1 1 1", corpSOA(2)}}, nil, "SOA record of other.example"},
		"ends with another":  {2, nil, [][]string{append(wholeZone(2)[:3], corpSOA(3))}, nil, "began with serial 2, and ends with 3"},
		"goes on":            {2, nil, [][]string{append(wholeZone(2), "x.corp.example. 1 IN A 192.0.2.1")}, nil, "records follow its end"},
		"endless":            {2, nil, [][]string{append(wholeZone(2)[:3], long...)}, nil, "more than 1000 records"},
		"malformed":          {2, nil, [][]string{wholeZone(2)}, func(_ int, msg []byte) []byte { return msg[:len(msg)-3] }, "cut off"},
		"no reply":           {2, nil, [][]string{wholeZone(2)}, func(_ int, msg []byte) []byte { msg[2] &= 0x7f; return msg }, "no reply"},
		"another id":         {2, nil, [][]string{wholeZone(2)}, func(_ int, msg []byte) []byte { msg[0] ^= 1; return msg }, "no reply"},
		"refused":            {2, nil, [][]string{nil}, func(_ int, msg []byte) []byte { msg[3] |= 5; return msg }, "REFUSED"},
		"another question":   {2, nil, [][]string{wholeZone(2)}, func(_ int, msg []byte) []byte { msg[13] ^= 1; return msg }, "something else"},
		"only SOA":           {2, nil, [][]string{{corpSOA(2)}}, nil, "ended it"},
		"differences loop":   {3, [][]string{{corpSOA(3), corpSOA(1), corpSOA(2), corpSOA(2), corpSOA(1), corpSOA(1), corpSOA(2)}}, nil, nil, "ended it"},
		"no zone":            {2, nil, [][]string{nil}, func(i int, msg []byte) []byte { return msg }, "ended it"},
		"differences of 0":   {2, [][]string{{corpSOA(2), corpSOA(0), corpSOA(2), corpSOA(2)}}, nil, nil, "ended it"},
		"older than told":    {2, nil, [][]string{wholeZone(0)}, nil, "the whole zone has 0"},
		"older in its place": {2, [][]string{wholeZone(0)}, nil, nil, "ended it"},
		"what is not there":  {2, [][]string{{corpSOA(2), corpSOA(1), "no.corp.example. 300 IN A 192.0.2.1", corpSOA(2), corpSOA(2)}}, nil, nil, "ended it"},
	} {
		t.Run(what, func(t *testing.T) {
			p := startPrimary(t, &primaryServer{reply: byType(1, nil, first)})
			f := follow(t, transferBounds, nil, p.addr)
			if err := f.look(t); err != nil {
				t.Fatal(err)
			}
			p.reply = byType(c.serial, c.differences, c.whole)
			seen := 0
			p.edit = func(i int, msg []byte) []byte {
				if seen++; c.edit == nil || seen == 1 { // the answer to the SOA question
					return msg
				}
				return c.edit(i, msg)
			}
			f.failsWith(t, c.want)
		})
	}
}

// TestNamesOfOtherZones: records of other zones are left out of a zone that comes whole, and differences with such lead nowhere.
func TestNamesOfOtherZones(t *testing.T) {
	out := "www.other.example. 300 IN A 192.0.2.66"
	p := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1, out, "xcorp.example. 300 IN A 192.0.2.66")})})
	f := follow(t, transferBounds, nil, p.addr)
	if err := f.look(t); err != nil || f.Status()[0].Records != 3 {
		t.Fatalf("%v, %+v", err, f.Status()[0])
	}
	p.reply = byType(2, [][]string{{corpSOA(2), corpSOA(1), corpSOA(2), out, corpSOA(2)}}, nil)
	f.failsWith(t, "AXFR: the transfer is faulty: the primary ended it before it was whole")
}

// TestHostileSignedPrimaries: where a key is wanted nothing that somebody else says takes the place of what is served: signed by another key, at another time, or
// for another question before.
func TestHostileSignedPrimaries(t *testing.T) {
	other := transferKey
	other.Secret = []byte("another secret, as long as that.")
	at := func(d time.Duration) func(*tsig.StreamSigner, []byte) []byte {
		return func(s *tsig.StreamSigner, msg []byte) []byte { return s.Sign(msg, time.Now().Add(d)) }
	}
	for what, c := range map[string]struct {
		sign   func(s *tsig.StreamSigner, msg []byte) []byte // nil: rightly
		replay bool
		want   string
	}{
		"not signed": {func(_ *tsig.StreamSigner, msg []byte) []byte { return msg }, false, "there is no signature"},
		"by another key": {func(_ *tsig.StreamSigner, msg []byte) []byte {
			return tsig.NewStreamSigner(&other, nil).Sign(msg, time.Now())
		}, false, "the signature is wrong"},
		"an hour ago": {at(-time.Hour), false, "time is not now"},
		"in an hour":  {at(time.Hour), false, "time is not now"},
		"once before": {nil, true, "the signature is wrong"},
		"and changed after": {func(s *tsig.StreamSigner, msg []byte) []byte {
			msg = s.Sign(msg, time.Now())
			msg[14] ^= 0x20
			return msg
		}, false, "the signature is wrong"},
		"for another answer": {func(s *tsig.StreamSigner, msg []byte) []byte {
			s.Sign(slices.Clone(msg), time.Now())
			return s.Sign(msg, time.Now())
		}, false, "the signature is wrong"},
	} {
		for _, stage := range []string{"SOA", "transfer"} {
			t.Run(what+", "+stage, func(t *testing.T) {
				honest := func(s *tsig.StreamSigner, _ int, msg []byte) []byte { return s.Sign(msg, time.Now()) }
				var recorded [][]byte
				p := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1)}), sign: honest})
				p.edit = func(_ int, msg []byte) []byte { recorded = append(recorded, slices.Clone(msg)); return msg }
				f := follow(t, transferBounds, &transferKey, p.addr)
				if err := f.look(t); err != nil || len(recorded) != 2 {
					t.Fatal(err, len(recorded))
				}
				seen := 0
				hostile := func() bool { return seen > 1 || stage == "SOA" }
				p.reply, p.edit = byType(2, [][]string{wholeZone(2)}, [][]string{wholeZone(2)}), func(_ int, msg []byte) []byte {
					if !c.replay || !hostile() {
						return msg
					}
					return append(msg[:2:2], recorded[min(seen-1, 1)][2:]...) // of the id there is another copy, which is what was signed
				}
				p.sign = func(s *tsig.StreamSigner, i int, msg []byte) []byte {
					if seen++; c.sign == nil || !hostile() {
						return honest(s, i, msg)
					}
					return c.sign(s, msg)
				}
				f.failsWith(t, c.want)
			})
		}
	}
}

// TestSignedTransfers: with a key nothing counts that is not signed by it, from the first message to the last.
func TestSignedTransfers(t *testing.T) {
	honest := func(s *tsig.StreamSigner, _ int, msg []byte) []byte { return s.Sign(msg, time.Now()) }
	messages := [][]string{wholeZone(1)[:1], wholeZone(1)[1:3], wholeZone(1)[3:]}
	for what, c := range map[string]struct {
		sign func(s *tsig.StreamSigner, i int, msg []byte) []byte
		want string
	}{
		"right":    {honest, ""},
		"unsigned": {nil, "there is no signature"},
		"middle unsigned": {func(s *tsig.StreamSigner, i int, msg []byte) []byte {
			if i == 1 {
				return msg
			}
			return s.Sign(msg, time.Now())
		}, "the signature is wrong"},
		"last unsigned": {func(s *tsig.StreamSigner, i int, msg []byte) []byte {
			if i == 2 {
				return msg
			}
			return s.Sign(msg, time.Now())
		}, "too many messages without a signature"},
		"changed": {func(s *tsig.StreamSigner, i int, msg []byte) []byte {
			msg = s.Sign(msg, time.Now())
			if i == 1 {
				msg[14] ^= 0x20
			}
			return msg
		}, "the signature is wrong"},
		"another time": {func(s *tsig.StreamSigner, _ int, msg []byte) []byte { return s.Sign(msg, time.Now().Add(-time.Hour)) }, "time is not now"},
	} {
		t.Run(what, func(t *testing.T) {
			p := startPrimary(t, &primaryServer{reply: byType(1, nil, messages), sign: c.sign})
			_, look := followOnce(t, transferBounds, &transferKey, p.addr)
			err := look()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestDifferencesAndSeveralPrimaries: differences are applied, in several steps; where the first primary is dead the next one is asked.
func TestDifferencesAndSeveralPrimaries(t *testing.T) {
	p := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1, "www.corp.example. 300 IN A 192.0.2.80")})})
	dead := startPrimary(t, &primaryServer{reply: func(*dns.Msg) [][]string { return nil }})
	k, look := followOnce(t, transferBounds, nil, dead.addr, p.addr)
	if err := look(); err != nil {
		t.Fatal(err)
	}
	p.reply = byType(3, [][]string{
		{corpSOA(3), corpSOA(1), "www.corp.example. 300 IN A 192.0.2.80"}, {corpSOA(2), "www.corp.example. 300 IN A 192.0.2.81"},
		{corpSOA(2), "www.corp.example. 300 IN A 192.0.2.81", corpSOA(3), "ftp.corp.example. 300 IN A 192.0.2.82", corpSOA(3)},
	}, nil)
	if err := look(); err != nil {
		t.Fatal(err)
	}
	if s := k.Status()[0]; s.State != zone.StateServed || s.Serial != 3 || s.Records != 4 || s.Checked.IsZero() || s.Steps != 1 {
		t.Errorf("%+v", s)
	}
	if err := look(); err != nil { // nothing newer
		t.Fatal(err)
	}
	if _, err := zone.Apply(k.Set().Exact([]byte(dnsname.MustParse("corp.example"))).Zone, zone.Diff{From: 9}); !errors.Is(err, zone.ErrDiff) {
		t.Error(err)
	}
}

// TestNeedlessAdditions: a primary that tells of records which are there already is believed in the rest; nsd 4.6 does so of sets that it has not changed.
// With another TTL, the zone is taken whole.
func TestNeedlessAdditions(t *testing.T) {
	www := "www.corp.example. 300 IN A 192.0.2.80"
	for record, want := range map[string]int{www: 1, "www.corp.example. 301 IN A 192.0.2.80": 0} {
		p := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1, www)})})
		k, look := followOnce(t, transferBounds, nil, p.addr)
		if err := look(); err != nil {
			t.Fatal(err)
		}
		p.reply = byType(2, [][]string{{corpSOA(2), corpSOA(1), corpSOA(2), record, "new.corp.example. 300 IN A 192.0.2.81", corpSOA(2)}}, [][]string{wholeZone(2)})
		if err := look(); err != nil || k.Status()[0].Serial != 2 || k.Status()[0].Records != 3+2*want {
			t.Errorf("%s: %v, %+v", record, err, k.Status()[0])
		}
	}
}

// TestDigestOfATransfer holds that a zone by transfer is served only if its digest is as it has to be, whether it comes whole or by differences.
func TestDigestOfATransfer(t *testing.T) {
	apex := dnsname.MustParse("corp.example")
	good, _, err := zone.Read(apex, strings.NewReader(sealed), "zone", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(dump(t, good)), "\n")
	soa := lines[0]
	whole := append(append([]string(nil), lines...), soa)
	forged := make([]string, len(whole))
	for i, l := range whole {
		forged[i] = strings.Replace(l, "192.0.2.80", "192.0.2.66", 1)
	}
	next := strings.Replace(soa, " 10 ", " 11 ", 1)
	for what, c := range map[string]struct {
		verify zone.Verify
		whole  []string
		fault  string
	}{
		"right":                    {zone.VerifyRequire, whole, ""},
		"of another zone":          {zone.VerifyCheck, forged, "digest (ZONEMD) is of another zone"},
		"none where one is wanted": {zone.VerifyRequire, wholeZone(10), "no digest (ZONEMD)"},
		"not looked at":            {zone.VerifyOff, forged, ""},
	} {
		p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
			if q.Question[0].Qtype == dns.TypeSOA {
				return [][]string{{soa}}
			}
			return [][]string{c.whole}
		}})
		k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: apex, Origin: "primary", Verify: c.verify}}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		all := zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}})
		err = all.Look(t.Context(), apex)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", what, err, c.fault)
		}
		if s := k.Status()[0]; (s.State == zone.StateServed) != (c.fault == "") {
			t.Errorf("%s: %+v", what, s)
		}
		if what != "right" {
			continue
		}
		p.reply = func(q *dns.Msg) [][]string { // the digest stays that of the version before
			switch q.Question[0].Qtype {
			case dns.TypeSOA:
				return [][]string{{next}}
			case dns.TypeIXFR:
				return [][]string{{next, soa, next, "new.corp.example. 300 IN A 192.0.2.9", next}}
			}
			return nil
		}
		if err := all.Look(t.Context(), apex); err == nil || !strings.Contains(err.Error(), "ZONEMD") {
			t.Errorf("by differences: %v", err)
		}
		if s := k.Status()[0]; s.Serial != 10 {
			t.Errorf("by differences: %+v", s)
		}
	}
}

// TestDifferencesToAWrongDigest holds that the whole zone is asked for where differences lead to one whose digest is wrong, as those of a primary that has lost
// count of them do.
func TestDifferencesToAWrongDigest(t *testing.T) {
	apex := dnsname.MustParse("corp.example")
	good, _, err := zone.Read(apex, strings.NewReader(sealed), "zone", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(dump(t, good)), "\n")
	soa := lines[0] // of serial 10
	before := strings.Replace(soa, " 10 ", " 9 ", 1)
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		if q.Question[0].Qtype == dns.TypeSOA {
			return [][]string{{before}}
		}
		return [][]string{{before, "corp.example. 300 IN NS ns.corp.example.", "ns.corp.example. 300 IN A 192.0.2.1", before}}
	}})
	k, look := followOnce(t, transferBounds, nil, p.addr)
	if err := look(); err != nil {
		t.Fatal(err)
	}
	whole := append(lines[:len(lines):len(lines)], soa)
	p.reply = func(q *dns.Msg) [][]string {
		switch q.Question[0].Qtype {
		case dns.TypeSOA:
			return [][]string{{soa}}
		case dns.TypeIXFR:
			digest := lines[slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "ZONEMD") })]
			return [][]string{{soa, before, soa, digest, "more.corp.example. 300 IN A 192.0.2.9", soa}}
		}
		return [][]string{whole}
	}
	if err := look(); err != nil || k.Status()[0].Serial != 10 || k.Status()[0].Records != len(lines) {
		t.Errorf("%v, %+v, want %d records", err, k.Status()[0], len(lines))
	}
}

// TestDoubtOfATransferEnds: a zone by transfer of which nobody could tell whether it has to be signed is looked at again, and is served no longer if it has.
func TestDoubtOfATransferEnds(t *testing.T) {
	apex, now, known, unsigned := dnsname.MustParse("corp.example"), time.Now(), false, errors.New("no signature")
	good, _, err := zone.Read(apex, strings.NewReader(sealed), "zone", now)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(dump(t, good)), "\n")
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		if q.Question[0].Qtype == dns.TypeSOA {
			return [][]string{lines[:1]}
		}
		return [][]string{append(lines[:len(lines):len(lines)], lines[0])}
	}})
	k, err := zone.NewKeeper(zone.KeeperConfig{
		Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir(), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Trust: func(context.Context, *zone.Seal) (bool, error) { return known, map[bool]error{true: unsigned}[known] },
	})
	if err != nil {
		t.Fatal(err)
	}
	all := zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}})
	if err := all.Look(t.Context(), apex); err != nil {
		t.Fatal(err)
	}
	if next := k.Status()[0].Next.Sub(now); next > time.Minute {
		t.Errorf("it is looked at after %v", next)
	}
	known = true
	now = now.Add(2 * time.Minute)
	for range 2 {
		if err := all.Look(t.Context(), apex); !errors.Is(err, unsigned) {
			t.Error(err)
		}
		if s := k.Status()[0]; s.State == zone.StateServed || k.Set().Exact([]byte(apex)).Ready() {
			t.Errorf("when it is known: %+v", s)
		}
	}
	known, unsigned = true, nil
	if err := all.Look(t.Context(), apex); err != nil || !k.Set().Exact([]byte(apex)).Ready() {
		t.Errorf("when it is signed: %v, %+v", err, k.Status()[0])
	}
}

// TestExpiredBeforeTheStart holds that a zone which nobody has confirmed for too long is not served until its primary, which takes its time, has been asked.
func TestExpiredBeforeTheStart(t *testing.T) {
	t.Run("as it comes", func(t *testing.T) { testExpiredBeforeTheStart(t, "corp.example.journal", nil) })
	t.Run("signed here", func(t *testing.T) { testExpiredBeforeTheStart(t, "received/corp.example.journal", &zone.Signing{}) })
}

func testExpiredBeforeTheStart(t *testing.T, journal string, sign *zone.Signing) {
	apex, dir, silent := dnsname.MustParse("corp.example"), t.TempDir(), make(chan struct{})
	p := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1)})})
	start := func() (*zone.Keeper, *zone.Secondaries) {
		k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: apex, Origin: "primary", Sign: sign}}, Dir: dir, Keys: filepath.Join(dir, "keys"), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return k, zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}})
	}
	_, all := start()
	if err := all.Look(t.Context(), apex); err != nil {
		t.Fatal(err)
	}
	p.reply = func(*dns.Msg) [][]string { <-silent; return nil }
	long := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, journal), long, long); err != nil {
		t.Fatal(err)
	}
	k, all := start()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = all.Run(ctx) }()
	for until := time.Now().Add(time.Minute); k.Status()[0].State != zone.StateExpired; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Errorf("%+v", k.Status()[0])
			break
		}
	}
	if k.Set().Exact([]byte(apex)).Ready() {
		t.Error("it is served")
	}
	cancel()
	close(silent)
	<-done
}

// TestCompressedTransfers holds that the octets of a transfer are bounded as they are kept, with names in full: a message may have one long name, and two octets
// in its place in each record after that.
func TestCompressedTransfers(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 50)+".", 4) + "corp.example."
	var messages [][]string
	for m := range 4 {
		var lines []string
		for i := range 3000 {
			lines = append(lines, fmt.Sprintf("%s 300 IN A 10.%d.%d.%d", long, m, i/256, i%256))
		}
		messages = append(messages, lines)
	}
	whole := append(append([][]string{wholeZone(1)[:3]}, messages...), []string{corpSOA(1)})
	p := startPrimary(t, &primaryServer{reply: byType(1, nil, whole)})
	bounds := zone.TransferBounds{Octets: 1 << 20, Records: 100_000, Time: 20 * time.Second}
	_, look := followOnce(t, bounds, nil, p.addr)
	if err := look(); !errors.Is(err, zone.ErrBound) || !strings.Contains(err.Error(), "with their names in full") {
		t.Errorf("%v, want that it goes over the bound", err)
	}
	bounds.Octets = 4 << 20
	k, look := followOnce(t, bounds, nil, p.addr)
	if err := look(); err != nil || k.Status()[0].Records != 12_003 {
		t.Errorf("with room: %v, %+v", err, k.Status()[0])
	}
}

// TestVerifyChangesMeanwhile holds that a version that was looked at as it was wanted before is looked at again, if the configuration changes what is wanted of
// digests while that takes, whoever brought the version.
func TestVerifyChangesMeanwhile(t *testing.T) {
	apex := canonical("corp.example")
	good, _, err := zone.Read(apex, strings.NewReader(sealed), "zone", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(dump(t, good)), "\n")
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		if q.Question[0].Qtype == dns.TypeSOA {
			return [][]string{lines[:1]}
		}
		return [][]string{append(lines[:len(lines):len(lines)], lines[0])}
	}})
	for what, install := range map[string]func(*zone.Keeper, *zone.Secondaries) error{
		"by transfer": func(_ *zone.Keeper, all *zone.Secondaries) error { return all.Look(t.Context(), apex) },
		"installed":   func(k *zone.Keeper, _ *zone.Secondaries) error { return k.Install(good) },
	} {
		var k *zone.Keeper
		source, unsigned, change := zone.Source{Name: apex, Origin: "primary", Verify: zone.VerifyLog}, errors.New("no signature"), sync.Once{}
		k, err = zone.NewKeeper(zone.KeeperConfig{
			Sources: []zone.Source{source}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
			Trust: func(context.Context, *zone.Seal) (bool, error) {
				change.Do(func() {
					source.Verify = zone.VerifyCheck
					if err := k.Update([]zone.Source{source}); err != nil {
						t.Error(err)
					}
				})
				return true, unsigned
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		all := zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}})
		if err := install(k, all); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := all.Look(t.Context(), apex); !errors.Is(err, unsigned) || k.Set().Exact([]byte(apex)).Ready() {
			t.Errorf("%s: by the next look: %v, %+v; want that it is served no longer", what, err, k.Status()[0])
		}
	}
}
