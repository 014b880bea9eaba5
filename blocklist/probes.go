package blocklist

import (
	"bytes"
	"math"
	"slices"

	"cenote/policy"
)

// Bounds of trying patterns on names.
const (
	probesMax        = 10_000    // protected names that patterns are tried on
	popularProbesMax = 1_000_000 // popular names, the most popular first
	probeStepsMax    = 1 << 31   // of all patterns of a feed: octets of names times instructions of the pattern
	probeStepsOne    = 1 << 26   // of one pattern on one list
	probesNamed      = 3         // names that are told of a pattern
)

// probes are names that patterns are tried on, in an order: every three octets in a row that a name has lead to it. Once made they do not change.
type probes struct {
	text   []byte   // the names as patterns see them, one behind the other
	ends   []uint32 // of each name in text
	starts []uint32 // by gram: where its names begin in found
	found  []uint32 // numbers of names, by gram, in order
}

// gramsMax is how many grams are told apart: the hash of three octets has 16 bits.
const gramsMax = 1 << 16

func gramOf(b []byte) uint32 {
	return (uint32(b[0])*0x9e5 + uint32(b[1])*0x3b1 + uint32(b[2])*0x2d) % gramsMax
}

// newProbes makes them of names in wire form.
func newProbes(names []string) *probes {
	p := &probes{ends: make([]uint32, 0, len(names)), starts: make([]uint32, gramsMax+1)}
	for _, name := range names {
		p.text = policy.AppendPlain(p.text, []byte(name))
		p.ends = append(p.ends, uint32(len(p.text)))
	}
	p.eachGram(func(gram, _ uint32) { p.starts[gram+1]++ })
	for gram := range gramsMax {
		p.starts[gram+1] += p.starts[gram]
	}
	p.found = make([]uint32, p.starts[gramsMax])
	at := slices.Clone(p.starts)
	p.eachGram(func(gram, number uint32) {
		p.found[at[gram]] = number
		at[gram]++
	})
	return p
}

// eachGram calls visit for every gram of every name.
func (p *probes) eachGram(visit func(gram, number uint32)) {
	for number := range p.ends {
		name := p.name(uint32(number))
		for i := 0; i+3 <= len(name); i++ {
			visit(gramOf(name[i:]), uint32(number))
		}
	}
}

func (p *probes) name(number uint32) []byte {
	from := uint32(0)
	if number > 0 {
		from = p.ends[number-1]
	}
	return p.text[from:p.ends[number]]
}

// rarest are the names that have the gram of a text which the fewest have.
func (p *probes) rarest(text string) []uint32 {
	var best []uint32
	fewest := math.MaxInt
	for i := 0; i+3 <= len(text); i++ {
		gram := gramOf([]byte(text[i:]))
		if list := p.found[p.starts[gram]:p.starts[gram+1]]; len(list) < fewest {
			best, fewest = list, len(list)
		}
	}
	return best
}

// trial is a pattern on its way through names, and what it may cost.
type trial struct {
	pattern *policy.Pattern
	left    int64 // steps
}

// find returns the numbers of the first names that the pattern matches, at most so many. It reports false if it had to end before that was known.
func (t *trial) find(p *probes, most int) (numbers []uint32, whole bool) {
	literal := []byte(t.pattern.Literal())
	last := uint32(math.MaxUint32)
	for _, number := range p.rarest(t.pattern.Literal()) {
		name := p.name(number)
		if number == last || !bytes.Contains(name, literal) {
			continue
		}
		last = number
		if t.left -= int64(len(name) * t.pattern.Size()); t.left < 0 {
			return numbers, false
		}
		if t.pattern.Matches(name) {
			if numbers = append(numbers, number); len(numbers) == most {
				break
			}
		}
	}
	return numbers, true
}
