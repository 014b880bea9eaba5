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
	all     map[dnsname.Name]*denied
	records int // of all zones
	most    int // of them
}

// denied is what one zone has proved.
type denied struct {
	ranges *dnssec.Ranges
	soa    *rrset // by which a negative answer is kept
	until  time.Time
}

// Bounds of what is remembered of denials.
const (
	denialZones   = 2000
	denialRecords = 1000    // of one zone
	denialMost    = 100_000 // of all zones: up to 200 MB, should each be as long as may be (dnssec.RangeSetMax)
	denialMax     = time.Hour
)

func newDenials() *denials { return &denials{all: map[dnsname.Name]*denied{}, most: denialMost} }

// add remembers what was proved by records of a zone that were found Secure.
func (d *denials) add(zone dnsname.Name, soa *rrset, proofs []*rrset, class uint16, now time.Time) {
	least := min(soa.ttl, soaMinimum(soa), uint32(denialMax/time.Second))
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.all[zone]
	if known == nil {
		if len(d.all) >= denialZones {
			d.evict()
		}
		known = &denied{ranges: dnssec.NewRanges([]byte(zone), denialRecords)}
		d.all[zone] = known
	}
	known.soa, known.until = soa, now.Add(time.Duration(least)*time.Second)
	d.records -= known.ranges.Len()
	for _, s := range proofs {
		if isDenial(s.rtype) {
			known.ranges.Add(s.proof(class), min(s.ttl, least), now)
		}
	}
	d.records += known.ranges.Len()
	for d.records > d.most {
		d.evict()
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
	var victim dnsname.Name
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
func (d *denials) drop(zone dnsname.Name) {
	if known := d.all[zone]; known != nil {
		d.records -= known.ranges.Len()
		delete(d.all, zone)
	}
}

// flush forgets what zones at and below name have proved, and returns how many they were.
func (d *denials) flush(name dnsname.Name) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for zone := range d.all {
		if atOrBelow(zone, name) {
			d.drop(zone)
			n++
		}
	}
	return n
}

// forget forgets what a zone has proved.
func (d *denials) forget(zone dnsname.Name) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(zone)
}

// answer infers what there is at a name of a zone.
func (d *denials) answer(zone, name dnsname.Name, rtype uint16, now time.Time, w *dnssec.Work) *finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.all[zone]
	if known == nil || !now.Before(known.until) {
		return nil
	}
	f := &finding{sure: true}
	inferred, sets := known.ranges.Answer([]byte(name), rtype, now, w)
	switch inferred {
	case dnssec.Unknown:
		return nil
	case dnssec.NameError:
		f.kind = kindNXDomain
	case dnssec.NoData:
		f.kind = kindNoData
	}
	soa := *known.soa
	soa.ttl = min(soa.ttl, uint32(known.until.Sub(now)/time.Second))
	f.soa = &soa
	for _, s := range sets {
		f.proofs = append(f.proofs, &rrset{
			name: dnsname.Name(s.Name), rtype: s.Type, section: wire.SectionAuthority, ttl: s.TTL, sigTTL: s.TTL, rdata: s.RData, sigs: s.Sigs,
		})
	}
	return f
}

// infer answers from what the closest zone that is known to hold a name has proved. Only what is validated is inferred, and only from that.
func (it *iteration) infer(name dnsname.Name) *finding {
	q := &it.f.q
	if !it.s.validates(q) || q.qtype == wire.TypeANY {
		return nil
	}
	now := it.r.now()
	z := it.known(name, q.qtype)
	if z == nil || it.s.negativeAt(name, now) != nil || it.isElsewhere(z.zone, name) {
		return nil
	}
	it.b.checking.Lock()
	defer it.b.checking.Unlock()
	if known := it.r.trusts.get(z.zone, now); known == nil || known.verdict.Status != dnssec.Secure {
		return nil
	}
	var f *finding
	it.compute(z.zone, func() { f = it.r.denials.answer(z.zone, name, q.qtype, now, it.b.crypto) })
	if f != nil {
		it.r.counts.inferred.Add(1)
		it.note(Step{Kind: StepCached, Name: name, Type: q.qtype, Zone: z.zone, Result: f.kind.String() + ", by what the zone has proved before"})
	}
	return f
}

// isElsewhere reports whether a zone says nothing of a name, since others are asked for it, or since a trust anchor lies between.
func (it *iteration) isElsewhere(zone, name dnsname.Name) bool {
	c, side := it.s.config.Recursion, parentSide(name, it.f.q.qtype)
	forward, _ := c.forwardAt(name, it.f.q.qtype)
	stub := c.stubAt(side)
	return forward != nil || stub != nil && stub.Zone.IsBelow(zone) || it.s.anchoredBelow(zone, side, it.r.now())
}
