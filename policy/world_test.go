package policy_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"
)

// world is a policy as an operator and the feeds would state it: rules one by one, no sets and no index.
type world struct {
	zones []policy.Zone
	feeds []policy.Feed
	rules []rule
}

// rule is one row of a feed.
type rule struct {
	name   dnsname.Name
	member policy.Member
}

// outcome is a hit in words, so that hits of policies with different sets can be compared.
type outcome struct {
	zone, feed string
	listed     dnsname.Name
	member     policy.Member
	action     policy.Action
}

func (r rule) String() string { return fmt.Sprintf("%s %+v", r.name, r.member) }

func (o outcome) String() string {
	return fmt.Sprintf("{%s, %s: %s %s, %+v}", o.zone, o.feed, o.action, o.listed, o.member)
}

func (w *world) String() string {
	var b strings.Builder
	for _, z := range w.zones {
		fmt.Fprintf(&b, "\n\t%+v", z)
	}
	for i, f := range w.feeds {
		fmt.Fprintf(&b, "\n\tfeed %d: %+v", i, f)
	}
	for _, r := range w.rules {
		fmt.Fprintf(&b, "\n\t%v", r)
	}
	return b.String()
}

// result is a decision in words.
type result struct {
	winner     *outcome
	observed   []outcome
	overflowed bool
}

func (r result) String() string {
	var b strings.Builder
	if r.winner != nil {
		fmt.Fprintf(&b, "winner %v ", *r.winner)
	}
	fmt.Fprintf(&b, "observed %v overflowed %v", r.observed, r.overflowed)
	return b.String()
}

// blocked reports whether the client gets something other than the truth.
func (r result) blocked() bool { return r.winner != nil && r.winner.action != policy.ActionPassthru }

const familiesMax = 4

// policy compiles w. nameindex files are made for good, so one costs some milliseconds.
func (w *world) policy(t testing.TB) *policy.Policy {
	t.Helper()
	return newPolicy(t, w.zones, w.index(t))
}

func newPolicy(t testing.TB, zones []policy.Zone, x *nameindex.Index) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{Zones: zones, Index: x})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

func (w *world) index(t testing.TB) *nameindex.Index {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for name, set := range w.sets() {
		if err := b.Add([]byte(name), b.AddSet([]byte(set))); err != nil {
			t.Fatal(err)
		}
	}
	return save(t, b, w.manifest())
}

// sets are the members of every name, as they are stored.
func (w *world) sets() map[dnsname.Name]string {
	members := map[dnsname.Name][]policy.Member{}
	for _, r := range w.rules {
		members[r.name] = append(members[r.name], r.member)
	}
	sets := map[dnsname.Name]string{}
	for name := range members {
		sets[name] = string(policy.EncodeSet(members[name]))
	}
	return sets
}

func (w *world) manifest() *policy.Manifest {
	m := policy.Manifest{Generation: 7, Feeds: w.feeds, Families: make([]string, familiesMax), Threats: []string{"", "botnet_cc"}}
	for i := 1; i < familiesMax; i++ {
		m.Families[i] = fmt.Sprint("family ", i)
	}
	m.Data = []policy.LocalData{{RRsets: []policy.RRset{{Type: 1, TTL: 60, RData: [][]byte{{192, 0, 2, 1}}}}}}
	return &m
}

func save(t testing.TB, b *nameindex.Builder, m *policy.Manifest) *nameindex.Index {
	t.Helper()
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "names")
	if _, err := b.WriteFile(path, manifest); err != nil {
		t.Fatal(err)
	}
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // a hundred thousand of them are too many for one folder
		t.Fatal(err)
	}
	return x
}

// ask is a query for name in the given hour since the epoch.
func ask(name dnsname.Name, hour int64) *policy.Request {
	return &policy.Request{Name: []byte(name), Time: time.Unix(hour*3600+1800, 0), Type: 1, Class: 1}
}

// told puts a decision of p about name into words.
func told(t testing.TB, p *policy.Policy, name dnsname.Name, d policy.Decision) (r result) {
	t.Helper()
	say := func(h policy.Hit) outcome {
		rule := p.Rule(h)
		if rule.Zone == nil {
			t.Fatalf("Rule(%+v) knows no zone", h)
		}
		return outcome{rule.Zone.Name, rule.Feed, name.Suffix(int(h.Labels)), rule.Member, h.Action}
	}
	if d.Matched() {
		w := say(d.Winner)
		r.winner = &w
	}
	for _, h := range d.Recorded() {
		r.observed = append(r.observed, say(h))
	}
	r.overflowed = d.Overflowed
	return r
}

// decide is the oracle: the rules of precedence, read one after the other, for every rule there is.
func (w *world) decide(name dnsname.Name, hour int64) (r result) {
	for zone := range w.zones {
		z := &w.zones[zone]
		if r.winner != nil && r.winner.action == policy.ActionPassthru && !z.Observe {
			continue
		}
		w.decideZone(&r, z, w.candidates(z, name, hour), dns.TypeA)
	}
	return r
}

// decideZone adds what a zone says: its candidates, the one that goes first first.
func (w *world) decideZone(r *result, z *policy.Zone, list []rule, qtype uint16) {
	watched, decided := false, false
	for _, c := range list {
		o := outcome{z.Name, w.feeds[c.member.Feed].Name, c.name, c.member, resolve(z, c.member.Action)}
		own := o.action == policy.ActionLocalData && z.Override != policy.ActionLocalData // of type A alone; the zone's CNAME is for every type
		if own && qtype != dns.TypeA && z.LocalDataOr != policy.ActionDefault {
			if o.action = z.LocalDataOr; o.action == policy.ActionDisabled {
				continue // which leaves no trace
			}
		}
		enforces := !z.LogOnly && o.action != policy.ActionDisabled
		switch {
		case decided || watched && !enforces:
			continue
		case enforces && r.winner == nil:
			r.winner = &o
		default:
			r.observe(o)
		}
		watched, decided = watched || !enforces, decided || enforces
	}
}

func (r *result) observe(o outcome) {
	if len(r.observed) == policy.HitsMax {
		r.overflowed = true
		return
	}
	r.observed = append(r.observed, o)
}

func resolve(z *policy.Zone, given policy.Action) policy.Action {
	if given == policy.ActionDisabled {
		return given
	}
	for _, a := range []policy.Action{z.Override, given, z.Action} {
		if a != policy.ActionDefault {
			return a
		}
	}
	return policy.ActionSinkhole
}

// candidates returns the rules of the zone that are about name, the one that goes first first.
func (w *world) candidates(z *policy.Zone, name dnsname.Name, hour int64) (list []rule) {
	for feed := range w.feeds {
		if !slices.Contains(z.Feeds, w.feeds[feed].Name) {
			continue
		}
		about := w.about(uint16(feed), name, hour)
		if !slices.ContainsFunc(about, func(r rule) bool { return r.member.Exception }) {
			list = append(list, about...)
		}
	}
	slices.SortFunc(list, func(a, b rule) int {
		place := func(r rule) int { return slices.Index(z.Feeds, w.feeds[r.member.Feed].Name) }
		return cmp.Or(
			-cmp.Compare(a.name.Labels(), b.name.Labels()), // the name itself has the most labels of all
			cmp.Compare(place(a), place(b)), order(a.member, b.member))
	})
	return slices.Compact(list)
}

// order is the documented order of the members of a set.
func order(a, b policy.Member) int {
	exception := func(m policy.Member) int {
		if m.Exception {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Kind, b.Kind), cmp.Compare(exception(a), exception(b)),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Threat, b.Threat),
		cmp.Compare(a.Confidence, b.Confidence), cmp.Compare(a.Data, b.Data), cmp.Compare(a.Expiry, b.Expiry))
}

// about returns the rules of the feed that reach name, exceptions among them.
func (w *world) about(feed uint16, name dnsname.Name, hour int64) (list []rule) {
	closest := -1
	for _, r := range w.rules {
		if r.member.Feed == feed && live(r, hour) && (r.name == name || name.IsBelow(r.name)) {
			closest = max(closest, r.name.Labels())
		}
	}
	for _, r := range w.rules {
		if r.member.Feed != feed || !live(r, hour) || !reaches(r, name) {
			continue
		}
		if w.feeds[feed].ClosestEncloser && r.name.Labels() != closest {
			continue
		}
		list = append(list, r)
	}
	return list
}

func live(r rule, hour int64) bool { return r.member.Expiry == 0 || hour < int64(r.member.Expiry) }

func reaches(r rule, name dnsname.Name) bool {
	switch r.member.Kind {
	case policy.KindExact:
		return r.name == name
	case policy.KindBelow:
		return name.IsBelow(r.name)
	case policy.KindSubtree:
		return r.name == name || name.IsBelow(r.name)
	case policy.KindENT:
	}
	return false
}

// expiryHour is about when the rules of random worlds expire.
const expiryHour = 500_000

// randomWorld makes zones, feeds and rules that often touch each other.
func randomWorld(r *rand.Rand) *world {
	w := &world{}
	for i := range 1 + r.IntN(5) {
		w.feeds = append(w.feeds, policy.Feed{Name: fmt.Sprint("feed ", i), ClosestEncloser: r.IntN(3) == 0})
	}
	for i := range 1 + r.IntN(6) {
		w.zones = append(w.zones, randomZone(r, i, w.feeds))
	}
	for range r.IntN(30) {
		w.add(randomRule(r, w))
	}
	return w
}

func randomZone(r *rand.Rand, number int, feeds []policy.Feed) policy.Zone {
	z := policy.Zone{Name: fmt.Sprint("zone ", number), LogOnly: r.IntN(4) == 0, Observe: r.IntN(3) == 0}
	if r.IntN(3) == 0 {
		z.Action = pick(r, policy.ActionNXDOMAIN, policy.ActionPassthru, policy.ActionDisabled)
	}
	if r.IntN(5) == 0 {
		z.Override = pick(r, policy.ActionPassthru, policy.ActionDisabled, policy.ActionNODATA, policy.ActionNXDOMAIN, policy.ActionDrop, policy.ActionTCPOnly,
			policy.ActionLocalData)
	}
	if z.Override == policy.ActionLocalData {
		z.Target = dnsname.MustParse("garden.example")
	}
	if r.IntN(6) == 0 {
		z.LocalDataOr = pick(r, policy.ActionPassthru, policy.ActionDisabled)
	}
	for _, i := range r.Perm(len(feeds)) {
		if r.IntN(2) == 0 {
			z.Feeds = append(z.Feeds, feeds[i].Name)
		}
	}
	if r.IntN(4) == 0 {
		z.Feeds = append(z.Feeds, "never loaded")
	}
	return z
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomRule(r *rand.Rand, w *world) rule {
	m := policy.Member{
		Feed: uint16(r.IntN(len(w.feeds))), Family: uint32(r.IntN(familiesMax)), Kind: policy.Kind(r.IntN(4)),
		Confidence: policy.ConfidenceUnknown, Exception: r.IntN(8) == 0,
	}
	if r.IntN(4) == 0 {
		m.Action = pick(r, policy.ActionNXDOMAIN, policy.ActionPassthru, policy.ActionDrop, policy.ActionDisabled, policy.ActionLocalData)
	}
	if m.Action == policy.ActionLocalData {
		m.Data = 1
	}
	if r.IntN(5) == 0 {
		m.Expiry = expiryHour + uint32(r.IntN(3)) - 1
	}
	if m.Kind == policy.KindENT {
		m.Exception, m.Action, m.Data = false, policy.ActionDefault, 0
	}
	return rule{randomName(r, 5), m}
}

// add adds a rule as a feed would: an RPZ feed also makes the names above it exist.
func (w *world) add(rules ...rule) {
	for _, r := range rules {
		w.rules = append(w.rules, r)
		if !w.feeds[r.member.Feed].ClosestEncloser {
			continue
		}
		for above := r.name.Parent(); !above.IsRoot(); above = above.Parent() {
			w.rules = append(w.rules, rule{above, policy.Member{Feed: r.member.Feed, Kind: policy.KindENT, Confidence: policy.ConfidenceUnknown}})
		}
	}
}

// randomName has one to labels labels of a or b.
func randomName(r *rand.Rand, labels int) dnsname.Name {
	name := dnsname.Root
	for range 1 + r.IntN(labels) {
		name, _ = name.Child(pick(r, "a", "b"))
	}
	return name
}

// everyName returns all names that randomName can make.
func everyName(labels int) []dnsname.Name {
	level, all := []dnsname.Name{dnsname.Root}, []dnsname.Name(nil)
	for range labels {
		var next []dnsname.Name
		for _, parent := range level {
			for _, label := range []string{"a", "b"} {
				child, _ := parent.Child(label)
				next = append(next, child)
			}
		}
		level, all = next, append(all, next...)
	}
	return all
}

// worlds calls check with random worlds until it was told of enough cases. CENOTE_CASES says how many those are; without it a slice is
// tested that takes a second or two.
func worlds(t *testing.T, seed uint64, check func(t *testing.T, r *rand.Rand, w *world) (cases int)) {
	t.Helper()
	manyWorlds(t, seed, 6_000, check)
}

// slowWorlds is worlds for checks of which so many would take ten seconds and more under the race detector.
func slowWorlds(t *testing.T, seed uint64, check func(t *testing.T, r *rand.Rand, w *world) (cases int)) {
	t.Helper()
	if raceEnabled {
		manyWorlds(t, seed, 1_200, check)
	} else {
		worlds(t, seed, check)
	}
}

func manyWorlds(t *testing.T, seed uint64, want int, check func(t *testing.T, r *rand.Rand, w *world) (cases int)) {
	t.Helper()
	if s := os.Getenv("CENOTE_CASES"); s != "" {
		var err error
		if want, err = strconv.Atoi(s); err != nil {
			t.Fatalf("CENOTE_CASES: %v", err)
		}
	}
	cases, n := 0, uint64(0)
	for ; cases < want && !t.Failed(); n++ {
		r := rand.New(rand.NewPCG(seed, n))
		cases += check(t, r, randomWorld(r))
	}
	t.Logf("%d cases in %d worlds of seed %d", cases, n, seed)
}
