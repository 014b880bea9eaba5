package resolver

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// rrset is the records of one name and type in one section of a reply, with what signs them.
type rrset struct {
	name    dnsname.Name // canonical
	rtype   uint16
	section int
	ttl     uint32   // the least of its records'
	rdata   [][]byte // uncompressed, letter case as it came
	sigs    [][]byte // RDATA of RRSIG records
	sigTTL  uint32
	made    bool // by us, of a DNAME: nobody signs it
}

// targetName returns the name that a record's data is, in canonical form: of NS, CNAME, DNAME and PTR.
func targetName(rdata []byte) (dnsname.Name, bool) {
	n, _, err := dnsname.Check(rdata)
	if err != nil || n != len(rdata) {
		return "", false
	}
	return dnsname.Name(rdata).Canonical(), true
}

// response is what a server of a zone said, read into records.
type response struct {
	rcode int
	aa    bool
	ra    bool
	sets  []*rrset
	loose []*rrset // signatures in the answer without what they sign
	cut   int      // signatures that were left out, of sets that have too many
}

// readResponse reads a packet that belongs to a query of a class. Records of another class, the OPT record and signatures of nothing are
// passed over.
func readResponse(packet []byte, class uint16) (*response, error) {
	opt := findOPT(packet)
	if opt.damaged || wire.Flags(packet)&wire.FlagTC != 0 {
		return nil, errMalformed
	}
	r := &response{rcode: wire.Rcode(packet) | opt.rcode<<4, aa: wire.Flags(packet)&wire.FlagAA != 0, ra: wire.Flags(packet)&wire.FlagRA != 0}
	w, err := wire.Records(packet)
	if err != nil {
		return nil, errMalformed
	}
	known, n := map[setKey]*rrset{}, 0
	for w.Next() {
		if n++; n > recordsMax {
			return nil, errTooMany
		}
		if w.Class != class || w.Type == wire.TypeOPT || w.Type == wire.TypeTSIG {
			continue
		}
		if err := r.add(packet, &w, known); err != nil {
			return nil, err
		}
	}
	if w.Err != nil {
		return nil, errMalformed
	}
	r.dropUnfounded()
	return r, nil
}

type setKey struct {
	name    dnsname.Name
	rtype   uint16
	section int
}

// add puts one record into its set; a signature into that of what it signs.
func (r *response) add(packet []byte, w *wire.Walker, known map[setKey]*rrset) error {
	var room [dnsname.WireMax]byte
	owner, _, err := wire.AppendName(room[:0], packet, w.NameOff)
	if err != nil {
		return errMalformed
	}
	dnsname.Lower(owner, owner)
	var long [2 * dnsname.WireMax]byte
	data, err := wire.AppendData(long[:0], packet, w.Type, w.DataOff, w.DataOff+w.DataLen)
	if err != nil {
		return errMalformed
	}
	data = append([]byte(nil), data...)
	key := setKey{dnsname.Name(owner), w.Type, w.Section}
	signature := w.Type == wire.TypeRRSIG && len(data) > rrsigSigner
	if signature {
		key.rtype = binary.BigEndian.Uint16(data)
	}
	set := known[key]
	if set == nil {
		set = &rrset{name: key.name, rtype: key.rtype, section: key.section, ttl: math.MaxUint32}
		known[key] = set
		r.sets = append(r.sets, set)
	}
	ttl := w.TTL
	if ttl > math.MaxInt32 {
		ttl = 0 // RFC 2181 section 8
	}
	if signature && len(set.sigs) >= signaturesMax {
		r.cut++
		return nil
	}
	if signature {
		set.sigs, set.sigTTL = append(set.sigs, data), ttl
		return nil
	}
	if set.ttl = min(set.ttl, ttl); !set.has(data) {
		set.rdata = append(set.rdata, data)
	}
	return nil
}

// signaturesMax is how many signatures of one set are looked at and passed on: more than a zone has in the middle of a change of its keys and algorithms.
const signaturesMax = 8

// has reports whether the set has a record with some data. One that comes twice is one record (RFC 2181 section 5).
func (s *rrset) has(data []byte) bool {
	return slices.ContainsFunc(s.rdata, func(have []byte) bool { return bytes.Equal(have, data) })
}

// rrsigSigner is where the signer's name lies in the data of an RRSIG record (RFC 4034 section 3.1).
const rrsigSigner = 18

// signer returns whose keys made the first signature.
func (s *rrset) signer() (dnsname.Name, bool) {
	if len(s.sigs) == 0 {
		return "", false
	}
	n, _, err := dnsname.Check(s.sigs[0][rrsigSigner:])
	if err != nil {
		return "", false
	}
	return dnsname.Name(s.sigs[0][rrsigSigner : rrsigSigner+n]).Canonical(), true
}

// dropUnfounded puts signatures without what they sign aside.
func (r *response) dropUnfounded() {
	kept := r.sets[:0]
	for _, s := range r.sets {
		if len(s.rdata) > 0 {
			kept = append(kept, s)
		} else if s.section == wire.SectionAnswer {
			r.loose = append(r.loose, s)
		}
	}
	r.sets = kept
}

// find returns the set of a name and type in a section, nil if there is none.
func (r *response) find(section int, name dnsname.Name, rtype uint16) *rrset {
	for _, s := range r.sets {
		if s.section == section && s.rtype == rtype && s.name == name {
			return s
		}
	}
	return nil
}
