package zone

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

const (
	hashLen       = sha1.Size
	saltMax       = 255
	iterationsMax = 150 // more are refused: each answer that something is not there would cost as many hashes
	typeNSEC3PAR  = 51
)

// nsec3Chain are the NSEC3 records of a zone by their hashes (RFC 5155), of the one chain that its NSEC3PARAM record names.
type nsec3Chain struct {
	salt       []byte
	iterations int
	hashes     [][hashLen]byte // sorted
	nodes      []node          // that of each hash
}

func (c *nsec3Chain) inUse() bool { return len(c.nodes) > 0 }

// base32hex are the digits of the owners of NSEC3 records (RFC 5155 section 1.3), in lower case as names are here.
var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// nsec3Hash is the hash in the owner of an NSEC3 record.
func nsec3Hash(prefix []byte) (h [hashLen]byte, ok bool) {
	if len(prefix) != 1+32 || prefix[0] != 32 {
		return h, false
	}
	n, err := base32hex.Decode(h[:], prefix[1:])
	return h, err == nil && n == hashLen
}

// readParameters reads the NSEC3PARAM record, and reports whether it is one that can be used.
func (c *nsec3Chain) readParameters(data []byte) bool {
	if len(data) < 5 || data[0] != 1 || len(data) < 5+int(data[4]) {
		return false
	}
	c.iterations, c.salt = int(binary.BigEndian.Uint16(data[2:])), data[5:5+int(data[4])]
	return c.iterations <= iterationsMax
}

// holds reports whether an NSEC3 record is of the chain.
func (c *nsec3Chain) holds(data []byte) bool {
	return len(data) >= 5+len(c.salt) && data[0] == 1 && int(binary.BigEndian.Uint16(data[2:])) == c.iterations &&
		int(data[4]) == len(c.salt) && bytes.Equal(data[5:5+len(c.salt)], c.salt)
}

// index sorts the records of the chain.
func (c *nsec3Chain) index(z *Zone, nodes []node) {
	type entry struct {
		hash [hashLen]byte
		node node
	}
	var all []entry
	for _, n := range nodes {
		s, _ := z.set(n, wire.TypeNSEC3)
		h, ok := nsec3Hash(z.prefix(n))
		if ok && c.holds(s.first()) {
			all = append(all, entry{h, n})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	for _, e := range all {
		c.hashes, c.nodes = append(c.hashes, e.hash), append(c.nodes, e.node)
	}
}

// hash hashes a canonical name (RFC 5155 section 5).
func (c *nsec3Chain) hash(name []byte) [hashLen]byte {
	var buf [dnsname.WireMax + saltMax]byte
	h := sha1.Sum(append(append(buf[:0], name...), c.salt...))
	for range c.iterations {
		h = sha1.Sum(append(append(buf[:0], h[:]...), c.salt...))
	}
	return h
}

// at returns the record that matches the hash of name, or else the one that covers it.
func (c *nsec3Chain) at(name []byte) (n node, matches bool) {
	h := c.hash(name)
	lo, hi := 0, len(c.hashes)
	for lo < hi {
		mid := (lo + hi) / 2
		if bytes.Compare(c.hashes[mid][:], h[:]) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return c.nodes[len(c.nodes)-1], false // the last one covers what is before the first
	}
	return c.nodes[lo-1], c.hashes[lo-1] == h
}
