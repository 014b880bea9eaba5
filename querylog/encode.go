package querylog

import (
	"net/netip"
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

// encoder writes records as lines. It belongs to the writer and allocates nothing, but for rules that it meets first.
type encoder struct {
	matches matchCache
	second  int64    // the second whose text is in stamp
	stamp   [19]byte // 2006-01-02T15:04:05
	text    []byte   // scratch for names
}

// appendLine appends the line of r, with its line feed, to b. The order of the fields is fixed; docs/querylog.md describes them.
func (e *encoder) appendLine(b []byte, r *Record) []byte {
	b = append(b, lineStart...)
	b = e.appendTime(b, r.Time)
	b = append(b, '"')
	b = appendParties(b, r)
	b = e.appendQuestion(b, r)
	b = appendReply(b, r)
	if r.Match {
		b = e.appendMatch(b, r)
	}
	b = appendBool(b, `,"verified":`, r.Verified)
	b = appendBool(b, `,"stale":`, r.Source == SourceStale)
	b = appendNumber(b, `,"generation":`, r.Generation)
	return append(b, "}\n"...)
}

// appendTime writes nanoseconds since the epoch in RFC 3339 with microseconds, in UTC: always 27 octets. int64 reaches from 1677 to
// 2262, so that years have four digits.
func (e *encoder) appendTime(b []byte, ns int64) []byte {
	second, rest := ns/1e9, ns%1e9
	if rest < 0 {
		second, rest = second-1, rest+1e9
	}
	if second != e.second || e.stamp[0] == 0 {
		time.Unix(second, 0).UTC().AppendFormat(e.stamp[:0], "2006-01-02T15:04:05")
		e.second = second
	}
	b = append(b, e.stamp[:]...)
	b = append(b, '.', 0, 0, 0, 0, 0, 0, 'Z')
	digits := b[len(b)-7 : len(b)-1]
	for i, micros := 5, rest/1000; i >= 0; i, micros = i-1, micros/10 {
		digits[i] = byte('0' + micros%10)
	}
	return b
}

// appendParties writes who asked, by whom the question came, and which address was asked.
func appendParties(b []byte, r *Record) []byte {
	b = appendAddr(b, `,"client":`, &r.Client)
	b = appendNumber(b, `,"client_port":`, uint64(r.ClientPort))
	if r.Peer != r.Client {
		b = appendAddr(b, `,"peer":`, &r.Peer)
		b = appendNumber(b, `,"peer_port":`, uint64(r.PeerPort))
	}
	return appendAddr(b, `,"local":`, &r.Local)
}

func (e *encoder) appendQuestion(b []byte, r *Record) []byte {
	b = append(b, `,"name":"`...)
	if n, _, err := dnsname.Check(r.Name[:r.NameLen]); err == nil {
		b = e.appendName(b, r.Name[:n])
	}
	b = append(b, `","type":"`...)
	b = appendType(b, r.QType)
	b = append(b, '"')
	if r.QClass != wire.ClassIN {
		b = append(b, `,"class":"`...)
		b = appendClass(b, r.QClass)
		b = append(b, '"')
	}
	b = appendNumber(b, `,"id":`, uint64(r.ID))
	if op := r.Flags >> 11 & 15; op != 0 {
		b = appendNumber(b, `,"opcode":`, uint64(op))
	}
	return appendFlags(b, `,"flags":"`, r.Flags)
}

// appendName writes a checked name in presentation form. What dnsname leaves unescaped needs no escape in JSON but for its backslashes.
func (e *encoder) appendName(b, name []byte) []byte {
	e.text = dnsname.AppendText(e.text[:0], name)
	for _, c := range e.text {
		if c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b
}

func appendReply(b []byte, r *Record) []byte {
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
	b = appendNumber(b, `,"size":`, uint64(r.ReplySize))
	b = appendNumber(b, `,"duration_us":`, uint64(max(0, r.Duration))/1000)
	if r.EDE != ednsNone {
		b = appendNumber(b, `,"ede":`, uint64(r.EDE))
	}
	return b
}

func (e *encoder) appendMatch(b []byte, r *Record) []byte {
	b = append(b, `,"action":"`...)
	b = append(b, policy.Action(r.Action).String()...)
	b = append(b, `","trigger":"`...)
	b = append(b, policy.Trigger(r.Trigger).String()...)
	b = append(b, '"')
	b = appendBool(b, `,"enforced":`, r.Enforced)
	b = append(b, e.matches.piece(r)...)
	if r.Stage > 0 {
		return appendNumber(b, `,"stage":`, uint64(r.Stage))
	}
	return e.appendListed(b, r)
}

// appendListed writes the listed name where it is a part of the query name: its last labels, in lower case.
func (e *encoder) appendListed(b []byte, r *Record) []byte {
	n, labels, err := dnsname.Check(r.Name[:r.NameLen])
	if err != nil || r.Labels == 0 || int(r.Labels) > labels || policy.Trigger(r.Trigger) != policy.TriggerQNAME {
		return b
	}
	var offsets [dnsname.LabelsMax + 1]uint8
	dnsname.Offsets(r.Name[:n], &offsets)
	var lower [dnsname.WireMax]byte
	listed := lower[:n-int(offsets[labels-int(r.Labels)])]
	dnsname.Lower(listed, r.Name[offsets[labels-int(r.Labels)]:n])
	b = append(b, `,"listed":"`...)
	b = e.appendName(b, listed)
	return append(b, '"')
}

// appendAddr writes an address; one that is all zero is not known, and left out.
func appendAddr(b []byte, key string, a *[16]byte) []byte {
	if *a == [16]byte{} {
		return b
	}
	b = append(b, key...)
	b = append(b, '"')
	b = netip.AddrFrom16(*a).Unmap().AppendTo(b)
	return append(b, '"')
}

func appendNumber(b []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(b, key...), n, 10)
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
	b = append(b, lineStart...)
	b = e.appendTime(b, now)
	b = append(b, eventKey...)
	b = append(b, `dropped"`...)
	b = appendNumber(b, `,"records":`, n)
	return append(b, "}\n"...)
}
