package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"

	"cenote/dnsname"
)

const (
	hashSHA1   = 1 // the one hash of RFC 5155
	hashLen    = sha1.Size
	flagOptOut = 1
	nsec3Fixed = 5 // octets of NSEC3 RDATA before the salt
)

// base32hex is the alphabet of hashed owner names, in lower case (RFC 4648 section 7).
var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// hash is the hash of a name.
type hash = [hashLen]byte

// HashName returns the hash of a canonical name (RFC 5155 section 5), the work of which grows with the iterations.
func HashName(name []byte, iterations uint16, salt []byte) [20]byte {
	buf := append(append(make([]byte, 0, dnsname.WireMax+len(salt)), name...), salt...)
	sum := sha1.Sum(buf)
	for range iterations {
		buf = append(append(buf[:0], sum[:]...), salt...)
		sum = sha1.Sum(buf)
	}
	return sum
}

// blockLen is how many octets SHA-1 takes at a time.
const blockLen = sha1.BlockSize

// hashBlocks is how many blocks are hashed for a name of that many octets.
func hashBlocks(name int, iterations uint16, salt int) int {
	return blocks(name+salt) + int(iterations)*blocks(hashLen+salt)
}

// blocks is how many blocks SHA-1 makes of some octets: behind them come one octet and their number in eight (FIPS 180-4 section 5.1.1).
func blocks(octets int) int { return (octets + 1 + 8 + blockLen - 1) / blockLen }

// params are how a zone hashes its names.
type params struct {
	iterations uint16
	salt       string
}

// hashedSpan is an NSEC3 record: no name hashes to anything between owner and next (RFC 5155 section 3).
type hashedSpan struct {
	set         *Set
	owner, next hash
	types       bitmap
	optOut      bool // delegations without DS may be left out
	params      params
}

// parseHashed reads an NSEC3 record of the zone; false if it is none, or if it has a hash or flags that nobody here knows (RFC 5155 sections 8.1
// and 8.2).
func parseHashed(zone dnsname.Name, s *Set, rdata []byte) (hashedSpan, bool) {
	if len(rdata) < nsec3Fixed || rdata[0] != hashSHA1 || rdata[1]&^flagOptOut != 0 {
		return hashedSpan{}, false
	}
	one := hashedSpan{set: s, optOut: rdata[1]&flagOptOut != 0, params: params{iterations: binary.BigEndian.Uint16(rdata[2:])}}
	salt := int(rdata[4])
	rest := rdata[nsec3Fixed:]
	if len(rest) < salt+1+hashLen || rest[salt] != hashLen {
		return hashedSpan{}, false
	}
	one.params.salt = string(rest[:salt])
	one.next = hash(rest[salt+1:])
	var read, known bool
	one.types, read = parseBitmap(rest[salt+1+hashLen:])
	one.owner, known = ownerHash(zone, dnsname.Name(s.Name))
	return one, read && known
}

// ownerHash is the hash that the owner of an NSEC3 record of the zone stands for.
func ownerHash(zone, owner dnsname.Name) (h hash, ok bool) {
	label := owner.FirstLabel()
	if len(label) != base32hex.EncodedLen(hashLen) || owner.Parent() != zone {
		return h, false
	}
	_, err := base32hex.Decode(h[:], []byte(label))
	return h, err == nil
}

// covers reports whether a hash lies behind owner and before next. The last record leads back to the first.
func (s *hashedSpan) covers(h hash) bool {
	behind, before := bytes.Compare(s.owner[:], h[:]) < 0, bytes.Compare(h[:], s.next[:]) < 0
	if bytes.Compare(s.owner[:], s.next[:]) < 0 {
		return behind && before
	}
	return behind || before
}

// addHashed keeps a record if it has the parameters of those before it: a response is from one chain (RFC 5155 section 8.2).
func (d *Denial) addHashed(one hashedSpan) {
	switch {
	case one.params.iterations > IterationsMax:
		d.excess = true
		return
	case len(d.hashed) == 0:
		d.params = one.params
	case one.params != d.params:
		return
	}
	d.hashed = append(d.hashed, one)
}

// nameHash is a name and its hash.
type nameHash struct {
	name dnsname.Name
	hash hash
}

// hash returns the hash of a name, which costs work the first time; false if none is left.
func (d *Denial) hash(name dnsname.Name) (hash, bool) {
	for i := range d.memo {
		if d.memo[i].name == name {
			return d.memo[i].hash, true
		}
	}
	if !d.work.hash(hashBlocks(len(name), d.params.iterations, len(d.params.salt))) {
		return hash{}, false
	}
	h := HashName([]byte(name), d.params.iterations, []byte(d.params.salt))
	d.memo = append(d.memo, nameHash{name, h})
	return h, true
}

// hashedAt returns the record for a name that exists.
func (d *Denial) hashedAt(name dnsname.Name) *hashedSpan {
	h, ok := d.hash(name)
	for i := range d.hashed {
		if ok && d.hashed[i].owner == h {
			return &d.hashed[i]
		}
	}
	return nil
}

// hashedOver returns a record that says that a name does not exist.
func (d *Denial) hashedOver(name dnsname.Name) *hashedSpan {
	h, ok := d.hash(name)
	for i := range d.hashed {
		if ok && d.hashed[i].covers(h) {
			return &d.hashed[i]
		}
	}
	return nil
}

// closest proves the closest encloser of a name that does not exist: the longest ancestor with a record, below which the next closer name is
// covered (RFC 5155 section 8.3). cover is the record that does so.
func (d *Denial) closest(name dnsname.Name) (encloser dnsname.Name, cover *hashedSpan, v Verdict) {
	for labels := name.Labels() - 1; labels >= d.zone.Labels(); labels-- {
		encloser = name.Suffix(labels)
		s := d.hashedAt(encloser)
		switch {
		case d.work.Spent():
			return "", nil, tooMuchWork()
		case s == nil:
			continue
		case s.types.hidesBelow():
			return "", nil, bogus(CodeNoProof, "the closest name with an NSEC3 record is a delegation or a DNAME")
		}
		if cover = d.hashedOver(name.Suffix(labels + 1)); cover == nil {
			return "", nil, d.missing("no NSEC3 record says that the name does not exist")
		}
		return encloser, cover, secure()
	}
	return "", nil, d.missing("no NSEC3 record is about a name above")
}

// missing is the verdict that a proof lacks a record, or that the work to find out was refused.
func (d *Denial) missing(text string) Verdict {
	if d.work.Spent() {
		return tooMuchWork()
	}
	return bogus(CodeNoProof, "%s", text)
}

// through is the verdict of a proof whose next closer name is covered by a record: with opt-out there may be a delegation under the cover (RFC
// 5155 section 9.2).
func (s *hashedSpan) through() Verdict {
	if s.optOut {
		return insecure(CodeNone, "the NSEC3 record has opt-out, and may hide a delegation")
	}
	return secure()
}

func (d *Denial) nsec3NameError(name dnsname.Name) Verdict {
	if d.hashedAt(name) != nil {
		return bogus(CodeBogus, "an NSEC3 record says that the name exists")
	}
	encloser, cover, v := d.closest(name)
	if v.Status != Secure {
		return v
	}
	if wild, ok := wildcardBelow(encloser); ok && d.hashedOver(wild) == nil {
		return d.missing("no NSEC3 record says that there is no wildcard")
	}
	return cover.through()
}

func (d *Denial) nsec3NoData(name dnsname.Name, qtype uint16) Verdict {
	if s := d.hashedAt(name); s != nil {
		return s.types.deny(qtype, name.IsRoot())
	}
	encloser, cover, v := d.closest(name)
	if v.Status != Secure {
		return v
	}
	if wild, ok := wildcardBelow(encloser); ok {
		if s := d.hashedAt(wild); s != nil {
			if v := s.types.deny(qtype, false); v.Status != Secure {
				return v
			}
			return cover.through()
		}
	}
	if cover.optOut { // the name may be a delegation, or an empty name above one (RFC 5155 section 8.6)
		return cover.through()
	}
	return d.missing("no NSEC3 record is about the name or the wildcard that stands for it")
}

func (d *Denial) nsec3Expanded(next dnsname.Name) Verdict {
	cover := d.hashedOver(next)
	if cover == nil {
		return d.missing("no NSEC3 record says that there is no closer name than the wildcard's")
	}
	return cover.through()
}

func (d *Denial) nsec3Cut(name dnsname.Name) (Cut, Verdict) {
	if s := d.hashedAt(name); s != nil {
		return s.types.cut()
	}
	_, cover, v := d.closest(name)
	if v.Status != Secure {
		return CutUnknown, v
	}
	return CutAbsent, cover.through()
}
