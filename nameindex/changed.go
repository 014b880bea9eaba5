package nameindex

import (
	"bytes"
	"encoding/binary"
	"iter"
	"runtime"
	"slices"

	"cenote/dnsname"
)

// Changed returns the names whose payloads differ between two indexes of the same base, or of bases of which one came of the other by merging (see
// Builder.MergeFile), in no order: names that only one of them lists are among them. It costs what the deltas cost, and some milliseconds for a million names of
// two bases; it calls rest after each small piece of the work. false is that the bases have nothing to do with each other.
func Changed(from, to *Index, rest func()) (names [][]byte, ok bool) {
	if names, ok = changedBases(from.Base(), to.Base(), rest); !ok {
		return nil, false
	}
	for _, x := range []*Index{from, to} {
		for name := range x.deltaNames() {
			names = append(names, bytes.Clone(name))
		}
	}
	slices.SortFunc(names, bytes.Compare)
	names = slices.CompactFunc(names, bytes.Equal)
	return slices.DeleteFunc(names, func(name []byte) bool { return sameEntry(from, to, name) }), true
}

// changedBases are the names whose entries differ between two indexes without deltas.
func changedBases(from, to *Index, rest func()) (names [][]byte, ok bool) {
	if from == to {
		return nil, true
	}
	if !continues(from, to) {
		return nil, false
	}
	decoder := newDecoder(&from.lengths)
	unlike(from, to, rest, func(bucket uint64) {
		old, now := from.entriesOf(bucket), to.entriesOf(bucket)
		for _, list := range [][2][]bucketEntry{{old, now}, {now, old}} {
			for _, e := range list[0] {
				if slices.ContainsFunc(list[1], e.equals) {
					continue
				}
				if name, ok := decoder.wire(nil, e.code); ok {
					names = append(names, name)
				}
			}
		}
	})
	return names, true
}

// Having returns the listed names that have one of some sets: wanted says of each set whether it is one. It looks at each name of the index, and reads those alone
// that it returns; it calls rest after each small piece of the work.
func (x *Index) Having(wanted []bool, rest func()) (names [][]byte) {
	base, d := x.Base(), newDecoder(&x.Base().lengths)
	for bucket := range base.header.buckets {
		if bucket%bucketsCompared == bucketsCompared-1 {
			rest()
		}
		b := bucketAt(base.names, binary.LittleEndian.Uint32(base.directory[dirEntryLen*bucket:]))
		for range b.count {
			set, code := b.next()
			if !wanted[set] {
				continue
			}
			if name, ok := d.wire(nil, code); ok && !x.delta.says(name) {
				names = append(names, name)
			}
		}
	}
	for name, set := range x.deltaNames() {
		if set != x.removed && wanted[x.header.sets+set] {
			names = append(names, bytes.Clone(name))
		}
	}
	runtime.KeepAlive(base)
	return names
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
