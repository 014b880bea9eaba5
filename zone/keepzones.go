package zone

import (
	"context"
	"fmt"

	"cenote/dnsname"
)

// change is a zone of the configuration while it is taken: what was kept of it goes on, or begins.
type change struct {
	source Source
	had    *kept // the zone of that name that is there; nil for none
	next   *kept // what becomes of it; nil where nothing has to be done but to note its source
	fresh  bool  // next is no copy of had
	proves bool  // its digest is looked at again, at the primaries where it is taken from some
}

// Update changes which zones there are. Those that stay the same are not read again. While files are read and zones signed all others are served and changed as
// ever; all that is asked for counts at once, at its end.
func (k *Keeper) Update(sources []Source) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	all, err := changesOf(sources)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	held := k.prepare(all)
	k.mu.Unlock()
	trust := newPatience()
	for i := range all {
		k.makeChange(trust, &all[i])
	}
	k.mu.Lock()
	k.settle(all)
	for _, z := range held {
		k.release(z)
	}
	return k.publish()
}

func changesOf(sources []Source) ([]change, error) {
	all, seen := make([]change, len(sources)), make(map[dnsname.Name]bool, len(sources))
	for i, s := range sources {
		s.Name = s.Name.Canonical()
		if seen[s.Name] {
			return nil, fmt.Errorf("zone %s is there twice", s.Name)
		}
		seen[s.Name], all[i].source = true, s
	}
	return all, nil
}

// prepare finds out what has to be done, and waits until nobody works on those zones with which something has to be: they are held then. mu is held, and given up
// while that takes.
func (k *Keeper) prepare(all []change) (held []*kept) {
	stays := make(map[*kept]bool, len(k.zones))
	hold := func(z *kept) {
		if k.settled(z) { // always: nobody else changes which zones there are
			z.busy = true
			held = append(held, z)
		}
	}
	for i := range all {
		c := &all[i]
		c.had = k.named(c.source.Name)
		c.fresh = c.had == nil || !c.had.source.isAs(&c.source)
		if c.fresh {
			c.next = &kept{keptWork: keptWork{apart: true}}
			continue
		}
		if stays[c.had] = true; c.had.mustChange(&c.source) {
			hold(c.had)
			c.next = c.had.copy()
		}
	}
	for _, z := range k.zones {
		if !stays[z] {
			hold(z)
		}
	}
	return held
}

// mustChange reports whether there is something to do with a zone where its source is another.
func (z *kept) mustChange(s *Source) bool {
	return z.zone == nil || z.source.Verify != s.Verify || !sameSigning(z.source.Sign, s.Sign) || z.updates == nil && s.Updates != nil ||
		s.Path != "" && z.loaded == (stamp{}) || z.unknown != nil
}

// makeChange makes what becomes of a zone. mu is not held.
func (k *Keeper) makeChange(trust *patience, c *change) {
	z, s := c.next, &c.source
	if z == nil {
		return
	}
	before := z.source
	z.source = *s
	if !c.fresh {
		c.proves = k.provesAnew(z, &before)
	}
	if z.zone != nil && !sameSigning(before.Sign, s.Sign) {
		k.resign(z)
	}
	k.openUpdates(z)
	if z.describe(); c.fresh {
		k.refreeze(z)
	}
	switch {
	case s.Path == "" && z.zone == nil:
		k.restore(z)
	case s.Path != "" && z.loaded == (stamp{}) && !(z.status.Frozen && z.zone != nil):
		k.load(context.Background(), trust, z, false)
	}
}

// provesAnew has the digest of a zone looked at again where something else is wanted of it than of its source before. One that was signed here need not have been signed
// as it came; without that it has to be, and until that is known it is in doubt.
func (k *Keeper) provesAnew(z *kept, before *Source) bool {
	bare := before.Sign != nil && z.source.Sign == nil
	if !bare && before.Verify == z.source.Verify {
		return false
	}
	if z.loaded = (stamp{}); bare || z.source.Path == "" {
		z.unproved, z.looked = k.now(), true // the next look, at the primaries too, is at the digest
	}
	return true
}

// settle has the zones be those that were made. mu is held.
func (k *Keeper) settle(all []change) {
	zones, byName := make([]*kept, 0, len(all)), make(map[dnsname.Name]*kept, len(all))
	for i := range all {
		c := &all[i]
		z := c.had
		if c.fresh {
			z = c.next
		}
		zones, byName[c.source.Name] = append(zones, z), z
	}
	k.state.Lock()
	k.zones, k.byName = zones, byName
	k.files.set(zones)
	for i := range all {
		if c := &all[i]; !c.fresh {
			c.had.source = c.source
			c.had.describe()
		}
	}
	k.state.Unlock()
	for i := range all {
		switch c := &all[i]; {
		case c.fresh:
			c.next.apart = false
			k.tellOf(c.next, c.next, true)
		case c.next != nil:
			k.adopt(c.had, c.next)
			if c.proves && c.source.Path == "" && k.thawed != nil {
				k.thawed(c.source.Name)
			}
		}
	}
}
