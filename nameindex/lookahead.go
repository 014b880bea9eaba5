package nameindex

import (
	"encoding/binary"

	"cenote/dnsname"
	"cenote/prefetch"
)

// Lookahead fetches what Walk is about to look at for several names, so that the processor waits for many of its cache lines at once
// instead of for one after the other. It changes no answer, only how long the next walks take. The zero value is ready; it belongs to
// one goroutine, which calls Add for each name and then Fetch.
type Lookahead struct {
	probes [lookaheadMax]probe
	n      int
}

// lookaheadMax is how many places are fetched at a time: a batch of datagrams with some four labels each. What is more is not fetched.
const lookaheadMax = 128

// bucketLines is how many cache lines of a bucket are fetched: a bucket of the usual size.
const (
	bucketLines = 3
	lineLen     = 64
)

type probe struct {
	bucket uint32
	fp     uint8
}

// Add notes where Walk will look for name, which is canonical and in wire form, and begins to fetch it.
func (l *Lookahead) Add(x *Index, name []byte) {
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &starts)
	h, start := x.keys.root, len(name)-1
	for i := 1; i <= min(labels, int(x.header.labelsMax)); i++ {
		from := int(starts[labels-i])
		h = x.keys.child(h, name[from:start])
		start = from
		if i >= int(x.header.labelsMin) && l.n < lookaheadMax {
			bucket, fp := x.keys.place(h, x.header.buckets)
			prefetch.Line(&x.directory[dirEntryLen*bucket])
			l.probes[l.n] = probe{uint32(bucket), fp}
			l.n++
		}
	}
}

// Fetch fetches the entries of the names that are likely to be listed, and makes l ready for other names.
func (l *Lookahead) Fetch(x *Index) {
	for i := range l.probes[:l.n] {
		entry, likely := x.entry(uint64(l.probes[i].bucket), l.probes[i].fp)
		if likely == 0 && entry[dirEntryLen-1] == 0 {
			continue
		}
		at := int(binary.LittleEndian.Uint32(entry))
		for line := range min(bucketLines, (len(x.names)-at)/lineLen) {
			prefetch.Line(&x.names[at+line*lineLen])
		}
	}
	l.n = 0
}
