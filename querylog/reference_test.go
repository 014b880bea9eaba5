package querylog_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"
)

// reference writes the line of a record in the plainest way: field by field, each value by encoding/json, nothing remembered.
type reference struct{ b strings.Builder }

func (l *reference) field(key string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(&l.b, `,"%s":%s`, key, text)
}

func (l *reference) fieldIf(when bool, key string, value any) {
	if when {
		l.field(key, value)
	}
}

func (l *reference) address(key string, a [16]byte) {
	l.fieldIf(a != [16]byte{}, key, netip.AddrFrom16(a).Unmap())
}

func referenceLine(r *querylog.Record, n *names) string {
	var l reference
	l.field("time", time.Unix(0, r.Time).UTC().Format("2006-01-02T15:04:05.000000Z"))
	l.address("client", r.Client)
	l.field("client_port", r.ClientPort)
	if r.Peer != r.Client {
		l.address("peer", r.Peer)
		l.field("peer_port", r.PeerPort)
	}
	l.address("local", r.Local)
	name, err := dnsname.FromWire(r.Name[:r.NameLen])
	l.field("name", textOf(name, err))
	l.field("type", mnemonic("TYPE", r.QType, querylog.TypeMnemonic(r.QType)))
	l.fieldIf(r.QClass != 1, "class", mnemonic("CLASS", r.QClass, classes[r.QClass]))
	l.field("id", r.ID)
	l.fieldIf(r.Flags>>11&15 != 0, "opcode", r.Flags>>11&15)
	l.field("flags", flagsOf(r.Flags))
	l.field("transport", policy.Transport(r.Transport).String())
	l.field("source", r.Source.String())
	if r.ReplySize > 0 {
		l.field("rcode", mnemonic("RCODE", r.Rcode, querylog.RcodeMnemonic(r.Rcode)))
		l.field("reply_flags", flagsOf(r.ReplyFlags))
	}
	l.field("size", r.ReplySize)
	l.field("duration_us", max(0, r.Duration)/1000)
	l.fieldIf(r.EDE != 0xffff, "ede", r.EDE)
	if r.Match {
		l.match(r, n, name)
	}
	l.field("verified", r.Verified)
	l.field("stale", r.Source == querylog.SourceStale)
	l.field("generation", r.Generation)
	return "{" + l.b.String()[1:] + "}\n"
}

func (l *reference) match(r *querylog.Record, n *names, name dnsname.Name) {
	l.field("action", policy.Action(r.Action).String())
	l.field("trigger", policy.Trigger(r.Trigger).String())
	l.field("enforced", r.Enforced)
	if m, ok := n.Match(r.Generation, r); ok {
		l.field("zone", m.Zone)
		l.field("feed", m.Feed)
		l.fieldIf(m.Family != "", "family", m.Family)
		l.fieldIf(m.Threat != "", "threat", m.Threat)
	}
	l.field("reference", policy.Reference{
		Generation: r.Generation, Set: r.Set, Listed: r.ListedHash, Zone: r.Zone, Member: r.Member, Trigger: policy.Trigger(r.Trigger), Labels: r.Labels,
	}.String())
	l.fieldIf(r.Stage > 0, "stage", r.Stage)
	listed := r.Stage == 0 && r.Labels > 0 && int(r.Labels) <= name.Labels() && policy.Trigger(r.Trigger) == policy.TriggerQNAME
	if listed {
		l.field("listed", name.Suffix(int(r.Labels)).Canonical().String())
	}
	if policy.Trigger(r.Trigger).ByAddress() {
		l.field("listed", listedPrefix(r))
	}
}

func listedPrefix(r *querylog.Record) string {
	addr, bits := netip.AddrFrom16(r.Listed).Unmap(), int(r.ListedBits)
	if addr.Is4() {
		bits -= 96
	}
	if bits == addr.BitLen() {
		return addr.String()
	}
	return fmt.Sprintf("%s/%d", addr, bits)
}

func textOf(name dnsname.Name, err error) string {
	if err != nil {
		return ""
	}
	return name.String()
}

var classes = map[uint16]string{3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}

func mnemonic(prefix string, n uint16, known string) string {
	if known != "" {
		return known
	}
	return fmt.Sprint(prefix, n)
}

func flagsOf(flags uint16) string {
	var set []string
	for i, name := range []string{"qr", "aa", "tc", "rd", "ra", "", "ad", "cd"} {
		bit := uint16(1) << (15 - i)
		if i > 0 {
			bit = 1 << (11 - i) // the opcode lies between
		}
		if name != "" && flags&bit != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, " ")
}

// TestLinesEqualTheReference: one encoder, whatever it remembers of the records before, writes each line as the reference does.
func TestLinesEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	n := blackbook()
	e := querylog.NewEncoder(n)
	records := 40_000
	if raceEnabled {
		records = 4_000
	}
	for i := range records {
		record := randomRecord(r)
		n.match.Family = []string{"", "redline"}[record.Set&1]
		n.match.Zone = fmt.Sprintf("zone%d", record.Generation%7)
		n.gone = record.Generation%5 == 4 && record.Set%3 == 0
		got := string(e.AppendLine([]byte("before"), &record))
		if want := "before" + referenceLine(&record, n); got != want {
			t.Fatalf("line %d:\ngot  %swant %s", i, got, want)
		}
	}
}

// randomRecord draws values that repeat often, and now and then do not.
func randomRecord(r *rand.Rand) (out querylog.Record) {
	few := func(n int) uint16 {
		if r.IntN(4) > 0 {
			return uint16(r.IntN(n))
		}
		return uint16(r.Uint32() >> r.IntN(17) & 0xffff)
	}
	out = querylog.Record{
		Time: time.Date(2026, 1, 2, 3, 4, r.IntN(3), r.IntN(1e9), time.UTC).UnixNano(), Duration: r.Int64N(1<<(10+r.IntN(50))) - 1000,
		Client: randomAddr(r), Peer: randomAddr(r), Local: randomAddr(r), ClientPort: few(100), PeerPort: few(100),
		ID: uint16(r.Uint32()), QType: few(300), QClass: 1, Flags: randomFlags(r), Transport: uint8(r.IntN(5)), Verified: r.IntN(2) > 0,
		Rule: querylog.Rule{
			Generation: uint64(few(8)), Set: uint32(few(16)), Zone: few(3), Member: few(3), Labels: uint8(r.IntN(5)),
			Action: uint8(r.IntN(8)), Trigger: uint8(r.IntN(5)), Stage: uint8(max(0, r.IntN(5)-2)), Match: r.IntN(2) > 0, Enforced: r.IntN(2) > 0,
		},
		Reply: querylog.Reply{Rcode: few(24), ReplyFlags: randomFlags(r), ReplySize: few(3), EDE: 0xffff, Source: querylog.Source(r.IntN(7))},
	}
	if r.IntN(2) > 0 {
		out.Peer = out.Client
	}
	out.Listed, out.ListedBits = randomAddr(r), uint8(r.IntN(129))
	if netip.AddrFrom16(out.Listed).Is4In6() {
		out.ListedBits = uint8(96 + r.IntN(33))
	}
	if r.IntN(4) == 0 {
		out.QClass, out.EDE = few(256), few(30)
	}
	out.NameLen = uint8(copy(out.Name[:], randomName(r)))
	if r.IntN(50) == 0 {
		out.NameLen = uint8(r.IntN(4))
	}
	return out
}

func randomFlags(r *rand.Rand) uint16 {
	if r.IntN(20) == 0 {
		return uint16(r.Uint32())
	}
	return 0x8000>>r.IntN(2) | 0x0100 | uint16(r.IntN(2))<<4
}

// randomAddr is an address of any family, or the unknown one.
func randomAddr(r *rand.Rand) (a [16]byte) {
	switch r.IntN(8) {
	case 0:
		return a
	case 1, 2:
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0x0d, 3: 0xb8, 9: uint8(r.IntN(2)), 15: uint8(r.IntN(200))}).As16()
	case 3:
		for i := range a {
			a[i] = byte(r.Uint32())
		}
		return a
	}
	return netip.AddrFrom4([4]byte{192, 0, uint8(r.IntN(256)), uint8(r.IntN(256))}).As16()
}

// randomName has labels of letters, and seldom of any octets.
func randomName(r *rand.Rand) dnsname.Name {
	var name []byte
	for range r.IntN(5) {
		label := make([]byte, 1+r.IntN(63>>r.IntN(5)))
		for i := range label {
			label[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*"[r.IntN(64)]
			if r.IntN(100) == 0 {
				label[i] = byte(r.Uint32())
			}
		}
		if len(name)+1+len(label) < dnsname.WireMax {
			name = append(append(name, byte(len(label))), label...)
		}
	}
	return dnsname.Name(append(name, 0))
}

// TestNamesThatAreKnownLater: what a rule is called is asked again, and written, once it is known.
func TestNamesThatAreKnownLater(t *testing.T) {
	n := blackbook()
	e := querylog.NewEncoder(n)
	r := matched("a.malware.example", 2)
	for _, n.gone = range []bool{true, true, false} {
		if got, want := string(e.AppendLine(nil, &r)), referenceLine(&r, n); got != want {
			t.Errorf("gone %v:\ngot  %swant %s", n.gone, got, want)
		}
	}
}
