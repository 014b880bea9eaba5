package nameindex

import (
	"encoding/binary"
	"iter"
	"runtime"

	"cenote/dnsname"
)

// Match is one listed name that a query name equals or lies below.
type Match struct {
	Set    uint32 // see Index.Set
	Labels uint8  // of the listed name: it is the last Labels labels of the query name
}

// Sizes says how large the parts of a file are, in octets.
type Sizes struct {
	Names    int64 // names with their code and the directory that finds them
	Sets     int64 // payloads of the sets, with their offsets
	Manifest int64
	Total    int64 // the whole file, with header, checksums and footer
}

// Index is an open file. It is immutable. What its methods return as a part of the file is to be read while the Index can still be reached: the
// memory of a mapped file goes when it cannot.
type Index struct {
	file       []byte // all of it; the rest are parts
	directory  []byte
	names      []byte
	sets       []byte
	apart      []byte
	setOffsets []byte
	lengths    codeLengths
	coder      *coder
	header     header
	keys       keys
	delta      *Index // nil for none
	base       *Index // what delta changes; nil without delta
	removed    uint32 // the set of delta whose names base has no more
}

// newIndex cuts file, whose header is h, into its parts.
func newIndex(file []byte, h *header) *Index {
	part := func(i int) []byte { return file[h.sections[i].off:h.sections[i].end()] }
	x := &Index{
		file: file, directory: part(sectionDirectory), names: part(sectionNames), sets: part(sectionSets),
		apart:      part(sectionApart),
		setOffsets: part(sectionSetOffsets), header: *h, keys: newKeys(h.seed, h.hashBits),
	}
	x.lengths.decode(part(sectionCode))
	return x
}

// Walk finds every listed name that name equals or lies below and writes them to out, the one with the fewest labels first. It returns
// how many there are, at most len(out). name is canonical and in wire form. Walk allocates nothing.
func (x *Index) Walk(name []byte, out []Match) int {
	if len(out) == 0 || len(name) == 0 {
		return 0
	}
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &starts)
	deepest := min(labels, int(x.header.labelsMax))
	h, start, end, n := x.keys.root, len(name)-1, len(name)-1, 0
	for i := 0; ; i++ {
		if i >= int(x.header.labelsMin) {
			if set, ok := x.lookup(h, name[start:end]); ok {
				out[n] = Match{Set: set, Labels: uint8(i)}
				if n++; n == len(out) {
					break
				}
			}
		}
		if i >= deepest {
			break
		}
		from := int(starts[labels-1-i])
		h = x.keys.child(h, name[from:start])
		start = from
	}
	runtime.KeepAlive(x)
	return n
}

// lookup looks up one name first in the delta, if there is one, and then in the base; see find.
func (x *Index) lookup(h uint64, name []byte) (set uint32, ok bool) {
	if x.delta != nil {
		if set, ok = x.delta.find(h, name); ok {
			return x.header.sets + set, set != x.removed
		}
	}
	return x.find(h, name)
}

// find looks up one name, given its hash and its wire form without the root octet.
func (x *Index) find(h uint64, name []byte) (set uint32, ok bool) {
	bucket, fp := x.keys.place(h, x.header.buckets)
	slot, likely := x.entry(bucket, fp)
	if likely == 0 && slot[dirEntryLen-1] == 0 {
		return 0, false // the common end: no such fingerprint, and none beyond the directory
	}
	return x.search(binary.LittleEndian.Uint32(slot), likely, fp, name)
}

// entry returns a bucket's entry in the directory, and a bit for each of the fingerprints there that equals fp.
func (x *Index) entry(bucket uint64, fp uint8) (slot []byte, likely uint64) {
	slot = x.directory[dirEntryLen*bucket:][:dirEntryLen]
	return slot, equalOctets(binary.LittleEndian.Uint64(slot[4:]), fp) | equalOctets(uint64(binary.LittleEndian.Uint32(slot[12:])), fp)<<8&0xf00
}

// search compares name with those entries of the bucket at off whose fingerprint is fp: the bits of likely for the first dirFPs.
func (x *Index) search(off uint32, likely uint64, fp uint8, name []byte) (set uint32, ok bool) {
	b := bucketAt(x.names, off)
	for i, fpFar := range b.far {
		if fpFar == fp {
			likely |= 1 << (dirFPs + i)
		}
	}
	for ; likely != 0; likely >>= 1 {
		set, code := b.next()
		if likely&1 != 0 && x.coder.equal(code, name) {
			return set, true
		}
	}
	return 0, false
}

// Len returns the number of listed names.
func (x *Index) Len() int { return int(x.header.names) }

// Sets returns the number of sets; their ids are 0 to Sets()-1, the set of the most names first. Those of a delta come last.
func (x *Index) Sets() int {
	if x.delta != nil {
		return int(x.header.sets) + x.delta.Sets()
	}
	return int(x.header.sets)
}

// Set returns the payload of a set as a part of the file, which must not be changed.
func (x *Index) Set(id uint32) []byte {
	if id >= x.header.sets && x.delta != nil {
		return x.delta.Set(id - x.header.sets)
	}
	from, to := binary.LittleEndian.Uint32(x.setOffsets[4*int(id):]), binary.LittleEndian.Uint32(x.setOffsets[4*int(id)+4:])
	return x.sets[from:to:to]
}

// Manifest returns what was stored beside the names, as a part of the file, which must not be changed. That of a delta stands in the
// place of its base's.
func (x *Index) Manifest() []byte {
	if x.delta != nil {
		return x.delta.Manifest()
	}
	s := x.header.sections[sectionManifest]
	return x.file[s.off:s.end():s.end()]
}

// Sizes returns how large the parts of the file are, without those of a delta.
func (x *Index) Sizes() Sizes { return x.header.sizes(int64(len(x.file))) }

func (h *header) sizes(total int64) Sizes {
	s := &h.sections
	return Sizes{
		Names:    int64(s[sectionCode].len + s[sectionDirectory].len + s[sectionNames].len),
		Sets:     int64(s[sectionSetOffsets].len + s[sectionSets].len),
		Manifest: int64(s[sectionManifest].len),
		Total:    total,
	}
}

// All yields every listed name with its set, in the order of the file; those of a delta come last.
func (x *Index) All() iter.Seq2[dnsname.Name, uint32] {
	return func(yield func(dnsname.Name, uint32) bool) {
		for name, set := range x.listed() {
			if !yield(dnsname.Name(name), set) {
				return
			}
		}
	}
}

// listed is All without a string for each name, which lives until the next.
func (x *Index) listed() iter.Seq2[[]byte, uint32] {
	if x.delta != nil {
		return x.listedInBoth()
	}
	return func(yield func([]byte, uint32) bool) {
		x.each(func(name []byte, set, _ uint32) bool { return yield(name, set) })
	}
}

// each visits every name of an index without its delta, with its set and its place, until visit returns false. The name lives until the next.
func (x *Index) each(visit func(name []byte, set, ref uint32) bool) {
	d := newDecoder(&x.lengths)
	var name []byte
	for i := range x.header.buckets {
		b := bucketAt(x.names, binary.LittleEndian.Uint32(x.directory[dirEntryLen*i:]))
		for at := range b.count {
			set, code := b.next()
			var ok bool
			if name, ok = d.wire(name[:0], code); ok && !visit(name, set, uint32(i)<<refBits|uint32(at)) {
				return
			}
		}
	}
	runtime.KeepAlive(x)
}
