package policy_test

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

func TestChecksAllocateNothing(t *testing.T) {
	var above strings.Builder // more listed names above one than the short path takes
	for i := range 12 {
		fmt.Fprintf(&above, ", subtree %sdeep.example", strings.Repeat("a.", i))
	}
	p := state(t, `
		zone shadow: one log-only
		zone block: one two
		feed one: subtree bad.example, exact www.bad.example until=20`+above.String()+`
		rpz two: below rpz.example, empty a.rpz.example, exact b.a.rpz.example`).policy(t)
	for name, c := range map[string]struct {
		query string
		hour  int64
	}{
		"clean":                    {"www.clean.example", 1},
		"one match":                {"x.bad.example", 1},
		"two matches":              {"www.bad.example", 1},
		"an expired rule":          {"www.bad.example", 30},
		"closest encloser":         {"b.a.rpz.example", 1},
		"stopped":                  {"c.a.rpz.example", 1},
		"more matches than expect": {strings.Repeat("a.", 20) + "deep.example", 1},
	} {
		q := ask(dnsname.MustParse(c.query), c.hour)
		if n := testing.AllocsPerRun(200, func() { p.CheckQuery(q) }); n != 0 {
			t.Errorf("%s: CheckQuery allocates %v times, want 0", name, n)
		}
	}
	for name, target := range map[string]string{"clean chain": "good.example.", "listed target": "bad.example."} {
		q := ask(dnsname.MustParse("www.example"), 1)
		msg := answer(t, "www.example", true, "www.example. CNAME a.example.", "a.example. CNAME "+target)
		if n := testing.AllocsPerRun(200, func() { p.CheckAnswer(q, &policy.Answer{Msg: msg}, policy.Decision{}) }); n != 0 {
			t.Errorf("%s: CheckAnswer allocates %v times, want 0", name, n)
		}
	}
}

// TestServersThatNothingListsTakeNoAllocation: where rules list name servers, an answer with others costs none, long names of servers among them.
func TestServersThatNothingListsTakeNoAllocation(t *testing.T) {
	w := state(t, "zone block: one\nfeed one: exact bad.example")
	key, _ := policy.AppendNameKey(nil, []byte(dnsname.MustParse("bulletproof.test")))
	w.add(rule{name: dnsname.Name(key), member: policy.Member{Kind: policy.KindBelow, Confidence: policy.ConfidenceUnknown}})
	w.countTriggers()
	p, q := w.policy(t), ask(dnsname.MustParse("www.example"), 1)
	long := strings.Repeat(strings.Repeat("n", 60)+".", 4)
	a := &policy.Answer{Msg: answer(t, "www.example", true, "www.example. A 192.0.2.1"), Paths: []policy.Path{{Servers: []policy.Server{
		{Name: []byte(dnsname.MustParse("ns1.good.test"))}, {Name: []byte(dnsname.MustParse(long + "good"))},
	}}}}
	if n := testing.AllocsPerRun(200, func() { p.CheckAnswer(q, a, policy.Decision{}) }); n != 0 {
		t.Errorf("CheckAnswer allocates %v times, want 0", n)
	}
}

// shared returns the folder with the data that tests share. Without it the test is skipped, or fails in strict mode.
func shared(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	must(t, err)
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	dir = filepath.Join(dir, "..", "shared")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if os.Getenv("CENOTE_STRICT") == "1" {
		t.Fatalf("%s is absent, and CENOTE_STRICT=1", dir)
	}
	t.Skipf("%s is absent", dir)
	return ""
}

// million lists a million names, real ones as far as they go, as a subtree each, by family; feeds hold them in turns.
func million(b *testing.B, feeds int) (names []dnsname.Name, x *nameindex.Index) {
	b.Helper()
	m := policy.Manifest{Generation: 1, Families: []string{""}, Threats: []string{""}}
	for i := range feeds {
		m.Feeds = append(m.Feeds, policy.Feed{Name: fmt.Sprint("feed ", i)})
	}
	const size = 1_000_000
	builder := nameindex.NewBuilder(nameindex.BuildOptions{Names: size})
	seen := map[dnsname.Name]bool{}
	add := func(name dnsname.Name) {
		if len(names) == size || seen[name] {
			return
		}
		seen[name] = true
		member := policy.Member{Feed: uint16(len(names) % feeds), Family: uint32(len(m.Families) - 1), Kind: policy.KindSubtree, Confidence: policy.ConfidenceUnknown}
		must(b, builder.Add([]byte(name), builder.AddSet(policy.EncodeSet([]policy.Member{member}))))
		names = append(names, name)
	}
	eachTrail(b, func(family string, r io.Reader) {
		m.Families = append(m.Families, family)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			line := strings.ToLower(strings.TrimSpace(lines.Text()))
			if name, err := dnsname.Parse(line); err == nil && strings.Contains(line, ".") && !strings.ContainsAny(line, "#/:() ") {
				add(name)
			}
		}
	})
	for i := 0; len(names) < size; i++ {
		add(dnsname.MustParse(fmt.Sprintf("made-%x.example", i)))
	}
	return names, save(b, builder, &m)
}

func eachTrail(b *testing.B, visit func(family string, r io.Reader)) {
	b.Helper()
	f, err := os.Open(filepath.Join(shared(b), "data", "maltrail", "malware.tar.gz"))
	must(b, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(b, err)
	for archive := tar.NewReader(z); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(b, err)
		visit(strings.TrimSuffix(filepath.Base(head.Name), ".txt"), archive)
	}
}

func BenchmarkCheckQuery(b *testing.B) {
	for _, feeds := range []int{1, 64} {
		names, x := million(b, feeds)
		zones := []policy.Zone{{Name: "allow", Action: policy.ActionPassthru}, {Name: "block"}, {Name: "shadow", LogOnly: true}}
		for i := range feeds {
			zones[1].Feeds = append(zones[1].Feeds, fmt.Sprint("feed ", i))
		}
		p, err := policy.New(policy.Config{Zones: zones, Index: x})
		must(b, err)
		r := rand.New(rand.NewPCG(1, 1))
		for what, query := range map[string]func() dnsname.Name{
			"hit": func() dnsname.Name { return names[r.IntN(len(names))] },
			"below": func() dnsname.Name {
				child, _ := names[r.IntN(len(names))].Child("www")
				return child
			},
			"clean": func() dnsname.Name { return dnsname.MustParse(fmt.Sprintf("www.c%x.example", r.Uint32())) },
		} {
			queries := make([]policy.Request, 1<<14)
			for i := range queries {
				queries[i] = policy.Request{Name: []byte(query()), Time: time.Unix(1_700_000_000, 0)}
			}
			b.Run(fmt.Sprintf("names=1000000/feeds=%d/%s", feeds, what), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					p.CheckQuery(&queries[i&(len(queries)-1)])
				}
			})
		}
	}
}

// The judged path is for feeds that can stop or except; it must not be far from the table.
func BenchmarkCheckQueryJudged(b *testing.B) {
	p := state(b, `
		zone allow: one action=passthru
		zone block: two three
		feed one: exact good.example
		feed two: subtree bad.example, except exact ok.bad.example, subtree www.bad.example
		rpz three: below bad.example, empty a.bad.example, exact b.a.bad.example`).policy(b)
	for what, name := range map[string]string{"exception": "x.ok.bad.example", "two": "x.www.bad.example", "encloser": "b.a.bad.example"} {
		q := ask(dnsname.MustParse(name), 1)
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.CheckQuery(q)
			}
		})
	}
}

// The worst that a feed's author can do to us: a query below 120 nested names of one RPZ feed, with exceptions of another among them.
func BenchmarkCheckQueryDeepest(b *testing.B) {
	w := state(b, "zone block: one two\nfeed one:\nrpz two:")
	name := dnsname.Root
	for range 120 {
		name, _ = name.Child("a")
		for feed := range uint16(2) {
			m := policy.Member{Feed: feed, Kind: policy.KindSubtree, Confidence: policy.ConfidenceUnknown}
			w.rules = append(w.rules, rule{name, m})
		}
	}
	w.rules = append(w.rules, rule{dnsname.MustParse("a"), policy.Member{Kind: policy.KindSubtree, Exception: true, Confidence: policy.ConfidenceUnknown}})
	p := w.policy(b)
	q := ask(name, 1)
	b.ReportAllocs()
	for b.Loop() {
		p.CheckQuery(q)
	}
}

func BenchmarkCheckAnswer(b *testing.B) {
	p := state(b, "zone block: one\nfeed one: subtree bad.example").policy(b)
	q := ask(dnsname.MustParse("www.example"), 1)
	for what, records := range map[string][]string{
		"steps=0": {"www.example. A 192.0.2.1", "www.example. A 192.0.2.2"},
		"steps=2": {"www.example. CNAME a.example.", "a.example. CNAME b.example.", "b.example. A 192.0.2.1"},
	} {
		msg := answer(b, "www.example", true, records...)
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.CheckAnswer(q, &policy.Answer{Msg: msg}, policy.Decision{})
			}
		})
	}
}
