package sighting

import "go.etcd.io/bbolt"

// transfer brings one memory into a day file by many small transactions, so that none keeps the processor or the disk for long, and one at
// the end that makes it count. Until then readers do not look for what was put, and a start does not: what a crash leaves of a
// transfer stays unread under its number, which is not given again, and goes with the file.
type transfer struct {
	file    *dayFile
	faults  *faults
	number  uint32
	claimed bool // a transaction wrote that the numbers are given
	blocks  packer
	values  []value
	arena   []byte // of the keys and values that wait; its memory is used again
}

// value waits for its transaction. Its key and then its value end in the arena at these offsets; both begin where the one before ends.
type value struct {
	bucket        []byte
	keyEnd, endAt int
}

// transferPart is how many octets one transaction writes: some milliseconds of work.
const transferPart = 1 << 20

// numbersPerTransfer is more than there are hours in a day.
const numbersPerTransfer = 32

// numberFor returns the number from which the runs of m are numbered. A memory whose transfer failed gets the one that it had, and so
// writes the same values again over those that are there.
func (f *dayFile) numberFor(m *memory) uint32 {
	if f.begun.memory != m {
		f.begun.memory, f.begun.number = m, f.next
		f.next += numbersPerTransfer
	}
	return f.begun.number
}

func (t *transfer) begin(f *dayFile, number uint32, faults *faults) {
	t.file, t.number, t.faults = f, number, faults
	t.values, t.arena, t.claimed = t.values[:0], t.arena[:0], false
	t.blocks.begin(f, t.put, min(packOctets, faults.part))
}

// put is a putter.
func (t *transfer) put(bucket, key []byte, v ...[]byte) error {
	t.arena = append(t.arena, key...)
	keyEnd := len(t.arena)
	for _, piece := range v {
		t.arena = append(t.arena, piece...)
	}
	t.values = append(t.values, value{bucket, keyEnd, len(t.arena)})
	if len(t.arena) < t.faults.part {
		return nil
	}
	return t.commit(t.putNext)
}

// putNext writes that the numbers of this transfer are given. Its first transaction does, for all of them.
func (t *transfer) putNext(tx *bbolt.Tx) error {
	if t.claimed {
		return nil
	}
	return putNumber(tx, keyNext, uint64(t.file.next))
}

// finish writes what is left, what last puts, and how far the file has come.
func (t *transfer) finish(last func(putter) error, applied, durable uint64) error {
	err := t.commit(func(tx *bbolt.Tx) error {
		if err := last(t.file.putInto(tx)); err != nil {
			return err
		}
		return t.file.putProgress(tx, applied, durable)
	})
	if err == nil {
		t.file.begun.memory = nil
	}
	return err
}

// commit writes the values that wait, and what more puts, in one transaction.
func (t *transfer) commit(more func(*bbolt.Tx) error) error {
	err := t.file.update(func(tx *bbolt.Tx) error {
		if err := t.faults.commitFault(); err != nil {
			return err
		}
		from := 0
		for _, v := range t.values {
			if err := t.file.putValue(tx, v.bucket, t.arena[from:v.keyEnd], t.arena[v.keyEnd:v.endAt:v.endAt]); err != nil {
				return err
			}
			from = v.endAt
		}
		return more(tx)
	})
	t.claimed = t.claimed || err == nil
	t.values, t.arena = t.values[:0], t.arena[:0]
	return err
}
