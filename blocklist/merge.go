package blocklist

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"cenote/nameindex"
	"cenote/policy"
)

// Bounds of one compiled policy, from the types of policy.Member.
const (
	feedsMax        = math.MaxUint16
	threatsMax      = math.MaxUint16
	policyFamilies  = 1 << 20
	localDataMax    = 1 << 20
	mergeStep       = 100_000 // names between two looks at the context
	secondsPerHour  = 3600
	manifestDataMax = 256 << 20 // octets of local data, as JSON
)

// merger merges the copies of all feeds name by name into one index.
type merger struct {
	manifest  policy.Manifest
	progress  func(Progress)
	builder   *nameindex.Builder
	queue     mergeQueue[*mergeInput]
	all       []*mergeInput
	families  labelTable
	threats   labelTable
	data      map[string]uint32
	dataBytes int
	sets      map[policy.Member]uint32 // sets of one member, which most are
	members   []policy.Member
	name      []byte
	total     int
	dropped   int
}

// mergeInput is one feed of a merge. families and threats map its own numbers to the manifest's.
type mergeInput struct {
	feed     uint16
	rows     *Rows
	cursor   *rowsCursor
	families []uint32
	threats  []uint32
	data     map[uint64]uint32
}

func newMerger(generation uint64, progress func(Progress)) *merger {
	return &merger{
		manifest: policy.Manifest{Generation: generation, Built: time.Now().UTC().Truncate(time.Second)},
		progress: progress,
		queue:    mergeQueue[*mergeInput]{less: inputLess},
		families: newLabelTable(policyFamilies, ""), threats: newLabelTable(threatsMax, ""),
		data: map[string]uint32{}, sets: map[policy.Member]uint32{},
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
	in := &mergeInput{feed: uint16(len(m.all)), rows: rows, cursor: rows.cursor(), data: map[uint64]uint32{}}
	in.families = m.numbers(&m.families, rows.tables.Families)
	in.threats = m.numbers(&m.threats, rows.tables.Threats)
	m.all = append(m.all, in)
	m.manifest.Feeds = append(m.manifest.Feeds, policy.Feed{
		Name: name, ClosestEncloser: rows.report.ClosestEncloser, Entries: rows.report.Live, SourceGeneration: rows.Generation(),
	})
	m.total += int(rows.header.Names)
	return nil
}

func (m *merger) numbers(table *labelTable, texts []string) []uint32 {
	out := make([]uint32, len(texts))
	for i, s := range texts {
		n, ok := table.number(s)
		if !ok {
			m.dropped++
		}
		out[i] = n
	}
	return out
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
			m.progress(Progress{Stage: StageMerge, Done: done, Of: m.total})
		}
	}
	m.progress(Progress{Stage: StageWrite, Done: m.total, Of: m.total})
	return m.write(path)
}

func (m *merger) start() error {
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

// largest is the number of names of the largest feed: at least so many will be in the index.
func (m *merger) largest() int {
	n := 0
	for _, in := range m.all {
		n = max(n, int(in.rows.header.Names))
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
		if err := m.take(in); err != nil {
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

// take adds the rows of one feed to the members of the name.
func (m *merger) take(in *mergeInput) error {
	for i := range in.cursor.rows {
		r := &in.cursor.rows[i]
		data, err := m.dataNumber(in, r.Data)
		if err != nil {
			return err
		}
		m.members = append(m.members, policy.Member{
			Feed: in.feed, Family: in.families[r.Family], Threat: uint16(in.threats[r.Threat]),
			Kind: r.Kind, Action: r.Action, Confidence: r.Confidence, Exception: r.Exception,
			Data: data, Expiry: expiryHours(r.Expiry),
		})
	}
	return nil
}

// expiryHours rounds up to the hour, since sets with the same hour are shared.
func expiryHours(seconds int64) uint32 {
	return uint32(min((seconds+secondsPerHour-1)/secondsPerHour, math.MaxUint32))
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

// dataNumber numbers local data in the manifest: 1 + index, equal data once.
func (m *merger) dataNumber(in *mergeInput, at uint64) (uint32, error) {
	if at == 0 {
		return 0, nil
	}
	if n, ok := in.data[at]; ok {
		return n, nil
	}
	text, err := in.rows.text(at)
	if err != nil {
		return 0, err
	}
	n, ok := m.data[text]
	if !ok {
		if n, err = m.addData(text); err != nil {
			return 0, err
		}
	}
	in.data[at] = n
	return n, nil
}

func (m *merger) addData(text string) (uint32, error) {
	if m.dataBytes += len(text); m.dataBytes > manifestDataMax || len(m.manifest.Data) == localDataMax {
		return 0, fmt.Errorf("more local data than a policy holds (%d different, %d octets)", localDataMax, manifestDataMax)
	}
	var d policy.LocalData
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return 0, fmt.Errorf("%w: local data: %v", ErrRowsDamaged, err)
	}
	m.manifest.Data = append(m.manifest.Data, d)
	n := uint32(len(m.manifest.Data))
	m.data[text] = n
	return n, nil
}

// indexStats is what an index came to.
type indexStats struct {
	Names, Sets int
	Bytes       int64
}

func (m *merger) write(path string) (indexStats, error) {
	m.manifest.Families, m.manifest.Threats = m.families.texts, m.threats.texts
	manifest, err := json.Marshal(m.manifest)
	if err != nil {
		return indexStats{}, err
	}
	stats, err := m.builder.WriteFile(path, manifest)
	if err != nil {
		return indexStats{}, err
	}
	return indexStats{Names: stats.Names, Sets: stats.Sets, Bytes: stats.Sizes.Total}, nil
}
