package resolver

import (
	"context"
	"errors"
	"sync"
	"time"

	"cenote/wire"
)

// health says whether an upstream is to be preferred or left alone.
//
// Questions that get no answer raise a suspicion, and only a probe that fails too makes an upstream down. Otherwise anybody who asks for
// names whose own servers are dead could turn us away from a good upstream. SERVFAIL is no answer: one that says so to everything, since
// it cannot reach anybody itself, is quicker than all others and would be preferred for that.
type health struct {
	success   time.Time // when it last answered
	lost      time.Time // when it first did not, after that
	suspected bool      // a probe is due or under way
	down      bool
	pause     time.Duration // before the next probe, while down
	nextProbe time.Time
}

const (
	silenceSuspect = time.Second     // without a reply to any purpose, when an attempt fails
	restartMax     = 5 * time.Second // that an upstream cannot be reached and is still expected back at any moment
	suspectsMax    = 64
	probeTick      = 250 * time.Millisecond
)

// answered notes an answer after a round trip.
func (r *Resolver) answered(u *upstream, took time.Duration) {
	u.mu.Lock()
	u.rtt.observe(took)
	was := u.health.down
	u.health = health{success: r.now(), suspected: u.health.suspected}
	u.mu.Unlock()
	if was {
		r.log.Info("upstream is back", "upstream", u.Addr)
	}
}

// silent notes that there was no reply for a while, or that none could be had.
func (r *Resolver) silent(u *upstream, waited time.Duration) {
	u.mu.Lock()
	switch {
	case u.authority:
		u.rtt.backOff(waited)
	case waited > u.rtt.mean:
		u.rtt.observe(waited)
	}
	u.health.miss(r.now())
	u.silence.missed()
	u.mu.Unlock()
	r.suspect(u)
}

// miss notes when the first failure was since the last answer.
func (h *health) miss(now time.Time) {
	if h.lost.IsZero() {
		h.lost = now
	}
}

// restarts reports whether an upstream that cannot be reached was there so lately that it may come back at any moment.
func (u *upstream) restarts(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.health.success.IsZero() && now.Sub(u.health.lost) < restartMax
}

// suspect asks for a probe after a failure, unless the upstream answered somebody a moment ago.
func (r *Resolver) suspect(u *upstream) {
	if u.authority {
		return // the next who needs it finds out
	}
	u.mu.Lock()
	h := &u.health
	due := !h.suspected && !h.down && r.now().Sub(h.success) > silenceSuspect
	h.suspected = h.suspected || due
	u.mu.Unlock()
	if !due {
		return
	}
	select {
	case r.suspects <- u:
	default: // many others are waiting; the next failure asks again
		u.mu.Lock()
		h.suspected = false
		u.mu.Unlock()
	}
}

// probe asks upstreams that are suspected, and from time to time those that are down, until ctx ends.
func (r *Resolver) probe(ctx context.Context) {
	var probes sync.WaitGroup
	defer probes.Wait()
	tick := time.NewTicker(probeTick)
	defer tick.Stop()
	for {
		select {
		case u := <-r.suspects:
			probes.Go(func() { r.probeOne(ctx, u) })
		case <-tick.C:
			for _, u := range r.allUpstreams(r.state.Load()) {
				if u.probeDue(r.now()) {
					probes.Go(func() { r.probeOne(ctx, u) })
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// probeDue reports whether an upstream that is down is to be probed now, and takes note that it is.
func (u *upstream) probeDue(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	due := u.health.down && !u.health.suspected && !now.Before(u.health.nextProbe)
	u.health.suspected = u.health.suspected || due
	return due
}

// probeOne finds out whether an upstream is well.
func (r *Resolver) probeOne(ctx context.Context, u *upstream) {
	s, begun := r.state.Load(), r.now()
	u.counts.probes.Add(1)
	err := r.askRoot(ctx, s, u)
	if errors.Is(err, ErrBusy) || errors.Is(err, errBug) || ctx.Err() != nil {
		err = nil // our own fault, or the end: it says nothing about the upstream
	}
	if u.probed(err, begun, r.now(), &s.config.Timeouts) {
		r.log.Warn("upstream is down", "upstream", u.Addr, "error", err)
	}
}

// askRoot asks an upstream for the name servers of the root, which every resolver knows.
func (r *Resolver) askRoot(ctx context.Context, s *state, u *upstream) (err error) {
	defer r.rescue(&err)
	ctx, cancel := context.WithTimeout(ctx, 2*s.config.Timeouts.Attempt)
	defer cancel()
	root := question{name: "\x00", qtype: wire.TypeNS, class: wire.ClassIN, group: u.Group}
	packet, err := r.exchangeWith(ctx, s, u, &root).run()
	if err == nil && !isWell(packet) {
		err = rcodeError(wire.Rcode(packet))
	}
	return err
}

// probed notes how a probe ended, nil for well, and reports whether the upstream is down from now on. What answered somebody since the
// probe began is not down, whatever became of the probe.
func (u *upstream) probed(err error, begun, now time.Time, t *Timeouts) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := &u.health
	h.suspected = false
	if err == nil || h.success.After(begun) {
		return false // answered has set the rest
	}
	was := h.down
	h.down = true
	h.miss(begun)
	h.pause = min(max(2*h.pause, t.ProbeMin), t.ProbeMax)
	h.nextProbe = now.Add(h.pause)
	return !was
}

// foldsCase notes that an upstream does not keep the letter case of names.
func (u *upstream) foldsCase(until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.folds.until = until
}

// speaksEDNS notes a reply with an OPT record.
func (u *upstream) speaksEDNS() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults, u.noEDNS = 0, lesson{}
}

// withoutEDNS notes an answer to a question that only failed with EDNS. It is believed once it has happened several times in a row.
func (u *upstream) withoutEDNS(until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.faults++; u.faults >= ednsFaultsMax {
		u.noEDNS.until = until
	}
}
