package querylog_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/querylog"
)

// traffic is what a worker writes down, again and again: many names from a few clients, with ports and identifiers that do not repeat.
type traffic struct {
	names   []dnsname.Name
	clients [16]netip.Addr
	base    querylog.Record
	made    int
}

func newTraffic(base querylog.Record) *traffic {
	r := rand.New(rand.NewPCG(1, 2))
	t := &traffic{base: base}
	for range 1 << 14 {
		label := make([]byte, 6+r.IntN(16))
		for i := range label {
			label[i] = byte('a' + r.IntN(26))
		}
		t.names = append(t.names, dnsname.MustParse(string(label)+".malware.example"))
	}
	for i := range t.clients {
		t.clients[i] = netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", 100+i))
	}
	return t
}

func (t *traffic) fill(r *querylog.Record) {
	name, client := t.names[t.made*7919%len(t.names)], t.clients[t.made%len(t.clients)]
	*r = t.base
	r.Time += int64(t.made) * 5000
	r.Client, r.Peer = client.As16(), client.As16()
	r.ClientPort, r.ID = uint16(1024+t.made%60000), uint16(t.made*40503)
	r.PeerPort = r.ClientPort
	r.NameLen = uint8(copy(r.Name[:], name))
	t.made++
}

// BenchmarkPass is what a query costs from the ring into the file.
func BenchmarkPass(b *testing.B) {
	for name, base := range map[string]querylog.Record{"clean": query("www.example"), "matched": matched("www.malware.example", 2)} {
		for _, path := range []string{"/dev/null", filepath.Join(b.TempDir(), "log")} {
			b.Run(name+" to "+filepath.Base(path), func(b *testing.B) {
				l := newLog(b, querylog.Config{Mode: querylog.ModeAll, Path: path, Names: blackbook(), Rotate: querylog.Rotate{Size: 128 << 20, Keep: 1}})
				p, pump, t := l.Producer(), querylog.NewPump(l), newTraffic(base)
				n, begun := 0, cpu()
				b.ReportAllocs()
				for b.Loop() {
					for range 256 {
						t.fill(p.Slot())
						p.Commit()
					}
					n += pump.Pass(time.Now())
				}
				b.ReportMetric(float64(cpu()-begun)/float64(n), "cpu-ns/query")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/query")
				pump.Close()
				l.Close()
			})
		}
	}
}

// cpu is the processor time of this process, in nanoseconds.
func cpu() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}
