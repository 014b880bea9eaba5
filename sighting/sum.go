package sighting

import (
	"encoding/base64"
	"errors"
	"slices"

	"cenote/policy"
)

// sum is a Sighting while rows are added to it.
type sum struct {
	Sighting
	hours map[uint32]*Hour
}

func newSum(r *row, t *meaning) *sum {
	g := &sum{}
	g.Client = clientAddr(&r.client)
	g.introduce(r, t)
	return g
}

// introduce takes over from the earliest row what a sighting has once: where the indicator was read when it was first seen,
// and what the rule did.
func (g *sum) introduce(r *row, t *meaning) {
	g.Indicator = t.Indicator
	g.Action, g.Trigger = policy.Action(t.action).String(), policy.Trigger(t.trigger).String()
	g.FirstSeen, g.FirstPort = joinTime(r.hour, r.samples[0].at), r.samples[0].port
}

func (g *sum) add(r *row, t *meaning, hours bool) {
	if joinTime(r.hour, r.samples[0].at).Before(g.FirstSeen) {
		g.introduce(r, t)
	}
	if last := joinTime(r.hour, r.last); !last.Before(g.LastSeen) {
		g.LastSeen, g.LastPort = last, r.lastPort
	}
	g.Count += uint64(r.count)
	g.Enforced += uint64(r.enforced)
	g.Verified += uint64(r.verified)
	g.Stale += uint64(r.stale)
	samples := exportSamples(r, t)
	g.Samples = earliest(append(g.Samples, samples...))
	if hours {
		g.addHour(r, samples)
	}
}

func (g *sum) addHour(r *row, samples []Sample) {
	if g.hours == nil {
		g.hours = map[uint32]*Hour{}
	}
	h := g.hours[r.hour]
	first, last := joinTime(r.hour, r.samples[0].at), joinTime(r.hour, r.last)
	if h == nil {
		h = &Hour{Hour: hourTime(r.hour), FirstSeen: first, FirstPort: r.samples[0].port}
		g.hours[r.hour] = h
	}
	if first.Before(h.FirstSeen) {
		h.FirstSeen, h.FirstPort = first, r.samples[0].port
	}
	if !last.Before(h.LastSeen) {
		h.LastSeen, h.LastPort = last, r.lastPort
	}
	h.Count += uint64(r.count)
	h.Enforced += uint64(r.enforced)
	h.Verified += uint64(r.verified)
	h.Stale += uint64(r.stale)
	h.Samples = earliest(append(h.Samples, samples...))
}

func (g *sum) finish() Sighting {
	for _, h := range g.hours {
		g.Sighting.Hours = append(g.Sighting.Hours, *h)
	}
	slices.SortFunc(g.Sighting.Hours, func(a, b Hour) int { return a.Hour.Compare(b.Hour) })
	return g.Sighting
}

func exportSamples(r *row, t *meaning) []Sample {
	out := make([]Sample, r.kept)
	for i := range out {
		s := &r.samples[i]
		out[i] = Sample{
			Time: joinTime(r.hour, s.at), Port: s.port, QName: joinedName(s.prefix, t.name, policy.Trigger(t.trigger)), QType: s.qtype,
			Transport: policy.Transport(s.transport).String(), Stage: s.stage,
			Enforced: s.flags&EventEnforced != 0, Verified: s.flags&EventVerified != 0, Stale: s.flags&EventStale != 0,
		}
	}
	return out
}

// earliest keeps the first samplesMax samples by time.
func earliest(s []Sample) []Sample {
	slices.SortStableFunc(s, func(a, b Sample) int { return a.Time.Compare(b.Time) })
	return s[:min(len(s), samplesMax)]
}

func sortedIdentities(sums map[identity]*sum) []identity {
	ids := make([]identity, 0, len(sums))
	for id := range sums {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, identity.compare)
	return ids
}

// cursor is where a page begins: after the indicator id of client, or with client if id is the zero identity.
type cursor struct {
	client [16]byte
	id     identity
}

var errCursor = errors.New("the cursor is not one that an earlier page gave")

// String is the form in which a cursor leaves the ledger.
func (c cursor) String() string {
	b := append([]byte(nil), c.client[:]...)
	if c.id != (identity{}) {
		for _, s := range c.id.fields() {
			b = appendText(b, s)
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (c cursor, err error) {
	if s == "" {
		return cursor{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 16 {
		return cursor{}, errCursor
	}
	copy(c.client[:], b)
	if len(b) == 16 {
		return c, nil
	}
	d := decoder{b: b[16:]}
	c.id = identity{zone: d.text(), feed: d.text(), name: d.text(), kind: d.text(), family: d.text()}
	if d.bad || len(d.b) != 0 {
		return cursor{}, errCursor
	}
	return c, nil
}
