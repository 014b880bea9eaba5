package nameindex

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
)

// Follow is the order of the names of another index, without its delta, into which changes of that of o were merged; see Builder.MergeFile. It costs
// what has changed, and some milliseconds for a million names. rest is called after each small piece of the work. false is that the index did not come so.
func (o *Order) Follow(x *Index, rest func()) (*Order, bool) {
	to := x.Base()
	if to == o.base {
		return o, true
	}
	if !continues(o.base, to) {
		return nil, false
	}
	m := moves{in: make([]uint64, (to.header.buckets+63)/64), to: map[uint32]uint32{}}
	var fresh []keyed // with their places as sets
	decoder := newDecoder(&to.lengths)
	unlike(o.base, to, rest, func(bucket uint64) {
		m.in[bucket/64] |= 1 << (bucket % 64)
		old, now := o.base.entriesOf(bucket), to.entriesOf(bucket)
		for i, e := range now {
			ref := uint32(bucket)<<refBits | uint32(i)
			if at := slices.IndexFunc(old, e.isOf); at >= 0 {
				m.to[uint32(bucket)<<refBits|uint32(at)] = ref
			} else if name, ok := decoder.wire(nil, e.code); ok {
				fresh = append(fresh, keyed{appendSortKey(nil, name), nil, ref})
			}
		}
	})
	slices.SortFunc(fresh, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
	out := &Order{base: to, refs: make([]uint32, 0, max(to.Len(), len(fresh)))}
	r, at := o.reader(rest), 0
	for i := range fresh {
		before := r.search(fresh[i].key)
		out.refs = m.move(out.refs, o.refs[at:before])
		out.refs, at = append(out.refs, fresh[i].set), before
	}
	out.refs = m.move(out.refs, o.refs[at:])
	runtime.KeepAlive(to)
	return out, true
}

// moves say where the names of some buckets are in the next index.
type moves struct {
	in []uint64          // a bit for each bucket, of those in which names have moved
	to map[uint32]uint32 // where these are; what is not in it has gone
}

// move appends places as they are in the next index.
func (m *moves) move(dst, refs []uint32) []uint32 {
	for _, ref := range refs {
		if bucket := ref >> refBits; m.in[bucket/64]&(1<<(bucket%64)) != 0 {
			var stays bool
			if ref, stays = m.to[ref]; !stays {
				continue
			}
		}
		dst = append(dst, ref)
	}
	return dst
}

// continues reports whether two indexes without deltas have the same seed, buckets, code and sets, but that one may have further sets: each came of the
// other, or both of a third one, by merging.
func continues(a, b *Index) bool {
	x, y := &a.header, &b.header
	if x.seed != y.seed || x.hashBits != y.hashBits || x.buckets != y.buckets || a.lengths != b.lengths {
		return false
	}
	for id := range min(x.sets, y.sets) {
		if !bytes.Equal(a.Set(id), b.Set(id)) {
			return false
		}
	}
	return true
}

// bucketsCompared is how many buckets are compared before a rest.
const bucketsCompared = 1024

// unlike visits the buckets in which two indexes differ, each of which continues the other.
func unlike(a, b *Index, rest func(), visit func(bucket uint64)) {
	for bucket := range a.header.buckets {
		if bucket%bucketsCompared == bucketsCompared-1 {
			rest()
		}
		from, to := a.bucketSpan(bucket)
		if since, until := b.bucketSpan(bucket); !bytes.Equal(a.names[from:to], b.names[since:until]) {
			visit(bucket)
		}
	}
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
}

// bucketEntry is an entry of a bucket, whose code is a part of the file.
type bucketEntry struct {
	set  uint32
	code []byte
}

// isOf reports whether two entries are of one name, and equals whether it has the same set in both.
func (e bucketEntry) isOf(other bucketEntry) bool   { return bytes.Equal(e.code, other.code) }
func (e bucketEntry) equals(other bucketEntry) bool { return e.set == other.set && e.isOf(other) }

func (x *Index) entriesOf(bucket uint64) []bucketEntry {
	b := bucketAt(x.names, binary.LittleEndian.Uint32(x.directory[dirEntryLen*bucket:]))
	out := make([]bucketEntry, b.count)
	for i := range out {
		out[i].set, out[i].code = b.next()
	}
	return out
}
