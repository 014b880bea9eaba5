package zone_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"

	"github.com/miekg/dns"
)

// sent are the records of a transfer, as a secondary reads them.
func sent(t testing.TB, tr *zone.Transfer, apex string) (out []dns.RR, messages int) {
	t.Helper()
	question := append([]byte(dnsname.MustParse(apex)), 0, byte(dns.TypeAXFR), 0, 1)
	err := tr.Send(make([]byte, 0, wire.MessageMax), 7, 0, question, 0, func(msg []byte) error {
		m := new(dns.Msg)
		if err := m.Unpack(msg); err != nil {
			t.Fatalf("message %d: %v", messages, err)
		}
		if m.Id != 7 || !m.Response || !m.Authoritative || m.Rcode != 0 || len(msg) > wire.MessageMax {
			t.Fatalf("message %d: %v", messages, m.MsgHdr)
		}
		out = append(out, m.Answer...)
		messages++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, messages
}

// recordsOf makes records of the zone package of a reader's.
func recordsOf(t testing.TB, list []dns.RR) (out []zone.Record) {
	for _, rr := range list {
		buf := make([]byte, wire.MessageMax)
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		owner, err := dnsname.FromWire(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, zone.Record{Owner: owner, Type: rr.Header().Rrtype, TTL: rr.Header().Ttl, Data: bytes.Clone(buf[len(owner)+10 : n])})
	}
	return out
}

// TestTransferIsTheZone holds that a secondary that takes a transfer has the same zone, whole or by what has changed.
func TestTransferIsTheZone(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := load(t, "example", randomZone(r, 60))
		list, _ := sent(t, (&zone.Served{Zone: a}).Whole(), "example")
		if len(list) != a.Records()+1 || list[0].Header().Rrtype != dns.TypeSOA || list[len(list)-1].String() != list[0].String() {
			t.Fatalf("%d records, want the zone's %d between SOA records", len(list), a.Records())
		}
		got, faults, err := zone.Make(a.Name(), func(yield func(zone.Record) bool) {
			for _, r := range recordsOf(t, list[:len(list)-1]) {
				if !yield(r) {
					return
				}
			}
		}, "a transfer", now)
		if err != nil || !zone.SameData(got, a) {
			t.Fatalf("seed %d: another zone: %v %v", seed, err, faults)
		}
	}
}

// TestTransferIsPacked holds that messages are about 16 KiB and names in them compressed, and that a zone of large records goes over as well.
func TestTransferIsPacked(t *testing.T) {
	z := load(t, "example", manyHosts(20_000, 0, 1))
	list, messages := sent(t, (&zone.Served{Zone: z}).Whole(), "example")
	if len(list) != z.Records()+1 || messages > 40 {
		t.Errorf("%d records in %d messages; 20,000 take 28 octets each, so 36 messages", len(list), messages)
	}
	text := serial("1", "192.0.2.1")
	for i := range 3 {
		text += string(rune('a'+i)) + " TXT" + strings.Repeat(" \""+strings.Repeat("x", 255)+"\"", 200) + "\n"
	}
	if list, messages = sent(t, (&zone.Served{Zone: load(t, "example", text)}).Whole(), "example"); len(list) != 7 || messages < 4 {
		t.Errorf("large: %d records in %d messages", len(list), messages)
	}
}

// TestSince holds what a secondary is sent that has a version of the zone.
func TestSince(t *testing.T) {
	j := newJournaled(t, false, zone.HistoryBounds{})
	j.start()
	big := manyHosts(200, 0, 1)
	for n := 1; n <= 4; n++ {
		if err := j.Install(load(t, "example", strings.Replace(big, " 1 7200", " "+string(rune('0'+n))+" 7200", 1)+"x"+string(rune('0'+n))+" A 192.0.2.9\n")); err != nil {
			t.Fatal(err)
		}
	}
	served := j.Set().Exact([]byte(dnsname.MustParse("example")))
	for _, tc := range []struct {
		serial  uint32
		want    string
		records int
	}{
		{4, "current", 1}, {5, "current", 1}, {3, "changes", 6}, {2, "changes", 10}, {1, "changes", 14}, {0, "whole", 205}, {1<<31 + 5, "whole", 205},
	} {
		tr := served.Since(tc.serial)
		got := map[bool]string{true: "whole", false: "changes"}[tr.Whole()]
		if tr.Current() {
			got = "current"
		}
		list, _ := sent(t, tr, "example")
		if got != tc.want || len(list) != tc.records {
			t.Errorf("since %d: %s with %d records, want %s with %d", tc.serial, got, len(list), tc.want, tc.records)
		}
	}
	list, _ := sent(t, served.Since(3), "example")
	var kinds []string
	for _, rr := range list {
		kinds = append(kinds, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
	}
	if got, want := strings.Join(kinds, ", "), "example. SOA, example. SOA, x3.example. A, example. SOA, x4.example. A, example. SOA"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// BenchmarkTransfer is a zone of 1 M records, as messages.
func BenchmarkTransfer(b *testing.B) {
	z := load(b, "example", manyHosts(1_000_000, 0, 1))
	question := append([]byte(z.Name()), 0, byte(dns.TypeAXFR), 0, 1)
	octets := 0
	b.Run("records=1000002", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			octets = 0
			_ = (&zone.Served{Zone: z}).Whole().Send(make([]byte, 0, wire.MessageMax), 1, 0, question, 0, func(msg []byte) error { octets += len(msg); return nil })
		}
		b.ReportMetric(float64(octets)/float64(z.Records()), "octets/record")
		b.ReportMetric(float64(z.Bytes())/float64(z.Records()), "memory/record")
	})
}
