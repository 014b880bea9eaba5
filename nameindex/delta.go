package nameindex

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"

	"cenote/dnsname"
)

// ErrDelta says that an index is no delta of another one.
var ErrDelta = errors.New("index is no delta of the other")

// With returns x as delta changes it: a name that delta lists has the set that delta gives it, and a name to which delta gives the set of no
// octets is not listed. delta was built with x, or an index of the same file, as its base; it stands in the place of the one that x may have
// already. Both stay usable; nothing is copied.
func (x *Index) With(delta *Index) (*Index, error) {
	base := x.Base()
	if delta.delta != nil || delta.header.seed != base.header.seed || delta.header.hashBits != base.header.hashBits {
		return nil, fmt.Errorf("%w: their seeds differ", ErrDelta)
	}
	if uint64(base.header.sets)+uint64(delta.header.sets) > math.MaxUint32 {
		return nil, fmt.Errorf("%w: %d sets more than %d", ErrFull, delta.header.sets, base.header.sets)
	}
	both := *base
	both.base, both.delta, both.removed = base, delta, delta.emptySet()
	if delta.header.names > 0 {
		h := &both.header
		h.labelsMin, h.labelsMax = min(h.labelsMin, delta.header.labelsMin), max(h.labelsMax, delta.header.labelsMax)
	}
	both.header.names = uint64(max(int(base.header.names)+both.gain(), 0))
	return &both, nil
}

// emptySet returns the set of no octets, or a number that no set has.
func (x *Index) emptySet() uint32 {
	for id := range x.header.sets {
		if len(x.Set(id)) == 0 {
			return id
		}
	}
	return math.MaxUint32
}

// gain is how many names more are listed with the delta than without.
func (x *Index) gain() (n int) {
	if h := &x.delta.header; h.knowsGain {
		return int(h.gain)
	}
	for name, set := range x.delta.listed() {
		_, listed := x.base.Lookup(name)
		switch {
		case set == x.removed && listed:
			n--
		case set != x.removed && !listed:
			n++
		}
	}
	return n
}

// Base returns the index without its delta.
func (x *Index) Base() *Index {
	if x.base != nil {
		return x.base
	}
	return x
}

// Delta returns what x has beside its base; nil for nothing.
func (x *Index) Delta() *Index { return x.delta }

// Lookup returns the set of a listed name, which is canonical and in wire form.
func (x *Index) Lookup(name []byte) (set uint32, ok bool) {
	if len(name) == 0 {
		return 0, false
	}
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &starts)
	if labels < int(x.header.labelsMin) || labels > int(x.header.labelsMax) {
		return 0, false
	}
	set, ok = x.lookup(x.keys.name(name, starts[:labels]), name[:len(name)-1])
	runtime.KeepAlive(x)
	return set, ok
}

// listedInBoth yields what is listed in the base and not in the delta, and then what is listed in the delta.
func (x *Index) listedInBoth() iter.Seq2[[]byte, uint32] {
	return func(yield func([]byte, uint32) bool) {
		for name, set := range x.base.listed() {
			if _, changed := x.delta.Lookup(name); !changed && !yield(name, set) {
				return
			}
		}
		for name, set := range x.delta.listed() {
			if set != x.removed && !yield(name, x.header.sets+set) {
				return
			}
		}
	}
}
