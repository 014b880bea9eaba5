package sighting

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// The bounds of a page: sightings, and the time after which it is returned as far as it has come.
const (
	pageLimitDefault = 1000
	pageLimitMax     = 10_000
	pageTimeMax      = time.Second
	pageRestartsMax  = 8 // when day files are rewritten or put aside meanwhile
)

// ErrFilter is wrapped by the errors of a Filter that asks for nothing that can be: whoever asked has to ask otherwise.
var ErrFilter = errors.New("filtering sightings")

// Query returns a page of sightings, merged over hours and days, with what is still in memory. A page may be short, or
// even empty, and yet have a Next: it then ends where its time was over. Each read of a day file is a transaction of its
// own, so that a slow reader holds up nobody.
func (s *Store) Query(ctx context.Context, f Filter) (Page, error) {
	q, err := newQuery(&f)
	if err != nil {
		return Page{}, err
	}
	for range pageRestartsMax {
		page, err := s.page(ctx, q)
		var damage *fileDamage
		switch {
		case errors.As(err, &damage):
			s.suspect(damage.file, err)
		case !errors.Is(err, errMoved):
			return page, err
		case s.isEnded():
			return Page{}, ErrClosed
		}
	}
	return Page{}, fmt.Errorf("reading sightings: %w", errMoved)
}

// All returns the sightings of all pages of f from its cursor on.
func (s *Store) All(ctx context.Context, f Filter) iter.Seq2[Sighting, error] {
	return func(yield func(Sighting, error) bool) {
		for {
			page, err := s.Query(ctx, f)
			if err != nil {
				yield(Sighting{}, err)
				return
			}
			for _, g := range page.Sightings {
				if !yield(g, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			f.Cursor = page.Next
		}
	}
}

func (s *Store) isEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// query is a Filter made ready.
type query struct {
	Filter
	at                 cursor
	from, to           [16]byte // clients
	hourFrom, hourLast uint32
	suffix             string       // of the listed name, canonical, in wire form; empty: any
	prefix             netip.Prefix // of the listed address or prefix; the zero value: any
}

func newQuery(f *Filter) (*query, error) {
	q := &query{Filter: *f, to: lastClient, hourLast: 1<<32 - 1}
	if q.Limit <= 0 {
		q.Limit = pageLimitDefault
	}
	q.Limit = min(q.Limit, pageLimitMax)
	if f.Client.IsValid() {
		q.from, q.to = clientRange(f.Client)
	}
	if err := q.setIndicator(f.Indicator); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFilter, err)
	}
	if !f.Since.IsZero() {
		q.hourFrom = hourOf(f.Since)
	}
	if !f.Until.IsZero() {
		q.hourLast = hourOf(f.Until.Add(-1))
	}
	var err error
	if q.at, err = parseCursor(f.Cursor); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFilter, err)
	}
	if bytes.Compare(q.at.client[:], q.from[:]) > 0 {
		q.from = q.at.client
	}
	return q, nil
}

// setIndicator reads what must be listed: a name, or an address or prefix.
func (q *query) setIndicator(text string) error {
	if text == "" {
		return nil
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		q.prefix = p.Masked()
		return nil
	}
	if a, err := netip.ParseAddr(text); err == nil {
		q.prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	n, err := dnsname.Parse(text)
	q.suffix = string(n.Canonical())
	return err
}

// clientRange returns the first and the last address of a prefix in the ledger's form.
func clientRange(p netip.Prefix) (from, to [16]byte) {
	p = p.Masked()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	from = p.Addr().As16()
	to = from
	for i := bits; i < 128; i++ {
		to[i/8] |= 0x80 >> (i % 8)
	}
	return from, to
}

// wants reports whether a row's time was asked for.
func (q *query) wants(r *row) bool {
	if !q.Since.IsZero() && joinTime(r.hour, r.last).Before(q.Since.Truncate(time.Microsecond)) {
		return false
	}
	return q.Until.IsZero() || joinTime(r.hour, r.samples[0].at).Before(q.Until)
}

// accepts reports whether a term was asked for.
func (q *query) accepts(r *rule, name string) bool {
	if q.Zone != "" && q.Zone != r.zone || q.Feed != "" && q.Feed != r.feed || q.Family != "" && q.Family != r.family {
		return false
	}
	if q.prefix.IsValid() {
		p, ok := policy.KeyPrefix([]byte(name))
		return ok && p.Overlaps(q.prefix)
	}
	if q.suffix == "" {
		return true
	}
	n := dnsname.Name(name)
	return n == dnsname.Name(q.suffix) || name != "" && n.IsBelow(dnsname.Name(q.suffix))
}

// accepted reports whether a merged sighting was asked for.
func (q *query) accepted(g *Sighting) bool {
	switch q.Enforcement {
	case EnforcedOnly:
		return g.Enforced > 0
	case ObservedOnly:
		return g.Enforced == 0
	case AnyEnforcement:
		return true
	}
	return true
}

// source gives rows in order of client.
type source interface {
	// current is the row that the last advance found. It is valid until the next one.
	current() *row
	// term tells what the indicator of the current row stands for.
	term() (*meaning, error)
	advance() (ok bool, err error)
}

// meaning is what a number of a source stands for.
type meaning struct {
	Indicator
	name            string // in wire form
	action, trigger uint8
	accepted        bool
}

func newMeaning(q *query, r *rule, action, trigger uint8, name, encodedPlace string) (*meaning, error) {
	p, err := readPlace([]byte(encodedPlace))
	if err != nil {
		return nil, err
	}
	m := &meaning{name: name, action: action, trigger: trigger, accepted: q.accepts(r, name)}
	m.Indicator = Indicator{
		Name: p.name, Zone: r.zone, Feed: r.feed, Family: r.family, Threat: r.threat, Kind: r.kind,
		File: p.file, Line: p.line, Reference: p.reference, Rule: p.rule, Confidence: r.confidence,
	}
	if p.name == "" {
		m.Name = nameText([]byte(name))
	}
	return m, nil
}

// page reads one page.
func (s *Store) page(ctx context.Context, q *query) (Page, error) {
	sources, bound, err := s.sources(q)
	if err != nil {
		return Page{}, err
	}
	m := &merger{q: q, sources: sources}
	heap.Init(m)
	deadline := time.Now().Add(pageTimeMax)
	for len(m.sources) > 0 {
		client := m.sources[0].current().client
		switch {
		case bound != nil && bytes.Compare(client[:], bound[:]) >= 0:
			return m.end(cursor{client: *bound}), nil
		case len(m.out) >= q.Limit, ctx.Err() != nil, m.clients > 0 && time.Now().After(deadline):
			return m.end(cursor{client: client}), ctx.Err()
		}
		if err := m.gather(client); err != nil {
			return Page{}, err
		}
		if next := m.emit(client); next != nil {
			return m.end(*next), nil
		}
	}
	if bound != nil {
		return m.end(cursor{client: *bound}), nil
	}
	return Page{Sightings: m.out}, nil
}

// sources opens everything that may hold rows for q. If bound is not nil, they are complete only for clients before it.
func (s *Store) sources(q *query) (all []source, bound *[16]byte, err error) {
	v := s.look(q)
	defer v.release()
	bound = v.bound
	if len(v.active.rows) > 0 {
		all = append(all, v.active)
	}
	for _, m := range v.memories {
		src, end := m.copy(q, v.applied)
		s.ledger.mu.Lock()
		m.explain(&s.ledger, q, src)
		s.ledger.mu.Unlock()
		if end != nil && (bound == nil || bytes.Compare(end[:], bound[:]) < 0) {
			bound = end
		}
		if len(src.rows) > 0 {
			all = append(all, src)
		}
	}
	for _, o := range v.runs {
		src, err := openRun(q, o)
		if err != nil {
			return nil, nil, err
		}
		if src != nil {
			all = append(all, src)
		}
	}
	return all, bound, nil
}

// merger gathers the rows of one client after the other from all sources. As a heap it is ordered by their current clients.
type merger struct {
	q       *query
	sources []source
	sums    map[identity]*sum
	upper   *identity // sums has none from here on: they are for a later page
	out     []Sighting
	clients int
}

// Len is how many sources have rows left.
func (m *merger) Len() int { return len(m.sources) }

// Less puts the source whose current client is the lowest address first.
func (m *merger) Less(i, j int) bool {
	a, b := m.sources[i].current(), m.sources[j].current()
	return bytes.Compare(a.client[:], b.client[:]) < 0
}

// Swap swaps two sources.
func (m *merger) Swap(i, j int) { m.sources[i], m.sources[j] = m.sources[j], m.sources[i] }

// Push adds a source.
func (m *merger) Push(x any) { m.sources = append(m.sources, x.(source)) }

// Pop takes the last source away.
func (m *merger) Pop() any {
	last := m.sources[len(m.sources)-1]
	m.sources = m.sources[:len(m.sources)-1]
	return last
}

// gather sums up all rows of client.
func (m *merger) gather(client [16]byte) error {
	m.sums, m.upper = map[identity]*sum{}, nil
	m.clients++
	for len(m.sources) > 0 {
		src := m.sources[0]
		r := src.current()
		if r.client != client {
			return nil
		}
		if m.q.wants(r) {
			t, err := src.term()
			if err != nil {
				return err
			}
			if t.accepted {
				m.add(r, t)
			}
		}
		ok, err := src.advance()
		switch {
		case err != nil:
			return err
		case ok:
			heap.Fix(m, 0)
		default:
			heap.Pop(m)
		}
	}
	return nil
}

func (m *merger) add(r *row, t *meaning) {
	id := identityOf(&t.Indicator)
	g := m.sums[id]
	if g == nil {
		if m.elsewhere(r.client, id) {
			return
		}
		g = newSum(r, t)
		m.sums[id] = g
	}
	g.add(r, t, m.q.Hours)
	if len(m.sums) > 4*m.q.Limit {
		m.prune()
	}
}

// elsewhere reports whether an indicator of a client was on an earlier page or will be on a later one.
func (m *merger) elsewhere(client [16]byte, id identity) bool {
	if m.upper != nil && id.compare(*m.upper) >= 0 {
		return true
	}
	return client == m.q.at.client && m.q.at.id != (identity{}) && id.compare(m.q.at.id) <= 0
}

// prune leaves the indicators of a client with very many that lie beyond this page to a later one, so that what a page costs
// does not grow with them.
func (m *merger) prune() {
	ids := sortedIdentities(m.sums)
	for _, id := range ids[m.q.Limit:] {
		delete(m.sums, id)
	}
	m.upper = &ids[m.q.Limit]
}

// emit appends the sightings of a client in their order. If the page is full, or sightings were left to a later one, it
// returns where the next begins.
func (m *merger) emit(client [16]byte) *cursor {
	var last *cursor
	for _, id := range sortedIdentities(m.sums) {
		last = &cursor{client: client, id: id}
		g := m.sums[id].finish()
		if !m.q.accepted(&g) {
			continue
		}
		if m.out = append(m.out, g); len(m.out) >= m.q.Limit {
			return last
		}
	}
	if m.upper != nil {
		return last
	}
	return nil
}

func (m *merger) end(at cursor) Page { return Page{Sightings: m.out, Next: at.String()} }

// identity is what makes indicators of several generations and days one.
type identity struct{ zone, feed, name, kind, family string }

func identityOf(in *Indicator) identity {
	return identity{zone: in.Zone, feed: in.Feed, name: in.Name, kind: in.Kind, family: in.Family}
}

func (i identity) compare(o identity) int {
	a, b := i.fields(), o.fields()
	for n := range a {
		if c := strings.Compare(a[n], b[n]); c != 0 {
			return c
		}
	}
	return 0
}

func (i identity) fields() [5]string { return [5]string{i.zone, i.feed, i.name, i.kind, i.family} }
