package rpz_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
	"cenote/rpz"
)

// listing is one listed name or address with what a feed says of it.
type listing struct {
	key    string // in wire form
	feed   uint16
	kind   policy.Kind
	action policy.Action
	data   uint32
}

func name(text string) string { return string(dnsname.MustParse(text)) }

func prefix(t policy.Trigger, text string) string {
	return string(policy.AppendPrefixKey(nil, t, netip.MustParsePrefix(text)))
}

func server(text string) string {
	key, _ := policy.AppendNameKey(nil, []byte(name(text)))
	return string(key)
}

// policyOf has the listings in feeds "first" and "second", each in a zone of its own that answers NXDOMAIN.
func policyOf(t testing.TB, listings ...listing) *policy.Policy {
	t.Helper()
	m := policy.Manifest{Generation: 1, Families: []string{""}, Threats: []string{""}, Feeds: []policy.Feed{{Name: "first"}, {Name: "second"}}}
	m.Data = []policy.LocalData{{RRsets: []policy.RRset{{Type: 5, TTL: 5, RData: [][]byte{[]byte(name("self.example"))}}}}}
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for _, l := range listings {
		m.Feeds[l.feed].Entries++
		m.Feeds[l.feed].Triggers.Add(policy.TriggerOf([]byte(l.key)))
		set := b.AddSet(policy.EncodeSet([]policy.Member{{Feed: l.feed, Kind: l.kind, Action: l.action, Data: l.data, Confidence: policy.ConfidenceUnknown}}))
		if err := b.Add([]byte(l.key), set); err != nil {
			t.Fatal(err)
		}
	}
	zones := []policy.Zone{{Name: "one", Feeds: []string{"first"}, Action: policy.ActionNXDOMAIN, TTL: 10}, {Name: "two", Feeds: []string{"second"}, Action: policy.ActionNXDOMAIN, TTL: 10}}
	p, err := policy.New(policy.Config{Zones: zones, Index: save(t, b, &m)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func master(t testing.TB, g *rpz.Generator) string {
	t.Helper()
	var b bytes.Buffer
	if err := g.WriteMaster(&b, 7, "made by a test"); err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(b.String(), " NS localhost.\n")
	return strings.ReplaceAll(rules, ".rpz.test. 10 IN", "")
}

func TestEveryTriggerHasItsOwner(t *testing.T) {
	g := generator(t, policyOf(t,
		listing{key: name("bad.example"), kind: policy.KindSubtree},
		listing{key: prefix(policy.TriggerClientIP, "192.0.2.9/32"), action: policy.ActionPassthru},
		listing{key: prefix(policy.TriggerIP, "198.51.100.0/24")},
		listing{key: prefix(policy.TriggerIP, "2001:db8::/32")},
		listing{key: prefix(policy.TriggerNSIP, "192.0.2.1/32"), feed: 1},
		listing{key: server("ns.example"), kind: policy.KindSubtree, feed: 1},
		listing{key: "\x00", kind: policy.KindBelow, feed: 1},
		listing{key: name("bad.zip"), action: policy.ActionDrop},
	), rpz.Config{})
	want := `* CNAME .
example CNAME .
*.example CNAME .
bad.example CNAME .
*.bad.example CNAME .
32.9.2.0.192.rpz-client-ip CNAME rpz-passthru.
24.0.100.51.198.rpz-ip CNAME .
32.zz.db8.2001.rpz-ip CNAME .
ns.example.rpz-nsdname CNAME .
*.ns.example.rpz-nsdname CNAME .
32.1.2.0.192.rpz-nsip CNAME .
zip CNAME .
*.zip CNAME .
bad.zip CNAME rpz-drop.
*.bad.zip CNAME .
`
	if got := master(t, g); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	readAgain(t, g)
}

func TestWhatCannotBeSaidIsCounted(t *testing.T) {
	long := name(strings.Repeat(strings.Repeat("a", 59)+".", 4) + "example")
	pattern, _ := policy.AppendPatternKey(nil, "malware[0-9]+")
	g := generator(t, policyOf(t,
		listing{key: name("good.example")},
		listing{key: name("*.example")},
		listing{key: name("x.rpz-ip")},
		listing{key: long},
		listing{key: name("self.example"), action: policy.ActionLocalData, data: 1},
		listing{key: prefix(policy.TriggerClientIP, "192.0.2.9/32"), feed: 1},
		listing{key: string(pattern)},
	), rpz.Config{})
	if got, want := master(t, g), "good.example CNAME .\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	want := rpz.Report{Names: 3, Records: 3, Reserved: 2, TooLong: 1, Itself: 1, Order: 1, Patterns: 1}
	if got := g.Report(); got != want || got.LeftOut() != 6 {
		t.Errorf("got %+v with %d left out, want %+v with 6", got, got.LeftOut(), want)
	}
}

// NODATA for every name is an alias that leads to its own owner, and says NODATA all the same.
func TestNODATAForEveryName(t *testing.T) {
	g := generator(t, policyOf(t, listing{key: "\x00", kind: policy.KindBelow, action: policy.ActionNODATA}), rpz.Config{})
	if got, want := master(t, g), "* CNAME *.\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	readAgain(t, g)
}

func TestAnswerInPlaceOfThePolicys(t *testing.T) {
	p := policyOf(t, listing{key: name("a.example"), action: policy.ActionDrop}, listing{key: name("b.example"), action: policy.ActionPassthru})
	for _, tc := range []struct {
		answer rpz.Answer
		want   string
	}{
		{rpz.Answer{}, "a.example CNAME rpz-drop.\nb.example CNAME rpz-passthru.\n"},
		{rpz.Answer{Action: policy.ActionNODATA, TTL: 10}, "a.example CNAME *.\nb.example CNAME rpz-passthru.\n"},
		{rpz.Answer{Action: policy.ActionTCPOnly, TTL: 10}, "a.example CNAME rpz-tcp-only.\nb.example CNAME rpz-passthru.\n"},
		{rpz.Answer{Action: policy.ActionSinkhole, IPv4: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, TTL: 10}, "a.example A 192.0.2.53\nb.example CNAME rpz-passthru.\n"},
		{rpz.Answer{Action: policy.ActionSinkhole, TTL: 10}, "a.example CNAME *.\nb.example CNAME rpz-passthru.\n"},
		{rpz.Answer{Action: policy.ActionLocalData, Target: "\x06garden\x07example\x00", TTL: 10}, "a.example CNAME garden.example.\nb.example CNAME rpz-passthru.\n"},
	} {
		if got := master(t, generator(t, p, rpz.Config{Answer: tc.answer})); got != tc.want {
			t.Errorf("%+v: got\n%swant\n%s", tc.answer, got, tc.want)
		}
	}
	for _, a := range []rpz.Answer{{Action: policy.ActionDisabled}, {Action: policy.ActionLocalData}, {Action: policy.ActionPassthru}} {
		if _, err := rpz.New(rpz.Config{Apex: apex, Policy: p, Answer: a}); err == nil {
			t.Errorf("%+v is taken", a)
		}
	}
}
