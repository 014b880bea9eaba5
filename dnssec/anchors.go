package dnssec

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"cenote/dnsname"
)

// Timers and bounds of RFC 5011 sections 2.3 and 2.4.
const (
	AddHoldDown    = 30 * 24 * time.Hour // a new key must have been seen for so long, and for the TTL of the keys
	RemoveHoldDown = 30 * 24 * time.Hour // a revoked key is remembered for so long after it was last seen
	RefreshMin     = time.Hour
	RefreshMax     = 15 * 24 * time.Hour
	RetryMax       = 24 * time.Hour
	AnchorsMax     = 16 // keys of one zone that are followed, those that were removed not counted
	RemovedMax     = 32 // keys that are remembered as removed, so that they are never trusted again
)

// AnchorState is the state of a key (RFC 5011 section 4).
type AnchorState uint8

// The states of RFC 5011 section 4.2. A key in Start is not known.
const (
	AnchorStart   AnchorState = iota
	AnchorAddPend             // seen, and not trusted yet
	AnchorValid               // trusted
	AnchorMissing             // trusted, though the zone does not show it
	AnchorRevoked             // never trusted again
	AnchorRemoved             // the same, and the zone does not show it any more
)

// String returns the state's word in the text form of Anchors.
func (s AnchorState) String() string {
	return [...]string{"start", "pending", "valid", "missing", "revoked", "removed"}[min(s, AnchorRemoved)]
}

// Anchor is one key that is followed.
type Anchor struct {
	Key   []byte // RDATA of the DNSKEY record, without the flag that revokes it
	State AnchorState
	Since time.Time // when it came to its state
	Seen  time.Time // when the zone last showed it
}

// Tag returns the key's tag, as it is while the key is not revoked.
func (a *Anchor) Tag() uint16 { return KeyTag(a.Key) }

// trusted reports whether the key may vouch for others.
func (a *Anchor) trusted() bool { return a.State == AnchorValid || a.State == AnchorMissing }

// Anchors are the trust anchors of a zone, which follow its roll-overs (RFC 5011). It has no clock and asks nobody: the caller fetches the zone's
// DNSKEY set when Next says so and shows it to Observe, or calls Failed, and keeps the text form on disk. Next is for following alone: whoever needs
// the keys sooner, because he has none, may ask at any time. The zero value is good for UnmarshalText alone.
type Anchors struct {
	Zone []byte   // canonical
	DS   [][]byte // RDATA of DS records that are trusted from the start: a key that one stands for is trusted at once
	Keys []Anchor
	Next time.Time // when the zone is to be asked again

	retry time.Duration // what a failure waits for
}

// Trusts reports whether a key with that tag may vouch for others: one that is followed, or one that a DS record stands for and that the zone has not shown.
func (a *Anchors) Trusts(tag uint16) bool {
	known := false
	for i := range a.Keys {
		if k := &a.Keys[i]; k.Tag() == tag {
			if k.trusted() {
				return true
			}
			known = true
		}
	}
	return !known && slices.ContainsFunc(a.DS, func(ds []byte) bool { return len(ds) > 2 && binary.BigEndian.Uint16(ds) == tag })
}

// NewAnchors returns anchors that begin with what an operator configured: DS and DNSKEY records (RDATA), AnchorsMax of each at most. They are to be
// observed at once.
func NewAnchors(zone []byte, ds, keys [][]byte, now time.Time) *Anchors {
	a := &Anchors{Zone: bytes.Clone(zone), DS: cloneAll(ds[:min(len(ds), AnchorsMax)]), Next: now}
	for _, k := range keys {
		if len(k) > dnskeyFixed && len(a.Keys) < AnchorsMax && a.find(k) == nil {
			a.Keys = append(a.Keys, Anchor{Key: unrevoked(k), State: AnchorValid, Since: now})
		}
	}
	return a
}

// unrevoked returns a key without the flag that revokes it, by which it was known.
func unrevoked(rdata []byte) []byte {
	k := bytes.Clone(rdata)
	k[1] &^= FlagRevoke
	return k
}

// Trusted returns the keys (RDATA) that are trust anchors now.
func (a *Anchors) Trusted() [][]byte {
	var out [][]byte
	for i := range a.Keys {
		if a.Keys[i].trusted() {
			out = append(out, a.Keys[i].Key)
		}
	}
	return out
}

// Gone reports whether the zone has revoked all its trust anchors: then nothing can be proved of it any more (RFC 5011 section 5).
func (a *Anchors) Gone() bool {
	return len(a.Trusted()) == 0 && slices.ContainsFunc(a.Keys, func(k Anchor) bool { return k.State >= AnchorRevoked })
}

// Check checks a DNSKEY set against the trust anchors, and changes nothing.
func (a *Anchors) Check(keys *Set, now time.Time, w *Work) (*Zone, Verdict) {
	zone, _, v := a.check(keys, now, w)
	return zone, v
}

func (a *Anchors) check(keys *Set, now time.Time, w *Work) (*Zone, *verifier, Verdict) {
	trusted, usable := a.Trusted(), a.usableDS()
	if len(trusted)+len(usable) == 0 {
		return nil, nil, a.nothingLeft()
	}
	return trust(a.Zone, keys, now, w, &followed{a, keyAnchors(trusted), dsAnchors{zone: dnsname.Name(a.Zone), ds: usable}})
}

// followed are the trusted keys of Anchors, and its DS records as far as they count.
type followed struct {
	*Anchors
	keys keyAnchors
	ds   dsAnchors
}

func (f *followed) match(k *key) bool { return f.keys.match(k) || f.vouched(&f.ds, k) }

func (f *followed) unsupported(keys []key) bool {
	return f.keys.unsupported(keys) && f.ds.unsupported(keys)
}

// nothingLeft is the verdict if there is neither a trusted key nor a DS record that can be used.
func (a *Anchors) nothingLeft() Verdict {
	if _, v := usableDS(a.DS); v.Status == Insecure {
		return v
	}
	return Verdict{Indeterminate, CodeIndeterminate, "no trust anchor is left"}
}

// usableDS are the configured DS records; none if nothing in them is supported.
func (a *Anchors) usableDS() []delegation {
	usable, _ := usableDS(a.DS)
	return usable
}

// vouched reports whether a configured DS record stands for a key that was never revoked.
func (a *Anchors) vouched(ds *dsAnchors, k *key) bool {
	if known := a.find(k.rdata); known != nil && known.State >= AnchorRevoked {
		return false
	}
	return ds.match(k)
}

// find returns what is known of a key, revoked or not.
func (a *Anchors) find(rdata []byte) *Anchor {
	name := unrevoked(rdata)
	for i := range a.Keys {
		if bytes.Equal(a.Keys[i].Key, name) {
			return &a.Keys[i]
		}
	}
	return nil
}

// Observe takes a DNSKEY set as the zone has it now, checks it, and moves the keys from state to state (RFC 5011 section 4.1). A set that is not
// Secure moves nothing, but for keys that it revokes with their own signature. Next is set in any case.
func (a *Anchors) Observe(keys *Set, now time.Time, w *Work) (*Zone, Verdict) {
	zone, check, v := a.check(keys, now, w)
	a.revoke(keys, now, w)
	if v.Status != Secure {
		a.Failed(now)
		return nil, v
	}
	ds := &dsAnchors{zone: dnsname.Name(a.Zone), ds: a.usableDS()}
	for i := range zone.keys {
		a.see(&zone.keys[i], ds, time.Duration(check.sig.ttl)*time.Second, now)
	}
	for i := range a.Keys {
		if !a.Keys[i].shown(zone.keys) {
			a.Keys[i].miss(now)
		}
	}
	a.forget()
	a.schedule(check, now)
	return zone, v
}

// Failed notes that the zone could not be asked, or that its keys were not Secure.
func (a *Anchors) Failed(now time.Time) { a.Next = now.Add(max(a.retry, RefreshMin)) }

// schedule says when to ask again (RFC 5011 section 2.3).
func (a *Anchors) schedule(check *verifier, now time.Time) {
	ttl := time.Duration(check.sig.ttl) * time.Second
	left := time.Duration(max(0, int32(check.sig.expiration-uint32(now.Unix())))) * time.Second
	a.Next = now.Add(max(RefreshMin, min(RefreshMax, ttl/2, left/2)))
	a.retry = max(RefreshMin, min(RetryMax, ttl/10, left/10))
}

// see moves a key that the zone shows and that is not revoked.
func (a *Anchors) see(k *key, ds *dsAnchors, ttl time.Duration, now time.Time) {
	if k.flags&FlagSEP == 0 || k.flags&FlagZone == 0 || k.flags&FlagRevoke != 0 {
		return
	}
	known, vouched := a.find(k.rdata), a.vouched(ds, k)
	if known == nil {
		a.meet(k, vouched, now)
		return
	}
	known.Seen = now
	switch known.State {
	case AnchorAddPend:
		if vouched || !now.Before(known.Since.Add(max(AddHoldDown, ttl))) {
			known.move(AnchorValid, now)
		}
	case AnchorMissing:
		known.move(AnchorValid, now)
	case AnchorStart, AnchorValid, AnchorRevoked, AnchorRemoved:
	}
}

// meet begins to follow a new key, if there is room.
func (a *Anchors) meet(k *key, vouched bool, now time.Time) {
	followed := 0
	for i := range a.Keys {
		if a.Keys[i].State != AnchorRemoved {
			followed++
		}
	}
	if followed >= AnchorsMax {
		return
	}
	state := AnchorAddPend
	if vouched {
		state = AnchorValid
	}
	a.Keys = append(a.Keys, Anchor{Key: bytes.Clone(k.rdata), State: state, Since: now, Seen: now})
}

// shown reports whether the key is among those of the zone, without the flag that revokes it.
func (k *Anchor) shown(keys []key) bool {
	return slices.ContainsFunc(keys, func(other key) bool { return bytes.Equal(other.rdata, k.Key) })
}

// miss moves a key that the zone does not show.
func (k *Anchor) miss(now time.Time) {
	switch k.State {
	case AnchorAddPend:
		k.move(AnchorStart, now)
	case AnchorValid:
		k.move(AnchorMissing, now)
	case AnchorRevoked: // revoke has noted if the zone shows it as such
		if !now.Before(k.Seen.Add(RemoveHoldDown)) {
			k.move(AnchorRemoved, now)
		}
	case AnchorStart, AnchorMissing, AnchorRemoved:
	}
}

func (k *Anchor) move(to AnchorState, now time.Time) { k.State, k.Since = to, now }

// forget drops keys that are not followed any more, and the oldest of those that were removed if they are too many.
func (a *Anchors) forget() {
	a.Keys = slices.DeleteFunc(a.Keys, func(k Anchor) bool { return k.State == AnchorStart })
	removed := 0
	for i := len(a.Keys) - 1; i >= 0; i-- {
		if a.Keys[i].State != AnchorRemoved {
			continue
		}
		if removed++; removed > RemovedMax {
			a.Keys = slices.Delete(a.Keys, i, i+1)
		}
	}
}

// revoke moves keys that the set revokes, each of which must have signed it (RFC 5011 section 2.1). A pending key that is revoked is not followed
// any more. The set need not be Secure otherwise: whoever has a key may take the trust away from it.
func (a *Anchors) revoke(keys *Set, now time.Time, w *Work) {
	if !wellFormed(keys.Name) || !bytes.Equal(keys.Name, a.Zone) {
		return
	}
	for _, k := range parseKeys(keys.RData) {
		if k.fitness != revoked {
			continue
		}
		known := a.find(k.rdata)
		if known == nil || known.State == AnchorRemoved {
			continue
		}
		if known.State == AnchorRevoked {
			known.Seen = now
			continue
		}
		if !signsItself(dnsname.Name(a.Zone), k, keys, now, w) {
			continue
		}
		known.Seen = now
		if known.State == AnchorAddPend {
			known.move(AnchorStart, now)
		} else {
			known.move(AnchorRevoked, now)
		}
	}
	a.forget()
}

// signsItself reports whether a revoked key has signed the set that it is in.
func signsItself(zone dnsname.Name, k key, keys *Set, now time.Time, w *Work) bool {
	if k.public, k.fitness = parsePublic(k.algorithm, k.rdata[dnskeyFixed:]); k.fitness != fit {
		return false
	}
	return newVerifier(zone, []key{k}, keys, now, w).run()
}
