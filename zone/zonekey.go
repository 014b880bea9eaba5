package zone

import (
	"time"

	"cenote/dnssec"
)

// Role is what a key signs.
type Role string

// The roles of keys.
const (
	RoleCSK Role = "csk" // everything
	RoleKSK Role = "ksk" // the keys
	RoleZSK Role = "zsk" // everything but the keys
)

// signsKeys reports whether keys of the role sign the zone's keys, and are known to the parent.
func (r Role) signsKeys() bool { return r != RoleZSK }

// signsData reports whether keys of the role sign all other sets.
func (r Role) signsData() bool { return r != RoleKSK }

func (r Role) flags() uint16 {
	if r.signsKeys() {
		return dnssec.FlagZone | dnssec.FlagSEP
	}
	return dnssec.FlagZone
}

// zoneKey is a key of a zone that is signed here, and when it does what (RFC 7583 section 3). A time that is zero is not known yet.
type zoneKey struct {
	Role      Role      `json:"role"`
	Algorithm uint8     `json:"algorithm"`
	Tag       uint16    `json:"tag"`
	File      string    `json:"file"` // without .key and .private
	Created   time.Time `json:"created"`
	Publish   time.Time `json:"publish"`           // it is among the zone's keys from then on
	Activate  time.Time `json:"activate"`          // it signs sets whose turn comes from then on
	Submit    time.Time `json:"submit,omitzero"`   // the parent is asked to have its DS record from then on
	Seen      time.Time `json:"ds_seen,omitzero"`  // the DS record was first seen
	Retire    time.Time `json:"retire,omitzero"`   // its successor takes over
	Gone      time.Time `json:"ds_gone,omitzero"`  // the DS record was seen to be gone
	Remove    time.Time `json:"remove,omitzero"`   // it is no more among the zone's keys
	End       time.Time `json:"end,omitzero"`      // it signs no more, and is forgotten
	Foreign   bool      `json:"foreign,omitempty"` // its successors are of another algorithm

	signer *dnssec.SigningKey
}

// reached reports whether a time that is known has come.
func reached(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// published reports whether the key is in the zone's DNSKEY set.
func (k *zoneKey) published(now time.Time) bool {
	return reached(k.Publish, now) && !reached(k.Remove, now)
}

// signing reports whether the key may sign data.
func (k *zoneKey) signing(now time.Time) bool {
	return k.Role.signsData() && reached(k.Activate, now) && !reached(k.End, now)
}

// submitted reports whether the parent is asked to have the key's DS record.
func (k *zoneKey) submitted(now time.Time) bool {
	return k.Role.signsKeys() && reached(k.Submit, now) && !reached(k.Retire, now)
}

// waitsForDS reports whether the key's DS record is awaited.
func (k *zoneKey) waitsForDS(now time.Time) bool { return k.submitted(now) && k.Seen.IsZero() }

// waitsForNoDS reports whether the key's DS record should go away, and has not been seen gone.
func (k *zoneKey) waitsForNoDS(now time.Time) bool {
	return k.Role.signsKeys() && reached(k.Retire, now) && k.Gone.IsZero()
}

// state is what a key is at, for people.
func (k *zoneKey) state(now time.Time) string {
	switch {
	case reached(k.Remove, now):
		return "removed"
	case reached(k.Retire, now):
		return "retired"
	case !reached(k.Publish, now) && reached(k.Activate, now):
		return "signing, not published"
	case !reached(k.Publish, now):
		return "generated"
	case k.waitsForDS(now):
		return "active, waits for its DS record"
	case k.Role.signsData() && !reached(k.Activate, now):
		return "published"
	case k.Role.signsKeys() && !reached(k.Submit, now):
		return "active, not yet for the parent"
	}
	return "active"
}
