package forecast

import (
	"net/netip"
	"time"

	"cenote/policy"

	"github.com/zeebo/xxh3"
)

// Bounds of a Tally. Up to them all is exact; above, counts are estimates that say so.
const (
	clientsExact = 1 << 17 // different clients, in all
	rowsExact    = 1 << 20 // different rows that matched
	namesExact   = 1 << 17 // different names that matched
	dayExact     = 1 << 16 // different clients of one day
	nameExact    = 1 << 9  // different clients of one name
	namesMax     = 1 << 15 // names that are told apart, those asked for most
	busiestMax   = 1 << 17 // clients that are told apart, those that asked most
	daysMax      = 400     // days that are listed
	todayMax     = 1000    // different feeds and actions of today's policy
)

// The zones of the policy that a Tally asks, by their place. The lists only record.
const (
	zoneFeed = iota
	zoneTop
	zoneAllow
)

// Zones are the policy zones for a forecast of a feed, beside lists of names that many ask for, and lists of what is allowed. Together with
// answering early they make the policy that New wants.
func Zones(feed string, top, allow []string) []policy.Zone {
	return []policy.Zone{
		zoneFeed:  {Name: "feed", Feeds: []string{feed}},
		zoneTop:   {Name: "top", Feeds: top, LogOnly: true, Observe: true},
		zoneAllow: {Name: "allow", Feeds: allow, LogOnly: true, Observe: true},
	}
}

// Query is one query of the log.
type Query struct {
	Time   time.Time
	Client netip.Addr
	Name   []byte // canonical, in wire form; none if the log has none
	RD     bool
	// Action, Feed and Enforced are what the policy of that time said; no Action: no rule matched.
	Action   string
	Feed     string
	Enforced bool
}

// Tally adds queries up. Memory is bounded by the constants above, whatever the log is.
type Tally struct {
	policy   *policy.Policy
	queries  uint64
	matched  uint64
	fresh    uint64 // matched, and no rule of today decides
	silent   uint64 // queries of which today's policy says nothing
	from     time.Time
	until    time.Time
	clients  distinct // that asked for anything
	hit      distinct // that asked for what matched
	rows     distinct
	names    distinct
	actions  [16]uint64 // by policy.Action
	days     map[int64]*day
	unlisted uint64 // matched queries of days that are not listed
	day      *day   // the last one that was counted
	today    map[today]uint64
	listed   [zoneAllow + 1]uint64 // matched queries by the zone that also lists the name
	overlaps []*Overlap
	tops     topNames
	busiest  topClients
	request  policy.Request // scratch, as the next
	key      []byte
}

type day struct {
	number           int64
	queries, matched uint64
	clients          distinct
}

// today is what the policy of the log's time did.
type today struct {
	action, feed string
	enforced     bool
}

// New makes a Tally that asks p, which has the zones of Zones.
func New(p *policy.Policy) *Tally {
	return &Tally{
		policy: p, clients: distinct{max: clientsExact}, hit: distinct{max: clientsExact}, rows: distinct{max: rowsExact}, names: distinct{max: namesExact},
		days: map[int64]*day{}, today: map[today]uint64{}, tops: topNames{all: map[string]*nameTally{}}, busiest: topClients{all: map[netip.Addr]*tracked{}},
	}
}

// Add counts one query.
func (t *Tally) Add(q *Query) {
	client := hashOf(q.Client)
	t.queries++
	t.clients.add(client)
	t.span(q.Time)
	d := t.dayOf(q.Time)
	if d != nil {
		d.queries++
	}
	if q.Action == "" {
		t.silent++
	}
	if len(q.Name) == 0 {
		return
	}
	from := netip.AddrPortFrom(q.Client, 0)
	t.request = policy.Request{Time: q.Time, Peer: from, Client: from, RD: q.RD, Class: 1, Name: q.Name}
	decision := t.policy.CheckQuery(&t.request)
	hit, lists, ok := read(&decision)
	if !ok {
		return
	}
	if d == nil {
		t.unlisted++
	} else {
		d.matched++
		d.clients.add(client)
	}
	t.match(q, client, hit, lists)
}

// read takes from a decision what the feed says, and in which zones of lists the name is.
func read(d *policy.Decision) (hit policy.Hit, lists [zoneAllow + 1]bool, ok bool) {
	if d.Matched() {
		hit, ok = d.Winner, true
	}
	for _, h := range d.Recorded() {
		switch {
		case h.Zone != zoneFeed:
			lists[h.Zone] = true
		case !ok: // the row is disabled
			hit, ok = h, true
		}
	}
	return hit, lists, ok
}

// match counts a query that the feed matches.
func (t *Tally) match(q *Query, client uint64, hit policy.Hit, lists [zoneAllow + 1]bool) {
	t.matched++
	t.hit.add(client)
	t.actions[hit.Action]++
	t.key = t.policy.AppendKey(t.key[:0], &hit, q.Name)
	t.rows.add(xxh3.Hash(append(t.key, byte(hit.Member), byte(hit.Member>>8))))
	t.names.add(xxh3.Hash(q.Name))
	for zone, is := range lists {
		if is {
			t.listed[zone]++
		}
	}
	if q.Action == "" || !q.Enforced {
		t.fresh++
	}
	if now := (today{q.Action, q.Feed, q.Enforced}); t.today[now] > 0 || len(t.today) < todayMax {
		t.today[now]++
	}
	t.tops.add(q.Name, client, hit, lists)
	t.busiest.add(q.Client)
}

func hashOf(a netip.Addr) uint64 {
	b := a.As16()
	return xxh3.Hash(b[:])
}

func (t *Tally) span(at time.Time) {
	if t.from.IsZero() || at.Before(t.from) {
		t.from = at
	}
	if at.After(t.until) {
		t.until = at
	}
}

const secondsPerDay = 86400

// dayOf returns the day (UTC) of a time, or nil if there are too many.
func (t *Tally) dayOf(at time.Time) *day {
	number := at.Unix() / secondsPerDay
	if t.day != nil && t.day.number == number {
		return t.day
	}
	d := t.days[number]
	if d == nil {
		if len(t.days) == daysMax {
			return nil
		}
		d = &day{number: number, clients: distinct{max: dayExact}}
		t.days[number] = d
	}
	t.day = d
	return d
}

// nameTally is what is counted of one name that was asked for.
type nameTally struct {
	tracked
	clients distinct
	hit     policy.Hit
	lists   [zoneAllow + 1]bool
}

// topNames are the names asked for most.
type topNames struct {
	all   map[string]*nameTally
	short uint64
}

func (t *topNames) add(name []byte, client uint64, hit policy.Hit, lists [zoneAllow + 1]bool) {
	n := t.all[string(name)]
	if n == nil {
		if len(t.all) == namesMax {
			t.short = room(t.all)
		}
		n = &nameTally{tracked: tracked{short: t.short}, clients: distinct{max: nameExact}, hit: hit, lists: lists}
		t.all[string(name)] = n
	}
	n.count++
	n.clients.add(client)
}

// topClients are the clients that asked most.
type topClients struct {
	all   map[netip.Addr]*tracked
	short uint64
}

func (t *topClients) add(client netip.Addr) {
	c := t.all[client]
	if c == nil {
		if len(t.all) == busiestMax {
			t.short = room(t.all)
		}
		c = &tracked{short: t.short}
		t.all[client] = c
	}
	c.count++
}
