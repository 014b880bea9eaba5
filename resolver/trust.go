package resolver

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// NegativeAnchor turns validation off at and below a name, until a moment (RFC 7646). A zero Until is never.
type NegativeAnchor struct {
	Name  dnsname.Name
	Until time.Time
}

// trusted is what is known of the zone that a name lies in: its keys, or why there are none.
type trusted struct {
	zone    *dnssec.Zone // if the verdict is Secure
	verdict dnssec.Verdict
	expires time.Time
}

// trusts is what is known of the zones that names lie in, bounded as cuts is.
type trusts struct {
	mu   sync.Mutex
	all  map[dnsname.Name]*trusted
	most int
}

const (
	trustsMost = 50_000
	bogusFor   = 30 * time.Second // RFC 4035 section 4.7
	trustMax   = time.Hour        // for so long keys are believed at most before they are looked at again
)

func newTrusts() *trusts { return &trusts{all: map[dnsname.Name]*trusted{}, most: trustsMost} }

func (t *trusts) get(name dnsname.Name, now time.Time) *trusted {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.all[name]
	if known == nil || now.Before(known.expires) {
		return known
	}
	delete(t.all, name)
	return nil
}

func (t *trusts) put(name dnsname.Name, z *trusted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) >= t.most {
		n, victim := 0, name
		for known, z := range t.all {
			if v := t.all[victim]; v == nil || z.expires.Before(v.expires) {
				victim = known
			}
			if n++; n == evictionSample {
				break
			}
		}
		delete(t.all, victim)
	}
	t.all[name] = z
}

// flush forgets what is known at and below name.
func (t *trusts) flush(name dnsname.Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for known := range t.all {
		if atOrBelow(known, name) {
			delete(t.all, known)
		}
	}
}

// forget forgets what is known at name.
func (t *trusts) forget(name dnsname.Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, name)
}

// trust finds out by what keys the data at a name are to be checked. The keys of a zone are trusted for what its parent's keys sign, from an
// anchor down (RFC 4035 section 5).
func (it *iteration) trust(name dnsname.Name) (*dnssec.Zone, dnssec.Verdict) {
	now := it.r.now()
	if known := it.r.trusts.get(name, now); known != nil {
		return known.zone, known.verdict
	}
	z := it.findTrust(name)
	if z.verdict.Status == dnssec.Bogus {
		z.expires = now.Add(bogusFor)
	}
	z.expires = minTime(z.expires, now.Add(trustMax))
	if it.ctx.Err() == nil && (z.verdict.Status != dnssec.Bogus || !it.b.ranShort()) {
		it.r.trusts.put(name, z)
	}
	it.note(Step{Kind: StepTrust, Name: name, Verdict: z.verdict})
	return z.zone, z.verdict
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// insecure is a name whose data nobody signs.
func insecure(until time.Time, format string, args ...any) *trusted {
	return &trusted{expires: until, verdict: dnssec.Verdict{Status: dnssec.Insecure, Code: dnssec.CodeNone, Text: fmt.Sprintf(format, args...)}}
}

func bogus(code uint16, format string, args ...any) *trusted {
	return &trusted{verdict: dnssec.Verdict{Status: dnssec.Bogus, Code: code, Text: fmt.Sprintf(format, args...)}}
}

func (it *iteration) findTrust(name dnsname.Name) *trusted {
	now := it.r.now()
	if n := it.s.negativeAt(name, now); n != nil {
		return insecure(now.Add(time.Minute), "validation is turned off at %v", n.Name)
	}
	if it.s.keys.has(name) {
		return it.trustAnchor(name)
	}
	if name.IsRoot() {
		return insecure(now.Add(trustMax), "there is no trust anchor")
	}
	sets, ttl, err := it.delegationSigner(name)
	if err != nil {
		return bogus(edeIndeterminate, "DS of %v cannot be had: %v", name, err)
	}
	until := now.Add(ttl)
	if ds := findSet(sets, name, wire.TypeDS); ds != nil {
		return it.trustSigned(name, ds, until)
	}
	return it.trustUnsigned(name, sets, until)
}

// edeIndeterminate says that it could not be found out whether data are signed (RFC 8914 section 4.6).
const edeIndeterminate = 5

// delegationSigner returns what the parent side says about DS at name.
func (it *iteration) delegationSigner(name dnsname.Name) ([]*rrset, time.Duration, error) {
	now := it.r.now()
	if z := it.r.cuts.at(name, now); z != nil && len(z.proofs) > 0 {
		return z.proofs, z.expires.Sub(now), nil
	}
	sets, _, err := it.records(name, wire.TypeDS)
	return sets, leastTTL(sets), err
}

// records asks for records with their signatures and without validation. It returns the flight that found them, nil if they were in the cache.
func (it *iteration) records(name dnsname.Name, rtype uint16) ([]*rrset, *flight, error) {
	q := question{name: string(name), qtype: rtype, class: it.f.q.class, do: true, cd: true, group: it.f.q.group}
	msg, f, err := it.need(q, it.f.depth+1, it.f.aliases, it.f.look)
	if err != nil {
		return nil, f, err
	}
	got, err := readResponse(msg, q.class)
	if err != nil {
		return nil, f, err
	}
	return got.sets, f, nil
}

func leastTTL(sets []*rrset) time.Duration {
	least := uint32(delegationMax / time.Second)
	for _, s := range sets {
		least = min(least, s.ttl)
	}
	return max(time.Duration(least)*time.Second, delegationMin)
}

func findSet(sets []*rrset, name dnsname.Name, rtype uint16) *rrset {
	for _, s := range sets {
		if s.name == name && s.rtype == rtype {
			return s
		}
	}
	return nil
}

// trustAnchor checks the keys of a zone that has an anchor.
func (it *iteration) trustAnchor(zone dnsname.Name) *trusted {
	return it.trustKeys(zone, it.r.now().Add(trustMax), func(keys *dnssec.Set) (*dnssec.Zone, dnssec.Verdict) {
		return it.s.keys.check(zone, keys, it.validationTime(), it.b.crypto)
	})
}

// trustSigned checks the keys of a zone against the DS set that its parent has for it.
func (it *iteration) trustSigned(name dnsname.Name, ds *rrset, until time.Time) *trusted {
	signer, ok := ds.signer()
	if !ok {
		return it.inherit(name, until, edeNoRRSIG, "DS of %v is not signed", name)
	}
	if !name.IsBelow(signer) {
		return bogus(edeBogus, "DS of %v is signed by %v, which is not above it", name, signer)
	}
	parent, v := it.trust(signer)
	if v.Status != dnssec.Secure {
		return &trusted{verdict: v, expires: until}
	}
	if c := it.check(parent, ds); c.Status != dnssec.Secure {
		return &trusted{verdict: c.Verdict, expires: until}
	}
	return it.trustKeys(name, until, func(keys *dnssec.Set) (*dnssec.Zone, dnssec.Verdict) {
		return dnssec.Trust([]byte(name), ds.rdata, keys, it.validationTime(), it.b.crypto)
	})
}

// trustKeys asks for the keys of a zone and checks them. Where they do not stand up, other servers may have others.
func (it *iteration) trustKeys(zone dnsname.Name, until time.Time, check func(*dnssec.Set) (*dnssec.Zone, dnssec.Verdict)) *trusted {
	var last *trusted
	for range keyTries {
		sets, f, err := it.records(zone, wire.TypeDNSKEY)
		if err != nil {
			return bogus(edeNoKeys, "keys of %v cannot be had: %v", zone, err)
		}
		keys := findSet(sets, zone, wire.TypeDNSKEY)
		if keys == nil {
			last = bogus(edeNoKeys, "%v has no keys", zone)
		} else {
			z, v := check(keys.proof(it.f.q.class))
			last = &trusted{zone: z, verdict: v, expires: minTime(until, it.r.now().Add(leastTTL([]*rrset{keys})))}
		}
		if last.verdict.Status != dnssec.Bogus || it.b.crypto.Spent() {
			break
		}
		if f != nil && f.from.IsValid() { // the others come first now
			it.r.authorities.markLame(f.from, zone, it.r.now())
		}
		it.forget(zone, wire.TypeDNSKEY)
	}
	return last
}

// keyTries is how often the keys of a zone are asked for if they do not stand up.
const keyTries = 3

// signed reports whether a zone is known to be signed: by its parent, or by its trust anchor.
func (it *iteration) signed(z *cut) bool {
	return it.s.keys != nil && it.s.keys.has(z.zone) || slices.ContainsFunc(z.proofs, func(s *rrset) bool { return s.rtype == wire.TypeDS })
}

// forget has a question asked anew.
func (it *iteration) forget(name dnsname.Name, rtype uint16) {
	q := question{name: string(name), qtype: rtype, class: it.f.q.class, do: true, cd: true, group: it.f.q.group}
	it.r.cache.Remove(q.key())
}

// trustUnsigned finds out what it means that the parent side has no DS at name: a zone that is not signed, or no zone at all.
func (it *iteration) trustUnsigned(name dnsname.Name, sets []*rrset, until time.Time) *trusted {
	signer, ok := signerAbove(sets, name)
	if !ok {
		return it.inherit(name, until, edeNoNSEC, "nothing proves that %v has no DS", name)
	}
	parent, v := it.trust(signer)
	if v.Status != dnssec.Secure {
		return &trusted{verdict: v, expires: until}
	}
	if alias := findSet(sets, name, wire.TypeCNAME); alias != nil { // no zone begins at an alias
		c := it.check(parent, alias)
		return &trusted{zone: parent, verdict: c.Verdict, expires: until}
	}
	d, v := it.denial(parent, sets)
	if v.Status == dnssec.Bogus {
		return &trusted{verdict: v, expires: until}
	}
	switch cut, v := d.Unsigned([]byte(name)); {
	case v.Status == dnssec.Bogus:
		return &trusted{verdict: v, expires: until}
	case cut == dnssec.CutDelegation:
		return insecure(until, "%v proves that %v is not signed", signer, name)
	}
	return &trusted{zone: parent, verdict: dnssec.Verdict{Status: dnssec.Secure, Code: dnssec.CodeNone, Text: fmt.Sprintf("in the zone %v", signer)}, expires: until}
}

// inherit is for what has no signature at all: that is fine below a zone that is not signed, and nowhere else.
func (it *iteration) inherit(name dnsname.Name, until time.Time, code uint16, format string, args ...any) *trusted {
	switch _, v := it.trust(name.Parent()); v.Status {
	case dnssec.Secure:
		return bogus(code, format, args...)
	default:
		return &trusted{verdict: v, expires: until}
	}
}

// signerAbove returns whose keys sign what a parent says about a name: the closest of those above it.
func signerAbove(sets []*rrset, name dnsname.Name) (dnsname.Name, bool) {
	var best dnsname.Name
	for _, s := range sets {
		if signer, ok := s.signer(); ok && name.IsBelow(signer) && (best.IsZero() || signer.Labels() > best.Labels()) {
			best = signer
		}
	}
	return best, !best.IsZero()
}

// Extended errors of validation (RFC 8914 sections 4.7 to 4.13).
const (
	edeBogus   = 6
	edeNoKeys  = 9
	edeNoRRSIG = 10
	edeNoNSEC  = 12
)

// errBogus is an answer that was checked and is wrong.
var errBogus = errors.New("the answer does not stand up to validation")

// negativeAt returns the negative trust anchor at or above a name.
func (s *state) negativeAt(name dnsname.Name, now time.Time) *NegativeAnchor {
	for i := range s.config.Recursion.Negative {
		n := &s.config.Recursion.Negative[i]
		if atOrBelow(name, n.Name) && (n.Until.IsZero() || now.Before(n.Until)) {
			return n
		}
	}
	return nil
}

// validates reports whether answers to a question are checked.
func (s *state) validates(q *question) bool {
	return s.keys != nil && !q.cd && q.class == wire.ClassIN
}

// validationTime is the time that signatures are judged at.
func (it *iteration) validationTime() time.Time { return it.r.validationTime(it.s.config.Recursion) }
