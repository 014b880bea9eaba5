package blocklist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"cenote/nameindex"
	"cenote/policy"
)

// mergeStep is how many names come between two looks at the context.
const mergeStep = 100_000

// merger merges the copies of all feeds name by name into one index.
type merger struct {
	numbering
	config  *CompileConfig
	builder *nameindex.Builder
	queue   mergeQueue[*mergeInput]
	all     []*mergeInput
	sets    map[policy.Member]uint32 // sets of one member, which most are
	members []policy.Member
	name    []byte
	total   int
}

// mergeInput is one feed of a merge.
type mergeInput struct {
	numberedRows
	cursor *rowsCursor
}

func newMerger(c *CompileConfig) *merger {
	return &merger{
		numbering: newNumbering(&policy.Manifest{Families: []string{""}, Threats: []string{""}}, c.Generation),
		config:    c,
		queue:     mergeQueue[*mergeInput]{less: inputLess},
		sets:      map[policy.Member]uint32{},
	}
}

func inputLess(a, b *mergeInput) bool {
	if a.cursor.hash != b.cursor.hash {
		return a.cursor.hash < b.cursor.hash
	}
	if c := bytes.Compare(a.cursor.name, b.cursor.name); c != 0 {
		return c < 0
	}
	return a.feed < b.feed
}

// open adds a feed. Feeds are numbered in the order in which they are added.
func (m *merger) open(name, path string) error {
	if len(m.all) == feedsMax {
		return fmt.Errorf("more than %d feeds", feedsMax)
	}
	rows, err := OpenRows(path)
	if err != nil {
		return err
	}
	m.all = append(m.all, &mergeInput{numberedRows: numberedRows{feed: uint16(len(m.all)), rows: rows}, cursor: rows.cursor()})
	m.manifest.Feeds = append(m.manifest.Feeds, policy.Feed{
		Name: name, ClosestEncloser: rows.report.ClosestEncloser, Entries: rows.report.Live, Triggers: rows.report.Triggers,
		SOA: rows.report.SOA, SourceGeneration: rows.Generation(),
	})
	m.total += rows.names()
	return nil
}

func (m *merger) close() {
	for _, in := range m.all {
		in.rows.Close()
	}
}

// run merges and writes the index.
func (m *merger) run(ctx context.Context, path string) (indexStats, error) {
	if err := m.start(); err != nil {
		return indexStats{}, err
	}
	for done := 0; len(m.queue.items) > 0; {
		if err := m.step(&done); err != nil {
			return indexStats{}, err
		}
		if done%mergeStep < len(m.all) {
			if err := ctx.Err(); err != nil {
				return indexStats{}, err
			}
			m.config.Progress(Progress{Stage: StageMerge, Done: done, Of: m.total})
		}
	}
	m.config.Progress(Progress{Stage: StageWrite, Done: m.total, Of: m.total})
	return m.write(path)
}

func (m *merger) start() error {
	m.numberAll()
	m.builder = nameindex.NewBuilder(nameindex.BuildOptions{Names: m.largest()})
	for _, in := range m.all {
		switch err := in.cursor.next(); {
		case errors.Is(err, io.EOF):
		case err != nil:
			return m.blame(in, err)
		default:
			m.queue.push(in)
		}
	}
	return nil
}

// numberAll numbers the texts of all feeds: those of the policy before first, in their order, if they are still used.
func (m *merger) numberAll() {
	families, threats := map[string]bool{}, map[string]bool{}
	for _, in := range m.all {
		mark(families, in.rows.tables.Families)
		mark(threats, in.rows.tables.Threats)
	}
	unused := func(used map[string]bool) func(string) bool { return func(s string) bool { return !used[s] } }
	m.numbers(&m.families, slices.DeleteFunc(slices.Clone(m.config.Families), unused(families)))
	m.numbers(&m.threats, slices.DeleteFunc(slices.Clone(m.config.Threats), unused(threats)))
	for _, in := range m.all {
		in.numberedRows = m.number(in.feed, in.rows)
	}
}

func mark(set map[string]bool, texts []string) {
	for _, s := range texts {
		set[s] = true
	}
}

// largest is the number of names of the largest feed: at least so many will be in the index.
func (m *merger) largest() int {
	n := 0
	for _, in := range m.all {
		n = max(n, in.rows.names())
	}
	return n
}

func (m *merger) blame(in *mergeInput, err error) error {
	return &copyError{m.manifest.Feeds[in.feed].Name, err}
}

// copyError says that the kept copy of a feed cannot be merged.
type copyError struct {
	feed string
	err  error
}

// Error names the feed.
func (e *copyError) Error() string {
	return fmt.Sprintf("reading the copy of feed %q: %v", e.feed, e.err)
}

// Unwrap returns what is wrong with the copy.
func (e *copyError) Unwrap() error { return e.err }

// step takes the next name from all feeds that have it.
func (m *merger) step(done *int) error {
	m.name = append(m.name[:0], m.queue.top().cursor.name...)
	m.members = m.members[:0]
	for len(m.queue.items) > 0 && bytes.Equal(m.queue.top().cursor.name, m.name) {
		in := m.queue.top()
		*done++
		var err error
		if m.members, err = m.take(m.members, &in.numberedRows, in.cursor.rows); err != nil {
			return m.blame(in, err)
		}
		switch err := in.cursor.next(); {
		case errors.Is(err, io.EOF):
			m.queue.pop()
		case err != nil:
			return m.blame(in, err)
		default:
			m.queue.fix()
		}
	}
	return m.builder.Add(m.name, m.set())
}

func (m *merger) set() uint32 {
	if len(m.members) != 1 {
		return m.builder.AddSet(policy.EncodeSet(m.members))
	}
	id, ok := m.sets[m.members[0]]
	if !ok {
		id = m.builder.AddSet(policy.EncodeSet(m.members))
		m.sets[m.members[0]] = id
	}
	return id
}

// indexStats is what an index came to.
type indexStats struct {
	Names, Sets int
	Bytes       int64
}

func (m *merger) write(path string) (indexStats, error) {
	manifest, err := m.encode()
	if err != nil {
		return indexStats{}, err
	}
	stats, err := m.builder.WriteFile(path, manifest)
	if err != nil {
		return indexStats{}, err
	}
	return indexStats{Names: stats.Names, Sets: stats.Sets, Bytes: stats.Sizes.Total}, nil
}
