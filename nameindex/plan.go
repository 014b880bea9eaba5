package nameindex

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// plan is a file as it will be, but for the entries themselves.
type plan struct {
	header    header
	shards    []shard
	rank      []uint32 // from the Builder's set ids to those of the file
	order     []uint32 // and back
	directory []byte
	longest   int
	reseeds   int
}

// plan sorts the names, spreads them anew while a bucket is too full, and lays out the file.
func (b *Builder) plan(manifest []byte) (*plan, error) {
	p := &plan{}
	b.rankSets(p)
	for {
		p.header.buckets = b.gather(p)
		for i := range p.shards {
			if err := p.shards[i].sort(); err != nil {
				return nil, err
			}
		}
		names, err := b.fill(p)
		if err != nil {
			return nil, err
		}
		if p.longest <= bucketMax {
			return p, b.layout(p, names, len(manifest))
		}
		if p.reseeds++; p.reseeds == seedsMax {
			return nil, fmt.Errorf("%w: %d in one bucket", ErrCrowded, p.longest)
		}
		if err := b.spread(); err != nil {
			return nil, err
		}
	}
}

// rankSets numbers the sets that are used by how many names refer to them, so that the numbers written most often take one octet.
func (b *Builder) rankSets(p *plan) {
	p.rank = make([]uint32, len(b.payloads))
	for id := range b.payloads {
		if b.used[id] > 0 {
			p.order = append(p.order, uint32(id))
		}
	}
	slices.SortFunc(p.order, func(i, j uint32) int {
		return cmp.Or(cmp.Compare(b.used[j], b.used[i]), cmp.Compare(b.payloads[i], b.payloads[j]))
	})
	for rank, id := range p.order {
		p.rank[id] = uint32(rank)
	}
}

// gather chooses the number of buckets, so that no bucket lies across two shards: it is a multiple of the shards, or all names are put
// into one.
func (b *Builder) gather(p *plan) (buckets uint64) {
	const shards = 1 << shardBits
	if buckets = max(1, (b.names+bucketMean-1)/bucketMean); buckets >= shards {
		p.shards = b.shards
		return (buckets + shards - 1) / shards * shards
	}
	var all shard
	for i := range b.shards {
		s := &b.shards[i]
		for _, r := range s.records {
			r.off += uint32(len(all.text))
			all.records = append(all.records, r)
		}
		all.text = append(all.text, s.text...)
	}
	p.shards = []shard{all}
	return buckets
}

// fill writes the directory and returns how many octets the buckets will take.
func (b *Builder) fill(p *plan) (names uint64, err error) {
	p.directory, p.longest = make([]byte, dirEntryLen*p.header.buckets), 0
	for i, run := range p.runs() {
		if names > math.MaxUint32 {
			return 0, fmt.Errorf("%w: more than 4 GiB of entries", ErrFull)
		}
		slot := p.directory[dirEntryLen*i:][:dirEntryLen]
		binary.LittleEndian.PutUint32(slot, uint32(names))
		for j := range run.records {
			r := &run.records[j]
			if j < dirFPs {
				_, slot[4+j] = b.keys.place(r.hash, p.header.buckets)
			}
			n := uint32(run.text[r.off])
			names += uint64(uvarintLen(p.rank[r.set])) + uint64(uvarintLen(n)) + uint64(n)
		}
		names += 1 + uint64(max(0, len(run.records)-dirFPs))
		p.longest = max(p.longest, len(run.records))
	}
	return names, nil
}

// layout fills the header: every length is known before the first octet is written.
func (b *Builder) layout(p *plan, names uint64, manifest int) error {
	payloads := uint64(0)
	for _, id := range p.order {
		payloads += uint64(len(b.payloads[id]))
	}
	if payloads > math.MaxUint32 {
		return fmt.Errorf("%w: more than 4 GiB of sets", ErrFull)
	}
	h := &p.header
	h.codec, h.hashBits, h.seed = codecPlain, b.hashBits, b.seed
	h.labelsMin, h.labelsMax = b.labels.min, b.labels.max
	h.sets, h.names = uint32(len(p.order)), b.names
	lens := [sectionCount]uint64{uint64(manifest), 4 * uint64(len(p.order)+1), payloads, uint64(len(p.directory)), names}
	off := uint64(headerLen)
	for i, n := range lens {
		switch i {
		case sectionDirectory:
			off = align(off)
		case sectionChecksums:
			n = 4 * blocks(off)
		}
		h.sections[i] = section{off, n}
		off += n
	}
	return nil
}

// runs yields the names of every bucket, in order, as a shard with those records alone.
func (p *plan) runs() func(yield func(uint64, shard) bool) {
	return func(yield func(uint64, shard) bool) {
		each := p.header.buckets / uint64(len(p.shards))
		for i := range p.shards {
			s := &p.shards[i]
			rest := s.records
			for bucket := uint64(i) * each; bucket < uint64(i+1)*each; bucket++ {
				n := 0
				for n < len(rest) && bucketOf(rest[n].hash, p.header.buckets) == bucket {
					n++
				}
				if !yield(bucket, shard{records: rest[:n], text: s.text}) {
					return
				}
				rest = rest[n:]
			}
		}
	}
}

func bucketOf(hash, buckets uint64) uint64 {
	hi, _ := bits.Mul64(hash, buckets)
	return hi
}
