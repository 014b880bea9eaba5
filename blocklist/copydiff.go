package blocklist

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"cenote/pace"
	"cenote/policy"
)

// DiffOptions say which copies of a feed are compared.
type DiffOptions struct {
	// Feed is the name of the feed. Required.
	Feed string
	// From and To are the numbers of the copies. Default: 0; To is that which is served then, and From the newest that is older than To.
	From, To uint64
	// Limit is after how many rows the answer ends, with that of its name. Default: 0, DiffRowsMax. Example: 100.
	Limit int
	// Cursor is what Next of the page before says. Default: "", the first page, which alone has the counts.
	Cursor string
}

// DiffRowsMax is how many rows, and those of one name more, an answer has.
const DiffRowsMax = 10_000

// Change is what became of a row.
type Change string

// The changes.
const (
	ChangeAdded   Change = "added"
	ChangeRemoved Change = "removed"
	ChangeChanged Change = "changed" // action, threat, confidence or records
)

// FeedDiff is what one copy of a feed says that another does not. Rows are told apart by what they list, their kind, their family, and whether they
// are exceptions. Where a row stands, its reference and its comment are no change.
type FeedDiff struct {
	Feed   string      `json:"feed"`
	From   KeptCopy    `json:"from"`
	To     KeptCopy    `json:"to"`
	Counts *DiffCounts `json:"counts,omitempty"` // on the first page
	Rows   []DiffRow   `json:"rows"`
	Next   string      `json:"next,omitempty"` // the cursor of the next page; empty on the last
}

// DiffCounts are how many rows have changed, and in how many families.
type DiffCounts struct {
	Added    int `json:"added"`
	Removed  int `json:"removed"`
	Changed  int `json:"changed"`
	Renewed  int `json:"renewed"` // rows with another expiry, and nothing else; they are not listed
	Families int `json:"families"`
}

// DiffRow is one row that has changed.
type DiffRow struct {
	Change    Change  `json:"change"`
	Listed    string  `json:"listed"` // escaped
	Kind      string  `json:"kind"`
	Exception bool    `json:"exception,omitempty"`
	Family    string  `json:"family,omitempty"`
	Was       *RowSay `json:"was,omitempty"` // unless it was added
	Is        *RowSay `json:"is,omitempty"`  // unless it was removed
}

// RowSay is what a row says of its name.
type RowSay struct {
	Action     string    `json:"action,omitempty"` // unless it leaves that to the policy zone
	Threat     string    `json:"threat,omitempty"`
	Confidence int       `json:"confidence"` // -1 where it does not say
	Expires    time.Time `json:"expires,omitzero"`
	File       string    `json:"file"`
	Line       int       `json:"line"`
}

// Diff compares two kept copies of a feed. One comparison is made at a time.
func (p *Publisher) Diff(ctx context.Context, o DiffOptions) (*FeedDiff, error) {
	select {
	case p.diffing <- struct{}{}:
		defer func() { <-p.diffing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	from, to, err := p.compared(o)
	if err != nil {
		return nil, err
	}
	out := &FeedDiff{Feed: o.Feed, From: from, To: to, Rows: []DiffRow{}}
	err = pace.Behind(func() error { return p.diff(ctx, o, out) })
	return out, err
}

// compared finds the copies to compare.
func (p *Publisher) compared(o DiffOptions) (from, to KeptCopy, err error) {
	if err := p.checkNames([]string{o.Feed}); err != nil {
		return from, to, err
	}
	p.mu.Lock()
	f := p.feed(o.Feed)
	served := f.kept()
	to.Copy = served
	if o.To != 0 {
		to.Copy, err = f.numbered(o.To)
	}
	if err == nil && o.From != 0 {
		from.Copy, err = f.numbered(o.From)
	} else if err == nil {
		from.Copy, err = f.before(to.Copy)
	}
	p.mu.Unlock()
	for _, c := range []*KeptCopy{&from, &to} {
		if c.Served = c.Copy == served; err == nil {
			p.describe(o.Feed, c)
		}
	}
	return from, to, err
}

// diff fills in the rows, and on the first page the counts.
func (p *Publisher) diff(ctx context.Context, o DiffOptions, out *FeedDiff) error {
	after, err := hex.DecodeString(o.Cursor)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	old, err := OpenRows(p.store.rows(o.Feed, out.From.Copy))
	if err != nil {
		return err
	}
	defer old.Close()
	fresh, err := OpenRows(p.store.rows(o.Feed, out.To.Copy))
	if err != nil {
		return err
	}
	defer fresh.Close()
	d := &copyDiff{out: out, limit: DiffRowsMax, touched: map[string]bool{}}
	if o.Limit > 0 {
		d.limit = min(o.Limit, DiffRowsMax)
	}
	if o.Cursor == "" {
		out.Counts = &d.counts
	}
	if d.rowsPair, err = pairAfter(old, fresh, after); err != nil {
		return err
	}
	err = d.walk(ctx, func(int) {}, d.see)
	if d.counts.Families = len(d.touched); errors.Is(err, errPageFull) {
		return nil
	}
	return err
}

// pairAfter makes a pair of cursors that stand behind a name, or at the beginning for no name.
func pairAfter(old, fresh *Rows, name []byte) (*rowsPair, error) {
	pair := &rowsPair{textNumbers: newTextNumbers(&old.tables, fresh.tables.Families, fresh.tables.Threats)}
	var err error
	if pair.old, pair.oldEnds, err = cursorAfter(old, name); err != nil {
		return nil, err
	}
	pair.fresh, pair.newEnds, err = cursorAfter(fresh, name)
	return pair, err
}

// cursorAfter makes a cursor that stands at the first name behind name, and reports whether there is none.
func cursorAfter(r *Rows, name []byte) (c *rowsCursor, ends bool, err error) {
	c = r.cursor()
	if len(name) == 0 {
		err = advance(c, &ends)
		return c, ends, err
	}
	hash := nameHash(name)
	c.begin(hash)
	for {
		if err := advance(c, &ends); err != nil || ends || cmp.Or(cmp.Compare(c.hash, hash), bytes.Compare(c.name, name)) > 0 {
			return c, ends, err
		}
	}
}

// errPageFull ends the walk for a page that is not the first.
var errPageFull = errors.New("the page is full")

// copyDiff gathers the rows in which two copies differ.
type copyDiff struct {
	*rowsPair
	out     *FeedDiff
	counts  DiffCounts
	touched map[string]bool // families
	limit   int
	full    bool
	last    []byte // the name after which the next page begins
}

// see compares the rows of a name.
func (d *copyDiff) see(old, fresh *rowsCursor) error {
	before := len(d.out.Rows)
	if err := d.compare(old, fresh); err != nil {
		return err
	}
	if !d.full && len(d.out.Rows) > before {
		d.last = append(d.last[:0], nameOf(old, fresh)...)
	}
	if d.full && d.out.Next != "" && d.out.Counts == nil {
		return errPageFull
	}
	d.full = len(d.out.Rows) >= d.limit
	return nil
}

func nameOf(old, fresh *rowsCursor) []byte {
	if fresh != nil {
		return fresh.name
	}
	return old.name
}

// compare finds for each row of one copy that of the other.
func (d *copyDiff) compare(old, fresh *rowsCursor) error {
	var was, is []rawRow
	if old != nil {
		was = old.rows
	}
	if fresh != nil {
		is = fresh.rows
	}
	for i := range was {
		j := d.find(&was[i], is)
		if j < 0 {
			d.note(ChangeRemoved, &was[i], nil)
			continue
		}
		if err := d.changed(&was[i], &is[j]); err != nil {
			return err
		}
	}
	for j := range is {
		if !d.had(&is[j], was) {
			d.note(ChangeAdded, nil, &is[j])
		}
	}
	return nil
}

// isSame reports whether two rows of a name are about the same thing.
func (d *copyDiff) isSame(was, is *rawRow) bool {
	return was.Kind == is.Kind && was.Exception == is.Exception && d.families[was.Family] == is.Family
}

func (d *copyDiff) find(was *rawRow, is []rawRow) int {
	for j := range is {
		if d.isSame(was, &is[j]) {
			return j
		}
	}
	return -1
}

func (d *copyDiff) had(is *rawRow, was []rawRow) bool {
	for i := range was {
		if d.isSame(&was[i], is) {
			return true
		}
	}
	return false
}

// changed notes what a row says differently.
func (d *copyDiff) changed(was, is *rawRow) error {
	same, err := d.sameData(was, is)
	switch {
	case err != nil:
		return err
	case !same || was.Action != is.Action || was.Confidence != is.Confidence || d.threats[was.Threat] != is.Threat:
		d.note(ChangeChanged, was, is)
	case expiryHours(was.Expiry) != expiryHours(is.Expiry):
		d.counts.Renewed++
	}
	return nil
}

// note counts a change, and lists it while there is room.
func (d *copyDiff) note(change Change, was, is *rawRow) {
	row := cmp.Or(is, was)
	if row.Kind == policy.KindENT {
		return // nobody wrote it
	}
	cursor := d.fresh
	switch change {
	case ChangeAdded:
		d.counts.Added++
	case ChangeRemoved:
		d.counts.Removed++
		cursor = d.old
	case ChangeChanged:
		d.counts.Changed++
	}
	family := cursor.file.tables.Families[row.Family]
	d.touched[family] = true
	if d.full {
		if d.out.Next == "" {
			d.out.Next = hex.EncodeToString(d.last)
		}
		return
	}
	d.out.Rows = append(d.out.Rows, DiffRow{
		Change: change, Listed: policy.KeyText(cursor.name), Kind: row.Kind.String(), Exception: row.Exception, Family: family,
		Was: d.old.say(was), Is: d.fresh.say(is),
	})
}

// say is what a row of the cursor's file says; nil of none.
func (c *rowsCursor) say(r *rawRow) *RowSay {
	if r == nil {
		return nil
	}
	t := &c.file.tables
	out := &RowSay{Threat: t.Threats[r.Threat], Confidence: -1, Expires: unixTime(r.Expiry), File: t.Files[r.File], Line: c.file.line(r)}
	if r.Action != policy.ActionDefault {
		out.Action = r.Action.String()
	}
	if r.Confidence != policy.ConfidenceUnknown {
		out.Confidence = int(r.Confidence)
	}
	return out
}
