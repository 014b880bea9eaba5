package rrcache

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"cenote/dnsname"
	"cenote/wire"
)

// A dump is the answers of a cache as a stream of octets:
//
//	head   dumpMagic, uint16 length of the basis, basis (see Sources.WithBasis), uint32 length of the terms, terms (see Sources), uint32 checksum of all of that
//	block  uint32 length, uint32 checksum, and entries; as many blocks as it takes
//	end    uint32 0, uint32 checksum, uint64 how many entries there were
//
//	entry  uint16 length of the message, uint8 key flags with the high bits of the group, uint8 its low bits, uint8 dumpMain and frequency, int64 stored, uint32 held, message
//
// Checksums are CRC-32C. Integers are little-endian. What is read is put through the same checks as what a server sends: no octet of a dump gets
// into a record unread.
const (
	dumpMagic  = "cenote-cache-2\n"
	entryHead  = 2 + 1 + 1 + 1 + 8 + 4
	dumpMain   = 1 << 7
	blockSize  = 256 << 10                          // a block ends with the entry that reaches it
	blockMax   = blockSize + entryHead + messageMax // octets of one that is read
	basisMax   = 1 << 10
	restoreRun = 64 // entries put before others have the processor
)

// What is wrong with a dump.
var (
	ErrDump   = errors.New("not a dump of answers in this form")
	ErrSource = errors.New("the answers come from other sources than are asked now")
)

// Dump writes all answers that are of use at now to w, and returns how many there were. Only a Load
// under Sources of the same basis takes them. Which of the Sources gave an answer is told by its name; what is left of others is not written. An error
// wraps ErrSource where SetSources is called meanwhile. rest is called after each small piece of work.
func (c *Cache) Dump(w io.Writer, now int64, rest func()) (n int, err error) {
	d := dumper{to: bufio.NewWriterSize(w, blockSize)}
	staleMax, sources := int64(c.config.Load().StaleMax), c.sources.Load()
	if err := d.head(sources); err != nil {
		return 0, err
	}
	c.walk(func(r record, state uint64, inMain bool) {
		if !r.failure() && r.age(now) < r.usable(staleMax) && sources.gave(r) {
			d.add(r, state, inMain)
		}
	}, func() {
		d.flush() // outside the lock of the shard: whoever reads may be slow
		rest()
	})
	d.cut()
	d.flush()
	if c.sources.Load() != sources {
		return 0, fmt.Errorf("%w: others are asked since it began", ErrSource)
	}
	d.end()
	return int(d.n), d.err
}

// dumper writes a dump. It keeps its first error.
type dumper struct {
	to    *bufio.Writer
	block []byte
	full  [][]byte // blocks that wait to be written: no more than one piece of the walk makes
	n     uint64
	err   error
}

func (d *dumper) write(b []byte) {
	if d.err == nil {
		_, d.err = d.to.Write(b)
	}
}

func (d *dumper) head(sources *Sources) error {
	basis := sources.Basis()
	b := binary.LittleEndian.AppendUint16([]byte(dumpMagic), uint16(len(basis)))
	b = append(append(b, basis...), 0, 0, 0, 0)
	start := len(b)
	b, err := sources.appendTerms(b)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b[start-4:], uint32(len(b)-start))
	d.write(binary.LittleEndian.AppendUint32(b, checksum(b)))
	return nil
}

func (d *dumper) add(r record, state uint64, inMain bool) {
	place := uint8(state & stateFrequency)
	if inMain {
		place |= dumpMain
	}
	b := binary.LittleEndian.AppendUint16(d.block, uint16(r.length()))
	b = append(b, r[5], r[6], place)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.stored()))
	b = append(b, r[28:32]...)
	d.block = append(b, r.message()...)
	d.n++
	if len(d.block) >= blockSize {
		d.cut()
	}
}

// cut ends a block.
func (d *dumper) cut() {
	if len(d.block) > 0 {
		d.full = append(d.full, d.block)
		d.block = nil
	}
}

// flush writes the blocks that wait.
func (d *dumper) flush() {
	for _, block := range d.full {
		head := binary.LittleEndian.AppendUint32(nil, uint32(len(block)))
		d.write(binary.LittleEndian.AppendUint32(head, checksum(block)))
		d.write(block)
	}
	d.full = d.full[:0]
}

func (d *dumper) end() {
	count := binary.LittleEndian.AppendUint64(nil, d.n)
	b := binary.LittleEndian.AppendUint32(make([]byte, 4), checksum(count))
	d.write(append(b, count...))
	if d.err == nil {
		d.err = d.to.Flush()
	}
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Loaded is what came of the entries of a dump.
type Loaded struct {
	Kept    int // they are in the cache now
	Newer   int // the cache had an answer already
	Expired int // of no use any more, or of a time that is yet to come
	Refused int // not what the cache keeps by its configuration
	Others  int // of names that others are asked for now than when they came, or with an alias that leads to one
}

// Load reads a dump and keeps its answers as if they had been in the cache all the time: their age counts from when they were put. What the cache
// has already stays. The basis of the Sources must be that of the dump, and nobody may call SetSources meanwhile. Where Sources were others then, and where conditions were, the answers are not taken. On an error what was read before it is kept: each block vouches for itself. now is the
// time, and rest is called after each small piece of work.
func (c *Cache) Load(r io.Reader, now int64, rest func()) (Loaded, error) {
	l := loader{cache: c, sources: c.sources.Load(), from: bufio.NewReaderSize(r, blockSize), now: now, rest: rest}
	err := l.head()
	for more := err == nil; more && err == nil; {
		more, err = l.block()
	}
	return l.sum, err
}

type loader struct {
	cache   *Cache
	sources *Sources        // those in force when it began
	apart   map[string]bool // the zones for which the dump had others
	from    *bufio.Reader
	now     int64
	rest    func()
	buffer  []byte
	read    uint64
	sum     Loaded
}

// fill reads exactly n octets into the buffer.
func (l *loader) fill(n int) ([]byte, error) {
	if cap(l.buffer) < n {
		l.buffer = make([]byte, n)
	}
	b := l.buffer[:n]
	if _, err := io.ReadFull(l.from, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: it is cut", ErrDump)
		}
		return nil, err
	}
	return b, nil
}

func (l *loader) head() error {
	b, err := l.fill(len(dumpMagic) + 2)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(b, []byte(dumpMagic)) {
		return ErrDump
	}
	head := bytes.Clone(b)
	length := int(binary.LittleEndian.Uint16(b[len(dumpMagic):]))
	if length > basisMax {
		return ErrDump
	}
	if b, err = l.fill(length); err != nil {
		return err
	}
	same := string(b) == l.sources.Basis()
	terms, err := l.terms(append(head, b...))
	if err != nil {
		return err
	}
	if !same {
		return ErrSource
	}
	l.apart = l.sources.apart(terms)
	return nil
}

// block reads one block and reports whether there is another.
func (l *loader) block() (more bool, err error) {
	b, err := l.fill(8)
	if err != nil {
		return false, err
	}
	length, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if more = length > 0; !more {
		length = 8
	}
	if length > blockMax {
		return false, fmt.Errorf("%w: a block of %d octets", ErrDump, length)
	}
	if b, err = l.fill(int(length)); err != nil {
		return false, err
	}
	switch {
	case checksum(b) != sum:
		return false, fmt.Errorf("%w: a block is damaged", ErrDump)
	case !more && binary.LittleEndian.Uint64(b) != l.read:
		return false, fmt.Errorf("%w: entries are missing", ErrDump)
	case !more:
		return false, nil
	}
	return true, l.entries(b)
}

func (l *loader) entries(b []byte) error {
	for len(b) > 0 {
		if len(b) < entryHead {
			return ErrDump
		}
		length := entryHead + int(binary.LittleEndian.Uint16(b))
		if len(b) < length {
			return ErrDump
		}
		count := l.outcome(b[:length])
		if count == nil {
			return fmt.Errorf("%w: others are asked since it began", ErrSource)
		}
		*count++
		b = b[length:]
		if l.read++; l.read%restoreRun == 0 {
			l.rest()
		}
	}
	return nil
}

// outcome puts an entry into the cache and returns what to count; nil where others are asked since the dump began to be read.
func (l *loader) outcome(entry []byte) *int {
	stored := int64(binary.LittleEndian.Uint64(entry[5:]))
	k, ok := questionOf(entry[entryHead:])
	if !ok {
		return &l.sum.Refused
	}
	if len(l.apart) > 0 && (under(k.Name, l.apart) || leadsTo(entry[entryHead:], l.apart)) {
		return &l.sum.Others
	}
	k.DO, k.CD, k.Group = entry[2]&keyDO != 0, entry[2]&keyCD != 0, groupOf(entry[2], entry[3])
	if !l.sources.place(&k) {
		return &l.sum.Refused
	}
	return l.restore(&k, entry, stored)
}

// questionOf returns the key of a message but for what the message does not say.
func questionOf(msg []byte) (Key, bool) {
	if len(msg) < wire.HeaderLen {
		return Key{}, false
	}
	n, _, err := dnsname.Check(msg[wire.HeaderLen:])
	if err != nil || len(msg) < wire.HeaderLen+n+4 {
		return Key{}, false
	}
	name := msg[wire.HeaderLen : wire.HeaderLen+n]
	return Key{Name: name, Type: binary.BigEndian.Uint16(msg[wire.HeaderLen+n:]), Class: binary.BigEndian.Uint16(msg[wire.HeaderLen+n+2:])}, true
}

func (l *loader) restore(k *Key, entry []byte, stored int64) *int {
	c := l.cache
	b := c.builders.Get().(*builder)
	defer c.builders.Put(b)
	sum, config := c.hash.sum(k), c.config.Load()
	if b.build(config, k, uint32(sum), entry[entryHead:], stored) != refusedNot || b.record.failure() {
		return &l.sum.Refused
	}
	copy(b.record[28:32], entry[13:17])
	s := c.lock(sum)
	defer s.mu.Unlock()
	if c.sources.Load() != l.sources { // whoever changed them comes by to forget, and has to wait for the shard
		return nil
	}
	t := turn{shard: s, now: l.now, staleMax: int64(config.StaleMax), spare: b.spare, chances: secondChancesMax}
	if !t.useful(b.record) {
		return &l.sum.Expired
	}
	t.fetch(sum, k)
	if i, _ := t.find(uint32(sum), k); i >= 0 {
		return &l.sum.Newer
	}
	t.version = max(t.version+1, 1)
	b.record.setVersion(t.version)
	t.add(b.record, entry[4]&dumpMain != 0, uint64(entry[4])&stateFrequency)
	b.spare = t.spare
	return &l.sum.Kept
}
