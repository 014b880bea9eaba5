package nameindex

import (
	"bytes"
	"iter"
	"slices"

	"cenote/dnsname"
)

// Changed returns the names whose payloads differ between two indexes of the same base, in no order: names that only one of them
// lists are among them. It costs what the deltas cost. false is that their bases are two.
func Changed(from, to *Index) (names [][]byte, ok bool) {
	if from.Base() != to.Base() {
		return nil, false
	}
	for name := range from.deltaNames() {
		if !sameEntry(from, to, name) {
			names = append(names, bytes.Clone(name))
		}
	}
	for name := range to.deltaNames() {
		if !from.delta.says(name) && !sameEntry(from, to, name) {
			names = append(names, bytes.Clone(name))
		}
	}
	return names, true
}

// deltaNames yields the names that the delta has, each with a set of its own or that of names that are not listed.
func (x *Index) deltaNames() iter.Seq2[[]byte, uint32] {
	if x.delta == nil {
		return func(func([]byte, uint32) bool) {}
	}
	return x.delta.listed()
}

// sameEntry reports whether two indexes say the same of a name.
func sameEntry(a, b *Index, name []byte) bool {
	x, listed := a.Lookup(name)
	y, too := b.Lookup(name)
	return listed == too && (!listed || bytes.Equal(a.Set(x), b.Set(y)))
}

// ListedBelow returns the listed names, in no order, that equal or lie below one of those given, which are canonical but that their last labels may have
// letters in upper case. It looks at each name of the index, and calls rest after each small piece of the work. false is that there are more than most.
func (x *Index) ListedBelow(tops [][]byte, most int, rest func()) (names [][]byte, within bool) {
	f, work := newForest(tops), 0
	for name := range x.listed() {
		if work++; work%sortedRest == 0 {
			rest()
		}
		if !f.has(name) {
			continue
		}
		if len(names) == most {
			return nil, false
		}
		names = append(names, bytes.Clone(name))
	}
	return names, true
}

// forest is a set of names with all that lies below them.
type forest struct {
	tops   map[string]struct{}
	labels []int // how many labels the tops have: each number once, in order
}

func newForest(tops [][]byte) *forest {
	f := &forest{tops: make(map[string]struct{}, len(tops))}
	var starts [dnsname.LabelsMax + 1]uint8
	for _, top := range tops {
		f.tops[string(top)] = struct{}{}
		f.labels = append(f.labels, dnsname.Offsets(top, &starts))
	}
	slices.Sort(f.labels)
	f.labels = slices.Compact(f.labels)
	return f
}

// has reports whether a name equals or lies below a top.
func (f *forest) has(name []byte) bool {
	var starts [dnsname.LabelsMax + 1]uint8
	n := dnsname.Offsets(name, &starts)
	for _, labels := range f.labels {
		if labels > n {
			return false
		}
		at := len(name) - 1
		if labels > 0 {
			at = int(starts[n-labels])
		}
		if _, ok := f.tops[string(name[at:])]; ok {
			return true
		}
	}
	return false
}
