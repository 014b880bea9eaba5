package sighting

import "go.etcd.io/bbolt"

// transfer brings one memory into a day file by many small transactions, so that none keeps the processor or the disk for long, and one at
// the end that makes it count. Until then readers do not look for what was put, and a start does not: what a crash leaves of a
// transfer stays unread under its number, which is not given again, and goes with the file.
type transfer struct {
	file   *dayFile
	faults *faults
	number uint32
	pace   *pace
	part   int // octets of one transaction
	values []value
	octets int
}

// value waits for its transaction.
type value struct{ bucket, key, value []byte }

// transferPart is how many octets one transaction writes: some milliseconds of work.
const transferPart = 512 << 10

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

// put is a putter.
func (t *transfer) put(bucket, key, v []byte) error {
	t.values = append(t.values, value{bucket, key, v})
	if t.octets += len(key) + len(v); t.octets < t.part {
		return nil
	}
	return t.commit(func(tx *bbolt.Tx) error { return putNumber(tx, keyNext, uint64(t.file.next)) })
}

// finish writes what is left, what last puts, and how far the file has come.
func (t *transfer) finish(last func(putter) error, applied, durable uint64) error {
	err := t.commit(func(tx *bbolt.Tx) error {
		if err := last(putInto(tx)); err != nil {
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
		put := putInto(tx)
		for i := range t.values {
			if err := put(t.values[i].bucket, t.values[i].key, t.values[i].value); err != nil {
				return err
			}
			t.pace.step()
		}
		return more(tx)
	})
	t.values, t.octets = t.values[:0], 0
	t.pace.look()
	return err
}
