package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Bounds of a zone.
const (
	setRecordsMax = math.MaxUint16     // of one set
	dataMax       = math.MaxUint32 - 1 // octets of a zone in memory
)

// sort brings records into the order that they are laid out in: names in canonical order, then types, with each signature behind the set that it is
// of, then their data.
func sort(records []Record) {
	slices.SortStableFunc(records, func(a, b Record) int { return compareRecords(&a, &b) })
}

// compareRecords compares records by the order of sort; those that are one are equal.
func compareRecords(a, b *Record) int {
	if a.Owner != b.Owner {
		return dnsname.Compare(a.Owner, b.Owner)
	}
	return cmp.Or(cmp.Compare(covered(a), covered(b)), cmp.Compare(isSignature(a), isSignature(b)), bytes.Compare(a.Data, b.Data))
}

// isDouble reports whether two records are one, since a set has each but once (RFC 2181 section 5).
func isDouble(a, b Record) bool {
	return a.Owner == b.Owner && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
}

// covered is the type of the set that a record belongs to.
func covered(r *Record) uint16 {
	if r.Type == wire.TypeRRSIG && len(r.Data) >= 2 {
		return binary.BigEndian.Uint16(r.Data)
	}
	return r.Type
}

func isSignature(r *Record) int {
	if r.Type == wire.TypeRRSIG {
		return 1
	}
	return 0
}

// builder lays out a zone.
type builder struct {
	z     *Zone
	nodes []node
	last  []byte // the last name, without the apex; nil before the first
}

func newBuilder(apex dnsname.Name) *builder {
	return &builder{z: &Zone{apex: apex, labels: apex.Labels(), seed: maphash.MakeSeed()}}
}

// build makes a zone of records that are sorted and checked: the apex has one SOA.
func build(apex dnsname.Name, records []Record) (*Zone, error) {
	b, all := newBuilder(apex), len(records)
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Owner == records[0].Owner {
			n++
		}
		if err := b.add(records[:n]); err != nil {
			return nil, err
		}
		records = records[n:]
	}
	b.z.data = slices.Clip(b.z.data)
	return b.finish(all), nil
}

// finish is the zone, of so many records.
func (b *builder) finish(records int) *Zone {
	b.z.records = records
	b.index()
	return b.z
}

// add lays out one name, and before it the empty names between it and the zone's names before.
func (b *builder) add(records []Record) error {
	owner := records[0].Owner
	prefix := []byte(owner[:len(owner)-len(b.z.apex)])
	b.addMissing(prefix)
	b.node(prefix, records)
	return b.fits()
}

// fits fails if the zone is larger than one may be.
func (b *builder) fits() error {
	if len(b.z.data) > dataMax {
		return fmt.Errorf("more than %d octets in memory", dataMax)
	}
	return nil
}

// addMissing lays out the ancestors of a name that have no records, from the top down. In canonical order they come directly before it.
func (b *builder) addMissing(prefix []byte) {
	if b.last == nil || len(prefix) == 0 {
		return
	}
	parent := parentPrefix(prefix)
	if len(parent) == 0 || bytes.Equal(parent, b.last) || endsBelow(b.last, parent) {
		return
	}
	b.addMissing(parent)
	b.node(parent, nil)
}

// node lays out one name without its apex.
func (b *builder) node(prefix []byte, records []Record) {
	z := b.z
	at := node(len(z.data))
	b.nodes = append(b.nodes, at)
	z.data = append(append(z.data, byte(len(prefix))), prefix...)
	z.data = append(z.data, 0, 0, 0)
	count, sets := len(z.data)-2, uint16(0)
	for len(records) > 0 {
		n := 1
		for n < len(records) && covered(&records[n]) == covered(&records[0]) {
			n++
		}
		b.set(records[:n])
		sets++
		records = records[n:]
	}
	binary.BigEndian.PutUint16(z.data[count:], sets)
	b.last = z.prefix(at)
}

// set lays out a set with its signatures. Its records all live as long as the shortest-lived (RFC 2181 section 5.2), and so do its signatures (RFC 4034
// section 3).
func (b *builder) set(records []Record) {
	z, start := b.z, len(b.z.data)
	sigs, ttl := 0, uint32(math.MaxUint32)
	z.data = append(z.data, make([]byte, setHeader)...)
	for i := range records {
		sigs += isSignature(&records[i])
		ttl = min(ttl, records[i].TTL)
		z.data = binary.BigEndian.AppendUint16(z.data, uint16(len(records[i].Data)))
		z.data = append(z.data, records[i].Data...)
	}
	h := z.data[start:]
	binary.BigEndian.PutUint16(h, covered(&records[0]))
	binary.BigEndian.PutUint32(h[2:], ttl)
	binary.BigEndian.PutUint16(h[6:], uint16(len(records)-sigs))
	binary.BigEndian.PutUint16(h[8:], uint16(sigs))
	binary.BigEndian.PutUint32(h[10:], uint32(len(h)-setHeader))
}

// index makes what look-ups go by.
func (b *builder) index() {
	z := b.z
	z.names = len(b.nodes)
	size := 4
	for size*2 < z.names*3 {
		size *= 2
	}
	z.table = slices.Repeat([]node{noNode}, size)
	var owner [dnsname.WireMax]byte
	for _, n := range b.nodes {
		if !z.isHash(n) {
			b.file(n, z.appendOwner(owner[:0], n))
		}
	}
	b.mark()
	z.setApex()
	b.prove()
}

// setApex keeps what the SOA record says.
func (z *Zone) setApex() {
	z.soa, _ = z.set(0, wire.TypeSOA)
	if z.soa.count > 0 && len(z.soa.first()) >= 20 {
		soa := z.soa.first()
		numbers := soa[len(soa)-20:]
		z.serial, z.minimum = binary.BigEndian.Uint32(numbers), min(z.soa.ttl, binary.BigEndian.Uint32(numbers[16:]))
	}
}

// hasKeys reports whether the apex has keys that are signed.
func (z *Zone) hasKeys() bool {
	keys, ok := z.set(0, wire.TypeDNSKEY)
	return ok && keys.sigs > 0
}

// isHash reports whether a name exists only as the hash of another: nobody finds it by asking (RFC 5155 section 7.2.8).
func (z *Zone) isHash(n node) bool {
	w := z.sets(n)
	for w.next() {
		if w.set.rtype != wire.TypeNSEC3 {
			return false
		}
	}
	return z.has(n, wire.TypeNSEC3)
}

func (b *builder) file(n node, name []byte) {
	mask := uint64(len(b.z.table) - 1)
	at := maphash.Bytes(b.z.seed, name) & mask
	for b.z.table[at] != noNode {
		at = (at + 1) & mask
	}
	b.z.table[at] = n
}

// mark sets the flags of all nodes. In canonical order all that lies below a name follows it directly.
func (b *builder) mark() {
	z, top := b.z, []byte(nil) // the last cut or DNAME, without the apex
	for i, n := range b.nodes {
		prefix := z.prefix(n)
		if top != nil && endsBelow(prefix, top) {
			z.setFlag(n, flagBelow)
			continue
		}
		switch {
		case i > 0 && z.has(n, wire.TypeNS):
			z.setFlag(n, flagCut)
			top = prefix
		case z.has(n, wire.TypeDNAME):
			z.setFlag(n, flagDNAME)
			if top = prefix; i == 0 {
				top = nil // what lies below an apex with a DNAME record may be the records of NSEC3: Zone.lookup looks at the DNAME first
			}
		}
		if len(prefix) >= 2 && prefix[0] == 1 && prefix[1] == '*' {
			b.markParent(i)
		}
	}
}

// markParent marks the parent of the asterisk that is the i-th node. Mostly it is the node before.
func (b *builder) markParent(i int) {
	n := b.nodes[i]
	if before := b.nodes[i-1]; bytes.Equal(b.z.prefix(before), parentPrefix(b.z.prefix(n))) {
		b.z.setFlag(before, flagWild)
		return
	}
	var owner [dnsname.WireMax]byte
	if parent := b.z.find(b.z.appendOwner(owner[:0], n)[2:]); parent != noNode {
		b.z.setFlag(parent, flagWild)
	}
}

// endsBelow reports whether prefix is that of a name strictly below the one of top; both lack the apex, and are canonical.
func endsBelow(prefix, top []byte) bool {
	if len(prefix) <= len(top) || !bytes.HasSuffix(prefix, top) {
		return false
	}
	at := 0
	for at < len(prefix)-len(top) {
		at += 1 + int(prefix[at])
	}
	return at == len(prefix)-len(top)
}

// prove finds the records by which a signed zone proves what is not there.
func (b *builder) prove() {
	z := b.z
	if z.signed = z.hasKeys(); !z.signed {
		return
	}
	var nsec3 []node
	for _, n := range b.nodes {
		if z.has(n, wire.TypeNSEC) && z.flags(n)&flagBelow == 0 {
			z.nsecs = append(z.nsecs, n)
		}
		if z.has(n, wire.TypeNSEC3) {
			nsec3 = append(nsec3, n)
		}
	}
	if s, ok := z.set(0, typeNSEC3PAR); ok && z.nsec3.readParameters(s.first()) {
		z.nsec3.index(z, nsec3)
	}
}
