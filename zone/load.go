package zone

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cenote/dnsname"
)

// Bounds of loading.
const (
	fileMax    = 4 << 30    // octets of a master file
	recordsMax = 50_000_000 // records of one zone
	faultsMax  = 1000       // faults that are told of one zone
)

// ErrFaulty is that a zone has faults that keep it from being served.
var ErrFaulty = errors.New("the zone has faults")

// Load reads a zone from its master file and checks it. faults are all that was found, by line; zone is nil and err wraps ErrFaulty if one of them is an
// error. now is when signatures have to hold.
func Load(apex dnsname.Name, path string, now time.Time) (zone *Zone, faults []Fault, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > fileMax {
		return nil, nil, fmt.Errorf("%s: larger than %d octets", path, int64(fileMax))
	}
	return Read(apex, f, path, now)
}

// Read is Load for a file that is open; path is how faults name it.
func Read(apex dnsname.Name, r io.Reader, path string, now time.Time) (zone *Zone, faults []Fault, err error) {
	c := &checker{apex: apex.Canonical(), file: filepath.Clean(path), now: now}
	err = readMaster(r, c.apex, c.record, func(line int, text string) { c.fault(line, SeverityError, "%s", text) })
	if err != nil {
		return nil, c.sorted(), fmt.Errorf("%s: %w", path, err)
	}
	return c.make(path)
}

// Make is Read for records that come from elsewhere than a file; source is how faults name where. The data of the records are not kept.
func Make(apex dnsname.Name, records iter.Seq[Record], source string, now time.Time) (zone *Zone, faults []Fault, err error) {
	c := &checker{apex: apex.Canonical(), file: source, now: now}
	for r := range records {
		r.Owner = r.Owner.Canonical()
		if err := c.record(r); err != nil {
			return nil, c.sorted(), fmt.Errorf("%s: %w", source, err)
		}
	}
	return c.make(source)
}

// make checks the records that were gathered as a whole, and lays them out.
func (c *checker) make(path string) (zone *Zone, faults []Fault, err error) {
	sort(c.records)
	c.doubles()
	records := slices.CompactFunc(c.records, isDouble)
	c.check(records)
	if c.errors > 0 {
		return nil, c.sorted(), c.summary()
	}
	if zone, err = build(c.apex, c.kept(records)); err != nil {
		return nil, c.sorted(), fmt.Errorf("%s: %w", path, err)
	}
	c.checkServed(zone, records)
	if c.errors > 0 {
		return nil, c.sorted(), c.summary()
	}
	return zone, c.sorted(), nil
}

// summary is the first error, and how many there are.
func (c *checker) summary() error {
	all := c.sorted()
	at := slices.IndexFunc(all, func(f Fault) bool { return f.Severity == SeverityError })
	more := ""
	if c.errors > 1 {
		more = fmt.Sprintf(" (and %d more)", c.errors-1)
	}
	return fmt.Errorf("%w: %s%s", ErrFaulty, all[at], more)
}
