package dnssec

import (
	"bytes"

	"cenote/dnsname"
)

// span is an NSEC record: nothing exists between owner and next (RFC 4034 section 4).
type span struct {
	set         *Set
	owner, next dnsname.Name // canonical
	types       bitmap
	last        bool // next is the apex, so nothing follows owner
}

// parseSpan reads an NSEC record of the zone; false if it is none.
func parseSpan(zone dnsname.Name, s *Set, rdata []byte) (span, bool) {
	n, _, err := dnsname.Check(rdata)
	if err != nil {
		return span{}, false
	}
	next := bytes.Clone(rdata[:n])
	dnsname.Lower(next, next)
	types, ok := parseBitmap(rdata[n:])
	one := span{set: s, owner: dnsname.Name(s.Name), next: dnsname.Name(next), types: types}
	one.last = one.next == zone
	if !ok || !within(one.owner, zone) || !within(one.next, zone) {
		return span{}, false
	}
	return one, one.last || dnsname.Compare(one.owner, one.next) < 0
}

// covers reports whether a name lies behind owner and before next.
func (s *span) covers(name dnsname.Name) bool {
	return dnsname.Compare(s.owner, name) < 0 && (s.last || dnsname.Compare(name, s.next) < 0)
}

// at returns the record whose owner is name.
func (d *Denial) at(name dnsname.Name) *span {
	for i := range d.spans {
		if d.spans[i].owner == name {
			return &d.spans[i]
		}
	}
	return nil
}

// over returns a record that covers name and may speak about it. empty is whether it says that names below name exist: then name
// exists too, with nothing at it.
func (d *Denial) over(name dnsname.Name) (s *span, empty bool) {
	for i := range d.spans {
		s := &d.spans[i]
		if s.covers(name) && !(name.IsBelow(s.owner) && s.types.hidesBelow()) {
			return s, s.next.IsBelow(name)
		}
	}
	return nil, false
}

// encloser is the closest encloser of a name that the record covers: what exists of it is what it shares with one of the two ends.
func (s *span) encloser(name dnsname.Name) dnsname.Name {
	a, b := commonAncestor(name, s.owner), commonAncestor(name, s.next)
	if len(a) > len(b) {
		return a
	}
	return b
}

func (d *Denial) nsecNameError(name dnsname.Name) Verdict {
	s, empty := d.over(name)
	switch {
	case d.at(name) != nil || empty:
		return bogus(CodeBogus, "an NSEC record says that the name exists")
	case s == nil:
		return bogus(CodeNoProof, "no NSEC record says that the name does not exist")
	}
	wild, ok := wildcardBelow(s.encloser(name))
	if !ok {
		return secure()
	}
	w, empty := d.over(wild)
	switch {
	case d.at(wild) != nil || empty:
		return bogus(CodeBogus, "an NSEC record says that a wildcard exists")
	case w == nil:
		return bogus(CodeNoProof, "no NSEC record says that there is no wildcard")
	}
	return secure()
}

func (d *Denial) nsecNoData(name dnsname.Name, qtype uint16) Verdict {
	if s := d.at(name); s != nil {
		return s.types.deny(qtype, name.IsRoot())
	}
	s, empty := d.over(name)
	switch {
	case empty:
		return secure()
	case s == nil:
		return bogus(CodeNoProof, "no NSEC record is about the name")
	}
	wild, ok := wildcardBelow(s.encloser(name))
	if !ok {
		return bogus(CodeNoProof, "there is no wildcard that could stand for the name")
	}
	if w := d.at(wild); w != nil {
		return w.types.deny(qtype, false)
	}
	if _, empty := d.over(wild); empty {
		return secure()
	}
	return bogus(CodeNoProof, "no NSEC record is about the wildcard that stands for the name")
}

func (d *Denial) nsecExpanded(next dnsname.Name) Verdict {
	s, empty := d.over(next)
	if s == nil || empty || d.at(next) != nil {
		return bogus(CodeNoProof, "no NSEC record says that there is no closer name than the wildcard's")
	}
	return secure()
}

func (d *Denial) nsecCut(name dnsname.Name) (Cut, Verdict) {
	if s := d.at(name); s != nil {
		return s.types.cut()
	}
	s, empty := d.over(name)
	switch {
	case s == nil:
		return CutUnknown, bogus(CodeNoProof, "no NSEC record is about the name")
	case empty:
		return CutNone, secure()
	}
	return CutAbsent, secure()
}
