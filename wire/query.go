package wire

import (
	"encoding/binary"

	"cenote/dnsname"
)

// Fault says why a datagram is not a query that can be answered as asked.
type Fault uint8

// The faults, in the order in which they are looked for.
const (
	FaultNone       Fault = iota
	FaultDrop             // shorter than a header, or itself a response: silence, so that two servers cannot be made to talk to each other
	FaultOpcode           // not a QUERY: NOTIMP (RFC 1035 section 4.1.1)
	FaultFormat           // malformed, cut, trailing octets, QDCOUNT other than 1: FORMERR (RFC 9619)
	FaultVersion          // an EDNS version above 0: BADVERS (RFC 6891 section 6.1.3)
	FaultNoQuestion       // nothing is asked, but a cookie came: the reply has ours (RFC 7873 section 5.4)
	FaultCookie           // a malformed cookie, and nothing else: FORMERR where cookies are in use (RFC 7873 section 5.2.2), else none at all
)

// String names the fault for counters and logs.
func (f Fault) String() string {
	switch f {
	case FaultNone:
		return "none"
	case FaultDrop:
		return "drop"
	case FaultOpcode:
		return "opcode"
	case FaultFormat:
		return "format"
	case FaultVersion:
		return "version"
	case FaultNoQuestion:
		return "no-question"
	case FaultCookie:
		return "cookie"
	}
	return "unknown"
}

// Query is what the server needs of a query's wire form. The slices are parts of the message given to Parse.
type Query struct {
	ID       uint16
	Flags    uint16
	Type     uint16
	Class    uint16
	Labels   int    // of Name, without the root
	Name     []byte // in the letter case of the client, with its root byte; nil if the question could not be read
	Question []byte // name, type and class
	OPT      OPT
	TSIG     bool // a TSIG record closes the message
}

// OPT is what an OPT record says (RFC 6891). Unknown options are passed over.
type OPT struct {
	Present bool
	DO      bool
	CO      bool // compact answers are known (RFC 9824 section 5.1)
	Version uint8
	UDPSize uint16 // as sent; at least UDPMin counts
	Cookie  []byte // option 10, RFC 7873: 8 octets from the client, then none or 8 to 32 from a server
	ECS     []byte // option 8, RFC 7871
	NSID    bool   // option 3, RFC 5001: the server is to name itself
	Padding bool   // option 12, RFC 7830: the reply is to be padded, too
	// KeepAlive is the data of option 11 (RFC 7828), which is empty in a query; nil without one.
	KeepAlive []byte

	badCookie bool // Cookie has another length
}

// Parse reads msg into q. After FaultOpcode, FaultFormat and FaultVersion, ID and Flags are set, and as much of the rest as could be read.
// After FaultCookie all is set.
func (q *Query) Parse(msg []byte) Fault {
	*q = Query{}
	if len(msg) < HeaderLen || msg[2]&0x80 != 0 {
		return FaultDrop
	}
	q.ID, q.Flags = ID(msg), Flags(msg)
	if Opcode(msg) != OpcodeQuery {
		return FaultOpcode
	}
	if Count(msg, 0) == 0 {
		return q.parseCookieAlone(msg)
	}
	if Count(msg, 0) != 1 || Count(msg, 1) != 0 {
		return FaultFormat
	}
	end, ok := q.parseQuestion(msg)
	if !ok {
		return FaultFormat
	}
	ns, ar := Count(msg, 2), Count(msg, 3)
	if ns != 0 && (q.Type != TypeIXFR || ns != 1) || ar > 2 {
		return FaultFormat
	}
	return q.parseRest(msg, end, [3]int{0, ns, ar})
}

// ParseAbout reads a message into q that is about a zone, NOTIFY (RFC 1996 section 3) or UPDATE (RFC 2136 section 2), as Parse reads a query: the question says which. Its
// records are walked over, and not judged.
func (q *Query) ParseAbout(msg []byte) Fault {
	*q = Query{}
	if len(msg) < HeaderLen || msg[2]&0x80 != 0 {
		return FaultDrop
	}
	q.ID, q.Flags = ID(msg), Flags(msg)
	if o := Opcode(msg); o != OpcodeNotify && o != OpcodeUpdate {
		return FaultOpcode
	}
	if Count(msg, 0) != 1 {
		return FaultFormat
	}
	end, ok := q.parseQuestion(msg)
	if !ok {
		return FaultFormat
	}
	return q.parseRest(msg, end, [3]int{Count(msg, 1), Count(msg, 2), Count(msg, 3)})
}

// parseCookieAlone reads a message without a question, which is one that may be answered only if it has a cookie (RFC 7873 section 5.4).
func (q *Query) parseCookieAlone(msg []byte) Fault {
	if Count(msg, 1)+Count(msg, 2) != 0 || Count(msg, 3) != 1 {
		return FaultFormat
	}
	switch fault := q.parseRest(msg, HeaderLen, [3]int{0, 0, 1}); {
	case fault == FaultCookie || fault == FaultNone && q.OPT.Cookie == nil:
		return FaultFormat
	case fault != FaultNone:
		return fault
	}
	return FaultNoQuestion
}

func (q *Query) parseQuestion(msg []byte) (end int, ok bool) {
	n, labels, err := dnsname.Check(msg[HeaderLen:])
	end = HeaderLen + n + 4
	if err != nil || end > len(msg) {
		return 0, false
	}
	q.Name, q.Labels = msg[HeaderLen:HeaderLen+n], labels
	q.Question = msg[HeaderLen:end]
	q.Type = binary.BigEndian.Uint16(msg[end-4:])
	q.Class = binary.BigEndian.Uint16(msg[end-2:])
	return end, true
}

// parseRest reads so many records of each section, and wants the message to end with them.
func (q *Query) parseRest(msg []byte, off int, counts [3]int) Fault {
	if counts == [3]int{} {
		return formatUnless(off == len(msg))
	}
	w := Walker{msg: msg, off: off, left: counts}
	for w.Next() {
		switch {
		case q.TSIG || w.Type == TypeTSIG && w.Section != SectionAdditional:
			return FaultFormat // it is the last record of all, or the message is none (RFC 8945 section 5.2)
		case w.Section != SectionAdditional:
		case w.Type == TypeOPT:
			if q.OPT.Present || w.NameLen(msg) != 1 || !q.OPT.parse(&w) {
				return FaultFormat
			}
		case w.Type == TypeTSIG:
			q.TSIG = true
		}
	}
	if w.Err != nil || w.off != len(msg) {
		return FaultFormat
	}
	switch {
	case q.OPT.Version != 0:
		return FaultVersion
	case q.OPT.badCookie:
		return FaultCookie
	}
	return FaultNone
}

func formatUnless(ok bool) Fault {
	if ok {
		return FaultNone
	}
	return FaultFormat
}

func (o *OPT) parse(w *Walker) bool {
	o.Present, o.UDPSize = true, w.Class
	o.Version, o.DO, o.CO = uint8(w.TTL>>16), w.TTL&0x8000 != 0, w.TTL&0x4000 != 0
	return o.Version != 0 || o.parseOptions(w.RData()) // the form of another version is not ours to judge
}

func (o *OPT) parseOptions(data []byte) bool {
	for len(data) > 0 {
		if len(data) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		if len(data) < 4+n {
			return false
		}
		switch code {
		case OptionCookie:
			if o.Cookie != nil {
				break // the first counts (RFC 7873 section 5.2)
			}
			o.Cookie = data[4 : 4+n]
			o.badCookie = n != 8 && (n < 16 || n > 40)
		case OptionECS:
			o.ECS = data[4 : 4+n]
		case OptionNSID:
			o.NSID = true
		case OptionPadding:
			o.Padding = true
		case OptionKeepAlive:
			o.KeepAlive = data[4 : 4+n : 4+n]
		}
		data = data[4+n:]
	}
	return true
}
