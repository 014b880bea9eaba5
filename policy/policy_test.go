package policy_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

func TestNewRefuses(t *testing.T) {
	zone := func(change func(*policy.Zone)) []policy.Zone {
		z := policy.Zone{Name: "block", Feeds: []string{"one"}}
		change(&z)
		return []policy.Zone{z}
	}
	for name, zones := range map[string][]policy.Zone{
		"a zone without a name":   zone(func(z *policy.Zone) { z.Name = "" }),
		"a name twice":            append(zone(func(*policy.Zone) {}), zone(func(*policy.Zone) {})...),
		"a feed twice":            zone(func(z *policy.Zone) { z.Feeds = []string{"one", "one"} }),
		"local data for all":      zone(func(z *policy.Zone) { z.Action = policy.ActionLocalData }),
		"local data as override":  zone(func(z *policy.Zone) { z.Override = policy.ActionLocalData }),
		"an action of the future": zone(func(z *policy.Zone) { z.Action = policy.ActionDisabled + 1 }),
		"too many zones":          make([]policy.Zone, policy.ZonesMax+1),
	} {
		if _, err := policy.New(policy.Config{Zones: zones}); !errors.Is(err, policy.ErrZone) {
			t.Errorf("%s: New = %v, want %v", name, err, policy.ErrZone)
		}
	}
}

func TestNewRefusesSetsThatReferToNothing(t *testing.T) {
	for name, m := range map[string]policy.Member{
		"feed":              {Feed: 1},
		"family":            {Family: familiesMax},
		"threat":            {Threat: 2},
		"data":              {Action: policy.ActionLocalData, Data: 2},
		"data without need": {Data: 1},
		"no data":           {Action: policy.ActionLocalData},
	} {
		w := state(t, "zone block: one\nfeed one:")
		w.rules = []rule{{dnsname.MustParse("bad.example"), m}}
		if _, err := policy.New(policy.Config{Zones: w.zones, Index: w.index(t)}); !errors.Is(err, policy.ErrSet) {
			t.Errorf("%s: New = %v, want %v", name, err, policy.ErrSet)
		}
	}
}

func TestNewRefusesAForeignManifest(t *testing.T) {
	for name, manifest := range map[string]string{"nothing": "", "a list": "[]", "no families": `{"families":[],"threats":[""]}`} {
		path := filepath.Join(t.TempDir(), "names")
		if _, err := nameindex.NewBuilder(nameindex.BuildOptions{}).WriteFile(path, []byte(manifest)); err != nil {
			t.Fatal(err)
		}
		x, err := nameindex.Open(path, nameindex.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.New(policy.Config{Index: x}); !errors.Is(err, policy.ErrManifest) {
			t.Errorf("%s: New = %v, want %v", name, err, policy.ErrManifest)
		}
	}
}

func TestEmptyPolicyMatchesNothing(t *testing.T) {
	p, err := policy.New(policy.Config{Generation: 3, Zones: []policy.Zone{{Name: "block", Feeds: []string{"one"}}}})
	if err != nil {
		t.Fatal(err)
	}
	q := ask(dnsname.MustParse("bad.example"), 1)
	if d := p.CheckQuery(q); d.Matched() || p.CheckAnswer(q, &policy.Answer{Msg: nil}, d) != d {
		t.Errorf("CheckQuery = %+v, want nothing", d)
	}
	if e := p.Explain(q, nil); e.Winner != nil || e.Name != "bad.example" || len(e.Zones) != 0 {
		t.Errorf("Explain = %+v, want nothing", e)
	}
	if got := p.Missing(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("Missing() = %v, want the feed one", got)
	}
	if p.Generation() != 3 || p.Index() != nil || p.AnswerTriggers() || p.Rule(policy.Hit{}).Zone != nil {
		t.Error("an empty policy has something in it")
	}
}

func TestAccessors(t *testing.T) {
	w := state(t, "zone first: two none one\nzone second: none other\nfeed one: exact bad.example\nfeed two: exact bad.example")
	w.zones[0].IPv4 = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	x := w.index(t)
	p := newPolicy(t, w.zones, x)
	if got, want := p.Missing(), []string{"none", "other"}; !slices.Equal(got, want) {
		t.Errorf("Missing() = %v, want %v", got, want)
	}
	if p.Generation() != 7 || p.Manifest().Generation != 7 || p.Index() != x {
		t.Errorf("generation %d of manifest %+v, want 7", p.Generation(), p.Manifest())
	}
	w.zones[0].Feeds[0], w.zones[0].IPv4[0] = "changed", netip.Addr{}
	if z := p.Zones()[0]; z.Feeds[0] != "two" || !z.IPv4[0].IsValid() || z.Action != policy.ActionSinkhole {
		t.Errorf("the zone is %+v, want what was given to New, with its action resolved", z)
	}
}

func TestRuleResolvesAHit(t *testing.T) {
	w := state(t, "zone block: one\nfeed one:")
	name := dnsname.MustParse("bad.example")
	member := policy.Member{Family: 2, Threat: 1, Action: policy.ActionLocalData, Data: 1, Confidence: 80, Expiry: 99}
	w.rules = []rule{{name, policy.Member{Kind: policy.KindENT}}, {name, member}}
	p := w.policy(t)
	d := p.CheckQuery(ask(name, 1))
	got := p.Rule(d.Winner)
	if got.Zone != &p.Zones()[0] || got.Feed != "one" || got.Family != "family 2" || got.Threat != "botnet_cc" || got.Member != member || got.Data != &p.Manifest().Data[0] {
		t.Errorf("Rule = %+v, want the member %+v", got, member)
	}
	for name, h := range map[string]policy.Hit{"set": {Set: 99}, "zone": {Zone: 9}, "member": {Member: 2}} {
		if got := p.Rule(h); got.Zone != nil {
			t.Errorf("Rule of a hit with an unknown %s = %+v, want nothing", name, got)
		}
	}
}

func TestEnumsComeBackFromText(t *testing.T) {
	for a := policy.ActionDefault; a <= policy.ActionDisabled; a++ {
		var got policy.Action
		if err := got.UnmarshalText([]byte(a.String())); err != nil || got != a {
			t.Errorf("action %s came back as %s (%v)", a, got, err)
		}
	}
	for v := policy.TriggerNone; v <= policy.TriggerNSIP; v++ {
		var got policy.Trigger
		if err := got.UnmarshalText([]byte(v.String())); err != nil || got != v {
			t.Errorf("trigger %s came back as %s (%v)", v, got, err)
		}
	}
	var action policy.Action
	if err := action.UnmarshalText([]byte("explode")); err == nil {
		t.Error("an unknown action was read")
	}
	for name, text := range map[string]string{
		"action": (policy.ActionDisabled + 1).String(), "trigger": (policy.TriggerNSIP + 1).String(), "kind": (policy.KindENT + 1).String(),
		"transport": (policy.TransportQUIC + 1).String(), "status": (policy.StatusSpared + 1).String(), "clause": (policy.ClauseSetOrder + 1).String(),
	} {
		if text != "unknown" {
			t.Errorf("a %s out of range is called %q, want unknown", name, text)
		}
	}
}

// The names of an explanation's parts are promised to those who read its JSON.
func TestExplanationAsJSON(t *testing.T) {
	p := state(t, "zone block: one two\nfeed one: subtree bad.example until=20\nfeed two: subtree example").policy(t)
	got, err := json.Marshal(p.Explain(ask(dnsname.MustParse("www.bad.example"), 10), nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"name":"www.bad.example"`, `"generation":7`, `"clause":"more-labels"`, `"zone":"block"`, `"position":1`, `"feed":"one"`,
		`"feed_number":0`, `"confidence":-1`, `"expires":"1970-01-01T20:00:00Z"`, `"kind":"subtree"`, `"trigger":"qname"`,
		`"listed":"bad.example"`, `"labels":2`, `"action":"sinkhole"`, `"status":"wins"`, `"status":"beaten"`, `"beaten_by":"more-labels"`, `"recorded":true`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the JSON lacks %s: %s", want, got)
		}
	}
	var back policy.Explanation
	if err := json.Unmarshal(got, &back); err != nil || back.Winner == nil || back.Winner.Kind != policy.KindSubtree || back.Clause != policy.ClauseLabels {
		t.Errorf("the JSON came back as %+v (%v)", back, err)
	}
	for s := policy.StatusWins; s <= policy.StatusUnheld; s++ {
		if s.Sentence() == "" {
			t.Errorf("status %d has no sentence", s)
		}
	}
	for c := policy.ClauseNone; c <= policy.ClauseSetOrder; c++ {
		if c.Sentence() == "" {
			t.Errorf("clause %d has no sentence", c)
		}
	}
}
