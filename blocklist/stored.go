package blocklist

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"cenote/nameindex"
)

// ErrNothingStored says that no policy was ever compiled into a state directory.
var ErrNothingStored = errors.New("no policy has been compiled yet")

// OpenStored opens the policy that was compiled last, under the number that it was published with, for whoever only looks: it writes nothing and
// takes no lock, so that it may be called beside a Publisher, and by a user who may only read. Of c it uses Dir, Zones, AnswerEarly and Log. If the
// policy is damaged it opens the one before. The caller closes the Generation.
func OpenStored(c Config) (*Generation, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	p := &Publisher{config: c, log: c.Log, order: order{c.Zones, c.AnswerEarly}, store: &store{layout: layout{c.Dir}}}
	state, err := p.store.load()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	failed := []error{err}
	for _, candidate := range p.store.candidates(state) {
		g, err := p.openStored(candidate)
		if err == nil {
			return g, nil
		}
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("opening the compiled policy in %s: %w", c.Dir, err)
	}
	return nil, fmt.Errorf("%s: %w", c.Dir, ErrNothingStored)
}

func (p *Publisher) openStored(stored storedPolicy) (*Generation, error) {
	index, err := nameindex.Open(p.store.index(stored.Index), nameindex.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return p.generation(index, stored.Number, p.order)
}
