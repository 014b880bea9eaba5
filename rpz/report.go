package rpz

// Report counts what became of the rules of a policy.
type Report struct {
	Names   int `json:"names"`   // listed names and addresses that the zone has records for
	Records int `json:"records"` // of the zone, with its SOA and NS
	Filled  int `json:"filled"`  // names that are not listed and have records, so that no wildcard above them is stopped
	Passed  int `json:"passed"`  // owners that say rpz-passthru

	Reserved int `json:"reserved,omitempty"` // left out: names with a label "*", under a top-level domain of RPZ's own, or the root itself
	TooLong  int `json:"too_long,omitempty"` // left out: owners that have no room for the name of the zone
	Typed    int `json:"typed,omitempty"`    // left out: local data that are for some types alone (local-data-or-passthru, local-data-or-disabled)
	Itself   int `json:"itself,omitempty"`   // left out: a CNAME that leads from a name to itself, which RPZ reads as rpz-passthru
	Order    int `json:"order,omitempty"`    // left out: rules about clients in a zone behind others, which RPZ asks before all names
	Patterns int `json:"patterns,omitempty"` // left out: patterns of names, such as regular expressions
}

// LeftOut is how many rules have no place in the zone.
func (r *Report) LeftOut() int {
	return r.Reserved + r.TooLong + r.Typed + r.Itself + r.Order + r.Patterns
}

// change adds the counts of another report, or takes them away.
func (r *Report) change(by *Report, sign int) {
	r.Names += sign * by.Names
	r.Records += sign * by.Records
	r.Filled += sign * by.Filled
	r.Passed += sign * by.Passed
	r.Reserved += sign * by.Reserved
	r.TooLong += sign * by.TooLong
	r.Typed += sign * by.Typed
	r.Itself += sign * by.Itself
	r.Order += sign * by.Order
}
