package zone

import (
	"errors"
	"fmt"

	"cenote/dnsname"
)

// DifferenceMax is how many records a Difference tells of.
const DifferenceMax = 100_000

// ErrHistory is that the history of a zone does not have what is asked for.
var ErrHistory = errors.New("the history does not have it")

// Difference is what became of a zone between two of its versions, for people: records in presentation form, a line each, the SOA record first and the
// others in canonical order. A record whose TTL alone has changed is in both lists.
type Difference struct {
	Zone    string   `json:"zone"`
	From    uint32   `json:"from"`
	To      uint32   `json:"to"`
	Removed []string `json:"removed"`
	Added   []string `json:"added"`
	LeftOut int      `json:"left_out,omitempty"` // records above DifferenceMax, those that were added first
}

// Difference compares two versions of a zone, by its history. Without to it is the version that is served, without from the one before that.
func (k *Keeper) Difference(apex dnsname.Name, from, to *uint32) (*Difference, error) {
	served := k.Set().Exact([]byte(apex.Canonical()))
	if served == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, apex)
	}
	steps, err := served.History.between(from, to)
	if err != nil {
		return nil, err
	}
	d := Condense(steps)
	out := &Difference{Zone: apex.Canonical().String(), From: d.From, To: d.To, Removed: []string{}, Added: []string{}}
	var w masterWriter
	out.Removed = w.lines(d.Removed[:min(len(d.Removed), DifferenceMax)])
	out.Added = w.lines(d.Added[:min(len(d.Added), DifferenceMax-len(out.Removed))])
	out.LeftOut = len(d.Removed) + len(d.Added) - len(out.Removed) - len(out.Added)
	return out, nil
}

// lines are records in presentation form.
func (w *masterWriter) lines(records []Record) []string {
	out := make([]string, 0, len(records))
	for i := range records {
		out = append(out, w.line(&records[i]))
	}
	return out
}

// between are the steps from one serial to another, at least one. Nil stands for the present as to, and for the version before to as from.
func (h *History) between(from, to *uint32) ([]*Step, error) {
	all := h.Steps()
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: the zone has not changed since its history began", ErrHistory)
	}
	end := len(all)
	if to != nil {
		for end > 0 && all[end-1].To != *to {
			end--
		}
	}
	if from != nil && to != nil && isBefore(*to, *from) {
		return nil, fmt.Errorf("%w: serial %d comes after %d; write the older one first", ErrHistory, *from, *to)
	}
	if end == 0 {
		return nil, fmt.Errorf("%w: no change leads to serial %d; it goes from %d to %d", ErrHistory, *to, all[0].From, all[len(all)-1].To)
	}
	begin := end - 1
	if from != nil {
		for begin >= 0 && all[begin].From != *from {
			begin--
		}
	}
	if begin < 0 {
		return nil, fmt.Errorf("%w: no change leads from serial %d to %d; it goes from %d to %d", ErrHistory, *from, all[end-1].To, all[0].From, all[len(all)-1].To)
	}
	return all[begin:end], nil
}
