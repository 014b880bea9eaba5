package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"cenote/nameindex"
)

// ZonesMax is how many zones a Policy may have.
const ZonesMax = 256

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
	// Index holds the names, their sets and the Manifest as JSON. Default: nil, an empty index.
	Index *nameindex.Index
	// AnswerEarly answers a match of the query name before the response triggers of earlier zones are known. No rule that this
	// version serves looks at addresses or name servers, so both settings decide alike. Default: false. Example: true.
	AnswerEarly bool
}

// Policy is the compiled policy: ordered zones over one index. It is immutable.
type Policy struct {
	generation uint64
	zones      []Zone
	index      *nameindex.Index
	manifest   *Manifest
	missing    []string
	ranks      []uint16  // zone x feed: 1 + the feed's place in the zone, or 0 if the zone does not hold it
	sets       []verdict // by set id: what the set decides alone
	zoneHits   []zoneHit // which the verdicts refer to
}

// New checks c and returns its Policy. A zone may name feeds that the index lacks; see Missing.
func New(c Config) (*Policy, error) {
	p := &Policy{generation: c.Generation, index: c.Index}
	var err error
	if p.manifest, err = readManifest(c.Index); err != nil {
		return nil, err
	}
	if p.generation == 0 {
		p.generation = p.manifest.Generation
	}
	if p.zones, err = checkZones(c.Zones); err != nil {
		return nil, err
	}
	p.rank()
	return p, p.weigh()
}

func readManifest(x *nameindex.Index) (*Manifest, error) {
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

// checkZones returns a copy of zones in which every action is resolved.
func checkZones(zones []Zone) ([]Zone, error) {
	if len(zones) > ZonesMax {
		return nil, fmt.Errorf("%w: there are %d, at most %d", ErrZone, len(zones), ZonesMax)
	}
	zones = slices.Clone(zones)
	seen := map[string]bool{}
	for i := range zones {
		z := &zones[i]
		if z.Name == "" || seen[z.Name] {
			return nil, fmt.Errorf("%w: the name %q of zone %d is empty or taken", ErrZone, z.Name, i+1)
		}
		seen[z.Name] = true
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
		if a == ActionLocalData || a > ActionDisabled {
			return fmt.Errorf("%w: %q has the action %s, which needs records of its own", ErrZone, z.Name, a)
		}
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

// Zones returns the zones in order of precedence, with every action resolved. They must not be changed.
func (p *Policy) Zones() []Zone { return p.zones }

// Manifest returns the manifest of the index. It must not be changed.
func (p *Policy) Manifest() *Manifest { return p.manifest }

// Index returns the index, or nil if the policy is empty.
func (p *Policy) Index() *nameindex.Index { return p.index }

// Missing returns the feeds that zones name and the index lacks, because they were never loaded; each once, in order of first mention.
func (p *Policy) Missing() []string { return p.missing }

// AnswerTriggers reports whether any rule looks at the addresses or name servers of an answer. None does in this version, so an answer
// without CNAME and DNAME needs no check.
func (p *Policy) AnswerTriggers() bool { return false }

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
			return p.rule(&p.zones[h.Zone], &r.member)
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
