package dnssec_test

import (
	"testing"

	"cenote/dnssec"
)

// TestWords holds the words of all enums.
func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		dnssec.Indeterminate.String(): "indeterminate", dnssec.Insecure.String(): "insecure", dnssec.Secure.String(): "secure", dnssec.Bogus.String(): "bogus",
		dnssec.Status(9).String(): "status 9", dnssec.CutDelegation.String(): "delegation", dnssec.Cut(9).String(): "absent",
		dnssec.NameError.String(): "name error", dnssec.AnchorAddPend.String(): "pending",
		dnssec.Verdict{Status: dnssec.Secure, Code: dnssec.CodeNone}.String():                      "secure",
		dnssec.Verdict{Status: dnssec.Bogus, Code: dnssec.CodeExpired, Text: "it is old"}.String(): "bogus (7): it is old",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if dnssec.Verdict.String(dnssec.Verdict{}) != "indeterminate (0)" {
		t.Errorf("the zero verdict is %q", dnssec.Verdict{})
	}
}
