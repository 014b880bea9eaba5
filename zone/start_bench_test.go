package zone_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// BenchmarkStart starts with a zone of 100,000 names that was signed before.
func BenchmarkStart(b *testing.B) {
	var text strings.Builder
	text.WriteString("$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "host%d A 192.0.2.1\n", i)
	}
	dir := b.TempDir()
	path := filepath.Join(dir, "zone")
	write(b, path, text.String())
	config := zone.KeeperConfig{
		Sources: []zone.Source{{Name: dnsname.MustParse("example"), Path: path, Sign: &zone.Signing{}}}, Dir: filepath.Join(dir, "zones"), Keys: filepath.Join(dir, "keys"),
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	for _, name := range []string{"signed=never", "signed=before"} {
		b.Run("names=100k/"+name, func(b *testing.B) {
			began := time.Now()
			k, err := zone.NewKeeper(config)
			if err != nil || !k.Status()[0].Signed {
				b.Fatal(err, k.Status())
			}
			b.ReportMetric(time.Since(began).Seconds(), "s-to-serve")
		})
	}
}
