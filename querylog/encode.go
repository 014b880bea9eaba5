package querylog

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// ednsNone is the value of Record.EDE where no extended error was sent.
const ednsNone = 0xffff

// encoder writes records as lines. It belongs to the writer. Lines are put together from pieces that were rendered before; it allocates nothing, but
// for pieces and rules that it meets first.
type encoder struct {
	matches   matchCache
	keys      *keyNames
	second    int64                                  // the second whose text is in stamp
	stamp     [len(lineStart) + len(secondForm)]byte // the beginning of a line
	stamped   bool
	text      []byte // scratch for names that are escaped
	clients   pieces[[16]byte]
	peers     pieces[[16]byte]
	locals    pieces[[16]byte]
	questions pieces[uint32]
	replies   pieces[uint64]
	rules     pieces[ruleKey]
	ends      pieces[endKey]
	name      nameFacts
}

const secondForm = "2006-01-02T15:04:05."

// nameFacts is what was found out about the query name of the line.
type nameFacts struct {
	wire   int // octets of the name in wire form; 0 if it has none
	labels int
	plain  bool // nothing in it is escaped
}

func newEncoder(names Names, keys *keyNames) encoder {
	return encoder{
		matches: matchCache{names: names}, keys: keys,
		clients: newPieces[[16]byte](clientsMax), peers: newPieces[[16]byte](piecesMax), locals: newPieces[[16]byte](piecesMax),
		questions: newPieces[uint32](piecesMax), replies: newPieces[uint64](piecesMax),
		rules: newPieces[ruleKey](piecesMax), ends: newPieces[endKey](piecesMax),
	}
}

// appendLine appends the line of r, with its line feed, to b. The order of the fields is fixed; docs/querylog.md describes them.
func (e *encoder) appendLine(b []byte, r *Record) []byte {
	b = e.appendTime(b, r.Time)
	b = append(b, '"')
	b = e.appendParties(b, r)
	b = e.appendQuestion(b, r)
	b = e.appendReply(b, r)
	if r.Match {
		b = e.appendMatch(b, r)
	}
	return e.appendEnd(b, r)
}

// appendTime begins a line with nanoseconds since the epoch in RFC 3339 with microseconds, in UTC: always 27 octets. int64 reaches from 1677 to
// 2262, so that years have four digits.
func (e *encoder) appendTime(b []byte, ns int64) []byte {
	second, rest := ns/1e9, ns%1e9
	if rest < 0 {
		second, rest = second-1, rest+1e9
	}
	if second != e.second || !e.stamped {
		time.Unix(second, 0).UTC().AppendFormat(append(e.stamp[:0], lineStart...), secondForm)
		e.second, e.stamped = second, true
	}
	b = append(b, e.stamp[:]...)
	micros := uint32(rest) / 1000
	b = appendPair(b, micros/10000)
	b = appendPair(b, micros/100%100)
	return append(appendPair(b, micros%100), 'Z')
}

// appendParties writes who asked, by whom the question came, and which address was asked.
func (e *encoder) appendParties(b []byte, r *Record) []byte {
	b = appendAddress(b, &e.clients, `,"client":"`, &r.Client)
	b = appendNumber(b, `,"client_port":`, uint64(r.ClientPort))
	if r.Peer != r.Client {
		b = appendAddress(b, &e.peers, `,"peer":"`, &r.Peer)
		b = appendNumber(b, `,"peer_port":`, uint64(r.PeerPort))
	}
	b = appendAddress(b, &e.locals, `,"local":"`, &r.Local)
	if r.Key != 0 {
		b = e.appendKey(b, r.Key)
	}
	return b
}

// appendKey writes the name of the key that the query was signed with, as a name of the configuration is written.
func (e *encoder) appendKey(b []byte, number uint16) []byte {
	name := e.keys.name(number)
	if name.IsZero() {
		return b
	}
	b, _ = e.appendName(append(b, `,"key":"`...), []byte(name))
	return append(b, '"')
}

// appendAddress writes an address that may be among those remembered; one that is all zero is not known, and left out.
func appendAddress(b []byte, known *pieces[[16]byte], key string, a *[16]byte) []byte {
	s := known.at(binary.LittleEndian.Uint64(a[:])^binary.LittleEndian.Uint64(a[8:]), a)
	if !s.held {
		s.text, s.held = appendAddr(s.text, key, a), true
	}
	return append(b, s.text...)
}

func appendAddr(b []byte, key string, a *[16]byte) []byte {
	addr := netip.AddrFrom16(*a)
	switch {
	case *a == [16]byte{}:
		return b
	case addr.Is4In6():
		return append(appendIPv4(append(b, key...), binary.BigEndian.Uint32(a[12:])), '"')
	}
	return append(addr.AppendTo(append(b, key...)), '"')
}

// octets are the numbers of an IPv4 address, each with a dot.
var octets = func() (all [256]struct {
	text [4]byte
	size uint8
}) {
	for i := range all {
		all[i].size = uint8(len(append(strconv.AppendUint(all[i].text[:0], uint64(i), 10), '.')))
	}
	return all
}()

// appendIPv4 writes an address: four octets of text for each of its own, of which those behind the dot are written over.
func appendIPv4(b []byte, a uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		o := &octets[uint8(a>>shift)]
		b = append(b, o.text[:]...)
		b = b[:len(b)-len(o.text)+int(o.size)]
	}
	return b[:len(b)-1]
}

func (e *encoder) appendQuestion(b []byte, r *Record) []byte {
	b = append(b, `,"name":"`...)
	e.name = nameFacts{}
	if n, labels, err := dnsname.Check(r.Name[:r.NameLen]); err == nil {
		b, e.name.plain = e.appendName(b, r.Name[:n])
		e.name.wire, e.name.labels = n, labels
	}
	key := uint32(r.QType)<<16 | uint32(r.QClass)
	s := e.questions.at(uint64(key), &key)
	if !s.held {
		s.text, s.held = appendTypeAndClass(s.text, r), true
	}
	return appendDecimal(append(b, s.text...), uint64(r.ID))
}

// appendTypeAndClass writes what is between the name and the identifier.
func appendTypeAndClass(b []byte, r *Record) []byte {
	b = append(b, `","type":"`...)
	b = wire.AppendType(b, r.QType)
	b = append(b, '"')
	if r.QClass != wire.ClassIN {
		b = append(b, `,"class":"`...)
		b = appendClass(b, r.QClass)
		b = append(b, '"')
	}
	return append(b, `,"id":`...)
}

// appendName writes a checked name in presentation form. What dnsname leaves unescaped needs no escape in JSON but for its backslashes. plain
// says that there are none.
func (e *encoder) appendName(b, name []byte) (out []byte, plain bool) {
	from := len(b)
	b = dnsname.AppendText(b, name)
	if len(b)-from == len(name)-2 {
		return b, true
	}
	e.text = append(e.text[:0], b[from:]...)
	b = b[:from]
	for _, c := range e.text {
		if c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b, false
}

func (e *encoder) appendReply(b []byte, r *Record) []byte {
	const low = 4 // a header's flags end in a response code, which is not written from there
	key := uint64(r.Flags>>low)<<44 | uint64(r.ReplyFlags>>low)<<32 | uint64(r.Rcode)<<16 | uint64(r.Transport)<<8 | uint64(r.Source)
	if r.ReplySize > 0 {
		key |= 1 << 63
	}
	s := e.replies.at(key, &key)
	if !s.held {
		s.text, s.held = appendFlagsAndCode(s.text, r), true
	}
	b = appendDecimal(append(b, s.text...), uint64(r.ReplySize))
	return appendNumber(b, `,"duration_us":`, uint64(max(0, r.Duration))/1000)
}

// appendFlagsAndCode writes what is between the identifier and the size of the reply.
func appendFlagsAndCode(b []byte, r *Record) []byte {
	if op := r.Flags >> 11 & 15; op != 0 {
		b = appendNumber(b, `,"opcode":`, uint64(op))
	}
	b = appendFlags(b, `,"flags":"`, r.Flags)
	b = append(b, `,"transport":"`...)
	b = append(b, policy.Transport(r.Transport).String()...)
	b = append(b, `","source":"`...)
	b = append(b, r.Source.String()...)
	b = append(b, '"')
	if r.ReplySize > 0 {
		b = append(b, `,"rcode":"`...)
		b = appendRcode(b, r.Rcode)
		b = append(b, '"')
		b = appendFlags(b, `,"reply_flags":"`, r.ReplyFlags)
	}
	return append(b, `,"size":`...)
}

// ruleKey is what decides the piece that says which rule matched and what it did.
type ruleKey struct {
	matchKey
	did uint64
}

// appendMatch writes the rule. What is missing while its policy is not held may be there the next time.
func (e *encoder) appendMatch(b []byte, r *Record) []byte {
	key := ruleKey{r.key(), uint64(r.EDE)<<24 | uint64(r.Action)<<16 | uint64(r.Trigger)<<8 | bit(r.Enforced)}
	s := e.rules.at(uint64(r.Set)<<32^uint64(r.Member)<<16^uint64(r.Zone)^r.Generation<<8^key.did, &key)
	if !s.held {
		names, ok := e.matches.piece(r)
		s.text, s.held = appendRule(s.text[:0], r, names), ok
	}
	b = append(b, s.text...)
	b = appendReference(b, r)
	if r.Stage > 0 {
		b = appendNumber(b, `,"stage":`, uint64(r.Stage))
	}
	if policy.Trigger(r.Trigger).ByAddress() {
		return appendPrefix(b, &r.Listed, r.ListedBits)
	}
	return e.appendListed(b, r)
}

// appendReference writes what refers to the rule.
func appendReference(b []byte, r *Record) []byte {
	reference := policy.Reference{
		Generation: r.Generation, Set: r.Set, Listed: r.ListedHash, Zone: r.Zone, Member: r.Member, Trigger: policy.Trigger(r.Trigger), Labels: r.Labels,
	}
	return append(policy.AppendReference(append(b, `,"reference":"`...), &reference), '"')
}

// appendPrefix writes the listed address or prefix.
func appendPrefix(b []byte, a *[16]byte, bits uint8) []byte {
	addr := netip.AddrFrom16(*a).Unmap()
	if addr.Is4() {
		bits -= 96
	}
	b = append(b, `,"listed":"`...)
	b = addr.AppendTo(b)
	if int(bits) != addr.BitLen() {
		b = strconv.AppendUint(append(b, '/'), uint64(bits), 10)
	}
	return append(b, '"')
}

// appendRule writes what is before the stage and the listed name.
func appendRule(b []byte, r *Record, names []byte) []byte {
	b = appendEDE(b, r.EDE)
	b = append(b, `,"action":"`...)
	b = append(b, policy.Action(r.Action).String()...)
	b = append(b, `","trigger":"`...)
	b = append(b, policy.Trigger(r.Trigger).String()...)
	b = append(b, '"')
	b = appendBool(b, `,"enforced":`, r.Enforced)
	return append(b, names...)
}

func appendEDE(b []byte, code uint16) []byte {
	if code == ednsNone {
		return b
	}
	return appendNumber(b, `,"ede":`, uint64(code))
}

// appendListed writes the listed name: that of another name on the way, or the last labels of the query name, in lower case.
func (e *encoder) appendListed(b []byte, r *Record) []byte {
	if n, _, err := dnsname.Check(r.ListedName[:r.ListedLen]); err == nil {
		b, _ = e.appendName(append(b, `,"listed":"`...), r.ListedName[:n])
		return append(b, '"')
	}
	skip := e.name.labels - int(r.Labels)
	if e.name.wire == 0 || r.Stage > 0 || r.Labels == 0 || skip < 0 || policy.Trigger(r.Trigger) != policy.TriggerQNAME {
		return b
	}
	name := r.Name[:e.name.wire]
	at := 0
	for ; skip > 0; skip-- {
		at += 1 + int(name[at])
	}
	b = append(b, `,"listed":"`...)
	if e.name.plain {
		return append(appendLower(b, name[at:]), '"')
	}
	var lower [dnsname.WireMax]byte
	listed := lower[:len(name)-at]
	dnsname.Lower(listed, name[at:])
	b, _ = e.appendName(b, listed)
	return append(b, '"')
}

// appendLower writes a name of which nothing is escaped, in lower case.
func appendLower(b, name []byte) []byte {
	from, last := len(b), len(name)-1
	b = slices.Grow(b, last)[:from+last-1]
	dnsname.Lower(b[from:], name[1:last])
	for at := 1 + int(name[0]); at < last; at += 1 + int(name[at]) {
		b[from+at-1] = '.'
	}
	return b
}

// endKey is what decides the end of a line.
type endKey struct{ generation, rest uint64 }

func (e *encoder) appendEnd(b []byte, r *Record) []byte {
	key := endKey{r.Generation, bit(r.Verified)<<1 | bit(r.Source == SourceStale)}
	if !r.Match {
		key.rest |= 4 | uint64(r.EDE)<<16
	}
	s := e.ends.at(key.generation^key.rest<<8, &key)
	if !s.held {
		s.text, s.held = appendRest(s.text, r), true
	}
	return append(b, s.text...)
}

// appendRest writes what follows the duration, or the rule if there is one.
func appendRest(b []byte, r *Record) []byte {
	if !r.Match {
		b = appendEDE(b, r.EDE)
	}
	b = appendBool(b, `,"verified":`, r.Verified)
	b = appendBool(b, `,"stale":`, r.Source == SourceStale)
	b = appendNumber(b, `,"generation":`, r.Generation)
	return append(b, "}\n"...)
}

func bit(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

func appendNumber(b []byte, key string, n uint64) []byte {
	return appendDecimal(append(b, key...), n)
}

// pairs are the numbers of two digits.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869" +
	"707172737475767778798081828384858687888990919293949596979899"

// appendPair writes a number below 100 in two digits.
func appendPair(b []byte, n uint32) []byte { return append(b, pairs[2*n], pairs[2*n+1]) }

// appendDecimal writes n. Most numbers of a line are below 100,000.
func appendDecimal(b []byte, n uint64) []byte {
	if n >= 100_000 {
		return strconv.AppendUint(b, n, 10)
	}
	m := uint32(n)
	switch {
	case m < 10:
		return append(b, byte('0'+m))
	case m < 100:
		return appendPair(b, m)
	case m < 1000:
		return appendPair(append(b, byte('0'+m/100)), m%100)
	case m < 10_000:
		return appendPair(appendPair(b, m/100), m%100)
	}
	return appendPair(appendPair(append(b, byte('0'+m/10_000)), m/100%100), m%100)
}

func appendBool(b []byte, key string, v bool) []byte {
	return strconv.AppendBool(append(b, key...), v)
}

// textMax bounds a text of a line that is not a name, in octets before it is escaped.
const textMax = 256

// appendText writes a text that comes from a feed or the configuration. Whatever does not print is escaped, so that no terminal and no
// viewer can be led astray by it.
func appendText(b []byte, key, s string) []byte {
	b = append(append(b, key...), '"')
	for _, c := range s[:min(len(s), textMax)] {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case unicode.IsPrint(c):
			b = utf8.AppendRune(b, c)
		default:
			b = appendEscape(b, c)
		}
	}
	return append(b, '"')
}

func appendEscape(b []byte, c rune) []byte {
	const hex = "0123456789abcdef"
	if c > 0xffff {
		c -= 0x10000
		b = appendEscape(b, 0xd800+c>>10)
		c = 0xdc00 + c&0x3ff
	}
	return append(b, '\\', 'u', hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
}

// eventKey is in every line that is no record, and in no record.
const eventKey = `","event":"`

// appendDrops appends the line that says how many records are missing.
func (e *encoder) appendDrops(b []byte, now int64, n uint64) []byte {
	b = e.appendTime(b, now)
	b = append(b, eventKey...)
	b = append(b, `dropped"`...)
	b = appendNumber(b, `,"records":`, n)
	return append(b, "}\n"...)
}
