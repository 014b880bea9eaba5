package blocklist_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/blocklist"
)

// taxiiServer is a server of TAXII 2.1 with one collection. The time at which objects are added is its own.
type taxiiServer struct {
	mu      sync.Mutex
	objects []taxiiAdded
	page    int  // objects of a page at most
	byTime  bool // pages are asked for by time alone, without a word
}

type taxiiAdded struct {
	at   time.Time
	text string
}

const taxiiStamp = "2006-01-02T15:04:05.000000Z"

func (s *taxiiServer) add(at time.Time, objects ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at = at.Truncate(time.Microsecond)
	for _, o := range objects {
		at = at.Add(time.Microsecond)
		s.objects = append(s.objects, taxiiAdded{at, o})
	}
}

// ServeHTTP answers for the objects of the collection.
func (s *taxiiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	if r.URL.Path != "/api/collections/c1/objects/" || r.Header.Get("Accept") != "application/taxii+json;version=2.1" || limit < 1 {
		http.Error(w, "{}", http.StatusNotAcceptable)
		return
	}
	after, _ := time.Parse(time.RFC3339, q.Get("added_after"))
	skip, _ := strconv.Atoi(q.Get("next"))
	var rest []taxiiAdded
	for _, o := range s.objects {
		if o.at.After(after) {
			rest = append(rest, o)
		}
	}
	rest = rest[min(skip, len(rest)):]
	page := rest[:min(len(rest), s.page, limit)]
	w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
	envelope := map[string]any{"more": len(page) < len(rest)}
	if len(page) < len(rest) && !s.byTime {
		envelope["next"] = strconv.Itoa(skip + len(page))
	}
	var objects []json.RawMessage
	for _, o := range page {
		objects = append(objects, json.RawMessage(o.text))
		w.Header().Set("X-TAXII-Date-Added-Last", o.at.UTC().Format(taxiiStamp))
	}
	if len(objects) > 0 {
		envelope["objects"] = objects
	}
	json.NewEncoder(w).Encode(envelope)
}

// indicatorAbout is an indicator about a name, of a minute of its own life, with more keys.
func indicatorAbout(name string, minute int, more string) string {
	return fmt.Sprintf(`{"type": "indicator", "spec_version": "2.1", "id": "indicator--%s", "modified": "2026-01-01T00:%02d:00.000Z", "pattern_type": "stix",
		"pattern": "[domain-name:value = '%s']"%s}`, name, minute, name, more)
}

func taxiiFeed(url string) blocklist.Feed {
	f := fetchFeed(url + "/api/collections/c1/")
	f.Fetch.TAXII, f.AllowEmpty, f.ShrinkMax = true, true, 1
	return f
}

// taxiiWorld has a feed of a collection with some objects.
func taxiiWorld(t *testing.T) (*taxiiServer, *listServer, *world) {
	t.Helper()
	collection := &taxiiServer{page: 2}
	collection.add(time.Now().Add(-time.Hour), indicatorAbout("a.example", 1, ""), indicatorAbout("b.example", 1, ""), indicatorAbout("c.example", 1, ""),
		`{"type": "malware", "id": "malware--1", "name": "Lumma", "modified": "2026-01-01T00:00:00Z"}`,
		`{"type": "relationship", "id": "relationship--1", "relationship_type": "indicates", "source_ref": "indicator--a.example", "target_ref": "malware--1"}`)
	server := newListServer(t)
	server.does(collection.ServeHTTP)
	w := newWorld(t, nil)
	w.add(taxiiFeed(server.URL))
	return collection, server, w
}

func names(w *world, of ...string) (listed string) {
	for _, n := range of {
		if w.lists(n + ".example") {
			listed += n
		}
	}
	return listed
}

// TestCollectionIsFollowed: a collection is read page by page, what is new is asked for from where the last fetch ended, also after a restart, and what is revoked
// or has expired leaves.
func TestCollectionIsFollowed(t *testing.T) {
	t.Parallel()
	for _, byTime := range []bool{false, true} {
		collection, server, w := taxiiWorld(t)
		collection.byTime = byTime
		w.fetch()
		if got := names(w, "a", "b", "c"); got != "abc" || len(server.requests()) != 3 {
			t.Fatalf("%s of abc are listed, after %d requests; %+v\n%s", got, len(server.requests()), w.status("f"), w.log())
		}
		if q := server.requests()[0].URL.Query(); q.Get("match[type]") != "indicator,malware,relationship,report,marking-definition" || q.Has("added_after") {
			t.Errorf("the first page was asked for by %v", q)
		}
		if row, err := w.current().Locate(0, []byte("\x01a\x07example\x00")); err != nil || row.Family != "Lumma" {
			t.Errorf("the row is %+v (%v), want the family of its malware", row, err)
		}
		last := collection.objects[4].at.UTC().Format(taxiiStamp)
		w.close()
		collection.add(time.Now().Add(-time.Minute), indicatorAbout("a.example", 2, `, "revoked": true`), indicatorAbout("a.example", 1, ""),
			indicatorAbout("b.example", 2, `, "valid_until": "2026-01-02T00:00:00Z"`), indicatorAbout("c.example", 0, `, "revoked": true`), indicatorAbout("d.example", 1, ""))
		w.open(nil)
		w.fetch()
		if got := names(w, "a", "b", "c", "d"); got != "cd" {
			t.Errorf("%s of abcd are listed, want cd\n%s", got, w.log())
		}
		if q := server.requests()[3].URL.Query(); q.Get("added_after") != last {
			t.Errorf("after the restart asked by %v, want what was added after %s", q, last)
		}
		asked := len(server.requests())
		w.fetch()
		if len(server.requests()) != asked+1 || w.fetched(blocklist.FetchUnchanged) != 1 {
			t.Errorf("nothing is new: %d requests more, %v fetches unchanged, want one of each", len(server.requests())-asked, w.fetched(blocklist.FetchUnchanged))
		}
		c := w.status("f").Fetch.Collection
		if c == nil || c.Objects != 4 || c.AddedAfter.UTC().Format(taxiiStamp) != collection.objects[9].at.UTC().Format(taxiiStamp) || c.Resynced.IsZero() {
			t.Errorf("the collection stands at %+v, want 4 objects to the last that was added", c)
		}
	}
}

// TestCollectionIsReadWhole: all is read where the bundle or the time is lost, the server does not take the time, or the last time is long ago. What the
// server removed without a word leaves then.
func TestCollectionIsReadWhole(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*taxiiServer, *listServer, *world){
		"bundle lost":    func(_ *taxiiServer, _ *listServer, w *world) { must(t, os.Remove(w.status("f").Path)) },
		"bundle damaged": func(_ *taxiiServer, _ *listServer, w *world) { damageBundle(t, w.status("f").Path) },
		"state lost": func(_ *taxiiServer, _ *listServer, w *world) {
			must(t, os.Remove(filepath.Join(filepath.Dir(filepath.Dir(w.status("f").Path)), "state.json")))
		},
		"long ago": func(_ *taxiiServer, _ *listServer, w *world) { w.feeds[0].Fetch.Resync = time.Nanosecond },
		"time refused": func(c *taxiiServer, s *listServer, _ *world) {
			s.does(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("added_after") {
					http.Error(w, "{}", http.StatusBadRequest)
					return
				}
				c.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collection, server, w := taxiiWorld(t)
			w.fetch()
			collection.objects = collection.objects[1:]
			lose(collection, server, w)
			w.close()
			w.open(nil)
			w.fetch()
			if got := names(w, "a", "b", "c"); got != "bc" {
				t.Errorf("%s of abc are listed, want bc: %+v\n%s", got, w.status("f"), w.log())
			}
		})
	}
}

func damageBundle(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, bytes.Replace(b, []byte("b.example"), []byte("x.example"), 1), 0o600))
}

// TestOddClocksOfCollections: a time that cannot be gone on from has the next fetch read all, and no time has one miss what is new.
func TestOddClocksOfCollections(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		last  string // of the second fetch
		whole bool   // the third reads all
	}{
		"no time":        {"", true},
		"no time at all": {"yesterday", true},
		"too long":       {"2026-01-01T00:00:00." + strings.Repeat("0", 100) + "Z", true},
		"set back":       {"2020-01-01T00:00:00Z", true},
		"far ahead":      {"2099-01-01T00:00:00Z", true},
		"a little ahead": {time.Now().Add(time.Hour).UTC().Format(time.RFC3339), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, server, w := taxiiWorld(t)
			w.fetch()
			server.does(taxiiPage(tc.last, `{"objects": [`+indicatorAbout("d.example", 1, "")+`]}`))
			w.fetch()
			if got := names(w, "a", "d"); got != "ad" {
				t.Errorf("%s of ad are listed", got)
			}
			w.fetch()
			all := server.requests()
			if got := !all[len(all)-1].URL.Query().Has("added_after"); got != tc.whole {
				t.Errorf("the next fetch reads all: %v, want %v", got, tc.whole)
			}
		})
	}
}

// taxiiPage answers with one page, always the same.
func taxiiPage(last, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
		if last != "" {
			w.Header().Set("X-TAXII-Date-Added-Last", last)
		}
		io.WriteString(w, body)
	}
}

// TestHostileCollection: whatever the server does, the last good collection is served, nothing of a run that ended halfway is kept, and the next good one goes on from
// where the last good one ended.
func TestHostileCollection(t *testing.T) {
	t.Parallel()
	var sent, n atomic.Int64
	const stamp = "2026-11-01T00:00:00Z"
	typed := func(media string, handle http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", media); handle(w, r) }
	}
	const media = "application/taxii+json;version=2.1"
	page := func(body string) http.HandlerFunc { return taxiiPage(stamp, body) }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"title": "TOPSECRET"}`, code) }
	}
	z := indicatorAbout("z.example", 1, "")
	bomb := gzipped(t, append([]byte(`{"objects": [`), bytes.Repeat([]byte(z+","), 1<<14)...))
	for name, tc := range map[string]struct {
		handle http.HandlerFunc
		says   string
		fetch  blocklist.FetchOutcome
	}{
		"who asks is not known": {status(401), "the server answers 401 Unauthorized; look at auth_header_file", blocklist.FetchStatusCode},
		"no such collection":    {status(404), "look whether the url is that of a collection", blocklist.FetchStatusCode},
		"other version":         {status(406), "it does not speak TAXII 2.1", blocklist.FetchStatusCode},
		"list of names":         {typed("text/plain", gives("z.example", "")), "something other than TAXII 2.1", blocklist.FetchIncomplete},
		"web page":              {typed("text/html; charset=utf-8", gives("<html>log in</html>", "")), "a web page, perhaps a log-in", blocklist.FetchIncomplete},
		"web page as TAXII":     {page("<html>log in</html>"), "no page of TAXII 2.1", blocklist.FetchIncomplete},
		"TAXII 2.0":             {typed("application/vnd.oasis.stix+json; version=2.0", gives("{}", "")), "something other than TAXII 2.1", blocklist.FetchIncomplete},
		"TAXII 2.2":             {typed("application/taxii+json;version=2.2", gives("{}", "")), "something other than TAXII 2.1", blocklist.FetchIncomplete},
		"list":                  {page("[" + z + "]"), "no page of TAXII 2.1", blocklist.FetchIncomplete},
		"objects in an object":  {page(`{"objects": {"a": ` + z + `}}`), "no page of TAXII 2.1", blocklist.FetchIncomplete},
		"two pages in one":      {page(`{"objects": [` + z + `]} {}`), "no page of TAXII 2.1", blocklist.FetchIncomplete},
		"cut off":               {page(`{"objects": [` + z), "the connection ended before", blocklist.FetchIncomplete},
		"same page for ever":    {page(`{"more": true, "next": "1", "objects": [` + z + `]}`), "the same page again and again", blocklist.FetchIncomplete},
		"empty pages for ever":  {page(`{"more": true, "next": "1"}`), "pages without an object", blocklist.FetchIncomplete},
		"more, but not how":     {taxiiPage("", `{"more": true, "objects": [`+z+`]}`), "not how to ask for it", blocklist.FetchIncomplete},
		"long word":             {page(`{"more": true, "next": "` + strings.Repeat("x", 5000) + `", "objects": [` + z + `]}`), "the word for the next page", blocklist.FetchIncomplete},
		"new pages for ever": {func(w http.ResponseWriter, r *http.Request) {
			object := indicatorAbout(fmt.Sprintf("n%d.example", n.Add(1)), 1, `, "description": "`+strings.Repeat("x", 60_000)+`"`)
			page(`{"more": true, "next": "1", "objects": [`+object+`]}`)(w, r)
		}, "larger than the limit of 1048576 octets", blocklist.FetchTooLarge},
		"bomb": {typed(media, packed(bomb, "gzip")), "larger than the limit of 1048576 octets", blocklist.FetchTooLarge},
		"slow drip": {typed(media, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"objects": [`)
			endless([]byte(" "), 20*time.Millisecond, &sent)(w, r)
		}), "it is not done after", blocklist.FetchTimedOut},
		"second page is broken": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("next") {
				status(500)(w, r)
				return
			}
			page(`{"more": true, "next": "1", "objects": [`+z+`]}`)(w, r)
		}, "the server answers 500", blocklist.FetchStatusCode},
		"to loopback": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://[::1]:1/", http.StatusFound) }, "::1 is a loopback address", blocklist.FetchRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collection, server, w := taxiiWorld(t)
			w.fetch()
			before := readFile(w.status("f").Path)
			server.does(tc.handle)
			within := func(timeout time.Duration) {
				w.feeds[0].Fetch.Timeout = timeout
				_, err := w.p.SetFeeds(t.Context(), w.feeds)
				must(t, err)
			}
			if tc.fetch == blocklist.FetchTimedOut { // this alone is to come to its time, on the slowest of machines
				within(500 * time.Millisecond)
			}
			w.fetch()
			s := w.status("f")
			if got := names(w, "a", "b", "c", "z"); got != "abc" || readFile(s.Path) != before {
				t.Errorf("%s of abc are listed, or the bundle has changed", got)
			}
			if s.State != blocklist.FeedKept || !strings.Contains(s.Error, tc.says) || strings.Contains(s.Error, "TOPSECRET") || w.fetched(tc.fetch) < 1 {
				t.Errorf("the state is %s, the error %q; want kept and %q, counted as %v", s.State, s.Error, tc.says, tc.fetch)
			}
			left, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(s.Path)), ".tmp-*"))
			if must(t, err); len(left) > 0 {
				t.Errorf("the run left %v behind", left)
			}
			collection.add(time.Now(), indicatorAbout("d.example", 1, ""))
			server.does(collection.ServeHTTP)
			within(patience)
			w.fetch()
			all := server.requests()
			if q := all[len(all)-1].URL.Query(); names(w, "a", "b", "c", "d") != "abcd" || q.Get("added_after") != collection.objects[4].at.UTC().Format(taxiiStamp) {
				t.Errorf("the next good run asked by %v, and %s of abcd are listed", q, names(w, "a", "b", "c", "d"))
			}
		})
	}
}

// TestCollectionShowsNoKey: what proves who asks goes to the server of the URL alone, and into no text.
func TestCollectionShowsNoKey(t *testing.T) {
	t.Parallel()
	elsewhere := newListServer(t)
	elsewhere.does(taxiiPage("", `{"objects": [`+indicatorAbout("a.example", 1, "")+`]}`))
	server := newListServer(t)
	server.does(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "127.0.0.2", 1)+"/x", http.StatusFound)
	})
	w := newWorld(t, nil)
	f := taxiiFeed(server.URL)
	f.Fetch.URL += "?apikey=TOPSECRET1&limit=7&match[type]=indicator"
	f.Fetch.AuthHeaderFile = filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(f.Fetch.AuthHeaderFile, []byte("Authorization: Bearer TOPSECRET2\n"), 0o600))
	w.add(f)
	w.fetch()
	asked := server.requests()
	if len(asked) == 0 {
		t.Fatalf("the server was not asked: %+v", w.status("f"))
	}
	q := asked[0].URL.Query()
	if asked[0].Header.Get("Authorization") != "Bearer TOPSECRET2" || q.Get("limit") != "7" || q.Get("match[type]") != "indicator" || q.Get("apikey") != "TOPSECRET1" {
		t.Errorf("asked by %v with %v", q, asked[0].Header)
	}
	for _, r := range elsewhere.requests() {
		if r.Header.Get("Authorization") != "" {
			t.Error("another server was told who asks")
		}
	}
	server.Close()
	w.fetch()
	shown, err := json.Marshal(w.status("f"))
	if must(t, err); strings.Contains(string(shown)+w.log(), "TOPSECRET") {
		t.Errorf("a key is shown: %s\n%s", shown, w.log())
	}
}

// TestCollectionURL: the URL is that of a collection, or of its objects.
func TestCollectionURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://h/api/collections/1":            "https://h/api/collections/1/objects/",
		"https://h/api/collections/1/":           "https://h/api/collections/1/objects/",
		"https://h/api/collections/1/objects":    "https://h/api/collections/1/objects/",
		"https://h/api/collections/1/objects/?x": "https://h/api/collections/1/objects/?x",
		"https://h/api/collections/a%2Fb/":       "https://h/api/collections/a%2Fb/objects/",
		"https://h/api/collections/":             "",
		"https://h/taxii2/":                      "",
		"https://h/objects":                      "",
		"https://h":                              "",
	} {
		if got := blocklist.CollectionURL(url); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	f := blocklist.Fetch{URL: "https://h/api/collections/1/", TAXII: true, MinisignKey: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"}
	if f.Check() == nil {
		t.Error("a signed collection is taken, which there is not")
	}
}

// FuzzTAXIIPage reads whatever it is given as a page, and merges it with itself: nothing panics, and the bundle that comes of it is sound JSON.
func FuzzTAXIIPage(f *testing.F) {
	f.Add([]byte(`{"more": true, "next": "x", "objects": [` + indicatorAbout("a.example", 1, "") + `, {}, 1, null]}`))
	f.Add([]byte(`{"objects": [` + indicatorAbout("a.example", 1, `, "revoked": true`) + `, ` + indicatorAbout("a.example", 2, "") + `]}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"objects": null} x`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body []byte) {
		bundle, objects, err := blocklist.MergeTAXIIPage(dir, body)
		if err != nil {
			return
		}
		var all struct{ Objects []json.RawMessage }
		if err := json.Unmarshal(bundle, &all); err != nil || len(all.Objects) != objects {
			t.Errorf("%d objects, want %d (%v):\n%s", len(all.Objects), objects, err, bundle)
		}
	})
}
