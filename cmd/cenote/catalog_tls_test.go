package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/api"
	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/zone"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// byTLSText is the configuration of a server whose catalog lists the zones of f, all of which are sent over TLS alone.
func (f *fleetOf) byTLSText(dir string, plain, secure, told uint16) string {
	tell := fmt.Sprintf("allow_transfer: [127.0.0.1/32], transfer_keys: [transfer.test], require_tls: true, notify: [{address: '127.0.0.1:%d', key: transfer.test}]", told)
	var b strings.Builder
	fmt.Fprintf(&b, `
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}, {address: 127.0.0.1:%[3]d, tls: {cert: cert.pem, key: key.pem}}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: secret}]
zones:
  - {name: catalog.test, catalog: {groups: [edge]}, %[4]s}
`, dir, plain, secure, tell)
	for _, name := range f.names {
		group := ""
		if f.in[name] {
			group = ", group: edge"
		}
		fmt.Fprintf(&b, "  - {name: %s, file: %[1]s, %s%s}\n", name, tell, group)
	}
	return b.String()
}

// TestCatalogMembersComeByTLS has a server follow the catalog of another one over TLS (RFC 9103): its zones come by TLS too, with the catalog's key and the name that
// its primary has to have, come and go as it says, and are served on while the primary cannot be trusted.
func TestCatalogMembersComeByTLS(t *testing.T) {
	t.Parallel()
	f, dir, dir2, ctx := newFleetOf(3), t.TempDir(), t.TempDir(), context.Background()
	f.writeZones(t, dir)
	plain, secure, ours := dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port(), dnstest.FreePort(t).Port()
	for _, d := range []string{dir, dir2} {
		writeAll(t, d, map[string]string{"secret": transferSecret + "\n"})
	}
	dnstest.WriteCertificate(t, "hub.test", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	dnstest.WriteCertificate(t, "hub.test", filepath.Join(dir2, "other.pem"), filepath.Join(dir2, "other.key"))
	follows := func(primary string) string {
		return fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:%[2]d}]
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
keys: [{name: transfer.test, secret_file: secret}]
zones: [{name: catalog.test, primaries: [{%[3]s, key: transfer.test}], members: {enabled: true, below: [test], allow: [127.0.0.1/32]}}]
`, dir2, ours, primary)
	}
	byTLS := fmt.Sprintf("address: '127.0.0.1:%d', tls: hub.test, ca_file: '%s'", secure, filepath.Join(dir, "cert.pem"))
	first, second := startServer(t, dir, f.byTLSText(dir, plain, secure, ours)), startServer(t, dir2, follows(byTLS))
	reload := func(s *running, home, text string) {
		t.Helper()
		writeAll(t, home, map[string]string{"cenote.yaml": text})
		if _, err := s.Reload(ctx, api.ReloadRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	follow := func(what string) {
		t.Helper()
		awaitNone(t, what+": other zones are served than the catalog lists", func() string { return cmp.Diff(f.want(), f.serves(second.addr())) })
	}
	follow("at the beginning")
	second.wait("told of as zones that come by TLS", func() bool { // after they are served
		return !slices.ContainsFunc(second.zones.Status(), func(s zone.Status) bool { return !strings.Contains(s.Primary, " by TLS") })
	})
	for n := range 3 {
		f.edit()
		reload(first, dir, f.byTLSText(dir, plain, secure, ours))
		follow(fmt.Sprint("after edit ", n+1))
	}
	name := f.want()[0]
	ask := func() error { return transfers{second.server}.Transfer(ctx, dnsname.MustParse(name), false) }
	for _, c := range []struct{ what, primary, want string }{
		{"another certificate", fmt.Sprintf("address: '127.0.0.1:%d', tls: hub.test, ca_file: other.pem", secure), "certificate"},
		{"another name", fmt.Sprintf("address: '127.0.0.1:%d', tls: other.test, ca_file: '%s'", secure, filepath.Join(dir, "cert.pem")), "other.test"},
	} {
		reload(second, dir2, follows(c.primary))
		if err := ask(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
		follow(c.what)
	}
	reload(second, dir2, follows(fmt.Sprintf("address: '127.0.0.1:%d'", plain)))
	text := "$TTL 300\n@ SOA ns host 999 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.99\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	q := question{from: "127.0.0.1", wait: again, name: name + ".", qtype: dns.TypeSOA, class: dns.ClassINET}
	first.wait("the next version of a zone", func() bool { return strings.Contains(q.exchange(first.addr()), " 999 ") })
	if err := ask(); err == nil || !strings.Contains(err.Error(), "REFUSED") {
		t.Errorf("without TLS: %v", err)
	}
	follow("without TLS")
	reload(second, dir2, follows(byTLS))
	second.wait("the next version of a member", func() bool { return strings.Contains(q.exchange(second.addr()), " 999 ") })
	second.wait("told of as one that came by TLS", func() bool { // after it is served
		all := second.zones.Status()
		s := all[slices.IndexFunc(all, func(s zone.Status) bool { return s.Name == name })]
		return strings.Contains(s.Primary, " by TLS") && s.State == zone.StateServed && s.Serial == 999
	})
}
