package resolver

import "cenote/dnsname"

// knowledge is what recursion has learnt of the world, beside the answers in the cache. Each part has a bound and a lock of its own.
type knowledge struct {
	cuts        *cuts        // delegations
	authorities *authorities // servers of zones, and how they answer
	trusts      *trusts      // keys of zones, or why there are none
	denials     *denials     // what zones have proved not to be there
	absent      *absent      // what zones that prove nothing said is not there
	scoped      *scoped      // answers for networks of clients
	hosted      hosted       // resolvers that were found by name
}

func newKnowledge() knowledge {
	return knowledge{
		cuts: newCuts(), authorities: newAuthorities(), trusts: newTrusts(), denials: newDenials(), absent: newAbsent(), scoped: newScoped(),
		hosted: hosted{all: map[Upstream]*upstream{}},
	}
}

// bound sets the room for what an operator bounds.
func (k *knowledge) bound(c *Recursion) {
	if c != nil {
		k.cuts.bound(c.Bounds.Cuts)
		k.authorities.bound(c.Bounds.Servers)
	}
}

// unlearn forgets what any source told of a name and, with subtree, of all below it, and what zones above have denied. It returns how many answers there were.
func (k *knowledge) unlearn(name dnsname.Name, subtree bool) int {
	at := regionOf(name)
	if subtree {
		k.unlearnBelow(at)
	} else {
		k.absent.flush(at)
		k.cuts.forgetAt(name)
		k.trusts.forgetAt(name)
		k.denials.forgetAt(name)
		k.denials.forgetAbove(at)
	}
	return k.scoped.flush(name, subtree)
}

// unlearnBelow forgets what any source told of the names of a region, and what zones above have denied. All that is known is walked once.
func (k *knowledge) unlearnBelow(at *region) {
	k.absent.flush(at)
	k.cuts.flush(at)
	k.trusts.flush(at)
	k.denials.flush(at)
	k.denials.forgetAbove(at)
}
