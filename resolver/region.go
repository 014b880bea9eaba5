package resolver

import "cenote/dnsname"

// region is some names and all that lies below them. What is to be forgotten of many names is looked for once for all of them.
type region struct {
	tops  map[dnsname.Name]bool
	above map[dnsname.Name]bool // the names that lie above one of tops
}

// regionOf makes a region of canonical names.
func regionOf(tops ...dnsname.Name) *region {
	r := &region{tops: make(map[dnsname.Name]bool, len(tops)), above: map[dnsname.Name]bool{}}
	for _, name := range tops {
		r.tops[name] = true
		for !name.IsRoot() && !r.above[name.Parent()] {
			name = name.Parent()
			r.above[name] = true
		}
	}
	return r
}

// all reports whether every name is in it.
func (r *region) all() bool { return r.tops[dnsname.Root] }

// holds reports whether a name is one of these or lies below one.
func (r *region) holds(name dnsname.Name) bool {
	for !r.all() {
		switch {
		case r.tops[name]:
			return true
		case name.IsRoot():
			return false
		}
		name = name.Parent()
	}
	return true
}

// touches reports whether a name is in the region, or some of it lies below the name.
func (r *region) touches(name dnsname.Name) bool { return r.above[name] || r.holds(name) }
