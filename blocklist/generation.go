package blocklist

import (
	"errors"
	"fmt"
	"sync"

	"cenote/policy"
)

// Generation is one published policy together with the copies of the feeds that it was compiled from, so that a match can be traced to file
// and line also after the next one is published. It may be used from many goroutines.
type Generation struct {
	// Number grows with every publication, also across restarts. It is that of Policy.Generation.
	Number uint64
	// Policy is what the server asks.
	Policy *policy.Policy

	rows  []*Rows // by the manifest's number of the feed; nil where the copy cannot be read
	close sync.Once
}

// Locate returns the first row in which a feed, by its number in the manifest, lists a name, which is canonical and in wire form. Where the
// feed lists the name more than once, Find and LocateMember tell the rows apart.
func (g *Generation) Locate(feed uint16, name []byte) (Row, error) {
	rows, err := g.Find(feed, name)
	if err != nil {
		return Row{}, err
	}
	return rows[0], nil
}

// LocateMember returns the row from which a member of the name's set was made: the one with its kind and family.
func (g *Generation) LocateMember(m policy.Member, name []byte) (Row, error) {
	rows, err := g.Find(m.Feed, name)
	if err != nil {
		return Row{}, err
	}
	family := g.Policy.Manifest().Families[m.Family]
	for _, r := range rows {
		if r.Kind == m.Kind && r.Exception == m.Exception && r.Family == family {
			return r, nil
		}
	}
	return Row{}, fmt.Errorf("feed %q: %w of this kind and family", g.Policy.Manifest().Feeds[m.Feed].Name, ErrNoRow)
}

// Find returns all rows in which a feed lists a name, in the order of the feed. Its error is ErrNoRow where there are none.
func (g *Generation) Find(feed uint16, name []byte) ([]Row, error) {
	kept, err := g.copyOf(feed)
	if err != nil {
		return nil, err
	}
	rows, err := kept.Find(name)
	if err == nil && len(rows) == 0 {
		err = ErrNoRow
	}
	if err != nil {
		return nil, fmt.Errorf("feed %q: %w", g.Policy.Manifest().Feeds[feed].Name, err)
	}
	return rows, nil
}

// Report is what was found when a feed, by its number in the manifest, was read.
func (g *Generation) Report(feed uint16) (*FeedReport, error) {
	rows, err := g.copyOf(feed)
	if err != nil {
		return nil, err
	}
	return rows.Report(), nil
}

// Each calls visit for every row of a feed, by its number in the manifest, in no order that means anything, until it returns false.
func (g *Generation) Each(feed uint16, visit func(Row) bool) error {
	rows, err := g.copyOf(feed)
	if err != nil {
		return err
	}
	return rows.All(func(r Row) bool { return r.Kind == policy.KindENT || visit(r) })
}

// copyOf returns the copy that a feed was compiled from.
func (g *Generation) copyOf(feed uint16) (*Rows, error) {
	feeds := g.Policy.Manifest().Feeds
	if int(feed) >= len(feeds) {
		return nil, fmt.Errorf("feed number %d: %w", feed, ErrNoRow)
	}
	if g.rows[feed] == nil {
		return nil, fmt.Errorf("feed %q: its kept copy %d cannot be read", feeds[feed].Name, feeds[feed].SourceGeneration)
	}
	return g.rows[feed], nil
}

// Close gives up the copies of the feeds. It is called once no event of this generation is left to be traced; Policy stays usable.
func (g *Generation) Close() error {
	var failed []error
	g.close.Do(func() {
		for _, r := range g.rows {
			if r != nil {
				failed = append(failed, r.Close())
			}
		}
	})
	return errors.Join(failed...)
}
