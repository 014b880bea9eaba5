package policy_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// scene is a query with everything that the world answers to it, as people would state it.
type scene struct {
	client netip.Addr
	qtype  uint16
	stages []sceneStage
	more   []string // records beside those of the stages
	plain  bool     // the client asks for no recursion
	do     bool     // it asks for signatures
	signed bool     // the answer has some
}

// sceneStage is one name of the chain.
type sceneStage struct {
	name    dnsname.Name
	addrs   []netip.Addr
	servers []policy.Server
}

func (s scene) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client %s, %s, plain %t, do %t, signed %t, %q", s.client, dns.TypeToString[s.qtype], s.plain, s.do, s.signed, s.more)
	for _, g := range s.stages {
		fmt.Fprintf(&b, "; %s has %v", g.name, g.addrs)
		for _, ns := range g.servers {
			fmt.Fprintf(&b, ", server %s %v", dnsname.Name(ns.Name), ns.Addrs)
		}
	}
	return b.String()
}

// implied counts the matches by rules that count for servers too, by trigger.
var implied = map[policy.Trigger]int{}

// candidate is a rule that something at a stage falls under, and what decides its place among those of the same trigger in one zone.
type candidate struct {
	rule    rule
	whole   bool
	labels  int          // of the listed name
	name    dnsname.Name // of the server
	implied bool         // the rule is about names, and counts for servers too
}

// TestTriggersEqualTheOracle holds all triggers in all zones against the clauses of the draft's section 5, read one after the other for every
// rule there is.
func TestTriggersEqualTheOracle(t *testing.T) {
	winners, stages, clauses, pending := map[policy.Trigger]int{}, map[uint8]int{}, map[policy.Clause]int{}, 0
	slowWorlds(t, 11, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		for range 5 + r.IntN(25) {
			w.add(randomTriggerRule(r, w))
		}
		w.countTriggers()
		for i := range w.zones {
			forServersToo(r, &w.zones[i])
		}
		x := w.index(t)
		early, late := w.policyEarly(t, x, true), w.policyEarly(t, x, false)
		for range 25 {
			s := randomScene(r)
			hour := expiryHour + r.Int64N(5) - 2
			q, a := s.ask(t, hour)
			want := w.decideScene(&s, hour)
			before := late.CheckQuery(q)
			d := late.CheckAnswer(q, a, before)
			if got := w.toldScene(t, late, &s, d); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s at hour %d in %v\ngot  %v\nwant %v", s, hour, w, got, want)
			}
			if before.Pending {
				pending++
			}
			checkEarly(t, w, &s, early, q, want)
			e := late.Explain(q, a)
			checkSceneExplanation(t, w, &s, &d, &e)
			clauses[e.Clause]++
			winners[d.Winner.Trigger]++
			stages[d.Winner.Stage]++
			cases++
		}
		return cases
	})
	if implied[policy.TriggerNSDNAME] == 0 || implied[policy.TriggerNSIP] == 0 {
		t.Errorf("rules that count for servers too: %v", implied)
	}
	t.Logf("winners by trigger: %v; by stage: %v; pending: %d", winners, stages, pending)
	for trigger := policy.TriggerNone; trigger <= policy.TriggerNSIP; trigger++ {
		if winners[trigger] == 0 {
			t.Errorf("no winner of trigger %s", trigger)
		}
	}
	for c := policy.ClauseNone; c <= policy.ClauseSetOrder; c++ {
		if clauses[c] == 0 && c != policy.ClauseEarly { // these policies wait; see TestExplanationsEqualWhatIsServed
			t.Errorf("no explanation has the clause %s", c)
		}
	}
	if stages[1] == 0 || stages[2] == 0 || pending == 0 {
		t.Error("later stages, or pending decisions, were not tested")
	}
}

// checkEarly: a policy that answers early decides by the query alone, as the late one does if nothing is answered, and otherwise alike.
func checkEarly(t *testing.T, w *world, s *scene, p *policy.Policy, q *policy.Request, want result) {
	t.Helper()
	_, a := s.ask(t, q.Time.Unix()/3600)
	before := p.CheckQuery(q)
	if before.Pending {
		t.Fatalf("%v: a decision of a policy that answers early is pending", s)
	}
	if !before.Matched() {
		if got := w.toldScene(t, p, s, p.CheckAnswer(q, a, before)); !reflect.DeepEqual(got, want) {
			t.Fatalf("answered early, %s in %v\ngot  %v\nwant %v", s, w, got, want)
		}
	}
}

// checkSceneExplanation: an explanation has the winner that is served, at its stage and in its place, and marks as recorded what is.
func checkSceneExplanation(t *testing.T, w *world, s *scene, d *policy.Decision, e *policy.Explanation) {
	t.Helper()
	if (e.Winner != nil) != d.Matched() {
		t.Fatalf("%s in %v: Explain has the winner %+v, served is %+v", s, w, e.Winner, d.Winner)
	}
	won := d.Winner
	if d.Matched() && e.Winner.Hit != won {
		t.Fatalf("%s in %v: Explain has the winner %+v, served is %+v", s, w, e.Winner.Hit, won)
	}
	recorded, first := 0, false
	all := [][]policy.ZoneExplanation{e.Zones}
	for _, g := range e.Chain {
		all = append(all, g.Zones)
	}
	for _, zones := range all {
		for _, z := range zones {
			for _, c := range z.Candidates {
				if c.Recorded {
					recorded++
				}
				if c.Status == policy.StatusBeaten && !first && c.Clause != policy.ClauseEarly {
					t.Fatalf("%s in %v: %+v is beaten and comes before the winner", s, w, c)
				}
				first = first || c.Status == policy.StatusWins
			}
		}
	}
	wins := 0
	if d.Matched() {
		wins = 1
	}
	if recorded != wins+int(d.NObserved) {
		t.Fatalf("%s in %v: %d candidates are recorded, served is %+v", s, w, recorded, *d)
	}
}

func (w *world) policyEarly(t testing.TB, x *nameindex.Index, early bool) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{Zones: w.zones, Index: x, AnswerEarly: early})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) countTriggers() {
	for i := range w.feeds {
		w.feeds[i].Triggers = policy.TriggerCounts{}
	}
	for _, r := range w.rules {
		w.feeds[r.member.Feed].Triggers.Add(policy.TriggerOf([]byte(r.name)))
	}
}

// The addresses of random scenes, and the prefixes of random rules: few, so that they meet.
var (
	scenePrefixes    = []string{"192.0.2.1/32", "192.0.2.2/32", "192.0.2.0/30", "192.0.2.0/24", "192.0.0.0/16", "2001:db8::1/128", "2001:db8::/112", "2001:db8::/120", "::/32", "0.0.0.0/1"}
	scenePatterns    = []string{`a\.b`, `^b\.a`, `B\.b$`, `a\.a.*b`, `[ab]\.a\.a`}
	compiledPatterns sync.Map // text to *regexp.Regexp
	sceneAddrs       = []string{"192.0.2.1", "192.0.2.2", "192.0.2.9", "192.0.9.9", "198.51.100.1", "2001:db8::1", "2001:db8::2", "2001:db8::1:1"}
)

func randomTriggerRule(r *rand.Rand, w *world) rule {
	rule := randomRule(r, w)
	rule.member.Exception = false
	trigger := pick(r, policy.TriggerClientIP, policy.TriggerPattern, policy.TriggerIP, policy.TriggerNSDNAME, policy.TriggerNSIP)
	if trigger == policy.TriggerNSDNAME {
		key, _ := policy.AppendNameKey(nil, []byte(rule.name))
		rule.name = dnsname.Name(key)
		return rule
	}
	rule.member.Kind = policy.KindExact
	if trigger == policy.TriggerPattern {
		key, _ := policy.AppendPatternKey(nil, pick(r, scenePatterns...))
		rule.name = dnsname.Name(key)
		return rule
	}
	rule.name = dnsname.Name(policy.AppendPrefixKey(nil, trigger, netip.MustParsePrefix(pick(r, scenePrefixes...))))
	return rule
}

func randomScene(r *rand.Rand) scene {
	s := scene{client: netip.MustParseAddr(pick(r, sceneAddrs...)), qtype: pick(r, dns.TypeA, dns.TypeTXT)}
	seen := map[dnsname.Name]bool{}
	for range 1 + r.IntN(3) {
		g := sceneStage{name: randomName(r, 5)}
		if seen[g.name] {
			break
		}
		seen[g.name] = true
		for range r.IntN(3) {
			server := policy.Server{Name: []byte(randomName(r, 3))}
			for range r.IntN(3) {
				server.Addrs = append(server.Addrs, netip.MustParseAddr(pick(r, sceneAddrs...)))
			}
			g.servers = append(g.servers, server)
		}
		s.stages = append(s.stages, g)
	}
	last := &s.stages[len(s.stages)-1]
	for range r.IntN(4) {
		last.addrs = append(last.addrs, netip.MustParseAddr(pick(r, sceneAddrs...)))
	}
	return s
}

// ask is the scene as the policy sees it.
func (s *scene) ask(t testing.TB, hour int64) (*policy.Request, *policy.Answer) {
	t.Helper()
	q := ask(s.stages[0].name, hour)
	q.Client, q.Type, q.RD, q.DO = netip.AddrPortFrom(s.client, 4242), s.qtype, !s.plain, s.do
	var records []string
	a := &policy.Answer{}
	for i, g := range s.stages {
		if i > 0 {
			records = append(records, fmt.Sprintf("%s. CNAME %s.", s.stages[i-1].name, g.name))
		}
		for _, addr := range g.addrs {
			kind := "A"
			if addr.Is6() {
				kind = "AAAA"
			}
			records = append(records, fmt.Sprintf("%s. %s %s", g.name, kind, addr))
		}
		a.Paths = append(a.Paths, policy.Path{Servers: g.servers})
	}
	if s.signed {
		records = append(records, signature(s.stages[0].name))
	}
	a.Msg = answer(t, s.stages[0].name.String(), true, append(records, s.more...)...)
	return q, a
}

// decideScene is the oracle.
func (w *world) decideScene(s *scene, hour int64) (r result) {
	asked := &scene{client: s.client, qtype: s.qtype, stages: []sceneStage{{name: s.stages[0].name}}, plain: s.plain, do: s.do}
	if r = w.decideStages(asked, hour); r.winner != nil && !w.waits(r.winner.zone) && !w.mayBeSpared(s, r.winner) {
		return r // without a look at the answer
	}
	return w.decideStages(s, hour)
}

// mayBeSpared reports whether the zone that decides would leave a signed answer alone.
func (w *world) mayBeSpared(s *scene, winner *outcome) bool {
	i := slices.IndexFunc(w.zones, func(z policy.Zone) bool { return z.Name == winner.zone })
	return s.do && w.zones[i].KeepSigned && winner.action != policy.ActionPassthru
}

// spares reports whether a zone leaves a query alone.
func (s *scene) spares(z *policy.Zone) bool {
	return s.plain && z.RecursiveOnly || s.do && s.signed && z.KeepSigned
}

// waits reports whether a zone before the named one can decide by what is answered.
func (w *world) waits(name string) bool {
	for _, z := range w.zones {
		if z.Name == name {
			break
		}
		for _, f := range w.feeds {
			if t := f.Triggers; slices.Contains(z.Feeds, f.Name) && !z.LogOnly && (t.IP+t.NSDNAME+t.NSIP > 0 || z.QNAMEAsNS) {
				return true
			}
		}
	}
	return false
}

func (w *world) decideStages(s *scene, hour int64) (r result) {
	for i := range s.stages {
		for zone := range w.zones {
			z := &w.zones[zone]
			if r.winner != nil && r.winner.action == policy.ActionPassthru && !z.Observe || s.spares(z) {
				continue
			}
			w.decideZone(&r, z, w.sceneCandidates(s, i, z, hour), s.qtype)
		}
		if r.winner != nil {
			break
		}
	}
	return r
}

// sceneCandidates are the rules of a zone about one stage, the one that goes first first.
func (w *world) sceneCandidates(s *scene, number int, z *policy.Zone, hour int64) (list []rule) {
	g := &s.stages[number]
	if number == 0 {
		list = append(list, w.addressCandidates(z, []netip.Addr{s.client}, hour, policy.TriggerClientIP)...)
	}
	list = append(list, w.candidates(z, g.name, hour)...)
	list = append(list, w.patternCandidates(z, g.name, hour)...)
	list = append(list, w.addressCandidates(z, g.addrs, hour, policy.TriggerIP)...)
	var servers []candidate
	var addrs []netip.Addr
	for _, server := range g.servers {
		key, _ := policy.AppendNameKey(nil, server.Name)
		name := dnsname.Name(server.Name)
		for _, r := range w.candidates(z, dnsname.Name(key), hour) {
			servers = append(servers, candidate{r, r.name == dnsname.Name(key), r.name.Labels() - 1, name, false})
		}
		if z.QNAMEAsNS {
			for _, r := range w.candidates(z, name, hour) {
				servers = append(servers, candidate{r, r.name == name, r.name.Labels(), name, true})
			}
		}
		addrs = append(addrs, server.Addrs...)
	}
	slices.SortStableFunc(servers, func(a, b candidate) int {
		order := map[bool]int{true: 0, false: 1}
		return cmp.Or(cmp.Compare(order[a.whole], order[b.whole]), -cmp.Compare(a.labels, b.labels), -dnsname.Compare(a.name, b.name), -cmp.Compare(order[a.implied], order[b.implied]))
	})
	for _, c := range servers {
		list = append(list, c.rule)
	}
	if z.IPAsNS {
		return append(list, w.addressCandidates(z, addrs, hour, policy.TriggerNSIP, policy.TriggerIP)...)
	}
	return append(list, w.addressCandidates(z, addrs, hour, policy.TriggerNSIP)...)
}

func (w *world) patternCandidates(z *policy.Zone, name dnsname.Name, hour int64) (list []rule) {
	text := func(r rule) string {
		s := policy.KeyText([]byte(r.name))
		return s[1 : len(s)-1]
	}
	for _, r := range w.rules {
		if policy.TriggerOf([]byte(r.name)) != policy.TriggerPattern || !live(r, hour) || r.member.Kind != policy.KindExact || !slices.Contains(z.Feeds, w.feeds[r.member.Feed].Name) {
			continue
		}
		if !scenePattern(text(r)).MatchString(name.String()) {
			continue
		}
		if !slices.ContainsFunc(w.about(r.member.Feed, name, hour), func(o rule) bool { return o.member.Exception }) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b rule) int {
		place := func(r rule) int { return slices.Index(z.Feeds, w.feeds[r.member.Feed].Name) }
		return cmp.Or(cmp.Compare(text(a), text(b)), cmp.Compare(place(a), place(b)), order(a.member, b.member))
	})
	return list
}

// scenePattern is one of scenePatterns as it matches; they are few, and asked for millions of times.
func scenePattern(text string) *regexp.Regexp {
	if re, ok := compiledPatterns.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile("(?i)" + text)
	compiledPatterns.Store(text, re)
	return re
}

// forServersToo has rules about names and addresses count for name servers too, now and then.
func forServersToo(r *rand.Rand, z *policy.Zone) {
	z.QNAMEAsNS, z.IPAsNS = r.IntN(4) == 0, r.IntN(4) == 0
}

// addressCandidates are the rules of some triggers about addresses; where all else is equal those of the trigger that is named first go first.
func (w *world) addressCandidates(z *policy.Zone, addrs []netip.Addr, hour int64, triggers ...policy.Trigger) (list []rule) {
	trigger := func(r rule) int { return slices.Index(triggers, policy.TriggerOf([]byte(r.name))) }
	for _, r := range w.rules {
		if trigger(r) < 0 || !live(r, hour) || r.member.Kind != policy.KindExact || !slices.Contains(z.Feeds, w.feeds[r.member.Feed].Name) {
			continue
		}
		prefix, _ := policy.KeyPrefix([]byte(r.name))
		if slices.ContainsFunc(addrs, prefix.Contains) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b rule) int {
		place := func(r rule) int { return slices.Index(z.Feeds, w.feeds[r.member.Feed].Name) }
		p, _ := policy.KeyPrefix([]byte(a.name))
		q, _ := policy.KeyPrefix([]byte(b.name))
		return cmp.Or(-cmp.Compare(bitsOf(p), bitsOf(q)), cmp.Compare(numberOf(p), numberOf(q)), cmp.Compare(trigger(a), trigger(b)), cmp.Compare(place(a), place(b)), order(a.member, b.member))
	})
	return list
}

func bitsOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 96 + p.Bits()
	}
	return p.Bits()
}

// numberOf is the address of a prefix as 128 bits.
func numberOf(p netip.Prefix) string {
	if p.Addr().Is4() {
		return strings.Repeat("\x00", 12) + string(p.Addr().AsSlice())
	}
	return string(p.Addr().AsSlice())
}

// toldScene puts a decision into words.
func (w *world) toldScene(t testing.TB, p *policy.Policy, s *scene, d policy.Decision) (r result) {
	t.Helper()
	say := func(h policy.Hit) outcome {
		g := &s.stages[h.Stage]
		name := []byte(g.name)
		if h.Trigger == policy.TriggerNSDNAME {
			name = g.servers[h.Entry].Name
		}
		rule := p.Rule(h)
		key := dnsname.Name(p.AppendKey(nil, &h, name))
		if ref := p.Reference(&h, name); !ref.RefersTo([]byte(key)) {
			t.Fatalf("the reference to %+v is not one to %s", h, policy.KeyText([]byte(key)))
		}
		if h.Implied {
			implied[h.Trigger]++
		}
		return outcome{rule.Zone.Name, rule.Feed, key, rule.Member, h.Action}
	}
	if d.Matched() {
		o := say(d.Winner)
		r.winner = &o
	}
	for _, h := range d.Recorded() {
		r.observed = append(r.observed, say(h))
	}
	r.overflowed = d.Overflowed
	return r
}
