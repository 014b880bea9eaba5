package main

import (
	"bufio"
	"context"
	"fmt"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
)

// TestSmallChangesBesideALargeList: beside a large list, the names of a small one are replaced by others, and an operator lets a row of it be served and then refuses it: nothing of the large
// list is read or compiled. With CENOTE_LONG=1 that has a million names, or as many as CENOTE_NAMES says, and the log says how long each takes.
func TestSmallChangesBesideALargeList(t *testing.T) {
	lists := &editedLists{t: t, dir: t.TempDir(), all: scaled(t, 20_000, 1_000_000), small: 1000}
	lists.writeLarge()
	edit := func(n int) {
		lists.put("small", func(w *bufio.Writer) {
			for i := range lists.small - 1 {
				fmt.Fprintln(w, lists.name(n, i))
			}
			fmt.Fprintln(w, "github.io") // a suffix under which anybody may have names: it is held
		})
	}
	edit(0)
	s := startServer(t, lists.dir, fmt.Sprintf(`
state: %[1]s/state
listen: ['127.0.0.1:0']
upstreams: ['127.0.0.1:9']
rate_limit: {enabled: false}
feeds:
  - {name: large, path: %[1]s/large, format: domains, limits: {size: 1GiB}}
  - {name: small, path: %[1]s/small, format: domains, shrink_max: 100%%}
policy: {zones: [{name: block, feeds: [large, small], action: nxdomain}]}
`, lists.dir))
	s.wait("serving both", func() bool {
		return s.lists(dnsname.MustParse("host0.d0.test")) && s.lists(dnsname.MustParse(lists.name(0, 0)))
	})
	took := func() time.Duration {
		return time.Duration(1e9 * labelled(t, s.publisher, "cenote_blocklist_publish_seconds", "")).Round(time.Millisecond)
	}
	for n := 1; n <= 3; n++ {
		time.Sleep(sizedTime(0, 2*time.Second))
		edit(n)
		s.wait("serving the edit", func() bool { return s.lists(dnsname.MustParse(lists.name(n, 0))) })
		t.Logf("edit %d, of %d names beside %d: in force %v after the file was seen to rest", n, lists.small, lists.all, took())
	}
	for _, verdict := range []blocklist.Verdict{blocklist.VerdictRelease, blocklist.VerdictRefuse} {
		began, served := time.Now(), verdict == blocklist.VerdictRelease
		if _, err := s.publisher.Decide(context.Background(), blocklist.Decision{Feed: "small", Name: "github.io", Verdict: verdict, Who: "me", Why: "test"}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: answered after %v, in force after %v", verdict, time.Since(began).Round(time.Millisecond), took())
		if got := s.lists(dnsname.MustParse("github.io")); got != served {
			t.Errorf("after %s it is served: %v", verdict, got)
		}
	}
	if n := labelled(t, s.publisher, "cenote_blocklist_deltas_total", ""); n != 5 {
		t.Errorf("%v of 5 changes were served as a delta", n)
	}
}
