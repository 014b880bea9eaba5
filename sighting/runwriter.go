package sighting

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

const (
	rowBlockSize  = 16 << 10 // octets of a block of rows, about 300 of them
	termsPerBlock = 128
	listBlockSize = 16 << 10 // of blocks of first sightings and losses
)

// putter puts a value, which it closes with its checksum, into a bucket of a day file: in a transaction of the caller's or one that it makes.
// It copies key and value.
type putter func(bucket, key, value []byte) error

// putInto is the putter of a transaction.
func putInto(tx *bbolt.Tx) putter {
	return func(bucket, key, value []byte) error { return putSealed(tx, bucket, key, sealed(bytes.Clone(value))) }
}

// putSealed puts a value that has its checksum; it must stay as it is until tx ends.
func putSealed(tx *bbolt.Tx, bucket, key, value []byte) error {
	b := tx.Bucket(bucket)
	b.FillPercent = dayPageFill
	return b.Put(key, value)
}

// runWriter writes one run: rows in order of client and term, then the terms and rules they name. Readers see it when its entry in
// bucketRuns is there, which is the caller's to put.
type runWriter struct {
	put  putter
	info runInfo

	block   []byte // being filled; its memory is used again
	key     []byte // likewise
	first   [16]byte
	inside  uint32 // rows in block
	ordinal uint32
}

func newRunWriter(put putter, hour, number uint32) *runWriter {
	return &runWriter{put: put, info: runInfo{hour: hour, number: number}}
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

func (w *runWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	w.key = append(appendRunKey(w.key[:0], w.info.hour, w.info.number), w.first[:]...)
	w.key = binary.BigEndian.AppendUint32(w.key, w.ordinal)
	w.ordinal++
	err := w.put(bucketRows, w.key, w.block)
	w.block, w.inside = w.block[:0], 0
	return err
}

// finish writes what is left. terms gives the n terms by number, already encoded; rules the rules that they name.
func (w *runWriter) finish(n int, terms func(i int, dst []byte) []byte, rules []rule) error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.putTerms(n, terms); err != nil {
		return err
	}
	var b []byte
	for i := range rules {
		b = appendRule(b, &rules[i])
	}
	return w.put(bucketRules, runKey(w.info.hour, w.info.number), b)
}

func (w *runWriter) putTerms(n int, terms func(i int, dst []byte) []byte) error {
	w.info.terms = uint32(n)
	for from := 0; from < n; from += termsPerBlock {
		w.block = w.block[:0]
		for i := from; i < min(n, from+termsPerBlock); i++ {
			w.block = terms(i, w.block)
		}
		w.key = binary.BigEndian.AppendUint32(appendRunKey(w.key[:0], w.info.hour, w.info.number), uint32(from/termsPerBlock))
		if err := w.put(bucketTerms, w.key, w.block); err != nil {
			return err
		}
	}
	return nil
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
	err := w.put(w.bucket, runKey(w.number, w.ordinal), w.block)
	w.ordinal++
	w.block = w.block[:0]
	return err
}
