package policy_test

import (
	"strings"
	"testing"

	"cenote/policy"
)

func roundTrip(t *testing.T, want policy.Reference) {
	t.Helper()
	if got, err := policy.DecodeReference(want.String()); err != nil || got != want {
		t.Errorf("of %+v came %+v, %v", want, got, err)
	}
}

func TestReference(t *testing.T) {
	roundTrip(t, policy.Reference{Generation: 1<<48 - 1, Set: 77, Listed: 99, Zone: 3, Member: 500, Trigger: policy.TriggerIP})
	want := policy.Reference{Generation: 1<<48 - 1, Set: 77, Listed: 99, Zone: 3, Member: 500, Trigger: policy.TriggerQNAME, Labels: 2}
	roundTrip(t, want)
	text := want.String()
	for _, form := range []string{text, " " + strings.ToLower(text) + "\n", strings.TrimPrefix(text, "ref:")} {
		got, err := policy.DecodeReference(form)
		if err != nil || got != want {
			t.Errorf("DecodeReference(%q) = %+v, %v, want %+v", form, got, err, want)
		}
	}
	swapped := []byte(text)
	swapped[10] ^= 3
	for _, form := range []string{"", "ref:", text[:len(text)-1], text + "A", string(swapped), "ref:!!!"} {
		if got, err := policy.DecodeReference(form); err == nil {
			t.Errorf("DecodeReference(%q) = %+v, want a fault", form, got)
		}
	}
}

func FuzzDecodeReference(f *testing.F) {
	f.Add(policy.Reference{Generation: 1, Set: 2, Listed: 3}.String())
	f.Add("ref:")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := policy.DecodeReference(s)
		if err != nil {
			return
		}
		if again, err := policy.DecodeReference(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, which comes back as %+v, %v", s, r, again, err)
		}
	})
}
