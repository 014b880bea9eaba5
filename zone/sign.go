package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// Types that only zones with keys have.
const (
	typeCDS     = 59
	typeCDNSKEY = 60
)

// isOurs reports whether records of a type are made here when a zone is signed here, so that its file must have none.
func isOurs(rtype uint16) bool {
	switch rtype {
	case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, typeNSEC3PAR, wire.TypeDNSKEY, typeCDS, typeCDNSKEY:
		return true
	}
	return false
}

// CanBeSigned says why a zone cannot be signed here, as it comes from its file.
func (z *Zone) CanBeSigned() error {
	for r := range z.All() {
		if isOurs(r.Type) {
			return fmt.Errorf("%w: %s has %s records; a zone that is signed here must have none of its own", ErrSigning, r.Owner, typeName(r.Type))
		}
	}
	return nil
}

// signing is the making of one signed version of a zone.
type signing struct {
	plain   *Zone
	ring    *ring
	now     time.Time
	before  *Zone  // the signed version before: a signature of it that would be made again is taken from there
	look    func() // called every few signatures
	made    int    // signatures that were not in it
	records []Record
	soa     Record
}

// run makes the signed version. serial decides on the serial when all else is known.
func (s *signing) run(serial func(sum, mark content) (uint32, error)) (*Zone, error) {
	if err := s.plain.CanBeSigned(); err != nil {
		return nil, err
	}
	owners, err := s.sets()
	if err == nil {
		err = s.deny(owners)
	}
	if err != nil {
		return nil, err
	}
	n, err := serial(s.sum(), s.markOf(&s.soa))
	if err != nil {
		return nil, err
	}
	if err := s.signSOA(n); err != nil {
		return nil, err
	}
	sort(s.records)
	return build(s.plain.apex, s.records)
}

// sets signs what the zone has and what is at the apex of a signed one, and returns all names that exist in it.
func (s *signing) sets() ([]dnssec.Owner, error) {
	var owners []dnssec.Owner
	z := s.plain
	w := setWalk{}
	for n := node(0); int(n) < len(z.data); n = node(w.at) {
		w = z.sets(n)
		owner := dnsname.Name(z.appendOwner(make([]byte, 0, dnsname.WireMax), n))
		o := dnssec.Owner{Name: owner}
		for w.next() {
			if err := s.set(n, &o, &w.set); err != nil {
				return nil, err
			}
		}
		if n == 0 {
			if err := s.apexSets(&o); err != nil {
				return nil, err
			}
		}
		if flags := z.flags(n); flags&flagBelow == 0 {
			o.Unsigned = flags&flagCut != 0 && !slices.Contains(o.Types, wire.TypeDS)
			owners = append(owners, o)
		}
	}
	return owners, nil
}

// set takes one set of the zone, with its signatures if it is one to be signed.
func (s *signing) set(n node, o *dnssec.Owner, set *set) error {
	flags := s.plain.flags(n)
	if flags&flagBelow == 0 && (flags&flagCut == 0 || set.rtype == wire.TypeDS || set.rtype == wire.TypeNS) {
		o.Types = append(o.Types, set.rtype)
	}
	rest, rdata := set.records, make([][]byte, set.count)
	for i := range rdata {
		rdata[i], rest = cutRecord(rest)
	}
	switch {
	case n == 0 && set.rtype == wire.TypeSOA:
		s.soa = Record{Owner: o.Name, Type: wire.TypeSOA, TTL: set.ttl, Data: bytes.Clone(rdata[0])}
		return nil
	case signedHere(s.plain, n, set.rtype):
		return s.add(o.Name, set.rtype, set.ttl, rdata)
	}
	s.plainly(o.Name, set.rtype, set.ttl, rdata)
	return nil
}

// plainly adds a set without signatures.
func (s *signing) plainly(owner dnsname.Name, rtype uint16, ttl uint32, rdata [][]byte) {
	for _, data := range rdata {
		s.records = append(s.records, Record{Owner: owner, Type: rtype, TTL: ttl, Data: data})
	}
}

// add adds a set and its signatures. rdata are in canonical order.
func (s *signing) add(owner dnsname.Name, rtype uint16, ttl uint32, rdata [][]byte) error {
	s.plainly(owner, rtype, ttl, rdata)
	sigs, err := s.signatures(owner, rtype, ttl, rdata)
	for _, sig := range sigs {
		s.records = append(s.records, Record{Owner: owner, Type: wire.TypeRRSIG, TTL: ttl, Data: sig})
	}
	return err
}

func (s *signing) signatures(owner dnsname.Name, rtype uint16, ttl uint32, rdata [][]byte) (out [][]byte, err error) {
	slot := s.ring.policy.slot(owner, rtype, s.now)
	signers := s.ring.dataSigners(slot, s.now)
	if rtype == wire.TypeDNSKEY || rtype == typeCDS || rtype == typeCDNSKEY {
		signers = s.ring.keySigners(s.now)
	}
	inception, expiration := s.ring.policy.times(slot)
	old := s.old(owner, rtype, ttl, rdata)
	for _, k := range signers {
		sig := old.find(k, inception, expiration)
		if sig == nil {
			s.made++
			s.look()
			sig, err = k.signer.Sign(s.plain.apex, &dnssec.Set{Name: []byte(owner), Type: rtype, Class: wire.ClassIN, TTL: ttl, RData: rdata}, inception, expiration)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrSigning, err)
			}
		}
		out = append(out, sig)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: there is no key that signs %s %s", ErrSigning, owner, typeName(rtype))
	}
	return out, nil
}

// oldSignatures are those of a set that has not changed, one behind the other as in a set.
type oldSignatures struct {
	rest  []byte
	count int
}

// old finds the signatures that the version before has of a set.
func (s *signing) old(owner dnsname.Name, rtype uint16, ttl uint32, rdata [][]byte) oldSignatures {
	if s.before == nil {
		return oldSignatures{}
	}
	n := s.before.findAny(owner)
	if n == noNode {
		return oldSignatures{}
	}
	set, ok := s.before.set(n, rtype)
	if !ok || set.count != len(rdata) || set.ttl != ttl {
		return oldSignatures{}
	}
	rest := set.records
	for i := range rdata {
		var data []byte
		if data, rest = cutRecord(rest); !bytes.Equal(data, rdata[i]) {
			return oldSignatures{}
		}
	}
	return oldSignatures{rest, set.sigs}
}

// findAny is find, also for names that are there only as the hash of another.
func (z *Zone) findAny(name dnsname.Name) node {
	if n := z.find([]byte(name)); n != noNode {
		return n
	}
	if h, ok := nsec3Hash([]byte(name[:len(name)-len(z.apex)])); ok {
		if at, found := slices.BinarySearchFunc(z.nsec3.hashes, h, func(a, b [hashLen]byte) int { return bytes.Compare(a[:], b[:]) }); found {
			return z.nsec3.nodes[at]
		}
	}
	return noNode
}

// find returns the signature of a key for a time, or nil.
func (o oldSignatures) find(k *zoneKey, inception, expiration time.Time) []byte {
	rest := o.rest
	for range o.count {
		var sig []byte
		sig, rest = cutRecord(rest)
		if sig[2] == k.Algorithm && binary.BigEndian.Uint32(sig[8:]) == uint32(expiration.Unix()) &&
			binary.BigEndian.Uint32(sig[12:]) == uint32(inception.Unix()) && binary.BigEndian.Uint16(sig[16:]) == k.Tag {
			return sig
		}
	}
	return nil
}

// apexSets adds the keys, what the parent is to know of them, and the parameters of NSEC3.
func (s *signing) apexSets(o *dnssec.Owner) error {
	sets := map[uint16][][]byte{wire.TypeDNSKEY: nil}
	for _, k := range s.ring.published(s.now) {
		sets[wire.TypeDNSKEY] = append(sets[wire.TypeDNSKEY], k.signer.DNSKEY())
	}
	sets[typeCDS], sets[typeCDNSKEY] = s.ring.forParent(s.now)
	ttls := map[uint16]uint32{}
	if s.ring.policy.Denial == DenialNSEC3 {
		sets[typeNSEC3PAR] = [][]byte{dnssec.NSEC3PARAM(0, nil)}
		ttls[typeNSEC3PAR] = s.plain.minimum
	}
	for _, rtype := range []uint16{wire.TypeDNSKEY, typeNSEC3PAR, typeCDS, typeCDNSKEY} {
		rdata := sets[rtype]
		if len(rdata) == 0 {
			continue
		}
		ttl, own := ttls[rtype]
		if !own {
			ttl = keyTTL
		}
		slices.SortFunc(rdata, bytes.Compare)
		o.Types = append(o.Types, rtype)
		if err := s.add(o.Name, rtype, ttl, rdata); err != nil {
			return err
		}
	}
	return nil
}

// forParent are the CDS and CDNSKEY records by which the zone tells its parent which DS records it should have (RFC 7344, RFC 8078). While nothing is to be
// told, there are none.
func (r *ring) forParent(now time.Time) (cds, cdnskey [][]byte) {
	if r.policy.Withdraw {
		return [][]byte{dnssec.DeleteCDS()}, [][]byte{dnssec.DeleteCDNSKEY()}
	}
	for _, k := range r.keys {
		if k.submitted(now) {
			cds = append(cds, dnssec.DS(dnssec.DigestSHA256, r.apex, k.signer.DNSKEY()))
			cdnskey = append(cdnskey, k.signer.DNSKEY())
		}
	}
	return cds, cdnskey
}

// deny adds the chain that proves what is not there. Its TTL is that of negative answers (RFC 9077).
func (s *signing) deny(owners []dnssec.Owner) error {
	rtype, links := uint16(wire.TypeNSEC), []dnssec.Link(nil)
	if s.ring.policy.Denial == DenialNSEC3 {
		var err error
		rtype = wire.TypeNSEC3
		if links, err = dnssec.NSEC3Chain(s.plain.apex, owners, 0, nil, s.ring.policy.OptOut); err != nil {
			return fmt.Errorf("%w: %w", ErrSigning, err)
		}
	} else {
		links = dnssec.NSECChain(slices.DeleteFunc(owners, func(o dnssec.Owner) bool { return len(o.Types) == 0 }))
	}
	for i := range links {
		if err := s.add(links[i].Owner, rtype, s.plain.minimum, [][]byte{links[i].Data}); err != nil {
			return err
		}
	}
	return nil
}

// sum is what all says but the SOA record and its signatures.
func (s *signing) sum() (out content) {
	for i := range s.records {
		out.add(&s.records[i])
	}
	return out
}

// markOf is what the SOA record says without its serial, when its signature has its turn, and by which keys.
func (s *signing) markOf(soa *Record) (out content) {
	slot := s.ring.policy.slot(s.plain.apex, wire.TypeSOA, s.now)
	mark := binary.BigEndian.AppendUint64(withSerial(soa.Data, 0), uint64(slot.Unix()))
	for _, k := range s.ring.dataSigners(slot, s.now) {
		mark = append(binary.BigEndian.AppendUint16(mark, k.Tag), k.Algorithm)
	}
	out.add(&Record{Owner: soa.Owner, Type: soa.Type, TTL: soa.TTL, Data: mark})
	return out
}

// withSerial is the data of a SOA record with another serial.
func withSerial(soa []byte, serial uint32) []byte {
	out := bytes.Clone(soa)
	binary.BigEndian.PutUint32(out[len(out)-20:], serial)
	return out
}

func (s *signing) signSOA(serial uint32) error {
	s.soa.Data = withSerial(s.soa.Data, serial)
	return s.add(s.soa.Owner, wire.TypeSOA, s.soa.TTL, [][]byte{s.soa.Data})
}

// longestTTL is that of the zone's sets, with the time for which negative answers are kept.
func (z *Zone) longestTTL() time.Duration {
	longest := z.minimum
	w := setWalk{}
	for n := node(0); int(n) < len(z.data); n = node(w.at) {
		for w = z.sets(n); w.next(); {
			longest = max(longest, w.set.ttl)
		}
	}
	return time.Duration(min(longest, math.MaxInt32)) * time.Second
}
