package dnssec

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Ranges keeps what NSEC and NSEC3 records of a zone have proved, to answer for other names without a question to the zone (RFC 8198). It
// holds a bounded number of records. Any number of goroutines may use it at once; while one has a name hashed, which may take long, it holds up no other.
type Ranges struct {
	zone dnsname.Name
	max  int

	mu     sync.Mutex // guards the rest; nothing is hashed while it is held
	spans  track[span]
	hashed track[hashedSpan]
	params params // of all hashed
}

// NewRanges returns an empty Ranges of a zone, for at most limit records.
func NewRanges(zone []byte, limit int) *Ranges {
	return &Ranges{
		zone:   dnsname.Name(zone),
		max:    max(2, limit),
		spans:  track[span]{order: func(a, b *span) int { return dnsname.Compare(a.owner, b.owner) }, inside: insideSpan},
		hashed: track[hashedSpan]{order: func(a, b *hashedSpan) int { return bytes.Compare(a.owner[:], b.owner[:]) }, inside: insideHashed},
	}
}

func insideSpan(outer, inner *span) bool { return outer.covers(inner.owner) }

func insideHashed(outer, inner *hashedSpan) bool { return outer.covers(inner.owner) }

// Len is the number of records that are kept, old ones among them.
func (r *Ranges) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.len()
}

// len is Len. mu is held.
func (r *Ranges) len() int { return len(r.spans.rows) + len(r.hashed.rows) }

// Add keeps a copy of an NSEC or NSEC3 set for ttl seconds. The set was found Secure in the zone. It returns false for what may not be used for
// other names or is not worth the room: records with opt-out, sets made from a wildcard, of more than one record or of more than RangeSetMax octets.
func (r *Ranges) Add(s *Set, ttl uint32, now time.Time) bool {
	if ttl == 0 || len(s.RData) != 1 || s.Size() > RangeSetMax || !wellFormed(s.Name) || s.expanded() {
		return false
	}
	kept, until := s.clone(), now.Add(time.Duration(ttl)*time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch s.Type {
	case wire.TypeNSEC:
		one, ok := parseSpan(r.zone, kept, kept.RData[0])
		if !ok {
			return false
		}
		r.spans.put(row[span]{one, until})
	case wire.TypeNSEC3:
		one, ok := parseHashed(r.zone, kept, kept.RData[0])
		if !ok || one.optOut || one.params.iterations > IterationsMax {
			return false
		}
		if one.params != r.params {
			r.params, r.hashed.rows = one.params, nil
		}
		r.hashed.put(row[hashedSpan]{one, until})
	default:
		return false
	}
	if r.len() > r.max {
		r.shrink(now)
	}
	return true
}

// shrink drops what is too old, and if that is not enough, a quarter of the records: those that would be too old first. mu is held.
func (r *Ranges) shrink(now time.Time) {
	r.drop(func(until time.Time) bool { return !until.After(now) })
	if r.len() <= r.max {
		return
	}
	var ends []time.Time
	r.drop(func(until time.Time) bool { ends = append(ends, until); return false })
	slices.SortFunc(ends, time.Time.Compare)
	surplus := len(ends) - r.max*3/4
	limit := ends[surplus-1]
	r.drop(func(until time.Time) bool {
		gone := surplus > 0 && !until.After(limit) // of those that end together, as many as need be
		if gone {
			surplus--
		}
		return gone
	})
}

// drop removes the records whose end is such. mu is held.
func (r *Ranges) drop(such func(until time.Time) bool) {
	r.spans.drop(such)
	r.hashed.drop(such)
}

// Inference is what Ranges knows of a question.
type Inference uint8

// The answers of Ranges.
const (
	Unknown   Inference = iota // nothing: the zone has to be asked
	NameError                  // the name does not exist, nor does a wildcard for it
	NoData                     // there is nothing of the type at the name, or at the wildcard for it
)

// String names the answer in lower case.
func (i Inference) String() string {
	return [...]string{"unknown", "name error", "no data"}[min(i, NoData)]
}

// Answer infers an answer, and returns the sets that prove it, whose TTL is what is left. It spends work as Denial does.
func (r *Ranges) Answer(name []byte, qtype uint16, now time.Time, w *Work) (Inference, []*Set) {
	if !wellFormed(name) || !within(dnsname.Name(name), r.zone) {
		return Unknown, nil
	}
	q := r.inquire(dnsname.Name(name), qtype, now, w)
	if i := q.bySpans(); i != Unknown {
		return i, q.proof
	}
	q.d.spans, q.proof = nil, nil
	if i := q.byHashes(); i != Unknown {
		return i, q.proof
	}
	return Unknown, nil
}

// Expanded proves that a name is not there itself, so that the wildcard below encloser, which was found Secure, stands for it (RFC 8198 section 5.3), and returns the
// sets that prove it; nil if what is kept does not. It spends work as Denial does.
func (r *Ranges) Expanded(name, encloser []byte, now time.Time, w *Work) []*Set {
	ce := dnsname.Name(encloser)
	if !wellFormed(name) || !wellFormed(encloser) || !dnsname.Name(name).IsBelow(ce) || !within(ce, r.zone) {
		return nil
	}
	q := r.inquire(dnsname.Name(name), 0, now, w)
	next := nextCloser(q.name, ce)
	if q.takeSpan(next) != nil && q.d.nsecExpanded(next).Status == Secure {
		return q.proof
	}
	q.d.spans, q.proof = nil, nil
	if q.hashes && q.take(next, false) && q.d.nsec3Expanded(next).Status == Secure {
		return q.proof
	}
	return nil
}

// inquiry gathers the records that may answer one question in a Denial, which decides.
type inquiry struct {
	*Ranges
	name   dnsname.Name
	qtype  uint16
	now    time.Time
	d      *Denial
	hashes bool   // there were NSEC3 records when it began
	proof  []*Set // those that are in d
}

func (r *Ranges) inquire(name dnsname.Name, qtype uint16, now time.Time, w *Work) *inquiry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &inquiry{Ranges: r, name: name, qtype: qtype, now: now, hashes: len(r.hashed.rows) > 0, d: &Denial{zone: r.zone, work: w, params: r.params}}
}

// spanFor returns the NSEC record at or before a name.
func (r *Ranges) spanFor(name dnsname.Name) (one row[span], ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.spans.before(&span{owner: name})
	if i < 0 {
		return one, false
	}
	return r.spans.rows[i], true
}

// hashedFor returns the NSEC3 record at or before a hash that was made with some parameters. There is none if the zone has others meanwhile.
func (r *Ranges) hashedFor(h hash, with params) (one row[hashedSpan], ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.hashed.rows) == 0 || r.params != with {
		return one, false
	}
	i := r.hashed.before(&hashedSpan{owner: h})
	if i < 0 {
		i = len(r.hashed.rows) - 1 // the last one leads back to the first
	}
	return r.hashed.rows[i], true
}

// bySpans looks for the NSEC record at or over the name, and for that of the wildcard.
func (q *inquiry) bySpans() Inference {
	s := q.takeSpan(q.name)
	if s == nil {
		return Unknown
	}
	if q.d.nsecNoData(q.name, q.qtype).Status == Secure {
		return NoData
	}
	if !s.covers(q.name) {
		return Unknown
	}
	if wild, ok := wildcardBelow(s.encloser(q.name)); ok {
		q.takeSpan(wild)
	}
	switch {
	case q.d.nsecNameError(q.name).Status == Secure:
		return NameError
	case q.d.nsecNoData(q.name, q.qtype).Status == Secure:
		return NoData
	}
	return Unknown
}

// byHashes looks for the NSEC3 records of a proof: that of the name, or those of the closest encloser, the next closer name and the wildcard.
func (q *inquiry) byHashes() Inference {
	if !q.hashes {
		return Unknown
	}
	if q.take(q.name, true) {
		if q.d.nsec3NoData(q.name, q.qtype).Status == Secure {
			return NoData
		}
		return Unknown
	}
	for labels := q.name.Labels() - 1; labels >= q.zone.Labels(); labels-- {
		encloser := q.name.Suffix(labels)
		if !q.take(encloser, true) {
			continue
		}
		if wild, ok := wildcardBelow(encloser); ok {
			q.take(wild, false)
		}
		return q.decide(q.take(q.name.Suffix(labels+1), false))
	}
	return Unknown
}

func (q *inquiry) decide(covered bool) Inference {
	switch {
	case !covered:
	case q.d.nsec3NameError(q.name).Status == Secure:
		return NameError
	case q.d.nsec3NoData(q.name, q.qtype).Status == Secure:
		return NoData
	}
	return Unknown
}

// takeSpan adds the NSEC record at or before a name to the Denial.
func (q *inquiry) takeSpan(name dnsname.Name) *span {
	row, ok := q.spanFor(name)
	if !ok || !row.until.After(q.now) {
		return nil
	}
	s := &row.one
	if !slices.ContainsFunc(q.d.spans, func(have span) bool { return have.owner == s.owner }) {
		q.d.spans = append(q.d.spans, *s)
		q.use(s.set, row.until)
	}
	return s
}

// take adds the NSEC3 record for a name to the Denial; exact is whether only that of a name that exists will do.
func (q *inquiry) take(name dnsname.Name, exact bool) bool {
	h, ok := q.d.hash(name)
	if !ok {
		return false
	}
	row, ok := q.hashedFor(h, q.d.params)
	if !ok || !row.until.After(q.now) || row.one.owner != h && (exact || !row.one.covers(h)) {
		return false
	}
	if !slices.ContainsFunc(q.d.hashed, func(s hashedSpan) bool { return s.owner == row.one.owner }) {
		q.d.hashed = append(q.d.hashed, row.one)
		q.use(row.one.set, row.until)
	}
	return true
}

// use notes that the proof has a set, with the TTL that is left of it.
func (q *inquiry) use(s *Set, until time.Time) {
	aged := *s
	aged.TTL = min(s.TTL, uint32(until.Sub(q.now)/time.Second))
	q.proof = append(q.proof, &aged)
}

// clone copies a set, so that it keeps nothing else in memory.
func (s *Set) clone() *Set {
	c := *s
	c.Name = bytes.Clone(s.Name)
	c.RData = cloneAll(s.RData)
	c.Sigs = cloneAll(s.Sigs)
	return &c
}

func cloneAll(all [][]byte) [][]byte {
	out := make([][]byte, len(all))
	for i, b := range all {
		out[i] = bytes.Clone(b)
	}
	return out
}
