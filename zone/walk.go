package zone

import (
	"bytes"
	"iter"

	"cenote/dnsname"
	"cenote/wire"
)

// All visits every record in canonical order (RFC 4034 section 6.1): names, and of each name the sets by type, each followed by its signatures. The data of
// a record are a part of the zone, and must not be changed. There is one allocation a name.
func (z *Zone) All() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for n := node(0); int(n) < len(z.data); n = z.after(n) {
			if !z.eachRecord(n, yield) {
				return
			}
		}
	}
}

// eachRecord visits the records of one name, until yield returns false, which is then the result.
func (z *Zone) eachRecord(n node, yield func(Record) bool) bool {
	w := z.sets(n)
	if w.left == 0 {
		return true
	}
	owner := dnsname.Name(z.appendOwner(make([]byte, 0, dnsname.WireMax), n))
	for w.next() {
		if !w.set.eachRecord(owner, yield) {
			return false
		}
	}
	return true
}

// eachRecord visits the records of a set and then its signatures, until yield returns false, which is then the result.
func (s *set) eachRecord(owner dnsname.Name, yield func(Record) bool) bool {
	rest := s.records
	for i := range s.count + s.sigs {
		r := Record{Owner: owner, Type: s.rtype, TTL: s.ttl}
		if i >= s.count {
			r.Type = wire.TypeRRSIG
		}
		if r.Data, rest = cutRecord(rest); !yield(r) {
			return false
		}
	}
	return true
}

// after is the node behind n, or the end of the data.
func (z *Zone) after(n node) node {
	w := z.sets(n)
	for w.next() {
	}
	return node(w.at)
}

// comparePrefix is the canonical order of two names of one zone that lack its apex.
func comparePrefix(a, b []byte) int {
	var aLabels, bLabels [dnsname.LabelsMax + 1]uint8
	i, j := prefixLabels(a, &aLabels), prefixLabels(b, &bLabels)
	for i > 0 && j > 0 {
		i, j = i-1, j-1
		x, y := a[aLabels[i]:], b[bLabels[j]:]
		if c := bytes.Compare(x[1:1+x[0]], y[1:1+y[0]]); c != 0 {
			return c
		}
	}
	return i - j
}

// prefixLabels writes where each label begins.
func prefixLabels(prefix []byte, out *[dnsname.LabelsMax + 1]uint8) (n int) {
	for at := 0; at < len(prefix); at += 1 + int(prefix[at]) {
		out[n] = uint8(at)
		n++
	}
	return n
}

// parentPrefix is the next name above one that lacks the apex; that of a child of the apex is empty.
func parentPrefix(prefix []byte) []byte { return prefix[1+prefix[0]:] }
