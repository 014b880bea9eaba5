package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/api"
	"cenote/dnstest"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// catalogConsumers are how the peers are told to follow catalog.test from a primary at a port of 127.0.0.1, with the key transfer.test.
var catalogConsumers = map[string]struct {
	program string
	args    []string
	text    string
}{
	"named": {"named", []string{"-g", "-n", "1", "-c"}, `
controls { };
key "transfer.test" { algorithm hmac-sha256; secret "` + transferSecret + `"; };
options { directory %[1]q; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; notify no;
 allow-transfer { any; }; dnssec-validation no; empty-zones-enable no;
 catalog-zones { zone "catalog.test" default-masters { 127.0.0.1 port %[3]d key "transfer.test"; } in-memory yes min-update-interval 1; }; };
zone "catalog.test" { type secondary; primaries { 127.0.0.1 port %[3]d key "transfer.test"; }; file "catalog.copy"; };
`},
	"knotd": {"knotd", []string{"-c"}, `
server:
  rundir: %[1]q
  listen: 127.0.0.1@%[2]d
database:
  storage: %[1]q
key:
  - id: transfer.test
    algorithm: hmac-sha256
    secret: ` + transferSecret + `
remote:
  - id: primary
    address: 127.0.0.1@%[3]d
    key: transfer.test
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
    key: transfer.test
  - id: out
    address: 127.0.0.1
    action: transfer
template:
  - id: member
    storage: %[1]q
    master: primary
    acl: [notify, out]
zone:
  - domain: catalog.test
    storage: %[1]q
    master: primary
    acl: [notify, out]
    catalog-role: interpret
    catalog-template: member
`},
}

// cenoteFollows is our own configuration of one.
const cenoteFollows = `
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: %[4]s}]
zones:
  - name: catalog.test
    primaries: [{address: '127.0.0.1:%[3]d', key: transfer.test}]
    allow: [127.0.0.1/32]
    allow_transfer: [127.0.0.1/32]
    members:
      enabled: true
      below: [test]
      allow_transfer: [127.0.0.1/32]
      groups: [{group: edge, allow: [127.0.0.1/32], allow_transfer: [127.0.0.1/32]}]
`

// fleetOf has zones made of names, with a group for each.
type fleetOf struct {
	r     *rand.Rand
	names []string
	in    map[string]bool
}

func newFleetOf(seed uint64) *fleetOf {
	f := &fleetOf{r: rand.New(rand.NewPCG(seed, 9432)), in: map[string]bool{}}
	for i := range 8 {
		f.names = append(f.names, fmt.Sprintf("z%d.test", i))
	}
	f.in[f.names[0]], f.in[f.names[3]] = true, true
	return f
}

// edit has one to three zones come or go. One stays: a catalog that is suddenly empty is not followed.
func (f *fleetOf) edit() {
	for range 1 + f.r.IntN(3) {
		name := f.names[f.r.IntN(len(f.names))]
		f.in[name] = !f.in[name]
	}
	if len(f.want()) == 0 {
		f.in[f.names[0]] = true
	}
}

// writeZones writes a small file for each zone.
func (f *fleetOf) writeZones(t *testing.T, dir string) {
	t.Helper()
	for i, name := range f.names {
		text := fmt.Sprintf("$TTL 300\n@ SOA ns host %d 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.%d\n", 100+i, i)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// serves are the zones that a server has, of those that there may be.
func (f *fleetOf) serves(server netip.AddrPort) (out []string) {
	for _, name := range f.names {
		q := question{from: "127.0.0.1", wait: again, name: "www." + name + ".", qtype: dns.TypeA, class: dns.ClassINET}
		if text := q.exchange(server); strings.HasPrefix(text, "NOERROR aa") && strings.Contains(text, " A 192.0.2.") {
			out = append(out, name)
		}
	}
	return out
}

func (f *fleetOf) want() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(f.in)) {
		if f.in[name] {
			out = append(out, name)
		}
	}
	return out
}

// producerText is the configuration of a Cenote whose catalog lists the zones of f, and a zone of the policy.
func (f *fleetOf) producerText(dir string, port uint16, notify []string) string {
	tell := strings.Join(notify, ", ")
	var b strings.Builder
	fmt.Fprintf(&b, `
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: %[1]s/secret}]
feeds: [{name: malware, path: %[1]s/malware.domains}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: malware, feeds: [malware]}]}
zones:
  - {name: catalog.test, catalog: {groups: [edge, rpz]}, allow_transfer: [127.0.0.1/32], transfer_keys: [transfer.test], notify: [%[3]s]}
  - {name: rpz.test, policy: {}, group: rpz, allow_transfer: [127.0.0.1/32], notify: [%[3]s]}
`, dir, port, tell)
	for _, name := range f.names {
		group := ""
		if f.in[name] {
			group = ", group: edge"
		}
		fmt.Fprintf(&b, "  - {name: %s, file: %[2]s/%[1]s, allow_transfer: [127.0.0.1/32], transfer_keys: [transfer.test], notify: [%[3]s]%[4]s}\n", name, dir, tell, group)
	}
	return b.String()
}

// TestCatalogConsumersJudge holds that named, knot and another Cenote that follow a catalog of ours serve the zones that it lists, and no others, after each
// edit; that all of them come whole; and that edits of the catalog go out as differences.
func TestCatalogConsumersJudge(t *testing.T) {
	f, dir, port := newFleetOf(1), t.TempDir(), dnstest.FreePort(t).Port()
	f.writeZones(t, dir)
	secret := filepath.Join(dir, "secret")
	for path, text := range map[string]string{secret: transferSecret + "\n", filepath.Join(dir, "malware.domains"): "bad.example\nworse.example\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports, tell := map[string]uint16{"cenote": dnstest.FreePort(t).Port()}, []string{}
	for name, c := range catalogConsumers {
		program(t, c.program)
		ports[name] = dnstest.FreePort(t).Port()
	}
	for _, port := range ports {
		tell = append(tell, fmt.Sprintf("{address: '127.0.0.1:%d', key: transfer.test}", port))
	}
	s := startServer(t, dir, f.producerText(dir, port, tell))
	peers := map[string]netip.AddrPort{}
	for name, c := range catalogConsumers {
		home := t.TempDir()
		conf := filepath.Join(home, "conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, c.text, home, ports[name], port), 0o644); err != nil {
			t.Fatal(err)
		}
		peers[name] = startPeer(t, ports[name], append(append([]string{program(t, c.program)}, c.args...), conf)...)
	}
	home := t.TempDir()
	peers["cenote"] = startServer(t, home, fmt.Sprintf(cenoteFollows, home, ports["cenote"], port, secret)).addr()
	edits := sized(4, 50)
	for n := range 1 + edits {
		if n > 0 {
			f.edit()
			if err := os.WriteFile(filepath.Join(dir, "cenote.yaml"), []byte(f.producerText(dir, port, tell)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Reload(context.Background(), api.ReloadRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		for name, peer := range peers {
			awaitNone(t, fmt.Sprint("edit ", n, ": ", name, " serves other zones"), func() string { return cmp.Diff(f.want(), f.serves(peer)) })
			for _, apex := range append(f.want(), "rpz.test") {
				awaitNone(t, fmt.Sprint("edit ", n, ": ", name, " has other records of ", apex), func() string {
					return cmp.Diff(whole(s.addr(), apex+".", true), whole(peer, apex+".", false))
				})
			}
		}
	}
	if changes := s.transfers(t, "changes"); changes == 0 {
		t.Errorf("no edit of the catalog was sent as a difference, in %d edits", edits)
	}
}

// catalogProducers are how the peers are told to produce catalog.test and to give its zones away, and their text for a list of zones.
var catalogProducers = map[string]struct {
	program string
	args    []string
	text    func(f *fleetOf, dir string, port, told uint16) string
	// edit writes what a catalog of the present zones needs, beside the text; n is how often it did.
	edit func(t *testing.T, f *fleetOf, dir string, n int)
}{
	"named": {"named", []string{"-g", "-n", "1", "-c"}, func(f *fleetOf, dir string, port, told uint16) string {
		text := fmt.Sprintf(`
controls { };
key "transfer.test" { algorithm hmac-sha256; secret "`+transferSecret+`"; };
options { directory %[1]q; pid-file "pid"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; session-keyfile none; recursion no;
 notify explicit; notify-delay 0; also-notify { 127.0.0.1 port %[3]d key "transfer.test"; }; allow-transfer { key "transfer.test"; }; dnssec-validation no; empty-zones-enable no;
 ixfr-from-differences yes; };
zone "catalog.test" { type primary; file "catalog.test"; };
`, dir, port, told)
		for _, name := range f.names {
			text += fmt.Sprintf("zone %q { type primary; file %[1]q; };\n", name)
		}
		return text
	}, func(t *testing.T, f *fleetOf, dir string, n int) {
		text := fmt.Sprintf("$TTL 0\n@ SOA invalid. invalid. %d 3600 600 1209600 0\n@ NS invalid.\nversion TXT 2\n", n+1)
		for _, name := range f.want() {
			text += fmt.Sprintf("id-%s.zones PTR %s.\ngroup.id-%[1]s.zones TXT edge\n", strings.TrimSuffix(name, ".test"), name)
		}
		path := filepath.Join(dir, "catalog.test")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Duration(n) * time.Second) // named looks at whole seconds
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
	}},
	"knotd": {"knotd", []string{"-c"}, func(f *fleetOf, dir string, port, told uint16) string {
		text := fmt.Sprintf(`
server:
  rundir: %[1]q
  pidfile: pid
  listen: 127.0.0.1@%[2]d
database:
  storage: %[1]q
key:
  - id: transfer.test
    algorithm: hmac-sha256
    secret: `+transferSecret+`
remote:
  - id: cenote
    address: 127.0.0.1@%[3]d
    key: transfer.test
acl:
  - id: out
    address: 127.0.0.1
    action: transfer
    key: transfer.test
zone:
  - domain: catalog.test
    storage: %[1]q
    notify: cenote
    acl: out
    catalog-role: generate
    journal-content: all
`, dir, port, told)
		for _, name := range f.want() { // knot lists what is new in its configuration, and not what was there without a role
			text += fmt.Sprintf("  - domain: %s\n    file: %s/%[1]s\n    notify: cenote\n    acl: out\n    zonefile-sync: -1\n", name, dir)
			text += "    catalog-role: member\n    catalog-zone: catalog.test\n    catalog-group: edge\n"
		}
		return text
	}, func(*testing.T, *fleetOf, string, int) {}},
}

// TestCatalogProducersJudge holds that we serve the zones that catalogs of named and knot list, and no others, after each edit.
func TestCatalogProducersJudge(t *testing.T) {
	for name, p := range catalogProducers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, dir, home, port, ours := newFleetOf(2), t.TempDir(), t.TempDir(), dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port()
			f.writeZones(t, home)
			conf, secret := filepath.Join(home, "conf"), filepath.Join(dir, "secret")
			if err := os.WriteFile(secret, []byte(transferSecret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			write := func(n int) {
				t.Helper()
				p.edit(t, f, home, n)
				if err := os.WriteFile(conf, []byte(p.text(f, home, port, ours)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write(0)
			peer := startPeer(t, port, append(append([]string{program(t, p.program)}, p.args...), conf)...)
			s := startServer(t, dir, fmt.Sprintf(cenoteFollows, dir, ours, port, secret))
			for n := range 1 + sized(4, 50) {
				if n > 0 {
					f.edit()
					write(n)
					hangUp(t, filepath.Join(home, "pid"))
				}
				awaitNone(t, fmt.Sprint("edit ", n, ": we serve other zones"), func() string {
					diff := cmp.Diff(f.want(), f.serves(s.addr()))
					if diff != "" {
						diff += fmt.Sprintf("%+v\nthere the catalog is\n%s\nhere\n%s", s.zones.Status(), whole(peer, "catalog.test.", true), whole(s.addr(), "catalog.test.", false))
					}
					return diff
				})
				for _, apex := range f.want() {
					if diff := cmp.Diff(whole(peer, apex+".", true), whole(s.addr(), apex+".", false)); diff != "" {
						t.Fatalf("edit %d: we have other records of %s:\n%s", n, apex, diff)
					}
				}
			}
			for _, z := range s.zones.Status() {
				if z.Name != "catalog.test" && z.Catalog != "catalog.test" {
					t.Errorf("%s comes from the catalog %q", z.Name, z.Catalog)
				}
			}
		})
	}
}
