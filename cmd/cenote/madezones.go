package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"cenote/config"
	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/pace"
	"cenote/policy"
	"cenote/rpz"
	"cenote/zone"
)

// madeZones keep the zones that are made of the policy as the policy is, and catalogs as the configuration is. They are made behind the queries, one after the other.
type madeZones struct {
	keeper *zone.Keeper
	latest func() *policy.Policy // that is in force; nil before the first
	now    func() time.Time
	log    *slog.Logger
	news   chan struct{} // another policy is in force, or another configuration

	mu       sync.Mutex
	zones    []config.OwnZone // guarded by mu
	catalogs []*madeCatalog   // the list is guarded by mu; what it holds is of run alone

	made  map[dnsname.Name]madeZone // of run alone
	order *nameindex.Order          // of the names of the policy that the last zone was made of; of run alone
	left  time.Time                 // since when there is memory to give back that making zones has left; zero: there is none. Of run alone
}

// madeZone is of what a zone was made.
type madeZone struct {
	generation uint64
	zone       *config.OwnZone
	expires    time.Time // when the first of its rules expires; zero: none does
	failed     string    // why it could not be made, as it was told

	by *rpz.Generator // that made it; the rules that it was made of stay in memory, which are those in force but for their changes
	is *zone.Zone     // as it was installed
}

// madeZonesEvery is how often it is looked whether rules have expired, or a zone was thawed.
const madeZonesEvery = 10 * time.Second

// madeZonesRest is how long after a large zone was made its memory is given back that it took: the collector is not to work beside what sends the zone on.
const madeZonesRest = 2 * time.Second

func newMadeZones(keeper *zone.Keeper, latest func() *policy.Policy, now func() time.Time, log *slog.Logger) *madeZones {
	return &madeZones{keeper: keeper, latest: latest, now: now, log: log, news: make(chan struct{}, 1), made: map[dnsname.Name]madeZone{}}
}

// update takes the zones of a configuration.
func (p *madeZones) update(c *config.Config) {
	p.mu.Lock()
	p.zones = p.zones[:0:0]
	for i := range c.Zones {
		if c.Zones[i].IsPolicy() {
			p.zones = append(p.zones, c.Zones[i])
		}
	}
	p.catalogs = madeCatalogs(c)
	p.mu.Unlock()
	p.changed()
}

// changed has the zones made anew. It returns at once.
func (p *madeZones) changed() {
	select {
	case p.news <- struct{}{}:
	default: // they will be
	}
}

// run makes the zones until ctx ends.
func (p *madeZones) run(ctx context.Context) error {
	tick := time.NewTicker(madeZonesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.rested():
			freeMemory()
			p.left = time.Time{}
			continue
		case <-tick.C:
		case <-p.news:
		}
		p.mu.Lock()
		zones, catalogs := p.zones, p.catalogs
		p.mu.Unlock()
		for _, m := range catalogs {
			p.list(m)
		}
		maps.DeleteFunc(p.made, func(apex dnsname.Name, _ madeZone) bool {
			return !slices.ContainsFunc(zones, func(z config.OwnZone) bool { return z.Name == apex })
		})
		if len(zones) == 0 {
			p.order = nil
		}
		if now := p.latest(); now != nil {
			for i := range zones {
				p.follow(&zones[i], now)
			}
		}
	}
}

// leave notes that there is memory to give back.
func (p *madeZones) leave() {
	if p.left.IsZero() {
		p.left = time.Now()
	}
}

// rested is when that is to be given back; never, if there is none.
func (p *madeZones) rested() <-chan time.Time {
	if p.left.IsZero() {
		return nil
	}
	return time.After(time.Until(p.left.Add(madeZonesRest)))
}

// follow makes one zone, if it is not what the policy says.
func (p *madeZones) follow(z *config.OwnZone, from *policy.Policy) {
	had, now := p.made[z.Name], p.now()
	if had.generation == from.Generation() && had.zone == z && (had.expires.IsZero() || now.Before(had.expires)) {
		return
	}
	var next madeZone
	err := pace.Behind(func() (err error) { next, err = p.make(z, from, now, &had); return err })
	if err != nil {
		if next = (madeZone{failed: err.Error()}); had.failed != next.failed {
			p.log.Error("zone of the policy not made", "zone", z.Name.String(), "err", err)
		}
	}
	p.made[z.Name] = next
}

// make makes one zone and installs it, with another serial than before if anything in it has changed.
func (p *madeZones) make(z *config.OwnZone, from *policy.Policy, now time.Time, had *madeZone) (next madeZone, err error) {
	excerpt, err := from.Excerpt(policy.Selection{View: z.Policy.View, Feeds: z.Policy.Feeds, Threats: z.Policy.Types, Confidence: uint8(z.Policy.Confidence)})
	if err != nil {
		return next, err
	}
	next = madeZone{generation: from.Generation(), zone: z}
	next.by, err = rpz.New(rpz.Config{Apex: z.Name, Policy: excerpt, Answer: policyAnswer(&z.Policy), At: now, Order: p.order, Rest: new(pace.Pace).Look})
	if err != nil {
		return next, err
	}
	p.order = next.by.Order()
	next.expires, _ = excerpt.NextExpiry(now)
	for {
		if next.is, err = p.install(z.Name, next.by, now, had); !errors.Is(err, errOvertaken) {
			break
		}
	}
	if err == nil {
		report := next.by.Report()
		p.keeper.LeftOut(z.Name, leftOut(&report))
	}
	return next, err
}

// errOvertaken is that a zone was changed by somebody else meanwhile.
var errOvertaken = errors.New("the zone was changed meanwhile")

// install makes the version that follows the present one, without holding it, and puts it in place, unless they are the same. It returns what is there then.
func (p *madeZones) install(apex dnsname.Name, g *rpz.Generator, now time.Time, had *madeZone) (next *zone.Zone, err error) {
	var present *zone.Zone
	err = p.keeper.Edit(apex, func(z *zone.Zone) (*zone.Zone, error) { present = z; return z, nil })
	if err != nil {
		return nil, err
	}
	next, told := follower(present, g, now, had)
	if !told {
		if next, err = zone.Build(apex, zoneRecords(g, apex, serialAfter(present, now))); err != nil {
			return nil, err
		}
		if present != nil && isSame(present, next) {
			next = present
		}
	}
	if next == present {
		return present, nil
	}
	err = p.keeper.Edit(apex, func(z *zone.Zone) (*zone.Zone, error) {
		if z != present {
			return z, errOvertaken
		}
		return next, nil
	})
	if next.Bytes() > largeZone {
		p.leave()
	}
	if err == nil {
		report := g.Report()
		p.log.Info("zone made of the policy", "zone", apex.String(), "serial", next.Serial(), "records", report.Records, "names", report.Names, "left_out", report.LeftOut())
	}
	return next, err
}

// A zone is made whole if more than one in partShare of the listed names, and more than partLeast, lie where rules have changed.
const (
	partShare = 8
	partLeast = 10_000
)

// follower makes the version of a zone that follows from how its rules have changed since the last one was made, which is present itself if nothing else
// has come of that. false is that this cannot be told, and the zone has to be made whole.
func follower(present *zone.Zone, g *rpz.Generator, now time.Time, had *madeZone) (next *zone.Zone, told bool) {
	if had.by == nil || present == nil || had.is != present {
		return nil, false
	}
	changes, told := g.Since(had.by, max(partLeast, had.is.Names()/partShare))
	if !told || len(changes.Removed)+len(changes.Added) == 0 {
		return present, told
	}
	serial := serialAfter(present, now)
	was, is := rpz.Apex(present.Name(), present.Serial()), rpz.Apex(present.Name(), serial)
	next, err := zone.Apply(present, zone.Diff{
		From: present.Serial(), To: serial,
		Removed: ownRecords(append(was[:1:1], changes.Removed...)), Added: ownRecords(append(is[:1:1], changes.Added...)),
	})
	return next, err == nil // whatever does not fit is made whole
}

// ownRecords are records as zone has them.
func ownRecords(records []rpz.Record) []zone.Record {
	out := make([]zone.Record, len(records))
	for i := range records {
		r := &records[i]
		out[i] = zone.Record{Owner: dnsname.Name(r.Owner), Type: r.Type, TTL: r.TTL, Data: r.Data}
	}
	return out
}

// largeZone is how many octets a zone has whose making leaves so much memory that it is given back at once.
const largeZone = 16 << 20

// isSame reports whether two versions differ in nothing but their serials.
func isSame(a, b *zone.Zone) bool {
	d := zone.Compare(a, b)
	return len(d.Removed) <= 1 && len(d.Added) <= 1 // the SOA records
}

// serialAfter is the seconds since 1970, or the number after the present serial if that is not later (RFC 1982): so a zone that lost its state goes on.
func serialAfter(present *zone.Zone, now time.Time) uint32 {
	serial := uint32(now.Unix())
	if present != nil && int32(serial-present.Serial()) <= 0 {
		return present.Serial() + 1
	}
	return serial
}

// zoneRecords are the records of a generator as zone has them.
func zoneRecords(g *rpz.Generator, apex dnsname.Name, serial uint32) iter.Seq[zone.Record] {
	return func(yield func(zone.Record) bool) {
		var last dnsname.Name
		give := func(r *rpz.Record) bool {
			if string(last) != string(r.Owner) {
				last = dnsname.Name(r.Owner)
			}
			return yield(zone.Record{Owner: last, Type: r.Type, TTL: r.TTL, Data: r.Data})
		}
		for _, r := range rpz.Apex(apex, serial) {
			if !give(&r) {
				return
			}
		}
		for r := range g.Records() {
			if !give(&r) {
				return
			}
		}
	}
}

// policyAnswer is what a zone says in place of the policy.
func policyAnswer(z *config.PolicyZone) rpz.Answer {
	return rpz.Answer{Action: answerOf(z.Action), IPv4: z.Sinkhole.IPv4, IPv6: z.Sinkhole.IPv6, Target: z.Target, TTL: seconds(z.TTL)}
}

func answerOf(a config.PolicyAnswer) policy.Action {
	switch a {
	case config.AnswerGiven:
		return policy.ActionDefault
	case config.AnswerSinkhole, config.AnswerNXDOMAIN, config.AnswerNODATA, config.AnswerDrop, config.AnswerTCPOnly, config.AnswerCNAME:
		return actionOf(config.Action(a))
	}
	return policy.ActionDefault
}

// madeZoneAdmits is who may ask for names of a zone that is made of the policy: nobody, if no list says otherwise, for it tells what is listed. Those to
// whom it is sent may, since secondaries ask for the SOA record first (RFC 1034 section 4.3.5).
func madeZoneAdmits(z *config.OwnZone) func(netip.Addr) bool {
	if admits := admitting(slices.Concat(z.Allow, z.AllowTransfer)); admits != nil {
		return admits
	}
	return func(netip.Addr) bool { return false }
}
