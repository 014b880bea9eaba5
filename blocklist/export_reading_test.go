package blocklist

import (
	"bytes"
	"context"
	"net/netip"

	"cenote/dnsname"
	"cenote/policy"
)

// MemoryReader reads files from memory, all with one suffix list, which would otherwise be built anew for each.
type MemoryReader struct{ guard *suffixes }

// NewMemoryReader takes the compiled-in suffix list.
func NewMemoryReader() (*MemoryReader, error) {
	guard, err := newSuffixes("")
	return &MemoryReader{guard}, err
}

// Read reads body as the one file of a feed, as ReadFeed reads a plain file.
func (m *MemoryReader) Read(ctx context.Context, c FeedConfig, base string, body []byte, s Sink) (Report, error) {
	r, err := newGuardedReader(c, s, m.guard, nil)
	if err != nil {
		return Report{}, err
	}
	r.prepare(ctx)
	if err := r.readFile(&file{name: base, base: base}, &metered{bytes.NewReader(body), &r.budget.content}); err != nil {
		return r.report, err
	}
	return r.report, r.checkWhole()
}

// ReadPath is ReadFeed.
func (m *MemoryReader) ReadPath(ctx context.Context, c FeedConfig, s Sink) (Report, error) {
	r, err := newGuardedReader(c, s, m.guard, nil)
	if err != nil {
		return Report{}, err
	}
	err = r.read(ctx)
	return r.report, err
}

// CheckSuffix says why a name may not be served under the suffix list in path ("" for the one compiled in).
func CheckSuffix(path, name string) (Reason, error) {
	s, err := newSuffixes(path)
	if err != nil {
		return ReasonNone, err
	}
	n := dnsname.MustParse(name).Canonical()
	return s.check([]byte(n), n.Labels()), nil
}

// ReadPattern reads a STIX pattern and writes what each part of it comes to: its value, or why it is not served.
func ReadPattern(text string) []string {
	var out []string
	for _, seen := range parsePattern(text) {
		if seen.why != ReasonNone {
			out = append(out, seen.why.String())
			continue
		}
		out = append(out, map[observable]string{observableName: "name ", observableAddress: "address ", observableLink: "link ",
			observableBelow: "below ", observablePattern: "pattern "}[seen.kind]+seen.text)
	}
	return out
}

// The bounds of documents.
const (
	ValueMax        = valueMax
	PatternMax      = patternMax
	PatternDepthMax = patternDepthMax
)

// Holding says whether a document may let so many octets wait.
func Holding(octets int) error {
	d := &document{file: &file{reader: &reader{}, name: "x"}}
	d.hold(octets)
	return d.failed
}

// HeldOctetsMax is how many octets of a document may wait.
const HeldOctetsMax = heldMax

// CheckProtection says whether what is protected can be read.
func CheckProtection(p *Protection) error {
	_, err := newProtection(p)
	return err
}

// Guarded reads feeds with what is protected read once, as the compiling child does.
type Guarded struct{ protect *protection }

// NewGuarded reads what is protected.
func NewGuarded(p *Protection) (*Guarded, error) {
	protect, err := newProtection(p)
	return &Guarded{protect}, err
}

// Read is ReadFeed.
func (g *Guarded) Read(ctx context.Context, c FeedConfig, s Sink) (Report, error) {
	r, err := newProtectedReader(c, s, g.protect)
	if err != nil {
		return Report{}, err
	}
	err = r.read(ctx)
	return r.report, err
}

// Bounds of lists.
const (
	ProtectListsMax   = protectListsMax
	ProtectListMax    = protectListMax
	ProtectEntriesMax = protectEntriesMax
	ProbesMax         = probesMax
	ErrorLeast        = errorLeast
	GrowLeast         = growLeast
	DecisionsMax      = decisionsMax
	DecisionTextMax   = decisionTextMax
)

// Networks are networks.
type Networks struct{ all networks }

// NewNetworks makes networks of prefixes.
func NewNetworks(all []netip.Prefix) *Networks {
	n := &Networks{}
	for _, p := range all {
		n.all.add(p, 0)
	}
	n.all.settle()
	return n
}

// Overlap is overlapping.
func (n *Networks) Overlap(p netip.Prefix) bool {
	_, found := n.all.overlapping(p)
	return found
}

// TriedOn returns how to try patterns on names.
func TriedOn(names []string) func(text string, most int) (numbers []uint32, whole bool, err error) {
	var inWire []string
	for _, name := range names {
		inWire = append(inWire, string(dnsname.MustParse(name)))
	}
	probes := newProbes(inWire)
	return func(text string, most int) ([]uint32, bool, error) {
		p, err := policy.NewPattern(text)
		if err != nil {
			return nil, false, err
		}
		t := trial{pattern: p, left: probeStepsOne}
		numbers, whole := t.find(probes, most)
		return numbers, whole, nil
	}
}

// ProtectedEntries returns how many names and networks of a list are protected.
func ProtectedEntries(path string) (int, error) {
	b := protectionBuilder{protection: &protection{names: map[string]protectedName{}}, parser: newNameParser()}
	err := b.lists(&Protection{Lists: []string{path}})
	return b.entries, err
}

// HoldingRules says whether a list for content blockers may let so many octets wait.
func HoldingRules(octets int) error {
	l := &adblockList{file: &file{reader: &reader{}, name: "x"}}
	l.hold(octets)
	return l.failed
}
