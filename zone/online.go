package zone

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// Bounds of signing on line, for all zones of a server together.
const (
	onlineRate     = 4000 // signatures a second
	onlineBurst    = 400  // that may be made at once after a pause
	onlineKept     = 8192 // sets whose signatures are kept
	onlineWays     = 4    // places of the table that one set may have
	onlineDataMax  = 1024 // octets of a set that is signed on line
	onlineTypesMax = 256  // octets of the types of an NSEC record
	onlineGap      = time.Second / onlineRate
)

// onlineWork is what signing on line costs and keeps, for all zones of a keeper. Its methods may be called by many at once.
type onlineWork struct {
	paid          atomic.Int64 // when all that was admitted will be paid for, in nanoseconds since began
	began         time.Time
	seed          maphash.Seed
	table         []atomic.Pointer[onlineSet]
	made, refused atomic.Uint64
}

func newOnlineWork() *onlineWork {
	w := &onlineWork{began: time.Now(), seed: maphash.MakeSeed(), table: make([]atomic.Pointer[onlineSet], onlineKept)}
	w.paid.Store(-int64(onlineBurst * onlineGap))
	return w
}

// admit reports whether another signature may be made now.
func (w *onlineWork) admit() bool {
	now := int64(time.Since(w.began))
	for {
		paid := w.paid.Load()
		next := max(paid, now-int64(onlineBurst*onlineGap)) + int64(onlineGap)
		if next > now {
			w.refused.Add(1)
			return false
		}
		if w.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}

// onlineSet is a set with the signatures that were made for it. It never changes.
type onlineSet struct {
	by      *onlineKeys
	until   int64 // when the turn of its next signatures comes, in seconds since 1970
	name    []byte
	rtype   uint16
	ttl     uint32
	records []byte // as in a set
	sigs    []byte // likewise
	count   int    // of sigs
}

// onlineKeys are the keys by which a zone is signed. They never change.
type onlineKeys struct {
	view string
	ring ring
}

// onlineState is the keys, and the time whose signatures are made.
type onlineState struct {
	keys *onlineKeys
	at   time.Time
}

// Online makes signatures of a zone while it answers: those of compact denial (RFC 9824), whose names are not known before they are asked for. What a
// signature says follows from keys, name, type and clock as for all others. Its methods may be called by many at once.
type Online struct {
	apex  dnsname.Name
	work  *onlineWork
	state atomic.Pointer[onlineState] // nil before the zone is signed
}

// update takes the keys as they are at a time. Signatures by the same keys are kept.
func (o *Online) update(r *ring, now time.Time) {
	view := r.view(now)
	keys := &onlineKeys{view: view, ring: ring{apex: r.apex, policy: r.policy, maxTTL: r.maxTTL}}
	if was := o.state.Load(); was != nil && was.keys.view == view && was.keys.ring.policy == r.policy {
		keys = was.keys
	} else {
		for _, k := range r.keys {
			own := *k
			keys.ring.keys = append(keys.ring.keys, &own)
		}
	}
	o.state.Store(&onlineState{keys, now})
}

// signatures returns those of a set at a canonical name of the zone, one behind the other as in a set, and how many they are: none if there is nobody to
// sign, the set is too large, or others have had made as many as may be. data are the records of the set alone, or the types of an NSEC record.
func (o *Online) signatures(name []byte, rtype uint16, ttl uint32, data []byte) (sigs []byte, count int) {
	state, records := o.state.Load(), data
	var room compactRecord
	if rtype == wire.TypeNSEC {
		records = room.of(name, data)
	}
	if state == nil || len(records) > onlineDataMax {
		return nil, 0
	}
	places := o.work.places(name, rtype)
	for i := range places {
		if had := places[i].Load(); had != nil && had.is(state, name, rtype, ttl, records) {
			return had.sigs, had.count
		}
	}
	if !o.work.admit() {
		return nil, 0
	}
	made := state.sign(bytes.Clone(name), rtype, ttl, bytes.Clone(records))
	if made == nil {
		return nil, 0
	}
	o.work.made.Add(1)
	keep(places, made)
	return made.sigs, made.count
}

// places are those that a set may have in the table.
func (w *onlineWork) places(name []byte, rtype uint16) []atomic.Pointer[onlineSet] {
	at := (maphash.Bytes(w.seed, name) + uint64(rtype)) % uint64(len(w.table)/onlineWays) * onlineWays
	return w.table[at : at+onlineWays]
}

// keep puts a set in the place of the one whose turn comes next, or of none.
func keep(places []atomic.Pointer[onlineSet], made *onlineSet) {
	at, least := 0, int64(1<<62)
	for i := range places {
		had := places[i].Load()
		if had == nil || had.by == made.by && had.until <= made.until && bytes.Equal(had.name, made.name) && had.rtype == made.rtype {
			at = i
			break
		}
		if had.until < least {
			at, least = i, had.until
		}
	}
	places[at].Store(made)
}

// is reports whether the signatures are those that would be made now.
func (s *onlineSet) is(state *onlineState, name []byte, rtype uint16, ttl uint32, records []byte) bool {
	return s.by == state.keys && s.rtype == rtype && s.ttl == ttl && state.at.Unix() < s.until && bytes.Equal(s.name, name) && bytes.Equal(s.records, records)
}

// sign makes the signatures of a set, which it keeps; nil if there is no key.
func (s *onlineState) sign(name []byte, rtype uint16, ttl uint32, records []byte) *onlineSet {
	r := &s.keys.ring
	set := dnssec.Set{Name: name, Type: rtype, Class: wire.ClassIN, TTL: ttl}
	for rest := records; len(rest) > 0; {
		var data []byte
		data, rest = cutRecord(rest)
		set.RData = append(set.RData, data)
	}
	slot := r.policy.slot(dnsname.Name(name), rtype, s.at)
	inception, expiration := r.policy.times(slot)
	out := &onlineSet{by: s.keys, until: slot.Add(r.policy.period()).Unix(), name: name, rtype: rtype, ttl: ttl, records: records}
	for _, k := range r.dataSigners(slot, s.at) {
		sig, err := k.signer.Sign(r.apex, &set, inception, expiration)
		if err != nil {
			return nil // never: the key has signed the zone
		}
		out.sigs = append(binary.BigEndian.AppendUint16(out.sigs, uint16(len(sig))), sig...)
		out.count++
	}
	if out.sigs = slices.Clip(out.sigs); out.count == 0 {
		return nil
	}
	return out
}
