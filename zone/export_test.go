package zone

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
)

func byteReader(b []byte) io.Reader { return bytes.NewReader(b) }

// SameData reports whether two zones lie in memory octet by octet alike.
func SameData(a, b *Zone) bool { return a.apex == b.apex && string(a.data) == string(b.data) }

// ReadJournal reads a journal from its octets; good is how many are sound.
func ReadJournal(z *Zone, file []byte) (steps []*Step, state *Zone, good int64) {
	r := journalReader{in: byteReader(file), apex: z.apex}
	r.read()
	return r.steps, r.zone, r.good
}

// JournalOf is a journal with a state and a step behind it.
func JournalOf(from, to *Zone) []byte {
	d := Compare(from, to)
	out := append(appendChunkHeader(journalHeader(from.apex), chunkState, from.data), from.data...)
	return appendStep(out, newStep(&d, to))
}

// Mend writes the right checksums into a journal, so that what is behind them is looked at too.
func Mend(file []byte) []byte {
	file = bytes.Clone(file)
	for at := len(journalHeader("\x07example\x00")); at+chunkHeader <= len(file); {
		end := at + chunkHeader + int(binary.BigEndian.Uint32(file[at+1:]))
		if end > len(file) {
			break
		}
		binary.BigEndian.PutUint32(file[at+5:], chunkSum(file[at:at+5], file[at+chunkHeader:end]))
		at = end
	}
	return file
}

// Look looks at the files once, as Run does, and reports at how many.
func (k *Keeper) Look() int { return k.look(context.Background()) }

// LookAtEach has so many files be in turn at a look.
func (k *Keeper) LookAtEach(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files.each = n
	k.files.set(k.zones)
}

// WatchDirs asks the kernel about the files until ctx ends, as Run does at the beginning of a round.
func (k *Keeper) WatchDirs(ctx context.Context) {
	k.watchDirs(func(n *fileNotices) { go n.run(ctx) })
}

// Watched is about how many directories the kernel is asked.
func (k *Keeper) Watched() int {
	if k.files.notices == nil {
		return 0
	}
	return k.files.notices.Watched()
}

// Told reports whether the kernel has told of a path what no look has seen, or of all; "" for all.
func (k *Keeper) Told(path string) bool {
	n := k.files.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all || n.paths[path]
}

// Look asks the primaries of a zone once, as follow does, and notes what came of it.
func (s *Secondaries) Look(ctx context.Context, apex dnsname.Name) error {
	z := s.all[apex]
	err := s.look(ctx, z, false, false)
	s.next(z, err)
	return err
}

// FirstLook is after which time a zone is looked at first whose turn comes after another.
func (s *Secondaries) FirstLook(apex dnsname.Name, turn time.Duration) time.Duration {
	s.turn = time.Now().Add(turn)
	return time.Until(s.firstLook(s.all[apex]))
}

// TakeTransfer is the zone that messages lead to; nil if they end too early.
func TakeTransfer(apex dnsname.Name, from *Zone, now time.Time, messages ...[]byte) (*Zone, error) {
	in := &incoming{apex: apex, from: from, max: 1 << 20, most: 1 << 26}
	for _, msg := range messages {
		if err := in.message(msg); err != nil {
			return nil, err
		}
	}
	if in.state != stateDone {
		return nil, nil
	}
	return (&transfer{apex: apex, primary: &Primary{}, now: func() time.Time { return now }}).result(in)
}

// Keep reads messages as those of a transfer within a bound of octets until they are too many, and returns how much memory they take then, in octets.
func Keep(apex dnsname.Name, from *Zone, most int64, next func(i int) []byte) (kept uint64, err error) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	in := &incoming{apex: apex, from: from, max: 1 << 30, most: most}
	octets := int64(0)
	for i := 0; err == nil; i++ {
		msg := next(i)
		if octets += int64(len(msg)); octets > most {
			err = ErrBound
		} else {
			err = in.message(msg)
		}
	}
	after := heap()
	runtime.KeepAlive(in)
	return max(after, before) - before, err
}

// Differences is how many transfers were of differences.
func (s *Secondaries) Differences() int { return int(s.differences.Load()) }

// Look looks at the catalogs once, as Run does, and as if the configuration had last changed long ago.
func (c *Catalogs) Look() {
	c.mu.Lock()
	c.updated = time.Time{}
	c.mu.Unlock()
	c.look()
}

// Follows reports whether a zone is taken from primaries.
func (s *Secondaries) Follows(apex dnsname.Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[apex] != nil
}

// WriteUpdateMemory is the file of so many updates that were made now, as it is written, or as the first version of it was.
func WriteUpdateMemory(now time.Time, n int, first bool) []byte {
	out := []byte(memoryMagic)
	if first {
		out = []byte(memoryMagicFirst)
	}
	for i := range n {
		signed := sha256.Sum256([]byte{byte(i)})
		r := memory{id: updateID(signed[:]), key: 7, until: now.Add(updateMemory).Unix(), rcode: int32(i)}
		if !first {
			out = appendMemory(out, &r)
			continue
		}
		start := len(out)
		out = binary.BigEndian.AppendUint64(append(out, signed[:]...), uint64(r.until))
		out = binary.BigEndian.AppendUint16(out, uint16(i))
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(out[start:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return out
}

// UpdatesRemembered is the bound.
const UpdatesRemembered = updatesRemembered

// Remember has a keeper remember so many updates more of a key, that nobody has sent.
func (k *Keeper) Remember(key dnsname.Name, n int) {
	until := k.now().Add(updateMemory).Unix()
	for i := range n {
		signed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(key), uint64(i)))
		k.updated.put(memory{id: updateID(signed[:]), key: keyIDOf(key), until: until})
	}
}

// Remembered is the answer to an update that a file knows; -1 for none.
func Remembered(now time.Time, file []byte, i int) int {
	var m updateMemories
	m.put(readMemories(file, now)...)
	signed := sha256.Sum256([]byte{byte(i)})
	if rcode, known := m.find(&signed, now); known {
		return rcode
	}
	return -1
}

// ChangeOf is changeOf.
func ChangeOf(from *Zone, d Diff) (*Change, error) { return changeOf(from, d) }

// ReadUpdateMemory is how many updates a file holds that count.
func ReadUpdateMemory(now time.Time, file []byte) int { return len(readMemories(file, now)) }

// CompareDerived is the difference that Apply kept.
func CompareDerived(from, to *Zone) (Diff, bool) { return compareDerived(from, to) }

// ServedSince is a version of a zone with the difference that leads to it from another.
func ServedSince(from, to *Zone) *Served {
	d := Compare(from, to)
	return &Served{Zone: to, History: newHistory([]*Step{newStep(&d, to)}, HistoryBounds{}.withDefaults())}
}

// UnreadMax is how many files that could not be read are kept of one.
const UnreadMax = unreadMax

// MembersMax is how many zones that catalogs list are taken at a time.
const MembersMax = membersMax

// TLSTimeout is how long a primary has to agree on TLS.
const TLSTimeout = tlsTimeout

// Agree brings TLS about on a connection.
func Agree(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	return agree(ctx, conn, config)
}

// Busy is how many zones are being updated.
func (k *Keeper) Busy() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.updating
}

// Working reports whether somebody works on a zone, or on which zones there are.
func (k *Keeper) Working() bool {
	if !k.changing.TryLock() {
		return true
	}
	k.changing.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, z := range k.zones {
		if z.busy {
			return true
		}
	}
	return false
}

// ReplaceUnread writes a journal in the place of one that could not be read.
func ReplaceUnread(path string, z *Zone) error {
	return (&journal{path: path, unread: true}).rewrite(nil, z, true)
}

// LookAgain has so many ask at once for updates that could not be read at first, and returns how many are remembered then. mend makes the file readable.
func LookAgain(dir string, now time.Time, asking int, mend func()) (remembered int, err error) {
	var m updateMemories
	if m.open(dir, now) == nil {
		return 0, errors.New("it could be read at once")
	}
	mend()
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range asking {
		all.Go(func() { <-begin; m.lookAgain(now) })
	}
	close(begin)
	all.Wait()
	return len(m.all()), nil
}

// Dirs are the directories of which the kernel is asked, at most.
func (k *Keeper) Dirs() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.files.dirs()))
}

// WatchedMax is how many there are at most.
const WatchedMax = watchedMax

// CountedHistories is how much memory histories are counted for, and how much they take.
func (k *Keeper) CountedHistories() (counted, taken int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, z := range k.zones {
		taken += z.history.Bytes()
	}
	return k.histories, taken
}

// LargeSize is from how many octets on others do not wait for a zone.
const LargeSize = largeSize

// InTurn does work on a zone as a look at files does, and reports whether it was begun, and then waits for its end if the zone is small.
func (k *Keeper) InTurn(apex dnsname.Name, octets int64, work func()) (begun bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	large := k.large
	k.inTurn(k.named(apex), octets, func(*kept) { work() })
	return octets < largeSize || k.large > large
}

// WaitForLarge waits until no large zone is worked on beside the looks.
func (k *Keeper) WaitForLarge() { k.besides.Wait() }
