package zone

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"cenote/wire"
)

// content stands for a set of records: the sum of their digests, modulo 2^256. So it is known after a change by what has changed alone. It tells versions of
// one zone apart, and is no proof against anybody.
type content [sha256.Size / 8]uint64 // the lowest first

func digestOf(r *Record) (out content) {
	var room [512]byte
	sum := sha256.Sum256(wire.AppendRecord(room[:0], []byte(r.Owner), r.Type, wire.ClassIN, r.TTL, r.Data))
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return out
}

// add takes a record in.
func (c *content) add(r *Record) { c.addSum(digestOf(r)) }

// addSum takes all records of another content in.
func (c *content) addSum(other content) {
	carry := uint64(0)
	for i := range c {
		c[i], carry = bits.Add64(c[i], other[i], carry)
	}
}

// subtract takes a record out.
func (c *content) subtract(r *Record) {
	other, borrow := digestOf(r), uint64(0)
	for i := range c {
		c[i], borrow = bits.Sub64(c[i], other[i], borrow)
	}
}

// String is the content in hexadecimal.
func (c *content) String() string {
	var out []byte
	for _, n := range c {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	return hex.EncodeToString(out)
}
