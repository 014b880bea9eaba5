package zone

import (
	"context"
	"time"

	"cenote/dnsname"
)

// proved is what came of a look at the seal of a version.
type proved struct {
	verify Verify    // what was wanted of its digest
	signed bool      // that it was signed here, which the chain of trust need not know of
	again  time.Time // when to look again; zero where all is known
}

// prove looks at the seal of a version that a primary has, whose zone is present as long as it is served. What is served has been looked at already, unless there
// was doubt: then it is served no longer if it does not stand up.
func (k *Keeper) prove(ctx context.Context, apex dnsname.Name, present, next *Zone) (p proved, err error) {
	source, doubted := k.doubts(apex)
	if next == present && (doubted.IsZero() || k.now().Before(doubted)) {
		return proved{source.Verify, source.Sign != nil, doubted}, nil
	}
	p, err = k.proveOne(ctx, source, next)
	switch {
	case err == nil || doubted.IsZero() || present == nil:
		return p, err
	case next != present:
		if of, fault := k.proveOne(ctx, source, present); fault == nil {
			k.doubt(apex, of)
			return p, err
		}
	}
	k.end(apex)
	return p, err
}

// proveOne is verify for a zone of a source, with no lock held while it waits.
func (k *Keeper) proveOne(ctx context.Context, source Source, z *Zone) (p proved, err error) {
	probe := kept{source: source}
	err = k.verify(ctx, newPatience(), &probe, z)
	return proved{source.Verify, source.Sign != nil, probe.unproved}, err
}

// doubts is a zone's source, and when it is to be looked at again; zero where nothing is in doubt.
func (k *Keeper) doubts(apex dnsname.Name) (source Source, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.named(apex); z != nil {
		return z.source, z.unproved
	}
	return Source{Name: apex}, time.Time{}
}

// doubt notes when a zone is to be looked at again. What was proved counts no more where something else is wanted of its digest now, or it is no longer signed here:
// then it is looked at again as soon as it may be.
func (k *Keeper) doubt(apex dnsname.Name, p proved) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.named(apex); z != nil && z.source.Verify == p.verify && (z.source.Sign != nil) == p.signed {
		z.unproved = p.again
	}
}

// end serves a zone no longer, until a primary has a version that can be.
func (k *Keeper) end(apex dnsname.Name) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.named(apex); z != nil && z.zone != nil && !z.expired {
		z.expired = true
		k.publishOnly(z)
	}
}
