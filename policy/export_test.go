package policy

import (
	"cenote/dnsname"
	"cenote/nameindex"
)

// CheckSlowly is CheckQuery without the table of verdicts.
func CheckSlowly(p *Policy, r *Request) (d Decision) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	v := listing{policy: p, matches: many[:p.index.Walk(r.Name, many[:])], labels: countLabels(r.Name), hour: r.Time.Unix() / secondsPerHour, to: len(p.zones), plain: !r.RD, qtype: r.Type}
	v.judgeAll(&d, 0)
	return d
}

// Merged reports whether CheckQuery decides about r from the table alone, and from how many matches.
func Merged(p *Policy, r *Request) (matches int, merged bool) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	n := p.index.Walk(r.Name, many[:])
	v := listing{policy: p, matches: many[:n], labels: countLabels(r.Name), hour: r.Time.Unix() / secondsPerHour, to: len(p.zones), plain: !r.RD, qtype: r.Type}
	merged = v.settled() && n < fewMatches
	return len(v.matches), merged
}

// PlainText is a name as patterns see it.
func PlainText(name []byte) string {
	var buf [textMax]byte
	return string(plainText(&buf, name))
}

// PatternFinds reports whether a pattern is found for a name.
func PatternFinds(text string, name []byte) bool {
	one, err := newPattern(text)
	if err != nil {
		return false
	}
	p := &patterns{byGram: map[[3]byte][]uint32{}}
	p.add(one)
	return len(p.find(name)) > 0
}
