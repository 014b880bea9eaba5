package policy_test

import (
	"bytes"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/policy"
)

// FuzzParsePrefix: what is read strictly is among the spellings of what it is, which are all read strictly as that; what is read at all has one key, and that key is read strictly.
func FuzzParsePrefix(f *testing.F) {
	for _, owner := range []string{"32.1.2.0.192", "24.0.2.0.192", "8.2.0.0.10", "1.0.218.230", "128.57.zz.101.db8.2001", "48.zz.1.db8.2001", "1.zz", "128.1.2.zz.3.4", "128.8.7.6.5.4.3.0.2001", "128.8.7.6.5.4.3.zz.2001"} {
		wire := []byte(dnsname.MustParse(owner))
		f.Add(wire[:len(wire)-1])
	}
	f.Fuzz(func(t *testing.T, labels []byte) {
		n, _, err := dnsname.Check(append(bytes.Clone(labels), 0))
		if err != nil || n != len(labels)+1 {
			return
		}
		p, err := policy.ParsePrefix(labels, false)
		strict, strictErr := policy.ParsePrefix(labels, true)
		if strictErr == nil && (err != nil || strict != p) {
			t.Fatalf("%q: strictly %v, else %v, %v", labels, strict, p, err)
		}
		if err != nil {
			return
		}
		if p != p.Masked() || p.Bits() < 1 {
			t.Fatalf("%q is %v", labels, p)
		}
		key := policy.AppendPrefixKey(nil, policy.TriggerNSIP, p)
		again, ok := policy.KeyPrefix(key)
		if !ok || again != p || policy.TriggerOf(key) != policy.TriggerNSIP {
			t.Fatalf("%v has the key %q, which is %v, %t", p, key, again, ok)
		}
		spellings := policy.PrefixSpellings(p)
		if strictErr == nil && !slices.ContainsFunc(spellings, func(s []byte) bool { return bytes.Equal(s, labels) }) {
			t.Fatalf("%q is read strictly as %v, which is spelled %q", labels, p, spellings)
		}
		for _, s := range spellings {
			if again, err := policy.ParsePrefix(s, true); err != nil || again != p {
				t.Fatalf("%v is spelled %q, which is %v, %v", p, s, again, err)
			}
		}
	})
}
