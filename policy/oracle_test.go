package policy_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/policy"
)

// Every decision equals that of the oracle, which knows neither sets nor the index, and both paths of CheckQuery agree to the bit.
func TestDecisionsEqualTheOracle(t *testing.T) {
	merged := map[int]int{}
	slow, matched := 0, 0
	worlds(t, 1, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		p := w.policy(t)
		for _, hour := range []int64{expiryHour - 2, expiryHour, expiryHour + 5} {
			for _, name := range append(everyName(3), randomName(r, 7), randomName(r, 7), randomName(r, 7), randomName(r, 9)) {
				d := p.CheckQuery(ask(name, hour))
				if got, want := told(t, p, name, d), w.decide(name, hour); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s at hour %d in %v\ngot  %v\nwant %v", name, hour, w, got, want)
				}
				if slowly := policy.CheckSlowly(p, ask(name, hour)); slowly != d {
					t.Fatalf("%s at hour %d in %v\nfrom the table %+v\njudged         %+v", name, hour, w, d, slowly)
				}
				if n, ok := policy.Merged(p, ask(name, hour)); ok {
					merged[n]++
				} else {
					slow++
				}
				if d.Matched() {
					matched++
				}
				cases++
			}
		}
		return cases
	})
	t.Logf("decided from the table by number of matches: %v; judged: %d; with a winner: %d", merged, slow, matched)
	if merged[1] == 0 || merged[2] == 0 || merged[3] == 0 || slow == 0 || matched == 0 {
		t.Error("one of the paths was not tested")
	}
}

// A new rule in a feed without the closest-encloser rule never unblocks a name, and changes nothing for names that it does not reach.
func TestAddingAnIndicatorNeverUnblocks(t *testing.T) {
	names := everyName(5)
	tested := 0
	worlds(t, 2, func(t *testing.T, r *rand.Rand, w *world) int {
		added := randomRule(r, w)
		if w.feeds[added.member.Feed].ClosestEncloser {
			return 1
		}
		before, after := w.policy(t), w.with(added).policy(t)
		for _, name := range names {
			was := told(t, before, name, before.CheckQuery(ask(name, expiryHour-2)))
			is := told(t, after, name, after.CheckQuery(ask(name, expiryHour-2)))
			if was.blocked() && !is.blocked() && w.blocks(added) {
				t.Fatalf("%s was %v\nand is %v\nsince %v came into %v", name, was, is, added, w)
			}
			if !reaches(added, name) && !reflect.DeepEqual(was, is) {
				t.Fatalf("%s was %v\nand is %v\nsince %v, which is not about it, came into %v", name, was, is, added, w)
			}
			tested++
		}
		return len(names)
	})
	if tested == 0 {
		t.Error("nothing was tested")
	}
}

// A new rule in an RPZ feed can unblock a name in one way only, which the draft demands: the name was blocked by a wildcard of the same
// feed, and the new rule makes a longer name above it exist. What other feeds block stays blocked.
func TestAddingToAnRPZFeedUnblocksOnlyItsOwnWildcards(t *testing.T) {
	names := everyName(5)
	stopped := 0
	worlds(t, 3, func(t *testing.T, r *rand.Rand, w *world) int {
		added := randomRule(r, w)
		feed := &w.feeds[added.member.Feed]
		if !feed.ClosestEncloser || !w.blocks(added) {
			return 1
		}
		before, after := w.policy(t), w.with(added).policy(t)
		for _, name := range names {
			was := told(t, before, name, before.CheckQuery(ask(name, expiryHour-2)))
			is := told(t, after, name, after.CheckQuery(ask(name, expiryHour-2)))
			if !was.blocked() || is.blocked() {
				continue
			}
			stopped++
			wildcard := was.winner.listed
			if was.winner.feed != feed.Name || !name.IsBelow(wildcard) || !added.name.IsBelow(wildcard) || common(name, added.name) <= wildcard.Labels() {
				t.Fatalf("%s was %v\nand is %v\nsince %v came into %v", name, was, is, added, w)
			}
		}
		return len(names)
	})
	if stopped == 0 {
		t.Error("no wildcard was ever stopped, so nothing was tested")
	}
}

// with returns a copy of w that has one more rule.
func (w *world) with(r rule) *world {
	more := &world{zones: w.zones, feeds: w.feeds, rules: slices.Clone(w.rules)}
	more.add(r)
	return more
}

// blocks reports whether r can only add blocks: it is no exception, and no zone takes it for a permission.
func (w *world) blocks(r rule) bool {
	if r.member.Exception {
		return false
	}
	for i := range w.zones {
		z := &w.zones[i]
		if slices.Contains(z.Feeds, w.feeds[r.member.Feed].Name) && resolve(z, r.member.Action) == policy.ActionPassthru {
			return false
		}
	}
	return true
}

// common returns how many labels at the end a and b share.
func common(a, b dnsname.Name) (n int) {
	for n < a.Labels() && n < b.Labels() && a.Suffix(n+1) == b.Suffix(n+1) {
		n++
	}
	return n
}

// An explanation has the winner that CheckQuery has, and marks as recorded what CheckQuery observes.
func TestExplainAgreesWithCheckQuery(t *testing.T) {
	clauses := map[policy.Clause]int{}
	statuses := map[policy.Status]int{}
	worlds(t, 4, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		p := w.policy(t)
		for _, name := range append(everyName(3), randomName(r, 7)) {
			q := ask(name, expiryHour)
			d, e := p.CheckQuery(q), p.Explain(q, nil)
			checkExplanation(t, w, name, &d, &e)
			clauses[e.Clause]++
			for _, z := range e.Zones {
				for _, c := range z.Candidates {
					statuses[c.Status]++
				}
			}
			statuses[policy.StatusUnheld] += len(e.Unheld)
			cases++
		}
		return cases
	})
	for _, c := range []policy.Clause{policy.ClauseNone, policy.ClauseAlone, policy.ClauseZoneOrder, policy.ClauseExact, policy.ClauseLabels,
		policy.ClauseFeedOrder, policy.ClauseSetOrder} {
		if clauses[c] == 0 {
			t.Errorf("no explanation has the clause %s", c)
		}
	}
	for s := policy.StatusWins; s <= policy.StatusUnheld; s++ {
		if statuses[s] == 0 {
			t.Errorf("no candidate has the status %s", s)
		}
	}
}

func checkExplanation(t *testing.T, w *world, name dnsname.Name, d *policy.Decision, e *policy.Explanation) {
	t.Helper()
	if (e.Winner != nil) != d.Matched() || e.Winner != nil && (e.Winner.Hit.Member != d.Winner.Member || e.Winner.Hit.Set != d.Winner.Set) {
		t.Fatalf("%s in %v: Explain has the winner %+v, CheckQuery %+v", name, w, e.Winner, d.Winner)
	}
	wins, recorded := 0, 0
	for _, z := range e.Zones {
		for _, c := range z.Candidates {
			if c.Status == policy.StatusWins {
				wins++
			}
			if c.Recorded {
				recorded++
			}
			if (c.Clause != policy.ClauseNone) != (c.Status == policy.StatusBeaten) {
				t.Fatalf("%s: candidate %+v is %s by %s", name, c, c.Status, c.Clause)
			}
		}
	}
	if d.Matched() != (wins == 1) || wins > 1 || recorded != wins+int(d.NObserved) {
		t.Fatalf("%s in %v: %d candidates win and %d are recorded, CheckQuery has %+v", name, w, wins, recorded, *d)
	}
}
