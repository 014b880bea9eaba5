package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/wire"
)

// ZonesMax is how many zones a Policy may have in all its views, those of a view with a canary counted twice.
const ZonesMax = 4096

// Reasons for which New refuses a Config, beside ErrSet. Its errors wrap one of them.
var (
	ErrZone     = errors.New("policy zone cannot be used")
	ErrManifest = errors.New("manifest of the index cannot be used")
)

// Config is what a Policy is made of.
type Config struct {
	// Generation numbers the policy: two policies of one process that differ in zones or index never share a number.
	// Default: the generation of the manifest. Example: 42.
	Generation uint64
	// Zones in order of precedence. Default: none, so that nothing matches. Example: [{Name: "malware", Feeds: ["maltrail"]}].
	Zones []Zone
	// Views are groups of clients with other zones, the first that a query belongs to. Default: none. Example: [{Name: "kids", …}].
	Views []View
	// Index holds the names, their sets and the Manifest as JSON. Default: nil, an empty index.
	Index *nameindex.Index
	// AnswerEarly answers a match of the query name or the client's address before the response triggers of earlier zones are known.
	// Default: false, such a decision is pending. Example: true.
	AnswerEarly bool
	// WaitRecurse leaves every decision of CheckQuery pending, so that the answer is found before it is given. Default: false. Example: true.
	WaitRecurse bool
	// Paths say how the name servers on the way to a name are found that rules look at; Addresses is left out. Default: the zero value, from the
	// top-level domain down, without waiting for any. Example: {MinDots: 1, WaitNames: true, WaitAddresses: true}.
	Paths PathWants
}

// Policy is the compiled policy: ordered zones over one index. It is immutable.
type Policy struct {
	generation    uint64
	zones         []Zone
	index         *nameindex.Index
	manifest      *Manifest
	missing       []string
	ranks         []uint16  // zone x feed: 1 + the feed's place in the zone, or 0 if the zone does not hold it
	sets          []verdict // by set id: what the set decides alone
	zoneHits      []zoneHit // which the verdicts refer to
	views         []View    // with their zones in zones
	scopes        []scope   // which zones are asked: the default, then those of the views
	matcher       matcher   // of views
	early         bool      // AnswerEarly
	recurse       bool      // WaitRecurse
	paths         PathWants
	response      bool      // a zone has response triggers
	typed         bool      // a zone has LocalDataOr
	uneven        bool      // two queries for one answer may be judged differently: there are views, or zones that spare some queries
	servers       bool      // a zone has triggers by name server
	qnameAsNS     bool      // a zone has QNAMEAsNS
	ipAsNS        bool      // a zone has IPAsNS
	patterns      *patterns // nil for none
	knowsPatterns bool      // patterns are those of the index without its delta
	base          addresses // of the index without its delta
	addresses     addresses
}

// New checks c and returns its Policy. A zone may name feeds that the index lacks; see Missing.
func New(c Config) (*Policy, error) {
	p := &Policy{generation: c.Generation, index: c.Index, early: c.AnswerEarly, recurse: c.WaitRecurse, paths: c.Paths}
	var err error
	if p.manifest, err = ReadManifest(c.Index); err != nil {
		return nil, err
	}
	if p.generation == 0 {
		p.generation = p.manifest.Generation
	}
	if err := p.setZones(&c); err != nil {
		return nil, err
	}
	p.rank()
	if p.index != nil {
		p.base = addressesOf(p.index)
	}
	p.listAddresses()
	return p, p.weigh(0)
}

// listAddresses brings the addresses up to date with the delta, and notes which zones look at answers.
func (p *Policy) listAddresses() {
	p.addresses = p.base
	if p.index != nil {
		p.addresses = p.base.with(p.index)
		if !p.knowsPatterns || changesPatterns(p.index) {
			p.patterns = patternsOf(p.index)
		}
	}
	for i := range p.scopes {
		p.settleScope(&p.scopes[i])
	}
}

// settleScope notes what the zones of a scope look at.
func (p *Policy) settleScope(s *scope) {
	s.firstWait, s.lacks = s.to, nil
	for zone := s.to - 1; zone >= s.from; zone-- {
		c := p.triggersOf(zone)
		p.response = p.response || c.answers() > 0
		p.servers = p.servers || c.NSDNAME+c.NSIP > 0
		if c.answers() > 0 && !p.zones[zone].LogOnly {
			s.firstWait = zone
		}
		for _, name := range p.zones[zone].Feeds {
			if p.zones[zone].LogOnly || !slices.Contains(p.missing, name) {
				continue
			}
			if at := slices.IndexFunc(s.lacks, func(l lack) bool { return l.feed == name }); at >= 0 {
				s.lacks[at].zone = zone
			} else {
				s.lacks = append(s.lacks, lack{name, zone})
			}
		}
	}
}

// triggersOf sums the triggers of the feeds that a zone holds.
func (p *Policy) triggersOf(zone int) (sum TriggerCounts) {
	for f := range p.manifest.Feeds {
		if p.rankOf(zone, uint16(f)) != 0 {
			c := &p.manifest.Feeds[f].Triggers
			sum.ClientIP += c.ClientIP
			sum.IP += c.IP
			sum.NSDNAME += c.NSDNAME
			sum.NSIP += c.NSIP
			if p.zones[zone].IPAsNS {
				sum.NSIP += c.IP
			}
			if p.zones[zone].QNAMEAsNS {
				sum.NSDNAME++ // at least: how many are about names does not matter
			}
		}
	}
	return sum
}

// With returns the policy of the same zones over an index that is p's with another delta. What the sets of the base decide is taken over, so
// that the cost is that of the delta.
func (p *Policy) With(index *nameindex.Index, generation uint64) (*Policy, error) {
	q := &Policy{
		generation: generation, zones: p.zones, views: p.views, scopes: slices.Clone(p.scopes), matcher: p.matcher, index: index, early: p.early, recurse: p.recurse,
		typed: p.typed, uneven: p.uneven, paths: p.paths, qnameAsNS: p.qnameAsNS, ipAsNS: p.ipAsNS,
	}
	var err error
	if q.manifest, err = ReadManifest(index); err != nil {
		return nil, err
	}
	q.rank()
	known := 0
	if p.index != nil && index != nil && p.index.Base() == index.Base() && slices.EqualFunc(p.manifest.Feeds, q.manifest.Feeds, sameRules) {
		known = index.Base().Sets()
		q.sets, q.zoneHits = slices.Clip(p.sets[:known]), slices.Clip(p.zoneHits[:p.hitsOf(known)])
		q.base = p.base
		q.patterns, q.knowsPatterns = p.patterns, !changesPatterns(p.index)
	} else if index != nil {
		q.base = addressesOf(index)
	}
	q.listAddresses()
	return q, q.weigh(known)
}

// sameRules reports whether the rows of two feeds are judged alike.
func sameRules(a, b Feed) bool { return a.Name == b.Name && a.ClosestEncloser == b.ClosestEncloser }

// hitsOf is how many of zoneHits are those of the first n sets.
func (p *Policy) hitsOf(n int) uint32 {
	if n == 0 {
		return 0
	}
	last := p.sets[n-1].at[positionBelow]
	return last.from + uint32(last.n)
}

// ReadManifest reads the manifest of an index, which may be nil.
func ReadManifest(x *nameindex.Index) (*Manifest, error) {
	m := &Manifest{Families: []string{""}, Threats: []string{""}}
	if x == nil {
		return m, nil
	}
	if err := json.Unmarshal(x.Manifest(), m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if len(m.Feeds) > 1<<16 || len(m.Families) == 0 || len(m.Threats) == 0 {
		return nil, fmt.Errorf("%w: %d feeds, %d families, %d threats", ErrManifest, len(m.Feeds), len(m.Families), len(m.Threats))
	}
	return m, nil
}

// checkZones returns a copy of the zones of a view in which every action is resolved.
func checkZones(zones []Zone, view string) ([]Zone, error) {
	zones = slices.Clone(zones)
	seen := map[string]bool{}
	for i := range zones {
		z := &zones[i]
		if z.Name == "" || seen[z.Name] {
			return nil, fmt.Errorf("%w: the name %q of zone %d is empty or taken", ErrZone, z.Name, i+1)
		}
		seen[z.Name], z.View = true, view
		if err := z.settle(); err != nil {
			return nil, err
		}
	}
	return zones, nil
}

// settle checks z, resolves its action and makes it independent of the caller's slices.
func (z *Zone) settle() error {
	if z.Action == ActionDefault {
		z.Action = ActionSinkhole
	}
	for _, a := range []Action{z.Action, z.Override} {
		if a == ActionLocalData && z.Target == "" || a > ActionDisabled {
			return fmt.Errorf("%w: %q has the action %s, which needs records of its own", ErrZone, z.Name, a)
		}
	}
	if z.Target != "" {
		z.data = &LocalData{RRsets: []RRset{{Type: wire.TypeCNAME, TTL: z.TTL, RData: [][]byte{[]byte(z.Target)}}}}
	}
	if o := z.LocalDataOr; o != ActionDefault && o != ActionPassthru && o != ActionDisabled {
		return fmt.Errorf("%w: %q has %s where local data have nothing of the type", ErrZone, z.Name, o)
	}
	if len(z.Message) > MessageMax {
		return fmt.Errorf("%w: the message of %q has %d octets, at most %d", ErrZone, z.Name, len(z.Message), MessageMax)
	}
	feeds := map[string]bool{}
	for _, name := range z.Feeds {
		if feeds[name] {
			return fmt.Errorf("%w: %q names the feed %q twice", ErrZone, z.Name, name)
		}
		feeds[name] = true
	}
	if len(z.Feeds) > 1<<16-1 {
		return fmt.Errorf("%w: %q has %d feeds", ErrZone, z.Name, len(z.Feeds))
	}
	z.Feeds, z.IPv4, z.IPv6 = slices.Clone(z.Feeds), slices.Clone(z.IPv4), slices.Clone(z.IPv6)
	return nil
}

// rank notes which zone holds which feed, and the feeds that the index lacks.
func (p *Policy) rank() {
	number := map[string]int{}
	for i, f := range p.manifest.Feeds {
		number[f.Name] = i
	}
	p.ranks = make([]uint16, len(p.zones)*len(p.manifest.Feeds))
	for z := range p.zones {
		for i, name := range p.zones[z].Feeds {
			if f, ok := number[name]; ok {
				p.ranks[z*len(p.manifest.Feeds)+f] = uint16(i + 1)
			} else if !slices.Contains(p.missing, name) {
				p.missing = append(p.missing, name)
			}
		}
	}
}

// rankOf returns 1 + the place of the feed in the zone's list, or 0 if the zone does not hold it.
func (p *Policy) rankOf(zone int, feed uint16) uint16 {
	return p.ranks[zone*len(p.manifest.Feeds)+int(feed)]
}

// Generation returns the number that Config or the manifest gave.
func (p *Policy) Generation() uint64 { return p.generation }

// Zones returns all zones, those of the default first and then those of each view, in order of precedence, with every action resolved. They must not
// be changed.
func (p *Policy) Zones() []Zone { return p.zones }

// Manifest returns the manifest of the index. It must not be changed.
func (p *Policy) Manifest() *Manifest { return p.manifest }

// Index returns the index, or nil if the policy is empty.
func (p *Policy) Index() *nameindex.Index { return p.index }

// Missing returns the feeds that zones name and the index lacks, because they were never loaded; each once, in order of first mention.
func (p *Policy) Missing() []string { return p.missing }

// Lacks returns the feeds which might decide about a query, in place of the rule that does, if they had ever been loaded: those of a zone behind that of
// the rule could not, unless the rule is about a name that an alias leads to: they might list the alias.
func (p *Policy) Lacks(r *Request, d *Decision) (feeds []string) {
	for _, l := range p.ask(r).scope.lacks {
		if !d.Matched() || d.Winner.Stage > 0 || l.zone <= int(d.Winner.Zone) {
			feeds = append(feeds, l.feed)
		}
	}
	return feeds
}

// AnswerTriggers reports whether any rule looks at the addresses or name servers of an answer. If none does, an answer without CNAME and DNAME
// needs no check.
func (p *Policy) AnswerTriggers() bool { return p.response }

// ServerTriggers reports whether any rule looks at name servers, so that CheckAnswer is to be told the data paths.
func (p *Policy) ServerTriggers() bool { return p.servers }

// PathWants returns what of the data paths is to be found for CheckAnswer.
func (p *Policy) PathWants() PathWants {
	w := p.paths
	w.Addresses = p.addresses.has(TriggerNSIP) || p.ipAsNS && p.addresses.has(TriggerIP)
	return w
}

// Prefix returns the prefix that the rule of a hit lists; none if it is not about an address.
func (p *Policy) Prefix(h *Hit) netip.Prefix {
	if !h.Trigger.ByAddress() {
		return netip.Prefix{}
	}
	return p.addresses.prefix(h.row(), h.Entry)
}

// AppendKey appends what the rule of a hit lists, as the index has it, to dst. name is the name that the hit is about: of QNAME triggers the
// one at its stage, of NSDNAME triggers the name server's.
func (p *Policy) AppendKey(dst []byte, h *Hit, name []byte) []byte {
	switch {
	case h.Trigger.ByAddress():
		if prefix := p.Prefix(h); prefix.IsValid() {
			return AppendPrefixKey(dst, h.row(), prefix)
		}
		return append(dst, 0)
	case h.Trigger == TriggerPattern:
		if p.patterns != nil && int(h.Entry) < len(p.patterns.list) {
			dst, _ = AppendPatternKey(dst, p.patterns.list[h.Entry].text)
			return dst
		}
		return append(dst, 0)
	case h.row() == TriggerNSDNAME:
		dst = append(dst, dnsname.Name(name).Suffix(int(h.Labels)-1)...)
		return append(dst[:len(dst)-1], realmNSDNAME...)
	}
	return append(dst, dnsname.Name(name).Suffix(int(h.Labels))...)
}

// SOA returns the SOA of the policy zone that the rule of a hit is from, or nil.
func (p *Policy) SOA(h *Hit) *SOA {
	if p.index == nil || int(h.Set) >= len(p.sets) {
		return nil
	}
	r := setReader{rest: p.index.Set(h.Set)}
	for i := 0; r.next(); i++ {
		if i == int(h.Member) {
			return p.manifest.Feeds[r.member.Feed].SOA
		}
	}
	return nil
}

// Rule is what a Hit stands for.
type Rule struct {
	Zone   *Zone // must not be changed
	Feed   string
	Family string
	Threat string
	Member Member
	Data   *LocalData // nil unless the member has local data; must not be changed
}

// Rule returns what h stands for. A hit that no decision of this policy can hold gives the zero Rule, whose Zone is nil.
func (p *Policy) Rule(h Hit) Rule {
	if p.index == nil || int(h.Set) >= len(p.sets) || int(h.Zone) >= len(p.zones) {
		return Rule{}
	}
	r := setReader{rest: p.index.Set(h.Set)}
	for i := 0; r.next(); i++ {
		if i == int(h.Member) {
			rule := p.rule(&p.zones[h.Zone], &r.member)
			if h.Action == ActionLocalData && (rule.Data == nil || rule.Zone.Override == ActionLocalData) {
				rule.Data = rule.Zone.data
			}
			return rule
		}
	}
	return Rule{}
}

func (p *Policy) rule(z *Zone, m *Member) Rule {
	rule := Rule{
		Zone: z, Feed: p.manifest.Feeds[m.Feed].Name, Family: p.manifest.Families[m.Family], Threat: p.manifest.Threats[m.Threat], Member: *m,
	}
	if m.Data != 0 {
		rule.Data = &p.manifest.Data[m.Data-1]
	}
	return rule
}
