package blocklist

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/pace"
	"cenote/policy"
)

// A change of few names is not merged with all the others into a new index. The names whose rows have changed are given their new sets in a
// delta, which the index that is served carries from then on; the next change makes another delta of it and of what that one says. When the
// delta has grown, or after an hour, everything is merged into an index again.

// Bounds of deltas.
const (
	deltaShare  = 100       // a delta may have one name for so many of the index
	deltaLeast  = 4096      // but always so many
	deltaAgeMax = time.Hour // then its names go into an index
	deltaTexts  = 4         // a delta may bring so many texts and local data for each name that it may have
)

// deltaBounds are those of the bounds of deltas that tests change.
type deltaBounds struct {
	least int
	age   time.Duration
}

// errNoDelta says that what has changed cannot be served as a delta. The copies are compiled whole then.
var errNoDelta = errors.New("the change cannot be served as a delta")

// deltaRoom is how many names may change for there to be a delta: none, if what is served is not the index of the copies as they are, feed by
// feed. Called with mu held.
func (p *Publisher) deltaRoom(served map[string]bool) int {
	if p.current == nil || p.trouble.merge {
		return 0
	}
	var copies []policy.Feed
	for _, f := range p.feeds {
		if served[f.feed.Name] && f.rows != nil {
			copies = append(copies, policy.Feed{
				Name: f.feed.Name, ClosestEncloser: f.rows.report.ClosestEncloser, Entries: f.rows.report.Live,
				Triggers: f.rows.report.Triggers, SOA: f.rows.report.SOA, SourceGeneration: f.rows.Generation(),
			})
		}
	}
	if !slices.EqualFunc(copies, p.current.Policy.Manifest().Feeds, sameFeed) {
		return 0
	}
	index := p.current.Policy.Index()
	room := max(index.Base().Len()/deltaShare, p.deltas.least)
	if p.grown > deltaTexts*room { // they stay until an index is compiled, also those that are used no more
		return 0
	}
	if delta := index.Delta(); delta != nil {
		room -= delta.Len()
	}
	return max(room, 0)
}

// sameFeed reports whether a copy is what was compiled. Its SOA is that of the same copy.
func sameFeed(a, b policy.Feed) bool {
	a.SOA, b.SOA = nil, nil
	return a == b
}

// deltaIsOld reports whether it is time to put the names of the delta into an index. Called with mu held.
func (p *Publisher) deltaIsOld(now time.Time) bool {
	return !p.differs.IsZero() && now.Sub(p.differs) >= p.deltas.age
}

// noteDelta notes since when there is a delta. Called with mu held.
func (p *Publisher) noteDelta(index *nameindex.Index) {
	switch {
	case index.Delta() == nil:
		p.differs, p.grown = time.Time{}, 0
	case p.differs.IsZero():
		p.differs = time.Now()
	}
}

// publishDelta publishes what is served with the changes of some feeds, of which there are new copies.
func (p *Publisher) publishDelta(job *CompileConfig, changes []FeedChange, o Order) error {
	p.mu.Lock()
	base := p.state.Current.Index
	p.mu.Unlock()
	var index *nameindex.Index
	err := pace.Behind(func() (err error) {
		index, err = p.makeDelta(job.Generation, changes)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDelta, err)
	}
	if err := p.publish(index, job, storedFiles{Index: base, Delta: job.Generation}, o); err != nil {
		return err
	}
	p.counts.deltas.Add(1)
	return nil
}

// makeDelta writes the delta of the served index, and returns that index with it.
func (p *Publisher) makeDelta(number uint64, changes []FeedChange) (*nameindex.Index, error) {
	current := p.Current().Policy
	d := &deltaMaker{
		numbering: newNumbering(current.Manifest(), number), index: current.Index(), feeds: map[uint16]bool{}, changed: map[string]uint64{},
		builder: nameindex.NewBuilder(nameindex.BuildOptions{Base: current.Index()}),
	}
	d.dataBytes = len(current.Index().Manifest()) // what is there already counts
	defer d.close()
	for _, c := range changes {
		if err := d.open(c, p.copyOf(c.Feed, c.Copy)); err != nil {
			return nil, fmt.Errorf("feed %q: %w", c.Feed, err)
		}
	}
	if err := d.fill(); err != nil {
		return nil, err
	}
	index, err := d.write(p.store.delta(number))
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.grown += textsOf(&d.manifest) - textsOf(current.Manifest())
	}
	return index, err
}

func textsOf(m *policy.Manifest) int { return len(m.Families) + len(m.Threats) + len(m.Data) }

// copyOf returns the copy of a feed that a job made or restored, or nil if another one is the last good one.
func (p *Publisher) copyOf(feed string, number uint64) *Rows {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feed(feed)
	if f == nil || f.kept() != number {
		return nil
	}
	return f.rows.retain()
}

// deltaMaker makes the delta of an index from the names whose rows have changed in some feeds.
type deltaMaker struct {
	numbering
	index   *nameindex.Index // with the delta that there is
	all     []deltaInput
	feeds   map[uint16]bool   // which those are of
	changed map[string]uint64 // names and their nameHash
	builder *nameindex.Builder
	members []policy.Member
}

// deltaInput is the new copy of a feed.
type deltaInput struct {
	numberedRows
	*rowsSeeker
}

func (d *deltaMaker) close() {
	for _, in := range d.all {
		in.rows.Close()
	}
}

// open takes the new copy of a feed and the names that it changes.
func (d *deltaMaker) open(c FeedChange, rows *Rows) error {
	if rows == nil {
		return errors.New("there is no copy of it to go by")
	}
	i := slices.IndexFunc(d.manifest.Feeds, func(f policy.Feed) bool { return f.Name == c.Feed })
	in := d.number(uint16(max(i, 0)), rows)
	d.all, d.feeds[in.feed] = append(d.all, deltaInput{in, rows.seeker()}), true
	if i < 0 {
		return errors.New("the policy does not hold it")
	}
	feed := &d.manifest.Feeds[i]
	feed.Entries, feed.Triggers, feed.SOA, feed.SourceGeneration = rows.report.Live, rows.report.Triggers, rows.report.SOA, rows.Generation()
	for rest := c.Names; len(rest) > 0; {
		n, _, err := dnsname.Check(rest)
		if err != nil {
			return err
		}
		d.changed[string(rest[:n])] = nameHash(rest[:n])
		rest = rest[n:]
	}
	return nil
}

// fill adds what the delta before says of names that have not changed since, and what is to be said of those that have.
func (d *deltaMaker) fill() error {
	if err := tooManyPatterns(d.manifest.Feeds); err != nil {
		return err
	}
	if before := d.index.Delta(); before != nil {
		for name, set := range before.All() {
			if _, again := d.changed[string(name)]; again {
				continue
			}
			if err := d.builder.Add([]byte(name), d.builder.AddSet(before.Set(set))); err != nil {
				return err
			}
		}
	}
	for _, name := range d.inOrder() {
		if err := d.add([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// inOrder are the changed names in the order of rows files.
func (d *deltaMaker) inOrder() []string {
	return slices.SortedFunc(maps.Keys(d.changed), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.changed[a], d.changed[b]), cmp.Compare(a, b))
	})
}

// add gives a name its set, unless that is what the base says of it.
func (d *deltaMaker) add(name []byte) error {
	if err := d.gather(name); err != nil {
		return err
	}
	set := policy.EncodeSet(d.members)
	id, listed := d.index.Base().Lookup(name)
	if listed && string(d.index.Set(id)) == string(set) || !listed && len(set) == 0 {
		return nil
	}
	return d.builder.Add(name, d.builder.AddSet(set))
}

// gather collects the members of a name: what is served of it by feeds that have not changed, and what the new copies say.
func (d *deltaMaker) gather(name []byte) error {
	d.members = d.members[:0]
	if set, listed := d.index.Lookup(name); listed {
		members, err := policy.DecodeSet(d.index.Set(set))
		if err != nil {
			return err
		}
		d.members = append(d.members, slices.DeleteFunc(members, func(m policy.Member) bool { return d.feeds[m.Feed] })...)
	}
	for i := range d.all {
		in := &d.all[i]
		rows, err := in.find(name, d.changed[string(name)])
		if err == nil {
			d.members, err = d.take(d.members, &in.numberedRows, rows)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write writes the delta and returns the index that has it.
func (d *deltaMaker) write(path string) (*nameindex.Index, error) {
	if d.dropped > 0 {
		return nil, fmt.Errorf("%d families and threats find no number beside those that there are", d.dropped)
	}
	manifest, err := d.encode()
	if err != nil {
		return nil, err
	}
	if _, err := d.builder.WriteFile(path, manifest); err != nil {
		return nil, err
	}
	delta, err := nameindex.Open(path, nameindex.OpenOptions{Beside: true})
	if err != nil {
		return nil, err
	}
	return d.index.With(delta)
}
