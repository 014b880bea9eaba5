package blocklist

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cenote/dnsname"
	"cenote/policy"
)

// Verdict is what an operator decides of a row that guards hold.
type Verdict string

// The verdicts.
const (
	VerdictForget  Verdict = ""        // none: what was decided before is forgotten, and the guards hold the row again
	VerdictRelease Verdict = "release" // it is served
	VerdictRefuse  Verdict = "refuse"  // it is not, and waits no more
)

// Decision is one verdict of one operator, about the rows of one feed with one name.
type Decision struct {
	Feed    string    `json:"feed"`
	Name    string    `json:"name"` // as HeldRow.Name has it
	Verdict Verdict   `json:"verdict"`
	Who     string    `json:"who"`
	When    time.Time `json:"when"`
	Why     string    `json:"why"`
}

// Bounds of decisions.
const (
	decisionsMax    = 100_000 // that are kept
	decisionTextMax = 500     // octets of why, and of who
)

// ErrDecision says what is wrong with a decision.
var ErrDecision = errors.New("this cannot be decided")

// decisions are all that operators decided, in the order of time. They lie in the state directory as lines of JSON.
type decisions struct {
	path string
	all  []Decision
}

func (l layout) decisions() string { return filepath.Join(l.dir, "decisions.jsonl") }

// openDecisions reads what was decided. Lines that cannot be read are told of in the error and left out, which holds rows that were released; where there
// is no file nothing was decided.
func openDecisions(l layout) (*decisions, error) {
	d := &decisions{path: l.decisions()}
	b, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	var bad error
	for i, line := range bytes.Split(b, []byte("\n")) {
		if len(trim(line)) == 0 {
			continue
		}
		var one Decision
		if err := json.Unmarshal(line, &one); err != nil || !one.sound() {
			bad = cmp.Or(bad, fmt.Errorf("%s:%d: it is no decision, and does not count", d.path, i+1))
			continue
		}
		d.all = append(d.all, one)
	}
	if bad != nil {
		bad = errors.Join(bad, os.WriteFile(d.path+".damaged", b, 0o640)) // the next decision writes the file anew
	}
	return d, bad
}

func (d *Decision) sound() bool {
	return d.Feed != "" && d.Name != "" && (d.Verdict == VerdictRelease || d.Verdict == VerdictRefuse)
}

// with returns the decisions after some more, of which those without a verdict take one away.
func (d *decisions) with(more []Decision) (*decisions, error) {
	out := &decisions{path: d.path}
	for _, old := range d.all {
		if !slices.ContainsFunc(more, func(n Decision) bool { return n.Feed == old.Feed && n.Name == old.Name }) {
			out.all = append(out.all, old)
		}
	}
	for _, n := range more {
		if n.Verdict != VerdictForget {
			out.all = append(out.all, n)
		}
	}
	if len(out.all) > decisionsMax {
		return nil, fmt.Errorf("%w: there are %d decisions, and more are not kept; forget those that are of no use (`cenote held --decisions`)", ErrDecision, decisionsMax)
	}
	return out, nil
}

// write puts them in place, whole or not at all.
func (d *decisions) write() error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	for i := range d.all {
		if err := lines.Encode(&d.all[i]); err != nil {
			return err
		}
	}
	if err := writeAtomic(d.path, b.Bytes()); err != nil {
		return fmt.Errorf("storing decisions: %w", err)
	}
	return nil
}

// apply returns a feed with what was decided of its rows.
func (d *decisions) apply(f Feed) Feed {
	f.Released, f.Refused = nil, nil
	for i := range d.all {
		switch one := &d.all[i]; {
		case one.Feed != f.Name:
		case one.Verdict == VerdictRelease:
			f.Released = append(f.Released, one.Name)
		default:
			f.Refused = append(f.Refused, one.Name)
		}
	}
	slices.Sort(f.Released)
	slices.Sort(f.Refused)
	return f
}

// Decided returns the feeds with what operators decided of their rows, for whoever reads them without a Publisher; dir is its state directory.
func Decided(dir string, feeds []Feed) ([]Feed, error) {
	d, err := openDecisions(layout{dir})
	out := make([]Feed, len(feeds))
	for i := range feeds {
		out[i] = d.apply(feeds[i])
	}
	return out, err
}

// DecisionName is a name, a network, or a pattern between slashes in the form that decisions have.
func DecisionName(text string) (string, error) {
	if pattern, ok := strings.CutPrefix(text, "/"); ok && len(pattern) > 1 && strings.HasSuffix(pattern, "/") && len(pattern) <= decisionTextMax {
		return policy.PatternText(pattern[:len(pattern)-1]), nil
	}
	if prefix, ok := parseAddress([]byte(text)); ok {
		return networkName(prefix), nil
	}
	name, labels, why := newNameParser().host([]byte(text))
	if why != ReasonNone || labels == 0 {
		return "", fmt.Errorf("%w: %q is neither a name nor a network, nor a pattern between slashes", ErrDecision, text)
	}
	return dnsname.Name(name).String(), nil
}

// checked returns the decision in the form in which it is kept.
func (d Decision) checked() (Decision, error) {
	var err error
	if d.Name, err = DecisionName(d.Name); err != nil {
		return d, err
	}
	d.Who, d.Why = strings.TrimSpace(d.Who), strings.TrimSpace(d.Why)
	switch {
	case d.Verdict != VerdictForget && d.Verdict != VerdictRelease && d.Verdict != VerdictRefuse:
		return d, fmt.Errorf("%w: unknown verdict %q; there are release, refuse and forget", ErrDecision, d.Verdict)
	case d.Verdict != VerdictForget && d.Why == "":
		return d, fmt.Errorf("%w: it must be said why", ErrDecision)
	case len(d.Why) > decisionTextMax || len(d.Who) > decisionTextMax || !utf8.ValidString(d.Why+d.Who):
		return d, fmt.Errorf("%w: who and why are texts of at most %d octets", ErrDecision, decisionTextMax)
	}
	return d, nil
}
