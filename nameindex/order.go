package nameindex

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"runtime"
	"slices"
	"sort"

	"cenote/dnsname"
)

// SortOptions are what Index.Order can be told.
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

// Order is the canonical order (RFC 4034 section 6.1) of the names of an index without its delta: a name comes before all that lie below it. Those that are
// kept apart are in order as if they were in lower case. It takes four octets a name, and never changes.
type Order struct {
	base *Index
	refs []uint32
}

// refBits are the lower bits of a place, which say which entry of its bucket a name is; the others are the number of the bucket.
const refBits = 6

// Order finds the order of the names of x without its delta. The memory that this takes meanwhile is bounded by o.
func (x *Index) Order(o SortOptions) *Order {
	base := x.Base()
	s := sorter{index: base, rest: o.rest()}
	out := &Order{base: base, refs: make([]uint32, 0, base.Len())}
	from := []byte(nil)
	for _, to := range append(s.bounds(cmp.Or(max(o.Names, 0), sortedDefault)), nil) {
		s.collect(from, to)
		for i := range s.entries {
			out.refs = append(out.refs, s.entries[i].ref)
		}
		from = to
	}
	return out
}

func (o *SortOptions) rest() func() {
	if o.Rest == nil {
		return func() {}
	}
	return o.Rest
}

// Names yields every name that x lists with its set, in order; those that are kept apart as they are. The base of x is that of o. What it yields lives until
// the next.
func (o *Order) Names(x *Index, rest func()) iter.Seq2[[]byte, uint32] {
	return func(yield func([]byte, uint32) bool) {
		r, changed := o.reader(rest), x.sortedDelta()
		for _, ref := range o.refs {
			name, set := r.read(ref)
			if x.delta != nil {
				r.key = appendSortKey(r.key[:0], name)
				for ; len(changed) > 0 && bytes.Compare(changed[0].key, r.key) < 0; changed = changed[1:] {
					if !changed[0].yield(x, yield) {
						return
					}
				}
				if x.delta.says(name) {
					continue
				}
			}
			if !yield(name, set) {
				return
			}
		}
		for i := range changed {
			if !changed[i].yield(x, yield) {
				return
			}
		}
	}
}

// keyed is a name of a delta with its key.
type keyed struct {
	key, name []byte
	set       uint32 // in the delta
}

func (k *keyed) yield(x *Index, yield func([]byte, uint32) bool) bool {
	return k.set == x.removed || yield(k.name, x.header.sets+k.set)
}

// sortedDelta are the names of the delta in order, also those that it takes out of the base.
func (x *Index) sortedDelta() (out []keyed) {
	for name, set := range x.deltaNames() {
		out = append(out, keyed{appendSortKey(nil, name), bytes.Clone(name), set})
	}
	slices.SortFunc(out, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
	return out
}

// Below returns the names that x lists, in no order, that equal or lie below one of those given, which are canonical but that their last labels may have
// letters in upper case, and of which none lies below another. The base of x is that of o. It costs what it finds, what the delta has, and a search for each top; it
// calls rest after each small piece of the work. false is that there are more than most.
func (o *Order) Below(x *Index, tops [][]byte, most int, rest func()) (names [][]byte, within bool) {
	take := func(name []byte) bool {
		if len(names) == most {
			return false
		}
		names = append(names, bytes.Clone(name))
		return true
	}
	r := o.reader(rest)
	for _, top := range tops {
		key := appendSortKey(nil, top)
		for at := r.search(key); at < len(o.refs); at++ {
			name, _ := r.read(o.refs[at])
			if r.key = appendSortKey(r.key[:0], name); !bytes.HasPrefix(r.key, key) {
				break
			}
			if bytes.HasSuffix(name, top) && !x.delta.says(name) && !take(name) {
				return nil, false
			}
		}
	}
	f := newForest(tops)
	for name, set := range x.deltaNames() {
		if set != x.removed && f.has(name) && !take(name) {
			return nil, false
		}
	}
	return names, true
}

// orderReader reads names by their places.
type orderReader struct {
	*Order
	decoder *decoder
	rest    func()
	work    int
	name    []byte
	key     []byte
}

func (o *Order) reader(rest func()) *orderReader {
	return &orderReader{Order: o, decoder: newDecoder(&o.base.lengths), rest: rest}
}

// read is the name at a place, and its set. It lives until the next.
func (r *orderReader) read(ref uint32) (name []byte, set uint32) {
	if r.work++; r.work%sortedRest == 0 {
		r.rest()
	}
	x := r.base
	b := bucketAt(x.names, binary.LittleEndian.Uint32(x.directory[dirEntryLen*uint64(ref>>refBits):]))
	var code []byte
	for range ref&(1<<refBits-1) + 1 {
		set, code = b.next()
	}
	r.name, _ = r.decoder.name(r.name[:0], code) // it is one: the order has no others
	r.name = append(r.name, 0)
	runtime.KeepAlive(x)
	return r.name, set
}

// search is the place in the order of the first name whose key is not below the one given.
func (r *orderReader) search(key []byte) int {
	return sort.Search(len(r.refs), func(i int) bool {
		name, _ := r.read(r.refs[i])
		r.key = appendSortKey(r.key[:0], name)
		return bytes.Compare(r.key, key) >= 0
	})
}

// sorter holds one run of the names of an index without a delta. The key of a name is its labels from the last to the first, in lower case, each with a zero behind it; octets below
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
	off  uint32
	ref  uint32
	size uint16
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
	s.index.each(func(name []byte, _, _ uint32) bool {
		sample = append(sample, appendSortKey(nil, name))
		return len(sample) < sampleMax
	})
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
	s.index.each(func(name []byte, _, ref uint32) bool {
		s.pause()
		at := len(s.text)
		s.text = appendSortKey(s.text, name)
		key := s.text[at:]
		if bytes.Compare(key, from) < 0 || to != nil && bytes.Compare(key, to) >= 0 {
			s.text = s.text[:at]
			return true
		}
		s.entries = append(s.entries, sorted{off: uint32(at), ref: ref, size: uint16(len(key))})
		return true
	})
	slices.SortFunc(s.entries, func(a, b sorted) int {
		s.pause()
		return bytes.Compare(s.key(&a), s.key(&b))
	})
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
