package resolver

import (
	"crypto/tls"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// upstream is a resolver that is asked, with all that was learnt about it.
type upstream struct {
	Upstream
	authority   bool // a server of zones: it is asked without recursion, and never probed
	underWay    atomic.Int64
	connections connections
	counts      upstreamCounts
	sessions    tls.ClientSessionCache // nil where it is not asked by TLS

	mu      sync.Mutex // guards the rest
	rtt     roundTrip
	health  health
	silence silence // of a server of zones
	trials  trials
	folds   lesson // it does not keep the letter case of a name
	noEDNS  lesson // it does not understand EDNS
	faults  int    // replies in a row that say it does not understand EDNS
}

// roundTrip is a smoothed round-trip time (RFC 6298 section 2), here of a whole exchange.
type roundTrip struct {
	mean, deviation time.Duration // 0: not known yet
}

func (t *roundTrip) observe(sample time.Duration) {
	if t.mean == 0 {
		t.mean, t.deviation = sample, sample/2
		return
	}
	t.deviation += ((sample - t.mean).Abs() - t.deviation) / 4
	t.mean += (sample - t.mean) / 8
}

// A server of zones that is silent, or where nobody listens, is taken to need backOffMin to backOffMax. One that the network turns away at once would
// otherwise seem the quickest of all.
const (
	backOffMin = 400 * time.Millisecond
	backOffMax = 12 * time.Second
)

// backOff doubles the mean after a wait for nothing.
func (t *roundTrip) backOff(waited time.Duration) {
	t.mean = min(max(2*t.mean, waited, backOffMin), backOffMax)
}

// lesson is something believed about an upstream until a moment, when it is tried again.
type lesson struct{ until time.Time }

func (l *lesson) holds(now time.Time) bool { return now.Before(l.until) }

const (
	patienceMin   = 200 * time.Millisecond // less would repeat questions that the upstream itself has to ask around for
	exploreOneIn  = 32                     // how often another upstream than the best is chosen, to learn how quick it is now
	ednsFaultsMax = 3                      // replies without EDNS in a row that are believed: a forger could send one
)

// patience returns how long to wait for a reply before the question is sent again.
func (u *upstream) patience(most time.Duration, again int) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rtt.mean == 0 {
		return most
	}
	wait := max(patienceMin, u.rtt.mean+4*u.rtt.deviation) << min(again, triesMax)
	return min(wait, most)
}

// manner returns how to ask it now.
func (u *upstream) manner(now time.Time, plain bool) manner {
	u.mu.Lock()
	defer u.mu.Unlock()
	return manner{edns: !u.noEDNS.holds(now), mixed: !plain && !u.folds.holds(now), direct: u.authority, tcp: u.TLS != "", padded: u.TLS != ""}
}

// score is what the best upstream has least of.
type score struct {
	resting bool // it could not be reached a moment ago
	down    bool
	tried   int
	mean    time.Duration
}

func (a score) less(b score) bool {
	switch {
	case a.resting != b.resting:
		return !a.resting
	case a.tried != b.tried && a.down == b.down:
		return a.tried < b.tried
	case a.down != b.down:
		return !a.down
	}
	return a.mean < b.mean
}

// score reads what is known, for a search that has tried the upstream so often.
func (u *upstream) score(tried int) score {
	u.mu.Lock()
	defer u.mu.Unlock()
	return score{down: u.health.down, tried: tried, mean: u.rtt.mean}
}

// choose picks the upstream to ask next. With none left that is well, one that is down is asked too, as often as trials allow.
func (a *search) choose() (*upstream, error) {
	err := ErrNoUpstreams
	var best *upstream
	var least score
	seen, now := 0, a.r.now()
	explore := a.started+a.refused == 0 && rand.IntN(exploreOneIn) == 0
	for _, u := range a.pool {
		t := a.known(u)
		if a.isOut(t) {
			continue
		}
		if why := u.turnsAway(now, a.s.config.Bounds.PerUpstream); why != nil {
			err = why
			continue
		}
		s := u.score(t.count)
		s.resting = !t.rest.IsZero() && time.Now().Before(t.rest)
		if !s.down {
			seen++
		}
		better := s.less(least)
		if explore && !s.down {
			better = rand.IntN(seen) == 0
		}
		if best == nil || better {
			best, least = u, s
		}
	}
	if best == nil {
		return nil, err
	}
	return best, nil
}

// turnsAway returns the bound, if there is one, for which the upstream cannot be asked now.
func (u *upstream) turnsAway(now time.Time, most int) error {
	switch {
	case u.underWay.Load() >= int64(u.room(most)):
		u.counts.shed.Add(1)
		return ErrBusy
	case !u.mayTry(now, false):
		u.counts.shed.Add(1)
		return u.downError()
	}
	return nil
}

// enter takes a place at an upstream, which leave gives back, and a trial if it is down.
func (a *search) enter(u *upstream) error {
	if !u.enter(a.s.config.Bounds.PerUpstream) {
		return ErrBusy
	}
	if !u.mayTry(a.r.now(), true) {
		u.leave()
		u.counts.shed.Add(1)
		return u.downError()
	}
	return nil
}

func (u *upstream) downError() error {
	if u.authority {
		return errSilent
	}
	return errDown
}

// trialsMax is how often an upstream that is down is asked by questions in a second, beside the probes.
const trialsMax = 20

// trials counts the attempts of one second at an upstream that is down.
type trials struct {
	since time.Time
	count int
}

// mayTry reports whether a question may go to the upstream, and with take counts it if the upstream is down.
func (u *upstream) mayTry(now time.Time, take bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.authority {
		return u.silence.mayTry(now, take)
	}
	if !u.health.down {
		return true
	}
	if age := now.Sub(u.trials.since); age >= time.Second || age < 0 {
		u.trials = trials{since: now}
	}
	if u.trials.count >= trialsMax {
		return false
	}
	if take {
		u.trials.count++
	}
	return true
}

// enter takes one of most places at an upstream, which leave gives back.
func (u *upstream) enter(most int) bool {
	if u.underWay.Add(1) <= int64(u.room(most)) {
		return true
	}
	u.leave()
	u.counts.shed.Add(1)
	return false
}

func (u *upstream) leave() { u.underWay.Add(-1) }
