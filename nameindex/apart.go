package nameindex

import (
	"iter"
	"runtime"

	"cenote/dnsname"
)

// Apart yields the listed names whose last label is not canonical, with their sets: those that stand for something else than names. Of an index
// with a delta, those of the base that the delta does not change come first. What it yields lives until the next.
func (x *Index) Apart() iter.Seq2[[]byte, uint32] {
	return func(yield func([]byte, uint32) bool) {
		base := x.Base()
		for name := range base.apartNames() {
			set, listed := base.Lookup(name)
			if !listed || x.delta.says(name) {
				continue
			}
			if !yield(name, set) {
				return
			}
		}
		for name, set := range x.ApartOfDelta() {
			if set != Unlisted && !yield(name, set) {
				return
			}
		}
	}
}

// Unlisted is the set of a name that a delta takes out of its base; see Index.ApartOfDelta.
const Unlisted = 1<<32 - 1

// ApartOfDelta yields those of Apart that the delta changes: with their new sets, or with Unlisted.
func (x *Index) ApartOfDelta() iter.Seq2[[]byte, uint32] {
	return func(yield func([]byte, uint32) bool) {
		if x.delta == nil {
			return
		}
		for name := range x.delta.apartNames() {
			if !x.delta.says(name) {
				continue
			}
			set, listed := x.Lookup(name)
			if !listed {
				set = Unlisted
			}
			if !yield(name, set) {
				return
			}
		}
	}
}

// says reports whether a delta has a word about the name; none has none.
func (x *Index) says(name []byte) bool {
	if x == nil {
		return false
	}
	_, ok := x.Lookup(name)
	return ok
}

// apartNames yields the names that the file keeps apart.
func (x *Index) apartNames() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var wire [dnsname.WireMax + 1]byte
		for rest := x.apart; len(rest) > 0; {
			size := int(rest[0])
			name := append(append(wire[:0], rest[1:1+size]...), 0)
			if n, _, err := dnsname.Check(name); err == nil && n == len(name) && !yield(name) {
				return
			}
			rest = rest[1+size:]
		}
		runtime.KeepAlive(x)
	}
}
