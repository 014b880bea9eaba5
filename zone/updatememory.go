package zone

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"
)

const (
	// updatesRemembered is how many updates are remembered for as long as their signatures hold, so that none is made twice. Those beyond it are not made: who
	// has seen one that is forgotten could have it made again.
	updatesRemembered = 1 << 18
	// updateMemory is how long: signatures hold five minutes before and after the time that they name (RFC 8945 section 10), whatever they say themselves.
	updateMemory = 10 * time.Minute
	// memorySlack is how many records the file may have that do not count any more, beside as many as do.
	memorySlack = 4096
)

// Reasons why no update is made for a while.
var (
	errManyUpdates = fmt.Errorf("more than %d updates within %v: no more are remembered, and those that are not could be made again by whoever has seen them", updatesRemembered, updateMemory)
	errUnknownPast = errors.New("it cannot be read which updates were made before the start, and they could be made again")
)

// updateMemories are the last updates, with what was answered. One that comes again, as a client repeats it or somebody else does who saw it, gets the same
// answer and changes nothing. They are written down, so that a restart makes no difference.
type updateMemories struct {
	known map[[sha256.Size]byte]remembered
	order [][sha256.Size]byte // as they came; those before first are forgotten
	first int

	path    string    // of the file; "" for none
	written int       // records of the file; -1 before it was read, or to write it anew
	blind   time.Time // until when an update may have been made that could not be read; zero where all are known
	told    time.Time // when it was logged last that there is no room
}

type remembered struct {
	rcode int32
	until int64 // in seconds since 1970
}

func (r remembered) counts(now time.Time) bool { return now.Unix() < r.until }

// The file of updates that are remembered: magic, and then records, each only ever appended. What follows a record that is damaged does not count.
//
//	record  sha256[32] of what was signed, until[8] in seconds since 1970, rcode[2], checksum[4] (CRC-32C) of all before it
const (
	memoryMagic  = "cenoteu1"
	memoryRecord = sha256.Size + 8 + 2 + 4
)

func (m *updateMemories) find(id [sha256.Size]byte, now time.Time) (rcode int, known bool) {
	r, known := m.known[id]
	return int(r.rcode), known && r.counts(now)
}

// room fails while another update could not be told from one that was made before.
func (m *updateMemories) room(now time.Time) error {
	m.forget(now)
	switch {
	case len(m.order)-m.first >= updatesRemembered:
		return errManyUpdates
	case now.Before(m.blind):
		if err := m.readFile(now); err != nil {
			return fmt.Errorf("%w: %w; none is made until %s", errUnknownPast, err, m.blind.Format(time.RFC3339))
		}
		m.blind = time.Time{}
	}
	return nil
}

// forget forgets those whose signatures hold no more.
func (m *updateMemories) forget(now time.Time) {
	for m.first < len(m.order) && !m.known[m.order[m.first]].counts(now) {
		delete(m.known, m.order[m.first])
		m.first++
	}
	if m.first > len(m.order)/2 {
		m.order = append(make([][sha256.Size]byte, 0, 2*(len(m.order)-m.first)), m.order[m.first:]...)
		m.first = 0
	}
}

// tells reports whether it is time to log that there is no room.
func (m *updateMemories) tells(now time.Time) bool {
	tells := m.told.IsZero() || now.Sub(m.told) >= time.Minute || now.Before(m.told)
	if tells {
		m.told = now
	}
	return tells
}

// add remembers an update that was answered now. An error is that a restart will forget it.
func (m *updateMemories) add(id [sha256.Size]byte, rcode int, now time.Time) error {
	r := remembered{int32(rcode), now.Add(updateMemory).Unix()}
	m.put(id, r)
	if m.path == "" {
		return nil
	}
	if m.written < 0 || m.written >= 2*len(m.known)+memorySlack {
		return m.rewrite(now)
	}
	if err := appendSynced(m.path, appendMemory(nil, id, r)); err != nil {
		m.written = -1 // it may end in a part of the record
		return err
	}
	m.written++
	return nil
}

func (m *updateMemories) put(id [sha256.Size]byte, r remembered) {
	if m.known == nil {
		m.known = map[[sha256.Size]byte]remembered{}
	}
	if _, again := m.known[id]; !again {
		m.order = append(m.order, id)
	}
	m.known[id] = r
}

func appendMemory(dst []byte, id [sha256.Size]byte, r remembered) []byte {
	start := len(dst)
	dst = append(dst, id[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.until))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.rcode))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

// open reads the file of a directory, once. Where it cannot be read no update is made until all that could be in it are past.
func (m *updateMemories) open(dir string, now time.Time) error {
	if m.path != "" {
		return nil
	}
	m.path, m.written = filepath.Join(dir, "remembered"), -1
	err := m.readFile(now)
	if err != nil {
		m.blind = now.Add(updateMemory)
		return fmt.Errorf("reading which updates were made: %w", err)
	}
	return nil
}

func (m *updateMemories) readFile(now time.Time) error {
	text, err := os.ReadFile(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		m.read(text, now)
	}
	return err
}

// read takes those records in that still count. The file is written anew by the next update.
func (m *updateMemories) read(text []byte, now time.Time) {
	rest, ok := bytes.CutPrefix(text, []byte(memoryMagic))
	for ok && len(rest) >= memoryRecord {
		id := [sha256.Size]byte(rest)
		r := remembered{int32(binary.BigEndian.Uint16(rest[sha256.Size+8:])), int64(binary.BigEndian.Uint64(rest[sha256.Size:]))}
		if ok = bytes.Equal(appendMemory(nil, id, r), rest[:memoryRecord]); ok && r.counts(now) {
			m.put(id, r)
		}
		rest = rest[memoryRecord:]
	}
}

// rewrite writes those that still count into a new file.
func (m *updateMemories) rewrite(now time.Time) error {
	m.written = -1
	text, n := []byte(memoryMagic), 0
	for _, id := range m.order[m.first:] {
		if r, known := m.known[id]; known && r.counts(now) {
			text = appendMemory(text, id, r)
			n++
		}
	}
	if err := replaceSynced(m.path, text); err != nil {
		return err
	}
	m.written = n
	return nil
}

// appendSynced appends to a file that is there, and has it on the disk.
func appendSynced(path string, octets []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(octets); err != nil {
		return err
	}
	return f.Sync()
}

// replaceSynced puts a file in the place of another one, or of none, and has it on the disk.
func replaceSynced(path string, octets []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(octets)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}
