package blocklist

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Settings are the part of a Config that can change while a Publisher runs.
type Settings struct {
	// Poll is how often every source is looked at. Default: 1s; at most 2s keep the promise to follow a change within 3s. Example: 2s.
	Poll time.Duration
	// Debounce is how long a source must stay as it is before it is read. Default: 200ms. Example: 300ms.
	Debounce time.Duration
	// PollOnly does without notices from the kernel. Default: false. Example: true where all feeds lie on a network file system.
	PollOnly bool
	// Mapped uses index files where they are in place of reading them: see nameindex.OpenOptions. It holds from the next index on. Default: false.
	Mapped bool
	// History is how many copies of each feed are kept, that which is served among them. Default: 3; at least 1. Example: 10.
	History int
	// HistoryBytes bounds what the copies of one feed take beside that which is served, in octets; below 0 there are none. Default: 1 GiB. Example: 1 << 28.
	HistoryBytes int64
	// Child says how compilations are run. Default: this program, "compile --child".
	Child ChildConfig
}

// Defaults of Settings.
const (
	pollDefault     = time.Second
	debounceDefault = 200 * time.Millisecond
	historyDefault  = 3
	historyBytes    = 1 << 30
)

func (s Settings) checked() (Settings, error) {
	if s.Poll < 0 || s.Debounce < 0 || s.History < 0 || s.Child.MemoryBytes < 0 || s.Child.Cores < 0 || s.Child.Timeout < 0 || s.Child.Patience < 0 {
		return s, fmt.Errorf("blocklist: a setting is below zero: %+v", s)
	}
	if s.Poll == 0 {
		s.Poll = pollDefault
	}
	if s.Debounce == 0 {
		s.Debounce = debounceDefault
	}
	s.History, s.HistoryBytes = cmp.Or(s.History, historyDefault), cmp.Or(s.HistoryBytes, historyBytes)
	var err error
	s.Child, err = s.Child.withDefaults()
	return s, err
}

func (s *Settings) watch(log *slog.Logger) watchConfig {
	return watchConfig{s.Poll, s.Debounce, s.PollOnly, log}
}

// Update changes the settings, all or nothing. Feeds are watched by the new ones at once; a compilation that is under way ends by
// the old ones.
func (p *Publisher) Update(s Settings) error {
	s, err := s.checked()
	if err != nil {
		return err
	}
	if old := p.now.Swap(&s); old.watch(p.log) != s.watch(p.log) {
		p.watchAnew()
	}
	return nil
}

// watchAnew makes watch begin again.
func (p *Publisher) watchAnew() {
	select {
	case p.rewatch <- struct{}{}:
	default: // it will anyway
	}
}

// child runs a compilation by the settings of now.
func (p *Publisher) child() *child {
	return &child{config: p.now.Load().Child, progress: p.config.Progress, log: p.log}
}
