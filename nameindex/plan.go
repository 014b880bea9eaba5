package nameindex

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// plan is a file as it will be.
type plan struct {
	header    header
	shards    []shard  // empty once their names are in names
	rank      []uint32 // from the Builder's set ids to those of the file
	order     []uint32 // and back
	lengths   codeLengths
	directory []byte
	names     [][]byte // the buckets of each shard
	longest   int
	reseeds   int
}

// plan sorts the names, spreads them anew while a bucket is too full, writes them in their code and lays out the file. It takes the names out of b, a
// shard at a time, so that they are never in memory twice.
func (b *Builder) plan(manifest []byte) (*plan, error) {
	p := &plan{}
	b.rankSets(p)
	if err := b.sort(p); err != nil {
		return nil, err
	}
	p.lengths = p.frequencies().lengths()
	names, err := b.fill(p)
	if err != nil {
		return nil, err
	}
	p.header.gain, p.header.knowsGain = int64(b.gain), b.base != nil && b.told == b.names
	return p, b.layout(p, names, len(manifest))
}

// sort brings the names into the order of the file, under a seed that crowds no bucket.
func (b *Builder) sort(p *plan) error {
	for {
		if p.header.buckets = b.gather(p); p.header.buckets > bucketsMax {
			return fmt.Errorf("%w: %d names", ErrFull, b.names)
		}
		longest := make([]int, len(p.shards))
		err := each(len(p.shards), func(i int) error {
			if err := p.sortShard(i); err != nil {
				return err
			}
			for _, run := range p.runs(i) {
				longest[i] = max(longest[i], len(run.records))
			}
			return nil
		})
		p.longest = slices.Max(longest)
		if err != nil || p.longest <= bucketMax {
			return err
		}
		if p.reseeds++; p.reseeds == seedsMax || b.tied {
			return fmt.Errorf("%w: %d in one bucket", ErrCrowded, p.longest)
		}
		if err := b.spread(); err != nil {
			return err
		}
	}
}

// sortShard sorts shard i. If there are several, the upper bits of the hashes divide the names among them.
func (p *plan) sortShard(i int) error {
	skip := 0
	if len(p.shards) > 1 {
		skip = shardBits
	}
	return p.shards[i].sort(skip)
}

// each calls do for 0 to n-1, as many at a time as there are processors, and returns the first error.
func each(n int, do func(i int) error) error {
	var next atomic.Int64
	workers := make(chan error)
	count := min(n, runtime.GOMAXPROCS(0))
	for range count {
		go func() {
			var err error
			for err == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					break
				}
				err = do(i)
			}
			workers <- err
		}()
	}
	var err error
	for range count {
		err = cmp.Or(err, <-workers)
	}
	return err
}

// Of many names so many are enough to know how often each symbol comes after which.
const (
	sampleLeast = 1 << 12 // of a shard
	sampleShare = 8       // one of so many beyond
)

// frequencies counts the symbols of the names, of many names of a part.
func (p *plan) frequencies() *frequencies {
	var mu sync.Mutex
	var all frequencies
	_ = each(len(p.shards), func(i int) error { // which cannot fail
		var one frequencies
		s := &p.shards[i]
		step := 1
		if len(s.records) >= sampleLeast {
			step = sampleShare
		}
		for j := 0; j < len(s.records); j += step { // by hash, which is as good as by chance
			one.add(s.name(&s.records[j]))
		}
		mu.Lock()
		defer mu.Unlock()
		all.sum(&one)
		return nil
	})
	return &all
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
	p.shards = []shard{b.together()}
	return buckets
}

// together returns all names as one shard.
func (b *Builder) together() (all shard) {
	for i := range b.shards {
		s := &b.shards[i]
		for _, r := range s.records {
			r.off += uint32(len(all.text))
			all.records = append(all.records, r)
		}
		all.text = append(all.text, s.text...)
	}
	return all
}

// fill writes the directory and the buckets, and returns how many octets those take. The shards are empty afterwards.
func (b *Builder) fill(p *plan) (names uint64, err error) {
	p.directory, p.names = make([]byte, dirEntryLen*p.header.buckets), make([][]byte, len(p.shards))
	coder := newCoder(&p.lengths)
	err = each(len(p.shards), func(i int) error {
		p.names[i] = b.fillShard(p, coder, i)
		p.shards[i] = shard{}
		if len(p.names[i]) > math.MaxUint32 {
			return ErrFull
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return p.join()
}

// join makes the offsets in the directory, which are from the first bucket of each shard, those of the file, and returns how many octets the
// buckets take.
func (p *plan) join() (names uint64, err error) {
	part := len(p.directory) / len(p.shards)
	for i, text := range p.names {
		for at := i * part; at < (i+1)*part; at += dirEntryLen {
			off := names + uint64(binary.LittleEndian.Uint32(p.directory[at:]))
			binary.LittleEndian.PutUint32(p.directory[at:], uint32(off))
		}
		if names += uint64(len(text)); names > math.MaxUint32 {
			return 0, fmt.Errorf("%w: more than 4 GiB of entries", ErrFull)
		}
	}
	return names, nil
}

// fillShard writes the directory of a shard's buckets, with offsets from the shard's first, and returns the buckets.
func (b *Builder) fillShard(p *plan, coder *coder, i int) []byte {
	out := make([]byte, 0, codeLenMean*len(p.shards[i].records))
	var code []byte
	for bucket, run := range p.runs(i) {
		slot := p.directory[dirEntryLen*bucket:][:dirEntryLen]
		binary.LittleEndian.PutUint32(slot, uint32(len(out)))
		out = append(out, uint8(len(run.records)))
		for j := range run.records {
			_, fp := b.keys.place(run.records[j].hash, p.header.buckets)
			if j < dirFPs {
				slot[4+j] = fp
			} else {
				out = append(out, fp)
			}
		}
		for j := range run.records {
			r := &run.records[j]
			code = coder.append(code[:0], run.name(r))
			out = append(appendHead(out, p.rank[r.set], len(code)), code...)
		}
	}
	return out
}

// codeLenMean is a guess at how many octets an entry takes.
const codeLenMean = 15

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
	h.codec, h.hashBits, h.seed = codecOrder1, b.hashBits, b.seed
	h.labelsMin, h.labelsMax = b.labels.min, b.labels.max
	h.sets, h.names = uint32(len(p.order)), b.names
	lens := [sectionCount]uint64{
		uint64(manifest), 4 * uint64(len(p.order)+1), payloads, uint64(len(b.apart)), codeTableLen, uint64(len(p.directory)), names,
	}
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

// runs yields the names of every bucket of shard i, in order, as a shard with those records alone.
func (p *plan) runs(i int) iter.Seq2[uint64, shard] {
	return func(yield func(uint64, shard) bool) {
		count := p.header.buckets / uint64(len(p.shards))
		s := &p.shards[i]
		rest := s.records
		for bucket := uint64(i) * count; bucket < uint64(i+1)*count; bucket++ {
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

func bucketOf(hash, buckets uint64) uint64 {
	hi, _ := bits.Mul64(hash, buckets)
	return hi
}
