package sighting

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
	"go.etcd.io/bbolt"
)

// dayFile is the bbolt file of one UTC day. What a day gathered at a time is a run: rows of one hour, sorted by client, in
// blocks, with the rules and terms they refer to. Runs are only ever added, so that a commit writes few and whole pages; the
// rows of a pair that lie in several runs are added up on read.
//
//	meta   format, day, applied, durable, runs
//	runs   hour[4] run[4]                    -> runInfo
//	rules  hour[4] run[4]                    -> the rules of the run
//	terms  hour[4] run[4] block[4]           -> a pack of blocks, each of termsPerBlock terms
//	rows   hour[4] run[4] client[16] block[4] -> a pack of blocks of rows, the first of which is of that client
//	first  run[4] block[4]                   -> first sightings
//	losses run[4] block[4]                   -> losses
//
// Every value, and every block of a pack, closes with a checksum of its own, since bbolt has none on pages.
//
// The writer alone changes a file. Readers use view for one short transaction at a time, since an open one keeps the
// writer from growing the file and pages from being used again.
type dayFile struct {
	day  uint32 // since the epoch
	path string

	mu      sync.RWMutex // held for reading during a transaction, for writing while db is exchanged
	db      *bbolt.DB    // guarded by mu; nil once the file is closed
	format  uint64       // guarded by mu, as db
	version uint64       // guarded by mu: counts exchanges

	// Written by the writer under Store.mu, read under it.
	runs      []runInfo // by hour and number; never changed in place
	published uint32    // runs, first sightings and losses below this number are there
	applied   uint64    // rows of this day in batches up to here are in this file
	durable   uint64    // as the file knows it: rows of all days in batches up to here were in day files
	bad       bool      // found damaged by a reader; the writer will put it aside

	next  uint32 // number of the next run; the writer's
	begun struct {
		memory *memory
		number uint32
	} // the transfer that was begun and is not finished; the writer's
}

// runInfo is what a file's catalogue says of a run.
type runInfo struct {
	hour, number uint32
	rows, terms  uint32
	low, high    [16]byte // the first and last client
}

const (
	dayFormat    = 2
	daySuffix    = ".db"
	dayOpenMax   = 2 * time.Second // waiting for the lock of a file that another process holds
	dayMapSize   = 256 << 20       // of a file that grows: below it no commit waits for a reader
	dayPageFill  = 0.9
	dayDirectory = "days"

	// dayFormatBlocks is the format of files of before: each block of rows or terms is a value. They are read, and written on, as they are.
	dayFormatBlocks = 1

	sealSize = 8 // octets of a checksum
)

var (
	bucketMeta   = []byte("meta")
	bucketRuns   = []byte("runs")
	bucketRules  = []byte("rules")
	bucketTerms  = []byte("terms")
	bucketRows   = []byte("rows")
	bucketFirst  = []byte("first")
	bucketLosses = []byte("losses")

	keyFormat  = []byte("format")
	keyDay     = []byte("day")
	keyApplied = []byte("applied")
	keyDurable = []byte("durable")
	keyNext    = []byte("runs")
)

// ErrDamaged is wrapped by errors about files that cannot have been written like this.
var ErrDamaged = errors.New("file is damaged")

// createDay makes the file of a day under a temporary name and renames it, so that a file of the final name is never one
// whose first pages did not reach the disk.
func createDay(path string, day uint32) (*dayFile, error) {
	f, err := unnamedDay(path, day)
	if err != nil {
		return nil, err
	}
	if err := f.moveTo(path); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// unnamedDay makes a file of a day that still has a temporary name.
func unnamedDay(path string, day uint32) (*dayFile, error) {
	temporary := path + ".new"
	os.Remove(temporary)
	f := &dayFile{day: day, format: dayFormat, path: temporary, next: 1}
	if err := f.open(dayMapSize); err != nil {
		os.Remove(temporary)
		return nil, err
	}
	if err := f.update(f.initialise); err != nil {
		f.close()
		os.Remove(temporary)
		return nil, fmt.Errorf("making %s: %w", path, err)
	}
	return f, nil
}

// moveTo renames an open file, over what may be there.
func (f *dayFile) moveTo(path string) error {
	if err := os.Rename(f.path, path); err != nil {
		return err
	}
	f.path = path
	return syncDir(filepath.Dir(path))
}

func (f *dayFile) initialise(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketRuns, bucketRules, bucketTerms, bucketRows, bucketFirst, bucketLosses} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return errors.Join(putNumber(tx, keyFormat, f.format), putNumber(tx, keyDay, uint64(f.day)), f.putProgress(tx, 0, 0))
}

// putProgress writes what must change together with the rows of a commit.
func (f *dayFile) putProgress(tx *bbolt.Tx, applied, durable uint64) error {
	return errors.Join(putNumber(tx, keyApplied, applied), putNumber(tx, keyDurable, durable), putNumber(tx, keyNext, uint64(f.next)))
}

// openDay opens a file that createDay made. The error wraps ErrDamaged if it is not whole.
func openDay(path string, day uint32) (*dayFile, error) {
	if err := checkPages(path); err != nil {
		return nil, err
	}
	f := &dayFile{day: day, path: path}
	if err := f.open(0); err != nil {
		return nil, err
	}
	if err := f.view(f.load); err != nil {
		if !errors.Is(err, ErrDamaged) {
			f.close()
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *dayFile) open(mapSize int) error {
	err := guarded(func() error {
		db, err := bbolt.Open(f.path, 0o600, &bbolt.Options{
			Timeout: dayOpenMax, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapSize, NoStatistics: true,
		})
		f.db = db
		return err
	})
	if err != nil {
		return fmt.Errorf("opening %s: %w", f.path, err)
	}
	return nil
}

func (f *dayFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	db := f.db
	f.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

// load reads the catalogue of the file.
func (f *dayFile) load(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketRuns, bucketRules, bucketTerms, bucketRows, bucketFirst, bucketLosses} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: it has no bucket %s", ErrDamaged, name)
		}
	}
	format, day := getNumber(tx, keyFormat), getNumber(tx, keyDay)
	if format < dayFormatBlocks || format > dayFormat || day != uint64(f.day) {
		return fmt.Errorf("%w: format %d of day %d, not %d of %d", ErrDamaged, format, day, dayFormat, f.day)
	}
	f.format = format
	f.applied, f.durable, f.next = getNumber(tx, keyApplied), getNumber(tx, keyDurable), uint32(getNumber(tx, keyNext))
	f.published = f.next
	return tx.Bucket(bucketRuns).ForEach(func(k, v []byte) error {
		info, err := readRunInfo(k, v)
		f.runs = append(f.runs, info)
		return err
	})
}

// errMoved says that a file was closed or rewritten since its catalogue was looked at: the reader begins again.
var errMoved = errors.New("the day file was closed or rewritten meanwhile")

// view runs read in a transaction. What it reads must be copied before it returns, and it must be short.
func (f *dayFile) view(read func(*bbolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.viewLocked(read)
}

// viewVersion is view for readers that hold something of an earlier transaction.
func (f *dayFile) viewVersion(version uint64, read func(*bbolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.version != version {
		return errMoved
	}
	return f.viewLocked(read)
}

func (f *dayFile) viewLocked(read func(*bbolt.Tx) error) error {
	if f.db == nil {
		return errMoved
	}
	return guarded(func() error { return f.db.View(read) })
}

// update runs change in a transaction and commits it.
func (f *dayFile) update(change func(*bbolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return errMoved
	}
	return guarded(func() error { return f.db.Update(change) })
}

// guarded turns what bbolt does on a damaged file, panics and faults on the memory map, into an error that wraps ErrDamaged.
// Without SetPanicOnFault a file that was cut off would end the process.
func guarded(f func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// The layout of bbolt's meta page, as far as checkPages reads it.
const (
	boltPageHeader = 16
	boltMagic      = 0xED0CDAED
	boltMetaSize   = 64
	boltNoFreelist = 1<<64 - 1
)

// checkPages looks at a file before bbolt maps it: an empty one would silently become a new database, one that is shorter
// than its own page count would fault, and one without a stored freelist would be walked by a goroutine of bbolt's whose
// panics nobody can catch.
func checkPages(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := uint64(info.Size())
	var newest struct{ transaction, end, freelist uint64 }
	for _, off := range []int64{0, int64(os.Getpagesize())} {
		var page [boltPageHeader + boltMetaSize]byte
		if _, err := f.ReadAt(page[:], off); err != nil && err != io.EOF {
			return err
		}
		m := page[boltPageHeader:]
		hash := fnv.New64a()
		hash.Write(m[:56])
		u64 := binary.NativeEndian.Uint64
		if binary.NativeEndian.Uint32(m) != boltMagic || hash.Sum64() != u64(m[56:]) {
			continue
		}
		if transaction := u64(m[48:]); transaction >= newest.transaction {
			newest.transaction, newest.freelist = transaction, u64(m[32:])
			newest.end = u64(m[40:]) * uint64(binary.NativeEndian.Uint32(m[8:]))
		}
	}
	switch {
	case newest.end == 0:
		return fmt.Errorf("%s: %w: it has no valid meta page", path, ErrDamaged)
	case newest.end > size:
		return fmt.Errorf("%s: %w: it is cut off at %d of %d octets", path, ErrDamaged, size, newest.end)
	case newest.freelist == boltNoFreelist:
		return fmt.Errorf("%s: %w: it has no freelist", path, ErrDamaged)
	}
	return nil
}

func putNumber(tx *bbolt.Tx, key []byte, n uint64) error {
	return tx.Bucket(bucketMeta).Put(key, binary.BigEndian.AppendUint64(nil, n))
}

func getNumber(tx *bbolt.Tx, key []byte) uint64 {
	if v := tx.Bucket(bucketMeta).Get(key); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// sealed closes a value with its checksum, opened takes it off again.
func sealed(b []byte) []byte { return appendSeal(b, b) }

// appendSeal appends the checksum of value to dst.
func appendSeal(dst, value []byte) []byte {
	return binary.BigEndian.AppendUint64(dst, xxh3.Hash(value))
}

func opened(b []byte) ([]byte, error) {
	n := len(b) - sealSize
	if n < 0 || xxh3.Hash(b[:n]) != binary.BigEndian.Uint64(b[n:]) {
		return nil, fmt.Errorf("%w: the checksum of a value is wrong", ErrDamaged)
	}
	return b[:n], nil
}

func runKey(hour, number uint32) []byte { return appendRunKey(make([]byte, 0, 28), hour, number) }

func appendRunKey(dst []byte, hour, number uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, hour), number)
}

func (i *runInfo) encode() []byte {
	b := appendUvarint(nil, uint64(i.rows))
	b = appendUvarint(b, uint64(i.terms))
	return append(append(b, i.low[:]...), i.high[:]...)
}

func readRunInfo(k, v []byte) (i runInfo, err error) {
	v, err = opened(v)
	if err != nil {
		return i, err
	}
	d := decoder{b: v}
	i.rows, i.terms = d.uint32(), d.uint32()
	copy(i.low[:], d.octets(16))
	copy(i.high[:], d.octets(16))
	if d.bad || len(d.b) != 0 || len(k) != 8 {
		return i, fmt.Errorf("%w: the entry of a run is not one", ErrDamaged)
	}
	i.hour, i.number = binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:])
	return i, nil
}
