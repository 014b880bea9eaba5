package blocklist

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
)

// ErrNothingStored says that no policy was ever compiled into a state directory.
var ErrNothingStored = errors.New("no policy has been compiled yet")

// OpenStored opens the policy that was compiled last, under the number that it was published with, for whoever only looks: it writes nothing and
// takes no lock, so that it may be called beside a Publisher, and by a user who may only read. Of c it uses Dir, Order and Log. If the
// policy is damaged it opens the one before. The caller closes the Generation.
func OpenStored(c Config) (*Generation, error) {
	p := newOnlooker(c)
	return p.openNewest(p.store.load)
}

// newOnlooker makes a Publisher that can only look.
func newOnlooker(c Config) *Publisher {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Publisher{config: c, log: c.Log, order: c.Order, store: &store{layout: layout{c.Dir}}}
}

// storedTries is how often OpenStored begins again because a Publisher has removed what it was about to open.
const storedTries = 10

// openNewest opens the policy that load says is the current one, or another one if that is damaged.
func (p *Publisher) openNewest(load func() (storedState, error)) (*Generation, error) {
	var failed []error
	for range storedTries {
		state, err := load()
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		var g *Generation
		if g, failed = p.openFirst(state, err); g != nil {
			return g, nil
		}
		if !p.superseded(state) {
			break
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("opening the compiled policy in %s: %w", p.config.Dir, err)
	}
	return nil, fmt.Errorf("%s: %w", p.config.Dir, ErrNothingStored)
}

// superseded reports whether another policy has become the current one since state was read.
func (p *Publisher) superseded(state storedState) bool {
	now, err := p.store.load()
	return err == nil && now.Current.Number != state.Current.Number
}

// openFirst opens the first candidate that is not damaged. If the very first fails and is no longer the current one, it gives up.
func (p *Publisher) openFirst(state storedState, err error) (*Generation, []error) {
	failed := []error{err}
	for i, candidate := range p.store.candidates(state) {
		g, err := p.openStored(candidate)
		if err == nil {
			return g, nil
		}
		failed = append(failed, err)
		if i == 0 && p.superseded(state) {
			break
		}
	}
	return nil, failed
}

func (p *Publisher) openStored(stored storedPolicy) (*Generation, error) {
	index, err := p.store.open(stored.storedFiles, false)
	if err != nil {
		return nil, err
	}
	return p.generation(index, stored.Number, p.order)
}
