package dnssec

import (
	"cenote/dnsname"
	"cenote/wire"
)

// Denial answers questions from the NSEC or NSEC3 records of one message. Secure means that the records prove what was asked; Insecure, that
// they leave room for names which the zone need not sign (opt-out), or that they are hashed too often to be looked at.
type Denial struct {
	zone   dnsname.Name
	spans  []span
	hashed []hashedSpan
	work   *Work
	params params     // of all hashed
	memo   []nameHash // what was hashed before
	excess bool       // there are NSEC3 records with more iterations than are computed
}

// NewDenial takes the NSEC and NSEC3 sets of a message that were found Secure in the zone. Those that cannot prove anything are passed over:
// malformed ones, those of another zone, and those that were made from a wildcard. At most DenialsMax records are used.
func NewDenial(zone []byte, nsecs []*Set, w *Work) *Denial {
	d := &Denial{work: w}
	if wellFormed(zone) {
		d.zone = dnsname.Name(zone)
	}
	for _, s := range nsecs {
		if d.zone.IsZero() || !wellFormed(s.Name) || s.expanded() {
			continue
		}
		for _, rdata := range s.RData {
			d.add(s, rdata)
		}
	}
	return d
}

func (d *Denial) add(s *Set, rdata []byte) {
	if len(d.spans)+len(d.hashed) == DenialsMax {
		return
	}
	switch s.Type {
	case wire.TypeNSEC:
		if one, ok := parseSpan(d.zone, s, rdata); ok {
			d.spans = append(d.spans, one)
		}
	case wire.TypeNSEC3:
		if one, ok := parseHashed(d.zone, s, rdata); ok {
			d.addHashed(one)
		}
	}
}

// Cut is what the absence of a DS set at a name means.
type Cut uint8

// What may be at a name without a DS set.
const (
	CutUnknown    Cut = iota // nothing is proved
	CutDelegation            // a delegation to a zone that is not signed; if the verdict is Insecure there may be one, here or above
	CutNone                  // the name exists, and no zone begins there
	CutAbsent                // the name does not exist
)

// String names the case in lower case.
func (c Cut) String() string {
	return [...]string{"unknown", "delegation", "none", "absent"}[min(c, CutAbsent)]
}

// NameError asks whether the records prove that neither name nor a wildcard that would stand for it exists (RFC 4035 section 5.4, RFC 5155 section
// 8.4).
func (d *Denial) NameError(name []byte) Verdict {
	return d.ask(name, d.nsecNameError, d.nsec3NameError)
}

// NoData asks whether the records prove that there is nothing of a type at name, nor at a wildcard that stands for it (RFC 4035 section 5.4, RFC
// 5155 sections 8.5 to 8.7).
func (d *Denial) NoData(name []byte, qtype uint16) Verdict {
	return d.ask(name,
		func(n dnsname.Name) Verdict { return d.nsecNoData(n, qtype) },
		func(n dnsname.Name) Verdict { return d.nsec3NoData(n, qtype) })
}

// Absent reports whether a record of name itself says that there is no such name, as zones say it that deny with a record for each question (RFC 9824 section 3.1). NoData then holds,
// and NameError does not.
func (d *Denial) Absent(name []byte) bool {
	if !wellFormed(name) || d.zone.IsZero() || !within(dnsname.Name(name), d.zone) {
		return false
	}
	if s := d.at(dnsname.Name(name)); s != nil {
		return s.types.absent()
	}
	if len(d.hashed) == 0 {
		return false
	}
	s := d.hashedAt(dnsname.Name(name))
	return s != nil && s.types.absent()
}

// Expanded asks whether the records prove that a wildcard below encloser was the right one to answer for name: the next closer name does not
// exist (RFC 4035 section 5.3.4, RFC 5155 section 8.8).
func (d *Denial) Expanded(name, encloser []byte) Verdict {
	ce := dnsname.Name(encloser)
	if !wellFormed(name) || !wellFormed(encloser) || !dnsname.Name(name).IsBelow(ce) || !within(ce, d.zone) {
		return bogus(CodeBogus, "the closest encloser is not above the name")
	}
	next := nextCloser(dnsname.Name(name), ce)
	return d.ask([]byte(next), d.nsecExpanded, d.nsec3Expanded)
}

// Unsigned asks what is at a name that has no DS set, which the records must prove too (RFC 4035 section 5.2, RFC 5155 section 8.9, RFC 6840
// section 4.4). It is about the name itself: CutAbsent leaves open whether a wildcard answers for it.
func (d *Denial) Unsigned(cut []byte) (Cut, Verdict) {
	what := CutUnknown
	v := d.ask(cut,
		func(n dnsname.Name) (v Verdict) { what, v = d.nsecCut(n); return v },
		func(n dnsname.Name) (v Verdict) { what, v = d.nsec3Cut(n); return v })
	switch v.Status {
	case Secure:
	case Insecure:
		what = CutDelegation
	case Bogus, Indeterminate:
		what = CutUnknown
	}
	return what, v
}

// ask puts a question to the NSEC records, then to the NSEC3 records. A zone has one kind alone, but for the moment in which it changes.
func (d *Denial) ask(name []byte, nsec, nsec3 func(dnsname.Name) Verdict) Verdict {
	if !wellFormed(name) || d.zone.IsZero() || !within(dnsname.Name(name), d.zone) {
		return bogus(CodeBogus, "the name is not in the zone")
	}
	v := bogus(CodeNoProof, "there is no NSEC or NSEC3 record of the zone")
	if len(d.spans) > 0 {
		v = nsec(dnsname.Name(name))
	}
	if v.Status != Secure && len(d.hashed) > 0 {
		v = nsec3(dnsname.Name(name))
	}
	if v.Status == Bogus && d.excess {
		return insecure(CodeIterations, "NSEC3 records have more than %d iterations", IterationsMax)
	}
	return v
}

// nextCloser is the name one label longer than its ancestor encloser.
func nextCloser(name, encloser dnsname.Name) dnsname.Name { return name.Suffix(encloser.Labels() + 1) }

// wildcardBelow returns the wildcard below a name; false if it would be too long to exist.
func wildcardBelow(encloser dnsname.Name) (dnsname.Name, bool) {
	n, err := encloser.Child("*")
	return n, err == nil
}

// commonAncestor is the longest name that both are or are below. Both are canonical.
func commonAncestor(a, b dnsname.Name) dnsname.Name {
	for n := a; ; n = n.Parent() {
		if within(b, n) {
			return n
		}
	}
}
