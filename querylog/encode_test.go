package querylog_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// names answers with fixed names, and counts how often it is asked.
type names struct {
	match querylog.Match
	gone  bool
	asked int
}

func (n *names) Match(uint64, *querylog.Record) (querylog.Match, bool) {
	n.asked++
	return n.match, !n.gone
}

func blackbook() *names {
	return &names{match: querylog.Match{Zone: "malware", Feed: "blackbook", Family: "redline", Threat: "stealer"}}
}

// query is a plain record of one query.
func query(name string) querylog.Record {
	r := querylog.Record{
		Time: time.Date(2026, 1, 2, 15, 4, 5, 678_901_234, time.UTC).UnixNano(), Duration: int64(1_234_567),
		Client: netip.MustParseAddr("192.0.2.7").As16(), ClientPort: 40000,
		Peer: netip.MustParseAddr("192.0.2.7").As16(), PeerPort: 40000,
		Local: netip.MustParseAddr("198.51.100.1").As16(), LocalPort: 53,
		ID: 77, QType: dns.TypeA, QClass: dns.ClassINET, Flags: 0x0120,
		Rule:  querylog.Rule{Generation: 3},
		Reply: querylog.Reply{ReplyFlags: 0x8180, ReplySize: 60, EDE: 0xffff, Source: querylog.SourceCache},
	}
	r.NameLen = uint8(copy(r.Name[:], dnsname.MustParse(name)))
	return r
}

func matched(name string, labels uint8) querylog.Record {
	r := query(name)
	r.Match, r.Enforced, r.Labels, r.Set, r.EDE = true, true, labels, 9, 15
	r.Action, r.Trigger, r.Source = uint8(policy.ActionSinkhole), uint8(policy.TriggerQNAME), querylog.SourcePolicy
	return r
}

func TestLine(t *testing.T) {
	const begin = `{"time":"2026-01-02T15:04:05.678901Z","client":"192.0.2.7","client_port":40000,`
	change := func(r querylog.Record, by func(*querylog.Record)) querylog.Record { by(&r); return r }
	for _, tc := range []struct {
		name, want string
		record     querylog.Record
	}{
		{"clean", begin + `"local":"198.51.100.1","name":"WwW.example","type":"A","id":77,"flags":"rd ad","transport":"udp","source":"cache","rcode":"NOERROR","reply_flags":"qr rd ra","size":60,"duration_us":1234,"verified":false,"stale":false,"generation":3}`, query("WwW.example")},
		{"matched", begin + `"local":"198.51.100.1","name":"a.Malware.example","type":"A","id":77,"flags":"rd ad","transport":"udp","source":"policy","rcode":"NOERROR","reply_flags":"qr rd ra","size":60,"duration_us":1234,"ede":15,"action":"sinkhole","trigger":"qname","enforced":true,"zone":"malware","feed":"blackbook","family":"redline","threat":"stealer","reference":"ref:AAAAAAAAAMAAAAAJAAAAAAAAAAAAAATG","listed":"malware.example","verified":false,"stale":false,"generation":3}`, matched("a.Malware.example", 2)},
		{"by a forwarder, no reply", begin + `"peer":"2001:db8::5","peer_port":53,"name":".","type":"TYPE65280","class":"CH","id":77,"opcode":4,"flags":"","transport":"tcp","source":"none","size":0,"duration_us":0,"verified":true,"stale":false,"generation":0}`,
			change(query("."), func(r *querylog.Record) {
				r.Peer, r.PeerPort, r.Local, r.QType, r.QClass = netip.MustParseAddr("2001:db8::5").As16(), 53, [16]byte{}, 65280, dns.ClassCHAOS
				r.Flags, r.Transport, r.Source, r.ReplySize, r.Duration, r.Verified, r.Generation = 4<<11, uint8(policy.TransportTCP), querylog.SourceNone, 0, -5, true, 0
			})},
		{"stale, at a CNAME step, observed", begin + `"local":"198.51.100.1","name":"www.example","type":"HTTPS","id":77,"flags":"rd ad","transport":"udp","source":"stale","rcode":"NXDOMAIN","reply_flags":"qr rd ra","size":60,"duration_us":1234,"ede":3,"action":"nxdomain","trigger":"qname","enforced":false,"zone":"malware","feed":"blackbook","family":"redline","threat":"stealer","reference":"ref:AAAAAAAAAMAAAAAJAAAAAAAAAAAAAATG","stage":2,"verified":false,"stale":true,"generation":3}`,
			change(matched("www.example", 2), func(r *querylog.Record) {
				r.QType, r.Source, r.Rcode, r.EDE, r.Action, r.Enforced, r.Stage = dns.TypeHTTPS, querylog.SourceStale, 3, 3, uint8(policy.ActionNXDOMAIN), false, 2
			})},
		{"no name could be read", begin + `"local":"198.51.100.1","name":"","type":"TYPE0","class":"CLASS0","id":77,"flags":"rd ad","transport":"udp","source":"none","rcode":"RCODE3841","reply_flags":"qr rd ra","size":12,"duration_us":1234,"verified":false,"stale":false,"generation":3}`,
			change(query("www.example"), func(r *querylog.Record) {
				r.NameLen, r.QType, r.QClass, r.Source, r.Rcode, r.ReplySize = 0, 0, 0, querylog.SourceNone, 3841, 12
			})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := string(querylog.NewEncoder(blackbook()).AppendLine(nil, &tc.record))
			if diff := cmp.Diff(tc.want+"\n", got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostileNamesAreEscaped(t *testing.T) {
	for in, want := range map[string]string{
		`a\010b.evil.example`:           `"name":"a\\010b.evil.example"`,
		`\034\125\,\034x.example`:       `"name":"\\034\\125\\044\\034x.example"`,
		`\092\092\046.example`:          `"name":"\\092\\092\\046.example"`,
		`\027[31m.example`:              `"name":"\\027\\09131m.example"`,
		`\226\128\174gpj\255.example`:   `"name":"\\226\\128\\174gpj\\255.example"`,
		`<script>.example`:              `"name":"\\060script\\062.example"`,
		`*.under_score-MiXeD.0.example`: `"name":"*.under_score-MiXeD.0.example"`,
	} {
		r := query(in)
		if got := string(querylog.NewEncoder(nil).AppendLine(nil, &r)); !strings.Contains(got, want) {
			t.Errorf("line of %s: got %s want in it %s", in, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	e := querylog.NewEncoder(nil)
	for _, ns := range []int64{0, -1, 999, 1_000, -1_000_000_000, 1_767_366_245_999_999_999, 1_767_366_246_000_000_000, 1_767_366_245_000_001_000, math.MinInt64, math.MaxInt64} {
		r := query("www.example")
		r.Time = ns
		got := string(e.AppendLine(nil, &r)[len(querylog.LineStart):][:27])
		if want := time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000Z"); got != want {
			t.Errorf("time of %d: got %s want %s", ns, got, want)
		}
	}
}

// TestMnemonics holds the tables against another reader of IANA's registries.
func TestMnemonics(t *testing.T) {
	for n := range uint16(math.MaxUint16) {
		if got := querylog.TypeMnemonic(n); got != "" && got != dns.TypeToString[n] {
			t.Errorf("type %d: got %s want %s", n, got, dns.TypeToString[n])
		}
		switch got, want := querylog.RcodeMnemonic(n), dns.RcodeToString[int(n)]; {
		case got == "", got == "BADVERS" && want == "BADSIG", got == "NOTIMP" && want == "NOTIMP":
		case got != want:
			t.Errorf("rcode %d: got %s want %s", n, got, want)
		}
	}
}

func TestNamesAreRemembered(t *testing.T) {
	n := blackbook()
	e := querylog.NewEncoder(n)
	for i := range 100 {
		r := matched(fmt.Sprintf("n%d.malware.example", i), 2)
		e.AppendLine(nil, &r)
	}
	if n.asked != 1 {
		t.Errorf("records of one rule: got %d questions want 1", n.asked)
	}
	r := matched("malware.example", 2)
	for _, other := range []func(){func() { r.Generation++ }, func() { r.Set++ }, func() { r.Zone++ }, func() { r.Member++ }} {
		before := n.asked
		other()
		if e.AppendLine(nil, &r); n.asked != before+1 {
			t.Errorf("another rule: got %d questions want 1", n.asked-before)
		}
	}
	for i := range 2 * querylog.MatchesMax {
		r.Set = uint32(i)
		e.AppendLine(nil, &r)
	}
	if got := e.Remembered(); got > querylog.MatchesMax {
		t.Errorf("rules remembered: got %d want at most %d", got, querylog.MatchesMax)
	}
}

func TestNamesThatAreGone(t *testing.T) {
	n := blackbook()
	n.gone = true
	r := matched("a.malware.example", 2)
	got := decode(t, querylog.NewEncoder(n).AppendLine(nil, &r))
	if got["zone"] != nil || got["listed"] != "malware.example" || got["action"] != "sinkhole" {
		t.Errorf("line of a superseded policy: got %v want no zone, the listed name and the action", got)
	}
}

func decode(t testing.TB, line []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(line, &out); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	return out
}

// line is what a reader of the log would unmarshal a line into.
type line struct {
	Time       time.Time  `json:"time"`
	Client     netip.Addr `json:"client"`
	ClientPort uint16     `json:"client_port"`
	Peer       netip.Addr `json:"peer"`
	PeerPort   uint16     `json:"peer_port"`
	Local      netip.Addr `json:"local"`
	Name       string     `json:"name"`
	Zone       string     `json:"zone"`
	Family     string     `json:"family"`
	Size       uint16     `json:"size"`
	Micros     int64      `json:"duration_us"`
	EDE        *uint16    `json:"ede"`
	Verified   bool       `json:"verified"`
	Generation uint64     `json:"generation"`
}

// FuzzLine holds for any record that its line is one line, is JSON without control characters, and reads back as what went in.
func FuzzLine(f *testing.F) {
	for _, r := range []querylog.Record{query("www.example"), matched(`a\010\034.malware.example`, 2), {}} {
		b, err := binary.Append(nil, binary.LittleEndian, &r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "zone", "family\x00\x1b\"\\\u202e\U0001f4a9")
	}
	f.Fuzz(func(t *testing.T, b []byte, zone, family string) {
		var r querylog.Record
		b = append(b, make([]byte, binary.Size(&r))...)
		if _, err := binary.Decode(b, binary.LittleEndian, &r); err != nil {
			t.Fatal(err)
		}
		e := querylog.NewEncoder(&names{match: querylog.Match{Zone: zone, Feed: "f", Family: family}})
		text := e.AppendLine(nil, &r)
		checkText(t, text)
		if again := e.AppendLine(nil, &r); string(again) != string(text) {
			t.Errorf("line from what is remembered: got %q want %q", again, text)
		}
		var got line
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("line %q: %v", text, err)
		}
		checkFields(t, &r, &got)
		if want := strings.ToValidUTF8(family, "\ufffd"); r.Match && len(family) < 64 && got.Family != want && utfClean(family) {
			t.Errorf("family: got %q want %q", got.Family, want)
		}
	})
}

func utfClean(s string) bool { return strings.ToValidUTF8(s, "") == s }

func checkText(t *testing.T, text []byte) {
	t.Helper()
	if i := strings.IndexFunc(string(text[:len(text)-1]), func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
		t.Errorf("line has %q in %q", text[i], text)
	}
	if text[len(text)-1] != '\n' || strings.Contains(string(text), querylog.EventKey) || !strings.HasPrefix(string(text), querylog.LineStart) {
		t.Errorf("line cannot be told from others: %q", text)
	}
}

func checkFields(t *testing.T, r *querylog.Record, got *line) {
	t.Helper()
	addr := func(a [16]byte) netip.Addr {
		if a == [16]byte{} {
			return netip.Addr{}
		}
		return netip.AddrFrom16(a).Unmap()
	}
	want := line{
		Time: time.Unix(0, r.Time).UTC().Truncate(time.Microsecond), Client: addr(r.Client), ClientPort: r.ClientPort, Local: addr(r.Local),
		Name: got.Name, Zone: got.Zone, Family: got.Family, Size: r.ReplySize, Micros: max(0, r.Duration) / 1000, Verified: r.Verified, Generation: r.Generation,
	}
	if r.Peer != r.Client {
		want.Peer, want.PeerPort = addr(r.Peer), r.PeerPort
	}
	if r.EDE != 0xffff {
		want.EDE = &r.EDE
	}
	if diff := cmp.Diff(want, *got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if n, _, err := dnsname.Check(r.Name[:r.NameLen]); err == nil {
		if back, err := dnsname.Parse(got.Name); err != nil || string(back) != string(r.Name[:n]) {
			t.Errorf("name: got %q, which reads back as %q, %v; want %q", got.Name, back, err, r.Name[:n])
		}
	}
}

func TestLineAllocatesNothing(t *testing.T) {
	e := querylog.NewEncoder(blackbook())
	r := matched(`a\010.Malware.example`, 2)
	b := e.AppendLine(nil, &r)
	if got := testing.AllocsPerRun(100, func() { r.Time += 1e9; b = e.AppendLine(b[:0], &r) }); got != 0 {
		t.Errorf("allocations of a line: got %v want 0", got)
	}
}

func BenchmarkLine(b *testing.B) {
	for name, r := range map[string]querylog.Record{"clean": query("www.example"), "matched": matched("a.b.malware.example", 2)} {
		b.Run(name, func(b *testing.B) {
			e := querylog.NewEncoder(blackbook())
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				r.Time += 1000
				buf = e.AppendLine(buf[:0], &r)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}
