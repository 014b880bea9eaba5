package zone

import (
	"cenote/dnsname"
	"cenote/wire"
)

// proof writes the NSEC or NSEC3 records by which a signed zone proves what its answer says is not there, each but once.
type proof struct{ *search }

// write has the record of a node written at the end: proofs belong behind all answers, and more may follow where an alias leads.
func (p *proof) write(n node, rtype uint16) bool {
	if !p.z.has(n, rtype) {
		return false
	}
	p.m.postpone(p.zone, n, rtype)
	return true
}

// at writes the NSEC record of a name, which tells its types. It returns false if there is none.
func (p *proof) at(n node) bool { return p.write(n, wire.TypeNSEC) }

// cover writes the NSEC record of the last name before name: its range holds name.
func (p *proof) cover(name []byte) {
	list := p.z.nsecs
	lo, hi := 0, len(list)
	var of, buf [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &of)
	for lo < hi {
		mid := (lo + hi) / 2
		if p.z.compare(list[mid], name, &of, labels, &buf) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo > 0 {
		p.write(list[lo-1], wire.TypeNSEC)
	}
}

// compare orders the name of n and a canonical name at or below the apex as DNSSEC does (RFC 4034 section 6.1).
func (z *Zone) compare(n node, name []byte, of *[dnsname.LabelsMax + 1]uint8, labels int, buf *[dnsname.LabelsMax + 1]uint8) int {
	prefix := z.prefix(n)
	i, j := dnsname.Offsets(prefix, buf), labels-z.labels
	for i > 0 && j > 0 {
		i--
		j--
		a, b := labelOf(prefix, buf[i]), labelOf(name, of[j])
		if string(a) != string(b) {
			if string(a) < string(b) {
				return -1
			}
			return 1
		}
	}
	return i - j
}

func labelOf(name []byte, off uint8) []byte { return name[int(off)+1 : int(off)+1+int(name[off])] }

// noName proves that neither the name nor an asterisk that stands for it exists (RFC 4035 section 3.1.3.2, RFC 5155 section 7.2.2).
func (p *proof) noName() {
	var buf [dnsname.WireMax]byte
	if p.z.nsec3.inUse() {
		p.encloser3()
		return
	}
	p.cover(p.name)
	p.cover(p.asterisk(&buf))
}

// noCloser proves that nothing stands between the name and the asterisk that answered for it (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
func (p *proof) noCloser() {
	if p.z.nsec3.inUse() {
		p.hash(p.nextCloser())
		return
	}
	p.cover(p.name)
}

// noDataWild proves that the asterisk that stands for the name has no such type (RFC 4035 section 3.1.3.4, RFC 5155 section 7.2.5).
func (p *proof) noDataWild(wild node) {
	var buf [dnsname.WireMax]byte
	if p.z.nsec3.inUse() {
		p.encloser3()
		return
	}
	if !p.at(wild) {
		p.cover(p.asterisk(&buf)) // the asterisk is an empty non-terminal
	}
	p.cover(p.name)
}

// hash writes the NSEC3 record that matches or covers the hash of name.
func (p *proof) hash(name []byte) bool {
	n, matches := p.z.nsec3.at(name)
	p.write(n, wire.TypeNSEC3)
	return matches
}

// encloser3 is the closest encloser proof (RFC 5155 section 7.2.1), that the closest name exists and the next closer one does not, and what there is of the
// asterisk at it. Where the zone leaves out names that only unsigned delegations made (opt-out), the closest name that can be proved takes its place.
func (p *proof) encloser3() {
	next := p.nextCloser()
	for len(next) > len(p.z.apex) {
		encloser := next[1+int(next[0]):]
		if n, matches := p.z.nsec3.at(encloser); matches {
			p.write(n, wire.TypeNSEC3)
			p.hash(next)
			p.hashAsterisk(encloser)
			return
		}
		next = encloser
	}
}

func (p *proof) hashAsterisk(encloser []byte) {
	var buf [dnsname.WireMax]byte
	buf[0], buf[1] = 1, '*'
	p.hash(buf[:2+copy(buf[2:], encloser)])
}

// noData3 proves that a name has no such type (RFC 5155 sections 7.2.3 and 7.2.4).
func (p *proof) noData3() { p.matchOrEnclose(p.name) }

// noDelegation3 proves that a cut has no DS record (RFC 5155 section 7.2.7).
func (p *proof) noDelegation3(cut []byte) { p.matchOrEnclose(cut) }

// matchOrEnclose writes the record of a name, or, where the zone leaves out those of unsigned delegations (opt-out), the proof of its closest encloser
// that has one.
func (p *proof) matchOrEnclose(name []byte) {
	if n, matches := p.z.nsec3.at(name); matches {
		p.write(n, wire.TypeNSEC3)
		return
	}
	for len(name) > len(p.z.apex) {
		parent := name[1+int(name[0]):]
		if n, matches := p.z.nsec3.at(parent); matches {
			p.write(n, wire.TypeNSEC3)
			p.hash(name)
			return
		}
		name = parent
	}
}
