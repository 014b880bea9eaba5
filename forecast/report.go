package forecast

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// Report is what was counted.
type Report struct {
	Queries uint64    `json:"queries"` // of the log that a policy would be asked about
	From    time.Time `json:"from,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	Clients Count     `json:"clients"` // that asked for anything
	Matched Matched   `json:"matched"`
	Days    []Day     `json:"days"`  // UTC
	Names   []Name    `json:"names"` // that were asked for most, of those that match
	Busiest []Client  `json:"busiest"`
	Rows    Rows      `json:"rows"`
	// Today is what the policy of the log's time did with the queries that match, most first.
	Today []Today   `json:"today"`
	Lists []Overlap `json:"lists"`
	// AllMatched says that a rule of its time matched every query of the log: it seems to hold matches alone, and a forecast can see nothing else.
	AllMatched bool `json:"all_matched,omitempty"`
}

// Matched is what the feed would have matched.
type Matched struct {
	Queries uint64 `json:"queries"`
	New     uint64 `json:"new"` // of these, what no rule decided then
	Clients Count  `json:"clients"`
	Names   Count  `json:"names"` // different names that were asked for
	// Actions counts the queries by what the feed's rows would have done; what they leave to the policy zone is sinkhole.
	Actions map[string]uint64 `json:"actions"`
	// Top and Allow are those of the queries whose name is at or below one of a list.
	Top   uint64 `json:"top"`
	Allow uint64 `json:"allow"`
	// Unlisted are those of days that are not listed, above 400.
	Unlisted uint64 `json:"unlisted,omitempty"`
}

// Day is what one day would have seen.
type Day struct {
	Day     string `json:"day"` // 2006-01-02
	Queries uint64 `json:"queries"`
	Matched uint64 `json:"matched"`
	Clients Count  `json:"clients"` // of the matches
}

// Name is a name that was asked for and would have matched.
type Name struct {
	Name    string `json:"name"` // escaped
	Queries uint64 `json:"queries"`
	Short   uint64 `json:"short,omitempty"` // how many more it may have been
	Clients Count  `json:"clients"`
	Listed  string `json:"listed"` // what the feed lists, escaped
	Action  string `json:"action"`
	Family  string `json:"family,omitempty"`
	Threat  string `json:"threat,omitempty"`
	File    string `json:"file,omitempty"` // the row, filled by who has the feed
	Line    int    `json:"line,omitempty"`
	Top     bool   `json:"top,omitempty"`   // it is at or below a name of a top list
	Allow   bool   `json:"allow,omitempty"` // or of an allow list

	Key    []byte        `json:"-"` // of the row
	Member policy.Member `json:"-"`
}

// Client is a client that would have been seen.
type Client struct {
	Client  netip.Addr `json:"client"`
	Queries uint64     `json:"queries"`
	Short   uint64     `json:"short,omitempty"` // how many more it may have been
}

// Rows is how much of the feed the log has use for. A row matches if it decides a query: of two that list a name, one does.
type Rows struct {
	Entries    int                  `json:"entries"` // of the feed
	Matched    Count                `json:"matched"`
	Never      uint64               `json:"never"`
	Unreplayed policy.TriggerCounts `json:"unreplayed,omitzero"` // of the entries, those about what a log does not have: answers and name servers
}

// Today is what the policy of the log's time did with queries that match.
type Today struct {
	Action   string `json:"action,omitempty"` // none: no rule matched
	Feed     string `json:"feed,omitempty"`
	Enforced bool   `json:"enforced"`
	Queries  uint64 `json:"queries"`
}

// Overlap is what the feed would stop of a list.
type Overlap struct {
	List    string        `json:"list"`
	Allow   bool          `json:"allow,omitempty"` // it is a list of what is allowed; otherwise one of what many ask for
	Entries int           `json:"entries"`
	Stopped int           `json:"stopped"`
	First   []OverlapName `json:"first"` // those that stand first in the list
}

// OverlapName is a name of a list that the feed lists.
type OverlapName struct {
	Name   string `json:"name"`
	Place  int    `json:"place"`  // its line in the list
	Listed string `json:"listed"` // what the feed lists
	Action string `json:"action"`
}

// overlapFirst is how many names of a list that the feed stops are shown.
const overlapFirst = 20

// Overlap begins the comparison with a list that has so many entries, and returns what takes its names, one by one, with their place.
func (t *Tally) Overlap(list string, allow bool, entries int) (add func(name []byte, place int, at time.Time)) {
	o := &Overlap{List: list, Allow: allow, Entries: entries, First: []OverlapName{}}
	t.overlaps = append(t.overlaps, o)
	return func(name []byte, place int, at time.Time) {
		d := t.policy.CheckQuery(&policy.Request{Time: at, RD: true, Class: 1, Name: name})
		if hit, _, ok := read(&d); ok && hit.Action != policy.ActionPassthru {
			o.Stopped++
			t.key = t.policy.AppendKey(t.key[:0], &hit, name)
			o.note(OverlapName{textOf(name), place, policy.KeyText(t.key), hit.Action.String()})
		}
	}
}

// note keeps the names that stand first.
func (o *Overlap) note(n OverlapName) {
	i, _ := slices.BinarySearchFunc(o.First, n, func(a, b OverlapName) int { return cmp.Compare(a.Place, b.Place) })
	if i < overlapFirst {
		o.First = slices.Insert(o.First, i, n)
		o.First = o.First[:min(len(o.First), overlapFirst)]
	}
}

// Report says what has been counted so far, with so many names and clients.
func (t *Tally) Report(top int) Report {
	r := Report{
		Queries: t.queries, From: t.from, Until: t.until, Clients: t.clients.count(), Days: t.dayList(), Names: t.nameList(top), Busiest: t.clientList(top),
		Rows: t.rowCounts(), Today: t.todayList(), Lists: t.overlapList(), AllMatched: t.queries > 0 && t.silent == 0,
		Matched: Matched{
			Queries: t.matched, New: t.fresh, Clients: t.hit.count(), Names: t.names.count(), Actions: map[string]uint64{}, Top: t.listed[zoneTop],
			Allow: t.listed[zoneAllow], Unlisted: t.unlisted,
		},
	}
	for action, n := range t.actions {
		if n > 0 {
			r.Matched.Actions[policy.Action(action).String()] = n
		}
	}
	return r
}

func (t *Tally) dayList() []Day {
	out := []Day{}
	for _, number := range slices.Sorted(maps.Keys(t.days)) {
		d := t.days[number]
		date := time.Unix(number*secondsPerDay, 0).UTC().Format(time.DateOnly)
		out = append(out, Day{date, d.queries, d.matched, d.clients.count()})
	}
	return out
}

func (t *Tally) nameList(top int) []Name {
	keys := slices.SortedFunc(maps.Keys(t.tops.all), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.tops.all[b].count, t.tops.all[a].count), dnsname.Compare(dnsname.Name(a), dnsname.Name(b)))
	})
	out := []Name{}
	for _, key := range keys[:min(len(keys), top)] {
		out = append(out, t.name([]byte(key), t.tops.all[key]))
	}
	return out
}

func (t *Tally) name(name []byte, n *nameTally) Name {
	rule, key := t.policy.Rule(n.hit), t.policy.AppendKey(nil, &n.hit, name)
	return Name{
		Name: textOf(name), Queries: n.count, Short: n.short, Clients: n.clients.count(), Listed: policy.KeyText(key), Action: n.hit.Action.String(),
		Family: rule.Family, Threat: rule.Threat, Top: n.lists[zoneTop], Allow: n.lists[zoneAllow], Key: key, Member: rule.Member,
	}
}

func (t *Tally) clientList(top int) []Client {
	out := []Client{}
	for addr, c := range t.busiest.all {
		out = append(out, Client{addr, c.count, c.short})
	}
	slices.SortFunc(out, func(a, b Client) int { return cmp.Or(cmp.Compare(b.Queries, a.Queries), a.Client.Compare(b.Client)) })
	return slices.Clone(out[:min(len(out), top)])
}

func (t *Tally) rowCounts() Rows {
	var out Rows
	feeds := t.policy.Zones()[zoneFeed].Feeds
	for _, f := range t.policy.Manifest().Feeds {
		if f.Name == feeds[0] {
			out.Entries, out.Unreplayed = f.Entries, f.Triggers
			out.Unreplayed.ClientIP = 0 // the log has clients
		}
	}
	out.Matched = t.rows.count()
	out.Never = uint64(max(0, out.Entries-int(out.Matched.Count)))
	return out
}

func (t *Tally) todayList() []Today {
	out := []Today{}
	for k, n := range t.today {
		out = append(out, Today{k.action, k.feed, k.enforced, n})
	}
	slices.SortFunc(out, func(a, b Today) int {
		return cmp.Or(cmp.Compare(b.Queries, a.Queries), cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Action, b.Action))
	})
	return out
}

func (t *Tally) overlapList() []Overlap {
	out := []Overlap{}
	for _, o := range t.overlaps {
		out = append(out, *o)
	}
	return out
}

func textOf(name []byte) string { return string(dnsname.AppendText(nil, name)) }
