package dnsserver_test

import (
	"strings"
	"testing"

	"cenote/dnsserver"
	"cenote/policy"
)

func roundTrip(t *testing.T, want dnsserver.Reference) {
	t.Helper()
	if got, err := dnsserver.DecodeReference(dnsserver.EncodeReference(want)); err != nil || got != want {
		t.Errorf("of %+v came %+v, %v", want, got, err)
	}
}

func TestReference(t *testing.T) {
	roundTrip(t, dnsserver.Reference{Generation: 1 << 60, Set: 77, Zone: 3, Member: 500, Trigger: policy.TriggerIP})
	want := dnsserver.Reference{Generation: 1 << 60, Set: 77, Zone: 3, Member: 500, Trigger: policy.TriggerQNAME, Labels: 2}
	roundTrip(t, want)
	text := dnsserver.EncodeReference(want)
	for _, form := range []string{text, " " + strings.ToLower(text) + "\n", strings.TrimPrefix(text, "ref:")} {
		got, err := dnsserver.DecodeReference(form)
		if err != nil || got != want {
			t.Errorf("DecodeReference(%q) = %+v, %v, want %+v", form, got, err, want)
		}
	}
	swapped := []byte(text)
	swapped[10] ^= 3
	for _, form := range []string{"", "ref:", text[:len(text)-1], text + "A", string(swapped), "ref:!!!"} {
		if got, err := dnsserver.DecodeReference(form); err == nil {
			t.Errorf("DecodeReference(%q) = %+v, want a fault", form, got)
		}
	}
}

func FuzzDecodeReference(f *testing.F) {
	f.Add(dnsserver.EncodeReference(dnsserver.Reference{Generation: 1, Set: 2}))
	f.Add("ref:")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := dnsserver.DecodeReference(s)
		if err != nil {
			return
		}
		if again, err := dnsserver.DecodeReference(dnsserver.EncodeReference(r)); err != nil || again != r {
			t.Errorf("%q is %+v, which comes back as %+v, %v", s, r, again, err)
		}
	})
}
