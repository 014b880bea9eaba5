package zone_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"
)

// BenchmarkTransferIn takes a zone of 100,000 names from the messages of a transfer: whole, and by a difference of 20,000 of them.
func BenchmarkTransferIn(b *testing.B) {
	const names, changed = 100_000, 20_000
	version := func(serial, address int) *zone.Zone {
		var text strings.Builder
		fmt.Fprintf(&text, "$TTL 3600\n@ SOA ns host %d 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n", serial)
		for i := range names {
			if i >= changed {
				address = 1
			}
			fmt.Fprintf(&text, "host%d A 192.0.2.%d\n", i, address)
		}
		return load(b, "example", text.String())
	}
	from, to := version(1, 1), version(2, 2)
	apex := dnsname.MustParse("example")
	question := append([]byte(apex), 0, wire.TypeAXFR, 0, wire.ClassIN)
	for _, form := range []struct {
		name string
		from *zone.Zone
		send *zone.Transfer
	}{{"whole", nil, (&zone.Served{Zone: to}).Whole()}, {"differences", from, zone.ServedSince(from, to).Since(1)}} {
		var messages [][]byte
		err := form.send.Send(make([]byte, 0, 1<<16), 1, 0, question, 0, func(msg []byte) error { messages = append(messages, bytes.Clone(msg)); return nil })
		if err != nil {
			b.Fatal(err)
		}
		if form.from != nil && form.send.Whole() {
			b.Fatal("it is sent whole")
		}
		b.Run(fmt.Sprintf("names=100k/%s", form.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if z, err := zone.TakeTransfer(apex, form.from, time.Unix(1_800_000_000, 0), messages...); err != nil || z.Serial() != 2 {
					b.Fatal(z, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/names, "ns/name")
		})
	}
}
