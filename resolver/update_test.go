package resolver_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestUpdateComparesEachEntryOnce: what has changed in a configuration with as many stubs as there may be is found by as many comparisons as there are stubs.
func TestUpdateComparesEachEntryOnce(t *testing.T) {
	before, after := manySources(nil, 4000, 0).Recursion.Stubs, manySources(nil, 4000, 1).Recursion.Stubs
	if n := resolver.ComparedStubs(after, before); n != 3999 {
		t.Errorf("%d comparisons of 4000 stubs of which one has changed, want 3999", n)
	}
	if n := resolver.ComparedStubs(after, nil); n != 0 {
		t.Errorf("%d comparisons with nothing, want none", n)
	}
}

// TestUpdateIsPreparedBesideQuestions: what a new configuration changes is found out without the lock that questions begin and end under.
func TestUpdateIsPreparedBesideQuestions(t *testing.T) {
	r := startRooted(t, smallInternet)
	config := manySources(r.cache, 400, 0)
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if n := r.PrepareUpdate(config); n != 0 {
		t.Errorf("the same configuration has something forgotten below %d names", n)
	}
	if n := r.PrepareUpdate(manySources(r.cache, 400, 1)); n != 2 {
		t.Errorf("another zone of one stub: something is forgotten below %d names, want 2", n)
	}
}

// TestRegion: many names are looked for at once as each alone.
func TestRegion(t *testing.T) {
	name := func(s string) dnsname.Name { return dnsname.MustParse(s).Canonical() }
	tops := []dnsname.Name{name("corp.example"), name("lab.corp.example"), name("other.test")}
	for _, c := range []struct {
		name          string
		held, touched bool
	}{
		{".", false, true}, {"example", false, true}, {"corp.example", true, true}, {"www.corp.example", true, true}, {"x.lab.corp.example", true, true},
		{"xcorp.example", false, false}, {"www.example", false, false}, {"test", false, true}, {"a.b.other.test", true, true}, {"org", false, false},
	} {
		if held, touched := resolver.Held(name(c.name), tops...); held != c.held || touched != c.touched {
			t.Errorf("%s: held %v, touched %v; want %v, %v", c.name, held, touched, c.held, c.touched)
		}
		if held, touched := resolver.Held(name(c.name), dnsname.Root); !held || !touched {
			t.Errorf("%s is not below the root", c.name)
		}
		if held, touched := resolver.Held(name(c.name)); held || touched {
			t.Errorf("%s is below no name", c.name)
		}
	}
}

// TestNothingIsLearntByWhatIsYetToBeForgotten: an answer that was looked for while an update forgets what was so before may come of that. Whoever waits gets it, and it is not kept.
func TestNothingIsLearntByWhatIsYetToBeForgotten(t *testing.T) {
	for _, ends := range []string{"after it", "before it"} {
		r := startRooted(t, twoSources)
		r.change(t, "forward")
		asked, answer, got := make(chan struct{}), make(chan struct{}), make(chan string, 1)
		var once sync.Once
		r.tree.Hook("@3", func(q dnstest.Query, m *dns.Msg) *dns.Msg {
			if strings.EqualFold(q.Name, "www.corp.test.") {
				once.Do(func() {
					close(asked)
					<-answer
				})
			}
			return m
		})
		r.UpdateWhile(r.sourced(""), func() {
			go func() { got <- r.ask(t, "www.corp.test", "A") }()
			<-asked
			if ends == "before it" {
				close(answer)
				got <- <-got
			}
		})
		if ends == "after it" {
			close(answer)
		}
		if said := <-got; said != saysWorld {
			t.Errorf("%s: got %s, want %s", ends, said, saysWorld)
		}
		if kept := r.cache.Kept(dnsname.MustParse("www.corp.test"), 0, time.Now().UnixNano()); len(kept) > 0 {
			t.Errorf("a question that ends %s: its answer is kept", ends)
		}
		before := len(r.tree.Queries("@3"))
		if said := r.ask(t, "www.corp.test", "A"); said != saysWorld || len(r.tree.Queries("@3")) == before {
			t.Errorf("%s: the next got %s, from what was kept", ends, said)
		}
	}
}
