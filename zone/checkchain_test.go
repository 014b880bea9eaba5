package zone_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// TestChainsAreChecked spoils the chains of signed zones, and wants the fault told, by dnssec-verify too. A chain that is whole is no fault.
func TestChainsAreChecked(t *testing.T) {
	for name, denial := range map[string]zone.Denial{"NSEC": zone.DenialNSEC, "NSEC3": zone.DenialNSEC3} {
		s := beginSigning(t, "example", t.TempDir(), zone.Signing{Split: true, Denial: denial})
		signed, _ := sign(t, s, load(t, "example", forSigning), nil, time.Now())
		lines := strings.SplitAfter(strings.TrimSuffix(dump(t, signed), "\n")+"\n", "\n")
		at := func(parts ...string) int {
			return slices.IndexFunc(lines, func(l string) bool {
				return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(l, p) })
			})
		}
		chain := "\t" + name + "\t"
		record := at(chain, " MX ") // of a name in the middle, with more than one type
		for _, tc := range []struct {
			name, want string
			change     func(lines []string) []string
		}{
			{"whole", "", func(l []string) []string { return l }},
			{"a record that is missing", map[string]string{"NSEC": "this name has none", "NSEC3": "none is for this name"}[name], func(l []string) []string {
				return slices.Delete(l, record, record+2) // with its signature
			}},
			{"a type too few", "its types are not", func(l []string) []string { l[record] = strings.Replace(l[record], " MX", "", 1); return l }},
			{"a name that was added behind the signer's back", map[string]string{"NSEC": "this name has none", "NSEC3": "none is for this name"}[name], func(l []string) []string {
				return append(l, "late.example. 60 IN A 192.0.2.77\n")
			}},
			{"a name that was taken away", map[string]string{"NSEC": "the next name is", "NSEC3": "stands for no name"}[name], func(l []string) []string {
				return slices.DeleteFunc(l, func(line string) bool { return strings.HasPrefix(line, "unknown.example.") })
			}},
		} {
			text := strings.Join(tc.change(slices.Clone(lines)), "")
			_, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader(text), "test.zone", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(faults, func(f zone.Fault) bool { return tc.want != "" && strings.Contains(f.Text, tc.want) && f.Line > 0 })
			any := slices.ContainsFunc(faults, func(f zone.Fault) bool { return strings.Contains(f.Text, "NSEC") })
			if told != (tc.want != "") || any != (tc.want != "") {
				t.Errorf("%s, %s: faults %v, want %q", name, tc.name, faults, tc.want)
			}
			path := t.TempDir() + "/zone"
			write(t, path, text)
			if out, err := exec.Command(program(t, "dnssec-verify"), "-o", "example.", path).CombinedOutput(); (err != nil) != (tc.want != "") {
				t.Errorf("%s, %s: dnssec-verify says %v\n%s", name, tc.name, err, out)
			}
		}
	}
}
