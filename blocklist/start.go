package blocklist

import (
	"errors"
	"io/fs"
)

// numberGap is how far the numbers jump at a start: a policy is served before all of it is on disk, so that one of a higher number than any that is known may
// have been, and the record of those in use may be lost.
const numberGap = 1000

// open finds the policy to begin with and publishes it.
func (p *Publisher) open() error {
	state, err := p.store.load()
	damaged := err != nil && !errors.Is(err, fs.ErrNotExist)
	if damaged {
		p.counts.fallbacks.Add(1)
		p.log.Error("the record of the current policy cannot be used", "error", err)
	}
	found := p.store.candidates(state)
	p.state, p.next = state, p.store.freeNumber(state)
	if damaged || state.Current.Number != 0 {
		p.next += numberGap
	}
	p.adoptCopies()
	for i, candidate := range found {
		err := p.begin(candidate, i == 0 && state.Current.Number != 0)
		if err == nil {
			return nil
		}
		p.counts.fallbacks.Add(1)
		p.log.Error("stored policy cannot be served", "generation", candidate.Number, "error", err)
	}
	p.trouble.merge = len(found) > 0 // the copies of the feeds may be good
	return nil
}

// begin publishes a stored policy: under its number if that still stands for the same index and zones, else under a new one.
func (p *Publisher) begin(stored storedPolicy, newest bool) error {
	index, err := p.store.open(stored.storedFiles, p.now.Load().Mapped)
	if err != nil {
		return err
	}
	zones := p.order.fingerprint()
	same := newest && stored.Zones == zones
	if !same {
		stored.Number, stored.Zones = p.next, zones
		p.next++
	}
	g, err := p.generation(index, stored.Number, p.order)
	if err != nil {
		return err
	}
	stored.Feeds = p.copies()
	state := p.withHistory(storedState{Current: stored})
	if newest {
		state.Previous = p.state.Previous
	} else {
		p.trouble.merge = true // the copies are newer than this index
	}
	if !same {
		p.record(state)
	}
	p.current, p.state = g, state
	p.noteDelta(index)
	p.log.Info("stored policy opened", "generation", g.Number, "names", index.Len(), "built", g.Policy.Manifest().Built, "newest", newest)
	p.config.Publish(g)
	return nil
}

// record stores the state but removes nothing: what could not be opened now may be wanted by whoever finds out why.
func (p *Publisher) record(state storedState) {
	if err := p.store.commit(state, nil); err != nil {
		p.counts.commitFailures.Add(1)
		p.log.Error("the record of the current policy is not stored", "error", err)
	}
}

// adoptCopies opens the last good copies of the configured feeds.
func (p *Publisher) adoptCopies() {
	for _, f := range p.feeds {
		p.adoptHistory(f)
		for _, number := range p.bestCopies(f) {
			rows, err := OpenRows(p.store.rows(f.feed.Name, number))
			if err == nil {
				f.adopt(rows)
				f.adoptList(p.fetches.known(f.feed.Name))
				break
			}
			p.counts.fallbacks.Add(1)
			p.log.Error("kept copy of a feed cannot be used", "feed", f.feed.Name, "copy", number, "error", err)
		}
		if f.pin != nil && f.rows == nil {
			p.log.Error("no copy is left of a feed that was rolled back; its source is read again", "feed", f.feed.Name, "copy", f.pin.Copy)
			f.pin = nil
		}
	}
}
