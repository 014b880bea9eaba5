package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cenote/api"
	"cenote/dnstest"
	"cenote/zone"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// primaryProgram is how a peer is told to be a primary.
type primaryProgram struct {
	program string
	args    []string
	text    string
	// How a key is described there and named, beside the address of the secondary and in the list of who may take the zone, and what stands in place of that
	// without one.
	key, with, allowed, without, open string
}

// primaries are how the peers are told to give a zone away from its file in a directory, and to tell a port of 127.0.0.1 when it has changed: their program, its arguments,
// and the text of its configuration.
var primaries = map[string]primaryProgram{
	"named": {
		"named", []string{"-g", "-n", "1", "-c"}, `
controls { };
%[4]s
options { directory %[1]q; pid-file "pid"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; session-keyfile none; recursion no;
 notify explicit; notify-delay 0; also-notify { 127.0.0.1 port %[3]d %[5]s; }; allow-transfer { %[6]s; }; dnssec-validation no; empty-zones-enable no; ixfr-from-differences yes; };
zone "example" { type primary; file "example"; };
`, `key "transfer.test" { algorithm hmac-sha256; secret "` + transferSecret + `"; };`, `key "transfer.test"`, `key "transfer.test"`, "", "any",
	},
	"knotd": {
		"knotd", []string{"-c"}, `
server:
  rundir: %[1]q
  pidfile: pid
  listen: 127.0.0.1@%[2]d
database:
  storage: %[1]q
%[4]s
remote:
  - id: cenote
    address: 127.0.0.1@%[3]d
    %[5]s
acl:
  - id: out
    address: 127.0.0.1
    action: transfer
    %[6]s
zone:
  - domain: example
    file: %[1]s/example
    notify: cenote
    acl: out
    semantic-checks: off
    zonefile-load: difference
    zonefile-sync: -1
    journal-content: changes
`, "key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: " + transferSecret, "key: transfer.test", "key: transfer.test", "", "",
	},
	"nsd": {
		"nsd", []string{"-d", "-c"}, `
server:
  ip-address: 127.0.0.1@%[2]d
  server-count: 1
  username: ""
  zonesdir: %[1]q
  database: ""
  pidfile: "%[1]s/pid"
  xfrdfile: ""
  zonelistfile: ""
remote-control:
  control-enable: no
%[4]s
zone:
  name: example
  zonefile: "%[1]s/example"
  provide-xfr: 127.0.0.1 %[6]s
  notify: 127.0.0.1@%[3]d %[5]s
  store-ixfr: yes
  create-ixfr: yes
`, "key:\n  name: transfer.test\n  algorithm: hmac-sha256\n  secret: " + transferSecret, "transfer.test", "transfer.test", "NOKEY", "NOKEY",
	},
}

// editedFile is a zone that is edited at random, in the file of a primary.
type editedFile interface {
	edit()
	write(t *testing.T, path string)
	at() uint32 // the serial
}

// primaryTrial has us take a zone from each of primaries, with a key and without, while it is edited.
type primaryTrial struct {
	zone   func() editedFile
	edits  int
	config string                                                // what takes it; PRIMARY stands for the primary
	serial func(*running) uint32                                 // that we have
	check  func(t *testing.T, s *running, edit int, path string) // compares what we have with the file
	end    func(t *testing.T, s *running)                        // nil for nothing
}

func (c *primaryTrial) run(t *testing.T) {
	for name, p := range primaries {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s signed=%v", name, signed), func(t *testing.T) {
				t.Parallel()
				c.follow(t, &p, signed)
			})
		}
	}
}

// follow waits after each edit, of which the primary tells, until we have its serial.
func (c *primaryTrial) follow(t *testing.T, p *primaryProgram, signed bool) {
	dir, home, port, ours := t.TempDir(), t.TempDir(), dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port()
	path, z := filepath.Join(home, "example"), c.zone()
	z.write(t, path)
	with, allowed, key := p.without, p.open, ""
	if signed {
		with, allowed, key = p.with, p.allowed, ", key: transfer.test"
	}
	conf := filepath.Join(home, "conf")
	writeAll(t, home, map[string]string{"conf": fmt.Sprintf(p.text, home, port, ours, p.key, with, allowed)})
	startPeer(t, port, append(append([]string{program(t, p.program)}, p.args...), conf)...)
	writeAll(t, dir, map[string]string{"secret": transferSecret + "\n"})
	s := startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
%[3]s`, dir, ours, strings.ReplaceAll(c.config, "PRIMARY", fmt.Sprintf("{address: '127.0.0.1:%d'%s}", port, key))))
	for n := range 1 + c.edits {
		if n > 0 {
			z.edit()
			z.write(t, path)
			later := time.Now().Add(time.Duration(n) * time.Second) // named and nsd look at whole seconds
			if err := os.Chtimes(path, later, later); err != nil {
				t.Fatal(err)
			}
			hangUp(t, filepath.Join(home, "pid"))
		}
		s.wait(fmt.Sprintf("at serial %d of edit %d", z.at(), n), func() bool { return c.serial(s) == z.at() })
		c.check(t, s, n, path)
	}
	if c.end != nil {
		c.end(t, s)
	}
}

// TestNoticesOfPrimaries holds that what is edited at named, nsd and knot is served by us because they tell so (NOTIFY), with a key and without: the zone's SOA
// record would have us look two hours later.
func TestNoticesOfPrimaries(t *testing.T) {
	(&primaryTrial{
		zone: func() editedFile { return newEditedZone(3) }, edits: sized(3, 100),
		config: "zones: [{name: example, primaries: [PRIMARY], allow_transfer: [127.0.0.1/32]}]\n",
		serial: func(s *running) uint32 { return serialOf(s.addr()) },
		check: func(t *testing.T, s *running, edit int, path string) {
			if got, want := whole(s.addr(), "example.", false), wholeFile(t, path, "example."); got != want {
				t.Fatalf("edit %d: we have other records:\n%s", edit, cmp.Diff(want, got))
			}
		},
	}).run(t)
}

// hangUp has the process of a file look at its files again.
func hangUp(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// TestLifeOfATakenZone follows a zone that is taken from a primary: it is served, changes when the primary says so, is served at a start without the
// primary, stays over a reload, and is answered with SERVFAIL once it has expired, until the primary is back.
func TestLifeOfATakenZone(t *testing.T) {
	t.Parallel()
	home, dir, port, ours := t.TempDir(), t.TempDir(), dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port()
	file := filepath.Join(home, "example")
	write := func(serial, expire int, address string) {
		t.Helper()
		text := fmt.Sprintf("$TTL 300\n@ SOA ns host %d 7200 3600 %d 60\n@ NS ns\nns A 192.0.2.1\nwww A %s\n", serial, expire, address)
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	primary := func() *running {
		return startServer(t, home, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
zones: [{name: example, file: %[1]s/example, allow_transfer: [127.0.0.1/32], notify: ['127.0.0.1:%[3]d']}]
`, home, port, ours))
	}
	secondary := func() *running {
		return startServer(t, dir, fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
zones: [{name: example, primaries: ['127.0.0.1:%[3]d']}]
`, dir, ours, port))
	}
	serves := func(s *running, want string) {
		t.Helper()
		s.wait("serving "+want, func() bool {
			_, got := s.ask("udp", "www.example", dns.TypeA)
			return strings.HasPrefix(got, "NOERROR") && strings.Contains(got, " A "+want+"\n")
		})
	}
	write(1, 1209600, "192.0.2.80")
	from := primary()
	s := secondary()
	serves(s, "192.0.2.80")
	write(2, 1209600, "192.0.2.82")
	serves(s, "192.0.2.82")
	from.stop()
	s.stop()
	s = secondary()
	serves(s, "192.0.2.82")
	if _, err := s.Reload(context.Background(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	serves(s, "192.0.2.82")
	s.wait("telling why it is kept", func() bool { return s.zones.Status()[0].State == zone.StateKept && s.zones.Status()[0].Fault != "" })
	write(3, 1, "192.0.2.83")
	from = primary()
	if err := s.primaries.Transfer(context.Background(), "\x07example\x00", false); err != nil {
		t.Fatal(err)
	}
	serves(s, "192.0.2.83")
	from.stop()
	s.wait("answering SERVFAIL", func() bool {
		_, got := s.ask("udp", "www.example", dns.TypeA)
		return strings.HasPrefix(got, "SERVFAIL")
	})
	if st := s.zones.Status()[0]; st.State != zone.StateExpired {
		t.Errorf("%+v", st)
	}
	primary()
	if err := s.primaries.Transfer(context.Background(), "\x07example\x00", false); err != nil {
		t.Fatal(err)
	}
	serves(s, "192.0.2.83")
}
