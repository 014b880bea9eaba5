package resolver_test

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

const copiedInternet = `
	zone .               server a.root.test @1 sign
	zone test            server ns.nic.test @2 sign
	zone example.test    server ns.example.test @3 sign
	    www              A     192.0.2.1
`

// withDigest adds a digest, signed, to a root zone.
func withDigest(t *testing.T, r *rooted, text, digest string) string {
	t.Helper()
	rr, err := dns.NewRR(". 300 ZONEMD 7 1 1 " + digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range append([]dns.RR{rr}, r.tree.Sign(".", []dns.RR{rr})...) {
		text += rr.String() + "\n"
	}
	return text
}

// rootText is the root zone of a tree as a file, signed, without a digest.
func rootText(t *testing.T, r *rooted) string {
	t.Helper()
	keys := new(dns.Msg).SetQuestion(".", dns.TypeDNSKEY)
	keys.SetEdns0(4096, true)
	got, err := dnstest.Ask(keys, r.tree.Addr("@1").String())
	if err != nil {
		t.Fatal(err)
	}
	all := got.Answer
	set := func(lines ...string) {
		var rrs []dns.RR
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			rrs = append(rrs, rr)
		}
		all = append(all, rrs...)
		all = append(all, r.tree.Sign(".", rrs)...)
	}
	set(". 300 SOA a.root.test. h.root.test. 7 1800 900 604800 60")
	set(". 300 NS a.root.test.")
	set(". 60 NSEC test. NS SOA RRSIG NSEC DNSKEY ZONEMD")
	set("test. 60 NSEC . NS DS RRSIG NSEC")
	var ds []string
	for _, d := range r.tree.DS("test") {
		ds = append(ds, d.String())
	}
	set(ds...)
	text := "test. 300 IN NS ns.nic.test.\nns.nic.test. 300 IN A " + r.tree.Addr("@2").Addr().String() + "\n"
	for _, rr := range all {
		text += rr.String() + "\n"
	}
	return text
}

func TestCopyOfTheRootZone(t *testing.T) {
	r := trusting(t, copiedInternet)
	path := filepath.Join(t.TempDir(), "root.zone")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bare := rootText(t, r)
	write(bare)
	sum, err := resolver.RootDigest(path)
	if err != nil {
		t.Fatal(err)
	}
	digest := hex.EncodeToString(sum)
	sum[0] ^= 0xff // never the digest itself, which differs from run to run
	other := hex.EncodeToString(sum)
	whole := withDigest(t, r, bare, digest)
	start := func(text string) *rooted {
		t.Helper()
		write(text)
		anchors, err := dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
		if err != nil {
			t.Fatal(err)
		}
		cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
		if err != nil {
			t.Fatal(err)
		}
		own := startOver(t, r.tree, r.hints, resolver.Config{Cache: cache, Timeouts: slowMachine, Recursion: &resolver.Recursion{
			Hints: r.hints, Port: r.tree.Port(), Never: []netip.Prefix{}, NoIPv6: true, Anchors: anchors, RootZone: path,
		}})
		own.LookAtRoot()
		return own
	}
	t.Run("answers in place of the root", func(t *testing.T) {
		own := start(whole)
		before := len(r.tree.Queries("@1"))
		for name, want := range map[string]string{
			"www.example.test": "NOERROR AD", "nowhere": "NXDOMAIN AD", "a.b.zone": "NXDOMAIN AD", "none.example.test": "NXDOMAIN AD",
		} {
			if got := own.ask(t, name, "A", "do"); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		for rtype, want := range map[string]string{"NS": "NOERROR AD", "DNSKEY": "NOERROR AD", "TXT": "NOERROR AD"} {
			if got := own.ask(t, ".", rtype); !strings.HasPrefix(got, want) {
				t.Errorf("the root's %s: %s, want %s", rtype, got, want)
			}
		}
		if n := len(r.tree.Queries("@1")); n != before || own.RootSerial() != 7 {
			t.Errorf("serial %d; the root's server was asked %d times", own.RootSerial(), n-before)
		}
	})
	for what, text := range map[string]string{
		"an address was changed": strings.Replace(whole, r.tree.Addr("@2").Addr().String(), "192.0.2.66", 1),
		"no digest":              bare,
		"another digest":         withDigest(t, r, bare, other),
		"signatures of others":   strings.ReplaceAll(whole, "RRSIG", "TYPE65280"),
		"an include":             "$INCLUDE /etc/passwd\n" + whole,
		"no zone":                "<html>",
	} {
		t.Run(what, func(t *testing.T) {
			own := start(text)
			if n := own.RootSerial(); n != 0 {
				t.Fatalf("taken, with serial %d", n)
			}
			if got := own.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
				t.Errorf("without it: %s", got)
			}
		})
	}
	t.Run("a bad file leaves the good one", func(t *testing.T) {
		own := start(whole)
		write("<html>")
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		own.LookAtRoot()
		if n := own.RootSerial(); n != 7 {
			t.Errorf("serial %d, want 7", n)
		}
	})
	t.Run("an old file", func(t *testing.T) {
		own := start(whole)
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-8*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		own.LookAtRoot()
		if n := own.RootSerial(); n != 0 {
			t.Errorf("taken, with serial %d", n)
		}
	})
}
