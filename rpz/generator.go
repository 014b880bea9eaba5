package rpz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
	"cenote/wire"
)

// Config is what a Generator is made from.
type Config struct {
	// Apex is the name of the zone. Required. Example: rpz.corp.example.
	Apex dnsname.Name
	// Policy is what the zone is to say: an excerpt; see policy.Policy.Excerpt. Required.
	Policy *policy.Policy
	// Answer is said in place of what the policy does to names that it stops. Default: what the policy does.
	Answer Answer
	// At is the time for which the zone is made: rules that have expired then are not in it. Required.
	At time.Time
	// Names is how many names are held in memory at once to find their order. Default: that of nameindex.SortOptions. Example: 100_000.
	Names int
	// Order is the order of the names of an index that the policy's came of: it is found from that, with as little work as has changed. Default: it is found
	// anew when it is needed.
	Order *nameindex.Order
	// Rest is called after each small piece of the work, so that queries can be let through. Default: nothing.
	Rest func()
}

// Record is one record of the zone. What it refers to lives until the next.
type Record struct {
	Owner []byte // canonical, in wire form, with the apex
	Type  uint16
	TTL   uint32 // seconds
	Data  []byte // in wire form
}

// Generator makes the records of a zone.
type Generator struct {
	apex   dnsname.Name
	policy *policy.Policy
	answer Answer
	at     time.Time
	sort   nameindex.SortOptions
	order  *nameindex.Order // nil until it is needed
	deeds  map[deed]*said
	byText map[string]*said
	passes *said
	report Report

	yield func(Record) bool
	over  bool    // whoever takes the records wants no more
	stack []above // the names above the one that comes next, the shortest first
	apart []above // the stack of query names while what is no query name comes, which stands among them and lies below none
	aside bool    // it is in use
	owner []byte
}

// above is a name with records for what lies below it.
type above struct {
	name    []byte
	below   *said // what its asterisk says, or nil
	written bool  // its asterisk
	covered bool  // its asterisk or one above has records
}

// ErrConfig is wrapped by errors about a Config that no zone can be made of.
var ErrConfig = errors.New("no policy zone can be made")

// apexMax is how long the name of a zone may be, in octets, so that there is room for the names in it.
const apexMax = 128

// New checks c.
func New(c Config) (*Generator, error) {
	switch a := &c.Answer; {
	case c.Policy == nil || c.Apex == "":
		return nil, fmt.Errorf("%w without a name and a policy", ErrConfig)
	case len(c.Apex) > apexMax:
		return nil, fmt.Errorf("%w: its name %s has more than %d octets, and leaves no room for the names in it", ErrConfig, c.Apex, apexMax)
	case a.Action == policy.ActionLocalData && a.Target == "", a.Action == policy.ActionDisabled, a.Action == policy.ActionPassthru:
		return nil, fmt.Errorf("%w: the action %s is none for all that is stopped", ErrConfig, a.Action)
	}
	g := &Generator{
		apex: c.Apex.Canonical(), policy: c.Policy, answer: c.Answer, at: c.At, sort: nameindex.SortOptions{Names: c.Names, Rest: c.Rest},
		deeds: map[deed]*said{}, byText: map[string]*said{},
	}
	if g.sort.Rest == nil {
		g.sort.Rest = func() {}
	}
	g.passes = g.unify(alias(targetPassthru, passthruTTL))
	g.follow(c.Order)
	return g, nil
}

// follow makes the order of another index that of the policy's, if that came of it.
func (g *Generator) follow(from *nameindex.Order) {
	if index := g.policy.Index(); index != nil && from != nil {
		g.order, _ = from.Follow(index, g.sort.Rest)
	}
}

// Order is the order of the names of the policy's index, for the Config of a generator that follows; nil of a policy without one.
func (g *Generator) Order() *nameindex.Order {
	if index := g.policy.Index(); index != nil && g.order == nil {
		g.order = index.Order(g.sort)
	}
	return g.order
}

// passthruTTL is how long, in seconds, a record lives that is there only to let a name through below a wildcard.
const passthruTTL = 60

// Report tells what became of the rules when Records was gone through to the end the last time.
func (g *Generator) Report() Report { return g.report }

// Records yields the records of the zone in canonical order of their owners, but for the SOA and NS records of its apex; see Apex.
func (g *Generator) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		g.yield, g.over, g.report, g.stack, g.aside = yield, false, Report{Records: 2}, nil, false
		g.report.Patterns = g.patterns()
		if index := g.policy.Index(); index != nil {
			for key := range g.Order().Names(index, g.sort.Rest) {
				if g.listed(key); g.over {
					return
				}
			}
		}
		g.turn(false)
		g.leave(nil)
	}
}

// patterns is how many patterns the feeds have.
func (g *Generator) patterns() (n int) {
	for _, f := range g.policy.Manifest().Feeds {
		if slices.ContainsFunc(g.policy.Zones(), func(z policy.Zone) bool { return slices.Contains(z.Feeds, f.Name) }) {
			n += f.Triggers.Pattern
		}
	}
	return n
}

// turn leaves the names between which what is no query name stands, or comes back to them.
func (g *Generator) turn(aside bool) {
	switch {
	case aside && !g.aside:
		g.apart, g.stack = g.stack, nil
	case !aside && g.aside:
		g.leave(nil)
		g.stack = g.apart
	}
	g.aside = aside
}

// listed writes what there is to say about a listed name, and what lies between it and the one above it.
func (g *Generator) listed(key []byte) {
	trigger := policy.TriggerOf(key)
	if trigger == policy.TriggerPattern {
		return // counted by feed
	}
	at, below := g.policy.Ruling(key, false, g.at), g.policy.Ruling(key, true, g.at)
	name := bytes.Clone(key)
	dnsname.Lower(name, name)
	if trigger == policy.TriggerQNAME && isReserved(name) {
		g.report.Reserved++
		return
	}
	if trigger == policy.TriggerClientIP && g.comesLate(at) {
		g.report.Order++
		return
	}
	if trigger != policy.TriggerQNAME && !g.aside {
		g.leave(name)
	}
	g.turn(trigger != policy.TriggerQNAME)
	g.leave(name)
	self, under := g.say(at), g.say(below)
	top := g.top()
	if self == nil && under == nil && !top.covered {
		return
	}
	labels := dnsname.Name(name).Labels()
	own := trigger.ByAddress() || at.Trigger != policy.TriggerNone && int(at.Labels) == labels || below.Trigger != policy.TriggerNone && int(below.Labels) == labels
	if !own && self == top.below && under == top.below {
		return // it is listed, but not for us
	}
	g.fill(name)
	g.report.Names++
	g.write(name, self, g.top().covered)
	g.enter(name, under)
}

// comesLate reports whether a rule about clients stands in a zone behind others: there it is asked after them, and in RPZ before.
func (g *Generator) comesLate(h policy.Hit) bool {
	zones, feeds := g.policy.Zones(), g.policy.Manifest().Feeds
	for _, z := range zones[:h.Zone] {
		for i := range feeds {
			if slices.Contains(z.Feeds, feeds[i].Name) && feeds[i].Entries > feeds[i].Triggers.ClientIP {
				return true
			}
		}
	}
	return false
}

// isReserved reports whether a name has another meaning in a policy zone.
func isReserved(name []byte) bool {
	last := name
	for rest := name; rest[0] != 0; rest = rest[1+int(rest[0]):] {
		if last = rest; rest[0] == 1 && rest[1] == '*' {
			return true
		}
	}
	return bytes.HasPrefix(last[1:], []byte("rpz-"))
}

// top is the name above all that comes.
func (g *Generator) top() above {
	if len(g.stack) == 0 {
		return above{}
	}
	return g.stack[len(g.stack)-1]
}

// enter notes that names below name follow.
func (g *Generator) enter(name []byte, below *said) {
	a := above{name: name, below: below, covered: g.top().covered}
	a.covered = a.covered || a.says()
	g.stack = append(g.stack, a)
}

// says reports whether the asterisk itself has something to say.
func (a *above) says() bool { return a.below != nil && len(a.below.records) > 0 }

// leave writes the asterisks that come before name, and forgets the names that it does not lie below. nil is the end.
func (g *Generator) leave(name []byte) {
	for i := len(g.stack) - 1; i >= 0; i-- {
		a := &g.stack[i]
		within := name != nil && isBelow(name, a.name)
		if !a.written && (!within || comesAfterAsterisk(name, a.name)) {
			g.asterisk(i)
		}
		if !within {
			g.stack = g.stack[:i]
		}
	}
}

// isBelow reports whether name lies strictly below parent; both are in wire form.
func isBelow(name, parent []byte) bool { return dnsname.Name(name).IsBelow(dnsname.Name(parent)) }

// comesAfterAsterisk reports whether the label of name directly below parent comes after an asterisk.
func comesAfterAsterisk(name, parent []byte) bool {
	rest := name
	for len(rest)-1-int(rest[0]) > len(parent) {
		rest = rest[1+int(rest[0]):]
	}
	return bytes.Compare(rest[1:1+int(rest[0])], []byte("*")) > 0
}

// asterisk writes the records for what lies below the i-th of the stack.
func (g *Generator) asterisk(i int) {
	a := &g.stack[i]
	a.written = true
	covered := i > 0 && g.stack[i-1].covered
	if a.says() || covered {
		g.write(append([]byte{1, '*'}, a.name...), a.below, covered)
	}
}

// fill writes out the names between name and the wildcard above it: since name exists, they do, and stop it.
func (g *Generator) fill(name []byte) {
	top := g.top()
	if !top.covered {
		return
	}
	var between [][]byte
	for rest := name[1+int(name[0]):]; len(rest) > len(top.name); rest = rest[1+int(rest[0]):] {
		between = append(between, rest)
	}
	for _, n := range slices.Backward(between) {
		g.leave(n)
		g.write(n, top.below, true)
		g.report.Filled++
		g.enter(n, top.below)
	}
	g.leave(name)
}

// write writes what an owner says. Below a wildcard, whoever says nothing lets the name through.
func (g *Generator) write(name []byte, s *said, covered bool) {
	if s != nil && s.typed {
		g.report.Typed++
		s = nil
	}
	if s == nil && covered {
		s = g.passes
	}
	if s == nil || g.over || len(s.records) == 0 {
		return
	}
	if len(name) == 1 { // the apex has no rule
		g.report.Reserved++
		return
	}
	if len(name)-1+len(g.apex) > dnsname.WireMax {
		g.report.TooLong++
		return
	}
	if s.leadsTo(name) {
		g.report.Itself++
		return
	}
	if s.passes {
		g.report.Passed++
	}
	g.owner = append(append(g.owner[:0], name[:len(name)-1]...), g.apex...)
	for _, d := range s.records {
		g.report.Records++
		if g.over = !g.yield(Record{g.owner, d.rtype, d.ttl, d.rdata}); g.over {
			return
		}
	}
}

// leadsTo reports whether s is a CNAME to the name itself: PASSTHRU as it was written before it had a name. That to "*." is NODATA for the asterisk of the root, too.
func (s *said) leadsTo(name []byte) bool {
	return len(s.records) == 1 && s.records[0].rtype == wire.TypeCNAME && bytes.Equal(s.records[0].rdata, name) && string(name) != targetNODATA
}

// Times of the SOA record, in seconds: those who hold the zone look for changes every minute, and keep it a week without us.
const (
	soaTTL     = 60
	soaRefresh = 60
	soaRetry   = 30
	soaExpire  = 7 * 24 * 3600
	soaMinimum = 60
)

// Apex returns the SOA and NS records of a zone. Its servers are nobody's business: the name of the NS record is that which the draft has (section 3).
func Apex(apex dnsname.Name, serial uint32) [2]Record {
	const localhost = "\x09localhost\x00"
	soa := append([]byte(localhost), "\x07nothing\x07invalid\x00"...)
	for _, n := range [...]uint32{serial, soaRefresh, soaRetry, soaExpire, soaMinimum} {
		soa = binary.BigEndian.AppendUint32(soa, n)
	}
	owner := []byte(apex.Canonical())
	return [2]Record{{owner, wire.TypeSOA, soaTTL, soa}, {owner, wire.TypeNS, soaTTL, []byte(localhost)}}
}
