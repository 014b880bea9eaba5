package policy

import (
	"cenote/dnsname"
	"cenote/nameindex"
)

// CheckSlowly is CheckQuery without the table of verdicts.
func CheckSlowly(p *Policy, r *Request) (d Decision) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	v := view{policy: p, matches: many[:p.index.Walk(r.Name, many[:])], labels: countLabels(r.Name), hour: r.Time.Unix() / secondsPerHour}
	v.judgeAll(&d, 0)
	return d
}

// Merged reports whether CheckQuery decides about r from the table alone, and from how many matches.
func Merged(p *Policy, r *Request) (matches int, merged bool) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	n := p.index.Walk(r.Name, many[:])
	v := view{policy: p, matches: many[:n], labels: countLabels(r.Name), hour: r.Time.Unix() / secondsPerHour}
	merged = v.settled() && n < fewMatches
	return len(v.matches), merged
}
