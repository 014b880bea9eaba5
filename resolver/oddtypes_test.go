package resolver_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestOddQuestions: questions that few ask are answered as well.
func TestOddQuestions(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    www              A     192.0.2.1
		    old              DNAME new.example.test.
		    x.new            A     192.0.2.6
		    *.wild           CNAME none.example.test.
		zone plain.test      server ns.plain.test @4
		    www              A     192.0.2.7
	`)
	for _, c := range []struct {
		name, rtype string
		want        []string
	}{
		{"x.old.example.test", "CNAME", []string{"NOERROR AD", "IN DNAME new.example.test.", "IN CNAME x.new.example.test."}},
		{"x.old.example.test", "ANY", []string{"NOERROR AD", "IN DNAME new.example.test.", "IN CNAME x.new.example.test."}},
		{"x.old.example.test", "DNAME", []string{"NOERROR AD", "IN DNAME new.example.test.", "IN CNAME x.new.example.test."}},
		{"old.example.test", "DNAME", []string{"NOERROR AD\nold.example.test. 300 IN DNAME"}},
		{"www.example.test", "RRSIG", []string{"NOERROR\n", "IN RRSIG A 13"}},
		{"www.plain.test", "RRSIG", []string{"NOERROR\n", "SOA"}},
		{"www.example.test", "NSEC", []string{"NOERROR AD\nwww.example.test. 60 IN NSEC"}},
		{".", "DS", []string{"NOERROR AD\n. ", "IN SOA"}},
		{"*.wild.example.test", "CNAME", []string{"NOERROR AD\n*.wild.example.test. 300 IN CNAME"}},
	} {
		for _, again := range []string{"do", ""} {
			got := r.ask(t, c.name, c.rtype, again)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s %s %s: got %s, want %q", c.name, c.rtype, again, got, want)
				}
			}
		}
	}
}

// TestProofsComeOnce: a proof that serves an alias and its target is in the answer once.
func TestProofsComeOnce(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		    *.wild           CNAME none.test.
		    *.far            CNAME none.other.test.
		zone other.test      server ns.other.test @3 sign
	`)
	for _, name := range []string{"a.wild.test", "a.far.test"} {
		got := r.ask(t, name, "A", "do")
		seen := map[string]bool{}
		for line := range strings.Lines(got) {
			if seen[line] {
				t.Errorf("%s: twice: %s", name, fmt.Sprint(line))
			}
			seen[line] = true
		}
	}
}
