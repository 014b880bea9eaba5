package blocklist_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"
)

// said is all that a policy says: the members of every name, in words that do not depend on how texts are numbered.
func said(t *testing.T, p *policy.Policy) map[string][]string {
	t.Helper()
	m, x := p.Manifest(), p.Index()
	all := map[string][]string{}
	for name, set := range x.All() {
		members, err := policy.DecodeSet(x.Set(set))
		must(t, err)
		for _, k := range members {
			data := ""
			if k.Data != 0 {
				data = fmt.Sprint(m.Data[k.Data-1])
			}
			all[name.String()] = append(all[name.String()], fmt.Sprintf("%s %v %v exception %v family %q threat %q confidence %d expiry %d data %s",
				m.Feeds[k.Feed].Name, k.Kind, k.Action, k.Exception, m.Families[k.Family], m.Threats[k.Threat], k.Confidence, k.Expiry, data))
		}
		slices.Sort(all[name.String()]) // the numbers of texts decide the order in a set
	}
	return all
}

// randomFeeds are the contents of feeds of several formats that list some of the same few names.
func randomFeeds(r *rand.Rand) map[string]string {
	out := map[string]string{}
	domain := func() string { return fmt.Sprintf("n%d.example", r.IntN(60)) }
	hosts := func() string {
		var b strings.Builder
		for range r.IntN(40) {
			fmt.Fprintf(&b, "0.0.0.0 %s # family-%d\n", domain(), r.IntN(4))
		}
		return b.String() + "0.0.0.0 always.example\n"
	}
	out["hosts"], out["more"] = hosts(), hosts()
	var csv strings.Builder
	csv.WriteString("domain,family,confidence,expires\nalways.example,,,\n")
	for range r.IntN(30) {
		fmt.Fprintf(&csv, "%s,family-%d,%d,2031-01-0%dT00:00:00Z\n", domain(), r.IntN(2), 50+r.IntN(2), 1+r.IntN(3))
	}
	out["csv"] = csv.String()
	var rpz strings.Builder
	rpz.WriteString("$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nalways.example CNAME .\n")
	for range r.IntN(20) {
		fmt.Fprintf(&rpz, "%s%s %s\n", []string{"", "*."}[r.IntN(2)], domain(), []string{"CNAME .", "CNAME rpz-passthru.", fmt.Sprintf("A 192.0.2.%d", r.IntN(3)), fmt.Sprintf("A 192.0.2.%d", r.IntN(3))}[r.IntN(4)])
	}
	out["rpz"] = dedup(rpz.String())
	return out
}

// dedup leaves one line for each owner: an RPZ source is refused if an owner has a CNAME beside other data.
func dedup(zone string) string {
	seen := map[string]bool{}
	var b strings.Builder
	for line := range strings.Lines(zone) {
		if owner, _, _ := strings.Cut(line, " "); owner == "@" || !seen[owner] {
			seen[owner] = true
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestDeltaSaysWhatTheWholeSays changes feeds at random: a policy with a delta upon another says at every step what one says that was
// compiled whole, and a match leads to the row.
func TestDeltaSaysWhatTheWholeSays(t *testing.T) {
	t.Parallel()
	changeAtRandom(t, func(w *world) {}, func(w *world) uint64 {
		if w.current().Policy.Index().Delta() != nil {
			return 1
		}
		return 0
	})
}

// TestMergedSaysWhatTheWholeSays is the same of an index that is made of the one before and of the changes.
func TestMergedSaysWhatTheWholeSays(t *testing.T) {
	t.Parallel()
	changeAtRandom(t, func(w *world) { w.merging = true }, moreOf((*blocklist.Publisher).Merged))
}

// moreOf tells how much more has been counted since the last time.
func moreOf(count func(*blocklist.Publisher) uint64) func(*world) uint64 {
	before := uint64(0)
	return func(w *world) uint64 {
		all := count(w.p)
		defer func() { before = all }()
		if all < before { // it was opened anew
			return all
		}
		return all - before
	}
}

// TestDeltaOfAChildSaysWhatTheWholeSays is the same of deltas that the child makes, each upon the one before.
func TestDeltaOfAChildSaysWhatTheWholeSays(t *testing.T) {
	t.Parallel()
	changeAtRandom(t, func(w *world) { w.files = 1 }, moreOf((*blocklist.Publisher).Deltas))
}

// TestSmallChangeEndsALargeDelta: what a large delta says goes into an index with the next small change, so that those after it are small deltas again.
func TestSmallChangeEndsALargeDelta(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.files = 4
	w.feed("small", "0.0.0.0 a.example\n")
	w.feed("f", domainList("old", 0, 3000))
	w.reload(blocklist.ReloadOptions{})
	number := w.current().Number
	check := func(delta int, listed, gone string) {
		t.Helper()
		w.reload(blocklist.ReloadOptions{})
		if number++; w.current().Number != number || w.hasDelta() != delta || !w.lists(listed) || w.lists(gone) {
			t.Errorf("generation %d has a delta of %d names, want %d; %s is listed: %v, %s: %v", w.current().Number, w.hasDelta(), delta, listed, w.lists(listed), gone, w.lists(gone))
		}
		if names := w.current().Policy.Index().Len(); names != 3001 {
			t.Errorf("%d names are listed, want 3001", names)
		}
	}
	w.feed("f", domainList("old", 100, 3000)+domainList("new", 0, 100))
	check(200, "n0.new.example", "n0.old.example")
	w.feed("f", domainList("old", 200, 3000)+domainList("new", 0, 200))
	check(400, "n199.new.example", "n199.old.example")
	w.close()
	w.open(nil)
	number += blocklist.NumberGap
	w.feed("small", "0.0.0.0 b.example\n")
	check(-1, "b.example", "a.example")
	w.feed("small", "0.0.0.0 c.example\n")
	check(2, "c.example", "b.example")
	w.feed("f", domainList("old", 1000, 3000)+domainList("new", 0, 1000)) // more than a delta may have
	check(-1, "n999.new.example", "n999.old.example")
}

// changeAtRandom holds a world against one in which everything is compiled whole. served tells in how many ways that are tested the last change was.
func changeAtRandom(t *testing.T, set func(w *world), served func(w *world) uint64) {
	r := rand.New(rand.NewPCG(4, 9))
	delta, whole := newWorld(t, nil), newWorld(t, nil)
	set(delta)
	whole.whole = true
	write := func(contents map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(contents)) {
			delta.feed(name, contents[name])
			whole.feed(name, contents[name])
		}
		delta.reload(blocklist.ReloadOptions{})
		whole.reload(blocklist.ReloadOptions{})
	}
	contents := randomFeeds(r)
	var still strings.Builder
	for i := range 300 {
		fmt.Fprintf(&still, "0.0.0.0 still-%d.example\n", i)
	}
	contents["still"] = still.String() // so that there is more than what changes
	for _, w := range []*world{delta, whole} {
		w.base = func(c *blocklist.Config) { c.ShrinkMax = 1 }
	}
	write(contents)
	deltas := uint64(0)
	for round := range 12 {
		next := randomFeeds(r)
		some := map[string]string{}
		for name := range contents {
			if content, ok := next[name]; ok && r.IntN(2) == 0 {
				some[name] = content
			}
		}
		write(some)
		if round%5 == 4 {
			delta.close()
			delta.open(nil)
		}
		got, want := said(t, delta.current().Policy), said(t, whole.current().Policy)
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("round %d: it says %v\nthe whole says %v", round, got, want)
		}
		deltas += served(delta)
		rowsAreFound(t, delta.current())
	}
	if deltas < 9 { // a start counts anew
		t.Errorf("%d of 12 rounds were served so: nothing was tested", deltas)
	}
	if whole.current().Policy.Index().Delta() != nil {
		t.Error("the whole has a delta")
	}
}

func rowsAreFound(t *testing.T, g *blocklist.Generation) {
	t.Helper()
	for name, set := range g.Policy.Index().All() {
		members, err := policy.DecodeSet(g.Policy.Index().Set(set))
		must(t, err)
		for _, m := range members {
			if m.Kind == policy.KindENT {
				continue
			}
			if _, err := g.LocateMember(m, []byte(name)); err != nil {
				t.Fatalf("%s, %+v: %v", name, m, err)
			}
		}
	}
}

// deltaWorld serves a feed f with a.example and other.example.
func deltaWorld(t *testing.T) *world {
	w := newWorld(t, nil)
	w.feed("f", "0.0.0.0 a.example\n0.0.0.0 other.example\n")
	w.feed("g", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	return w
}

// hasDelta is how many names are in the delta of what is served; -1 for none.
func (w *world) hasDelta() int {
	if d := w.current().Policy.Index().Delta(); d != nil {
		return d.Len()
	}
	return -1
}

func TestDeltaIsServedAfterRestart(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	w.feed("f", "0.0.0.0 b.example\n0.0.0.0 other.example\n")
	w.reload(blocklist.ReloadOptions{})
	number := w.current().Number
	if n := w.hasDelta(); n != 2 {
		t.Fatalf("the delta has %d names, want 2", n)
	}
	if names, deltas, took := w.metric("cenote_blocklist_delta_names"), w.metric("cenote_blocklist_deltas_total"), w.metric("cenote_blocklist_publish_seconds"); names != 2 || deltas != 1 || !(took > 0) {
		t.Errorf("metrics tell of %v names in a delta, %v deltas, %v seconds", names, deltas, took)
	}
	w.close()
	w.open(nil)
	if w.current().Number != number || w.hasDelta() != 2 || !w.lists("b.example") || !w.lists("other.example") || !w.lists("a.example") {
		t.Errorf("after a restart generation %d with a delta of %d names is served, want %d with 2", w.current().Number, w.hasDelta(), number)
	}
	w.feed("g", "0.0.0.0 other.example\n")
	w.reload(blocklist.ReloadOptions{})
	if w.lists("a.example") || !w.lists("b.example") || w.hasDelta() < 0 {
		t.Error("the next delta does not stand on the one before")
	}
	if s := w.p.CompileStatus(); s.DeltaNames != w.hasDelta() || s.Names != 2 || s.Pending {
		t.Errorf("status = %+v, want %d names in the delta and 2 served", s, w.hasDelta())
	}
}

// TestMergeDecidesAsTheDelta: which of two families decides is the same with a delta and in the index that follows.
func TestMergeDecidesAsTheDelta(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const head = "domain,family,confidence\n"
	w.feed("f", head+"gone.example,unused,50\nb.example,y,50\n")
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", head+"a.example,x,50\na.example,y,50\nb.example,y,50\n")
	w.reload(blocklist.ReloadOptions{})
	family := func() string {
		p := w.current().Policy
		d := p.CheckQuery(&policy.Request{Time: time.Now(), Name: []byte(dnsname.MustParse("a.example"))})
		return p.Rule(d.Winner).Family
	}
	before, n := family(), w.hasDelta()
	w.p.SetDeltas(0, time.Nanosecond)
	w.reload(blocklist.ReloadOptions{})
	if after := family(); after != before || n < 1 || w.hasDelta() >= 0 {
		t.Errorf("with the delta (of %d names) the winner is of family %q, in the index after it %q", n, before, after)
	}
	if m := w.current().Policy.Manifest(); slices.Contains(m.Families, "unused") {
		t.Errorf("families are %q, of which one is used no more", m.Families)
	}
}

// TestFeedThatChangedInNoZone: what a feed said meanwhile is served once a zone holds it again.
func TestFeedThatChangedInNoZone(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	zones := func(feeds ...string) {
		_, err := w.p.SetZones(t.Context(), zonesOf(feeds...))
		must(t, err)
	}
	zones("f")
	w.feed("g", "0.0.0.0 fresh.example\n")
	w.reload(blocklist.ReloadOptions{})
	if w.lists("fresh.example") {
		t.Fatal("a feed of no zone is served")
	}
	zones("f", "g")
	if !w.lists("fresh.example") || w.p.CompileStatus().Pending {
		t.Error("the feed is served as it was before")
	}
}

// TestDeltasOfManyTextsAreCompiled: what deltas bring and nobody uses any more does not stay for ever.
func TestDeltasOfManyTextsAreCompiled(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	w.p.SetDeltas(10, time.Hour)
	most := 0
	for round := range 20 {
		var csv strings.Builder
		csv.WriteString("domain,family\n")
		for i := range 4 {
			fmt.Fprintf(&csv, "n%d.example,family-%d-%d\n", i, round, i)
		}
		w.feed("g", csv.String())
		w.reload(blocklist.ReloadOptions{})
		most = max(most, len(w.current().Policy.Manifest().Families))
	}
	if most > 60 || most < 20 {
		t.Errorf("up to %d families are in the manifest, want some 40 before all is compiled anew", most)
	}
}

// What is taken back leaves the delta again, and lines that only move are no change.
func TestDeltaOfNothing(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	w.feed("f", "0.0.0.0 b.example\n0.0.0.0 other.example\n")
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", "# moved\n\n0.0.0.0 a.example\n0.0.0.0 other.example\n")
	w.reload(blocklist.ReloadOptions{})
	if n := w.hasDelta(); n != 0 || w.lists("b.example") || !w.lists("a.example") {
		t.Errorf("the delta has %d names, want 0", n)
	}
	row, err := w.current().Locate(0, []byte(dnsname.MustParse("other.example")))
	if err != nil || row.Line != 4 {
		t.Errorf("Locate = %+v, %v; want line 4", row, err)
	}
}

func TestLargeChangeIsCompiledWhole(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	w.p.SetDeltas(3, time.Hour)
	w.feed("f", "0.0.0.0 b.example\n0.0.0.0 other.example\n")
	w.reload(blocklist.ReloadOptions{})
	if n := w.hasDelta(); n != 2 {
		t.Fatalf("the delta has %d names, want 2", n)
	}
	w.feed("f", "0.0.0.0 c.example\n0.0.0.0 other.example\n") // two more, and there is room for one
	w.reload(blocklist.ReloadOptions{})
	if w.hasDelta() >= 0 || !w.lists("c.example") || w.lists("b.example") {
		t.Errorf("there is a delta of %d names, want none", w.hasDelta())
	}
}

func TestNewFeedIsCompiledWhole(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	w.feed("h", "0.0.0.0 h.example\n")
	w.reload(blocklist.ReloadOptions{})
	if w.hasDelta() >= 0 || !w.lists("h.example") {
		t.Error("a new feed is served as a delta")
	}
	w.feed("h", "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nh.example CNAME .\n") // judged by another rule now
	w.reload(blocklist.ReloadOptions{})
	if w.hasDelta() >= 0 || !w.lists("h.example") {
		t.Error("a feed that became an RPZ source is served as a delta")
	}
}

// An old delta goes into an index although no feed has changed.
func TestOldDeltaIsCompiled(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	w.feed("f", "0.0.0.0 b.example\n0.0.0.0 other.example\n")
	w.reload(blocklist.ReloadOptions{})
	if w.hasDelta() < 0 {
		t.Fatal("there is no delta")
	}
	w.p.SetDeltas(100, 100*time.Millisecond)
	w.run()
	w.eventually("the delta is gone", func() bool { return w.p.Current().Policy.Index().Delta() == nil })
	if !w.lists("b.example") || w.p.CompileStatus().DeltaNames != 0 {
		t.Error("what the delta said is lost")
	}
}

// Where the delta cannot be written, the index is.
func TestDeltaThatFailsIsCompiledWhole(t *testing.T) {
	t.Parallel()
	w := deltaWorld(t)
	for n := range uint64(10) {
		must(t, os.MkdirAll(filepath.Join(w.dir, "state", "policy", fmt.Sprint(n, ".delta"), "in the way"), 0o700))
	}
	w.feed("f", "0.0.0.0 b.example\n0.0.0.0 other.example\n")
	report := w.reload(blocklist.ReloadOptions{})
	if w.hasDelta() >= 0 || !w.lists("b.example") || !report.Published || len(report.Feeds) != 1 {
		t.Errorf("delta of %d names, report %+v; log:\n%s", w.hasDelta(), report, w.log())
	}
	if s := w.p.CompileStatus(); s.Pending || s.Error != "" {
		t.Errorf("status = %+v", s)
	}
}

// TestMappedPolicy: index files are used where they are if that is wanted, also after a restart and under a delta.
func TestMappedPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *blocklist.Config) { c.Mapped = true })
	mapped := func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		must(t, err)
		return strings.Contains(string(maps), filepath.Join(w.dir, "state", "policy"))
	}
	w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	if !mapped() || !w.lists("a.example") {
		t.Errorf("mapped %t, listed %t; want both", mapped(), w.lists("a.example"))
	}
	w.feed("f", "0.0.0.0 a.example\n0.0.0.0 b.example\n")
	w.reload(blocklist.ReloadOptions{})
	w.close()
	w.open(nil)
	if !mapped() || w.hasDelta() != 1 || !w.lists("a.example") || !w.lists("b.example") {
		t.Errorf("after a restart: mapped %t, a delta of %d names", mapped(), w.hasDelta())
	}
}

// TestDeltaSeesEveryChange: whatever of a row an index knows, a change of it alone is served.
func TestDeltaSeesEveryChange(t *testing.T) {
	t.Parallel()
	const csv, rpz = "domain,family,confidence,expires\n", "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n"
	for name, tc := range map[string]struct{ before, after string }{
		"expiry":           {csv + "a.example,x,50,2031-01-01T00:00:00Z\n", csv + "a.example,x,50,2031-01-01T05:00:00Z\n"},
		"confidence":       {csv + "a.example,x,50,\n", csv + "a.example,x,60,\n"},
		"family":           {csv + "a.example,x,50,\n", csv + "a.example,y,50,\n"},
		"swapped families": {csv + "a.example,x,50,\nb.example,y,50,\n", csv + "a.example,y,50,\nb.example,x,50,\n"},
		"action":           {rpz + "a.example CNAME .\n", rpz + "a.example CNAME *.\n"},
		"kind":             {rpz + "a.example CNAME .\n", rpz + "*.a.example CNAME .\n"},
		"local data":       {rpz + "a.example A 192.0.2.1\n", rpz + "a.example A 192.0.2.2\n"},
		"another row":      {rpz + "a.example CNAME .\n", rpz + "a.example CNAME .\n*.a.example CNAME .\n"},
		"empty name":       {rpz + "b.a.example CNAME .\n", rpz + "b.a.example CNAME .\nd.c.example CNAME .\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, whole := newWorld(t, nil), newWorld(t, nil)
			w.feed("f", tc.before)
			w.reload(blocklist.ReloadOptions{})
			w.feed("f", tc.after)
			w.reload(blocklist.ReloadOptions{})
			whole.feed("f", tc.after)
			whole.reload(blocklist.ReloadOptions{})
			got, want := said(t, w.current().Policy), said(t, whole.current().Policy)
			if !maps.EqualFunc(got, want, slices.Equal) || w.hasDelta() < 1 {
				t.Errorf("a delta of %d names says %v\nthe whole says %v", w.hasDelta(), got, want)
			}
		})
	}
}
