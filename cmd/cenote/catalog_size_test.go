package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/api"
	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/pace"
)

// largeFleet is a server with many zones of one small file, in a catalog.
type largeFleet struct {
	dir   string
	port  uint16 // of the server that follows the catalog
	zones int
}

// text is the configuration; the zones up to a number are in the catalog.
func (f *largeFleet) text(listed int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
state: %[1]s/state
listen: ['127.0.0.1:0']
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
zones:
  - {name: catalog.test, catalog: {groups: [edge]}, allow: [127.0.0.1/32], allow_transfer: [127.0.0.1/32], notify: ['127.0.0.1:%[2]d']}
`, f.dir, f.port)
	for i := range f.zones {
		group := ""
		if i < listed {
			group = ", group: edge"
		}
		fmt.Fprintf(&b, "  - {name: z%d.test, file: %s/z, allow_transfer: [127.0.0.1/32]%s}\n", i, f.dir, group)
	}
	return b.String()
}

// members is how many of the members a server serves.
func (r *running) members() (n int) {
	for apex, z := range r.zones.Set().All() {
		if z.Ready() && apex != dnsname.MustParse("catalog.test") {
			n++
		}
	}
	return n
}

// TestCatalogOfManyMembers: a server whose catalog lists many zones, and another that follows it, come to serve the same zones, also after one more is listed. With
// CENOTE_LONG=1 there are as many as a configuration has room for, ten thousand with the catalog, and the log says how long that takes.
func TestCatalogOfManyMembers(t *testing.T) {
	f := &largeFleet{dir: shortDir(t), port: dnstest.FreePort(t).Port(), zones: sized(150, 9999)}
	text := "$TTL 300\n@ SOA ns host 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.1\n"
	if err := os.WriteFile(filepath.Join(f.dir, "z"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	began, ran := time.Now(), ranSoFar(t)
	tell := func(what string) {
		t.Logf("%s: %v, with %v of the processor", what, time.Since(began).Round(time.Millisecond), (ranSoFar(t) - ran).Round(time.Millisecond))
		began, ran = time.Now(), ranSoFar(t)
	}
	producer := startServer(t, f.dir, f.text(f.zones-1))
	catalog := dnsname.MustParse("catalog.test")
	producer.wait("serving its catalog", func() bool { return producer.serial(catalog) > 0 })
	tell(fmt.Sprintf("%d zones are served, and a catalog that lists all but one", producer.members()))
	dir := t.TempDir()
	consumer := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: ['127.0.0.1:%[2]d']
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
zones:
  - {name: catalog.test, primaries: ['%[3]s'], notify_from: [127.0.0.1/32], members: {enabled: true, below: [test], most: 20000}}
`, dir, f.port, producer.addr()))
	for have := -1; consumer.members() < f.zones-1; { // each that comes gives the others time
		have = consumer.members()
		consumer.wait(fmt.Sprintf("serving more than %d members", have), func() bool {
			time.Sleep(sizedTime(0, time.Second)) // counting is work, too
			return consumer.members() > have
		})
	}
	tell("another server has taken them all")
	last := dnsname.MustParse(fmt.Sprintf("z%d.test", f.zones-1))
	if err := os.WriteFile(filepath.Join(f.dir, "cenote.yaml"), []byte(f.text(f.zones)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := producer.Reload(context.Background(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	tell("the configuration that lists one more is taken")
	consumer.wait("serving the last zone", func() bool { return consumer.serial(last) > 0 })
	tell("the other server serves that one")
	if got, want := consumer.members(), f.zones; got != want {
		t.Errorf("%d members are served, want %d", got, want)
	}
	if changes := producer.transfers(t, "changes"); changes != 1 {
		t.Errorf("%v differences of the catalog were sent, want 1", changes)
	}
}

// shortDir is a directory with a short name, so that a configuration with many paths is no larger than one may be.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// ranSoFar is how much of the processor this process has used.
func ranSoFar(t *testing.T) time.Duration {
	t.Helper()
	ran, err := pace.Ran(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return ran
}
