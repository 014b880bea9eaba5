package resolver

import (
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// denials is what zones have proved not to be there, by which other names are answered without a question to the zone (RFC 8198).
type denials struct {
	mu      sync.Mutex // guards the rest, and what is in it
	all     map[sourced]*denied
	records int // of all zones
	most    int // of them
}

// denied is what one zone has proved.
type denied struct {
	ranges *dnssec.Ranges
	soa    *rrset    // by which a negative answer is kept; nil if none came yet
	until  time.Time // the end of that
	wild   map[wildKey]wildSet
}

// wildKey is a wildcard by the name that it is below, and the type of its records.
type wildKey struct {
	encloser dnsname.Name
	rtype    uint16
}

// wildSet is the records of a wildcard, as they were found for a name that it stands for.
type wildSet struct {
	set   *rrset
	until time.Time
}

// len is how many records are kept of a zone.
func (k *denied) len() int { return k.ranges.Len() + len(k.wild) }

// Bounds of what is remembered of denials.
const (
	denialZones   = 2000
	denialRecords = 1000    // of one zone
	denialMost    = 100_000 // of all zones: up to 200 MB, should each be as long as may be (dnssec.RangeSetMax)
	denialMax     = time.Hour
	wildcardsMost = 100 // of one zone, by name and type
)

func newDenials() *denials { return &denials{all: map[sourced]*denied{}, most: denialMost} }

// add remembers what was proved by records of a zone that were found Secure.
func (d *denials) add(zone sourced, soa *rrset, proofs []*rrset, class uint16, now time.Time) {
	least := min(soa.ttl, soaMinimum(soa), uint32(denialMax/time.Second))
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.of(zone)
	known.soa, known.until = soa, now.Add(time.Duration(least)*time.Second)
	d.change(known, func() { known.prove(proofs, class, least, now) })
}

// addWild remembers the records of the wildcard below encloser, and what proved that it stands for a name.
func (d *denials) addWild(zone sourced, encloser dnsname.Name, set *rrset, proofs []*rrset, class uint16, now time.Time) {
	least := min(set.ttl, uint32(denialMax/time.Second))
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.of(zone)
	d.change(known, func() {
		known.prove(proofs, class, uint32(denialMax/time.Second), now)
		if known.wild == nil || len(known.wild) >= wildcardsMost {
			known.wild = map[wildKey]wildSet{}
		}
		known.wild[wildKey{encloser, set.rtype}] = wildSet{set, now.Add(time.Duration(least) * time.Second)}
	})
}

// of returns what is known of a zone. The caller holds mu.
func (d *denials) of(zone sourced) *denied {
	known := d.all[zone]
	if known == nil {
		if len(d.all) >= denialZones {
			d.evict()
		}
		known = &denied{ranges: dnssec.NewRanges([]byte(zone.name), denialRecords)}
		d.all[zone] = known
	}
	return known
}

// change counts what comes to a zone. The caller holds mu.
func (d *denials) change(known *denied, do func()) {
	d.records -= known.len()
	do()
	d.records += known.len()
	for d.records > d.most {
		d.evict()
	}
}

// prove takes records of denial, for most seconds.
func (k *denied) prove(proofs []*rrset, class uint16, most uint32, now time.Time) {
	for _, s := range proofs {
		if isDenial(s.rtype) {
			k.ranges.Add(s.proof(class), min(s.ttl, most), now)
		}
	}
}

// soaMinimum is how long a zone wants what it denies to be remembered (RFC 2308 section 4).
func soaMinimum(soa *rrset) uint32 {
	data := soa.rdata[0]
	if len(data) < 4 {
		return 0
	}
	end := data[len(data)-4:]
	return uint32(end[0])<<24 | uint32(end[1])<<16 | uint32(end[2])<<8 | uint32(end[3])
}

func (d *denials) evict() {
	var victim sourced
	n := 0
	for zone, known := range d.all {
		if v := d.all[victim]; v == nil || known.until.Before(v.until) {
			victim = zone
		}
		if n++; n == evictionSample {
			break
		}
	}
	d.drop(victim)
}

// drop forgets what a zone has proved.
func (d *denials) drop(zone sourced) {
	if known := d.all[zone]; known != nil {
		d.records -= known.len()
		delete(d.all, zone)
	}
}

// flush forgets what zones in a region have proved, and returns how many they were.
func (d *denials) flush(at *region) (n int) {
	walk(&d.mu, d.all, func(zone sourced, _ *denied) {
		if at.holds(zone.name) {
			d.drop(zone)
			n++
		}
	})
	return n
}

// forget forgets what a zone has proved by what one source said.
func (d *denials) forget(zone sourced) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(zone)
}

// forgetAt forgets what the zone at name has proved, whoever said it.
func (d *denials) forgetAt(name dnsname.Name) {
	walk(&d.mu, d.all, func(zone sourced, _ *denied) {
		if zone.name == name {
			d.drop(zone)
		}
	})
}

// forgetAbove forgets what zones above a region have proved, whoever said it.
func (d *denials) forgetAbove(at *region) {
	walk(&d.mu, d.all, func(zone sourced, _ *denied) {
		if at.above[zone.name] {
			d.drop(zone)
		}
	})
}

// knows reports whether anything is known of a zone.
func (d *denials) knows(zone sourced) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[zone] != nil
}

// answer infers what there is at a name of a zone.
func (d *denials) answer(zone sourced, name dnsname.Name, rtype uint16, now time.Time, w *dnssec.Work) *finding {
	known, ok := d.about(zone, name, rtype, now)
	if !ok {
		return nil
	}
	if f := known.deny(name, rtype, now, w); f != nil {
		return f
	}
	return known.expand(name, now, w)
}

// insight is what is known of a zone at one moment that may answer one question. Names are hashed with it in hand, which may take long, and nobody waits for that.
type insight struct {
	ranges *dnssec.Ranges
	soa    *rrset // as denied has it
	until  time.Time
	wild   []wildcard // those that may stand for the name, the deepest first
}

// wildcard is the records of one below the name encloser.
type wildcard struct {
	encloser dnsname.Name
	wildSet
}

// about returns what is known of a zone that may answer a question.
func (d *denials) about(zone sourced, name dnsname.Name, rtype uint16, now time.Time) (k insight, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.all[zone]
	if known == nil {
		return k, false
	}
	k = insight{ranges: known.ranges, soa: known.soa, until: known.until}
	for labels := name.Labels() - 1; len(known.wild) > 0 && labels >= zone.name.Labels(); labels-- {
		encloser := name.Suffix(labels)
		if one, ok := known.wild[wildKey{encloser, rtype}]; ok && now.Before(one.until) {
			k.wild = append(k.wild, wildcard{encloser, one})
		}
	}
	return k, true
}

// expand answers by a wildcard.
func (k *insight) expand(name dnsname.Name, now time.Time, w *dnssec.Work) *finding {
	for _, one := range k.wild {
		if sets := k.ranges.Expanded([]byte(name), []byte(one.encloser), now, w); sets != nil {
			set := *one.set
			set.name, set.ttl = name, uint32(one.until.Sub(now)/time.Second)
			return &finding{kind: kindAnswer, sure: true, answer: []*rrset{&set}, proofs: proofsOf(sets)}
		}
	}
	return nil
}

// deny answers that there is nothing.
func (k *insight) deny(name dnsname.Name, rtype uint16, now time.Time, w *dnssec.Work) *finding {
	if k.soa == nil || !now.Before(k.until) {
		return nil
	}
	f := &finding{sure: true}
	inferred, sets := k.ranges.Answer([]byte(name), rtype, now, w)
	switch inferred {
	case dnssec.Unknown:
		return nil
	case dnssec.NameError:
		f.kind = kindNXDomain
	case dnssec.NoData:
		f.kind = kindNoData
	}
	soa := *k.soa
	soa.ttl = min(soa.ttl, uint32(k.until.Sub(now)/time.Second))
	f.soa, f.proofs = &soa, proofsOf(sets)
	return f
}

// denial is what is inferred, to be asked for more.
func (f *finding) denial(zone dnsname.Name, class uint16, w *dnssec.Work) *dnssec.Denial {
	var sets []*dnssec.Set
	for _, s := range f.proofs {
		sets = append(sets, s.proof(class))
	}
	return dnssec.NewDenial([]byte(zone), sets, w)
}

// proofsOf are sets of an authority section.
func proofsOf(sets []*dnssec.Set) (proofs []*rrset) {
	for _, s := range sets {
		proofs = append(proofs, &rrset{
			name: dnsname.Name(s.Name), rtype: s.Type, section: wire.SectionAuthority, ttl: s.TTL, sigTTL: s.TTL, rdata: s.RData, sigs: s.Sigs,
		})
	}
	return proofs
}

// infer answers from what the closest zone that is known to hold a name has proved. Only what is validated is inferred, and only from that. It
// returns the zone, too. An error says that there was no room to look: then the zone is not asked, since what it says could not be checked either, and whoever has others ask for
// names that it has denied would reach it by filling that room.
func (it *iteration) infer(name dnsname.Name) (*finding, *cut, error) {
	q := &it.f.q
	if !it.s.validates(q) || q.qtype == wire.TypeANY {
		return nil, nil, nil
	}
	now := it.r.now()
	z := it.known(name, q.qtype)
	if z == nil {
		return nil, nil, nil
	}
	at := sourced{it.s.source(name, q.qtype), z.zone}
	if !it.r.denials.knows(at) || it.s.negativeAt(name, now) != nil || it.isElsewhere(z.zone, name) {
		return nil, nil, nil
	}
	it.b.checking.Lock()
	defer it.b.checking.Unlock()
	if known := it.r.trusts.get(sourced{it.s.source(z.zone, 0), z.zone}, now); known == nil || known.verdict.Status != dnssec.Secure {
		return nil, nil, nil
	}
	var f *finding
	if !it.compute(z.zone, func() {
		if f = it.r.denials.answer(at, name, q.qtype, now, it.b.crypto); f != nil && f.kind == kindNoData && it.tellsAbsent(f.denial(z.zone, q.class, it.b.crypto), name) {
			f.kind = kindNXDomain
		}
	}) {
		return nil, nil, errGate
	}
	if f != nil {
		it.r.counts.inferred.Add(1)
		it.note(Step{Kind: StepCached, Name: name, Type: q.qtype, Zone: z.zone, Result: f.kind.String() + ", by what the zone has proved before"})
	}
	return f, z, nil
}

// isElsewhere reports whether a zone says nothing of a name, since others are asked for it, or since a trust anchor lies between.
func (it *iteration) isElsewhere(zone, name dnsname.Name) bool {
	side := parentSide(name, it.f.q.qtype)
	forward, _ := it.s.forwardAt(name, it.f.q.qtype)
	stub, _ := it.s.stubAt(side)
	return forward != nil || stub != nil && stub.Zone.IsBelow(zone) || it.s.anchoredBelow(zone, side, it.r.now())
}
