package zone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// Verify is what is wanted of the digest of a zone (ZONEMD, RFC 8976).
type Verify uint8

// What may be wanted.
const (
	VerifyCheck   Verify = iota // where there is one it is right, and signed where the zone is
	VerifyRequire               // there is one, too
	VerifyLog                   // what is wrong is logged, and the zone served
	VerifyOff                   // it is not looked at
)

// Seal is the records by which a zone as a whole can be checked.
type Seal struct {
	Apex              dnsname.Name
	Keys, SOA, Digest *dnssec.Set // with their signatures; Keys and Digest may be nil
	fault             error       // of the digest
}

// What may be wrong with a digest.
var (
	errUnsealed = errors.New("the zone has no digest (ZONEMD)")
	errDigest   = errors.New("the digest (ZONEMD) is of another zone")
	errHash     = errors.New("the zone has no digest (ZONEMD) of its serial and by a hash that is known")
)

const typeZONEMD = 63

// sealOf takes the seal from a zone, and computes the digest if there is one to compare it with.
func sealOf(z *Zone) Seal {
	s := Seal{Apex: z.apex}
	_ = z.eachSet(func(set *dnssec.Set) error {
		switch {
		case dnsname.Name(set.Name) != z.apex:
			return errPast
		case set.Type == wire.TypeSOA:
			s.SOA = set
		case set.Type == wire.TypeDNSKEY:
			s.Keys = set
		case set.Type == typeZONEMD:
			s.Digest = set
		}
		return nil
	})
	if s.Digest != nil {
		s.fault = z.compareDigest(dnssec.ReadZONEMD(s.Digest.RData, z.serial))
	}
	return s
}

// errPast ends a look at the apex.
var errPast = errors.New("past the apex")

// compareDigest reports whether one of the digests is that of the zone.
func (z *Zone) compareDigest(digests []dnssec.ZONEMD) error {
	err := errHash
	for _, want := range digests {
		d, unknown := dnssec.NewZoneDigest([]byte(z.apex), want.Hash)
		if unknown != nil {
			continue
		}
		if err := z.eachSet(d.Add); err != nil {
			return err
		}
		if bytes.Equal(d.Sum(), want.Digest) {
			return nil
		}
		err = errDigest
	}
	return err
}

// eachSet calls visit for the sets of a zone in canonical order, each with its signatures, until it returns an error.
func (z *Zone) eachSet(visit func(*dnssec.Set) error) error {
	var set *dnssec.Set
	flush := func() error {
		if set == nil || len(set.RData) == 0 {
			return nil
		}
		return visit(set)
	}
	for r := range z.All() {
		rtype := covered(&r)
		if set == nil || set.Type != rtype || string(set.Name) != string(r.Owner) {
			if err := flush(); err != nil {
				return err
			}
			set = &dnssec.Set{Name: []byte(r.Owner), Type: rtype, Class: wire.ClassIN, TTL: r.TTL}
		}
		if isSignature(&r) == 1 {
			set.Sigs = append(set.Sigs, r.Data)
		} else {
			set.RData = append(set.RData, r.Data)
		}
	}
	return flush()
}

// Trust tells whether the seal of a zone is signed as the chain of trust from above wants it. known is false where that cannot be found out now.
type Trust func(ctx context.Context, s *Seal) (known bool, err error)

// Times of asking whether a zone is signed as it has to be.
const (
	trustPatience = 10 * time.Second // for all zones that are loaded at a time, so that no start waits long for a network that is away
	trustAgain    = time.Minute      // before it is asked again
)

// patience is for how long the chain of trust may still be asked: the time that the questions take counts, and not what else takes long.
type patience time.Duration

func newPatience() *patience {
	p := patience(trustPatience)
	return &p
}

// ask has a question asked within what is left.
func (p *patience) ask(ctx context.Context, question func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*p))
	defer cancel()
	began := time.Now()
	question(ctx)
	*p -= patience(time.Since(began))
}

// verify looks at the seal of a zone that was loaded.
func (k *Keeper) verify(ctx context.Context, p *patience, z *kept, next *Zone) error {
	z.unproved, z.looked = time.Time{}, true
	if z.source.Verify == VerifyOff {
		return nil
	}
	var s Seal
	behind(int64(len(next.data)), func() { s = sealOf(next) })
	err := k.checkSeal(ctx, p, z, &s)
	if err != nil && z.source.Verify == VerifyLog {
		k.log.Warn("zone is served whose digest is wrong", "zone", z.source.Name.String(), "err", err)
		return nil
	}
	return err
}

func (k *Keeper) checkSeal(ctx context.Context, p *patience, z *kept, s *Seal) (err error) {
	switch {
	case s.Digest == nil && z.source.Verify != VerifyRequire:
		return nil
	case s.Digest == nil:
		return errUnsealed
	case s.fault != nil:
		return s.fault
	case k.trust == nil, z.source.Sign != nil: // what is signed here need not be signed as it comes
		return nil
	}
	known := false
	if p.ask(ctx, func(ctx context.Context) { known, err = k.trust(ctx, s) }); err != nil {
		return fmt.Errorf("the digest (ZONEMD) does not stand up to validation: %w", err)
	}
	if !known {
		z.unproved = k.now().Add(trustAgain)
		k.log.Warn("it cannot be found out now whether a zone has to be signed; it is served, and looked at again", "zone", z.source.Name.String(), "again", z.unproved)
	}
	return nil
}

// doubted reports whether it is time to ask again whether a zone is signed as it has to be.
func (k *Keeper) doubted(z *kept) bool { return !z.unproved.IsZero() && !k.now().Before(z.unproved) }
