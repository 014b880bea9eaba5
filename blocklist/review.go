package blocklist

import (
	"net/netip"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// HeldRow is a row that waits for an operator, or one with a popular name that is served all the same, or one that a guard refuses for its name.
type HeldRow struct {
	Fault
	// Name is the name or network of the row as decisions have it.
	Name string `json:"name"`
	// State is what becomes of the row as long as nobody decides.
	State HeldState `json:"state"`
	// Since is when the feed was first read with the row so.
	Since time.Time `json:"since,omitzero"`
}

// HeldState is what becomes of a row of which nobody has decided.
type HeldState string

// The states.
const (
	StateHeld    HeldState = "held"     // it is not served
	StateLogOnly HeldState = "log-only" // it is recorded and changes no answer
	StateServed  HeldState = "served"   // it is served, and listed since its name is popular
	StateRefused HeldState = "refused"  // a guard refuses it, and nobody is asked
)

// review is how the rows of one feed are guarded by names: what is protected, what is popular, and what an operator decided.
type review struct {
	protect     *protection // nil where nothing is
	letsThrough bool
	decided     map[string]Verdict // by HeldRow.Name
	tried       int64              // steps that patterns were tried for
}

func newReview(c *FeedConfig, protect *protection) *review {
	r := &review{protect: protect, letsThrough: c.LetsThrough, decided: map[string]Verdict{}}
	for _, name := range c.Released {
		r.decided[name] = VerdictRelease
	}
	for _, name := range c.Refused {
		r.decided[name] = VerdictRefuse
	}
	return r
}

// verdict is what the guards say of a row. The zero value serves it.
type verdict struct {
	why      Reason // ReasonNone: it is served
	by       string // the list that says so
	name     string // the row's, if it is held, popular, released, or refused for it
	released bool
}

// guarded says what the guards make of the row that begin returned, under a canonical name.
func (f *file) guarded(name []byte, labels int, kind policy.Kind) verdict {
	why := f.suffixed(name, labels, kind)
	if why != ReasonNone && why != ReasonHeld {
		return verdict{why: why, name: dnsname.Name(name).String()}
	}
	if f.review.protect != nil && f.stops() {
		if by := f.review.protect.protected(name, labels, kind); by != "" {
			return verdict{why: ReasonProtected, by: by, name: dnsname.Name(name).String()}
		}
		if by := f.review.protect.isPopular(name); by != "" && why == ReasonNone {
			return f.review.judge(verdict{why: ReasonHeldPopular, by: by, name: dnsname.Name(name).String()})
		}
	}
	if why == ReasonNone {
		return verdict{}
	}
	return f.review.judge(verdict{why: why, name: dnsname.Name(name).String()})
}

// guardedPattern says what the guards make of a pattern. One that is so costly to try that nobody knows is treated as one that matches.
func (f *file) guardedPattern(text string, p *policy.Pattern) verdict {
	r := f.review
	if r.protect == nil || !f.stops() {
		return verdict{}
	}
	r.protect.readyToTry()
	numbers, whole := r.try(p, r.protect.probes, 1)
	switch {
	case len(numbers) > 0:
		name := dnsname.Name(r.protect.probeNames[numbers[0]]).String()
		return verdict{why: ReasonProtected, by: name + ", " + r.protect.sources[r.protect.probeSources[numbers[0]]], name: policy.PatternText(text)}
	case !whole:
		return verdict{why: ReasonRegex, by: tooCostly}
	}
	numbers, whole = r.try(p, r.protect.rankedProbes, probesNamed+1)
	if len(numbers) == 0 && whole {
		return verdict{}
	}
	return r.judge(verdict{why: ReasonHeldPopular, by: r.protect.namesOf(numbers), name: policy.PatternText(text)})
}

// tooCostly is what is said of a pattern that could not be tried on all names.
const tooCostly = "too costly to be tried on all names that have its letters"

// try tries a pattern on names, as far as the feed may still do so.
func (r *review) try(p *policy.Pattern, names *probes, most int) ([]uint32, bool) {
	allowed := min(int64(probeStepsOne), probeStepsMax-r.tried)
	t := trial{pattern: p, left: allowed}
	numbers, whole := t.find(names, most)
	r.tried += allowed - max(t.left, 0)
	return numbers, whole
}

// namesOf tells the popular names that a pattern matches.
func (p *protection) namesOf(numbers []uint32) string {
	if len(numbers) == 0 {
		return tooCostly
	}
	var names []string
	for _, n := range numbers[:min(len(numbers), probesNamed)] {
		names = append(names, dnsname.Name(p.ranked[n]).String()+" ("+p.isPopular([]byte(p.ranked[n]))+")")
	}
	if len(numbers) > probesNamed {
		names = append(names, "and more")
	}
	return strings.Join(names, ", ")
}

// guardedPrefix says the same of a row of addresses of a list.
func (f *file) guardedPrefix(p netip.Prefix) verdict {
	if f.review.protect == nil || !f.stops() {
		return verdict{}
	}
	source, found := f.review.protect.networks.overlapping(p)
	if !found {
		return verdict{}
	}
	return f.review.judge(verdict{why: ReasonHeldNetwork, by: f.review.protect.sources[source], name: networkName(p)})
}

// networkName is a network as decisions have it: one address without its length.
func networkName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// stops reports whether the row would keep anybody from a name: one that lets names through does not.
func (f *file) stops() bool {
	return !f.row.Exception && f.row.Action != policy.ActionPassthru && !(f.row.Action == policy.ActionDefault && f.review.letsThrough)
}

// judge has the operator's word on a row that is held.
func (r *review) judge(v verdict) verdict {
	switch r.decided[v.name] {
	case VerdictRelease:
		v.why, v.released = ReasonNone, true
	case VerdictRefuse:
		v.why = ReasonDecided
	case VerdictForget:
		if v.why == ReasonHeldPopular && r.protect.action != PopularHeld {
			v.why = ReasonNone
		}
	}
	return v
}

// note counts a row that is served although a guard would hold it: an operator released it, or its name is popular and the configuration says what
// becomes of those. A row that is to be recorded alone loses what it would have done.
func (f *file) note(v *verdict, text []byte) {
	if v.released {
		f.report.Released++
		return
	}
	state := StateServed
	if f.review.protect.action == PopularLogOnly {
		state, f.row.Action, f.row.Data = StateLogOnly, policy.ActionDisabled, nil
	}
	if f.report.Popular++; f.report.Popular > HeldMax {
		return
	}
	fault := Fault{File: f.name, Line: f.row.Line, Reason: ReasonHeldPopular, Text: printable(trim(text), faultTextMax), By: v.by}
	f.report.PopularRows = append(f.report.PopularRows, HeldRow{Fault: fault, Name: v.name, State: state})
}

// since tells the rows that wait since when they do: those that waited in the copy before, which may be nil, since then.
func (r *Report) since(previous *Rows, now time.Time) {
	type key struct {
		name   string
		reason Reason
	}
	before := map[key]time.Time{}
	if previous != nil {
		for _, row := range previous.report.waiting() {
			before[key{row.Name, row.Reason}] = row.Since
		}
	}
	for _, rows := range [][]HeldRow{r.HeldRows, r.PopularRows} {
		for i := range rows {
			if rows[i].Since = before[key{rows[i].Name, rows[i].Reason}]; rows[i].Since.IsZero() {
				rows[i].Since = now
			}
		}
	}
}

// waiting are the rows of which an operator may decide, as far as they are listed.
func (r *Report) waiting() []HeldRow {
	return append(append([]HeldRow{}, r.HeldRows...), r.PopularRows...)
}

// sameFindings reports whether two readings found the same beside what is served.
func (r *Report) sameFindings(other *Report) bool {
	if r.Held != other.Held || r.Popular != other.Popular || r.Released != other.Released || len(r.Faults) != len(other.Faults) {
		return false
	}
	for reason, c := range r.Faults {
		if o := other.Faults[reason]; o == nil || o.Count != c.Count {
			return false
		}
	}
	a, b := r.waiting(), other.waiting()
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Reason != b[i].Reason || a[i].State != b[i].State || a[i].By != b[i].By {
			return false
		}
	}
	return true
}
