package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/pace"
	"cenote/policy"
	"cenote/sighting"
)

// catalog holds the generation in force and those before it that a record may still refer to. The policy's publisher puts them in; the
// path of a query, the ledger and the query log look things up.
type catalog struct {
	policy   atomic.Pointer[policy.Policy]
	log      *slog.Logger
	truth    func(context.Context, *policy.Request, *policy.Policy) dnsserver.Truth // what a question is answered with; nil: nobody can be asked
	requires func() bool                                                            // whether a question fails that a feed might decide of which nothing has been loaded yet; nil: no

	keys func() []string // which clients may sign with; nil: nobody knows

	published func() // another generation is in force; it returns at once. Nil: nobody wants to know

	mu   sync.Mutex
	held map[uint64]*heldGeneration // guarded by mu
	last uint64                     // the generation in force; guarded by mu
}

type heldGeneration struct {
	*blocklist.Generation
	superseded time.Time // zero while it is in force
}

// catalogEvery is how often superseded generations are looked at.
const catalogEvery = time.Second

func newCatalog(log *slog.Logger) *catalog {
	return &catalog{log: log, held: map[uint64]*heldGeneration{}}
}

// publish puts g in force. Records can refer to it before the first query sees it.
func (c *catalog) publish(g *blocklist.Generation) {
	c.mu.Lock()
	if before := c.held[c.last]; before != nil {
		before.superseded = time.Now()
	}
	c.held[g.Number] = &heldGeneration{Generation: g}
	c.last = g.Number
	c.mu.Unlock()
	c.policy.Store(g.Policy)
	if c.published != nil {
		c.published()
	}
}

// generation returns the generation of that number, or nil if it is not held any more.
func (c *catalog) generation(number uint64) *blocklist.Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.held[number]; h != nil {
		return h.Generation
	}
	return nil
}

// current returns the generation in force, or nil before the first.
func (c *catalog) current() *blocklist.Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.held[c.last]; h != nil {
		return h.Generation
	}
	return nil
}

// run gives superseded generations up once no record can refer to them: drained tells since when every queue of records has been seen
// empty, and a query lives no longer than queryLife.
func (c *catalog) run(ctx context.Context, drained func() time.Time, queryLife time.Duration) error {
	tick := time.NewTicker(catalogEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if c.release(drained().Add(-queryLife)) {
				freeMemory()
			}
		}
	}
}

// freeMemory gives the memory of an old index back. By itself Go collects it when as much again has been used, and keeps it for what comes; the
// cache counts as used from the start, so that this would be after many reloads.
func freeMemory() {
	_ = pace.Behind(func() error { debug.FreeOSMemory(); return nil })
}

// release closes the generations that were superseded before t. It reports whether one had another index than what is in force: a delta takes
// little memory.
func (c *catalog) release(t time.Time) (any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number, h := range c.held {
		if h.superseded.IsZero() || !h.superseded.Before(t) {
			continue
		}
		any = any || !sameIndex(h, c.held[c.last])
		delete(c.held, number)
		if err := h.Close(); err != nil {
			c.log.Warn("closing a superseded policy", "generation", number, "err", err)
		}
	}
	return any
}

// sameIndex reports whether two generations differ in their deltas at most.
func sameIndex(a, b *heldGeneration) bool {
	if b == nil || a.Policy.Index() == nil || b.Policy.Index() == nil {
		return false
	}
	return a.Policy.Index().Base() == b.Policy.Index().Base()
}

// close gives all generations up, at the end of the process.
func (c *catalog) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.held {
		_ = h.Close()
	}
	clear(c.held)
}

// Indicator says what a match refers to, in the generation that made it; see sighting.Catalog.
func (c *catalog) Indicator(generation uint64, e *sighting.Event) (sighting.Indicator, error) {
	g := c.generation(generation)
	if g == nil {
		return sighting.Indicator{}, fmt.Errorf("policy generation %d is gone", generation)
	}
	listed := suffix(e.Name[:e.NameLen], int(e.Labels))
	rule := g.Policy.Rule(policy.Hit{Set: e.Set, Zone: e.Zone, Member: e.Member, Labels: e.Labels})
	out := sighting.Indicator{
		Name: policy.KeyText(listed), Zone: zoneName(rule.Zone), Feed: rule.Feed, Family: rule.Family, Threat: rule.Threat,
		Kind: rule.Member.Kind.String(), Confidence: -1,
	}
	if rule.Member.Confidence != policy.ConfidenceUnknown {
		out.Confidence = int(rule.Member.Confidence)
	}
	row, err := g.LocateMember(rule.Member, listed)
	if err != nil {
		c.log.Debug("tracing a match to its row", "generation", generation, "err", err)
		return out, nil // the sighting stands without its line
	}
	out.File, out.Line, out.Reference, out.Rule = row.File, row.Line, row.Reference, ruleText(&row)
	return out, nil
}

// zoneName is the name of a policy zone as evidence has it: that of a view has the view's before it.
func zoneName(z *policy.Zone) string {
	if z == nil {
		return ""
	}
	if z.View == "" {
		return z.Name
	}
	return z.View + "/" + z.Name
}

// ruleText is a row as the ledger quotes it: what the feed lists and what it says beside it.
func ruleText(r *blocklist.Row) string {
	text := r.Kind.String() + " " + policy.KeyText([]byte(r.Name))
	if r.Action != policy.ActionDefault {
		text += " " + r.Action.String()
	}
	if r.Comment != "" {
		text += " # " + r.Comment
	}
	return text
}

// suffix returns the last labels labels of a name in wire form.
func suffix(name []byte, labels int) []byte {
	var off [dnsname.LabelsMax + 1]uint8
	if n := dnsname.Offsets(name, &off); labels < n && labels > 0 {
		return name[off[n-labels]:]
	}
	return name
}
