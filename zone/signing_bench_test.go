package zone_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/zone"
)

// BenchmarkSign signs a zone of 100,000 names: all of it, and an hour later the slice whose turn it is.
func BenchmarkSign(b *testing.B) {
	var text strings.Builder
	text.WriteString("$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "host%d A 192.0.2.1\n", i)
	}
	plain := load(b, "example", text.String())
	for _, denial := range []zone.Denial{zone.DenialNSEC, zone.DenialNSEC3} {
		s := beginSigning(b, "example", b.TempDir(), zone.Signing{Denial: denial})
		var signed *zone.Zone
		b.Run(fmt.Sprintf("names=100k/denial=%s/all", denial), func(b *testing.B) {
			for b.Loop() {
				signed, _ = sign(b, s, plain, nil, now)
			}
			b.ReportMetric(float64(signed.Bytes())/float64(plain.Bytes()), "times-plain-memory")
		})
		b.Run(fmt.Sprintf("names=100k/denial=%s/hour", denial), func(b *testing.B) {
			at, made := now, 0
			for b.Loop() {
				at = at.Add(time.Hour)
				signed, made = sign(b, s, plain, signed, at)
			}
			b.ReportMetric(float64(made), "signatures")
		})
	}
}
