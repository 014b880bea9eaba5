package policy_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/policy"
)

// state reads a world from lines such as
//
//	zone block: one two log-only observe action=nxdomain override=disabled
//	feed one: exact bad.example, below bad.example, except subtree good.bad.example, exact x.example passthru until=10
//	rpz three: below bad.example, empty a.bad.example
func state(t testing.TB, text string) *world {
	t.Helper()
	w := &world{}
	for line := range strings.Lines(text) {
		head, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		what, name, _ := strings.Cut(head, " ")
		switch {
		case !ok:
		case what == "zone":
			w.zones = append(w.zones, stateZone(t, name, strings.Fields(rest)))
		default:
			w.feeds = append(w.feeds, policy.Feed{Name: name, ClosestEncloser: what == "rpz"})
			for row := range strings.SplitSeq(rest, ",") {
				if words := strings.Fields(row); len(words) > 0 {
					w.rules = append(w.rules, stateRule(t, uint16(len(w.feeds)-1), words))
				}
			}
		}
	}
	return w
}

func stateZone(t testing.TB, name string, words []string) policy.Zone {
	t.Helper()
	z := policy.Zone{Name: name}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "log-only":
			z.LogOnly = true
		case "observe":
			z.Observe = true
		case "action":
			err = z.Action.UnmarshalText([]byte(value))
		case "override":
			err = z.Override.UnmarshalText([]byte(value))
		default:
			z.Feeds = append(z.Feeds, word)
		}
		must(t, err)
	}
	return z
}

func stateRule(t testing.TB, feed uint16, words []string) rule {
	t.Helper()
	r := rule{member: policy.Member{Feed: feed, Confidence: policy.ConfidenceUnknown}}
	if r.member.Exception = words[0] == "except"; r.member.Exception {
		words = words[1:]
	}
	if r.member.Kind = policy.KindENT; words[0] != "empty" {
		must(t, r.member.Kind.UnmarshalText([]byte(words[0])))
	}
	name, err := dnsname.Parse(words[1])
	must(t, err)
	r.name = name.Canonical()
	for _, word := range words[2:] {
		if until, ok := strings.CutPrefix(word, "until="); ok {
			hour, err := strconv.Atoi(until)
			must(t, err)
			r.member.Expiry = uint32(hour)
			continue
		}
		must(t, r.member.Action.UnmarshalText([]byte(word)))
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// short writes a decision as "zone/feed action listed-name | observed | …".
func short(r result) string {
	say := func(o outcome) string { return fmt.Sprintf("%s/%s %s %s", o.zone, o.feed, o.action, o.listed) }
	parts := []string{"-"}
	if r.winner != nil {
		parts[0] = say(*r.winner)
	}
	for _, o := range r.observed {
		parts = append(parts, say(o))
	}
	return strings.Join(parts, " | ")
}

func TestPrecedence(t *testing.T) {
	for name, c := range map[string]struct{ world, query, want string }{
		"nothing listed": {
			"zone block: one\nfeed one: exact bad.example", "good.example", "-"},
		"exact is the name alone": {
			"zone block: one\nfeed one: exact bad.example", "www.bad.example", "-"},
		"below is not the name itself": {
			"zone block: one\nfeed one: below bad.example", "bad.example", "-"},
		"subtree is both": {
			"zone block: one\nfeed one: subtree bad.example", "www.bad.example", "block/one sinkhole bad.example"},
		"the first zone decides, whatever is longer": {
			"zone first: one\nzone second: two\nfeed one: subtree example\nfeed two: exact www.bad.example", "www.bad.example",
			"first/one sinkhole example | second/two sinkhole www.bad.example"},
		"exact over wildcard": {
			"zone block: one two\nfeed one: below example\nfeed two: exact bad.example drop", "bad.example", "block/two drop bad.example"},
		"more labels": {
			"zone block: one two\nfeed one: subtree example nodata\nfeed two: subtree bad.example drop", "www.bad.example", "block/two drop bad.example"},
		"the order of feeds": {
			"zone block: two one\nfeed one: exact bad.example nodata\nfeed two: exact bad.example drop", "bad.example", "block/two drop bad.example"},
		"one feed in two zones": {
			"zone shadow: one log-only\nzone block: one action=nxdomain\nfeed one: exact bad.example", "bad.example",
			"block/one nxdomain bad.example | shadow/one sinkhole bad.example"},
		"a list is not stopped by a deeper entry": {
			"zone block: one\nfeed one: subtree bad.example, exact a.b.bad.example, empty b.bad.example", "c.b.bad.example",
			"block/one sinkhole bad.example"},
		"an RPZ feed is stopped by a deeper entry": {
			"zone block: one\nrpz one: below bad.example, exact a.b.bad.example, empty b.bad.example", "c.b.bad.example", "-"},
		"and so at the empty name itself": {
			"zone block: one\nrpz one: below bad.example, empty b.bad.example", "b.bad.example", "-"},
		"but beside it the wildcard holds": {
			"zone block: one\nrpz one: below bad.example, empty b.bad.example", "c.bad.example", "block/one sinkhole bad.example"},
		"and another feed's wildcard holds": {
			"zone block: one two\nrpz one: below bad.example, empty b.bad.example\nrpz two: below bad.example", "c.b.bad.example",
			"block/two sinkhole bad.example"},
		"a wildcard's own name exists": {
			"zone block: one\nrpz one: below example, below bad.example", "bad.example", "-"},
		"an exception takes out what lies deeper too": {
			"zone block: one\nfeed one: exact www.bad.example, except subtree bad.example", "www.bad.example", "-"},
		"an exception speaks for its feed alone": {
			"zone block: one two\nfeed one: subtree bad.example, except exact www.bad.example\nfeed two: subtree bad.example", "www.bad.example",
			"block/two sinkhole bad.example"},
		"an exception reaches no further than it says": {
			"zone block: one\nfeed one: subtree bad.example, except exact www.bad.example", "a.www.bad.example", "block/one sinkhole bad.example"},
		"an exception expires": {
			"zone block: one\nfeed one: subtree bad.example, except exact www.bad.example until=10", "www.bad.example",
			"block/one sinkhole bad.example"},
		"a rule expires": {
			"zone block: one\nfeed one: exact bad.example until=10", "bad.example", "-"},
		"a rule has not yet expired": {
			"zone block: one\nfeed one: exact bad.example until=11", "bad.example", "block/one sinkhole bad.example"},
		"log-only is recorded and does not decide": {
			"zone shadow: one log-only\nfeed one: exact bad.example", "bad.example", "- | shadow/one sinkhole bad.example"},
		"a disabled rule is recorded and the next decides": {
			"zone block: one two\nfeed one: exact bad.example disabled\nfeed two: subtree example", "bad.example",
			"block/two sinkhole example | block/one disabled bad.example"},
		"no zone's override calls a disabled rule to life": {
			"zone block: one override=nxdomain\nfeed one: exact bad.example disabled", "bad.example",
			"- | block/one disabled bad.example"},
		"a whole zone disabled": {
			"zone off: one override=disabled\nzone block: two\nfeed one: exact bad.example drop\nfeed two: exact bad.example", "bad.example",
			"block/two sinkhole bad.example | off/one disabled bad.example"},
		"override beats what the feed gives": {
			"zone block: one override=nodata\nfeed one: exact bad.example drop", "bad.example", "block/one nodata bad.example"},
		"the feed's action beats the zone's": {
			"zone block: one action=nxdomain\nfeed one: exact bad.example drop", "bad.example", "block/one drop bad.example"},
		"an allow list hides later zones": {
			"zone allow: one action=passthru\nzone block: two\nzone shadow: two log-only\nfeed one: exact good.example\nfeed two: subtree example",
			"good.example", "allow/one passthru good.example"},
		"but for those that observe": {
			"zone allow: one action=passthru\nzone block: two observe\nzone other: two\nfeed one: exact good.example\nfeed two: subtree example",
			"good.example", "allow/one passthru good.example | block/two sinkhole example"},
		"and not the earlier ones": {
			"zone shadow: two log-only\nzone allow: one action=passthru\nfeed one: exact good.example\nfeed two: subtree example",
			"good.example", "allow/one passthru good.example | shadow/two sinkhole example"},
		"a beaten PASSTHRU hides nothing": {
			"zone block: two\nzone allow: one action=passthru\nzone shadow: two log-only\nfeed one: exact bad.example\nfeed two: exact bad.example",
			"bad.example", "block/two sinkhole bad.example | allow/one passthru bad.example | shadow/two sinkhole bad.example"},
		"a rule at the root reaches all below": {
			"zone block: one\nrpz one: below .", "any.name.example", "block/one sinkhole ."},
	} {
		t.Run(name, func(t *testing.T) {
			w := state(t, c.world)
			p, query := w.policy(t), dnsname.MustParse(c.query)
			if got := short(told(t, p, query, p.CheckQuery(ask(query, 10)))); got != c.want {
				t.Errorf("%s:\ngot  %s\nwant %s", query, got, c.want)
			}
			if got := short(w.decide(query, 10)); got != c.want {
				t.Errorf("the oracle on %s:\ngot  %s\nwant %s", query, got, c.want)
			}
		})
	}
}

func TestExpiryIsRoundedUpToTheHour(t *testing.T) {
	p := state(t, "zone block: one\nfeed one: exact bad.example until=10, subtree bad.example until=12 nodata").policy(t)
	name := dnsname.MustParse("bad.example")
	for hour, want := range map[int64]policy.Action{9: policy.ActionSinkhole, 10: policy.ActionNODATA, 11: policy.ActionNODATA, 12: policy.ActionDefault} {
		d := p.CheckQuery(ask(name, hour))
		if d.Winner.Action != want {
			t.Errorf("in hour %d the action is %s, want %s", hour, d.Winner.Action, want)
		}
	}
}

func TestMoreMatchesThanRoom(t *testing.T) {
	var text strings.Builder
	for i := range policy.HitsMax + 2 {
		fmt.Fprintf(&text, "zone z%d: one log-only\n", i)
	}
	text.WriteString("zone last: one\nfeed one: exact bad.example")
	p := state(t, text.String()).policy(t)
	d := p.CheckQuery(ask(dnsname.MustParse("bad.example"), 1))
	if !d.Overflowed || len(d.Recorded()) != policy.HitsMax || d.Winner.Zone != policy.HitsMax+2 {
		t.Errorf("decision = %+v, want the winner in the last zone, %d observed and a mark that there were more", d, policy.HitsMax)
	}
	for i, h := range d.Recorded() {
		if int(h.Zone) != i {
			t.Errorf("observed %d = %+v, want a match of zone %d that is not enforced", i, h, i)
		}
	}
	if d = p.CheckQuery(ask(dnsname.MustParse("good.example"), 1)); d != (policy.Decision{}) {
		t.Errorf("decision of a clean name = %+v, want the zero Decision", d)
	}
}

// A deep name below many listed ones is decided like any other.
func TestManyListedNamesAbove(t *testing.T) {
	w := state(t, "zone block: one two\nfeed one:\nrpz two:")
	name := dnsname.Root
	for range 120 {
		name, _ = name.Child("a")
		w.rules = append(w.rules, rule{name, policy.Member{Feed: uint16(name.Labels() % 2), Kind: policy.KindSubtree, Confidence: policy.ConfidenceUnknown}})
	}
	p := w.policy(t)
	for _, query := range []dnsname.Name{name, name.Suffix(119), name.Suffix(6), name.Suffix(5), name.Suffix(1)} {
		child, _ := query.Child("b")
		for _, q := range []dnsname.Name{query, child} {
			if got, want := told(t, p, q, p.CheckQuery(ask(q, 1))), w.decide(q, 1); short(got) != short(want) {
				t.Errorf("%s: got %s, want %s", q, short(got), short(want))
			}
		}
	}
}

func TestExplainNamesReasons(t *testing.T) {
	p := state(t, `
		zone allow: three action=passthru
		zone block: one two
		zone shadow: one log-only
		feed one: subtree bad.example, exact example, exact www.bad.example until=5
		feed two: subtree example, subtree bad.example, except exact www.bad.example
		feed three: exact other.example
		feed four: exact www.bad.example`).policy(t)
	e := p.Explain(ask(dnsname.MustParse("www.bad.example"), 10), nil)
	var got []string
	for _, z := range e.Zones {
		for _, c := range z.Candidates {
			got = append(got, fmt.Sprintf("%d %s %s %s %s", z.Position, c.Feed, c.Listed, c.Kind, c.Status))
		}
	}
	want := []string{
		"2 one www.bad.example exact expired",
		"2 two www.bad.example exact exception",
		"2 one bad.example subtree wins",
		"2 two bad.example subtree excepted",
		"2 one example exact out-of-reach",
		"2 two example subtree excepted",
		"3 one www.bad.example exact expired",
		"3 one bad.example subtree log-only",
		"3 one example exact out-of-reach",
	}
	if !slices.Equal(got, want) {
		t.Errorf("candidates:\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if e.Winner == nil || e.Clause != policy.ClauseAlone || e.Winner.Feed != "one" || e.Winner.Zone != "block" || string(e.Winner.Key) != string(dnsname.MustParse("bad.example")) {
		t.Errorf("winner = %+v by %s, want the feed one in block, alone", e.Winner, e.Clause)
	}
	if len(e.Unheld) != 1 || e.Unheld[0].Feed != "four" {
		t.Errorf("unheld = %+v, want the feed four", e.Unheld)
	}
}
