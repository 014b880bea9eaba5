package sighting

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// runReader gives the rows of one run of a day file, in order of client, from a client on. It holds no transaction: each
// block is copied out in one of its own.
type runReader struct {
	file     *dayFile
	version  uint64 // of the file when the run was looked up
	info     runInfo
	from, to [16]byte // the first and last client asked for

	key   []byte // of the block that was read last
	block []byte // the rest of it, a copy
	rules []rule
	terms map[uint32][]storedTerm // by block, as they are asked for
	row   row                     // the current row; its prefixes are slices of the block
	done  bool
}

// newRunReader begins at client from; the first row is there after next.
func newRunReader(f *dayFile, version uint64, info runInfo, from, to [16]byte) (*runReader, error) {
	r := &runReader{file: f, version: version, info: info, from: from, to: to, terms: map[uint32][]storedTerm{}}
	if bytes.Compare(info.high[:], from[:]) < 0 || bytes.Compare(info.low[:], to[:]) > 0 {
		r.done = true
		return r, nil
	}
	return r, f.viewVersion(version, r.start)
}

// start reads the last block that begins before from, since it may reach up to it, or else the first of the run.
func (r *runReader) start(tx *bbolt.Tx) error {
	c := r.file.blocks(tx, bucketRows)
	run := runKey(r.info.hour, r.info.number)
	from := append(bytes.Clone(run), r.from[:]...)
	k, _, err := c.seek(from)
	switch {
	case err != nil:
		return err
	case k == nil:
		return r.take(c.last())
	}
	if k, v, err := c.prev(); err != nil || bytes.HasPrefix(k, run) {
		return r.take(k, v, err)
	}
	return r.take(c.seek(from))
}

// take copies a block that a blocks gave, if it is one of this run and may hold clients that were asked for.
func (r *runReader) take(k, v []byte, err error) error {
	if err != nil {
		return err
	}
	if k == nil || !bytes.HasPrefix(k, runKey(r.info.hour, r.info.number)) {
		r.done = true
		return nil
	}
	if len(k) != 28 {
		return fmt.Errorf("%w: the key of a block has %d octets", ErrDamaged, len(k))
	}
	if bytes.Compare(k[8:24], r.to[:]) > 0 {
		r.done = true
		return nil
	}
	b, err := opened(v)
	if err != nil {
		return err
	}
	r.key, r.block = append(r.key[:0], k...), bytes.Clone(b)
	return nil
}

// next reads the next row into r.row. It returns false at the end of the run or of the clients that were asked for.
func (r *runReader) next() (bool, error) {
	for !r.done {
		if len(r.block) == 0 {
			if err := r.file.viewVersion(r.version, r.nextBlock); err != nil {
				return false, err
			}
			continue
		}
		rest, err := readRow(r.block, &r.row)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		r.block, r.row.hour = rest, r.info.hour
		if bytes.Compare(r.row.client[:], r.from[:]) >= 0 {
			r.done = bytes.Compare(r.row.client[:], r.to[:]) > 0
			return !r.done, nil
		}
	}
	return false, nil
}

func (r *runReader) nextBlock(tx *bbolt.Tx) error {
	c := r.file.blocks(tx, bucketRows)
	if k, _, err := c.seek(r.key); err != nil || !bytes.Equal(k, r.key) {
		return cmp.Or(err, fmt.Errorf("%w: a block is gone", ErrDamaged))
	}
	return r.take(c.next())
}

// term returns the term of the current row and its rule.
func (r *runReader) term(number uint32) (*storedTerm, *rule, error) {
	n := number / termsPerBlock
	block, ok := r.terms[n]
	if !ok {
		if err := r.file.viewVersion(r.version, func(tx *bbolt.Tx) error { return r.loadTerms(tx, n) }); err != nil {
			return nil, nil, err
		}
		block = r.terms[n]
	}
	if int(number%termsPerBlock) >= len(block) {
		return nil, nil, fmt.Errorf("%w: a row names term %d of %d", ErrDamaged, number, r.info.terms)
	}
	t := &block[number%termsPerBlock]
	if int(t.rule) >= len(r.rules) {
		return nil, nil, fmt.Errorf("%w: a term names rule %d of %d", ErrDamaged, t.rule, len(r.rules))
	}
	return t, &r.rules[t.rule], nil
}

// termBlocksMax bounds the blocks of terms that a reader keeps.
const termBlocksMax = 256

func (r *runReader) loadTerms(tx *bbolt.Tx, n uint32) (err error) {
	run := runKey(r.info.hour, r.info.number)
	if r.rules == nil {
		if r.rules, err = readRules(tx.Bucket(bucketRules).Get(run)); err != nil {
			return err
		}
	}
	if len(r.terms) >= termBlocksMax {
		clear(r.terms)
	}
	key := binary.BigEndian.AppendUint32(run, n)
	k, v, err := r.file.blocks(tx, bucketTerms).seek(key)
	if err != nil || !bytes.Equal(k, key) {
		return cmp.Or(err, fmt.Errorf("%w: a block of terms is gone", ErrDamaged))
	}
	r.terms[n], err = readTerms(v)
	return err
}
