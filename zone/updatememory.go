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
	// updatesRemembered is how many updates are remembered for as long as their signatures hold, so that none is made twice.
	updatesRemembered = 4096
	// updateMemory is how long: signatures hold five minutes before and after the time that they name (RFC 8945 section 10), whatever they say themselves.
	updateMemory = 10 * time.Minute
)

// updateMemories are the last updates, with what was answered. One that comes again, as a client repeats it or somebody else does who saw it, gets the same
// answer and changes nothing. They are written down, so that a restart makes no difference.
type updateMemories struct {
	known map[[sha256.Size]byte]remembered
	order [][sha256.Size]byte // a ring, the oldest at next once it is full
	next  int

	path    string // of the file; "" for none
	written int    // records of the file; -1 before it was read, or to write it anew
}

type remembered struct {
	rcode int
	until time.Time
}

// The file of updates that are remembered: magic, and then records, each only ever appended. What follows a record that is damaged does not count.
//
//	record  sha256[32] of what was signed, until[8] in seconds since 1970, rcode[2], checksum[4] (CRC-32C) of all before it
const (
	memoryMagic  = "cenoteu1"
	memoryRecord = sha256.Size + 8 + 2 + 4
)

func (m *updateMemories) find(id [sha256.Size]byte, now time.Time) (rcode int, known bool) {
	r, known := m.known[id]
	return r.rcode, known && now.Before(r.until)
}

// add remembers an update that was answered now. An error is that a restart will forget it.
func (m *updateMemories) add(id [sha256.Size]byte, rcode int, now time.Time) error {
	r := remembered{rcode, now.Add(updateMemory)}
	m.put(id, r)
	if m.path == "" {
		return nil
	}
	if m.written < 0 || m.written >= 2*updatesRemembered {
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
	switch _, again := m.known[id]; {
	case again: // after its time
	case len(m.order) < updatesRemembered:
		m.order = append(m.order, id)
	default:
		delete(m.known, m.order[m.next])
		m.order[m.next] = id
		m.next = (m.next + 1) % updatesRemembered
	}
	m.known[id] = r
}

func appendMemory(dst []byte, id [sha256.Size]byte, r remembered) []byte {
	start := len(dst)
	dst = append(dst, id[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.until.Unix()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.rcode))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

// open reads the file of a directory, once.
func (m *updateMemories) open(dir string, now time.Time) error {
	if m.path != "" {
		return nil
	}
	m.path, m.written = filepath.Join(dir, "remembered"), -1
	text, err := os.ReadFile(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading which updates were made: %w", err)
	}
	m.read(text, now)
	return nil
}

// read takes those records in that still count. The file is written anew by the next update.
func (m *updateMemories) read(text []byte, now time.Time) {
	rest, ok := bytes.CutPrefix(text, []byte(memoryMagic))
	for ok && len(rest) >= memoryRecord {
		id := [sha256.Size]byte(rest)
		r := remembered{int(binary.BigEndian.Uint16(rest[sha256.Size+8:])), time.Unix(int64(binary.BigEndian.Uint64(rest[sha256.Size:])), 0)}
		if ok = bytes.Equal(appendMemory(nil, id, r), rest[:memoryRecord]); ok && now.Before(r.until) {
			m.put(id, r)
		}
		rest = rest[memoryRecord:]
	}
}

// rewrite writes those that still count into a new file.
func (m *updateMemories) rewrite(now time.Time) error {
	m.written = -1
	text, n := []byte(memoryMagic), 0
	for i := range m.order {
		id := m.order[(m.next+i)%len(m.order)]
		if r, known := m.known[id]; known && now.Before(r.until) {
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
