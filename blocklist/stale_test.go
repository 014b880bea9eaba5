package blocklist_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
)

// policyZone is a zone that lists a name, with a serial and an expire field in seconds.
func policyZone(serial uint32, expire int, name string) string {
	return fmt.Sprintf("@ SOA localhost. root.localhost. %d 3600 600 %d 60\n@ NS localhost.\n%s CNAME .\n", serial, expire, name)
}

// TestZoneWhoseSerialWentBack: an older zone is not taken, unless somebody says that it is right; serials are compared as on a circle.
func TestZoneWhoseSerialWentBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		was, now uint32
		older    bool
	}{
		"newer":              {5, 6, false},
		"same":               {5, 5, false},
		"older":              {5, 4, true},
		"over the end":       {1<<32 - 1, 1, false},
		"back over the end":  {1, 1<<32 - 1, true},
		"from date to time":  {2026112701, 1795737600, true},
		"as far as can be":   {1, 1<<31 + 0, false},
		"undefined distance": {1, 1<<31 + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.feed("f.rpz", policyZone(tc.was, 3600, "a.example"))
			w.open(nil)
			w.reload(blocklist.ReloadOptions{})
			w.feed("f.rpz", policyZone(tc.now, 3600, "b.example"))
			w.reload(blocklist.ReloadOptions{})
			s := w.status("f.rpz")
			if taken := w.lists("b.example"); taken == tc.older || w.lists("a.example") != tc.older || (s.State == blocklist.FeedKept) != tc.older {
				t.Errorf("taken: %v, state %s (%s)", taken, s.State, s.Error)
			}
			if !tc.older {
				return
			}
			if want := fmt.Sprintf("its serial went back from %d to %d", tc.was, tc.now); !strings.Contains(s.Error, want) || w.metric("cenote_blocklist_guarded_total") != 1 {
				t.Errorf("the error is %q, want %q", s.Error, want)
			}
			w.reload(blocklist.ReloadOptions{Feeds: []string{"f.rpz"}, Force: true})
			if !w.lists("b.example") || w.status("f.rpz").State != blocklist.FeedGood {
				t.Errorf("by force: %+v", w.status("f.rpz"))
			}
		})
	}
	w := newWorld(t, nil)
	w.feed("f.rpz", policyZone(5, 3600, "a.example"))
	w.feeds[0].AllowOlder = true
	w.open(nil)
	w.reload(blocklist.ReloadOptions{})
	w.feed("f.rpz", policyZone(4, 3600, "b.example"))
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("b.example") {
		t.Errorf("with allow_older: %+v", w.status("f.rpz"))
	}
}

// TestStaleZoneIsServedAndShown: a zone that is older than its SOA lets it become is served, and shown; a change of the file ends that.
func TestStaleZoneIsServedAndShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("f.rpz", policyZone(5, 1, "a.example"))
	w.feed("old.rpz", policyZone(5, 0, "c.example"))
	w.run()
	w.eventually("it is stale", func() bool { return w.status("f.rpz").State == blocklist.FeedStale })
	w.eventually("it is logged", func() bool { return strings.Contains(w.log(), "older than its SOA lets it become") })
	s := w.status("f.rpz")
	if !w.lists("a.example") || s.Error != "" || s.Expired.IsZero() || s.Expired.After(time.Now()) || !strings.Contains(w.gathered(), "stale") {
		t.Errorf("listed: %v, %+v", w.lists("a.example"), s)
	}
	w.eventually("a zone without an expire field is good", func() bool { return w.status("old.rpz").State == blocklist.FeedGood })
	w.feed("old.rpz", policyZone(6, 0, "d.example"))
	w.eventually("something else has changed", func() bool { return w.lists("d.example") })
	w.feed("f.rpz", policyZone(6, 3600, "b.example"))
	w.eventually("it is good", func() bool { return w.lists("b.example") && w.status("f.rpz").State == blocklist.FeedGood })
	if n := strings.Count(w.log(), "older than its SOA lets it become"); n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
}

// TestZoneThatItsServerConfirmsIsNotStale: of a zone from a URL the time counts from when its server last said that it is the same.
func TestZoneThatItsServerConfirmsIsNotStale(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives(policyZone(5, 1, "a.example"), `"1"`))
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/f.rpz"))
	w.fetch()
	w.eventually("it is stale", func() bool { return w.status("f").State == blocklist.FeedStale })
	w.eventually("it is good after its server has confirmed it", func() bool {
		w.fetch()
		return w.status("f").State == blocklist.FeedGood
	})
	server.does(http.NotFound)
	w.fetch()
	w.eventually("it is kept, and expired", func() bool { s := w.status("f"); return s.State == blocklist.FeedKept && !s.Expired.IsZero() })
}
