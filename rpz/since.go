package rpz

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// Changes are what makes the zone of one policy that of another, but for the SOA record: all records of each owner that has others than before.
// They are in canonical order of their owners.
type Changes struct {
	Removed, Added []Record
}

// Since finds what has changed since the zone of before, whose records were gone through to the end, or that came of Since. It makes only the parts of both
// zones where rules differ, which the order of the names finds; that of before's serves, if this one has none. Afterwards Report tells of the zone of g as if
// all its records had been gone through. false is that the changes cannot be told from those of the lists and from what has expired, since anything else has
// changed, or that more than most names are in those parts.
func (g *Generator) Since(before *Generator, most int) (c Changes, ok bool) {
	if !g.continues(before) {
		return c, false
	}
	changed, ok := nameindex.Changed(before.policy.Index(), g.policy.Index(), g.sort.Rest)
	if changed = append(changed, g.expired(before.at)...); !ok || len(changed) > most {
		return c, false
	}
	changed = slices.DeleteFunc(changed, func(key []byte) bool { return policy.TriggerOf(key) == policy.TriggerPattern })
	parts := g.parts(before, changed)
	if g.order == nil {
		g.follow(before.order)
	}
	keys, ok := g.Order().Below(g.policy.Index(), parts.tops, most, g.sort.Rest)
	if !ok {
		return c, false
	}
	for _, key := range changed { // those that have expired are listed
		if _, listed := g.policy.Index().Lookup(key); !listed {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareKeys)
	had := before.report
	was, wasReport := before.within(parts, keys)
	is, isReport := g.within(parts, keys)
	before.report, g.report = had, had
	g.report.change(&wasReport, -1)
	g.report.change(&isReport, 1)
	g.report.Patterns = g.patterns()
	return changesOf(was, is), true
}

// expired are the listed names of which rules have expired since a time.
func (g *Generator) expired(since time.Time) [][]byte {
	sets := g.policy.Expired(since, g.at)
	if !slices.Contains(sets, true) {
		return nil
	}
	return g.policy.Index().Having(sets, g.sort.Rest)
}

// compareKeys is the canonical order of names, with all others behind them: query names that look like those must not come between.
func compareKeys(a, b []byte) int {
	x, y := policy.TriggerOf(a), policy.TriggerOf(b)
	return cmp.Or(cmp.Compare(x, y), dnsname.Compare(dnsname.Name(a), dnsname.Name(b)))
}

// continues reports whether the zones of g and before can differ only where their lists do.
func (g *Generator) continues(before *Generator) bool {
	a, b := before.policy, g.policy
	if a.Index() == nil || b.Index() == nil || g.apex != before.apex || g.at.Before(before.at) || !reflect.DeepEqual(g.answer, before.answer) {
		return false
	}
	m, n := a.Manifest(), b.Manifest()
	sameFeed := func(x, y policy.Feed) bool { return x.Name == y.Name && x.ClosestEncloser == y.ClosestEncloser }
	threats, data := min(len(m.Threats), len(n.Threats)), min(len(m.Data), len(n.Data))
	if !slices.EqualFunc(m.Feeds, n.Feeds, sameFeed) || !slices.Equal(m.Threats[:threats], n.Threats[:threats]) || !reflect.DeepEqual(m.Data[:data], n.Data[:data]) ||
		!reflect.DeepEqual(a.Zones(), b.Zones()) {
		return false
	}
	for zone := range b.Zones() {
		if h := (policy.Hit{Zone: uint16(zone)}); before.comesLate(h) != g.comesLate(h) {
			return false
		}
	}
	return true
}

// parts are subtrees of the names, none within another.
type parts struct {
	tops [][]byte
	is   map[string]bool
}

// parts are where the zones of g and before can differ, if the rules of the changed names alone do.
func (g *Generator) parts(before *Generator, changed [][]byte) parts {
	all := map[string]bool{}
	for _, key := range changed {
		all[string(longer(g.part(key), before.part(key)))] = true
	}
	p := parts{is: map[string]bool{}}
	for top := range all {
		if !dnsname.Name(top).IsRoot() && isWithin(all, dnsname.Name(top).Parent()) {
			continue
		}
		p.is[top] = true
		p.tops = append(p.tops, []byte(top))
	}
	return p
}

// longer is the one of two subtrees of one name that has the other within it.
func longer(a, b []byte) []byte {
	if len(a) < len(b) {
		return a
	}
	return b
}

// isWithin reports whether a name equals or lies below one of those given.
func isWithin(tops map[string]bool, name dnsname.Name) bool {
	for ; !tops[string(name)]; name = name.Parent() {
		if name.IsRoot() {
			return false
		}
	}
	return true
}

// part is the top of what can change with the rules of one key. What is not about names is one part for each trigger, since prefixes rule others. A name
// rules those below it, and has names written out up to the wildcard above it, so that the part is all up to the topmost wildcard.
func (g *Generator) part(key []byte) []byte {
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(key, &starts)
	if policy.TriggerOf(key) != policy.TriggerQNAME {
		return key[starts[labels-1]:]
	}
	var matches [dnsname.LabelsMax + 1]nameindex.Match
	for _, m := range matches[:g.policy.Index().Walk(key, matches[:])] {
		if int(m.Labels) == labels {
			break
		}
		above := above{below: g.say(g.policy.Ruling(tail(key, &starts, labels, int(m.Labels)), true, g.at))}
		if above.says() {
			return tail(key, &starts, labels, int(m.Labels)+1)
		}
	}
	return key
}

// tail is the last n of the labels of a name.
func tail(name []byte, starts *[dnsname.LabelsMax + 1]uint8, labels, n int) []byte {
	if n == 0 {
		return name[len(name)-1:]
	}
	return name[starts[labels-n]:]
}

// within makes the records in some parts of the zone, where keys are what is listed in them, or was, in the order of compareKeys; and what becomes of
// their rules.
func (g *Generator) within(p parts, keys [][]byte) (records []Record, r Report) {
	g.report, g.over, g.stack, g.aside = Report{}, false, nil, false
	take := func(r Record) bool {
		r.Owner, r.Data = bytes.Clone(r.Owner), bytes.Clone(r.Data)
		records = append(records, r)
		return true
	}
	top := []byte(nil)
	for _, key := range keys {
		g.sort.Rest()
		if top == nil || !bytes.Equal(key, top) && !isBelow(key, top) {
			g.closePart()
			for top = key; !p.is[string(top)]; top = top[1+int(top[0]):] {
			}
			g.openPart(top)
			g.yield = take
		}
		if _, listed := g.policy.Index().Lookup(key); listed {
			g.listed(key)
		}
	}
	g.closePart()
	slices.SortStableFunc(records, func(a, b Record) int { return dnsname.Compare(dnsname.Name(a.Owner), dnsname.Name(b.Owner)) })
	return records, g.report
}

// openPart goes through the listed names above a part, of which nothing is written.
func (g *Generator) openPart(top []byte) {
	g.stack, g.apart, g.aside, g.yield = nil, nil, false, func(Record) bool { return true }
	if policy.TriggerOf(top) != policy.TriggerQNAME {
		return
	}
	report := g.report
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(top, &starts)
	var matches [dnsname.LabelsMax + 1]nameindex.Match
	for _, m := range matches[:g.policy.Index().Walk(top, matches[:])] {
		if int(m.Labels) < labels {
			g.listed(tail(top, &starts, labels, int(m.Labels)))
		}
	}
	for i := range g.stack {
		g.stack[i].written = true
	}
	g.report = report
}

// closePart writes the asterisks of a part that are left.
func (g *Generator) closePart() {
	g.turn(false)
	g.leave(nil)
}

// changesOf compares the records of parts of two zones.
func changesOf(was, is []Record) (c Changes) {
	for len(was) > 0 || len(is) > 0 {
		old, fresh := ownerOf(was), ownerOf(is)
		order := 0
		switch {
		case len(old) == 0:
			order = 1
		case len(fresh) == 0:
			order = -1
		default:
			order = dnsname.Compare(dnsname.Name(old[0].Owner), dnsname.Name(fresh[0].Owner))
		}
		if order != 0 || !slices.EqualFunc(old, fresh, sameRecord) {
			if order <= 0 {
				c.Removed = appendOnce(c.Removed, old)
			}
			if order >= 0 {
				c.Added = appendOnce(c.Added, fresh)
			}
		}
		if order <= 0 {
			was = was[len(old):]
		}
		if order >= 0 {
			is = is[len(fresh):]
		}
	}
	return c
}

// ownerOf is the first records, which have one owner.
func ownerOf(records []Record) []Record {
	n := 0
	for n < len(records) && bytes.Equal(records[n].Owner, records[0].Owner) {
		n++
	}
	return records[:n]
}

func sameRecord(a, b Record) bool {
	return a.Type == b.Type && a.TTL == b.TTL && bytes.Equal(a.Data, b.Data)
}

// appendOnce appends the records of one owner, each but once (RFC 2181 section 5).
func appendOnce(to, records []Record) []Record {
	from := len(to)
	for _, r := range records {
		if !slices.ContainsFunc(to[from:], func(have Record) bool { return have.Type == r.Type && bytes.Equal(have.Data, r.Data) }) {
			to = append(to, r)
		}
	}
	return to
}
