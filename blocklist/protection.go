package blocklist

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cenote/dnsname"
	"cenote/policy"

	"github.com/zeebo/xxh3"
)

// Protection is what the rows of a feed must not stop, and what is popular. It does not touch rows that let a name through. The lists are read
// anew when they change, and the feed with them; one that cannot be read keeps the feed's last good copy.
type Protection struct {
	// Builtin protects the names of protected.txt: servers of the root, of certificates, of updates, and sites that everybody uses. Default: false.
	Builtin bool `json:"builtin,omitempty"`
	// Names are protected themselves: a row is refused that stops one, by the name or from above. Default: none. Example: "www.example".
	Names []string `json:"names,omitempty"`
	// Domains are protected with all below. Default: none. Example: "own.example".
	Domains []string `json:"domains,omitempty"`
	// Lists are files of protected names and networks: warninglists of MISP (JSON, of type string, hostname or cidr) or one name or network a line, a
	// dot before a name for all below. Rows of networks are held. Default: none. Example: "/etc/cenote/crl-hostname.json".
	Lists []string `json:"lists,omitempty"`
	// Popular is what becomes of names that are popular.
	Popular Popular `json:"popular,omitzero"`
}

// Popular says what becomes of rows whose very name a list of popular names has, and of patterns that match one. A name may be popular since so many are infected, so none is left out
// for it in silence.
type Popular struct {
	// Lists are files with a name a line, or a rank and a name, in either order. Default: none. Example: "/etc/cenote/top-1m.csv".
	Lists []string `json:"lists,omitempty"`
	// Hold is the last rank that counts; names without a rank all count. Default: 0, every rank. Example: 10000.
	Hold int `json:"hold,omitempty"`
	// Action is what becomes of such a row. Default: PopularHeld.
	Action PopularAction `json:"action,omitempty"`
}

// PopularAction is what becomes of a row with a popular name.
type PopularAction uint8

// What becomes of them. In each case they are listed.
const (
	PopularHeld    PopularAction = iota // it waits for an operator
	PopularLogOnly                      // it is recorded and changes no answer
	PopularServed                       // it is served
)

var popularActionNames = [...]string{"hold", "log-only", "serve"}

// String names the action as the configuration does.
func (a PopularAction) String() string {
	if int(a) < len(popularActionNames) {
		return popularActionNames[a]
	}
	return fmt.Sprintf("popular-action-%d", uint8(a))
}

// MarshalText writes the action as the configuration does.
func (a PopularAction) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an action as the configuration writes it; the empty text is PopularHeld.
func (a *PopularAction) UnmarshalText(text []byte) error {
	*a = PopularHeld
	for i, name := range popularActionNames {
		if name == string(text) {
			*a = PopularAction(i)
			return nil
		}
	}
	if len(text) == 0 {
		return nil
	}
	return fmt.Errorf("unknown action for popular names %q: use hold, log-only or serve", text)
}

//go:embed protected.txt
var builtinProtected string

// files are the lists that are read from the disk.
func (p *Protection) files() []string {
	return append(append([]string{}, p.Lists...), p.Popular.Lists...)
}

// key tells one state of the lists from another, for whoever keeps what was read of them.
func (p *Protection) key() (string, error) {
	scan := &sourceScan{sum: xxh3.New()}
	if err := scan.lists(p); err != nil {
		return "", err
	}
	b, err := json.Marshal(p)
	return fmt.Sprintf("%016x %s", scan.sum.Sum64(), b), err
}

// protection is a Protection that was read: names and networks that can be looked up. Once made it does not change.
type protection struct {
	names     map[string]protectedName // in wire form
	sources   []string                 // what protects them, for people
	domainMin int                      // how many labels a protected domain has at least
	domainMax int                      // and at most; 0 where there is none
	networks  networks
	popular   map[string]popularName
	action    PopularAction
	near      sieve // the last two labels of protected names: of what they have not, nothing is protected, above or below
	known     sieve // popular names
	topLevel  bool  // a top-level domain is protected with all below

	probeNames   []string // in wire form: what patterns are tried on, at most probesMax
	probeSources []uint16
	trying       sync.Once // only feeds with patterns need the following
	probes       *probes   // of probeNames
	ranked       []string  // popular names, the most popular first, at most popularProbesMax
	rankedProbes *probes
}

// protectedName says how a name is protected, or that it lies above one that is.
type protectedName struct {
	itself bool   // a row that stops it is refused
	domain bool   // so is one that stops anything below
	above  string // a protected name below it, for people; "" for none
	source uint16
}

// popularName is a name of a list of popular names.
type popularName struct {
	rank   uint32 // 0 where the list has none
	source uint16
}

// newProtection reads what c names; nil if that is nothing.
func newProtection(c *Protection) (*protection, error) {
	if !c.Builtin && len(c.Names)+len(c.Domains)+len(c.files()) == 0 {
		return nil, nil
	}
	b := protectionBuilder{protection: &protection{names: map[string]protectedName{}, popular: map[string]popularName{}, action: c.Popular.Action},
		parser: newNameParser(), hold: c.Popular.Hold}
	for _, read := range []func(*Protection) error{b.builtin, b.configured, b.lists, b.populars} {
		if err := read(c); err != nil {
			return nil, err
		}
	}
	b.networks.settle()
	b.sift()
	return b.protection, nil
}

// protectionBuilder fills a protection.
type protectionBuilder struct {
	*protection
	parser  *nameParser
	hold    int
	entries int
}

// sift makes the sieves of what was read.
func (b *protectionBuilder) sift() {
	b.near, b.known = newSieve(len(b.names)), newSieve(len(b.popular))
	for name, e := range b.names {
		if labels := dnsname.Name(name).Labels(); labels > 1 {
			b.near.add(lastTwo([]byte(name), labels))
		} else if e.domain {
			b.topLevel = true
		}
	}
	for name := range b.popular {
		b.known.add([]byte(name))
	}
}

// lastTwo are the last two labels of a name that has as many.
func lastTwo(name []byte, labels int) []byte {
	for ; labels > 2; labels-- {
		name = name[1+name[0]:]
	}
	return name
}

// builtin adds the names that are compiled in.
func (b *protectionBuilder) builtin(c *Protection) error {
	if !c.Builtin {
		return nil
	}
	for line := range strings.Lines(builtinProtected) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == '#':
		case line[0] == '[':
			b.source("built in: " + strings.Trim(line, "[]"))
		case !b.protect(line):
			return fmt.Errorf("built-in list of protected names: %q is no name", line)
		}
	}
	return nil
}

// configured adds the names of the configuration.
func (b *protectionBuilder) configured(c *Protection) error {
	b.source("policy.protect")
	for _, name := range c.Names {
		if !b.protect(name) {
			return fmt.Errorf("protected name %q: it is no name", name)
		}
	}
	for _, name := range c.Domains {
		if !b.protect("." + name) {
			return fmt.Errorf("protected domain %q: it is no name", name)
		}
	}
	return nil
}

// source begins a list under the name that people see.
func (b *protectionBuilder) source(name string) { b.sources = append(b.sources, name) }

func (b *protectionBuilder) lastSource() uint16 { return uint16(len(b.sources) - 1) }

// protect adds a name, with a dot before it for all below, and reports whether it is one.
func (b *protectionBuilder) protect(text string) bool {
	text, domain := strings.CutPrefix(text, ".")
	name, labels, why := b.parser.host([]byte(text))
	if why != ReasonNone || labels == 0 {
		return false
	}
	b.entries++
	e := b.names[string(name)]
	if !e.itself || domain && !e.domain { // who protects more is named
		e.source = b.lastSource()
	}
	e.itself, e.domain = true, e.domain || domain
	b.names[string(name)] = e
	if domain {
		b.domainMax = max(b.domainMax, labels)
		if b.domainMin == 0 || labels < b.domainMin {
			b.domainMin = labels
		}
	}
	b.markAbove(name, text)
	b.probe(name, domain)
	return true
}

// probe has patterns tried on a name, and on one below it if those are protected. What is built in and configured comes first.
func (b *protectionBuilder) probe(name []byte, domain bool) {
	for _, label := range []string{"", "\x03www"} {
		if len(b.probeNames) < probesMax && (domain || label == "") && len(label)+len(name) <= dnsname.WireMax {
			b.probeNames = append(b.probeNames, label+string(name))
			b.probeSources = append(b.probeSources, b.lastSource())
		}
	}
}

// markAbove notes at the names above a protected one that it lies below them.
func (b *protectionBuilder) markAbove(name []byte, text string) {
	for rest := name[1+name[0]:]; rest[0] != 0; rest = rest[1+rest[0]:] {
		e := b.names[string(rest)]
		if e.above != "" {
			return // and so at all above it
		}
		if e.above = text; !e.itself {
			e.source = b.lastSource()
		}
		b.names[string(rest)] = e
	}
}

// protected returns what protects a name from a row of that kind, "" for nothing. The name is canonical and in wire form.
func (p *protection) protected(name []byte, labels int, kind policy.Kind) string {
	if labels > 1 && !p.topLevel && !p.near.may(lastTwo(name, labels)) {
		return ""
	}
	e, ok := p.names[string(name)]
	switch {
	case !ok:
	case e.itself && (kind != policy.KindBelow || e.domain):
		return p.sources[e.source]
	case e.above != "" && kind != policy.KindExact:
		return e.above + ", " + p.sources[e.source]
	}
	for n := labels - 1; n >= p.domainMin && p.domainMax > 0; n-- {
		name = name[1+name[0]:]
		if n > p.domainMax {
			continue
		}
		if e := p.names[string(name)]; e.domain {
			return p.sources[e.source]
		}
	}
	return ""
}

// readyToTry makes what patterns are tried on.
func (p *protection) readyToTry() {
	p.trying.Do(func() {
		p.probes = newProbes(p.probeNames)
		p.ranked = mostPopular(p.popular, popularProbesMax)
		p.rankedProbes = newProbes(p.ranked)
	})
}

// mostPopular are the first of the names by rank, at most so many.
func mostPopular(names map[string]popularName, most int) (ranked []string) {
	type entry struct {
		rank uint32
		name string
	}
	all := make([]entry, 0, len(names))
	for name, n := range names {
		all = append(all, entry{n.rank, name})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name)) })
	for _, e := range all[:min(len(all), most)] {
		ranked = append(ranked, e.name)
	}
	return ranked
}

// isPopular returns which list has a name, "" for none.
func (p *protection) isPopular(name []byte) string {
	if !p.known.may(name) {
		return ""
	}
	n, ok := p.popular[string(name)]
	switch {
	case !ok:
		return ""
	case n.rank == 0:
		return p.sources[n.source]
	}
	return fmt.Sprintf("%s, rank %d", p.sources[n.source], n.rank)
}
