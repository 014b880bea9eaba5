package policy_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/policy"
)

// TestPatternsNeedALiteral: a pattern by which every name would have to be tried is refused, and so is one that is no pattern, or too long.
func TestPatternsNeedALiteral(t *testing.T) {
	for _, good := range []string{`ads[0-9]+\.example`, `^track(er)?ing`, `(foo|bar)\.evil$`, `[a-z]{3}\.c2\.example`, `A\.B\.EXAMPLE`, `x{3}evil`, `(evil)+`} {
		if err := policy.ParsePattern(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".*", `[a-z]+`, `(foo|bar)`, `ab`, `evil(`, `(?=look)ahead`, `(evil)*`, `(evil)?x`, `(evil){0,3}`, strings.Repeat("a", policy.PatternMax+1), "evil\x01", `ev.il`, `evil(?:.?.?.?.?.?.?.?.?){500}`} {
		if err := policy.ParsePattern(bad); !errors.Is(err, policy.ErrPattern) {
			t.Errorf("%q: %v, want it refused", bad, err)
		}
	}
}

func TestKeysOfPatterns(t *testing.T) {
	for _, text := range []string{`ads\.example`, `^\S+\.Evil\D$`, strings.Repeat("abcdefghij", 20)} {
		key, ok := policy.AppendPatternKey(nil, text)
		if !ok || policy.TriggerOf(key) != policy.TriggerPattern || policy.KeyText(key) != "/"+text+"/" {
			t.Errorf("%s: key of %v says %s, %t", text, policy.TriggerOf(key), policy.KeyText(key), ok)
		}
		if n, _, err := dnsname.Check(key); err != nil || n != len(key) || string(dnsname.Name(key[:len(key)-9]).Canonical()) != string(key[:len(key)-9]) {
			t.Errorf("%s: its key is no name, or has capitals before the last label: %q", text, key)
		}
	}
	if got := policy.KeyText([]byte("\x05evil\x1b\x07PATTERN\x00")); got != `/evil\x1b/` {
		t.Errorf("a control character is shown as %q", got)
	}
}

// TestPatternsMatchNames: patterns come after names in a zone, and see names in lower case, whole.
func TestPatternsMatchNames(t *testing.T) {
	w := state(t, "zone block: one\nfeed one: exact ads1.example nodata")
	for _, text := range []string{`^ads[0-9]+\.example$`, `evil`} {
		key, _ := policy.AppendPatternKey(nil, text)
		w.add(rule{name: dnsname.Name(key), member: policy.Member{Confidence: policy.ConfidenceUnknown, Action: policy.ActionNXDOMAIN}})
	}
	p := w.policy(t)
	for name, want := range map[string]policy.Trigger{
		"ads1.example": policy.TriggerQNAME, "ads22.example": policy.TriggerPattern, "www.ads22.example": policy.TriggerNone, "ads.example": policy.TriggerNone,
		"a.devil.example": policy.TriggerPattern, "ev.il.example": policy.TriggerNone, `e\.vil.example`: policy.TriggerNone,
	} {
		q := ask(dnsname.MustParse(name), 1)
		d := p.CheckQuery(q)
		if d.Winner.Trigger != want {
			t.Errorf("%s: decided by %s, want %s", name, d.Winner.Trigger, want)
		}
		if e := p.Explain(q, nil); (e.Winner != nil) != d.Matched() || e.Winner != nil && e.Winner.Trigger != want {
			t.Errorf("%s: explained as %+v", name, e.Winner)
		}
	}
	q := ask(dnsname.MustParse("clean.evi.test"), 1)
	if n := testing.AllocsPerRun(100, func() { p.CheckQuery(q) }); n != 0 {
		t.Errorf("a name that no pattern matches costs %v heap objects", n)
	}
}

// FuzzPattern: what a pattern matches, it is found by.
func FuzzPattern(f *testing.F) {
	f.Add(`ads[0-9]+`, "www.ads1.example")
	f.Add(`^(a|b)evil.*x$`, "aevil.x")
	f.Add(`\S\Devil(?i:X)`, "xyevilx")
	f.Fuzz(func(t *testing.T, text, name string) {
		n, err := dnsname.Parse(name)
		if err != nil || policy.ParsePattern(text) != nil {
			return
		}
		key, ok := policy.AppendPatternKey(nil, text)
		if !ok || policy.TriggerOf(key) != policy.TriggerPattern {
			t.Fatalf("%q has the key %q", text, key)
		}
		n = n.Canonical()
		plain := policy.PlainText([]byte(n))
		want := regexp.MustCompile("(?i:" + text + ")").MatchString(plain)
		if got := policy.PatternFinds(text, []byte(n)); got != want {
			t.Fatalf("%q finds %q: %t, want %t", text, plain, got, want)
		}
	})
}
