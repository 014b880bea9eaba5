package zone

import (
	"cmp"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"cenote/dnsname"
)

// Step is one difference as a History keeps it: packed into one array, without pointers. It never changes.
type Step struct {
	From, To       uint32 // the serials
	removed, added int    // how many records
	sum            sum    // of the zone that it leads to
	data           []byte // records as appendPacked writes them: first those that are removed; each list begins with its SOA record
}

// stepRoom is what a step takes beside its records, in octets.
const stepRoom = 64

// errPacked is that a packed record is not whole.
var errPacked = errors.New("a record is not whole")

// newStep packs a difference that leads to a zone.
func newStep(d *Diff, to *Zone) *Step {
	s := pack(d)
	s.sum = sumOf(to)
	return s
}

// pack packs a difference whose end is not known as a zone.
func pack(d *Diff) *Step {
	s := &Step{From: d.From, To: d.To, removed: len(d.Removed), added: len(d.Added)}
	size := 0
	for _, list := range [][]Record{d.Removed, d.Added} {
		for i := range list {
			size += len(list[i].Owner) + packedHeader + len(list[i].Data)
		}
	}
	s.data = make([]byte, 0, size)
	for _, list := range [][]Record{d.Removed, d.Added} {
		for i := range list {
			s.data = appendPacked(s.data, &list[i])
		}
	}
	return s
}

// packedHeader is a record's type, TTL and length of data, between its owner and its data.
const packedHeader = 8

// appendPacked appends a record: owner in wire form, type (2), TTL (4), length of the data (2), data.
func appendPacked(dst []byte, r *Record) []byte { return appendRecord(append(dst, r.Owner...), nil, r) }

// cutPacked splits the first record off. Owner and data are parts of packed.
func cutPacked(packed []byte) (owner []byte, r Record, rest []byte, err error) {
	n, _, err := dnsname.Check(packed)
	if err != nil || len(packed) < n+packedHeader {
		return nil, r, nil, errPacked
	}
	owner, packed = packed[:n:n], packed[n:]
	r.Type, r.TTL = binary.BigEndian.Uint16(packed), binary.BigEndian.Uint32(packed[2:])
	end := packedHeader + int(binary.BigEndian.Uint16(packed[6:]))
	if len(packed) < end {
		return nil, r, nil, errPacked
	}
	r.Data = packed[packedHeader:end:end]
	return owner, r, packed[end:], nil
}

// Records is how many records the step has.
func (s *Step) Records() int { return s.removed + s.added }

// Bytes is how much memory it takes.
func (s *Step) Bytes() int { return stepRoom + len(s.data) }

// Removed visits the records that are removed, the SOA record first. Their data are parts of the step.
func (s *Step) Removed() iter.Seq[Record] { return s.records(0, s.removed) }

// Added is Removed for the records that are added.
func (s *Step) Added() iter.Seq[Record] { return s.records(s.removed, s.removed+s.added) }

func (s *Step) records(from, to int) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		rest := s.data
		for i := range to {
			owner, r, more, err := cutPacked(rest)
			if rest = more; err != nil {
				return // never: they were packed here, or checked when they were read
			}
			if r.Owner = dnsname.Name(owner); i >= from && !yield(r) {
				return
			}
		}
	}
}

// Diff is the step with its records as values, whose data are parts of it.
func (s *Step) Diff() Diff {
	d := Diff{From: s.From, To: s.To, Removed: make([]Record, 0, s.removed), Added: make([]Record, 0, s.added)}
	for r := range s.Removed() {
		d.Removed = append(d.Removed, r)
	}
	for r := range s.Added() {
		d.Added = append(d.Added, r)
	}
	return d
}

// Condense is the one difference that steps make together, each of which goes on where the one before ends (RFC 1995 section 5). There is at least one.
func Condense(steps []*Step) Diff {
	all := inOrder(steps)
	d := Diff{From: steps[0].From, To: steps[len(steps)-1].To}
	for len(all) > 0 {
		n := 1
		for n < len(all) && isDouble(all[n].Record, all[0].Record) {
			n++
		}
		removed, added := fold(all[:n])
		if removed != nil {
			d.Removed = append(d.Removed, *removed)
		}
		if added != nil {
			d.Added = append(d.Added, *added)
		}
		all = all[n:]
	}
	soaFirst(d.Removed)
	soaFirst(d.Added)
	return d
}

// stepRecord is a record of one of several steps.
type stepRecord struct {
	Record
	added bool
	turn  int32 // when, among all
}

// inOrder are the records of steps, in the order of sort, and those that are one in that in which they come and go.
func inOrder(steps []*Step) []stepRecord {
	size := 0
	for _, s := range steps {
		size += s.Records()
	}
	all := make([]stepRecord, 0, size)
	for _, s := range steps {
		first := len(all) + s.removed                 // that is added
		_ = eachPacked(s.data, func(r Record) error { // none is malformed: they were packed here, or checked when they were read
			all = append(all, stepRecord{r, len(all) >= first, int32(len(all))})
			return nil
		})
	}
	slices.SortFunc(all, func(a, b stepRecord) int {
		return cmp.Or(compareRecords(&a.Record, &b.Record), cmp.Compare(a.turn, b.turn))
	})
	return all
}

// fold is what becomes of one record that comes and goes: removed, added, both where it has another TTL, or neither.
func fold(turns []stepRecord) (removed, added *Record) {
	for i := range turns {
		switch r := &turns[i]; {
		case !r.added && added != nil:
			added = nil
		case !r.added:
			removed = &r.Record
		case removed != nil && removed.TTL == r.TTL:
			removed = nil
		default:
			added = &r.Record
		}
	}
	return removed, added
}

// History is the last steps of a zone, oldest first, each going on where the one before ends; the last leads to the zone beside which the History is
// published. It never changes; nil is an empty one.
type History struct {
	steps []*Step
	bytes int
}

// Steps are all steps, oldest first; they must not be changed.
func (h *History) Steps() []*Step {
	if h == nil {
		return nil
	}
	return h.steps
}

// Bytes is how much memory the history takes.
func (h *History) Bytes() int {
	if h == nil {
		return 0
	}
	return h.bytes
}

// Since are the steps from a serial to the present, and whether the history goes back so far.
func (h *History) Since(serial uint32) ([]*Step, bool) {
	all := h.Steps()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].From == serial {
			return all[i:], true
		}
	}
	return nil, false
}

// HistoryBounds are the bounds of histories.
type HistoryBounds struct {
	Steps     int // of one zone
	ZoneBytes int // of one zone
	Bytes     int // of all zones together
}

// Default bounds of histories.
const (
	historyStepsMax     = 1000
	historyZoneBytesMax = 16 << 20
	historyBytesMax     = 128 << 20
	// historyRecordsMax is how many records a difference may have that is kept: one that is larger is hardly smaller than the zone.
	historyRecordsMax = 1 << 18
)

func (b HistoryBounds) withDefaults() HistoryBounds {
	setDefault(&b.Steps, historyStepsMax)
	setDefault(&b.ZoneBytes, historyZoneBytesMax)
	setDefault(&b.Bytes, historyBytesMax)
	return b
}

func setDefault(field *int, value int) {
	if *field <= 0 {
		*field = value
	}
}

// with is h with one step more, without the oldest ones that are too much for the bounds. A step that does not go on where h ends begins a new history.
func (h *History) with(s *Step, b HistoryBounds) *History {
	var steps []*Step
	if all := h.Steps(); len(all) > 0 && all[len(all)-1].To == s.From {
		steps = all
	}
	return newHistory(append(steps[:len(steps):len(steps)], s), b)
}

// newHistory is a history of the last of steps that are within the bounds. It stops where a serial comes again: from there on, a secondary would be told
// half of what has changed.
func newHistory(steps []*Step, b HistoryBounds) *History {
	h := new(History)
	from := len(steps)
	seen := map[uint32]bool{}
	for ; from > 0; from-- {
		s := steps[from-1]
		if len(steps)-from >= b.Steps || h.bytes+s.Bytes() > b.ZoneBytes || seen[s.From] || s.From == s.To {
			break
		}
		if from < len(steps) && s.To != steps[from].From {
			break
		}
		seen[s.From], seen[s.To] = true, true
		h.bytes += s.Bytes()
	}
	h.steps = slices.Clone(steps[from:])
	return h
}

// within is h without its oldest steps, as far as it takes more than so many octets.
func (h *History) within(octets int) *History {
	steps, bytes := h.steps, h.bytes
	for len(steps) > 0 && bytes > octets {
		bytes -= steps[0].Bytes()
		steps = steps[1:]
	}
	return &History{steps: slices.Clone(steps), bytes: bytes}
}
