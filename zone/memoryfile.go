package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// memorySlack is how many records the file may have that do not count any more, beside as many as do.
const memorySlack = 4096

// The file of updates that are remembered: magic, and then records, each only ever appended. What follows a record that is damaged does not count.
//
//	record  id[16], key[8], until[8] in seconds since 1970, rcode[2], checksum[4] (CRC-32C) of all before it
//
// The first version had the whole SHA-256 in place of id and key.
const (
	memoryMagic       = "cenoteu2"
	memoryMagicFirst  = "cenoteu1"
	memoryRecord      = 16 + 8 + 8 + 2 + 4
	memoryRecordFirst = 32 + 8 + 2 + 4
)

func appendMemory(dst []byte, r *memory) []byte {
	start := len(dst)
	dst = append(dst, r.id[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.key))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.until))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.rcode))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

// readMemories are the records of a file that still count.
func readMemories(text []byte, now time.Time) (out []memory) {
	size, record := memoryRecord, func(b []byte) memory {
		return memory{id: updateID(b), key: keyID(binary.BigEndian.Uint64(b[16:]))}
	}
	rest, ok := bytes.CutPrefix(text, []byte(memoryMagic))
	if !ok {
		if rest, ok = bytes.CutPrefix(text, []byte(memoryMagicFirst)); !ok {
			return nil
		}
		size, record = memoryRecordFirst, func(b []byte) memory { return memory{id: updateID(b)} }
	}
	for ; len(rest) >= size; rest = rest[size:] {
		sum, tail := size-4, rest[size-14:size-4]
		if crc32.Checksum(rest[:sum], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(rest[sum:]) {
			break
		}
		r := record(rest)
		if r.until, r.rcode = int64(binary.BigEndian.Uint64(tail)), int32(binary.BigEndian.Uint16(tail[8:])); r.counts(now) {
			out = append(out, r)
		}
	}
	return out
}

// memoryFile is that file. Those who write at the same time wait for the disk together.
type memoryFile struct {
	path string // "" for none

	queue sync.Mutex
	next  []byte // records that are to be written; guarded by queue
	came  uint64 // how many records were to be written so far; guarded by queue

	disk    sync.Mutex // is held while the disk works
	written int        // records of the file; -1 before it was read, or to write it anew
	kept    uint64     // how many of those that came are on the disk
}

// open sets the path, once.
func (f *memoryFile) open(dir string) bool {
	if f.path != "" {
		return false
	}
	f.path, f.written = filepath.Join(dir, "remembered"), -1
	return true
}

// read is what is in the file.
func (f *memoryFile) read() ([]byte, error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// keep has a record on the disk when it returns. all are those that are remembered, with this one.
func (f *memoryFile) keep(r *memory, all func() []memory) error {
	if f.path == "" {
		return nil
	}
	f.queue.Lock()
	f.next = appendMemory(f.next, r)
	f.came++
	turn := f.came
	f.queue.Unlock()
	f.disk.Lock()
	defer f.disk.Unlock()
	if f.kept >= turn {
		return nil // somebody else has written it
	}
	return f.write(all)
}

// write writes those that wait. disk is held.
func (f *memoryFile) write(all func() []memory) error {
	f.queue.Lock()
	text, came := f.next, f.came
	f.next = nil
	f.queue.Unlock()
	count := len(text) / memoryRecord
	if present := all(); f.written < 0 || f.written+count > 2*len(present)+memorySlack {
		text, count, f.written = []byte(memoryMagic), len(present), 0
		for i := range present {
			text = appendMemory(text, &present[i])
		}
		if err := replaceSynced(f.path, text); err != nil {
			f.written = -1
			return err
		}
	} else if err := appendSynced(f.path, text); err != nil {
		f.written = -1 // it may end in a part of a record
		return err
	}
	f.written += count
	f.kept = came
	return nil
}
