package resolver

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"

	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"
)

// question is an rrcache.Key as a value, so that it can be a key of a map and outlive its caller.
type question struct {
	name   string // canonical wire form
	qtype  uint16
	class  uint16
	do, cd bool
	group  uint16
	audience
}

func questionOf(k *rrcache.Key) question {
	return question{name: string(k.Name), qtype: k.Type, class: k.Class, do: k.DO, cd: k.CD, group: k.Group}
}

func (q *question) key() *rrcache.Key {
	return &rrcache.Key{Name: []byte(q.name), Type: q.qtype, Class: q.class, DO: q.do, CD: q.cd, Group: q.group}
}

// askable reports whether the question is one that a resolver can be asked: no transfer, no pseudo-type (RFC 6895 section 3.1).
func (q *question) askable() bool {
	meta := q.qtype >= 128 && q.qtype < wire.TypeANY
	return !meta && q.qtype != wire.TypeOPT && q.qtype != 0 && len(q.name) > 0 && len(q.name) <= dnsname.WireMax
}

// end returns where the question ends in a message.
func (q *question) end() int { return wire.HeaderLen + len(q.name) + 4 }

// manner is how a question is put.
type manner struct {
	edns  bool
	mixed bool // letter case at random, which the reply must repeat
	tcp   bool
	// direct is a query to a server of zones: no recursion is desired.
	direct bool
	// padded is a query that is encrypted.
	padded bool
	// subnet is the network of the client, where the server is told of it; not valid for none.
	subnet netip.Prefix
	// note is an EDNS option in wire form, nil for none.
	note []byte
}

// appendQuery appends a query with a new id, and a new letter case if it is to be mixed.
func (q *question) appendQuery(dst []byte, m manner) []byte {
	var random [2 + (dnsname.WireMax+7)/8]byte
	rand.Read(random[:]) // never fails, see crypto/rand
	start := len(dst)
	dst = append(dst, make([]byte, wire.HeaderLen)...)
	msg := dst[start:]
	wire.SetID(msg, binary.BigEndian.Uint16(random[:]))
	flags := uint16(wire.FlagRD | wire.FlagAD) // AD: we understand the bit (RFC 6840 section 5.7)
	if m.direct {
		flags = 0
	}
	if q.cd && !m.direct {
		flags |= wire.FlagCD
	}
	wire.SetFlags(msg, flags)
	wire.SetCount(msg, 0, 1)
	dst = append(dst, q.name...)
	if m.mixed {
		mixCase(dst[start+wire.HeaderLen:], random[2:])
	}
	dst = binary.BigEndian.AppendUint16(dst, q.qtype)
	dst = binary.BigEndian.AppendUint16(dst, q.class)
	if m.edns {
		wire.SetCount(dst[start:], 3, 1)
		opt := len(dst) - start
		options := m.note
		if m.subnet.IsValid() {
			options = appendSubnet(options[:len(options):len(options)], m.subnet)
		}
		dst = wire.AppendOPT(dst, wire.UDPSafe, 0, q.do, options)
		if m.padded {
			dst = append(dst[:start], pad(dst[start:], opt)...)
		}
	}
	return dst
}

// mixCase flips each letter of a canonical name by one random bit. Length octets are below 'a' and stay.
func mixCase(name, random []byte) {
	for i, c := range name {
		if c >= 'a' && c <= 'z' && random[i/8]>>(i%8)&1 != 0 {
			name[i] = c &^ 0x20
		}
	}
}

// likeness says how far a packet is the reply to a query.
type likeness uint8

const (
	stranger  likeness = iota // not a reply to this query at all
	caseApart                 // the reply, but for the letter case of the name
	bare                      // an error without a question, as servers send that do not understand EDNS
	reply                     // the reply
)

// likenessOf compares a packet with the query, which ends at q.end() but for its OPT record.
func likenessOf(q *question, query, packet []byte) likeness {
	if len(packet) < wire.HeaderLen || wire.ID(packet) != wire.ID(query) || wire.Flags(packet)&wire.FlagQR == 0 || wire.Opcode(packet) != wire.OpcodeQuery {
		return stranger
	}
	if rcode := wire.Rcode(packet); wire.Count(packet, 0) == 0 && (rcode == wire.RcodeFormErr || rcode == wire.RcodeNotImp) {
		return bare
	}
	if wire.Count(packet, 0) != 1 || len(packet) < q.end() {
		return stranger
	}
	asked, got := query[wire.HeaderLen:q.end()], packet[wire.HeaderLen:q.end()]
	if string(asked) == string(got) {
		return reply
	}
	var name [dnsname.WireMax]byte
	n := len(q.name)
	dnsname.Lower(name[:n], got[:n])
	if string(name[:n]) == q.name && string(asked[n:]) == string(got[n:]) {
		return caseApart
	}
	return stranger
}
