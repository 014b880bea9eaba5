package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// Subscription is a catalog whose members are served here.
type Subscription struct {
	// Catalog is its apex. It is one of the zones that are given to Update beside.
	Catalog dnsname.Name
	// Most is how many members it may have; one with more is broken.
	Most int
	// ShrinkMax is the largest share of its members, from 0 to 1, that it may lose in one change, of those that are served here as its own; up to catalogLossFree it
	// may lose in any case, if some stay or come. One that loses more is not followed until Accept.
	ShrinkMax float64
	// Wants says which names its members may have. Nil: every one.
	Wants func(dnsname.Name) bool
	// Make says how a member is served, and from whom it is taken.
	Make func(*CatalogMember) (Source, Secondary)
}

// catalogLossFree is how many members a catalog may lose in one change, whatever share of them that is.
const catalogLossFree = 5

// Catalogs have the members of catalogs served beside the zones of the configuration (RFC 9432 section 5): as a catalog changes, its members come and go. One
// that is broken changes nothing. A zone belongs to the catalog that listed it first, until that one lists it no more, or hands it over (coo).
type Catalogs struct {
	keeper      *Keeper
	secondaries *Secondaries
	log         *slog.Logger
	wake        chan struct{} // a catalog may have changed
	followed    atomic.Uint64 // versions of catalogs that were good
	broken      atomic.Uint64 // and that were not
	served      atomic.Int64  // members now
	ignored     atomic.Int64  // and those that are not served

	mu       sync.Mutex
	sources  []Source    // of the configuration
	taken    []Secondary // of them
	catalogs []*catalog  // in the order of the configuration
	owned    map[dnsname.Name]ownership
	former   map[dnsname.Name]dnsname.Name // before the first of owned: the catalog that had a zone when the server ended
	claims   ownerFile
	updated  time.Time // when the configuration was changed last
	swept    bool      // nothing is kept of zones that are no members any more
}

// catalog is one that is followed.
type catalog struct {
	Subscription
	good    goodCatalog
	seen    *Zone                           // that was read last
	members map[dnsname.Name]*CatalogMember // of the last good version; nil before the first
	ignored map[dnsname.Name]string         // members that are not served, and why
	told    map[dnsname.Name]string         // those of which the log knows
	fault   string                          // why the version that was read last does not count
	accept  bool                            // it may lose what it likes, while it is accepted
}

// ownership is whose member a zone is.
type ownership struct {
	catalog *catalog
	member  *CatalogMember
}

// NewCatalogs makes them for a keeper and its secondaries, whose zones they set from then on.
func NewCatalogs(keeper *Keeper, secondaries *Secondaries) *Catalogs {
	return &Catalogs{keeper: keeper, secondaries: secondaries, log: keeper.log, wake: make(chan struct{}, 1), owned: map[dnsname.Name]ownership{}}
}

// Update changes the zones of the configuration, those of them that are taken from primaries, and the catalogs among those.
func (c *Catalogs) Update(sources []Source, taken []Secondary, subscriptions []Subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := make([]*catalog, 0, len(subscriptions))
	for _, s := range subscriptions {
		s.Catalog = s.Catalog.Canonical()
		next = append(next, c.take(s))
	}
	c.sources, c.taken, c.catalogs = sources, taken, next
	if c.updated.IsZero() {
		c.recall()
	}
	c.updated = time.Now()
	c.readAll()
	c.Changed()
	return c.settle()
}

// take is a catalog with what is known of it.
func (c *Catalogs) take(s Subscription) *catalog {
	if at := slices.IndexFunc(c.catalogs, func(had *catalog) bool { return had.Catalog == s.Catalog }); at >= 0 {
		next := *c.catalogs[at]
		next.Subscription, next.seen = s, nil // the bound may be another one
		return &next
	}
	next := &catalog{Subscription: s}
	var had *Zone
	if next.good, had = c.keeper.openCatalog(s.Catalog); had != nil {
		if members, err := ReadCatalog(had, s.Most); err == nil {
			next.set(members)
		}
	}
	return next
}

// recall finds out which catalog had which zone when the server ended: by the versions that were good then, and what was written down where several listed one.
func (c *Catalogs) recall() {
	var err error
	if c.claims, c.former, err = c.keeper.openOwners(); err != nil {
		c.keeper.journalFaults.Add(1)
		c.log.Error("it is not known which catalog had a zone that several list", "err", err)
	}
	if c.former == nil {
		c.former = map[dnsname.Name]dnsname.Name{}
	}
	owned, _ := c.owners()
	for name, o := range owned {
		c.former[name] = o.catalog.Catalog
	}
}

// Accept follows the present version of a catalog although it has lost more members than it may, or those of all if apex is "". What was not looked at yet is first.
func (c *Catalogs) Accept(apex dnsname.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.catalogs {
		a.accept = apex == "" || a.Catalog == apex.Canonical()
		if a.accept && a.fault != "" {
			a.seen = nil
		}
	}
	c.lookNow()
	for _, a := range c.catalogs {
		a.accept = false // that was the version which was meant
	}
}

func (c *catalog) set(members []CatalogMember) {
	c.members = make(map[dnsname.Name]*CatalogMember, len(members))
	for i := range members {
		c.members[members[i].Name] = &members[i]
	}
}

// Changed has the catalogs looked at. It returns at once.
func (c *Catalogs) Changed() {
	select {
	case c.wake <- struct{}{}:
	default: // they will be
	}
}

// sweepAfter is how long what is kept of members stays after a change of the configuration, which may be taken back.
const sweepAfter = 10 * time.Second

// Run follows the catalogs until ctx ends.
func (c *Catalogs) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-tick.C:
		}
		c.look()
	}
}

// look reads the catalogs that have changed, and follows them.
func (c *Catalogs) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookNow()
}

// lookNow is look. mu is held.
func (c *Catalogs) lookNow() {
	if before := c.owned; c.readAll() {
		if err := c.settle(); err != nil {
			c.log.Error("the zones of catalogs could not be changed", "err", err)
		}
		c.forget(before)
	}
	if !c.swept && time.Since(c.updated) >= sweepAfter && !slices.ContainsFunc(c.catalogs, func(a *catalog) bool { return a.members == nil }) {
		c.keeper.sweepMembers()
		c.swept = true
	}
}

// readAll reads the catalogs that have changed, and reports whether one of them is good. mu is held.
func (c *Catalogs) readAll() (changed bool) {
	for _, a := range c.catalogs {
		changed = c.read(a) || changed
	}
	return changed
}

func (c *Catalogs) read(a *catalog) (changed bool) {
	z := c.keeper.present(a.Catalog)
	if z == nil || z == a.seen {
		return false
	}
	a.seen = z
	members, err := ReadCatalog(z, a.Most)
	if err == nil && !a.accept {
		err = c.guard(a, members)
	}
	if err != nil {
		c.broken.Add(1)
		if a.fault != err.Error() {
			c.log.Error("catalog not followed; its zones stay as they are", "catalog", a.Catalog.String(), "serial", z.serial, "zones", len(a.members), "err", err)
		}
		a.fault = err.Error()
		c.keeper.noteCatalog(a)
		return false
	}
	c.followed.Add(1)
	a.fault = ""
	a.set(members)
	if err := a.good.keep(z); err != nil {
		c.keeper.journalFaults.Add(1)
		c.log.Error("the state of a catalog cannot be kept", "zone", a.Catalog.String(), "err", err)
	}
	return true
}

// ErrCatalogShrinks is that a catalog has lost too many members to be believed.
var ErrCatalogShrinks = errors.New("the catalog has lost too many zones")

// guard fails for a version of a catalog that lists far fewer zones than the last good one. Those alone count that are its own here, and those are not lost that another
// catalog lists and may. mu is held.
func (c *Catalogs) guard(a *catalog, members []CatalogMember) error {
	fixed, listed, stay := c.fixed(), make(map[dnsname.Name]bool, len(members)), 0
	may := func(name dnsname.Name) bool { return !fixed[name] && a.takes(name) }
	own := func(name dnsname.Name) bool {
		had := c.had(name)
		return may(name) && (had == "" || had == a.Catalog)
	}
	for i := range members {
		name := members[i].Name
		if listed[name] = true; may(name) {
			stay++
		}
	}
	had, lost := 0, 0
	for name := range a.members {
		if !own(name) {
			continue
		}
		had++
		if !listed[name] && !slices.ContainsFunc(c.catalogs, func(o *catalog) bool { return o != a && o.members[name] != nil && o.takes(name) }) {
			lost++
		}
	}
	most := max(catalogLossFree, int(a.ShrinkMax*float64(had)))
	const accept = "if that is right, run `cenote transfer --force %s`"
	switch {
	case lost > 0 && len(members) == 0:
		return fmt.Errorf("%w: it is empty, and listed %d; "+accept, ErrCatalogShrinks, had, a.Catalog)
	case lost > 0 && stay == 0:
		return fmt.Errorf("%w: it lists no zone any more that may be served here, and listed %d; "+accept, ErrCatalogShrinks, had, a.Catalog)
	case lost > most:
		return fmt.Errorf("%w: of %d zones %d are gone, and at most %d may go at once; "+accept+", or raise members.shrink_max", ErrCatalogShrinks, had, lost, most, a.Catalog)
	}
	return nil
}

// takes reports whether a catalog may list a name.
func (c *catalog) takes(name dnsname.Name) bool { return c.Wants == nil || c.Wants(name) }

// fixed are the names of the zones of the configuration. mu is held.
func (c *Catalogs) fixed() map[dnsname.Name]bool {
	fixed := make(map[dnsname.Name]bool, len(c.sources))
	for i := range c.sources {
		fixed[c.sources[i].Name.Canonical()] = true
	}
	return fixed
}

// had is the catalog that a zone belongs to, or did when the server ended; "" if none is known. mu is held.
func (c *Catalogs) had(name dnsname.Name) dnsname.Name {
	if o, known := c.owned[name]; known {
		return o.catalog.Catalog
	}
	return c.former[name]
}

// settle has those zones served that there are now. mu is held.
func (c *Catalogs) settle() error {
	next, contested := c.owners()
	sources, taken := slices.Clone(c.sources), slices.Clone(c.taken)
	for _, name := range slices.Sorted(maps.Keys(next)) {
		o := next[name]
		source, secondary := o.catalog.Make(o.member)
		source.Name, source.Catalog, source.Member = name, o.catalog.Catalog, o.member.ID
		secondary.Name, secondary.Member = name, o.member.ID
		sources, taken = append(sources, source), append(taken, secondary)
	}
	if err := c.keeper.Update(sources); err != nil {
		return err
	}
	c.secondaries.Update(taken)
	c.tell(next)
	c.owned, c.former, c.swept = next, nil, false
	if err := c.claims.keep(contested); err != nil {
		c.keeper.journalFaults.Add(1)
		c.log.Error("it cannot be kept which catalog has a zone that several list", "err", err)
	}
	return nil
}

// forget removes what is kept of members that went with a version of their catalog (RFC 9432 section 5.3).
func (c *Catalogs) forget(before map[dnsname.Name]ownership) {
	for name, had := range before {
		if now, listed := c.owned[name]; !listed || now.member.ID != had.member.ID {
			c.keeper.forgetMember(&Source{Name: name, Catalog: had.catalog.Catalog, Member: had.member.ID})
		}
	}
}

// owners are the zones that are members, with the catalog that each belongs to; contested are those that several list.
func (c *Catalogs) owners() (next map[dnsname.Name]ownership, contested map[dnsname.Name]dnsname.Name) {
	fixed, claims := c.fixed(), map[dnsname.Name][]*catalog{}
	for _, a := range c.catalogs {
		a.ignored = map[dnsname.Name]string{}
		for name := range a.members {
			switch {
			case fixed[name]:
				a.ignored[name] = "the configuration has a zone of this name"
			case !a.takes(name):
				a.ignored[name] = "the catalog may not list zones of this name"
			default:
				claims[name] = append(claims[name], a)
			}
		}
	}
	next, contested = make(map[dnsname.Name]ownership, len(claims)), map[dnsname.Name]dnsname.Name{}
	for name, by := range claims {
		owner := c.owner(name, by)
		next[name] = ownership{owner, owner.members[name]}
		if len(by) > 1 {
			contested[name] = owner.Catalog
		}
		for _, a := range by {
			switch {
			case a == owner:
			case a.members[name].Owner != owner.Catalog:
				a.ignored[name] = "it belongs to the catalog " + owner.Catalog.String()
			case owner.members[name].Owner == a.Catalog:
				a.ignored[name] = "it and the catalog " + owner.Catalog.String() + " hand it over to each other, so that it stays there"
			}
		}
	}
	return next, contested
}

// owner is the catalog to which a zone belongs, of those that list it: the one that had it, or else the first, or to whom that hands it over. Where catalogs hand
// it over in a circle it stays.
func (c *Catalogs) owner(name dnsname.Name, by []*catalog) *catalog {
	find := func(apex dnsname.Name) *catalog {
		if at := slices.IndexFunc(by, func(a *catalog) bool { return a.Catalog == apex }); at >= 0 {
			return by[at]
		}
		return nil
	}
	first := cmp.Or(find(c.had(name)), by[0])
	owner := first
	for range by {
		next := find(owner.members[name].Owner)
		if next == nil || next == owner {
			return owner
		}
		owner = next
	}
	return first // it has passed more catalogs than there are
}

// ignoredTold is how many members of a catalog that are newly ignored the log tells one by one.
const ignoredTold = 10

// tell writes down what became of the catalogs.
func (c *Catalogs) tell(next map[dnsname.Name]ownership) {
	served := map[*catalog]int{}
	for _, o := range next {
		served[o.catalog]++
	}
	came, gone, ignored := changes(c.owned, next), changes(next, c.owned), 0
	for _, a := range c.catalogs {
		ignored += len(a.ignored)
		if came[a.Catalog]+gone[a.Catalog] > 0 {
			c.log.Info("catalog followed", "catalog", a.Catalog.String(), "zones", served[a], "came", came[a.Catalog], "gone", gone[a.Catalog], "ignored", len(a.ignored))
		}
		c.tellIgnored(a)
		c.keeper.noteCatalog(a)
	}
	c.served.Store(int64(len(next)))
	c.ignored.Store(int64(ignored))
}

// changes are how many members each catalog has in next that were not its own, in this form, before.
func changes(before, next map[dnsname.Name]ownership) map[dnsname.Name]int {
	out := map[dnsname.Name]int{}
	for name, o := range next {
		if had, known := before[name]; !known || had.catalog.Catalog != o.catalog.Catalog || had.member.ID != o.member.ID {
			out[o.catalog.Catalog]++
		}
	}
	return out
}

func (c *Catalogs) tellIgnored(a *catalog) {
	told := 0
	for _, name := range slices.Sorted(maps.Keys(a.ignored)) {
		if a.told[name] == a.ignored[name] {
			continue
		}
		if told++; told <= ignoredTold {
			c.log.Error("zone of a catalog is not served", "catalog", a.Catalog.String(), "zone", name.String(), "err", a.ignored[name])
		}
	}
	if told > ignoredTold {
		c.log.Error("further zones of a catalog are not served", "catalog", a.Catalog.String(), "zones", told-ignoredTold)
	}
	a.told = a.ignored
}

// noteCatalog writes into the status of a catalog what became of its members.
func (k *Keeper) noteCatalog(a *catalog) {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.named(a.Catalog)
	if z == nil {
		return
	}
	members := 0
	for _, m := range k.zones {
		if m.source.Catalog == a.Catalog {
			members++
		}
	}
	k.state.Lock()
	defer k.state.Unlock()
	z.status.Members, z.status.Ignored, z.status.IgnoredFirst, z.status.Broken = members, len(a.ignored), a.ignoredText(), a.fault
}

// ignoredText is the first of the members that are not served, and why.
func (c *catalog) ignoredText() string {
	for _, name := range slices.Sorted(maps.Keys(c.ignored)) {
		return fmt.Sprintf("%s: %s", name, c.ignored[name])
	}
	return ""
}
