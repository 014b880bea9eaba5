package sighting

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

const (
	rowBlockSize  = 16 << 10 // octets of a block of rows, about 300 of them
	termsPerBlock = 128
	listBlockSize = 16 << 10 // of blocks of first sightings and losses
)

// putter puts a value, which has its checksums and may come in pieces, into a bucket of a day file: in a transaction of the caller's or one that it
// makes. It copies key and value.
type putter func(bucket, key []byte, value ...[]byte) error

// putInto is the putter of a transaction.
func (f *dayFile) putInto(tx *bbolt.Tx) putter {
	return func(bucket, key []byte, value ...[]byte) error {
		return f.putValue(tx, bucket, key, slices.Concat(value...))
	}
}

// putValue puts a value that stays as it is until tx ends.
func (f *dayFile) putValue(tx *bbolt.Tx, bucket, key, value []byte) error {
	b := tx.Bucket(bucket)
	b.FillPercent = dayPageFill
	if !f.hasPacks(bucket) {
		return b.Put(key, value)
	}
	own, err := b.CreateBucketIfNotExists(key)
	if err != nil {
		return err
	}
	return own.Put(keyPack, value)
}

// runWriter writes one run: rows in order of client and term, then the terms and rules they name. Readers see it when its entry in
// bucketRuns is there, which is the caller's to put.
type runWriter struct {
	blocks *packer
	info   runInfo

	block   []byte // being filled; its memory is used again
	key     []byte // likewise
	first   [16]byte
	inside  uint32 // rows in block
	ordinal uint32
}

func newRunWriter(blocks *packer, hour, number uint32) *runWriter {
	return &runWriter{blocks: blocks, info: runInfo{hour: hour, number: number}}
}

// add writes a row whose indicator is the number of a term in this run.
func (w *runWriter) add(r *row) error {
	if w.info.rows == 0 {
		w.info.low = r.client
	}
	w.info.high = r.client
	w.info.rows++
	if len(w.block) == 0 {
		w.first = r.client
	}
	w.block = appendRow(w.block, r)
	w.inside++
	if len(w.block) >= rowBlockSize-512 {
		return w.flush()
	}
	return nil
}

// flush puts the block that is being filled.
func (w *runWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	w.key = append(appendRunKey(w.key[:0], w.info.hour, w.info.number), w.first[:]...)
	w.key = binary.BigEndian.AppendUint32(w.key, w.ordinal)
	w.ordinal++
	w.block = appendSeal(w.block, w.block)
	err := w.blocks.add(bucketRows, w.key, w.block)
	w.block, w.inside = w.block[:0], 0
	return err
}

// endRows puts what is left of the rows.
func (w *runWriter) endRows() error { return cmp.Or(w.flush(), w.blocks.flush()) }

// finish writes what is left. terms gives the n terms by number, already encoded; rules the rules that they name.
func (w *runWriter) finish(n int, terms func(i int, dst []byte) []byte, rules []rule) error {
	if err := w.endRows(); err != nil {
		return err
	}
	if err := w.putTerms(n, terms); err != nil {
		return err
	}
	var b []byte
	for i := range rules {
		b = appendRule(b, &rules[i])
	}
	return w.blocks.put(bucketRules, runKey(w.info.hour, w.info.number), sealed(b))
}

func (w *runWriter) putTerms(n int, terms func(i int, dst []byte) []byte) error {
	w.info.terms = uint32(n)
	for from := 0; from < n; from += termsPerBlock {
		w.block = w.block[:0]
		for i := from; i < min(n, from+termsPerBlock); i++ {
			w.block = terms(i, w.block)
		}
		w.key = binary.BigEndian.AppendUint32(appendRunKey(w.key[:0], w.info.hour, w.info.number), uint32(from/termsPerBlock))
		w.block = appendSeal(w.block, w.block)
		if err := w.blocks.add(bucketTerms, w.key, w.block); err != nil {
			return err
		}
	}
	return w.blocks.flush()
}

// storedTerm is a term as a run keeps it: rule is its number in the run.
type storedTerm struct {
	rule            uint32
	action, trigger uint8
	name            string // in wire form; empty for a count by family
	place           string // encoded
}

func appendTerm(dst []byte, rule uint32, action, trigger uint8, name, place []byte) []byte {
	dst = appendUvarint(dst, uint64(rule))
	dst = append(dst, action, trigger, byte(len(name)))
	dst = append(dst, name...)
	dst = appendUvarint(dst, uint64(len(place)))
	return append(dst, place...)
}

func (d *decoder) term() (t storedTerm) {
	t.rule, t.action, t.trigger = d.uint32(), d.octet(), d.octet()
	name := d.octets(int(d.octet()))
	place := d.octets(int(min(d.uint64(), placeMax+1)))
	if _, err := readPlace(place); err != nil || !validName(name) {
		d.bad = true
	}
	t.name, t.place = string(name), string(place)
	return t
}

func readTerms(b []byte) ([]storedTerm, error) {
	b, err := opened(b)
	if err != nil {
		return nil, err
	}
	d := decoder{b: b}
	var out []storedTerm
	for len(d.b) > 0 && !d.bad {
		out = append(out, d.term())
	}
	if d.bad || len(out) > termsPerBlock {
		return nil, fmt.Errorf("%w: a block of terms is not one", ErrDamaged)
	}
	return out, nil
}

func readRules(b []byte) ([]rule, error) {
	b, err := opened(b)
	if err != nil {
		return nil, err
	}
	d := decoder{b: b}
	var out []rule
	for len(d.b) > 0 && !d.bad {
		out = append(out, d.rule())
	}
	if d.bad {
		return nil, fmt.Errorf("%w: the rules of a run are none", ErrDamaged)
	}
	return out, nil
}

// listWriter writes the first sightings or losses of a commit, in blocks.
type listWriter struct {
	put     putter
	bucket  []byte
	number  uint32
	block   []byte
	ordinal uint32
}

func newListWriter(put putter, bucket []byte, number uint32) *listWriter {
	return &listWriter{put: put, bucket: bucket, number: number}
}

// add calls encode to append one entry.
func (w *listWriter) add(encode func(dst []byte) []byte) error {
	w.block = encode(w.block)
	if len(w.block) < listBlockSize {
		return nil
	}
	return w.flush()
}

func (w *listWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	w.block = appendSeal(w.block, w.block)
	err := w.put(w.bucket, runKey(w.number, w.ordinal), w.block)
	w.ordinal++
	w.block = w.block[:0]
	return err
}
