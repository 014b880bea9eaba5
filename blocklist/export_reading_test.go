package blocklist

import (
	"bytes"
	"context"

	"cenote/dnsname"
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
	r, err := newGuardedReader(c, s, m.guard)
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
	r, err := newGuardedReader(c, s, m.guard)
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
