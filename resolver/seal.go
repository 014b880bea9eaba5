package resolver

import (
	"context"
	"errors"
	"fmt"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/rrcache"
	"cenote/wire"
)

// ErrUnsealed is that records of a zone are not signed as the chain of trust from above wants it.
var ErrUnsealed = errors.New("not signed as the zone's parent or a trust anchor says")

// Sealed tells whether sets of a zone that came whole, from elsewhere, are signed by its keys, and these as a trust anchor or the DS records of its parent want
// it; keys are the zone's own DNSKEY set, nil if it has none. known is false where that cannot be found out now. Where the zone need not be signed, all sets
// are as they should be. An error wraps ErrUnsealed.
func (r *Resolver) Sealed(ctx context.Context, zone dnsname.Name, keys *dnssec.Set, sets ...*dnssec.Set) (known bool, err error) {
	s := r.state.Load()
	if s.keys == nil || s.negativeAt(zone, r.now()) != nil {
		return true, nil
	}
	now, work := r.validationTime(s.config.Recursion), dnssec.NewWork()
	var trusted *dnssec.Zone
	v := dnssec.Verdict{Status: dnssec.Insecure}
	switch {
	case s.keys.has(zone) && keys == nil:
		return true, fmt.Errorf("%w: it has no keys", ErrUnsealed)
	case s.keys.has(zone):
		trusted, v = s.keys.check(zone, keys, now, work)
	default:
		ds, err := r.delegated(ctx, zone)
		switch {
		case err != nil:
			return false, nil
		case len(ds) > 0 && keys == nil:
			return true, fmt.Errorf("%w: its parent has DS records of it, and it has no keys", ErrUnsealed)
		case len(ds) > 0:
			trusted, v = dnssec.Trust([]byte(zone), ds, keys, now, work)
		}
	}
	for _, set := range sets {
		if v.Status == dnssec.Secure && set != nil {
			v = trusted.Check(set, now, work).Verdict
		}
	}
	if v.Status == dnssec.Bogus {
		return true, fmt.Errorf("%w: %s", ErrUnsealed, v.Text)
	}
	return true, nil
}

// delegated asks for the DS records that the parent of a zone has of it, validated: none where it has none, or where nothing above is signed.
func (r *Resolver) delegated(ctx context.Context, zone dnsname.Name) (ds [][]byte, err error) {
	got, err := r.Resolve(ctx, &rrcache.Key{Name: []byte(zone), Type: wire.TypeDS, Class: wire.ClassIN, DO: true}, nil)
	if err != nil {
		return nil, err
	}
	if wire.Rcode(got.Msg) == wire.RcodeServFail {
		return nil, errAnswer
	}
	if wire.Flags(got.Msg)&wire.FlagAD == 0 {
		return nil, nil
	}
	eachAnswer(got.Msg, wire.TypeDS, func(w *wire.Walker) { ds = append(ds, append([]byte(nil), w.RData()...)) })
	return ds, nil
}
