package sighting

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"

	"go.etcd.io/bbolt"
)

// pack is a value that holds blocks of one run side by side. Whatever its size, a value that is put costs bbolt some ten objects of the heap, so
// a commit puts few and large ones; a reader still takes one block, which has a checksum of its own.
//
//	blocks[4] keySize[4] {key[keySize] end[4]}.. hash[8], and the blocks
//
// The hash is of all that is before it; ends count from where the blocks begin. A pack lies in a bucket of its own, whose name is the key of its
// first block: bbolt writes the last values of a bucket anew with each transaction that adds one, up to four whatever their size, and of a bucket
// in a bucket only where it is.
type pack struct {
	keySize int
	index   []byte // keys and ends
	blocks  []byte
}

const (
	packOctets = transferPart // of blocks, after which a pack is put: a transaction has one
	packHeader = 8
	packEnd    = 4
)

var keyPack = []byte{0}

// hasPacks reports whether a bucket has packs, or else blocks alone, as all have in files of the first format.
func (f *dayFile) hasPacks(bucket []byte) bool {
	return f.format != dayFormatBlocks && (bytes.Equal(bucket, bucketRows) || bytes.Equal(bucket, bucketTerms))
}

// packer puts blocks into a file. Its memory is used again.
type packer struct {
	file   *dayFile
	put    putter
	limit  int // octets of blocks in a pack
	bucket []byte
	index  []byte // of the pack that is being filled, with its header
	blocks []byte
}

func (p *packer) begin(f *dayFile, put putter, limit int) {
	p.file, p.put, p.limit, p.index, p.blocks = f, put, limit, p.index[:0], p.blocks[:0]
}

// add puts a block that has its checksum: at once, or with others. Those of a bucket come in the order of their keys.
func (p *packer) add(bucket, key, block []byte) error {
	if !p.file.hasPacks(bucket) {
		return p.put(bucket, key, block)
	}
	if len(p.index) == 0 {
		p.bucket = bucket
		p.index = binary.BigEndian.AppendUint32(append(p.index, 0, 0, 0, 0), uint32(len(key)))
	}
	p.blocks = append(p.blocks, block...)
	p.index = binary.BigEndian.AppendUint32(append(p.index, key...), uint32(len(p.blocks)))
	if len(p.blocks) < p.limit {
		return nil
	}
	return p.flush()
}

// flush puts what waits. Blocks of another bucket or run may follow.
func (p *packer) flush() error {
	if len(p.index) == 0 {
		return nil
	}
	keySize := int(binary.BigEndian.Uint32(p.index[4:]))
	binary.BigEndian.PutUint32(p.index, uint32((len(p.index)-packHeader)/(keySize+packEnd)))
	p.index = appendSeal(p.index, p.index)
	err := p.put(p.bucket, p.index[packHeader:packHeader+keySize], p.index, p.blocks)
	p.index, p.blocks = p.index[:0], p.blocks[:0]
	return err
}

var errPack = fmt.Errorf("%w: a value is no pack of blocks", ErrDamaged)

// readPack reads the index of a pack, which has one block at least. What the pack gives are slices of v.
func readPack(v []byte) (p pack, err error) {
	if len(v) < packHeader {
		return pack{}, errPack
	}
	count, keySize := int(binary.BigEndian.Uint32(v)), int(binary.BigEndian.Uint32(v[4:]))
	if count == 0 || count > len(v) || keySize > bbolt.MaxKeySize {
		return pack{}, errPack
	}
	end := packHeader + count*(keySize+packEnd)
	if end+sealSize > len(v) {
		return pack{}, errPack
	}
	index, err := opened(v[:end+sealSize])
	if err != nil {
		return pack{}, err
	}
	return pack{keySize: keySize, index: index[packHeader:], blocks: v[end+sealSize:]}, nil
}

func (p *pack) len() int { return len(p.index) / (p.keySize + packEnd) }

func (p *pack) key(i int) []byte { return p.index[i*(p.keySize+packEnd):][:p.keySize:p.keySize] }

// end is where the i-th block ends.
func (p *pack) end(i int) uint64 {
	return uint64(binary.BigEndian.Uint32(p.index[i*(p.keySize+packEnd)+p.keySize:]))
}

// block returns the i-th block with its checksum.
func (p *pack) block(i int) ([]byte, error) {
	from, to := uint64(0), p.end(i)
	if i > 0 {
		from = p.end(i - 1)
	}
	if from > to || to > uint64(len(p.blocks)) {
		return nil, errPack
	}
	return p.blocks[from:to:to], nil
}

// find returns the number of the first block whose key is not below key.
func (p *pack) find(key []byte) int {
	return sort.Search(p.len(), func(i int) bool { return bytes.Compare(p.key(i), key) >= 0 })
}

// blocks goes through the blocks of a bucket in the order of their keys, as a cursor of bbolt does through its values: behind the last one and
// before the first, keys are nil. What it gives is valid as long as the transaction.
type blocks struct {
	bucket *bbolt.Bucket
	values *bbolt.Cursor
	packed bool
	pack   pack
	at     int // number of a block in pack
}

func (f *dayFile) blocks(tx *bbolt.Tx, bucket []byte) *blocks {
	b := tx.Bucket(bucket)
	return &blocks{bucket: b, values: b.Cursor(), packed: f.hasPacks(bucket)}
}

// seek goes to the first block whose key is not below key. It is in the last pack that begins before key, or else the first of the next one.
func (b *blocks) seek(key []byte) (k, v []byte, err error) {
	k, v = b.values.Seek(key)
	if !b.packed || bytes.Equal(k, key) {
		return b.enter(k, v, false)
	}
	before := b.valueBefore(k)
	if before == nil {
		return b.enter(k, nil, false)
	}
	if b.pack, err = b.packOf(before); err != nil {
		return nil, nil, err
	}
	if b.at = b.pack.find(key); b.at < b.pack.len() {
		return b.current()
	}
	return b.next()
}

// valueBefore goes to the value before the one that Seek returned.
func (b *blocks) valueBefore(k []byte) (before []byte) {
	if k == nil {
		before, _ = b.values.Last()
	} else {
		before, _ = b.values.Prev()
	}
	return before
}

func (b *blocks) next() (k, v []byte, err error) {
	if b.at++; b.packed && b.at < b.pack.len() {
		return b.current()
	}
	k, v = b.values.Next()
	return b.enter(k, v, false)
}

func (b *blocks) prev() (k, v []byte, err error) {
	if b.at--; b.packed && b.at >= 0 {
		return b.current()
	}
	k, v = b.values.Prev()
	return b.enter(k, v, true)
}

func (b *blocks) last() (k, v []byte, err error) {
	k, v = b.values.Last()
	return b.enter(k, v, true)
}

// enter goes to the first or last block of a value.
func (b *blocks) enter(k, v []byte, last bool) (key, block []byte, err error) {
	if k == nil || !b.packed {
		return k, v, nil
	}
	if b.pack, err = b.packOf(k); err != nil {
		return nil, nil, err
	}
	b.at = 0
	if last {
		b.at = b.pack.len() - 1
	}
	return b.current()
}

// packOf returns the pack in the bucket named k.
func (b *blocks) packOf(k []byte) (pack, error) {
	if own := b.bucket.Bucket(k); own != nil {
		return readPack(own.Get(keyPack))
	}
	return pack{}, errPack
}

func (b *blocks) current() (k, v []byte, err error) {
	v, err = b.pack.block(b.at)
	return b.pack.key(b.at), v, err
}
