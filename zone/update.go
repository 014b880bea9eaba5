package zone

import (
	"encoding/binary"
	"fmt"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Instruction is one record of an UPDATE message (RFC 2136 section 2), its data uncompressed.
type Instruction struct {
	Owner dnsname.Name // canonical
	Type  uint16
	Class uint16
	TTL   uint32
	Data  []byte
}

// Update is what an UPDATE message asks of a zone.
type Update struct {
	Prerequisites []Instruction
	Changes       []Instruction
}

// changesMax is how many records one update may change, with those that it deletes by name, or whose TTL it changes.
const changesMax = 10_000

// Apply makes the version of a zone that an update leads to, whole or not at all (RFC 2136 section 3). The RCODE is NOERROR, and the zone z itself, where nothing
// changes. granted says whether whoever asks may change a name's set of a type; ANY asks for the name alone.
func (u *Update) Apply(z *Zone, granted func(owner dnsname.Name, rtype uint16) bool) (*Zone, int) {
	next, _, rcode, _ := u.apply(z, granted)
	return next, rcode
}

// apply is Apply, with what it changed, and why where it was refused.
func (u *Update) apply(z *Zone, granted func(owner dnsname.Name, rtype uint16) bool) (*Zone, Diff, int, error) {
	e := edit{z: z, names: map[dnsname.Name]*editedName{}}
	rcode := e.require(u.Prerequisites)
	if rcode == wire.RcodeSuccess {
		rcode = e.scan(u.Changes, granted)
	}
	if rcode != wire.RcodeSuccess {
		return nil, Diff{}, rcode, e.refused
	}
	for i := range u.Changes {
		e.change(&u.Changes[i])
	}
	next, d, rcode := e.finish()
	return next, d, rcode, e.refused
}

// setKey names a set.
type setKey struct {
	owner dnsname.Name
	rtype uint16
}

// edit is a zone while it is updated: the names that were touched, as they are now.
type edit struct {
	z     *Zone
	names map[dnsname.Name]*editedName
	order []dnsname.Name // in which names were touched
	soa   bool           // the update brings a serial of its own

	refused error // why, where the RCODE is REFUSED
}

// editedName has the sets of one name.
type editedName struct {
	sets  map[uint16]*editedSet
	order []uint16 // those of the zone first
}

// name is a name as it is now.
func (e *edit) name(owner dnsname.Name) *editedName {
	if n := e.names[owner]; n != nil {
		return n
	}
	out := &editedName{sets: map[uint16]*editedSet{}}
	if n := e.z.find([]byte(owner)); n != noNode {
		for w := e.z.sets(n); w.next(); {
			out.sets[w.set.rtype] = newEditedSet(w.set.rtype, w.set.list(owner))
			out.order = append(out.order, w.set.rtype)
		}
	}
	e.names[owner] = out
	e.order = append(e.order, owner)
	return out
}

// get is a set as it is now.
func (e *edit) get(owner dnsname.Name, rtype uint16) *editedSet {
	n := e.name(owner)
	s := n.sets[rtype]
	if s == nil {
		s = newEditedSet(rtype, nil)
		n.sets[rtype] = s
		n.order = append(n.order, rtype)
	}
	return s
}

// setRecords are the records of a set, without signatures.
func (z *Zone) setRecords(owner dnsname.Name, rtype uint16) []Record {
	n := z.find([]byte(owner))
	if n == noNode {
		return nil
	}
	s, _ := z.set(n, rtype)
	return s.list(owner)
}

// list are the records of a set, without signatures.
func (s *set) list(owner dnsname.Name) []Record {
	out, rest := make([]Record, 0, s.count), s.records
	for range s.count {
		var data []byte
		data, rest = cutRecord(rest)
		out = append(out, Record{Owner: owner, Type: s.rtype, TTL: s.ttl, Data: data})
	}
	return out
}

// types are those of the sets at a name now.
func (e *edit) types(owner dnsname.Name) (out []uint16) {
	n := e.name(owner)
	for _, t := range n.order {
		if n.sets[t].live > 0 {
			out = append(out, t)
		}
	}
	return out
}

func (e *edit) within(owner dnsname.Name) bool { return owner == e.z.apex || owner.IsBelow(e.z.apex) }

// require checks the prerequisites (RFC 2136 section 3.2).
func (e *edit) require(all []Instruction) int {
	wanted := map[setKey][][]byte{}
	for i := range all {
		p := &all[i]
		switch {
		case p.TTL != 0 || p.Class != wire.ClassIN && len(p.Data) > 0:
			return wire.RcodeFormErr
		case !e.within(p.Owner):
			return wire.RcodeNotZone
		case p.Class == wire.ClassIN && isMeta(p.Type):
			return wire.RcodeFormErr
		case p.Class == wire.ClassIN:
			k := setKey{p.Owner, p.Type}
			wanted[k] = append(wanted[k], p.Data)
			continue
		case p.Class != wire.ClassANY && p.Class != wire.ClassNONE:
			return wire.RcodeFormErr
		}
		if rcode := e.exists(p); rcode != wire.RcodeSuccess {
			return rcode
		}
	}
	for k, data := range wanted {
		if !e.get(k.owner, k.rtype).has(data) {
			return wire.RcodeNXRRSet
		}
	}
	return wire.RcodeSuccess
}

// exists checks that a name or set is there (class ANY), or is not (class NONE).
func (e *edit) exists(p *Instruction) int {
	if p.Type == wire.TypeANY {
		switch inUse := len(e.types(p.Owner)) > 0; {
		case p.Class == wire.ClassANY && !inUse:
			return wire.RcodeNXDomain
		case p.Class == wire.ClassNONE && inUse:
			return wire.RcodeYXDomain
		}
		return wire.RcodeSuccess
	}
	switch there := e.get(p.Owner, p.Type).live > 0; {
	case p.Class == wire.ClassANY && !there:
		return wire.RcodeNXRRSet
	case p.Class == wire.ClassNONE && there:
		return wire.RcodeYXRRSet
	}
	return wire.RcodeSuccess
}

// scan checks the changes before any is made (RFC 2136 section 3.4.1), and who may make them.
func (e *edit) scan(all []Instruction, granted func(dnsname.Name, uint16) bool) int {
	for i := range all {
		c := &all[i]
		if !e.within(c.Owner) {
			return wire.RcodeNotZone
		}
		meta := isMeta(c.Type)
		switch c.Class {
		case wire.ClassIN:
			if meta || c.TTL > ttlMax || !isWellFormed(&Record{Owner: c.Owner, Type: c.Type, Data: c.Data}) {
				return wire.RcodeFormErr
			}
		case wire.ClassANY:
			if c.TTL != 0 || len(c.Data) > 0 || meta && c.Type != wire.TypeANY {
				return wire.RcodeFormErr
			}
		case wire.ClassNONE:
			if c.TTL != 0 || meta {
				return wire.RcodeFormErr
			}
		default:
			return wire.RcodeFormErr
		}
	}
	for i := range all {
		if !e.mayChange(&all[i], granted) {
			e.refused = fmt.Errorf("%w: %s %s", errNotGranted, all[i].Owner, wire.TypeText(all[i].Type))
			return wire.RcodeRefused
		}
	}
	return wire.RcodeSuccess
}

// mayChange reports whether a change is granted. To delete a name takes a grant for each of its sets.
func (e *edit) mayChange(c *Instruction, granted func(dnsname.Name, uint16) bool) bool {
	if !granted(c.Owner, c.Type) {
		return false
	}
	if c.Type != wire.TypeANY {
		return true
	}
	for _, t := range e.types(c.Owner) {
		if !e.staysAtApex(c.Owner, t) && !granted(c.Owner, t) {
			return false
		}
	}
	return true
}

// staysAtApex reports whether a set is one that is not deleted whole: those that make the zone one.
func (e *edit) staysAtApex(owner dnsname.Name, t uint16) bool {
	return owner == e.z.apex && (t == wire.TypeSOA || t == wire.TypeNS)
}

// change makes one change (RFC 2136 section 3.4.2).
func (e *edit) change(c *Instruction) {
	switch c.Class {
	case wire.ClassIN:
		e.add(c)
	case wire.ClassANY:
		for _, t := range e.types(c.Owner) {
			if (c.Type == wire.TypeANY || c.Type == t) && !e.staysAtApex(c.Owner, t) {
				e.get(c.Owner, t).clear()
			}
		}
	case wire.ClassNONE:
		e.remove(c)
	}
}

// add adds a record (RFC 2136 section 3.4.2.2): what would stand beside an alias is passed over, and so is a SOA record whose serial is not after the present
// one. A record of a type that stands alone takes the place of the one before.
func (e *edit) add(c *Instruction) {
	s := e.get(c.Owner, c.Type)
	switch {
	case c.Type == wire.TypeSOA:
		if c.Owner == e.z.apex && s.live == 1 && isBefore(soaSerial(s.first()), soaSerial(c.Data)) {
			s.clear()
			s.add(c.TTL, c.Data)
			e.soa = true
		}
	case c.Type == wire.TypeCNAME && slices.ContainsFunc(e.types(c.Owner), func(t uint16) bool { return !besideAlias(t) }),
		!besideAlias(c.Type) && e.get(c.Owner, wire.TypeCNAME).live > 0:
	case c.Type == wire.TypeCNAME || c.Type == wire.TypeDNAME:
		s.clear()
		s.add(c.TTL, c.Data)
	default:
		s.add(c.TTL, c.Data)
	}
}

// besideAlias reports whether records of a type may stand beside a CNAME record.
func besideAlias(t uint16) bool {
	return t == wire.TypeCNAME || t == wire.TypeRRSIG || t == wire.TypeNSEC
}

// soaSerial is the serial in the data of a SOA record that is well formed.
func soaSerial(soa []byte) uint32 { return binary.BigEndian.Uint32(soa[len(soa)-20:]) }

// remove removes a record (RFC 2136 section 3.4.2.4). The SOA record and the last server of the apex stay.
func (e *edit) remove(c *Instruction) {
	s := e.get(c.Owner, c.Type)
	if c.Type == wire.TypeSOA || c.Type == wire.TypeNS && c.Owner == e.z.apex && s.others(c.Data) == 0 {
		return
	}
	s.remove(c.Data)
}

// finish makes the version that the changes lead to, with the next serial unless the update brought one (RFC 2136 section 3.6).
func (e *edit) finish() (*Zone, Diff, int) {
	d := Diff{From: e.z.serial}
	for _, owner := range e.order {
		if e.gather(owner, &d); e.refused != nil {
			return nil, d, wire.RcodeRefused
		}
	}
	switch n := len(d.Removed) + len(d.Added); {
	case n == 0:
		return e.z, d, wire.RcodeSuccess
	case n > changesMax:
		e.refused = errManyChanges
		return nil, d, wire.RcodeRefused
	}
	set := e.get(e.z.apex, wire.TypeSOA)
	soa := Record{Owner: e.z.apex, Type: wire.TypeSOA, TTL: set.ttl, Data: set.first()}
	if !e.soa {
		next := soa
		next.Data = withSerial(soa.Data, nextSerial(e.z.serial))
		d.Removed, d.Added = append(d.Removed, soa), append(d.Added, next)
		soa = next
	}
	d.To = soaSerial(soa.Data)
	soaFirst(d.Removed)
	soaFirst(d.Added)
	next, err := Apply(e.z, d)
	if err != nil {
		return nil, d, wire.RcodeServFail
	}
	if !next.hasServers() {
		e.refused = errNoServers
		return nil, d, wire.RcodeRefused
	}
	return next, d, wire.RcodeSuccess
}

// hasServers reports whether the servers of the apex can be found as far as the zone knows them; without that it would not be read from a file again either.
func (z *Zone) hasServers() bool {
	c := checker{apex: z.apex}
	for _, r := range z.setRecords(z.apex, wire.TypeNS) {
		c.checkServer(z, &r, []byte(z.apex))
	}
	return c.errors == 0
}

// nextSerial is the serial after one; 0 is passed over, which some secondaries take for none.
func nextSerial(n uint32) uint32 {
	if n+1 == 0 {
		return 1
	}
	return n + 1
}

// gather adds what has become of one name.
func (e *edit) gather(owner dnsname.Name, d *Diff) {
	n := e.names[owner]
	for _, t := range n.order {
		if s := n.sets[t]; s.live > setRecordsMax && s.live > len(s.was) {
			e.refused = fmt.Errorf("%w: %s %s", errLargeSet, owner, wire.TypeText(t))
		}
		n.sets[t].gather(owner, d)
	}
}
