package dnssec

import (
	"bytes"
	"encoding/binary"

	"cenote/dnsname"
)

// a signature is the RDATA of an RRSIG record (RFC 4034 section 3.1).
type signature struct {
	covers     uint16
	algorithm  uint8
	labels     int
	ttl        uint32
	expiration uint32
	inception  uint32
	tag        uint16
	signer     dnsname.Name // in lower case
	signed     []byte       // the RDATA up to the signature, with the signer in lower case: what is signed first
	value      []byte
}

// Signer returns the canonical name of the zone that an RRSIG record (its RDATA) says it is from, nil if it is malformed. It is a hint where to look
// for keys, and proves nothing.
func Signer(rrsig []byte) []byte {
	sig, ok := parseSignature(rrsig)
	if !ok {
		return nil
	}
	return []byte(sig.signer)
}

const rrsigFixed = 18 // octets of RRSIG RDATA before the signer

// parseSignature reads RRSIG RDATA; false if it is malformed.
func parseSignature(rdata []byte) (signature, bool) {
	if len(rdata) < rrsigFixed {
		return signature{}, false
	}
	n, _, err := dnsname.Check(rdata[rrsigFixed:])
	if err != nil || rrsigFixed+n == len(rdata) {
		return signature{}, false
	}
	end := rrsigFixed + n
	head := bytes.Clone(rdata[:end])
	dnsname.Lower(head[rrsigFixed:], head[rrsigFixed:])
	return signature{
		covers:     binary.BigEndian.Uint16(rdata),
		algorithm:  rdata[2],
		labels:     int(rdata[3]),
		ttl:        binary.BigEndian.Uint32(rdata[4:]),
		expiration: binary.BigEndian.Uint32(rdata[8:]),
		inception:  binary.BigEndian.Uint32(rdata[12:]),
		tag:        binary.BigEndian.Uint16(rdata[16:]),
		signer:     dnsname.Name(head[rrsigFixed:]),
		signed:     head,
		value:      rdata[end:],
	}, true
}
