package zone_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"
)

var floodApex = dnsname.MustParse("corp.example")

// floodSOA is the data of an SOA record.
func floodSOA(serial int) []byte {
	out := append(append([]byte("\x02ns"), floodApex...), floodApex...)
	for _, n := range []uint32{uint32(serial), 3600, 600, 86400, 60} {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return out
}

// floodMessage is a reply without a question, which has the SOA record of a serial, or other records.
func floodMessage(fill func(add func(owner []byte, rtype uint16, data []byte))) []byte {
	msg, count := make([]byte, wire.HeaderLen, 512), 0
	wire.SetFlags(msg, wire.FlagQR|wire.FlagAA)
	fill(func(owner []byte, rtype uint16, data []byte) {
		msg = append(msg, owner...) // may be compressed
		msg = append(msg, byte(rtype>>8), byte(rtype), 0, wire.ClassIN, 0, 0, 1, 44, byte(len(data)>>8), byte(len(data)))
		msg = append(msg, data...)
		count++
	})
	wire.SetCount(msg, 1, count)
	return msg
}

// host is a name of the zone of its own, a long one if that is wanted.
func host(i int, long bool) []byte {
	out := fmt.Appendf(nil, "\x08%08x", i)
	for range 4 {
		if long {
			out = fmt.Appendf(out, "\x32%050d", 0)
		}
	}
	return append(out, floodApex...)
}

// TestMemoryOfATransfer holds that what comes without end, in whatever form, takes no more memory than the octets that are counted, or twice as
// many where it is differences of two records each.
func TestMemoryOfATransfer(t *testing.T) {
	const most = 8 << 20
	address, huge := []byte{192, 0, 2, 1}, make([]byte, 60_000)
	first, err := zone.TakeTransfer(floodApex, nil, time.Unix(1_800_000_000, 0), floodMessage(func(add func([]byte, uint16, []byte)) {
		add([]byte(floodApex), wire.TypeSOA, floodSOA(1))
		add([]byte(floodApex), wire.TypeNS, []byte(dnsname.MustParse("ns.example")))
		add([]byte(floodApex), wire.TypeSOA, floodSOA(1))
	}))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		differences bool
		message     func(i int, add func(owner []byte, rtype uint16, data []byte))
	}{
		"many records": {false, func(i int, add func([]byte, uint16, []byte)) {
			for j := range 1000 {
				add(host(i*1000+j, false), wire.TypeA, address)
			}
		}},
		"many small messages": {false, func(i int, add func([]byte, uint16, []byte)) { add(host(i, false), wire.TypeA, address) }},
		"empty messages":      {false, func(int, func([]byte, uint16, []byte)) {}},
		"huge records":        {false, func(i int, add func([]byte, uint16, []byte)) { add(host(i, false), 65280, huge) }},
		"one name":            {false, func(_ int, add func([]byte, uint16, []byte)) { addMany(2000, add, []byte(floodApex), 65280, nil) }},
		"outside of the zone": {false, func(_ int, add func([]byte, uint16, []byte)) { addMany(5000, add, []byte{0}, 65280, nil) }},
		"names that expand": {false, func(i int, add func([]byte, uint16, []byte)) {
			add(host(i*1000, true), wire.TypeA, address)
			for j := 1; j < 1000; j++ {
				add(append(host(i*1000+j, false)[:9:9], 0xc0, wire.HeaderLen+9), wire.TypeA, address)
			}
		}},
		"data that expand": {false, func(i int, add func([]byte, uint16, []byte)) {
			add(host(i, true), wire.TypeA, address)
			addMany(4000, add, []byte{0xc0, wire.HeaderLen}, wire.TypeMX, []byte{0, 1, 0xc0, wire.HeaderLen})
		}},
		"a large difference": {true, func(i int, add func([]byte, uint16, []byte)) {
			for j := range 1000 {
				add(host(i*1000+j, false), wire.TypeA, address)
			}
		}},
		"many differences": {true, func(i int, add func([]byte, uint16, []byte)) {
			for j := range 500 {
				serial := 1 + (i-1)*500 + j
				if serial > 1 {
					add([]byte(floodApex), wire.TypeSOA, floodSOA(serial))
				}
				add([]byte(floodApex), wire.TypeSOA, floodSOA(serial+1))
			}
		}},
	} {
		t.Run(what, func(t *testing.T) {
			from := first
			if !c.differences {
				from = nil
			}
			kept, err := zone.Keep(floodApex, from, most, func(i int) []byte {
				return floodMessage(func(add func([]byte, uint16, []byte)) {
					switch {
					case i > 0:
						c.message(i, add)
					case c.differences:
						add([]byte(floodApex), wire.TypeSOA, floodSOA(1<<30))
						add([]byte(floodApex), wire.TypeSOA, floodSOA(1))
					default:
						add([]byte(floodApex), wire.TypeSOA, floodSOA(2))
					}
				})
			})
			t.Logf("%.2f octets of memory for each that is counted", float64(kept)/most)
			if !errors.Is(err, zone.ErrBound) {
				t.Errorf("it ends with %v", err)
			}
			if kept > most*2 {
				t.Errorf("%d octets of memory are taken where %d are allowed", kept, most)
			}
		})
	}
}

func addMany(n int, add func([]byte, uint16, []byte), owner []byte, rtype uint16, data []byte) {
	for range n {
		add(owner, rtype, data)
	}
}
