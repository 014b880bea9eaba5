package policy_test

import (
	"net/netip"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/policy"
)

// key is a key as policy zones write it: the owner name with the last label in lower case.
func key(t testing.TB, owner string) []byte {
	t.Helper()
	cut := strings.LastIndexByte(owner, '.')
	return []byte(dnsname.MustParse(owner[:cut] + "." + strings.ToUpper(owner[cut+1:])))
}

// TestKeysOfPrefixes: the examples of the draft's section 4, and the corners of its spelling.
func TestKeysOfPrefixes(t *testing.T) {
	for owner, prefix := range map[string]string{
		"32.1.2.0.192.rpz-ip":                "192.0.2.1/32",
		"24.0.2.0.192.rpz-client-ip":         "192.0.2.0/24",
		"8.0.0.0.10.rpz-nsip":                "10.0.0.0/8",
		"128.57.zz.1.0.0.db8.2001.rpz-ip":    "", // the longest run is the first of two
		"128.57.zz.101.db8.2001.rpz-ip":      "2001:db8:101::57/128",
		"48.zz.101.db8.2001.rpz-ip":          "2001:db8:101::/48",
		"128.1.zz.rpz-client-ip":             "::1/128",
		"1.zz.rpz-nsip":                      "::/1",
		"128.0.1.0.1.0.1.0.1.rpz-ip":         "1:0:1:0:1:0:1:0/128",
		"128.1.0.0.1.zz.1.rpz-ip":            "1::1:0:0:1/128",
		"128.1.1.1.1.1.1.1.1.rpz-ip":         "1:1:1:1:1:1:1:1/128",
		"96.zz.2.1.rpz-ip":                   "1:2::/96",
		"128.4.3.2.1.zz.ffff.0.0.db8.rpz-ip": "",
	} {
		p, ok := policy.KeyPrefix(key(t, owner))
		switch {
		case prefix == "" && ok:
			t.Errorf("%s is %s, want it refused", owner, p)
		case prefix != "" && (!ok || p.String() != prefix):
			t.Errorf("%s is %s, %t, want %s", owner, p, ok, prefix)
		case prefix != "":
			k := policy.AppendPrefixKey(nil, policy.TriggerOf(key(t, owner)), p)
			if string(k) != string(key(t, owner)) {
				t.Errorf("the key of %s is %s, want %s", p, dnsname.Name(k), owner)
			}
		}
	}
}

// TestPrefixSpellings: a single word of zeros of an IPv6 address is written in two ways; all else in one.
func TestPrefixSpellings(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.0/24":           "24.0.2.0.192",
		"2001:db8::/32":          "32.zz.db8.2001",
		"2001:0:3:4:5:6:7:8/128": "128.8.7.6.5.4.3.0.2001 128.8.7.6.5.4.3.zz.2001",
		"2001:1:3:0:5:6:0:8/128": "128.8.0.6.5.0.3.1.2001 128.8.0.6.5.zz.3.1.2001",
		"0:2:3:4:5:6:7:8/128":    "128.8.7.6.5.4.3.2.0 128.8.7.6.5.4.3.2.zz",
		"1:2:3:4:5:6:7:0/112":    "112.0.7.6.5.4.3.2.1 112.zz.7.6.5.4.3.2.1",
		"1:0:3:4:5:6::/96":       "96.zz.6.5.4.3.0.1",
		"::ffff:192.0.2.1/128":   "128.201.c000.ffff.zz",
		"1111:2:3:4:5:6:7:8/128": "128.8.7.6.5.4.3.2.1111",
		"1:0:1:0:1:0:1:1/128":    "128.1.1.0.1.0.1.0.1 128.1.1.0.1.0.1.zz.1",
	} {
		var got []string
		for _, labels := range policy.PrefixSpellings(netip.MustParsePrefix(prefix)) {
			got = append(got, dnsname.Name(append(labels, 0)).String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is spelled %q, want %q", prefix, got, want)
		}
	}
}

// TestPrefixesAreReadStrictly: what the draft's section 4.1.1 forbids, and what it means where that is allowed.
func TestPrefixesAreReadStrictly(t *testing.T) {
	for labels, lenient := range map[string]string{
		"32.01.2.0.192":                  "",
		"33.1.2.0.192":                   "",
		"0.0.0.0.0":                      "",
		"129.zz":                         "",
		"24.1.2.0.192":                   "192.0.2.0/24",
		"8.2.0.0.10":                     "10.0.0.0/8",
		"1.0.218.230":                    "230.218.0.1/32",
		"24.10.100.51.198":               "198.51.100.0/24",
		"32.10.zz.db8.2001":              "2001:db8::/32",
		"128.1.0.0.0.0.0.db8.2001":       "2001:db8::1/128",
		"128.zz.1.zz":                    "",
		"128.1.1.1.1.1.1.1.1.1":          "",
		"128.1.1.1.1.1.1.1":              "",
		"128.00001.zz":                   "",
		"128.01.zz":                      "::1/128",
		"zz":                             "",
		"":                               "",
		"32.1.2.0.256":                   "",
		"128.1.zz.ffff.g":                "",
		"128.1.2.3.4.zz.1.2.3.4.5.6.7.8": "",
	} {
		var wire []byte
		if labels != "" {
			wire = []byte(dnsname.MustParse(labels))
			wire = wire[:len(wire)-1]
		}
		if p, err := policy.ParsePrefix(wire, true); err == nil {
			t.Errorf("%q is read strictly as %s", labels, p)
		}
		p, err := policy.ParsePrefix(wire, false)
		if lenient == "" && err == nil || lenient != "" && (err != nil || p.String() != lenient) {
			t.Errorf("%q is read as %s, %v, want %q", labels, p, err, lenient)
		}
	}
}

func TestKeysOfNames(t *testing.T) {
	name := []byte(dnsname.MustParse("ns.evil.example"))
	k, ok := policy.AppendNameKey(nil, name)
	if !ok || policy.TriggerOf(k) != policy.TriggerNSDNAME || policy.KeyText(k) != "ns.evil.example" {
		t.Errorf("key %q, %t, of %v, says %q", k, ok, policy.TriggerOf(k), policy.KeyText(k))
	}
	if policy.TriggerOf(name) != policy.TriggerQNAME || policy.KeyText(name) != "ns.evil.example" {
		t.Errorf("the name's own key is of %v and says %q", policy.TriggerOf(name), policy.KeyText(name))
	}
	lower := []byte(dnsname.MustParse("32.1.2.0.192.rpz-ip"))
	if policy.TriggerOf(lower) != policy.TriggerQNAME {
		t.Errorf("a query name is taken for a rule about an address")
	}
	label := strings.Repeat("a", 63)
	long := []byte(dnsname.MustParse(strings.Join([]string{label, label, label, "example"}, ".")))
	if _, ok := policy.AppendNameKey(nil, append(long[:0:0], long...)); !ok {
		t.Error("a name with room for the last label has no key")
	}
	longest := []byte(dnsname.MustParse(strings.Join([]string{label, label, label, strings.Repeat("b", 55)}, ".")))
	if _, ok := policy.AppendNameKey(nil, longest); ok {
		t.Error("a name without room for the last label has a key")
	}
	for prefix, want := range map[string]string{"192.0.2.1/32": "192.0.2.1", "192.0.2.0/24": "192.0.2.0/24", "2001:db8::1/128": "2001:db8::1"} {
		k := policy.AppendPrefixKey(nil, policy.TriggerIP, netip.MustParsePrefix(prefix))
		if got := policy.KeyText(k); got != want {
			t.Errorf("the key of %s says %q, want %q", prefix, got, want)
		}
	}
}
