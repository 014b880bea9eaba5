package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// placeOfSet is a set of a zone, by the offset of its node and its own.
type placeOfSet struct {
	node node
	at   uint32
}

// turns are the sets of a zone that are signed, by when the turn of their next signatures comes: the number of the step within the period. They hold for
// every version whose sets lie alike.
type turns [][]placeOfSet

// turnsOf finds the turns of all sets but the SOA record. look is called every few microseconds of work.
func turnsOf(z *Zone, policy *Signing, look func()) turns {
	out := make(turns, policy.steps())
	w := setWalk{}
	for n, names := node(0), 0; int(n) < len(z.data); n, names = node(w.at), names+1 {
		if names%stepsPerLook == stepsPerLook-1 {
			look()
		}
		w = z.sets(n)
		owner := dnsname.Name(z.appendOwner(make([]byte, 0, dnsname.WireMax), n))
		for at := w.at; w.next(); at = w.at {
			if w.set.sigs > 0 && (n != 0 || w.set.rtype != wire.TypeSOA) {
				turn := policy.turn(owner, w.set.rtype)
				out[turn] = append(out[turn], placeOfSet{n, uint32(at)})
			}
		}
	}
	return out
}

// between are the sets whose turn comes after one step and not after another, in the order in which they lie.
func (t turns) between(after, last int64) (out []placeOfSet) {
	for step := max(after, last-int64(len(t))) + 1; step <= last; step++ {
		out = append(out, t[step%int64(len(t))]...)
	}
	slices.SortFunc(out, func(a, b placeOfSet) int { return cmp.Compare(a.at, b.at) })
	return out
}

// renewed is a set with its next signatures.
type renewed struct {
	placeOfSet
	owner dnsname.Name
	set   set    // as it was
	soa   []byte // its data if it is the SOA record, else nil
	sigs  [][]byte
}

// slice is the making of a signed version that differs from the one before in signatures whose turn has come, and in the serial. As these are as long as those
// before, all stays where it lies.
type slice struct {
	signing
	sum   content
	parts []renewed
	diff  Diff
}

// sign makes the signatures of sets. It returns false if they are not as many or not as long as those before.
func (s *slice) sign(places []placeOfSet) (bool, error) {
	for _, p := range places {
		r := renewed{placeOfSet: p, owner: dnsname.Name(s.before.appendOwner(make([]byte, 0, dnsname.WireMax), p.node)), set: s.before.setAt(p.at)}
		if fits, err := s.renew(&r); !fits || err != nil {
			return fits, err
		}
		s.parts = append(s.parts, r)
	}
	return true, nil
}

// renew makes the next signatures of one set, and counts the change of what the zone says.
func (s *slice) renew(r *renewed) (fits bool, err error) {
	rdata, rest := make([][]byte, r.set.count), r.set.records
	for i := range rdata {
		rdata[i], rest = cutRecord(rest)
	}
	if r.soa != nil {
		rdata = [][]byte{r.soa}
	}
	if r.sigs, err = s.signatures(r.owner, r.set.rtype, r.set.ttl, rdata); err != nil {
		return false, err
	}
	slices.SortFunc(r.sigs, bytes.Compare)
	size := 0
	for _, sig := range r.sigs {
		size += 2 + len(sig)
	}
	return len(r.sigs) == r.set.sigs && size == len(rest), nil
}

// count changes the sum by the signatures of all parts.
func (s *slice) count() {
	for i := range s.parts {
		r := &s.parts[i]
		rest := r.set.signatures()
		for range r.set.sigs {
			var sig []byte
			sig, rest = cutRecord(rest)
			s.sum.subtract(&Record{Owner: r.owner, Type: wire.TypeRRSIG, TTL: r.set.ttl, Data: sig})
		}
		for _, sig := range r.sigs {
			s.sum.add(&Record{Owner: r.owner, Type: wire.TypeRRSIG, TTL: r.set.ttl, Data: sig})
		}
	}
}

// write makes the version, and the difference that leads to it.
func (s *slice) write(serial uint32) *Zone {
	next := new(Zone)
	*next = *s.before
	next.data, next.derived = bytes.Clone(s.before.data), nil
	s.diff = Diff{From: s.before.serial, To: serial}
	slices.SortFunc(s.parts, func(a, b renewed) int { return cmp.Compare(a.at, b.at) })
	for i := range s.parts {
		s.replace(next, &s.parts[i])
	}
	soaFirst(s.diff.Removed)
	soaFirst(s.diff.Added)
	next.soa, _ = next.set(0, wire.TypeSOA)
	next.serial = serial
	if params, ok := next.set(0, typeNSEC3PAR); ok && next.nsec3.inUse() {
		next.nsec3.readParameters(params.first()) // the salt lies among the data
	}
	return next
}

// replace writes a set's next signatures, and its SOA record, over those before.
func (s *slice) replace(next *Zone, r *renewed) {
	to := next.setAt(r.at).records
	record := func(rtype uint16, data []byte) Record {
		return Record{Owner: r.owner, Type: rtype, TTL: r.set.ttl, Data: data}
	}
	rest := r.set.records
	for range r.set.count {
		var data []byte
		data, rest = cutRecord(rest)
		if r.soa != nil {
			s.diff.Removed = append(s.diff.Removed, record(r.set.rtype, bytes.Clone(data)))
			s.diff.Added = append(s.diff.Added, record(r.set.rtype, r.soa))
			copy(to[2:], r.soa)
		}
		to = to[2+len(data):]
	}
	for _, sig := range r.sigs {
		var old []byte
		old, rest = cutRecord(rest)
		s.diff.Removed = append(s.diff.Removed, record(wire.TypeRRSIG, bytes.Clone(old)))
		s.diff.Added = append(s.diff.Added, record(wire.TypeRRSIG, sig))
		binary.BigEndian.PutUint16(to, uint16(len(sig)))
		to = to[2+copy(to[2:], sig):]
	}
}

// setAt is the set at an offset.
func (z *Zone) setAt(at uint32) set {
	w := setWalk{data: z.data, at: int(at), left: 1}
	w.next()
	return w.set
}

// slice makes the next version of a zone that has not changed but for the time, if that can be made of the one before; next is nil if it cannot.
func (s *signedZone) slice(before *Zone, now time.Time, look func()) (next *Zone, d *Diff, err error) {
	if s.turns == nil {
		s.turns = turnsOf(before, &s.ring.policy, look)
	}
	work := slice{signing: signing{plain: s.plain, ring: &s.ring, now: now, before: before, look: look}, sum: s.sum}
	places := s.turns.between(s.step, stepOf(now))
	if fits, err := work.sign(places); !fits || err != nil {
		return nil, nil, err
	}
	work.count()
	soa := renewed{placeOfSet: before.placeOf(wire.TypeSOA), owner: s.plain.apex}
	soa.set = before.setAt(soa.at)
	was := soa.set.first()
	mark := work.markOf(&Record{Owner: soa.owner, Type: wire.TypeSOA, TTL: soa.set.ttl, Data: was})
	total := work.sum
	total.addSum(mark)
	serial, err := s.serial(s.plain.serial, before, total)
	if err != nil {
		return nil, nil, err
	}
	if serial == before.serial {
		return before, nil, nil
	}
	soa.soa = withSerial(was, serial)
	if fits, err := work.renew(&soa); !fits || err != nil {
		return nil, nil, err
	}
	work.parts = append(work.parts, soa)
	next = work.write(serial)
	s.sum = work.sum
	return next, &work.diff, nil
}

// placeOf is where a set of the apex lies, which has it.
func (z *Zone) placeOf(rtype uint16) placeOfSet {
	w := z.sets(0)
	for at := w.at; w.next(); at = w.at {
		if w.set.rtype == rtype {
			return placeOfSet{0, uint32(at)}
		}
	}
	return placeOfSet{}
}
