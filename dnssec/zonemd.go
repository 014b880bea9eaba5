package dnssec

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	stdhash "hash"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Scheme and hashes of ZONEMD records that are computed (RFC 8976 sections 2.2.2 and 2.2.3).
const (
	ZONEMDSimple = 1
	ZONEMDSHA384 = 1
	ZONEMDSHA512 = 2

	zonemdFixed = 6 // octets of ZONEMD RDATA before the digest
)

// ErrOrder is a set that came out of order, or twice.
var ErrOrder = errors.New("sets of the zone are not in canonical order")

// ErrZONEMDHash is a hash that is not computed.
var ErrZONEMDHash = errors.New("hash of the zone's digest is not supported")

// ZONEMD is the digest of a zone, as a ZONEMD record says it.
type ZONEMD struct {
	Hash   uint8
	Digest []byte
}

// ReadZONEMD returns the digests of a zone's ZONEMD records (RDATA) that can be compared: those of its serial, of a scheme and hash that are
// supported, and of a pair of these that is there once (RFC 8976 section 4).
func ReadZONEMD(records [][]byte, serial uint32) []ZONEMD {
	var out []ZONEMD
	seen := map[uint8]int{}
	for _, r := range records {
		if len(r) < zonemdFixed || binary.BigEndian.Uint32(r) != serial || r[4] != ZONEMDSimple {
			continue
		}
		seen[r[5]]++
		if n := zonemdLen(r[5]); n > 0 && len(r) == zonemdFixed+n {
			out = append(out, ZONEMD{r[5], r[zonemdFixed:]})
		}
	}
	once := out[:0]
	for _, z := range out {
		if seen[z.Hash] == 1 {
			once = append(once, z)
		}
	}
	return once
}

func zonemdLen(kind uint8) int {
	switch kind {
	case ZONEMDSHA384:
		return sha512.Size384
	case ZONEMDSHA512:
		return sha512.Size
	}
	return 0
}

// ZoneDigest computes the digest of a zone (RFC 8976 section 3) as its sets go by. It holds no more of them than those of one name.
type ZoneDigest struct {
	zone dnsname.Name
	sum  stdhash.Hash

	begun bool
	owner dnsname.Name // of the last set
	rtype uint16
	buf   []byte
	sigs  [][]byte // RRSIG records of owner as they are digested
	after []byte   // what comes behind them
}

// NewZoneDigest begins the digest of a zone, by one of the hashes of ZONEMD.
func NewZoneDigest(zone []byte, kind uint8) (*ZoneDigest, error) {
	d := &ZoneDigest{zone: dnsname.Name(zone)}
	switch kind {
	case ZONEMDSHA384:
		d.sum = sha512.New384()
	case ZONEMDSHA512:
		d.sum = sha512.New()
	default:
		return nil, ErrZONEMDHash
	}
	return d, nil
}

// Add takes the next set, with its signatures in Sigs, which have the set's TTL and are no sets of their own. Sets come in canonical order of
// their names, and by type at one name. What is not in the zone is passed over, and so are the ZONEMD set at its apex and its signatures.
func (d *ZoneDigest) Add(s *Set) error {
	name := dnsname.Name(s.Name)
	switch {
	case !wellFormed(s.Name) || s.Type == wire.TypeRRSIG:
		return ErrOrder
	case !within(name, d.zone):
		return nil
	case d.begun && name == d.owner && s.Type <= d.rtype:
		return ErrOrder
	case d.begun && name != d.owner && dnsname.Compare(name, d.owner) < 0:
		return ErrOrder
	}
	if name != d.owner {
		d.flush()
	}
	d.begun, d.owner, d.rtype = true, name, s.Type
	if s.Type != typeZONEMD || name != d.zone {
		d.write(s)
	}
	return nil
}

// write digests a set, or keeps it if it comes behind the signatures.
func (d *ZoneDigest) write(s *Set) {
	for _, sig := range s.Sigs {
		d.sigs = append(d.sigs, wire.AppendRecord(nil, s.Name, wire.TypeRRSIG, s.Class, s.TTL, canonicalRData(wire.TypeRRSIG, sig)))
	}
	canonical := canonicalSet(s.Type, s.RData)
	if s.Type > wire.TypeRRSIG {
		d.after = appendCanonical(d.after, s.Name, s.Type, s.Class, s.TTL, canonical)
		return
	}
	d.buf = appendCanonical(d.buf[:0], s.Name, s.Type, s.Class, s.TTL, canonical)
	d.sum.Write(d.buf)
}

// flush digests what was kept of the last owner: signatures in the order of their RDATA, then the rest.
func (d *ZoneDigest) flush() {
	rdata := func(record []byte) []byte { return record[len(d.owner)+10:] }
	slices.SortFunc(d.sigs, func(a, b []byte) int { return bytes.Compare(rdata(a), rdata(b)) })
	d.sigs = slices.CompactFunc(d.sigs, bytes.Equal)
	for _, sig := range d.sigs {
		d.sum.Write(sig)
	}
	d.sum.Write(d.after)
	d.sigs, d.after = nil, d.after[:0]
}

// Sum ends the digest and returns it.
func (d *ZoneDigest) Sum() []byte {
	d.flush()
	return d.sum.Sum(nil)
}
