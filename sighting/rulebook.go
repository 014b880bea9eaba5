package sighting

// rule is what the members of a set have in common: the identity of an indicator without its name, and what its feed
// says of all of them. Rules are few (feeds x families), so that each is held once and referred to by its number.
type rule struct {
	zone, feed, family, threat, kind string
	confidence                       int
}

// kindFamily marks the count of a client that is above its bound of distinct indicators: by family, without a name.
const kindFamily = "family"

// rulesMax bounds the rule book; what comes above it is booked under rule 0.
const rulesMax = 1 << 20

// ruleBook numbers rules. Rule 0 is the one without any text, for events whose generation is gone. Numbers never change.
type ruleBook struct {
	list  []rule
	index map[rule]uint32
}

func newRuleBook() *ruleBook {
	unknown := rule{confidence: -1}
	return &ruleBook{list: []rule{unknown}, index: map[rule]uint32{unknown: 0}}
}

func (b *ruleBook) number(r rule) uint32 {
	if n, ok := b.index[r]; ok {
		return n
	}
	if len(b.list) >= rulesMax {
		return 0
	}
	n := uint32(len(b.list))
	b.list = append(b.list, r)
	b.index[r] = n
	return n
}

func ruleOf(in *Indicator) rule {
	return rule{zone: in.Zone, feed: in.Feed, family: in.Family, threat: in.Threat, kind: in.Kind, confidence: in.Confidence}
}

func (r *rule) byFamily() rule {
	f := *r
	f.kind, f.confidence = kindFamily, -1
	return f
}

// familyKey names what a first sighting is about: the family, or the feed where the feed gives none.
func (r *rule) familyKey() string {
	if r.family != "" {
		return r.family
	}
	return "feed:" + r.feed
}

func appendRule(dst []byte, r *rule) []byte {
	for _, s := range []string{r.zone, r.feed, r.family, r.threat, r.kind} {
		dst = appendText(dst, s)
	}
	return append(dst, byte(r.confidence))
}

func (d *decoder) rule() rule {
	r := rule{zone: d.text(), feed: d.text(), family: d.text(), threat: d.text(), kind: d.text()}
	r.confidence = int(int8(d.octet()))
	return r
}

// place is where a listed name was read: what differs from row to row of a feed.
type place struct {
	name      string // what is listed, where that is not the listed name itself (an address range)
	file      string
	line      int
	reference string
	rule      string
}

// placeMax bounds one encoded place; longer references and rules are cut.
const placeMax = 1 << 10

func placeOf(in *Indicator) place {
	return place{name: cut(in.Name, 200), file: cut(in.File, 200), line: max(in.Line, 0), reference: cut(in.Reference, 400), rule: cut(in.Rule, 400)}
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func appendPlace(dst []byte, p *place) []byte {
	if *p == (place{}) {
		return dst
	}
	dst = appendText(appendText(dst, p.name), p.file)
	dst = appendUvarint(dst, uint64(p.line))
	dst = appendText(dst, p.reference)
	return appendText(dst, p.rule)
}

func readPlace(b []byte) (p place, err error) {
	if len(b) == 0 {
		return place{}, nil
	}
	d := decoder{b: b}
	p = place{name: d.text(), file: d.text(), line: int(min(d.uint64(), 1<<31-1)), reference: d.text(), rule: d.text()}
	if d.bad || len(d.b) != 0 || len(b) > placeMax {
		return place{}, errRow
	}
	return p, nil
}
