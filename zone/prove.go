package zone

import (
	"context"
	"time"

	"cenote/dnsname"
)

// prove looks at the seal of a version that a primary has, whose zone is present as long as it is served, and returns when to look again; zero where all is
// known. What is served has been looked at already, unless there was doubt: then it is served no longer if it does not stand up.
func (k *Keeper) prove(ctx context.Context, apex dnsname.Name, present, next *Zone) (again time.Time, err error) {
	source, doubted := k.doubts(apex)
	if next == present && (doubted.IsZero() || k.now().Before(doubted)) {
		return doubted, nil
	}
	again, err = k.proveOne(ctx, source, next)
	switch {
	case err == nil || doubted.IsZero() || present == nil:
		return again, err
	case next != present:
		if until, fault := k.proveOne(ctx, source, present); fault == nil {
			k.doubt(apex, until)
			return again, err
		}
	}
	k.end(apex)
	return again, err
}

// proveOne is verify for a zone of a source, with no lock held while it waits.
func (k *Keeper) proveOne(ctx context.Context, source Source, z *Zone) (again time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, trustPatience)
	defer cancel()
	probe := kept{source: source}
	err = k.verify(ctx, &probe, z)
	return probe.unproved, err
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

// doubt notes when a zone is to be looked at again.
func (k *Keeper) doubt(apex dnsname.Name, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.named(apex); z != nil {
		z.unproved = until
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
