package zone_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/zone"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestSlicesAreWhatSigningMakes signs every few hours for weeks, with keys that roll: each version that is made of the one before by what has its turn is, octet by
// octet, the one that a restart makes of nothing, and the difference is the one between the two.
func TestSlicesAreWhatSigningMakes(t *testing.T) {
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			way.ZSKLifetime = 6 * 24 * time.Hour
			plain := load(t, "example", forSigning)
			s := beginSigning(t, "example", dir, way)
			signed, _ := sign(t, s, plain, nil, now)
			slices := 0
			for n := range 90 {
				at := now.Add(time.Duration(n*5) * time.Hour)
				next, d, err := s.SignSlice(plain, signed, at)
				if err != nil {
					t.Fatal(err)
				}
				if d != nil {
					slices++
					if want := zone.Compare(signed, next); cmp.Diff(want, *d) != "" {
						t.Fatalf("%v: another difference:\n%s", at, cmp.Diff(want, *d))
					}
				}
				again := beginSigning(t, "example", dir, way)
				whole, _ := sign(t, again, plain, nil, at)
				if !zone.SameData(whole, next) || whole.Serial() != next.Serial() || dump(t, whole) != dump(t, next) {
					t.Fatalf("%v: a restart makes another version:\n%s", at, cmp.Diff(dump(t, next), dump(t, whole)))
				}
				if n%30 == 0 {
					newView(t, next, at).judge(t, ask(t, signedSet(t, s, next), "nothing.example", dns.TypeA, true), dns.Question{Name: "nothing.example", Qtype: dns.TypeA})
				}
				signed = next
			}
			if slices < 40 {
				t.Errorf("%d slices in 90 steps", slices)
			}
			verifySigned(t, signed, now.Add(89*5*time.Hour))
		})
	}
}

// TestSliceSharesTheRest signs an hour later: what is not signed again stays where it was, and what serves the version before has not changed.
func TestSliceSharesTheRest(t *testing.T) {
	var text strings.Builder
	text.WriteString(sample)
	for i := range 300 {
		fmt.Fprintf(&text, "host%d A 192.0.2.1\n", i)
	}
	plain := load(t, "example", text.String())
	s := beginSigning(t, "example", t.TempDir(), zone.Signing{Denial: zone.DenialNSEC3})
	signed, _ := sign(t, s, plain, nil, now)
	before := dump(t, signed)
	next, d, err := s.SignSlice(plain, signed, now.Add(time.Hour))
	if err != nil || d == nil || len(d.Added) > 40 {
		t.Fatalf("difference %+v, %v", d, err)
	}
	if dump(t, signed) != before {
		t.Error("the version before has changed")
	}
	applied, err := zone.Apply(signed, *d)
	if err != nil || !zone.SameData(applied, next) {
		t.Errorf("the difference leads elsewhere: %v", err)
	}
	if same, d, err := s.SignSlice(plain, next, now.Add(time.Hour)); err != nil || same != next || d != nil {
		t.Errorf("the same hour: %v, %v", d, err)
	}
}

// TestSliceOfAnAppliedVersion makes a slice of a version that a journal led to: what had led there says nothing of the next version.
func TestSliceOfAnAppliedVersion(t *testing.T) {
	plain := load(t, "example", forSigning)
	s := beginSigning(t, "example", t.TempDir(), zone.Signing{})
	sign(t, s, plain, nil, now)
	first, _ := sign(t, s, plain, nil, now.Add(5*time.Hour)) // the parent is told of the key by now
	_, d, err := s.SignSlice(plain, first, now.Add(20*time.Hour))
	if err != nil || d == nil {
		t.Fatalf("difference %v, %v", d, err)
	}
	applied, err := zone.Apply(first, *d)
	if err != nil {
		t.Fatal(err)
	}
	same, _ := sign(t, s, plain, applied, now.Add(20*time.Hour))
	last, d, err := s.SignSlice(plain, same, now.Add(40*time.Hour))
	if err != nil || d == nil || same != applied {
		t.Fatalf("difference %v, %v; the version that was applied is %v", d, err, same == applied)
	}
	if d, known := zone.CompareDerived(first, last); known {
		t.Errorf("the difference from the version before the last is taken to be %+v", d)
	}
}
