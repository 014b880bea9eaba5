package blocklist

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"cenote/policy"
)

// Bounds of one compiled policy, from the types of policy.Member.
const (
	feedsMax        = math.MaxUint16
	threatsMax      = math.MaxUint16
	policyFamilies  = 1 << 20
	localDataMax    = 1 << 20
	secondsPerHour  = 3600
	manifestDataMax = 256 << 20 // octets of local data, as JSON
)

// numbering gives the texts and the local data of rows the numbers that they have in the manifest of one policy.
type numbering struct {
	manifest  policy.Manifest
	families  labelTable
	threats   labelTable
	data      map[string]uint32
	dataBytes int
	dropped   int // texts that found no number
}

// numberedRows is the copy of one feed. families and threats map its own numbers to the manifest's, data what was asked for.
type numberedRows struct {
	feed     uint16
	rows     *Rows
	families []uint32
	threats  []uint32
	data     map[uint64]uint32
}

// newNumbering goes on where the manifest of a policy ends, for a policy of the given number. What has a number keeps it.
func newNumbering(before *policy.Manifest, generation uint64) numbering {
	n := numbering{
		manifest: *before, data: map[string]uint32{},
		families: newLabelTable(policyFamilies, before.Families...), threats: newLabelTable(threatsMax, before.Threats...),
	}
	n.manifest.Generation, n.manifest.Built = generation, time.Now().UTC().Truncate(time.Second)
	n.manifest.Feeds, n.manifest.Data = slices.Clone(before.Feeds), slices.Clip(before.Data)
	return n
}

// number numbers the texts of a feed's copy.
func (n *numbering) number(feed uint16, rows *Rows) numberedRows {
	return numberedRows{
		feed: feed, rows: rows, data: map[uint64]uint32{},
		families: n.numbers(&n.families, rows.tables.Families), threats: n.numbers(&n.threats, rows.tables.Threats),
	}
}

func (n *numbering) numbers(table *labelTable, texts []string) []uint32 {
	out := make([]uint32, len(texts))
	for i, s := range texts {
		number, ok := table.number(s)
		if !ok {
			n.dropped++
		}
		out[i] = number
	}
	return out
}

// take adds rows of one name of a feed to the members of the name.
func (n *numbering) take(members []policy.Member, in *numberedRows, rows []rawRow) ([]policy.Member, error) {
	for i := range rows {
		r := &rows[i]
		data, err := n.dataNumber(in, r.Data)
		if err != nil {
			return members, err
		}
		members = append(members, policy.Member{
			Feed: in.feed, Family: in.families[r.Family], Threat: uint16(in.threats[r.Threat]),
			Kind: r.Kind, Action: r.Action, Confidence: r.Confidence, Exception: r.Exception,
			Data: data, Expiry: expiryHours(r.Expiry),
		})
	}
	return members, nil
}

// expiryHours rounds up to the hour, since sets with the same hour are shared.
func expiryHours(seconds int64) uint32 {
	return uint32(min((seconds+secondsPerHour-1)/secondsPerHour, math.MaxUint32))
}

// dataNumber numbers local data in the manifest: 1 + index, equal data once.
func (n *numbering) dataNumber(in *numberedRows, at uint64) (uint32, error) {
	if at == 0 {
		return 0, nil
	}
	if number, ok := in.data[at]; ok {
		return number, nil
	}
	text, err := in.rows.text(at)
	if err != nil {
		return 0, err
	}
	number, ok := n.data[text]
	if !ok {
		if number, err = n.addData(text); err != nil {
			return 0, err
		}
	}
	in.data[at] = number
	return number, nil
}

func (n *numbering) addData(text string) (uint32, error) {
	if n.dataBytes += len(text); n.dataBytes > manifestDataMax || len(n.manifest.Data) == localDataMax {
		return 0, fmt.Errorf("more local data than a policy holds (%d different, %d octets)", localDataMax, manifestDataMax)
	}
	var d policy.LocalData
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return 0, fmt.Errorf("%w: local data: %v", ErrRowsDamaged, err)
	}
	n.manifest.Data = append(n.manifest.Data, d)
	number := uint32(len(n.manifest.Data))
	n.data[text] = number
	return number, nil
}

// encode returns the manifest as an index stores it.
func (n *numbering) encode() ([]byte, error) {
	n.manifest.Families, n.manifest.Threats = n.families.texts, n.threats.texts
	return json.Marshal(n.manifest)
}
