package sighting

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"os"
	"slices"

	"go.etcd.io/bbolt"
)

// FailJournal makes every write to the journal call f first, and fail if f does.
func (s *Store) FailJournal(f func() error) {
	s.scribe.writeAt = func(file *os.File, b []byte, off int64) (int, error) {
		if err := f(); err != nil {
			n, _ := file.WriteAt(b[:len(b)/2], off) // as a full disk does: a part of it arrives
			return n, err
		}
		return file.WriteAt(b, off)
	}
}

// FailSync makes every sync of a segment of the journal call f first, and fail if f does.
func (s *Store) FailSync(f func(path string) error) {
	s.scribe.syncFile = func(file *os.File) error {
		if err := f(file.Name()); err != nil {
			return err
		}
		return file.Sync()
	}
}

// JournalQueue makes the queue of the journal hold n batches.
func (s *Store) JournalQueue(n int) { s.scribe.in = make(chan *batch, n) }

// JournalFailures is how many writes and syncs of the journal failed.
func (s *Store) JournalFailures() uint64 { return s.scribe.failures.Load() }

// FirstsDropped is how many first sightings were not written.
func (s *Store) FirstsDropped() uint64 { return s.announcer.dropped.Load() }

// FailCommit makes every commit to a day file call f first, and fail if f does.
func (s *Store) FailCommit(f func() error) { s.faults.commit = f }

// CutTransfers makes a commit use one transaction for every n octets.
func (s *Store) CutTransfers(n int) { s.faults.part = n }

// DrainOnce does what the collector does in a pass, for benchmarks of a Store whose Run does not work.
func (s *Store) DrainOnce() int { return s.collector.drain(s.now()) }

// DiscardJournal takes the batches of a Store whose Run does not work.
func (s *Store) DiscardJournal() {
	for {
		select {
		case b := <-s.scribe.in:
			s.scribe.pending.Add(-int64(b.size()))
			select {
			case s.scribe.free <- b:
			default:
			}
		default:
			return
		}
	}
}

// Pairs is how many pairs are in memory.
func (s *Store) Pairs() int {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.ledger.pairs()
}

// DropMemory forgets what is in memory, for benchmarks of a Store whose Run does not work.
func (s *Store) DropMemory() {
	l := &s.ledger
	l.mu.Lock()
	l.freeze(0, s.seed)
	var tables []*table
	for len(l.frozen) > 0 {
		if t := l.thaw(); t != nil {
			tables = append(tables, t)
		}
	}
	l.mu.Unlock()
	for _, t := range tables {
		l.keep(t)
	}
}

// LostCount is how many events were counted as lost.
func (s *Store) LostCount() (n uint64) {
	for i := range s.counters.lost {
		n += s.counters.lost[i].Load()
	}
	return n
}

// Damaged is how many files were put aside.
func (s *Store) Damaged() uint64 { return s.counters.damaged.Load() }

// Retain drops what is older than the retention, as the writer does from time to time.
func (s *Store) Retain() { s.writer.retain() }

// ReadJournal reads a journal and every value in it.
func ReadJournal(r io.Reader) (rows int, good int64, err error) {
	good, err = readJournal(r, func(_ *segmentHeader, b *batch) error {
		err := b.eachRow(func(*row) error { rows++; return nil })
		for _, e := range []error{
			b.eachRule(func(uint32, rule) {}), b.eachTerm(func(*termDefinition) {}),
			b.eachPlace(func(uint32, []byte) {}), b.eachLoss(func(*loss) {}),
		} {
			if err == nil {
				err = e
			}
		}
		return err
	})
	return rows, good, err
}

// RoundTripRow decodes a row and encodes it again. ok is false if b is not a row.
func RoundTripRow(b []byte) (again []byte, ok bool) {
	var r row
	rest, err := readRow(b, &r)
	if err != nil {
		return nil, false
	}
	again = appendRow(nil, &r)
	var second row
	if _, err := readRow(again, &second); err != nil {
		panic("a row that was read cannot be written and read again")
	}
	if second.tally != r.tally || second.client != r.client || second.kept != r.kept || second.last != r.last {
		panic("a row is another after writing it")
	}
	_ = rest
	return again, true
}

// DecodeValues decodes b as every kind of value that a day file holds.
func DecodeValues(b []byte) {
	b = sealed(b)
	readTerms(b)
	readRules(b)
	readRunInfo(make([]byte, 8), b)
	readLosses(b, func(Loss) {})
	readFirsts(b, func(firstSeen, []byte) error { return nil })
	parseCursor(string(b))
	readPlace(b)
	decodePack(b[:len(b)-sealSize])
}

// decodePack decodes b as a pack whose index lacks its hash.
func decodePack(b []byte) {
	if len(b) < packHeader {
		return
	}
	end := packHeader + uint64(binary.BigEndian.Uint32(b))*(uint64(binary.BigEndian.Uint32(b[4:]))+packEnd)
	if end > uint64(len(b)) {
		return
	}
	p, err := readPack(append(sealed(bytes.Clone(b[:end])), b[end:]...))
	if err != nil {
		return
	}
	for i := range p.len() {
		p.key(i)
		p.block(i)
	}
	p.find(b)
}

// Block is a block of a day file, and its key.
type Block struct{ Key, Value string }

// Shelf is the rows of a day file.
type Shelf struct{ file *dayFile }

// NewShelf makes one with packs of limit octets, or of the first format. Keys whose first eight octets are equal are of one run.
func NewShelf(dir string, packed bool, limit int, list []Block) (*Shelf, error) {
	f, err := unnamedDay(dir+"/day", 1)
	if err != nil {
		return nil, err
	}
	if !packed {
		f.format = dayFormatBlocks
	}
	return &Shelf{f}, f.update(func(tx *bbolt.Tx) error {
		var to packer
		to.begin(f, f.putInto(tx), limit)
		for i, b := range list {
			if i > 0 && list[i-1].Key[:8] != b.Key[:8] {
				if err := to.flush(); err != nil {
					return err
				}
			}
			if err := to.add(bucketRows, []byte(b.Key), []byte(b.Value)); err != nil {
				return err
			}
		}
		return to.flush()
	})
}

// Walk goes to key and then by steps of 1 or -1, and returns every block on the way.
func (s *Shelf) Walk(key string, steps []int) (out []Block, err error) {
	err = s.file.view(func(tx *bbolt.Tx) error {
		b := s.file.blocks(tx, bucketRows)
		k, v, err := b.seek([]byte(key))
		out = append(out, Block{string(k), string(v)})
		for i := 0; i < len(steps) && err == nil; i++ {
			switch {
			case k == nil && steps[i] < 0: // behind the last one
				k, v, err = b.last()
			case steps[i] < 0:
				k, v, err = b.prev()
			default:
				k, v, err = b.next()
			}
			out = append(out, Block{string(k), string(v)})
		}
		return err
	})
	return out, err
}

// Close closes the file.
func (s *Shelf) Close() error { return s.file.close() }

// OrderOf sorts pairs of client and term as a commit does, and as comparing them does; it returns both orders as indexes.
func OrderOf(clients [][16]byte, terms, hours []uint32) (got, want []uint32) {
	entries := newChunks[entry](10)
	most := uint32(0)
	for i := range clients {
		entries.append(entry{client: clients[i], indicator: terms[i], hour: hours[i]})
		most = max(most, terms[i])
		want = append(want, uint32(i))
	}
	var o order
	for range 2 { // the second time with the memory of the first
		o.sort(&entries, int(most)+1, func(e *entry) uint32 { return e.indicator })
	}
	for i := range o.keys {
		got = append(got, o.keys[i].entry)
	}
	slices.SortStableFunc(want, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(hours[a], hours[b]), bytes.Compare(clients[a][:], clients[b][:]), cmp.Compare(terms[a], terms[b]))
	})
	return got, want
}

// ProbesOfClients is how many slots are looked at to find each of so many IPv4 clients in the ranks that a commit makes, together.
func ProbesOfClients(n int) (probes int) {
	entries := newChunks[entry](10)
	for i := range n {
		client := &entries.append(entry{}).client
		binary.BigEndian.PutUint32(client[12:], 0x0a000000+uint32(i))
		client[10], client[11] = 0xff, 0xff
	}
	var r clientRanks
	r.read(&entries)
	mask := uint64(len(r.slots) - 1)
	for i := range uint32(n) {
		client := &entries.at(i).client
		probes += 1 + int((r.probe(client)-pairHash(r.seed, client, 0, 0))&mask)
	}
	return probes
}

// Chunks is a list of octets in parts of 1<<bits.
type Chunks = chunks[byte]

// NewChunks makes one.
func NewChunks(bits uint8) Chunks { return newChunks[byte](bits) }

// Room is room, Reset is reset, From is from, Len is len, and Runs is runs.
func (c *chunks[T]) Room(n int) (uint32, []T) { return c.room(n) }
func (c *chunks[T]) Reset()                   { c.reset() }
func (c *chunks[T]) From(i uint32) []T        { return c.from(i) }
func (c *chunks[T]) Len() int                 { return c.len() }
func (c *chunks[T]) Runs(max int) func(func(uint32, []T) bool) {
	return c.runs(max)
}

// Earliest puts samples with these times into the ledger's table for one pair, in this order, and returns the times of those it keeps; the port
// of each is its number.
func Earliest(times []uint32) (kept []uint32, ports []uint16) {
	t := newTable(1)
	e := &entry{}
	for i, at := range times {
		t.keep(e, &sample{at: at, port: uint16(i), prefix: bytes.Repeat([]byte{1}, i%200)})
	}
	var samples [samplesMax]sample
	n := t.samples(e, &samples)
	for i := range samples[:n] {
		kept, ports = append(kept, samples[i].at), append(ports, samples[i].port)
		if want := int(samples[i].port) % 200; len(samples[i].prefix) != want {
			panic("a sample has another's prefix")
		}
	}
	var first sample
	t.first(e, &first)
	if first.at != kept[0] {
		panic("the first sample is not the first")
	}
	return kept, ports
}

// KnownPairs is how many pairs of client and family a first sighting is not told of again.
func (s *Store) KnownPairs() (n int) {
	if s.ask(context.Background(), func() { n = s.collector.known.used }) != nil {
		return -1
	}
	return n
}

// Fingerprints is the set of hashes with a number each.
type Fingerprints struct{ fingerprints }

// NewFingerprints returns an empty set for at most n hashes.
func NewFingerprints(n int) *Fingerprints { return &Fingerprints{*newFingerprints(n)} }

// Get returns the place of the number of a hash.
func (f *Fingerprints) Get(hash uint64) (value *uint32, fresh bool) { return f.get(hash) }

// Forget frees every hash whose number is below least.
func (f *Fingerprints) Forget(least uint32) {
	for part := range f.parts() {
		f.forget(part, least)
	}
	for f.shrink() {
	}
}

// ForgetPart is forget.
func (f *Fingerprints) ForgetPart(part int, least uint32) { f.forget(part, least) }

// Parts is how many parts the set has, and Fullest how many slots of the fullest one are used, of how many.
func (f *Fingerprints) Parts() int { return f.parts() }
func (f *Fingerprints) Fullest() (used, of int) {
	for _, part := range f.slots.parts {
		n := 0
		for i := range part {
			if part[i].low != 0 {
				n++
			}
		}
		used = max(used, n)
	}
	return used, partLen
}

// Pressed reports whether a producer asked the collector to drain since the last call, of a Store whose Run does not work.
func (s *Store) Pressed() bool {
	select {
	case <-s.collector.pressed:
		return true
	default:
		return false
	}
}
