package blocklist

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"cenote/dnsname"
	"cenote/pace"
)

// A difference between two versions of a policy zone is in the policy before the newer version is: while that is still to be laid out and its list to be written, which takes as
// long as the zone is large, what the difference changes is read by itself into a layer over the feed's copy, and served as a delta. What is out of the ordinary
// is left to the reading of the list that follows.

// changeWait is how long a change waits for the publisher's turn. A feed that is compiled meanwhile may take minutes, and whoever looks at the primary has one of few slots.
const changeWait = time.Second

// takeChange puts what a difference changes in a feed's zone into force, and returns the number of the copy that has it; 0: the zone is to be read whole.
func (p *Publisher) takeChange(ctx context.Context, feed string, c *ZoneChange) uint64 {
	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, changeWait)
	defer cancel()
	if p.takeTurn(waiting) != nil {
		if ctx.Err() == nil {
			p.log.Info("a change of a policy zone is taken over by reading it whole", "feed", feed, "serial", c.To, "why", "feeds are being compiled")
		}
		return 0
	}
	defer p.endTurn()
	p.began = began
	number, err := p.change(ctx, feed, c, began)
	if err != nil && ctx.Err() == nil {
		p.log.Info("a change of a policy zone is taken over by reading it whole", "feed", feed, "serial", c.To, "why", err)
	}
	return number
}

// change is takeChange for whoever has the turn.
func (p *Publisher) change(ctx context.Context, feed string, c *ZoneChange, began time.Time) (uint64, error) {
	job, r, err := p.planChange(feed, c)
	if err != nil {
		return 0, err
	}
	defer r.before.Close()
	r.source.Read = began.UTC()
	var made *Rows
	change := FeedChange{Feed: feed, Copy: job.Generation}
	err = pace.Behind(func() (err error) {
		if err := p.guards.give(r); err != nil {
			return err
		}
		if seen, _ := look(&r.config, time.Now()); seen.err != nil || seen.stamp.Sum != r.source.Stamp.Sum {
			return fmt.Errorf("%w: its list, or those that guard it, have changed since it was read", errWhole)
		}
		changes := rowsChanges{most: math.MaxInt}
		if err = r.layer(ctx, p.store.layout, job.Generation, &changes); err != nil {
			return err
		}
		change.Names, change.rows = changes.names, changes.rows
		made, err = openRowsBeside(p.store.rows(feed, job.Generation), r.before)
		return err
	})
	if err == nil {
		k := newCompiler(job)
		err = k.guard(&job.Feeds[0], r.before, made)
	}
	if err != nil {
		if made != nil {
			made.Close()
		}
		os.Remove(p.store.rows(feed, job.Generation)) // there may be none
		return 0, err
	}
	p.unsynced = append(p.unsynced, p.store.rows(feed, job.Generation))
	p.adoptChange(made, &job, began)
	err = pace.Behind(func() error { return p.publishDelta(&job, []FeedChange{change}, p.orderOf()) })
	if err != nil {
		p.log.Info("feeds are compiled anew", "why", err)
		p.wakeUp() // the copy is in no index yet
		return job.Generation, nil
	}
	p.counts.zoneChanges.Add(1)
	return job.Generation, nil
}

// planChange returns what is to be done for a change of a zone, if it can be taken over by itself.
func (p *Publisher) planChange(feed string, c *ZoneChange) (job CompileConfig, r *changeReader, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feed(feed)
	if f == nil || f.rows == nil {
		return job, nil, fmt.Errorf("%w: there is no copy yet", errWhole)
	}
	served, report, source := servedFeeds(p.order.zones()), &f.rows.report, &f.rows.report.Source
	room, _ := p.changeRoom(served)
	switch limits := f.feed.Limits.orDefault(); {
	case !served[feed], f.pin != nil, f.failure.err != nil, f.due(time.Now()), f.settled.Sum != f.seen.stamp.Sum && f.looked():
		err = fmt.Errorf("%w: the feed is not served as its source is", errWhole)
	case source.Fingerprint != f.fingerprint, f.feed.Lenient, f.feed.TTL != 0, f.feed.SuffixList != "":
		err = fmt.Errorf("%w: its settings are out of the ordinary", errWhole)
	case report.Format != "rpz", report.Files != 1, len(f.rows.tables.Files) != 1, report.SOA == nil, report.Serial != c.From, limits.Rows == 0:
		err = fmt.Errorf("%w: the copy is of serial %d, and the change of %d", errWhole, report.Serial, c.From)
	case p.state.Current.Zones != p.order.fingerprint():
		err = fmt.Errorf("%w: other policy zones are about to be served", errWhole)
	case len(c.Owners) > room:
		err = fmt.Errorf("%w: %d names have changed, and there is room for %d", errWhole, len(c.Owners), room)
	case time.Since(f.rows.whole().report.Source.Read) > partAgeMax:
		err = fmt.Errorf("%w: it has not been for %v", errWhole, partAgeMax)
	}
	if err != nil {
		return job, nil, err
	}
	job = CompileConfig{Dir: p.store.dir, Generation: p.next}
	p.next++
	job.Feeds = []CompileFeed{p.compileFeed(f, served[feed])}
	r = &changeReader{config: f.feed.FeedConfig, before: f.rows.retain(), change: c, apex: dnsname.Name(report.SOA.Name), source: *source, found: map[dnsname.Name][]rawRow{}}
	r.source.Stamp, r.source.Ahead = f.settled, true
	return job, r, nil
}

// changeGuards are what rows are guarded by that a change brings, kept for the next change. Whoever has the turn uses them.
type changeGuards struct {
	suffixes *suffixes // those that are compiled in
	key      string    // of what protect was read from
	protect  *protection
	err      error // why it is not kept
}

// Bounds of the lists of protected and popular names that are kept for changes, in the memory of the server. Where they are larger zones are read whole.
const (
	changeListsMax   = 32 << 20 // octets of the files
	changeGuardedMax = 100_000  // names in them that count
)

// give gives the reader of a change its guards. They are read anew when the lists have changed.
func (g *changeGuards) give(r *changeReader) error {
	if g.suffixes == nil {
		var err error
		if g.suffixes, err = newSuffixes(""); err != nil {
			return err
		}
	}
	key, err := r.config.Protect.key()
	if err != nil {
		return err
	}
	if g.key != key {
		g.protect, g.err = keptProtection(&r.config.Protect)
		g.key = key
	}
	r.suffixes, r.protect = g.suffixes, g.protect
	return g.err
}

// keptProtection is newProtection within the bounds of what is kept.
func keptProtection(c *Protection) (*protection, error) {
	octets := int64(0)
	for _, path := range c.files() {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		octets += info.Size()
	}
	if octets > changeListsMax {
		return nil, fmt.Errorf("%w: its lists of protected and popular names have %d octets", errWhole, octets)
	}
	p, err := newProtection(c)
	if err != nil || p == nil {
		return nil, err
	}
	if n := len(p.names) + len(p.popular) + len(p.networks.all); n > changeGuardedMax {
		return nil, fmt.Errorf("%w: %d names are protected or popular", errWhole, n)
	}
	return p, nil
}

// adoptChange makes the copy that a change has led to the last good one.
func (p *Publisher) adoptChange(made *Rows, job *CompileConfig, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, feed := time.Now(), job.Feeds[0].Name
	f := p.feed(feed)
	p.adoptNew(f, made, true, now)
	f.guarded = p.guards.key
	f.healthy(now)
	f.result = FeedResult{
		Name: feed, Outcome: OutcomeRead, Copy: job.Generation, Report: &made.report, Stamp: f.settled, Part: true, Seconds: now.Sub(began).Seconds(),
	}
	f.read = now
	p.log.Info("change of a policy zone taken over", "feed", feed, "serial", made.report.Serial, "entries", made.report.Live, "names", made.report.Names,
		"refused", made.report.Refused, "held", made.report.Held, "layer", made.header.Names, "seconds", f.result.Seconds)
}

func (p *Publisher) orderOf() Order {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order
}
