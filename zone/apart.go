package zone

import (
	"slices"

	"cenote/dnsname"
)

// What takes long of the work on a zone, such as reading its file, signing it and waiting for the disk, is done on a copy of it and without the lock of the
// keeper: neither other zones nor whoever asks about them waits for that. Meanwhile the zone is busy: nobody else works on it, and who wants to waits.

// apart has work done on a copy of a zone that is not busy, takes over what comes of it, and tells of that. mu is held before and after, and not while it takes.
func (k *Keeper) apart(z *kept, work func(next *kept)) {
	z.busy = true
	next := z.copy()
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.adopt(z, next)
		k.release(z)
	}()
	work(next)
}

const (
	largeSize   = 1 << 20 // octets of a file, or of a zone, from which on others do not wait for it
	largeAtOnce = 1       // are worked on so
)

// inTurn does what a look at files and signatures finds to do with a zone that is not busy, of so many octets, and publishes what comes of it: at once, or beside the
// looks where it is large, so that other zones do not wait for that. While another large one is worked on it is left for a later look. mu is held, and given up while a
// small one takes.
func (k *Keeper) inTurn(z *kept, octets int64, work func(next *kept)) {
	switch {
	case octets < largeSize:
		k.apart(z, work)
		k.publishOnly(z)
	case k.large < largeAtOnce:
		k.large++
		z.busy = true // from now on
		k.besides.Go(func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.apart(z, work)
			k.publishOnly(z)
			k.large--
		})
	}
}

// copy is a zone to work on. What is noted of it is told when it is taken over.
func (z *kept) copy() *kept {
	next := *z
	next.apart, next.news, next.taken, next.noted = true, false, false, nil
	return &next
}

// release lets others work on a zone. mu is held.
func (k *Keeper) release(z *kept) {
	z.busy = false
	k.idle.Broadcast()
}

// noted is what there is to tell of a zone.
type noted struct {
	warnings int
	err      error
	signed   bool // that it could be signed, and no more
}

// adopt takes over what work has made of a copy. mu is held.
func (k *Keeper) adopt(z, next *kept) {
	changed := z.zone != next.zone
	z.zone, z.plain, z.wanted, z.signing, z.unsigned, z.signAfter, z.sourceless = next.zone, next.plain, next.wanted, next.signing, next.unsigned, next.signAfter, next.sourceless
	z.history, z.journal, z.had, z.received, z.came, z.updated, z.updates = next.history, next.journal, next.had, next.received, next.came, next.updated, next.updates
	k.count(z) // meanwhile it may have been made shorter, which is undone
	z.unknown, z.file, z.loaded, z.seen, z.looks, z.unread = next.unknown, next.file, next.loaded, next.seen, next.looks, next.unread
	if next.looked {
		z.unproved = next.unproved
	}
	if next.taken {
		z.expired = false
	}
	k.tellOf(z, next, changed)
}

// tellOf tells what came of work on a zone. mu is held.
func (k *Keeper) tellOf(z, next *kept, changed bool) {
	if next.news {
		k.isNews(z)
	}
	switch {
	case next.noted != nil && (!next.noted.signed || z.signFault):
		k.note(z, next.noted.warnings, next.noted.err)
	case changed || next.noted != nil:
		k.state.Lock()
		z.describe()
		z.status.State = z.stands()
		k.state.Unlock()
	}
}

// named is the zone of a name, or nil. mu is held.
func (k *Keeper) named(apex dnsname.Name) *kept {
	return k.byName[apex.Canonical()]
}

// claim is the zone of a name, or nil, once nobody works on it. mu is held, and given up while that takes.
func (k *Keeper) claim(apex dnsname.Name) *kept {
	for {
		if z := k.named(apex); z == nil || !z.busy {
			return z
		}
		k.idle.Wait()
	}
}

// settled waits until nobody works on a zone, and reports whether it is still there. mu is held, and given up while that takes.
func (k *Keeper) settled(z *kept) bool { return k.claim(z.source.Name) == z }

// each calls visit for every zone that is there when its turn comes. mu is held, and visit may give it up.
func (k *Keeper) each(visit func(*kept)) {
	for _, z := range slices.Clone(k.zones) {
		if k.named(z.source.Name) == z {
			visit(z)
		}
	}
}
