package nameindex

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"math"

	"cenote/dnsname"
	"cenote/radix"
)

// Reasons for which a Builder refuses names or a file. Its errors wrap one of them.
var (
	ErrName      = errors.New("name is not canonical or not well formed")
	ErrDuplicate = errors.New("name was added twice")
	ErrSet       = errors.New("set does not exist")
	ErrFull      = errors.New("index is full")
	ErrCrowded   = errors.New("names share buckets under every seed")
)

// seedsMax is how many seeds a Builder tries. Honest names need one.
const seedsMax = 8

// BuildOptions are what a Builder can be told beforehand.
type BuildOptions struct {
	// Names is how many names are expected; a wrong guess costs only time. Default: 0. Example: 1_000_000.
	Names int
	// Base makes the file a delta of that index without its own delta, for Index.With: both have the same seed, so that one hash finds a name in
	// either. WriteFile takes only the seed from it, MergeFile all. Default: nil, an index of its own.
	Base *Index
	// Unsynced leaves it to the caller to have the file that WriteFile writes, and its directory, synced: until then a loss of power may take it. Default: false. Example: true.
	Unsynced bool
}

// Builder collects names and writes them to a file. It needs about as much memory as the names themselves and 20 octets more for each.
type Builder struct {
	sets     map[string]uint32
	payloads []string
	used     []uint32 // by set: names that refer to it
	shards   []shard
	names    uint64
	apart    []byte // the names that are kept apart, as the file has them
	base     *Index // of which this is a delta; nil for none
	labels   labelRange
	seed     [seedLen]byte
	keys     keys
	hashBits uint8
	gain     int          // how many names more the base lists with what Exchange was told
	told     uint64       // of how many names that was
	tied     bool         // to the seed of another index
	unsynced bool         // see BuildOptions
	random   func([]byte) // fills a seed
}

// labelRange is the least and the greatest number of labels of all names.
type labelRange struct{ min, max uint8 }

// shardBits divides the names by the upper bits of their hashes, and so into runs of buckets: what is sorted and written
// together fits into the processor's cache.
const shardBits = 8

// shard holds the names of one run of buckets.
type shard struct {
	records []record
	text    []byte // length octet and wire form without the root octet, a name after the other
}

// record is one name that was added.
type record struct {
	hash uint64
	off  uint32 // into the shard's text
	set  uint32 // as AddSet numbered it
}

func (r *record) key() uint64 { return r.hash }

func (s *shard) name(r *record) []byte {
	n := int(s.text[r.off])
	return s.text[r.off+1:][:n]
}

// NewBuilder returns an empty Builder.
func NewBuilder(o BuildOptions) *Builder {
	b := &Builder{
		sets: map[string]uint32{}, labels: labelRange{min: 1}, hashBits: 64,
		random:   func(seed []byte) { rand.Read(seed) }, // which never fails
		unsynced: o.Unsynced,
	}
	b.shards = newShards(o.Names)
	if o.Base == nil {
		b.reseed()
		return b
	}
	b.base = o.Base.Base()
	h := &b.base.header
	b.seed, b.hashBits, b.tied = h.seed, h.hashBits, true
	b.keys = newKeys(b.seed, b.hashBits)
	return b
}

func newShards(names int) []shard {
	shards := make([]shard, 1<<shardBits)
	each := names >> shardBits
	each += each / 16 // shares differ by chance
	for i := range shards {
		shards[i].records = make([]record, 0, each)
	}
	return shards
}

func (b *Builder) reseed() {
	b.random(b.seed[:])
	b.keys = newKeys(b.seed, b.hashBits)
}

// AddSet returns the id that Add takes for payload; equal payloads have one id. Ids in the file differ: see Index.Sets.
func (b *Builder) AddSet(payload []byte) uint32 {
	id, ok := b.sets[string(payload)]
	if !ok {
		id = uint32(len(b.payloads))
		text := string(payload)
		b.sets[text] = id
		b.payloads, b.used = append(b.payloads, text), append(b.used, 0)
	}
	return id
}

// Add lists name, which is canonical and in wire form with its root octet, with the given set. A name that is added twice is an
// error of WriteFile. Its last label alone may have letters in upper case: no query name, being canonical, ever equals or lies below such a name,
// which stands for something else and is among those of Index.Apart.
func (b *Builder) Add(name []byte, set uint32) error {
	n, _, err := dnsname.Check(name)
	if err != nil || n != len(name) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	last := lastLabel(name)
	if hasUpper(name[:last]) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	if int(set) >= len(b.payloads) {
		return fmt.Errorf("%w: %d", ErrSet, set)
	}
	if hasUpper(name[last:]) {
		b.apart = append(append(b.apart, uint8(len(name)-1)), name[:len(name)-1]...)
	}
	b.used[set]++
	b.names++
	return b.place(name, set)
}

// Exchange is Add for a builder of a delta, by a caller who knows whether the base lists the name: when all names come by it, Index.With need not look which
// are new and which go.
func (b *Builder) Exchange(name []byte, set uint32, listed bool) error {
	if err := b.Add(name, set); err != nil {
		return err
	}
	b.told++
	switch removes := b.payloads[set] == ""; {
	case removes && listed:
		b.gain--
	case !removes && !listed:
		b.gain++
	}
	return nil
}

// Len returns how many names were added.
func (b *Builder) Len() int { return int(b.names) }

// lastLabel returns where the last label of a name in wire form begins, with its length octet.
func lastLabel(name []byte) (at int) {
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		at = i
	}
	return at
}

func hasUpper(name []byte) bool {
	for _, c := range name {
		if c-'A' < 26 {
			return true
		}
	}
	return false
}

// place puts name into the shard of its hash.
func (b *Builder) place(name []byte, set uint32) error {
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &starts)
	if b.names == 1 {
		b.labels = labelRange{min: uint8(labels), max: uint8(labels)}
	}
	b.labels.min, b.labels.max = min(b.labels.min, uint8(labels)), max(b.labels.max, uint8(labels))
	h := b.keys.name(name, starts[:labels]) & b.keys.mask
	s := &b.shards[h>>(64-shardBits)]
	if len(s.text)+len(name) > math.MaxUint32 {
		return fmt.Errorf("%w: more than 4 GiB of names", ErrFull)
	}
	s.records = append(s.records, record{hash: h, off: uint32(len(s.text)), set: set})
	s.text = append(s.text, uint8(len(name)-1))
	s.text = append(s.text, name[:len(name)-1]...)
	return nil
}

// spread places all names anew, under a new seed, one shard after the other.
func (b *Builder) spread() error {
	before := b.shards
	b.shards = newShards(int(b.names))
	b.reseed()
	name := make([]byte, 0, dnsname.WireMax)
	for i := range before {
		s := &before[i]
		for j := range s.records {
			r := &s.records[j]
			name = append(append(name[:0], s.name(r)...), 0)
			if err := b.place(name, r.set); err != nil {
				return err
			}
		}
		*s = shard{}
	}
	return nil
}

// sort brings the names of s, whose hashes begin with the same skip bits, into the order of the file and finds names that came twice.
func (s *shard) sort(skip int) error {
	radix.Sort(s.records, nil, skip, (*record).key, func(p, q record) int {
		if c := cmp.Compare(p.hash, q.hash); c != 0 {
			return c
		}
		return bytes.Compare(s.name(&p), s.name(&q))
	})
	for i := 1; i < len(s.records); i++ {
		p, q := &s.records[i-1], &s.records[i]
		if p.hash == q.hash && bytes.Equal(s.name(p), s.name(q)) {
			return fmt.Errorf("%w: %s", ErrDuplicate, dnsname.Name(s.name(q))+dnsname.Root)
		}
	}
	return nil
}
