package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
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

// changedServer is a server that takes such a zone from a primary.
type changedServer struct {
	t    *testing.T
	zone *millionRules
	from *liar
	dir  string
	port uint16
	*running
}

// start serves the zone, also when it was served before.
func (c *changedServer) start() {
	c.running = startServer(c.t, c.dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[3]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
feeds: [{name: taken, zone: rpz.test, primaries: ['%[2]s'], limits: {size: 1GiB}}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [taken], override: sinkhole}]}
`, c.dir, c.from.addr, c.port))
}

// lists reports whether the rules that a version alone has are served.
func (c *changedServer) lists(serial int) bool {
	name := strings.TrimSuffix(c.zone.rule(serial, c.zone.rules-1), ".rpz.test. 60 IN CNAME .")
	_, got := c.ask("udp", name, dns.TypeA)
	return strings.Contains(got, "192.0.2.53")
}

// change gives the next version, tells the server, and waits until it is served.
func (c *changedServer) change(serial int) {
	c.t.Helper()
	c.from.tells.Store(c.zone.next(serial))
	time.Sleep(sizedTime(0, 2*time.Second))
	m := new(dns.Msg)
	m.SetNotify("rpz.test.")
	client := dns.Client{Timeout: again, Dialer: &net.Dialer{}}
	told := time.Now()
	if r, _, err := client.Exchange(m, c.addr().String()); err != nil || r.Rcode != dns.RcodeSuccess {
		c.t.Fatal(r, err)
	}
	c.wait("serving the change", func() bool { return c.lists(serial) })
	took := time.Since(told)
	c.t.Logf("serial %d: %d of %d rules changed, answered %v after the notice, of which the change in hand took %v", serial, c.zone.changed, c.zone.rules, took.Round(time.Millisecond),
		time.Duration(1e9*labelled(c.t, c.publisher, "cenote_blocklist_publish_seconds", "")).Round(time.Millisecond))
	if c.lists(serial - 1) {
		c.t.Errorf("serial %d: what was removed is still served", serial)
	}
}

// check holds what the server counts against so many changes, each served without reading the zone, which was taken so many times whole.
func (c *changedServer) check(changes, whole float64) {
	c.t.Helper()
	c.wait("having taken all versions", func() bool { return c.taking(c.t, "differences") == changes })
	if status := c.publisher.CompileStatus(); status.DeltaNames == 0 {
		c.t.Errorf("the last change was compiled whole: %+v", status)
	}
	if n := labelled(c.t, c.publisher, "cenote_blocklist_zone_changes_total", ""); n != changes {
		c.t.Errorf("%v of %v changes were served without reading the zone", n, changes)
	}
	if n := c.taking(c.t, "whole"); n != whole {
		c.t.Errorf("taken %v times whole, want %v", n, whole)
	}
}

// TestChangeOfALargePolicyZone: of a large policy zone that is taken from a primary, a change of a thousand rules is served without compiling the others, the first after a
// restart too. With CENOTE_LONG=1 the zone has a million, or as many as CENOTE_NAMES says, and the log says how long it takes from the notice to the answer.
func TestChangeOfALargePolicyZone(t *testing.T) {
	c := &changedServer{
		t: t, zone: &millionRules{rules: scaled(t, 20_000, 1_000_000), changed: 1000}, from: startLiar(t), dir: t.TempDir(), port: dnstest.FreePort(t).Port(),
	}
	c.from.tells.Store(c.zone.whole(1))
	began := time.Now()
	c.start()
	c.wait("serving the zone", func() bool { return c.lists(1) })
	t.Logf("%d rules taken whole and served after %v", c.zone.rules, time.Since(began).Round(time.Millisecond))
	for serial := 2; serial < 5; serial++ {
		c.change(serial)
	}
	c.check(3, 1)
	c.wait("having written the list", func() bool { return c.noted(4) })
	c.stop()
	began = time.Now()
	c.start()
	t.Logf("served after a restart after %v", time.Since(began).Round(time.Millisecond))
	c.change(5)
	c.check(1, 0)
}

// noted reports whether it is on the disk that the list of a version is that of the copy that is served.
func (c *changedServer) noted(serial int) bool {
	b, err := os.ReadFile(filepath.Join(c.dir, "state/policy/fetched/taken/state.json"))
	return err == nil && strings.Contains(string(b), fmt.Sprintf(`"serial":%d,`, serial)) && strings.Contains(string(b), `"copy":{`)
}

func sizedTime(small, full time.Duration) time.Duration {
	if long() {
		return full
	}
	return small
}
