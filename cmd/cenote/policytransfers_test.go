package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/tsig"

	"github.com/miekg/dns"
)

// liar is a primary of the zone rpz.test that does what a test says. What it sends is signed by transfer.test if the question is.
type liar struct {
	t     *testing.T
	addr  netip.AddrPort
	tells atomic.Pointer[lie]
}

// lie is what a liar says: the serial that its SOA record has when it is asked for that, and the messages of a transfer, each of records on lines.
type lie struct {
	serial  int
	answers func(send func(records ...string) error)
	key     *tsig.Key     // that signs; nil: as the question
	bare    bool          // nothing is signed
	ahead   time.Duration // of now, when it was signed
	replays bool          // it was signed for another question
}

func startLiar(t *testing.T) *liar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := &liar{t: t, addr: l.Addr().(*net.TCPAddr).AddrPort()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go out.serve(c)
		}
	}()
	return out
}

func transferKey(t *testing.T) *tsig.Key {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(transferSecret)
	if err != nil {
		t.Fatal(err)
	}
	return &tsig.Key{Name: dnsname.MustParse("transfer.test"), Algorithm: tsig.HMACSHA256, Secret: secret}
}

func (l *liar) serve(c net.Conn) {
	defer c.Close()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	request := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, request); err != nil {
		return
	}
	q, says, key := new(dns.Msg), l.tells.Load(), transferKey(l.t)
	if q.Unpack(request) != nil {
		return
	}
	verified, _ := key.Verify(request, time.Now(), nil)
	if says.key != nil {
		key = says.key
	}
	if says.replays {
		verified.MAC = make([]byte, len(verified.MAC))
	}
	signer := tsig.NewStreamSigner(key, verified.MAC)
	send := func(records ...string) error {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative, m.Compress, m.Extra, m.Ns = true, true, nil, nil
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				return err
			}
			m.Answer = append(m.Answer, rr)
		}
		msg, err := m.Pack()
		if err != nil {
			return err
		}
		if !says.bare {
			msg = signer.Sign(msg, time.Now().Add(says.ahead))
		}
		_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
		return err
	}
	if q.Question[0].Qtype == dns.TypeSOA {
		_ = send(soaText(says.serial))
		return
	}
	says.answers(send)
}

func soaText(serial int) string {
	return fmt.Sprintf("rpz.test. 60 IN SOA localhost. root.localhost. %d 3600 600 604800 60", serial)
}

const nsText = "rpz.test. 60 IN NS localhost."

// honest is a zone of some rules.
func honest(serial int, rules ...string) *lie {
	records := append([]string{soaText(serial), nsText}, rules...)
	return &lie{serial: serial, answers: func(send func(...string) error) { _ = send(append(records, soaText(serial))...) }}
}

// said is a transfer in one message.
func said(serial int, records ...string) *lie {
	return &lie{serial: serial, answers: func(send func(...string) error) { _ = send(records...) }}
}

// TestHostilePrimariesOfPolicyZones: whatever a primary sends in place of a policy zone, the last good one is served; it is counted, and said what it was.
func TestHostilePrimariesOfPolicyZones(t *testing.T) {
	t.Parallel()
	p, dir := startLiar(t), t.TempDir()
	bad := "bad.test.rpz.test. 60 IN CNAME ."
	p.tells.Store(honest(7, bad))
	writeAll(t, dir, map[string]string{"secret": transferSecret + "\n"})
	s := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['127.0.0.1:9']
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
feeds: [{name: taken, zone: rpz.test, primaries: [{address: '%[2]s', key: transfer.test}], timeout: 3s, limits: {rows: 300}}]
policy: {zones: [{name: block, feeds: [taken], action: nxdomain}]}
`, dir, p.addr))
	good, serial := s.servedRules()
	if serial != 7 || !strings.HasPrefix(good, "bad.test") {
		t.Fatalf("serial %d, rules %q", serial, good)
	}
	other := transferKey(t)
	other.Secret = []byte("another secret of thirty-two octe")
	silence := make(chan struct{})
	t.Cleanup(func() { close(silence) })
	for _, c := range []struct {
		name    string
		tells   *lie
		outcome blocklist.FetchOutcome
		want    string
	}{
		{"cut", said(8, soaText(8), nsText, bad), blocklist.FetchIncomplete, "ended it before it was whole"},
		{"endless", &lie{serial: 8, answers: func(send func(...string) error) {
			for i, err := 0, send(soaText(8)); err == nil; i++ {
				err = send(fmt.Sprintf("n%d.rpz.test. 60 IN CNAME .", i))
			}
		}}, blocklist.FetchTooLarge, "more than 300 records; raise limits.size or limits.rows"},
		{"silent", &lie{serial: 8, answers: func(func(...string) error) { <-silence }}, blocklist.FetchTimedOut, "more than 3s"},
		{"another serial at its end", said(8, soaText(8), nsText, bad, soaText(9)), blocklist.FetchIncomplete, "it began with serial 8, and ends with 9"},
		{"an older serial", honest(6), blocklist.FetchOlder, "the serial goes back: the primary has 6, and 7 is served; if the primary is right set allow_older on the feed"},
		{"another zone", said(8, "other.test. 60 IN SOA a. b. 8 1 1 1 1"), blocklist.FetchIncomplete, "an SOA record of other.test, and not of rpz.test"},
		{"no beginning", said(8, nsText, bad), blocklist.FetchIncomplete, "it does not begin with an SOA record"},
		{"differences that lead in a circle", said(8, soaText(8), soaText(7), bad, soaText(7), bad, soaText(8)), blocklist.FetchIncomplete, "and one from 7 came"},
		{"another key", &lie{serial: 8, answers: honest(8, bad).answers, key: other}, blocklist.FetchUnsigned, "the signature is wrong"},
		{"no signature", &lie{serial: 8, answers: honest(8, bad).answers, bare: true}, blocklist.FetchUnsigned, "no signature"},
		{"signed an hour ago", &lie{serial: 8, answers: honest(8, bad).answers, ahead: -time.Hour}, blocklist.FetchUnsigned, "time is not now"},
		{"signed in an hour", &lie{serial: 8, answers: honest(8, bad).answers, ahead: time.Hour}, blocklist.FetchUnsigned, "time is not now"},
		{"what answered another question", &lie{serial: 8, answers: honest(8, bad).answers, replays: true}, blocklist.FetchUnsigned, "the signature is wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := labelled(t, s.publisher, "cenote_blocklist_fetches_total", c.outcome.String())
			p.tells.Store(c.tells)
			answer, err := s.Reload(t.Context(), api.ReloadRequest{Feeds: []string{"taken"}})
			if err != nil || len(answer.Feeds) != 1 || answer.Feeds[0].Failure == nil || !strings.Contains(answer.Feeds[0].Failure.Text, c.want) {
				t.Errorf("%v, %+v, want %q", err, answer.Feeds, c.want)
			}
			if got, serial := s.servedRules(); got != good || serial != 7 {
				t.Errorf("serial %d, rules %q, want those of before", serial, got)
			}
			if n := labelled(t, s.publisher, "cenote_blocklist_fetches_total", c.outcome.String()); n != before+1 {
				t.Errorf("%v is counted %v times, want once more than %v", c.outcome, n, before)
			}
		})
	}
	for _, c := range []struct {
		name  string
		tells *lie
		want  string // of what becomes of the feed, "" where it is taken
		rules int
	}{
		{"no name servers", said(8, soaText(8), bad, soaText(8)), "it has no NS at its apex", 1},
		{"names of other zones", honest(9, bad, "www.test. 60 IN CNAME .", "x.test.rpz.test. 60 IN CNAME ."), "", 2},
		{"no rules", honest(10), "it holds no rule that can be served", 2},
		{"a good zone", honest(11, "x.test.rpz.test. 60 IN CNAME ."), "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.tells.Store(c.tells)
			if _, err := s.Reload(t.Context(), api.ReloadRequest{Feeds: []string{"taken"}}); err != nil {
				t.Fatal(err)
			}
			status := s.publisher.Status()[0]
			if c.want != "" && !strings.Contains(status.Error, c.want) || c.want == "" && status.Error != "" {
				t.Errorf("error %q, want %q", status.Error, c.want)
			}
			if rules, _ := s.servedRules(); len(strings.Split(rules, "\n")) != c.rules {
				t.Errorf("rules\n%s\nwant %d", rules, c.rules)
			}
		})
	}
}

// TestNoticesOfPolicyZones: a notice is followed from the primary's address and by its key, and from nobody else.
func TestNoticesOfPolicyZones(t *testing.T) {
	t.Parallel()
	p, dir, port := startLiar(t), t.TempDir(), dnstest.FreePort(t).Port()
	p.tells.Store(honest(1, "bad.test.rpz.test. 60 IN CNAME ."))
	writeAll(t, dir, map[string]string{"secret": transferSecret + "\n"})
	s := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[3]d}]
upstreams: ['127.0.0.1:9']
access: {allow: [127.0.0.3/32]}
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
feeds: [{name: taken, zone: rpz.test, primaries: [{address: '%[2]s', key: transfer.test}], notify_from: [127.0.0.2/32]}]
policy: {zones: [{name: block, feeds: [taken], action: nxdomain}]}
`, dir, p.addr, port))
	notify := func(from, zone string, signed bool) int {
		t.Helper()
		m := new(dns.Msg)
		m.SetNotify(zone)
		c := dns.Client{Timeout: patience, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}}
		if signed {
			c.TsigSecret = map[string]string{"transfer.test.": transferSecret}
			m.SetTsig("transfer.test.", dns.HmacSHA256, 300, time.Now().Unix())
		}
		r, _, err := c.Exchange(m, s.addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return r.Rcode
	}
	serial := 1
	for _, c := range []struct {
		name, from, zone string
		signed           bool
		want             int
	}{
		{"the primary", "127.0.0.1", "RPZ.test.", false, dns.RcodeSuccess},
		{"a network of the operator's", "127.0.0.2", "rpz.test.", false, dns.RcodeSuccess},
		{"the key", "127.0.0.3", "rpz.test.", true, dns.RcodeSuccess},
		{"a client", "127.0.0.3", "rpz.test.", false, dns.RcodeRefused},
		{"a stranger", "127.0.0.4", "rpz.test.", false, dns.RcodeRefused},
		{"another zone", "127.0.0.3", "other.test.", false, dns.RcodeNotAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			serial++
			p.tells.Store(honest(serial, "bad.test.rpz.test. 60 IN CNAME .", fmt.Sprintf("n%d.test.rpz.test. 60 IN CNAME .", serial)))
			if got := notify(c.from, c.zone, c.signed); got != c.want {
				t.Errorf("%s, want %s", dns.RcodeToString[got], dns.RcodeToString[c.want])
			}
			if c.want == dns.RcodeSuccess {
				s.wait("at the serial that was told of", func() bool { _, got := s.servedRules(); return got == uint32(serial) })
			}
		})
	}
	if _, got := s.servedRules(); got != 4 {
		t.Errorf("serial %d after notices of strangers, want 4", got)
	}
}

// TestPolicyZoneOutlivesAll follows a policy zone that is taken from two primaries: when the first is away the second has it, a restart without both serves it
// and goes on from its version, and a reload with other primaries takes what has changed from them.
func TestPolicyZoneOutlivesAll(t *testing.T) {
	t.Parallel()
	first, second, dir := startLiar(t), startLiar(t), t.TempDir()
	text := func(addrs ...string) string {
		return fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['127.0.0.1:9']
feeds: [{name: taken, zone: rpz.test, primaries: ['%[2]s']}]
policy: {zones: [{name: block, feeds: [taken], action: nxdomain}]}
`, dir, strings.Join(addrs, "', '"))
	}
	bare := func(l *lie) *lie { l.bare = true; return l }
	first.tells.Store(bare(said(9)))
	second.tells.Store(bare(honest(3, "a.test.rpz.test. 60 IN CNAME .")))
	s := startServer(t, dir, text(first.addr.String(), second.addr.String()))
	z := s.publisher.Status()[0].Fetch.Zone
	if _, serial := s.servedRules(); serial != 3 || z.Primary != second.addr.String() || !slices.Equal(z.Primaries, []string{first.addr.String(), second.addr.String()}) {
		t.Errorf("serial %d, %+v", serial, z)
	}
	s.stop()
	first.tells.Store(bare(said(3)))
	second.tells.Store(bare(said(2)))
	s = startServer(t, dir, text(first.addr.String(), second.addr.String()))
	if _, serial := s.servedRules(); serial != 3 {
		t.Errorf("serial %d after a restart, want 3", serial)
	}
	step := bare(said(4, soaText(4), soaText(3), "a.test.rpz.test. 60 IN CNAME .", soaText(4), "b.test.rpz.test. 60 IN CNAME .", soaText(4)))
	second.tells.Store(step)
	writeAll(t, dir, map[string]string{"cenote.yaml": text(second.addr.String())})
	if _, err := s.Reload(t.Context(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	rules, serial := s.servedRules()
	if serial != 4 || !strings.HasPrefix(rules, "b.test") || s.taking(t, "differences") != 1 {
		t.Errorf("serial %d, rules %q, %v differences; status %+v", serial, rules, s.taking(t, "differences"), s.publisher.Status()[0])
	}
	s.stop()
	// A journal that is damaged costs a transfer, and one of another zone is gone.
	journals, err := filepath.Glob(filepath.Join(dir, "state", "policy", "fetched", "taken", "zone", "*"))
	if err != nil || len(journals) != 1 {
		t.Fatal(journals, err)
	}
	writeAll(t, filepath.Dir(journals[0]), map[string]string{filepath.Base(journals[0]): "damaged", "other.journal": "x"})
	second.tells.Store(bare(honest(4, "b.test.rpz.test. 60 IN CNAME .")))
	s = startServer(t, dir, text(second.addr.String()))
	if _, err := s.Reload(t.Context(), api.ReloadRequest{Feeds: []string{"taken"}}); err != nil {
		t.Fatal(err)
	}
	if status := s.publisher.Status()[0]; status.Error != "" || status.State != blocklist.FeedGood || s.taking(t, "whole") != 1 {
		t.Errorf("%+v, %v taken whole", status, s.taking(t, "whole"))
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(journals[0]), "*")); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
