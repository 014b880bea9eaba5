package blocklist

import (
	"math"
	"math/bits"
)

// lineRun is a run of lines that two lists have in common: so many from a place in the one, and from a place in the other; places count from 0.
type lineRun struct{ old, fresh, n uint32 }

// Bounds of the search for the next lines in common.
const (
	matchNear = 16      // lines of either list that are looked at first
	matchFar  = 1 << 20 // and at most; of a longer change the rest of the list is taken for new
	matchStep = 4       // so many times as many after each vain look
	matchSure = 2       // lines in a row that must agree: one alone may be a remark
)

// matchLines finds, by the sums of their lines, what two lists have in common, in the order of both. It is false if more lines than most are new. What was
// moved counts as new; to find a change costs time in proportion to its length.
func matchLines(old, fresh []uint64, most int) (runs []lineRun, ok bool) {
	var f lineFinder
	i, j, came := 0, 0, 0
	for i < len(old) && j < len(fresh) {
		n := commonLines(old[i:], fresh[j:])
		if n > 0 {
			runs = append(runs, lineRun{uint32(i), uint32(j), uint32(n)})
			i, j = i+n, j+n
			continue
		}
		gone, more, found := f.next(old[i:], fresh[j:])
		if !found {
			break
		}
		i, j, came = i+gone, j+more, came+more
		if came > most {
			return nil, false
		}
	}
	return runs, came+len(fresh)-j <= most
}

// commonLines is how many lines two lists begin with alike.
func commonLines(a, b []uint64) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// lineFinder finds where two lists agree again.
type lineFinder struct{ places []uint32 } // 1 + the place of a sum, a table with open addresses

// next returns how many lines of either list come before the nearest ones that agree.
func (f *lineFinder) next(old, fresh []uint64) (gone, came int, found bool) {
	for window := matchNear; ; window *= matchStep {
		gone, came, found = f.within(old[:min(window, len(old))], fresh[:min(window, len(fresh))])
		if found || window >= matchFar || window >= max(len(old), len(fresh)) {
			return gone, came, found
		}
	}
}

// within looks at all of two lists.
func (f *lineFinder) within(old, fresh []uint64) (gone, came int, found bool) {
	size := 2 * matchNear
	for size < 2*len(old) {
		size *= 2
	}
	if len(f.places) < size {
		f.places = make([]uint32, size)
	}
	places, mask := f.places[:size], uint64(size-1)
	clear(places)
	for i, sum := range old {
		at := sum & mask
		for places[at] != 0 && old[places[at]-1] != sum {
			at = (at + 1) & mask
		}
		if places[at] == 0 { // of equal lines the first
			places[at] = uint32(i) + 1
		}
	}
	best := len(old) + len(fresh)
	for j, sum := range fresh {
		if j >= best {
			break
		}
		at := sum & mask
		for places[at] != 0 && old[places[at]-1] != sum {
			at = (at + 1) & mask
		}
		if places[at] == 0 {
			continue
		}
		i := int(places[at]) - 1
		if i+j < best && agree(old[i:], fresh[j:]) {
			best, gone, came, found = i+j, i, j, true
		}
	}
	return gone, came, found
}

// agree reports whether two lists go on alike, as far as both do.
func agree(a, b []uint64) bool {
	n := commonLines(a[:min(len(a), matchSure)], b[:min(len(b), matchSure)])
	return n == min(len(a), len(b), matchSure)
}

// Bounds of the look at the beginning of a list.
const (
	alikeLines  = 1 << 16 // lines of the beginning
	alikeSample = 16      // of which one in so many is sought
	alikeShare  = 2       // and must be among the others: at least one of so many
)

// alike reports whether it is worth to match the lines of a list that begins so: enough of them are in the other one, in their order for the most part.
func alike(old, beginning []uint64) bool {
	sample := map[uint64]int{}
	for i, sum := range beginning {
		if sum%alikeSample == 0 {
			sample[sum] = i
		}
	}
	found, ordered, last := 0, 0, -1
	for _, sum := range old {
		if sum%alikeSample != 0 {
			continue
		}
		i, ok := sample[sum]
		if !ok {
			continue
		}
		delete(sample, sum)
		found++
		if i > last {
			ordered++
		}
		last = i
	}
	return found*alikeShare >= found+len(sample) && ordered*4 >= found*3
}

// lineMap tells which line of a list that came after has become of a line.
type lineMap struct {
	parts  []linePart
	shifts []uint32 // of each run: what is added to a line, without what is carried
}

// linePart is what is known of so many lines: which of them are kept, which begin a run, and how many runs begin before them.
type linePart struct {
	kept, begins uint64
	runs         uint32
}

const linePartSize = 64

// newLineMap makes the map of the lines in runs that are in plain; a list has so many lines.
func newLineMap(plain lineSet, runs []lineRun, lines int) *lineMap {
	m := &lineMap{parts: make([]linePart, (lines+linePartSize-1)/linePartSize), shifts: make([]uint32, len(runs))}
	for i, r := range runs {
		m.shifts[i] = r.fresh - r.old
		m.parts[r.old/linePartSize].begins |= 1 << (r.old % linePartSize)
		for at := r.old; at < r.old+r.n; {
			from := at % linePartSize
			n := min(linePartSize-from, r.old+r.n-at)
			m.parts[at/linePartSize].kept |= ^uint64(0) >> (linePartSize - n) << from
			at += n
		}
	}
	begun := 0
	for i := range m.parts {
		p := &m.parts[i]
		p.runs = uint32(begun)
		begun += bits.OnesCount64(p.begins)
		if i < len(plain) {
			p.kept &= plain[i]
		} else {
			p.kept = 0
		}
	}
	return m
}

// become puts in the place of lines, from 1, those that they have become; 0 for one that has gone or says more than a plain row. They come in no order,
// and the map is larger than the processor's near caches: so all are looked up at once, one step after the other, that it need not wait for each.
func (m *lineMap) become(lines []uint32) {
	var runs [linesAtOnce]uint32
	for len(lines) > 0 {
		n := min(len(lines), linesAtOnce)
		for i, line := range lines[:n] {
			at := line - 1
			runs[i] = 0
			if at/linePartSize >= uint32(len(m.parts)) {
				continue
			}
			p := &m.parts[at/linePartSize]
			run := p.runs + uint32(bits.OnesCount64(p.begins<<(linePartSize-1-at%linePartSize)))
			runs[i] = run & -uint32(p.kept>>(at%linePartSize)&1)
		}
		for i, run := range runs[:n] {
			if run == 0 {
				lines[i] = 0
			} else {
				lines[i] += m.shifts[run-1]
			}
		}
		lines = lines[n:]
	}
}

// linesAtOnce is about how many rows a block has.
const linesAtOnce = 64

// lineSet is a set of lines, which count from 0.
type lineSet []uint64

func (s lineSet) has(line int) bool {
	return line/64 < len(s) && s[line/64]>>(line%64)&1 != 0
}

// gap returns how many lines from the given one on are not in the set; all that there can be where none comes.
func (s lineSet) gap(from int) int {
	for at := from; at/64 < len(s); at = (at/64 + 1) * 64 {
		if rest := s[at/64] >> (at % 64); rest != 0 {
			return at + bits.TrailingZeros64(rest) - from
		}
	}
	return math.MaxInt
}

// set adds a line, for which there must be room.
func (s lineSet) set(line int) { s[line/64] |= 1 << (line % 64) }

func (s lineSet) unset(line int) {
	if line/64 < len(s) {
		s[line/64] &^= 1 << (line % 64)
	}
}
