package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// millionRules is a policy zone of so many rules, of which a version with another serial has other ones in the place of the last thousand of the version before.
type millionRules struct{ rules, changed int }

func (z *millionRules) rule(serial, i int) string {
	if i >= z.rules-z.changed {
		return fmt.Sprintf("v%d.n%d.test.rpz.test. 60 IN CNAME .", serial, i)
	}
	return fmt.Sprintf("n%d.d%d.test.rpz.test. 60 IN CNAME .", i, i%1000)
}

// whole gives a version away.
func (z *millionRules) whole(serial int) *lie {
	return &lie{serial: serial, bare: true, answers: func(send func(...string) error) {
		records := []string{soaText(serial), nsText}
		for i := range z.rules {
			if records = append(records, z.rule(serial, i)); len(records) == 200 {
				if send(records...) != nil {
					return
				}
				records = records[:0]
			}
		}
		_ = send(append(records, soaText(serial))...)
	}}
}

// next gives away what has changed since the version before.
func (z *millionRules) next(serial int) *lie {
	return &lie{serial: serial, bare: true, answers: func(send func(...string) error) {
		removed, added := []string{soaText(serial), soaText(serial - 1)}, []string{soaText(serial)}
		for i := z.rules - z.changed; i < z.rules; i++ {
			removed, added = append(removed, z.rule(serial-1, i)), append(added, z.rule(serial, i))
		}
		for _, records := range [][]string{removed, append(added, soaText(serial))} {
			for len(records) > 0 {
				n := min(len(records), 200)
				if send(records[:n]...) != nil {
					return
				}
				records = records[n:]
			}
		}
	}}
}

// TestChangeOfALargePolicyZone: of a large policy zone that is taken from a primary, a change of a thousand rules is served without compiling the others. With
// CENOTE_LONG=1 the zone has a million, and the log says how long it takes from the notice to the answer.
func TestChangeOfALargePolicyZone(t *testing.T) {
	p, dir, port := startLiar(t), t.TempDir(), dnstest.FreePort(t).Port()
	z := &millionRules{rules: sized(20_000, 1_000_000), changed: 1000}
	p.tells.Store(z.whole(1))
	began := time.Now()
	s := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[3]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
feeds: [{name: taken, zone: rpz.test, primaries: ['%[2]s']}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [taken], override: sinkhole}]}
`, dir, p.addr, port))
	listed := func(serial int) func() bool {
		name := strings.TrimSuffix(z.rule(serial, z.rules-1), ".rpz.test. 60 IN CNAME .")
		return func() bool {
			_, got := s.ask("udp", name, dns.TypeA)
			return strings.Contains(got, "192.0.2.53")
		}
	}
	s.wait("serving the zone", listed(1))
	t.Logf("%d rules taken whole and served after %v", z.rules, time.Since(began).Round(time.Millisecond))
	for serial := 2; serial < 5; serial++ {
		p.tells.Store(z.next(serial))
		time.Sleep(sizedTime(0, 2*time.Second))
		m := new(dns.Msg)
		m.SetNotify("rpz.test.")
		c := dns.Client{Timeout: again, Dialer: &net.Dialer{}}
		told := time.Now()
		if r, _, err := c.Exchange(m, s.addr().String()); err != nil || r.Rcode != dns.RcodeSuccess {
			t.Fatal(r, err)
		}
		s.wait("serving the change", listed(serial))
		took := time.Since(told)
		t.Logf("serial %d: %d of %d rules changed, answered %v after the notice, of which the change in hand took %v", serial, z.changed, z.rules, took.Round(time.Millisecond),
			time.Duration(1e9*labelled(t, s.publisher, "cenote_blocklist_publish_seconds", "")).Round(time.Millisecond))
		if listed(serial - 1)() {
			t.Errorf("serial %d: what was removed is still served", serial)
		}
	}
	s.wait("having taken all versions", func() bool { return s.taking(t, "differences") == 3 })
	if status := s.publisher.CompileStatus(); status.DeltaNames == 0 {
		t.Errorf("the last change was compiled whole: %+v", status)
	}
	if n := labelled(t, s.publisher, "cenote_blocklist_zone_changes_total", ""); n != 3 {
		t.Errorf("%v of 3 changes were served without reading the zone", n)
	}
	if whole := s.taking(t, "whole"); whole != 1 {
		t.Errorf("taken %v times whole", whole)
	}
}

func sizedTime(small, full time.Duration) time.Duration {
	if long() {
		return full
	}
	return small
}
