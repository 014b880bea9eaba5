package blocklist

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// exchanged is the report of a copy of which a part has been read anew: fresh in the place of what was old. It fails where that cannot be told without a look at
// all that was read. gone are the texts of all faults of old. Lines are not told, since nobody knows them any more.
func (r *FeedReport) exchanged(old, fresh *FeedReport, gone map[string]bool) (*FeedReport, error) {
	out := *r
	out.Serial, out.Expire, out.SOA = fresh.Serial, fresh.Expire, fresh.SOA
	out.Bytes += fresh.Bytes - old.Bytes
	before, after := old.numbers(), fresh.numbers()
	for i, n := range out.numbers() {
		if *n += *after[i] - *before[i]; *n < 0 {
			return nil, fmt.Errorf("%w: its counts are not those of what was read", errWhole)
		}
	}
	if r.LabelsDropped+old.LabelsDropped+fresh.LabelsDropped+r.FamilyEntriesUnlisted > 0 || r.Families != nil {
		return nil, fmt.Errorf("%w: not all of its labels are known", errWhole)
	}
	out.FamilyEntries = maps.Clone(r.FamilyEntries)
	if out.FamilyEntries == nil {
		out.FamilyEntries = map[string]int{}
	}
	for sign, part := range map[int]*FeedReport{-1: old, 1: fresh} {
		for family, n := range part.FamilyEntries {
			out.FamilyEntries[family] += sign * n
		}
	}
	maps.DeleteFunc(out.FamilyEntries, func(_ string, n int) bool { return n == 0 })
	if err := out.exchangeFaults(r, old, fresh, gone); err != nil {
		return nil, err
	}
	return &out, out.reconcile()
}

// numbers are the counts that add up.
func (r *FeedReport) numbers() []*int {
	t := &r.Triggers
	return []*int{
		&r.Lines, &r.Skipped, &r.Parsed, &r.Live, &r.Refused, &r.Held, &r.Popular, &r.Released, &r.Names, &r.Duplicates.Count, &r.Crowded.Count, &r.Loose,
		&t.ClientIP, &t.IP, &t.NSDNAME, &t.NSIP, &t.Pattern,
	}
}

// exchangeFaults has the faults and the rows that wait, which are those of r, exchanged.
func (out *FeedReport) exchangeFaults(r, old, fresh *FeedReport, gone map[string]bool) (err error) {
	out.Faults = map[Reason]*FaultCount{}
	for reason := range reasonEnd {
		if out.Faults[reason], err = r.Faults[reason].exchanged(old.Faults[reason], fresh.Faults[reason], gone); err != nil {
			return err
		}
		if out.Faults[reason] == nil {
			delete(out.Faults, reason)
		}
	}
	for _, c := range []struct{ out, was, old, fresh *FaultCount }{
		{&out.Duplicates, &r.Duplicates, &old.Duplicates, &fresh.Duplicates}, {&out.Crowded, &r.Crowded, &old.Crowded, &fresh.Crowded},
	} {
		now, err := c.was.exchanged(c.old, c.fresh, map[string]bool{c.was.First.Text: true}) // perhaps
		if err != nil {
			return err
		}
		if *c.out = (FaultCount{}); now != nil {
			*c.out = *now
		}
	}
	for _, l := range []struct {
		out        *[]HeldRow
		of         int // how many there are, of which so many are listed
		r          []HeldRow
		old, fresh []HeldRow
		most       int
	}{
		{&out.HeldRows, r.Held, r.HeldRows, old.HeldRows, fresh.HeldRows, HeldMax},
		{&out.PopularRows, r.Popular, r.PopularRows, old.PopularRows, fresh.PopularRows, HeldMax},
		{&out.GuardedRows, min(len(r.GuardedRows), GuardedMax-1), r.GuardedRows, old.GuardedRows, fresh.GuardedRows, GuardedMax},
	} {
		if *l.out, err = exchangeHeld(l.r, l.old, l.fresh, len(l.r) < l.of || len(l.r) == l.most, l.most); err != nil {
			return err
		}
	}
	return nil
}

// exchanged counts faults of which some were old and some are fresh; each may be nil for none. The first is one that there still is; gone are the texts of those that are no more.
func (c *FaultCount) exchanged(old, fresh *FaultCount, gone map[string]bool) (*FaultCount, error) {
	none := &FaultCount{}
	c, old, fresh = cmp.Or(c, none), cmp.Or(old, none), cmp.Or(fresh, none)
	stay := c.Count - old.Count
	out := FaultCount{Count: stay + fresh.Count, First: c.First}
	switch {
	case stay < 0:
		return nil, fmt.Errorf("%w: more faults have gone than there were", errWhole)
	case out.Count == 0:
		return nil, nil
	case stay == 0 || old.Count > 0 && fresh.Count > 0:
		out.First = fresh.First
	case old.Count > 0 && gone[c.First.Text]:
		return nil, fmt.Errorf("%w: the first of some faults may have gone", errWhole)
	}
	out.First.Line = 0
	return &out, nil
}

// exchangeHeld takes old rows out of a list, and puts fresh ones at its end. cut says that not all are listed.
func exchangeHeld(all, old, fresh []HeldRow, cut bool, most int) ([]HeldRow, error) {
	if cut && len(old)+len(fresh) > 0 || len(all)-len(old)+len(fresh) > most {
		return nil, fmt.Errorf("%w: not all rows that wait are listed", errWhole)
	}
	same := func(a, b *HeldRow) bool { return a.Name == b.Name && a.Reason == b.Reason && a.Text == b.Text }
	out := slices.Clone(all)
	for i := range old {
		at := slices.IndexFunc(out, func(h HeldRow) bool { return same(&h, &old[i]) })
		if at < 0 {
			return nil, fmt.Errorf("%w: a row that waited is not listed", errWhole)
		}
		out = slices.Delete(out, at, at+1)
	}
	out = append(out, fresh...)
	for i := range out {
		out[i].Line = 0
	}
	return out, nil
}
