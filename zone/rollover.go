package zone

import (
	"fmt"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
)

// ring is the keys of a zone with the rules by which they follow each other: ZSK are published before they sign, and KSK and CSK sign together until the
// parent has changed over (RFC 7583 sections 3.2.1 and 3.3.1). It asks nobody and knows no clock.
type ring struct {
	apex   dnsname.Name
	policy Signing
	maxTTL time.Duration // the longest TTL of the zone's sets
	keys   []*zoneKey
	// generate makes a key that shares its tag with none of the ring.
	generate func(role Role, algorithm uint8) (*zoneKey, error)
}

// roles are the keys that the policy wants.
func (r *ring) roles() []Role {
	if r.policy.Split {
		return []Role{RoleKSK, RoleZSK}
	}
	return []Role{RoleCSK}
}

// waits that the times of keys are made of.
func (r *ring) keysKnown() time.Duration { return keyTTL*time.Second + r.policy.Propagation } // until nobody keeps older DNSKEY sets
func (r *ring) dataKnown() time.Duration { return r.maxTTL + r.policy.Propagation }           // until nobody keeps older data and signatures
func (r *ring) dataSigned() time.Duration {
	return r.policy.period() + signingStep + r.dataKnown() // until all has been signed anew, and nobody keeps what was before
}

// advance brings the keys to now, and reports whether anything that must be remembered has changed.
func (r *ring) advance(now time.Time) (changed bool, err error) {
	changed = r.settle(now)
	if len(r.keys) == 0 {
		return true, r.begin(now)
	}
	if roles := r.due(now); len(roles) > 0 {
		return true, r.roll(roles, now)
	}
	return changed, nil
}

// begin makes the first keys. The parent gets to know of them when nobody keeps unsigned data any more.
func (r *ring) begin(now time.Time) error {
	for _, role := range r.roles() {
		k, err := r.add(role, now)
		if err != nil {
			return err
		}
		if k.Publish, k.Activate = now, now; role.signsKeys() {
			k.Submit = now.Add(max(r.dataKnown(), r.keysKnown()))
		}
	}
	return nil
}

func (r *ring) add(role Role, now time.Time) (*zoneKey, error) {
	k, err := r.generate(role, r.policy.Algorithm)
	if err != nil {
		return nil, err
	}
	k.Created = now
	r.keys = append(r.keys, k)
	return k, nil
}

// due are the roles whose keys have to be rolled now. While a key of a role is on its way out, no other of it is rolled.
func (r *ring) due(now time.Time) (out []Role) {
	if r.misfit() {
		if slices.ContainsFunc(r.keys, func(k *zoneKey) bool { return !k.Retire.IsZero() }) {
			return nil
		}
		return r.roles()
	}
	for _, k := range r.keys {
		life := r.policy.Lifetime
		if k.Role == RoleZSK {
			life = r.policy.ZSKLifetime
		}
		if life > 0 && reached(k.Publish.Add(life), now) && r.mayRoll(k.Role) {
			out = append(out, k.Role)
		}
	}
	return out
}

// misfit reports whether the keys in use are not those that the policy wants.
func (r *ring) misfit() bool {
	roles := r.roles()
	for _, k := range r.keys {
		if k.Retire.IsZero() && (k.Algorithm != r.policy.Algorithm || !slices.Contains(roles, k.Role)) {
			return true
		}
	}
	return false
}

// mayRoll reports whether there is but one key of a role.
func (r *ring) mayRoll(role Role) bool {
	n := 0
	for _, k := range r.keys {
		if k.Role == role {
			n++
		}
	}
	return n == 1 && !r.misfit()
}

// roll makes successors for keys of some roles, and retires those before. Where the algorithm or the kind of keys changes, that is all of them.
func (r *ring) roll(roles []Role, now time.Time) error {
	all := r.misfit()
	var olds []*zoneKey
	for _, k := range r.keys {
		if k.Retire.IsZero() && (all || slices.Contains(roles, k.Role)) {
			olds = append(olds, k)
		}
	}
	foreign := slices.ContainsFunc(olds, func(k *zoneKey) bool { return k.Algorithm != r.policy.Algorithm })
	publish := now
	if foreign { // all signatures come before the keys (RFC 6781 section 4.1.4): a zone with a key of an algorithm has signatures of it everywhere
		publish = now.Add(r.dataKnown())
	}
	ready := publish.Add(r.keysKnown())
	for _, role := range roles {
		k, err := r.add(role, now)
		if err != nil {
			return err
		}
		k.Publish, k.Activate = publish, ready
		if foreign {
			k.Activate = now
		}
		if role.signsKeys() {
			k.Submit = ready
		}
	}
	for _, k := range olds {
		k.Retire, k.Foreign = ready, foreign
		if !k.Role.signsKeys() && !foreign {
			k.Remove = ready.Add(r.dataSigned())
			k.End = k.Remove
		}
	}
	return nil
}

// settle decides when keys go whose DS records are gone, and forgets those whose time is over.
func (r *ring) settle(now time.Time) (changed bool) {
	for _, k := range r.keys {
		if k.Gone.IsZero() || !k.Remove.IsZero() {
			continue
		}
		k.Remove = k.Gone.Add(r.policy.ParentTTL + r.policy.Propagation)
		if data := k.Retire.Add(r.dataSigned()); k.Role.signsData() && !k.Foreign && data.After(k.Remove) {
			k.Remove = data
		}
		k.End, changed = k.Remove, true
		if k.Foreign {
			r.endForeign(k)
		}
	}
	n := len(r.keys)
	r.keys = slices.DeleteFunc(r.keys, func(k *zoneKey) bool { return reached(k.End, now) })
	return changed || len(r.keys) != n
}

// endForeign has all keys of an old algorithm leave together; their signatures stay until nobody keeps the keys (RFC 6781 section 4.1.4).
func (r *ring) endForeign(first *zoneKey) {
	for _, k := range r.keys {
		if k.Foreign && k.Algorithm == first.Algorithm {
			k.Remove, k.End = first.Remove, first.Remove.Add(r.keysKnown())
		}
	}
}

// observe takes the DS records (RDATA) that the parent has, and reports whether that says anything new. That a DS record is gone counts only once the
// successor's is there, or none at all is: otherwise it would be a parent that is not what it seems.
func (r *ring) observe(ds [][]byte, now time.Time) (changed bool) {
	isThere := func(k *zoneKey) bool {
		return slices.ContainsFunc(ds, func(have []byte) bool {
			return len(have) > 4 && slices.Equal(have, dnssec.DS(have[3], r.apex, k.signer.DNSKEY()))
		})
	}
	chained := len(ds) == 0
	for _, k := range r.keys {
		if k.waitsForDS(now) && isThere(k) {
			k.Seen, changed = now, true
		}
		chained = chained || k.submitted(now) && isThere(k)
	}
	for _, k := range r.keys {
		if k.waitsForNoDS(now) && chained && !isThere(k) {
			k.Gone, changed = now, true
		}
	}
	return changed
}

// keySigners are the keys that sign the zone's keys and what it tells its parent.
func (r *ring) keySigners(now time.Time) (out []*zoneKey) {
	for _, k := range r.keys {
		if k.Role.signsKeys() && k.published(now) {
			out = append(out, k)
		}
	}
	return out
}

// dataSigners are the keys that sign a set whose present signature is that of a slot: of each algorithm the youngest that signed at that time, or else the
// first there was.
func (r *ring) dataSigners(slot, now time.Time) (out []*zoneKey) {
	for _, k := range r.keys {
		if !k.signing(now) {
			continue
		}
		at := slices.IndexFunc(out, func(o *zoneKey) bool { return o.Algorithm == k.Algorithm })
		switch {
		case at < 0:
			out = append(out, k)
		case k.Activate.Before(out[at].Activate) && out[at].Activate.After(slot), k.Activate.After(out[at].Activate) && !k.Activate.After(slot):
			out[at] = k
		}
	}
	return out
}

// published are the keys of the zone's DNSKEY set.
func (r *ring) published(now time.Time) (out []*zoneKey) {
	for _, k := range r.keys {
		if k.published(now) {
			out = append(out, k)
		}
	}
	return out
}

// view says what the keys do at a time.
func (r *ring) view(now time.Time) (out string) {
	for _, k := range r.keys {
		out += fmt.Sprint(" ", k.Tag, k.published(now), k.signing(now), k.submitted(now))
	}
	return out
}

// waits reports whether the DS records of the parent matter now.
func (r *ring) waits(now time.Time) bool {
	return slices.ContainsFunc(r.keys, func(k *zoneKey) bool { return k.waitsForDS(now) || k.waitsForNoDS(now) })
}
