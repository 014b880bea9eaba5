package resolver_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"
)

// TestFlushForgetsWhatZonesAboveDenied: a name that is new is found once it is flushed, though the zone has proved before that it is not there.
func TestFlushForgetsWhatZonesAboveDenied(t *testing.T) {
	const text = `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    alpha            A     192.0.2.1
	`
	r := trusting(t, text)
	r.ask(t, "beta.example.test", "A")
	if err := r.tree.Update(text + "    beta A 192.0.2.2\n"); err != nil {
		t.Fatal(err)
	}
	r.Flush(dnsname.MustParse("beta.example.test"), false)
	if got := r.ask(t, "beta.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Error(got)
	}
}

// TestAnswersAreCheckedOnceAnchorsAreThere: what was believed without validation, or by other anchors, is looked at again.
func TestAnswersAreCheckedOnceAnchorsAreThere(t *testing.T) {
	r := startRooted(t, signedInternet)
	if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "NOERROR\n") {
		t.Fatal(got)
	}
	config := r.config
	config.Recursion.Anchors, _ = dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "error") {
		t.Errorf("validated now: %s", got)
	}
}
