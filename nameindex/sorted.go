package nameindex

import (
	"bytes"
	"iter"
	"slices"

	"cenote/dnsname"
)

// SortOptions are what Index.Sorted can be told.
type SortOptions struct {
	// Names is how many names are held at once. An index of more is gone through several times. Default: 1 << 20. Example: 100_000.
	Names int
	// Rest is called after each small piece of the work; see OpenOptions. Default: nothing.
	Rest func()
}

const (
	sortedDefault = 1 << 20
	sampleMax     = 1 << 12 // names of which the bounds of the runs are taken
	sortedRest    = 256     // names, or comparisons, between two rests
)

// Sorted yields every listed name with its set in canonical order (RFC 4034 section 6.1): a name before all that lie below it. Those that are kept apart
// are in order as if they were in lower case, and are yielded as they are. The memory that it takes is bounded by o. What it yields lives until the next.
func (x *Index) Sorted(o SortOptions) iter.Seq2[[]byte, uint32] {
	if o.Names <= 0 {
		o.Names = sortedDefault
	}
	if o.Rest == nil {
		o.Rest = func() {}
	}
	return func(yield func([]byte, uint32) bool) {
		s := sorter{index: x, rest: o.Rest}
		from := []byte(nil)
		for _, to := range append(s.bounds(o.Names), nil) {
			s.collect(from, to)
			if !s.yield(yield) {
				return
			}
			from = to
		}
	}
}

// sorter holds one run of the names. The key of a name is its labels from the last to the first, in lower case, each with a zero behind it; octets below
// 2 are two in it. So keys compare as names do.
type sorter struct {
	index   *Index
	rest    func()
	text    []byte // keys, one after the other
	entries []sorted
	work    int
}

// sorted is one name of a run.
type sorted struct {
	off   uint32
	set   uint32
	size  uint16
	apart bool
}

func (s *sorter) pause() {
	if s.work++; s.work%sortedRest == 0 {
		s.rest()
	}
}

func (s *sorter) key(e *sorted) []byte { return s.text[e.off:][:e.size] }

// bounds are keys that part the names into runs of about the given size. The first names of a file are a sample of all, since its order is that of a hash.
func (s *sorter) bounds(size int) [][]byte {
	runs := (s.index.Len() + size - 1) / size
	if runs <= 1 {
		return nil
	}
	var sample [][]byte
	for name := range s.index.listed() {
		if sample = append(sample, appendSortKey(nil, name)); len(sample) == sampleMax {
			break
		}
	}
	slices.SortFunc(sample, bytes.Compare)
	var out [][]byte
	for i := 1; i < runs; i++ {
		out = append(out, sample[i*len(sample)/runs])
	}
	return slices.CompactFunc(out, bytes.Equal)
}

// collect takes the names whose keys are not below from and below to, where nil is no bound, and sorts them.
func (s *sorter) collect(from, to []byte) {
	s.text, s.entries = s.text[:0], s.entries[:0]
	for name, set := range s.index.listed() {
		s.pause()
		at := len(s.text)
		s.text = appendSortKey(s.text, name)
		key := s.text[at:]
		if bytes.Compare(key, from) < 0 || to != nil && bytes.Compare(key, to) >= 0 {
			s.text = s.text[:at]
			continue
		}
		s.entries = append(s.entries, sorted{off: uint32(at), set: set, size: uint16(len(key)), apart: hasUpper(name[lastLabel(name):])})
	}
	slices.SortFunc(s.entries, func(a, b sorted) int {
		s.pause()
		return bytes.Compare(s.key(&a), s.key(&b))
	})
}

func (s *sorter) yield(yield func([]byte, uint32) bool) bool {
	var name [dnsname.WireMax]byte
	for i := range s.entries {
		e := &s.entries[i]
		if !yield(appendSorted(name[:0], s.key(e), e.apart), e.set) {
			return false
		}
		s.pause()
	}
	return true
}

// appendSortKey appends the key of a name.
func appendSortKey(dst, name []byte) []byte {
	var starts [dnsname.LabelsMax + 1]uint8
	for i := dnsname.Offsets(name, &starts) - 1; i >= 0; i-- {
		label := name[starts[i]+1:][:name[starts[i]]]
		for _, c := range label {
			switch {
			case c <= 1:
				dst = append(dst, 1, c+1)
			case 'A' <= c && c <= 'Z':
				dst = append(dst, c+'a'-'A')
			default:
				dst = append(dst, c)
			}
		}
		dst = append(dst, 0)
	}
	return dst
}

// appendSorted appends the name of a key; that of one that is kept apart has its last label in upper case.
func appendSorted(dst, key []byte, apart bool) []byte {
	last := apart
	var labels [dnsname.LabelsMax][]byte
	n := 0
	for ; len(key) > 0; n++ {
		end := bytes.IndexByte(key, 0)
		labels[n], key = key[:end], key[end+1:]
	}
	for i := n - 1; i >= 0; i-- {
		at := len(dst)
		dst = append(dst, 0)
		for j := 0; j < len(labels[i]); j++ {
			c := labels[i][j]
			switch {
			case c == 1:
				j++
				c = labels[i][j] - 1
			case last && i == 0 && 'a' <= c && c <= 'z':
				c -= 'a' - 'A'
			}
			dst = append(dst, c)
		}
		dst[at] = byte(len(dst) - at - 1)
	}
	return append(dst, 0)
}
