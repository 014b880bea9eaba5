package blocklist

import (
	"context"
	"math"
	"os"
	"time"

	"cenote/dnsname"
)

// ReadZoneChange makes copy number of a feed from the last good copy, which is kept, and of what a difference changes, at the time now.
func ReadZoneChange(ctx context.Context, dir string, c FeedConfig, kept, number uint64, change *ZoneChange, now time.Time) (v ListVersion, err error) {
	l := layout{dir}
	before, err := OpenRows(l.rows(c.Name, kept))
	if err != nil {
		return v, err
	}
	defer before.Close()
	if len(before.tables.Files) != 1 { // as planChange says
		return v, errWhole
	}
	r := &changeReader{config: c, before: before, change: change, apex: dnsname.Name(before.report.SOA.Name), found: map[dnsname.Name][]rawRow{}}
	r.source.Read = now
	if r.suffixes, err = suffixesForTests(); err != nil {
		return v, err
	}
	if r.protect, err = newProtection(&c.Protect); err != nil {
		return v, err
	}
	changes := rowsChanges{most: math.MaxInt}
	if err = r.layer(ctx, l, number, &changes); err != nil {
		os.Remove(l.rows(c.Name, number))
		return v, err
	}
	v.Names = changes.names
	rows, err := OpenRows(l.rows(c.Name, number))
	if err != nil {
		return v, err
	}
	defer rows.Close()
	v.Report, v.Part = rows.Report(), true
	if err := rows.Verify(); err != nil {
		return v, err
	}
	return v, rows.All(func(r Row) bool {
		v.Rows = append(v.Rows, r)
		return true
	})
}

// FindRows opens a copy and returns the rows of a name.
func FindRows(dir, feed string, number uint64, name dnsname.Name) ([]Row, error) {
	rows, err := OpenRows(layout{dir}.rows(feed, number))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Find([]byte(name))
}
