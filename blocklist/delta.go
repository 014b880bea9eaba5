package blocklist

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/pace"
	"cenote/policy"
)

// A change of few names is not merged with all the others into a new index. The names whose rows have changed are given their new sets in a
// delta, which the index that is served carries from then on; the next change makes another delta of it and of what that one says. When the
// delta has grown, or after an hour, everything is merged into an index again. Of a change of more names than such a delta may have, the child makes a delta
// as well: up to a bound it is served as it is, and above that it is merged with what it stands upon into an index of its own, so that most of that is copied as
// it is. While a large delta is served, a small change would have to say again what is in it: so it is merged when nothing has changed for a minute, or else by the next small change, and those
// after that are small deltas again.

// Bounds of deltas.
const (
	deltaShare  = 100         // a delta may have one name for so many of the index
	deltaLeast  = 4096        // but always so many
	deltaAgeMax = time.Hour   // then its names go into an index
	deltaRest   = time.Minute // as do those of one that leaves little room, if nothing changes for so long
	deltaTexts  = 4           // changes may bring so many texts, local data and sets for each name that a delta may have
	mergeShare  = 4           // one name may have changed for so many of the index to be merged with it
	fileShare   = 16          // and a delta that the child makes may have one for so many
)

// deltaBounds are those of the bounds of deltas that tests change.
type deltaBounds struct {
	least int
	age   time.Duration
	merge int           // as mergeShare; 0: nothing is merged
	texts int           // as deltaTexts
	file  int           // as fileShare; 0: the child makes no deltas
	rest  time.Duration // as deltaRest
}

// errNoDelta says that what has changed cannot be served as a delta. The copies are compiled whole then.
var errNoDelta = errors.New("the change cannot be served as a delta")

// changeRoom is how many names may change for there to be a delta, and how many for them to be merged with the served index: none, if what is served
// is not the index of the copies as they are, feed by feed. Called with mu held.
func (p *Publisher) changeRoom(served map[string]bool) (delta, merge int) {
	if p.current == nil || p.trouble.merge {
		return 0, 0
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
		return 0, 0
	}
	index := p.current.Policy.Index()
	room := p.smallRoom(index)
	if p.current.Policy.Manifest().Grown > p.deltas.texts*max(room, 1) { // what was brought stays until an index is compiled, also what is used no more
		return 0, 0
	}
	if p.deltas.merge > 0 {
		merge = index.Base().Len() / p.deltas.merge
	}
	if delta := index.Delta(); delta != nil {
		room -= delta.Len()
	}
	return max(room, 0), merge
}

// fileRoom is how many names must have changed for the child to make a delta, and how many may be in it. Called with mu held.
func (p *Publisher) fileRoom() (least, most int) {
	if p.deltas.file == 0 {
		return 0, 0
	}
	index := p.current.Policy.Index()
	return p.smallRoom(index), index.Base().Len() / p.deltas.file
}

// sameFeed reports whether a copy is what was compiled. Its SOA is that of the same copy.
func sameFeed(a, b policy.Feed) bool {
	a.SOA, b.SOA = nil, nil
	return a == b
}

// deltaIsOld reports whether it is time to put the names of the delta into an index. Called with mu held.
func (p *Publisher) deltaIsOld(now time.Time) bool {
	return !p.foldAt.IsZero() && !now.Before(p.foldAt)
}

// noteDelta notes since when there is a delta, and until when: one that leaves little room for small changes goes into the index once there has been none for a
// while, so that the next one need not wait for that. Called with mu held.
func (p *Publisher) noteDelta(index *nameindex.Index) {
	delta := index.Delta()
	if delta == nil {
		p.differs, p.foldAt = time.Time{}, time.Time{}
		return
	}
	now := time.Now()
	if p.differs.IsZero() {
		p.differs = now
	}
	p.foldAt = p.differs.Add(p.deltas.age)
	if soon := now.Add(p.deltas.rest); 2*delta.Len() > p.smallRoom(index) && soon.Before(p.foldAt) {
		p.foldAt = soon
	}
}

// smallRoom is how many names a delta may have that is not made by the child. Called with mu held.
func (p *Publisher) smallRoom(index *nameindex.Index) int {
	return max(index.Base().Len()/deltaShare, p.deltas.least)
}

// publishDelta publishes what is served with the changes of some feeds, of which there are new copies. It is called behind what answers queries.
func (p *Publisher) publishDelta(job *CompileConfig, changes []FeedChange, o Order) error {
	p.mu.Lock()
	base := p.state.Current.Index
	p.mu.Unlock()
	index, err := p.makeDelta(job.Generation, changes)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDelta, err)
	}
	p.unsynced = append(p.unsynced, p.store.delta(job.Generation))
	if err := p.publish(index, job, storedFiles{Index: base, Delta: job.Generation}, o); err != nil {
		return err
	}
	p.counts.deltas.Add(1)
	return nil
}

// publishDeltaFile publishes what is served with the delta that the child made of it.
func (p *Publisher) publishDeltaFile(job *CompileConfig, o Order) error {
	index := p.Current().Policy.Index()
	delta, err := nameindex.Open(p.store.delta(job.Generation), nameindex.OpenOptions{Rest: new(pace.Pace).Look, Beside: true})
	if err == nil {
		index, err = index.With(delta)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDelta, err)
	}
	p.unsynced = append(p.unsynced, p.store.delta(job.Generation))
	if err := p.publish(index, job, storedFiles{Index: job.Base.Index, Delta: job.Generation}, o); err != nil {
		return err
	}
	p.counts.deltas.Add(1)
	return nil
}

// makeDelta writes the delta of the served index, and returns that index with it.
func (p *Publisher) makeDelta(number uint64, changes []FeedChange) (*nameindex.Index, error) {
	current := p.Current().Policy
	d := newDeltaMaker(current.Manifest(), current.Index(), number)
	defer d.close()
	for i := range changes {
		if err := d.open(&changes[i], p.copyOf(changes[i].Feed, changes[i].Copy)); err != nil {
			return nil, fmt.Errorf("feed %q: %w", changes[i].Feed, err)
		}
	}
	if err := d.fill(); err != nil {
		return nil, err
	}
	return d.write(p.store.delta(number))
}

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
	before  *policy.Manifest
	index   *nameindex.Index // with the delta that there is
	all     []*deltaInput
	changed []changedName
	builder *nameindex.Builder
	members []policy.Member
	sets    map[policy.Member]uint32 // sets of one member, which most are
}

// changedName is a name with its nameHash, a part of what the child has told.
type changedName struct {
	hash uint64
	name []byte
}

// compareNames puts names into the order of rows files.
func compareNames(a, b changedName) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), bytes.Compare(a.name, b.name))
}

// deltaInput is the new copy of a feed, and where its rows of changed names are found.
type deltaInput struct {
	numberedRows
	seeker *rowsSeeker
	told   *rowsTold // nil: they are sought
}

// find returns the rows of a name; names come in the order of rows files. What it returns lives until the next call. It does not know those of a name of
// which the feed says what it said before, if it was told those of the others.
func (in *deltaInput) find(c *changedName) (rows []rawRow, known bool, err error) {
	if in.told != nil {
		return in.told.find(c.name)
	}
	rows, err = in.seeker.find(c.name, c.hash)
	return rows, true, err
}

// newDeltaMaker makes a maker of deltas of an index, which has the manifest, for the policy of the given number.
func newDeltaMaker(manifest *policy.Manifest, index *nameindex.Index, number uint64) *deltaMaker {
	d := &deltaMaker{
		numbering: newNumbering(manifest, number), before: manifest, index: index,
		builder: nameindex.NewBuilder(nameindex.BuildOptions{Base: index, Unsynced: true}), sets: map[policy.Member]uint32{},
	}
	d.dataBytes = len(index.Manifest()) // what is there already counts
	return d
}

func (d *deltaMaker) close() {
	for _, in := range d.all {
		in.rows.Close()
	}
}

// open takes the new copy of a feed and the names that it changes.
func (d *deltaMaker) open(c *FeedChange, rows *Rows) error {
	if rows == nil {
		return errors.New("there is no copy of it to go by")
	}
	i := slices.IndexFunc(d.manifest.Feeds, func(f policy.Feed) bool { return f.Name == c.Feed })
	in := &deltaInput{numberedRows: d.number(uint16(max(i, 0)), rows), seeker: rows.seeker()}
	if c.rows != nil {
		in.told = &rowsTold{rest: rowBytes{b: c.rows}}
	}
	d.all = append(d.all, in)
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
		d.changed = append(d.changed, changedName{nameHash(rest[:n]), rest[:n:n]})
		rest = rest[n:]
	}
	return nil
}

// fill adds what the delta before says of names that have not changed since, and what is to be said of those that have.
func (d *deltaMaker) fill() error {
	if err := tooManyPatterns(d.manifest.Feeds); err != nil {
		return err
	}
	if len(d.all) > 1 || !slices.IsSortedFunc(d.changed, compareNames) {
		slices.SortFunc(d.changed, compareNames)
	}
	d.changed = slices.CompactFunc(d.changed, func(a, b changedName) bool { return compareNames(a, b) == 0 })
	if before := d.index.Delta(); before != nil {
		if err := d.carry(before); err != nil {
			return err
		}
	}
	for i := range d.changed {
		if err := d.add(&d.changed[i]); err != nil {
			return err
		}
	}
	return nil
}

// carry adds what the delta before says of names that have not changed.
func (d *deltaMaker) carry(before *nameindex.Index) error {
	places := make(map[uint64]uint32, len(d.changed)) // of the first name with a hash: a search would wait for memory at every step
	for i := range d.changed {
		if hash := d.changed[i].hash; i == 0 || d.changed[i-1].hash != hash {
			places[hash] = uint32(i)
		}
	}
	for name, set := range before.All() {
		wire := []byte(name)
		if d.changes(places, wire) {
			continue
		}
		_, listed := d.index.Base().Lookup(wire)
		if err := d.builder.Exchange(wire, d.builder.AddSet(before.Set(set)), listed); err != nil {
			return err
		}
	}
	return nil
}

// changes reports whether a name is among those that have changed.
func (d *deltaMaker) changes(places map[uint64]uint32, name []byte) bool {
	hash := nameHash(name)
	at, ok := places[hash]
	for i := int(at); ok && i < len(d.changed) && d.changed[i].hash == hash; i++ {
		if bytes.Equal(d.changed[i].name, name) {
			return true
		}
	}
	return false
}

// add gives a name its set, unless that is what the base says of it.
func (d *deltaMaker) add(c *changedName) error {
	id, listed := d.index.Lookup(c.name)
	if err := d.gather(c, id, listed); err != nil {
		return err
	}
	set := d.set()
	if d.index.Delta() != nil {
		id, listed = d.index.Base().Lookup(c.name)
	}
	if listed && string(d.index.Set(id)) == d.builder.Set(set) || !listed && len(d.members) == 0 {
		return nil
	}
	return d.builder.Exchange(c.name, set, listed)
}

// set returns the number of the set of the members.
func (d *deltaMaker) set() uint32 {
	if len(d.members) != 1 {
		return d.builder.AddSet(policy.EncodeSet(d.members))
	}
	id, ok := d.sets[d.members[0]]
	if !ok {
		id = d.builder.AddSet(policy.EncodeSet(d.members))
		d.sets[d.members[0]] = id
	}
	return id
}

// gather collects the members of a name: what the new copies say, and what is served of it, by its set, by feeds that have not changed it.
func (d *deltaMaker) gather(c *changedName, set uint32, listed bool) error {
	d.members = d.members[:0]
	var served []policy.Member
	if listed {
		var err error
		if served, err = policy.DecodeSet(d.index.Set(set)); err != nil {
			return err
		}
	}
	for _, in := range d.all {
		rows, known, err := in.find(c)
		if err == nil && known {
			served = slices.DeleteFunc(served, func(m policy.Member) bool { return m.Feed == in.feed })
			d.members, err = d.take(d.members, &in.numberedRows, rows)
		}
		if err != nil {
			return err
		}
	}
	d.members = append(d.members, served...)
	return nil
}

// encode returns the manifest as the index is to have it.
func (d *deltaMaker) encode() ([]byte, error) {
	if d.dropped > 0 {
		return nil, fmt.Errorf("%d families and threats find no number beside those that there are", d.dropped)
	}
	m := &d.manifest
	m.Grown += len(d.families.texts) + len(d.threats.texts) + len(m.Data) - textsOf(d.before)
	return d.numbering.encode()
}

func textsOf(m *policy.Manifest) int { return len(m.Families) + len(m.Threats) + len(m.Data) }

// writeFile writes the delta. Who needs it after a loss of power has it synced (syncFiles).
func (d *deltaMaker) writeFile(path string) (nameindex.Stats, error) {
	manifest, err := d.encode()
	if err != nil {
		return nameindex.Stats{}, err
	}
	return d.builder.WriteFile(path, manifest)
}

// write writes the delta and returns the index that has it.
func (d *deltaMaker) write(path string) (*nameindex.Index, error) {
	if _, err := d.writeFile(path); err != nil {
		return nil, err
	}
	delta, err := nameindex.Open(path, nameindex.OpenOptions{Beside: true})
	if err != nil {
		return nil, err
	}
	return d.index.With(delta)
}

// merge writes an index of its own that says what the index with the delta would say.
func (d *deltaMaker) merge(path string) (nameindex.Stats, error) {
	d.manifest.Grown += d.builder.Sets()
	manifest, err := d.encode()
	if err != nil {
		return nameindex.Stats{}, err
	}
	return d.builder.MergeFile(path, manifest)
}
