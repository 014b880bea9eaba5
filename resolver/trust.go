package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// trusted is what is known of the zone that a name lies in: its keys, or why there are none.
type trusted struct {
	zone    *dnssec.Zone // if the verdict is Secure
	verdict dnssec.Verdict
	expires time.Time
	above   bool            // the fault is in what the parent said, not in the zone's keys
	ds      []dnssec.KeyRef // what the parent says of the keys, for traces
}

// trusts is what is known of the zones that names lie in, bounded as cuts is.
type trusts struct {
	mu   sync.Mutex
	all  map[sourced]*trusted
	most int
}

const (
	trustsMost = 50_000
	bogusFor   = 30 * time.Second // RFC 4035 section 4.7
	outageFor  = 2 * time.Second  // that nobody could be reached says nothing of a zone (RFC 9520 section 3.2)
	trustMax   = time.Hour        // for so long keys are believed at most before they are looked at again
)

func newTrusts() *trusts { return &trusts{all: map[sourced]*trusted{}, most: trustsMost} }

func (t *trusts) get(name sourced, now time.Time) *trusted {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.all[name]
	if known == nil || now.Before(known.expires) {
		return known
	}
	delete(t.all, name)
	return nil
}

func (t *trusts) put(name sourced, z *trusted) {
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

func (t *trusts) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// flush forgets what is known in a region, and returns how much it was.
func (t *trusts) flush(at *region) (n int) {
	walk(&t.mu, t.all, func(known sourced, _ *trusted) {
		if at.holds(known.name) {
			delete(t.all, known)
			n++
		}
	})
	return n
}

// forget forgets what is known at name by one source.
func (t *trusts) forget(name sourced) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, name)
}

// forgetAt forgets what is known at name by all sources.
func (t *trusts) forgetAt(name dnsname.Name) {
	walk(&t.mu, t.all, func(known sourced, _ *trusted) {
		if known.name == name {
			delete(t.all, known)
		}
	})
}

// trust finds out by what keys the data at a name are to be checked. The keys of a zone are trusted for what its parent's keys sign, from an
// anchor down (RFC 4035 section 5).
func (it *iteration) trust(name dnsname.Name) (*dnssec.Zone, dnssec.Verdict) {
	now, at := it.r.now(), sourced{it.s.source(name, 0), name}
	if known := it.r.trusts.get(at, now); known != nil {
		it.noteTrust(name, known, true)
		return known.zone, known.verdict
	}
	whole := *it.b.crypto
	z := it.findTrust(name)
	switch {
	case z.verdict.Status == dnssec.Bogus && z.verdict.Code == edeNoReachable:
		z.expires = now.Add(outageFor)
	case z.verdict.Status == dnssec.Bogus:
		z.expires = now.Add(bogusFor)
	}
	z.expires = minTime(z.expires, now.Add(trustMax))
	if it.ctx.Err() == nil && (z.verdict.Status != dnssec.Bogus || !it.b.ranShort() || it.failedAlone(whole)) {
		if it.r.trusts.put(at, z); it.r.isOver(it.s) {
			it.r.trusts.forget(at)
		}
	}
	it.noteTrust(name, z, false)
	return z.zone, z.verdict
}

// failedAlone reports whether a proof of keys made all failures that a question may make, so that it would do so for every question. To be remembered is
// then what keeps a zone of colliding keys from being checked again for each of its names.
func (it *iteration) failedAlone(before dnssec.Work) bool {
	return before.Failures == dnssec.FailuresMax && it.b.crypto.Failures <= 0 && !it.b.busy.Load() && !it.b.short.Load()
}

// trustSigner is trust for data at a name that say who signed them. For what lies below a trust anchor no zone above that can speak: one that is not signed
// would make unsigned what it is said to have signed.
func (it *iteration) trustSigner(signer, name dnsname.Name) (*dnssec.Zone, dnssec.Verdict) {
	if it.s.anchoredBelow(signer, name, it.r.now()) {
		return nil, bogus(dnssec.CodeBogus, "%v cannot sign for %v, which lies below a trust anchor", signer, name).verdict
	}
	return it.trust(signer)
}

// anchoredBelow reports whether a name lies at or below a trust anchor that is below a zone.
func (s *state) anchoredBelow(zone, name dnsname.Name, now time.Time) bool {
	anchor, ok := s.keys.above(name)
	return ok && anchor.IsBelow(zone) && s.negativeAt(name, now) == nil
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

// fromAbove notes that the verdict is about what the parent said.
func (t *trusted) fromAbove() *trusted {
	t.above = true
	return t
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
	anchor, ok := it.s.keys.above(name)
	if !ok {
		return insecure(now.Add(trustMax), "there is no trust anchor at or above %v", name)
	}
	if _, v := it.trust(anchor); v.Status == dnssec.Insecure { // an anchor of algorithms that are not supported
		return &trusted{verdict: v, expires: now.Add(trustMax)}
	}
	return it.trustDelegation(name)
}

// trustDelegation finds out what it means what the parent side says about DS at a name. Where that does not stand up, another server of
// the parent may say better.
func (it *iteration) trustDelegation(name dnsname.Name) *trusted {
	var last *trusted
	known := it.knownProofs(name)
	for range trustTries {
		sets, from, err := known, netip.AddrPort{}, error(nil)
		if sets == nil {
			sets, from, err = it.records(name, wire.TypeDS)
		}
		if err != nil && last != nil {
			break
		}
		if err != nil {
			return bogus(codeOf(err, dnssec.CodeIndeterminate), "DS of %v cannot be had: %v", name, err)
		}
		if last = it.trustParent(name, sets); last.verdict.Status != dnssec.Bogus || !last.above || it.b.checkedOut() {
			break
		}
		it.distrust(from)
		it.forget(name, wire.TypeDS)
		known = nil
	}
	return last
}

// trustTries is how often keys, or what vouches for them, are asked for if they do not stand up: what was known, from one server, and from
// another one.
const trustTries = 3

// distrust has a server asked last by the questions that are still to be asked: what it said does not stand up.
func (it *iteration) distrust(server netip.AddrPort) {
	if it.f.distrust == nil {
		it.f.distrust = map[netip.AddrPort]bool{}
	}
	it.f.distrust[server] = true
}

// trustParent finds out by what keys a name is to be checked from what the parent side says.
func (it *iteration) trustParent(name dnsname.Name, sets []*rrset) *trusted {
	until := it.r.now().Add(leastTTL(sets))
	if z := it.r.cuts.at(it.s.cutSource(name.Parent()), name, it.r.now()); z != nil {
		until = minTime(until, z.expires)
	}
	if ds := findSet(sets, name, wire.TypeDS); ds != nil {
		return it.trustSigned(name, ds, until)
	}
	return it.trustUnsigned(name, sets, until)
}

// codeOf is the extended error for what cannot be had: that nobody could be reached is no verdict about a zone, and a stale answer may be given.
func codeOf(err error, code uint16) uint16 {
	if errors.Is(err, errNetwork) || errors.Is(err, ErrTimeout) {
		return edeNoReachable
	}
	return code
}

// copies are sets of their own, with the TTL that is left: a check lowers that, and others may look at the same delegation meanwhile.
func copies(sets []*rrset, left time.Duration) []*rrset {
	own := make([]*rrset, len(sets))
	for i, s := range sets {
		one := *s
		one.ttl = min(one.ttl, uint32(left/time.Second))
		own[i] = &one
	}
	return own
}

// knownProofs returns what the parent side said about DS when it delegated name, nil if it said nothing or that is too old.
func (it *iteration) knownProofs(name dnsname.Name) []*rrset {
	now := it.r.now()
	if z := it.r.cuts.at(it.s.cutSource(name.Parent()), name, now); z != nil && len(z.proofs) > 0 && now.Before(z.proved) {
		return copies(z.proofs, z.proved.Sub(now))
	}
	return nil
}

// records asks for records with their signatures and without validation, and tells who answered if that is known.
func (it *iteration) records(name dnsname.Name, rtype uint16) ([]*rrset, netip.AddrPort, error) {
	q := question{name: string(name), qtype: rtype, class: it.f.q.class, do: true, cd: true, group: it.s.source(name, rtype)}
	msg, from, err := it.need(q, it.f.depth+1, it.f.aliases, it.f.look)
	if err != nil {
		return nil, from, err
	}
	got, err := readResponse(msg, q.class)
	if err != nil {
		return nil, from, err
	}
	return got.sets, from, nil
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
		return it.inherit(name, until, dnssec.CodeNoSignature, "DS of %v is not signed", name)
	}
	if !name.IsBelow(signer) {
		return bogus(dnssec.CodeBogus, "DS of %v is signed by %v, which is not above it", name, signer).fromAbove()
	}
	parent, v := it.trustSigner(signer, name.Parent())
	if v.Status != dnssec.Secure {
		return &trusted{verdict: v, expires: until}
	}
	if c := it.check(parent, ds); c.Status != dnssec.Secure {
		return (&trusted{verdict: c.Verdict, expires: until}).fromAbove()
	}
	until = minTime(until, it.r.now().Add(leastTTL([]*rrset{ds}))) // a check lowers it
	z := it.trustKeys(name, until, func(keys *dnssec.Set) (*dnssec.Zone, dnssec.Verdict) {
		return dnssec.Trust([]byte(name), ds.rdata, keys, it.validationTime(), it.b.crypto)
	})
	z.ds = dnssec.DSRefs(ds.rdata)
	return z
}

// trustKeys asks for the keys of a zone and checks them. Where they do not stand up, other servers may have others.
func (it *iteration) trustKeys(zone dnsname.Name, until time.Time, check func(*dnssec.Set) (*dnssec.Zone, dnssec.Verdict)) *trusted {
	var last *trusted
	for range trustTries {
		sets, from, err := it.records(zone, wire.TypeDNSKEY)
		if err != nil && last != nil {
			break
		}
		if err != nil {
			return bogus(codeOf(err, dnssec.CodeNoKey), "keys of %v cannot be had: %v", zone, err)
		}
		keys := findSet(sets, zone, wire.TypeDNSKEY)
		if keys == nil {
			last = bogus(dnssec.CodeNoKey, "%v has no keys", zone)
		} else {
			var z *dnssec.Zone
			v := noRoom()
			it.compute(zone, func() { z, v = check(keys.proof(it.f.q.class)) })
			if z != nil {
				keys.ttl = z.TTL()
			}
			last = &trusted{zone: z, verdict: v, expires: minTime(until, it.r.now().Add(leastTTL([]*rrset{keys})))}
		}
		if last.verdict.Status != dnssec.Bogus || it.b.checkedOut() {
			break
		}
		it.distrust(from)
		it.forget(zone, wire.TypeDNSKEY)
	}
	return last
}

// forget has a question asked anew.
func (it *iteration) forget(name dnsname.Name, rtype uint16) {
	q := question{name: string(name), qtype: rtype, class: it.f.q.class, do: true, cd: true, group: it.s.source(name, rtype)}
	it.r.cache.Remove(q.key())
}

// trustUnsigned finds out what it means that the parent side has no DS at name: a zone that is not signed, or no zone at all.
func (it *iteration) trustUnsigned(name dnsname.Name, sets []*rrset, until time.Time) *trusted {
	signer, ok := signerAbove(sets, name)
	if !ok {
		return it.inherit(name, until, dnssec.CodeNoProof, "nothing proves that %v has no DS", name)
	}
	parent, v := it.trustSigner(signer, name.Parent())
	if v.Status != dnssec.Secure {
		return &trusted{verdict: v, expires: until}
	}
	if alias := findSet(sets, name, wire.TypeCNAME); alias != nil { // no zone begins at an alias
		c := it.check(parent, alias)
		return (&trusted{zone: parent, verdict: c.Verdict, expires: until}).fromAbove()
	}
	d, v := it.denial(parent, sets)
	if v.Status == dnssec.Bogus {
		return (&trusted{verdict: v, expires: until}).fromAbove()
	}
	until = minTime(until, it.r.now().Add(leastTTL(sets)))
	cut, v := dnssec.CutUnknown, noRoom()
	it.compute(signer, func() { cut, v = d.Unsigned([]byte(name)) })
	switch {
	case v.Status == dnssec.Bogus:
		return (&trusted{verdict: v, expires: until}).fromAbove()
	case cut == dnssec.CutDelegation:
		z := insecure(until, "%v proves that %v is not signed", signer, name)
		z.verdict.Code = v.Code // where the proof is one that nobody looks at (RFC 9276 section 3.2)
		return z
	}
	return &trusted{zone: parent, verdict: dnssec.Verdict{Status: dnssec.Secure, Code: dnssec.CodeNone, Text: fmt.Sprintf("in the zone %v", signer)}, expires: until}
}

// inherit is for what has no signature at all: that is fine below a zone that is not signed, and nowhere else.
func (it *iteration) inherit(name dnsname.Name, until time.Time, code uint16, format string, args ...any) *trusted {
	switch _, v := it.trust(name.Parent()); v.Status {
	case dnssec.Secure:
		return bogus(code, format, args...).fromAbove()
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

// errBogus is an answer that was checked and is wrong.
var errBogus = errors.New("the answer does not stand up to validation")

// validates reports whether answers to a question are checked.
func (s *state) validates(q *question) bool {
	return s.keys != nil && !q.cd && q.class == wire.ClassIN
}

// validationTime is the time that signatures are judged at.
func (it *iteration) validationTime() time.Time { return it.r.validationTime(it.s.config.Recursion) }
