package blocklist_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"cenote/blocklist"
)

// mispServer gives the directory of a MISP feed.
type mispServer struct {
	mu     sync.Mutex
	events map[string]mispEvent // by UUID
}

type mispEvent struct {
	timestamp int
	body      string
}

// put has the feed have an event that lists a name.
func (s *mispServer) put(number, timestamp int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[mispUUID(number)] = mispEvent{timestamp, body}
}

func (s *mispServer) drop(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.events, mispUUID(number))
}

func mispUUID(number int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", number) }

func eventAbout(name string) string {
	return fmt.Sprintf("{\n \"Event\": {\"info\": \"of <%s>\", \"Attribute\": [\n  {\"type\": \"domain\", \"to_ids\": true, \"value\": %q}]}}", name, name)
}

// ServeHTTP answers for the files of the directory.
func (s *mispServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := strings.CutPrefix(r.URL.Path, "/feed/")
	if name == "manifest.json" {
		var entries []string
		for uuid, e := range s.events {
			entries = append(entries, fmt.Sprintf(`"%s": {"info": "x", "timestamp": "%d", "Tag": []}`, uuid, e.timestamp))
		}
		slices.Sort(entries)
		_, _ = fmt.Fprintf(w, "{%s}", strings.Join(entries, ","))
		return
	}
	e, known := s.events[strings.TrimSuffix(name, ".json")]
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	_, _ = fmt.Fprint(w, e.body)
}

func mispWorld(t *testing.T) (*mispServer, *listServer, *world) {
	t.Helper()
	feed := &mispServer{events: map[string]mispEvent{}}
	feed.put(1, 100, eventAbout("a.example"))
	feed.put(2, 100, eventAbout("b.example"))
	server := newListServer(t)
	server.does(feed.ServeHTTP)
	w := newWorld(t, nil)
	f := fetchFeed(server.URL + "/feed/")
	f.Fetch.MISP, f.ShrinkMax = true, 1
	w.add(f)
	return feed, server, w
}

// askedSince are the files that were asked for from the n-th request on.
func askedSince(server *listServer, n int) (files []string) {
	for _, r := range server.requests()[n:] {
		files = append(files, strings.TrimPrefix(r.URL.Path, "/feed/"))
	}
	return files
}

// TestMISPFeedIsFollowed: the events of a feed are fetched once, again where the manifest tells another time, also after a restart, and leave with the manifest.
func TestMISPFeedIsFollowed(t *testing.T) {
	t.Parallel()
	feed, server, w := mispWorld(t)
	w.fetch()
	if got := names(w, "a", "b", "c"); got != "ab" {
		t.Fatalf("lists %q, want ab: %+v", got, w.status("f"))
	}
	feed.put(2, 101, eventAbout("c.example"))
	n := len(server.requests())
	w.fetch()
	if got := names(w, "a", "b", "c"); got != "ac" {
		t.Errorf("after a change lists %q, want ac", got)
	}
	if got, want := fmt.Sprint(askedSince(server, n)), fmt.Sprint([]string{"manifest.json", mispUUID(2) + ".json"}); got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	w.close()
	w.open(nil)
	feed.put(3, 100, eventAbout("b.example"))
	feed.drop(1)
	n = len(server.requests())
	w.fetch()
	if got := names(w, "a", "b", "c"); got != "bc" {
		t.Errorf("after a restart lists %q, want bc", got)
	}
	if got, want := fmt.Sprint(askedSince(server, n)), fmt.Sprint([]string{"manifest.json", mispUUID(3) + ".json"}); got != want {
		t.Errorf("after a restart asked for %s, want %s", got, want)
	}
	n = len(server.requests())
	if r := w.fetch(); slices.ContainsFunc(r.Feeds, func(f blocklist.FeedResult) bool { return f.Outcome == blocklist.OutcomeRead }) {
		t.Errorf("without a change: %+v", r.Feeds)
	}
	if got := askedSince(server, n); len(got) != 1 {
		t.Errorf("without a change asked for %v", got)
	}
}

// TestHostileMISPFeed: what is no feed, or not all of it, changes nothing, and no name of a manifest leads elsewhere.
func TestHostileMISPFeed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		does func(*mispServer, http.ResponseWriter, *http.Request)
		says string
	}{
		"a page": {func(_ *mispServer, w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<!DOCTYPE html>") }, "no JSON of a MISP feed"},
		"no manifest": {func(_ *mispServer, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
			"404 Not Found; look whether the url is that of the directory"},
		"names that are paths": {func(_ *mispServer, w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"../../../secret": {"timestamp": 1}}`)
		}, "not the manifest of a MISP feed"},
		"an event that is missing": {func(s *mispServer, w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, mispUUID(2)+".json") {
				http.NotFound(w, r)
				return
			}
			s.ServeHTTP(w, r)
		}, "of the event " + mispUUID(2) + " the server answers 404"},
		"an event that is none": {func(s *mispServer, w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, mispUUID(2)+".json") {
				_, _ = fmt.Fprint(w, `{"Event": []}`)
				return
			}
			s.ServeHTTP(w, r)
		}, "as the event " + mispUUID(2) + " is none"},
		"endless": {func(_ *mispServer, w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := fmt.Fprint(w, strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
		}, "larger than the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			feed, server, w := mispWorld(t)
			w.fetch()
			feed.put(1, 200, eventAbout("x.example"))
			feed.put(2, 200, eventAbout("y.example"))
			server.does(func(out http.ResponseWriter, r *http.Request) { tc.does(feed, out, r) })
			w.fetch()
			if got, s := names(w, "a", "b", "x", "y"), w.status("f"); got != "ab" || !strings.Contains(s.Error, tc.says) {
				t.Errorf("lists %q, error %q; want ab and %q", got, s.Error, tc.says)
			}
			server.does(feed.ServeHTTP)
			w.fetch()
			if got := names(w, "a", "b", "x", "y"); got != "xy" {
				t.Errorf("when it is good again lists %q, want xy: %+v", got, w.status("f"))
			}
		})
	}
}
