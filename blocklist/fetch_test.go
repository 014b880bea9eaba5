package blocklist_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/blocklist"

	"aead.dev/minisign"
	"github.com/prometheus/client_golang/prometheus"
)

// listServer is a server of lists that a test can tell to misbehave.
type listServer struct {
	*httptest.Server
	mu     sync.Mutex
	handle http.HandlerFunc // guarded by mu
	asked  []*http.Request  // guarded by mu
}

func newListServer(t testing.TB) *listServer {
	t.Helper()
	s := &listServer{}
	s.Server = httptest.NewServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP does what the test wants.
func (s *listServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	handle := s.handle
	s.asked = append(s.asked, r.Clone(context.Background()))
	s.mu.Unlock()
	handle(w, r)
}

func (s *listServer) does(handle http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

// requests are those that came so far.
func (s *listServer) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// gives serves a list under an ETag, which is the list itself where it is "".
func gives(content, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}
}

// loopback is where the servers of the tests are.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// fetchFeed is a feed from a URL, fetched when it is asked for.
func fetchFeed(url string) blocklist.Feed {
	return blocklist.Feed{
		FeedConfig: blocklist.FeedConfig{Name: "f", Limits: blocklist.Limits{SourceBytes: 1 << 20, ContentBytes: 4 << 20}},
		Fetch:      blocklist.Fetch{URL: url, AllowPrivate: loopback(), Interval: time.Hour, Timeout: 20 * time.Second},
	}
}

// fetch reloads, fetching before.
func (w *world) fetch() blocklist.ReloadReport {
	w.t.Helper()
	return w.reload(blocklist.ReloadOptions{FetchWait: time.Minute})
}

// TestFetchedListIsServed: a list is fetched, followed, asked for by ETag, and served after a restart without its server.
func TestFetchedListIsServed(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", `"1"`))
	w := newWorld(t, nil)
	f := fetchFeed(server.URL + "/lists/malware.domains")
	f.Fetch.Interval = 50 * time.Millisecond
	w.add(f)
	stop := w.follow()
	w.eventually("the list is served", func() bool { return w.lists("a.example") })
	w.eventually("it is asked for by its ETag", func() bool {
		all := server.requests()
		return len(all) > 3 && all[len(all)-1].Header.Get("If-None-Match") == `"1"`
	})
	if w.metric("cenote_blocklist_published_total") != 1 {
		t.Errorf("an unchanged list was published again: %v", w.metric("cenote_blocklist_published_total"))
	}
	server.does(gives("b.example\n", `"2"`))
	w.eventually("the change is served", func() bool { return w.lists("b.example") && !w.lists("a.example") })
	s := w.status("f")
	if s.State != blocklist.FeedGood || s.Error != "" || s.Fetch == nil || s.Fetch.LastSuccess.IsZero() || s.Fetch.NextAttempt.IsZero() || s.Fetch.Bytes != 10 {
		t.Errorf("status %+v, fetch %+v; want good", s, s.Fetch)
	}
	if row, err := w.current().Locate(0, []byte("\x01b\x07example\x00")); err != nil || row.File != blocklist.ShownURL(f.Fetch.URL) {
		t.Errorf("the row is of %q (%v), want the URL", row.File, err)
	}
	stop()
	server.Close()
	w.open(nil)
	if !w.lists("b.example") || w.status("f").Fetch.LastSuccess.IsZero() {
		t.Errorf("after a restart without the server: %+v", w.status("f").Fetch)
	}
}

// TestFetchedListSoonIsRead: a list is read when it is there, however rarely paths are looked at.
func TestFetchedListSoonIsRead(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", ""))
	w := newWorld(t, func(c *blocklist.Config) { c.Poll, c.PollOnly = time.Hour, true })
	f := fetchFeed(server.URL + "/malware.domains")
	f.Fetch.Interval = 50 * time.Millisecond
	w.add(f)
	w.run()
	w.eventually("the list is served", func() bool { return w.lists("a.example") })
	server.does(gives("b.example\n", ""))
	w.eventually("the change is served", func() bool { return w.lists("b.example") })
}

// TestRestartAsksOnlyWhatIsDue: after a restart the list is asked for when it is due, by its ETag, and a damaged file is fetched anew.
func TestRestartAsksOnlyWhatIsDue(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", `"1"`))
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/malware.domains"))
	w.fetch()
	w.close()
	stop := w.follow()
	w.eventually("it is planned", func() bool { return !w.status("f").Fetch.NextAttempt.IsZero() })
	if next := time.Until(w.status("f").Fetch.NextAttempt); next < 50*time.Minute || next > 70*time.Minute || len(server.requests()) != 1 {
		t.Errorf("after a restart the next fetch is in %v, after %d requests; want one an hour later", next, len(server.requests()))
	}
	w.fetch()
	if all := server.requests(); len(all) != 2 || all[1].Header.Get("If-None-Match") != `"1"` {
		t.Errorf("a reload asked without the ETag of the last run")
	}
	path := w.status("f").Path
	stop()
	must(t, os.WriteFile(path, []byte("x.example\n"), 0o600)) // as long as before
	w.open(nil)
	w.fetch()
	if all := server.requests(); all[len(all)-1].Header.Get("If-None-Match") != "" || readFile(path) != "a.example\n" {
		t.Errorf("the damaged list is %q, want it fetched anew", readFile(path))
	}
}

// TestListIsAskedForByItsTime: a server that knows no ETag is asked for what is newer, unless its list may have changed in the second of the answer.
func TestListIsAskedForByItsTime(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]bool{time.Hour: true, 0: false} {
		changed := time.Now().Add(-age)
		server := newListServer(t)
		server.does(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", changed.Add(age).UTC().Format(http.TimeFormat))
			http.ServeContent(w, r, "", changed, strings.NewReader("a.example\n"))
		})
		w := newWorld(t, nil)
		w.add(fetchFeed(server.URL + "/malware.domains"))
		w.fetch()
		info, err := os.Stat(w.status("f").Path)
		if must(t, err); want && !info.ModTime().Equal(changed.Truncate(time.Second)) {
			t.Errorf("the list is of %v, want the server's %v", info.ModTime(), changed)
		}
		w.fetch()
		all := server.requests()
		if got := all[len(all)-1].Header.Get("If-Modified-Since") != ""; len(all) != 2 || got != want {
			t.Errorf("a list that was changed %v before the answer is asked for by its time: %v, want %v", age, got, want)
		}
	}
}

// TestSameListCostsNothing: a server that knows no ETag gives the same list again; nothing is read for it.
func TestSameListCostsNothing(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", ""))
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/malware.domains"))
	w.fetch()
	before, err := os.Stat(w.status("f").Path)
	must(t, err)
	report := w.fetch()
	after, err := os.Stat(w.status("f").Path)
	must(t, err)
	if !os.SameFile(before, after) || len(report.Feeds) != 0 || len(server.requests()) != 2 || w.metric("cenote_blocklist_fetch_bytes_total") != 20 {
		t.Errorf("the same list was put in place again: %+v, %d requests", report, len(server.requests()))
	}
}

// raw answers with octets of the test's own, and ends the connection.
func raw(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		for _, p := range parts {
			io.WriteString(conn, p)
		}
	}
}

// endless writes until nobody listens, a pause between two pieces.
func endless(piece []byte, pause time.Duration, sent *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for {
			n, err := w.Write(piece)
			sent.Add(int64(n))
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// hostile are the ways of a list server to be bad, and what the operator reads.
func hostile(t testing.TB) map[string]struct {
	handle http.HandlerFunc
	says   string
	fetch  blocklist.FetchOutcome // FetchNew: what is wrong is found when the list is read
} {
	bomb := gzipped(t, bytes.Repeat([]byte("bomb.example\n"), 1<<20))
	var sent atomic.Int64
	type way = struct {
		handle http.HandlerFunc
		says   string
		fetch  blocklist.FetchOutcome
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	return map[string]way{
		"page":                    {gives("<!DOCTYPE html><html>log in</html>", ""), "it is a web page", blocklist.FetchNew},
		"empty":                   {gives("", ""), "it holds no rule", blocklist.FetchNew},
		"most is gone":            {gives("a.example\n", ""), "more than 50% would be lost", blocklist.FetchNew},
		"fault of the server":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a.example", 500) }, "the server answers 500 Internal Server Error", blocklist.FetchStatusCode},
		"not found":               {http.NotFound, "the server answers 404 Not Found", blocklist.FetchStatusCode},
		"part":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); io.WriteString(w, "a.example\n") }, "the server answers 206", blocklist.FetchStatusCode},
		"unchanged, unasked":      {raw("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"), "the server answers 304 Not Modified", blocklist.FetchStatusCode},
		"cut off":                 {raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nz.example\n"), "the connection ended before the list did", blocklist.FetchIncomplete},
		"cut off in chunks":       {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nz.example\n\r\n"), "the connection ended before the list did", blocklist.FetchIncomplete},
		"length unknown":          {raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nz.example\n"), "nobody knows whether the list came whole", blocklist.FetchIncomplete},
		"length too small":        {raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nz.example\ny.example\nx.example\n"), "more than 50% would be lost", blocklist.FetchNew},
		"length no number":        {raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nz.example\n"), "cannot be read as HTTP", blocklist.FetchIncomplete},
		"two lengths":             {raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\nz.example\n"), "cannot be read as HTTP", blocklist.FetchIncomplete},
		"length too large":        {raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nz.example\n"), "larger than the limit of 1048576 octets", blocklist.FetchTooLarge},
		"endless body":            {endless(bytes.Repeat([]byte("z.example\n"), 6000), 0, &sent), "larger than the limit of 1048576 octets", blocklist.FetchTooLarge},
		"endless header":          {raw("HTTP/1.1 200 OK\r\n", strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1000)), "cannot be read as HTTP", blocklist.FetchIncomplete},
		"slow drip":               {endless([]byte("z"), 20*time.Millisecond, &sent), "it is not done after", blocklist.FetchTimedOut},
		"silence":                 {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "it is not done after", blocklist.FetchTimedOut},
		"bomb in transport":       {packed(bomb, "gzip"), "larger than the limit of 1048576 octets", blocklist.FetchTooLarge},
		"bomb in the list":        {gives(string(bomb), ""), "it is larger than the limit", blocklist.FetchNew},
		"packed otherwise":        {packed(bomb, "br"), "packed for the way as was not asked for", blocklist.FetchIncomplete},
		"not packed at all":       {packed([]byte("z.example\n"), "gzip"), "cannot be read as HTTP", blocklist.FetchIncomplete},
		"to loopback":             {redirect("http://[::1]:1/latest"), "::1 is a loopback address", blocklist.FetchRefused},
		"to loopback in disguise": {redirect("http://[::ffff:10.0.0.1]:1/"), "10.0.0.1 is a private address", blocklist.FetchRefused},
		"to the cloud's metadata": {redirect("http://169.254.169.254/latest/meta-data"), "169.254.169.254 is a link-local address", blocklist.FetchRefused},
		"to a file":               {redirect("file:///etc/passwd"), "it redirects to what is neither https nor http", blocklist.FetchRefused},
		"in circles":              {redirect("/lists/malware.domains"), "it redirects more than", blocklist.FetchRefused},
		"no HTTP":                 {raw("220 mail.example ESMTP\r\n"), "cannot be read as HTTP", blocklist.FetchIncomplete},
		"connection ends":         {raw(), "the connection ended before the list did", blocklist.FetchIncomplete},
	}
}

func packed(body []byte, coding string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", coding)
		w.Write(body)
	}
}

// goodList has names enough for one that is gone to be missed.
const goodList = "z.example\ny.example\nx.example\nv.example\n"

// TestHostileListServerKeepsProtection: whatever the server does, the last good list is served, the fault is shown and counted, and a good list is
// taken again.
func TestHostileListServerKeepsProtection(t *testing.T) {
	t.Parallel()
	for name, tc := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newListServer(t)
			server.does(gives(goodList, ""))
			w := newWorld(t, nil)
			f := fetchFeed(server.URL + "/lists/malware.domains")
			w.add(f)
			w.fetch()
			if !w.lists("v.example") {
				t.Fatalf("the good list is not served: %+v\n%s", w.status("f"), w.log())
			}
			server.does(tc.handle)
			within := func(timeout time.Duration) {
				f.Fetch.Timeout = timeout
				_, err := w.p.SetFeeds(t.Context(), []blocklist.Feed{f})
				must(t, err)
			}
			if tc.fetch == blocklist.FetchTimedOut { // these alone are to come to their time, on the slowest of machines
				within(500 * time.Millisecond)
			}
			w.fetch()
			s := w.status("f")
			if !w.lists("v.example") || !w.lists("z.example") {
				t.Error("the last good list is not served")
			}
			if s.State != blocklist.FeedKept || !strings.Contains(s.Error, tc.says) || !strings.Contains(s.Error, "http://"+server.Listener.Addr().String()+"/…/malware.domains") {
				t.Errorf("the state is %s, the error %q; want kept, %q and the URL", s.State, s.Error, tc.says)
			}
			if got := w.fetched(tc.fetch); got < 1 {
				t.Errorf("no fetch is counted as %v:\n%s", tc.fetch, w.log())
			}
			server.does(gives(goodList+"u.example\n", ""))
			within(patience)
			w.fetch()
			if s := w.status("f"); !w.lists("u.example") || s.State != blocklist.FeedGood || s.Fetch.Failures != 0 || s.Error != "" {
				t.Errorf("after it is good again: %+v, fetch %+v", s, s.Fetch)
			}
		})
	}
}

// fetched is how many fetches had an outcome.
func (w *world) fetched(outcome blocklist.FetchOutcome) float64 {
	w.t.Helper()
	r := prometheus.NewPedanticRegistry()
	must(w.t, r.Register(w.p))
	families, err := r.Gather()
	must(w.t, err)
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "cenote_blocklist_fetches_total" && l.GetName() == "outcome" && l.GetValue() == outcome.String() {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// TestFlappingServer: a server that is now good and now bad, by itself, never costs the list; it is tried again within seconds, and recovers.
func TestFlappingServer(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	var n atomic.Int64
	bad := []http.HandlerFunc{http.NotFound, gives("<html>", ""), raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nz.example\n"), gives("", "")}
	server.does(func(w http.ResponseWriter, r *http.Request) {
		if i := n.Add(1); i%2 == 0 && i < 20 {
			bad[i/2%int64(len(bad))](w, r)
			return
		}
		gives(goodList+fmt.Sprintf("n%d.example\n", n.Load()), "")(w, r)
	})
	w := newWorld(t, nil)
	f := fetchFeed(server.URL + "/malware.domains")
	f.Fetch.Interval = 30 * time.Millisecond
	w.add(f)
	w.run()
	w.eventually("the list is served", func() bool { return w.lists("v.example") })
	for n.Load() < 24 {
		if !w.lists("v.example") {
			t.Fatal("the list was lost")
		}
		time.Sleep(time.Millisecond)
	}
	server.does(gives(goodList, `"last"`))
	w.eventually("it recovers", func() bool {
		s := w.status("f")
		return s.State == blocklist.FeedGood && s.Fetch.Failures == 0
	})
	if w.fetched(blocklist.FetchStatusCode) == 0 || w.fetched(blocklist.FetchIncomplete) == 0 {
		t.Error("the faults are not counted")
	}
}

// TestHostileServerTakesNoMemory: lists that are as large as they may be, or would be larger, pass through a buffer on their way to the disk, and no more
// of them is read than may be.
func TestHostileServerTakesNoMemory(t *testing.T) {
	most := int64(64 << 20)
	if raceEnabled {
		most = 12 << 20 // of which a packed list is four times as large, and more than may be in memory
	}
	server := newListServer(t)
	w := newWorld(t, nil)
	f := fetchFeed(server.URL + "/malware.domains")
	f.Limits = blocklist.Limits{SourceBytes: most, ContentBytes: most}
	w.add(f)
	w.open(nil)
	bomb := gzipped(t, make([]byte, 4*most))
	for name, handle := range map[string]func(sent *atomic.Int64) http.HandlerFunc{
		"endless body": func(sent *atomic.Int64) http.HandlerFunc { return endless(make([]byte, 32<<10), 0, sent) },
		"bomb":         func(*atomic.Int64) http.HandlerFunc { return packed(bomb, "gzip") },
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			server.does(handle(&sent))
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			worst := uint64(0)
			done := make(chan struct{})
			var watching sync.WaitGroup
			watching.Go(func() {
				for {
					runtime.ReadMemStats(&now)
					worst = max(worst, now.HeapAlloc)
					select {
					case <-done:
						return
					case <-time.After(2 * time.Millisecond):
					}
				}
			})
			w.fetch()
			close(done)
			watching.Wait()
			if s := w.status("f"); !strings.Contains(s.Error, "larger than the limit") {
				t.Errorf("error %q, want that it is too large", s.Error)
			}
			if grown := int64(worst) - int64(before.HeapAlloc); grown > 16<<20 { // the server of the test is in it
				t.Errorf("the heap grew by %d octets, want 16 MiB at most", grown)
			} else {
				t.Logf("the heap grew by %d octets", grown)
			}
			if sent.Load() > most+16<<20 { // what the kernel's buffers hold is sent, and not read
				t.Errorf("%d octets were read of a list that may have %d", sent.Load(), most)
			}
			left, err := filepath.Glob(filepath.Join(w.dir, "state", "fetched", "f", ".tmp-*"))
			if must(t, err); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// TestOnlySomeFetchAtATime: many feeds do not open connections without end.
func TestOnlySomeFetchAtATime(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	var now, most atomic.Int64
	var mu sync.Mutex
	server.does(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		most.Store(max(most.Load(), now.Add(1)))
		mu.Unlock()
		for deadline := time.Now().Add(patience); most.Load() < blocklist.FetchesMax && time.Now().Before(deadline); { // until there are as many as may be
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond) // for more than may be
		now.Add(-1)
		gives("a.example\n", "")(w, r)
	})
	w := newWorld(t, nil)
	for i := range 3 * blocklist.FetchesMax {
		f := fetchFeed(fmt.Sprintf("%s/%d.domains", server.URL, i))
		f.Name = fmt.Sprintf("f%d", i)
		w.add(f)
	}
	w.fetch()
	if got := most.Load(); got != blocklist.FetchesMax {
		t.Errorf("%d fetches at a time, want %d", got, blocklist.FetchesMax)
	}
}

// TestPackedLists: what is packed for the way, and what is packed anyway, is served.
func TestPackedLists(t *testing.T) {
	t.Parallel()
	once := gzipped(t, []byte("a.example\n"))
	for name, handle := range map[string]http.HandlerFunc{
		"a packed list":               gives(string(once), ""),
		"packed for the way":          packed(once, "gzip"),
		"both":                        packed(gzipped(t, once), "gzip"),
		"packed, without a length":    raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", string(once)),
		"chunks":                      raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\na.example\n\r\n0\r\n\r\n"),
		"redirected within the world": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newListServer(t)
			if handle == nil {
				handle = func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/other/place" {
						http.Redirect(w, r, "/other/place", http.StatusMovedPermanently)
						return
					}
					gives("a.example\n", "")(w, r)
				}
			}
			server.does(handle)
			w := newWorld(t, nil)
			w.add(fetchFeed(server.URL + "/malware.domains.gz"))
			w.fetch()
			if !w.lists("a.example") {
				t.Errorf("it is not served: %+v", w.status("f"))
			}
		})
	}
}

// TestKeysGoToTheirServerAlone: the header that proves who asks, and the user of the URL, are sent to its server and to no other; nor is the URL as a
// Referer.
func TestKeysGoToTheirServerAlone(t *testing.T) {
	t.Parallel()
	other := newListServer(t)
	server := newListServer(t)
	other.does(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			http.Redirect(w, r, server.URL+"/home", http.StatusFound)
			return
		}
		gives("a.example\n", "")(w, r)
	})
	server.does(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/near":
			http.Redirect(w, r, "/far", http.StatusFound)
		case "/far":
			http.Redirect(w, r, other.URL+"/list", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL+"/back", http.StatusFound)
		default:
			gives("a.example\n", "")(w, r)
		}
	})
	header := filepath.Join(t.TempDir(), "header")
	write(t, header, "Auth-Key: TOPSECRETKEY\n")
	w := newWorld(t, nil)
	for i, path := range []string{"/near", "/away"} {
		f := fetchFeed(strings.Replace(server.URL, "//", "//user:PASSWORD@", 1) + path + "?token=QUERYSECRET")
		f.Name, f.Fetch.AuthHeaderFile = fmt.Sprintf("f%d", i), header
		w.add(f)
	}
	w.fetch()
	for _, r := range other.requests() {
		if r.Header.Get("Auth-Key")+r.Header.Get("Authorization")+r.Header.Get("Referer")+r.URL.RawQuery != "" {
			t.Errorf("the other server was sent %v %v", r.URL, r.Header)
		}
	}
	if len(other.requests()) != 2 {
		t.Errorf("the other server was asked %d times, want 2", len(other.requests()))
	}
	for _, r := range server.requests() {
		user, password, _ := r.BasicAuth()
		wanted := r.URL.Path != "/home" // to which another server has led
		if got := r.Header.Get("Auth-Key") == "TOPSECRETKEY" && user == "user" && password == "PASSWORD"; got != wanted {
			t.Errorf("%v: with the keys: %v, want %v", r.URL, got, wanted)
		}
	}
}

// TestKeysAreShownNowhere: no key of URL or header is in log, status, metrics or state, however the fetch ends.
func TestKeysAreShownNowhere(t *testing.T) {
	t.Parallel()
	keys := []string{"UserNameSecret", "PassWordSecret", "pathsecret", "QuerySecret", "HeaderSecret", "0123456789abcdef0123456789abcdef"}
	echo := func(status string) http.HandlerFunc { // says all that it was told
		return func(w http.ResponseWriter, r *http.Request) {
			told := r.URL.RequestURI() + " " + strings.Join(r.Header["Auth-Key"], "") + " UserNameSecret PassWordSecret"
			raw("HTTP/1.1 "+status+" "+told+"\r\nETag: \"1\"\r\nX: "+told+"\r\nContent-Length: 5\r\n\r\n<htm"+told)(w, r)
		}
	}
	for name, tc := range map[string]struct {
		handle http.HandlerFunc
		path   string
	}{
		"list":            {gives(goodList, `"1"`), "/pathsecret/malware.domains"},
		"key at the end":  {gives(goodList, ""), "/lists/0123456789abcdef0123456789abcdef"},
		"key as the name": {gives("<html>", ""), "/0123456789abcdef0123456789abcdef.csv"},
		"page":            {gives("<html>", ""), "/pathsecret/malware.domains"},
		"echo in a fault": {echo("403"), "/pathsecret/malware.domains"},
		"echo in a page":  {echo("200"), "/pathsecret/malware.domains"},
		"echo, no HTTP": {func(w http.ResponseWriter, r *http.Request) {
			raw(r.URL.RequestURI()+" "+r.Header.Get("Auth-Key")+"\r\n\r\n")(w, r)
		}, "/pathsecret/malware.domains"},
		"echo in a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.1/"+r.URL.RequestURI()+r.Header.Get("Auth-Key"), http.StatusFound)
		}, "/pathsecret/malware.domains"},
		"refused header": {http.NotFound, "/pathsecret/malware.domains"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newListServer(t)
			server.does(tc.handle)
			w := newWorld(t, nil)
			header := filepath.Join(w.dir, "header")
			write(t, header, "Auth-Key: HeaderSecret\n")
			if name == "refused header" {
				write(t, header, "HeaderSecret\n")
			}
			f := fetchFeed(strings.Replace(server.URL, "//", "//UserNameSecret:PassWordSecret@", 1) + tc.path + "?k=QuerySecret")
			f.Fetch.AuthHeaderFile = header
			w.add(f)
			report := w.fetch()
			status, err := json.Marshal(w.p.Status())
			must(t, err)
			result, err := json.Marshal(report)
			must(t, err)
			shown := w.log() + string(status) + string(result) + w.gathered() + fmt.Sprintf("%v %+v %#v", w.feeds, w.feeds, w.feeds[0].Fetch) + w.state()
			for _, key := range keys {
				if i := strings.Index(shown, key); i >= 0 {
					t.Errorf("%s is shown: %q", key, shown[max(0, i-200):min(len(shown), i+100)])
				}
			}
			if len(server.requests()) == 0 && name != "refused header" {
				t.Error("the server was not asked")
			}
		})
	}
}

// gathered is all that the metrics say.
func (w *world) gathered() string {
	w.t.Helper()
	r := prometheus.NewPedanticRegistry()
	must(w.t, r.Register(w.p))
	families, err := r.Gather()
	must(w.t, err)
	return fmt.Sprint(families)
}

// state is the names of all files of the state directory, and what those hold that are about fetches.
func (w *world) state() string {
	w.t.Helper()
	var b strings.Builder
	must(w.t, filepath.WalkDir(filepath.Join(w.dir, "state"), func(path string, entry fs.DirEntry, err error) error {
		if b.WriteString(path + "\n"); filepath.Base(path) == "state.json" {
			b.WriteString(readFile(path))
		}
		return err
	}))
	return b.String()
}

func TestReadAuthHeader(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, header, value, fault string }{
		"key":              {"Auth-Key: xyzSECRET\n", "Auth-Key", "xyzSECRET", ""},
		"bearer":           {"Authorization: Bearer xyzSECRET", "Authorization", "Bearer xyzSECRET", ""},
		"carriage returns": {"Auth-Key: xyzSECRET\r\n\r\n", "Auth-Key", "xyzSECRET", ""},
		"value alone":      {"xyzSECRET\n", "", "", "does not hold one line"},
		"no value":         {"Auth-Key:\n", "", "", "does not hold one line"},
		"nothing":          {"", "", "", "does not hold one line"},
		"two lines":        {"Auth-Key: xyzSECRET\nHost: evil.example\n", "", "", "does not hold one line"},
		"blank in a name":  {"Auth Key: xyzSECRET\n", "", "", "does not hold one line"},
		"nul":              {"Auth-Key: xyz\x00SECRET\n", "", "", "does not hold one line"},
		"header of ours":   {"host: xyzSECRET\n", "", "", "not for proving who asks"},
		"too long":         {"Auth-Key: " + strings.Repeat("xyzSECRET", 1000), "", "", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "header")
			write(t, path, tc.text)
			header, value, err := blocklist.ReadAuthHeader(path)
			if header != tc.header || value != tc.value || (err == nil) != (tc.fault == "") {
				t.Fatalf("got %q, %q, %v; want %q, %q, %q", header, value, err, tc.header, tc.value, tc.fault)
			}
			if err != nil && (!strings.Contains(err.Error(), tc.fault) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "SECRET")) {
				t.Errorf("the error is %q, want the path and %q without the secret", err, tc.fault)
			}
		})
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	if _, _, err := blocklist.ReadAuthHeader(pipe); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, _, err := blocklist.ReadAuthHeader(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestAuthHeaderIsReadAtEachFetch: a key that is changed, or comes late, is used without a restart.
func TestAuthHeaderIsReadAtEachFetch(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Auth-Key") != "good" {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		gives("a.example\n", "")(w, r)
	})
	w := newWorld(t, nil)
	f := fetchFeed(server.URL + "/malware.domains")
	f.Fetch.AuthHeaderFile = filepath.Join(w.dir, "header")
	w.add(f)
	w.fetch()
	if s := w.status("f"); s.State != blocklist.FeedFailed || !strings.Contains(s.Error, "auth_header_file: open "+f.Fetch.AuthHeaderFile) {
		t.Errorf("without the file: %+v", s)
	}
	write(t, f.Fetch.AuthHeaderFile, "Auth-Key: bad\n")
	w.fetch()
	if s := w.status("f"); !strings.Contains(s.Error, "403 Forbidden; look at auth_header_file") || s.Fetch.Failures != 2 {
		t.Errorf("with a bad key: %+v", s)
	}
	write(t, f.Fetch.AuthHeaderFile, "Auth-Key: good\n")
	w.fetch()
	if !w.lists("a.example") {
		t.Errorf("with a good key: %+v", w.status("f"))
	}
}

// signed serves a list with its signature beside it.
func signed(list, signature []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, ".minisig"):
			w.Write(list)
		case signature == nil:
			http.NotFound(w, r)
		default:
			w.Write(signature)
		}
	}
}

func signHashed(key minisign.PrivateKey, list []byte) []byte {
	r := minisign.NewReader(bytes.NewReader(list))
	io.Copy(io.Discard, r)
	return r.Sign(key)
}

// TestSignedLists: with a key of minisign, only a list that it signed is taken.
func TestSignedLists(t *testing.T) {
	t.Parallel()
	public, private, err := minisign.GenerateKey(nil)
	must(t, err)
	_, stranger, err := minisign.GenerateKey(nil)
	must(t, err)
	good, other := []byte("a.example\n"), []byte("b.example\n")
	huge := bytes.Repeat([]byte("a.example\n"), blocklist.LegacyListMax/10+1)
	tampered := bytes.Replace(signHashed(private, good), []byte("trusted comment: timestamp:"), []byte("trusted comment: timestamp:9"), 1)
	for name, tc := range map[string]struct {
		list, signature []byte
		says            string
	}{
		"hashed":                 {good, signHashed(private, good), ""},
		"legacy":                 {good, minisign.Sign(private, good), ""},
		"another list":           {other, signHashed(private, good), "the list is not what was signed"},
		"another list, legacy":   {other, minisign.Sign(private, good), "the list is not what was signed"},
		"another key":            {good, signHashed(stranger, good), "signed with another key than minisign_key"},
		"another comment":        {good, tampered, "the list is not what was signed"},
		"no signature":           {good, nil, "of the signature beside the list (.minisig) the server answers 404"},
		"page for a signature":   {good, []byte("<html>"), "is not one of minisign"},
		"endless signature":      {good, make([]byte, 1<<20), "is not one of minisign"},
		"legacy, huge":           {huge, minisign.Sign(private, huge), "too large for a signature that is not of its hash"},
		"a part of what it says": {good[:5], signHashed(private, good), "the list is not what was signed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newListServer(t)
			server.does(signed(tc.list, tc.signature))
			w := newWorld(t, nil)
			f := fetchFeed(server.URL + "/malware.domains?key=1")
			f.Fetch.MinisignKey, f.Limits.SourceBytes = public.String(), 32<<20
			w.add(f)
			w.fetch()
			s := w.status("f")
			if tc.says == "" && (!w.lists("a.example") || s.State != blocklist.FeedGood) {
				t.Errorf("a signed list is not served: %+v", s)
			}
			if tc.says != "" && (!strings.Contains(s.Error, tc.says) || w.lists("a.example") || w.lists("b.example") || w.fetched(blocklist.FetchUnsigned) != 1) {
				t.Errorf("the error is %q, want %q", s.Error, tc.says)
			}
			for _, r := range server.requests() {
				if r.URL.RawQuery != "key=1" || r.Header.Get("Accept-Encoding") != "identity" || !r.Close {
					t.Errorf("%v was asked for with %v, want the query, as it is, and the connection to end", r.URL, r.Header)
				}
			}
		})
	}
}

// TestServerIsKnownByItsCertificate: a server whose certificate nobody vouches for gives no list; with ca_file it does.
func TestServerIsKnownByItsCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(gives("a.example\n", ""))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	w := newWorld(t, nil)
	f := fetchFeed(server.URL + "/malware.domains")
	w.add(f)
	w.fetch()
	if s := w.status("f"); !strings.Contains(s.Error, "certificate") || w.fetched(blocklist.FetchUnreachable) != 1 {
		t.Errorf("without ca_file: %+v", s)
	}
	f.Fetch.CAFile = filepath.Join(w.dir, "ca.pem")
	write(t, f.Fetch.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	_, err := w.p.SetFeeds(t.Context(), []blocklist.Feed{f})
	must(t, err)
	w.fetch()
	if !w.lists("a.example") {
		t.Errorf("with ca_file: %+v", w.status("f"))
	}
}

// TestFeedsAreFetchedAsConfigured: a change of the configuration adds, changes and ends fetches; what was fetched stays until another list is there.
func TestFeedsAreFetchedAsConfigured(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(func(w http.ResponseWriter, r *http.Request) {
		gives(strings.Trim(r.URL.Path, "/")+".example\n", `"`+r.URL.Path+`"`)(w, r)
	})
	asked := func(path string) (n int) {
		for _, r := range server.requests() {
			if r.URL.Path == path {
				n++
			}
		}
		return n
	}
	w := newWorld(t, nil)
	w.run()
	feed := func(path string) []blocklist.Feed {
		f := fetchFeed(server.URL + path)
		f.Fetch.Interval = 20 * time.Millisecond
		return []blocklist.Feed{f}
	}
	set := func(feeds []blocklist.Feed) {
		t.Helper()
		_, err := w.p.Reconfigure(t.Context(), feeds, blocklist.Order{Zones: zonesOf("f")})
		must(t, err)
	}
	set(feed("/one"))
	w.eventually("the first list", func() bool { return w.lists("one.example") })
	set(feed("/two"))
	if !w.lists("one.example") && !w.lists("two.example") {
		t.Error("the list was lost while another is fetched")
	}
	w.eventually("the second list", func() bool { return w.lists("two.example") && !w.lists("one.example") })
	if all, err := filepath.Glob(filepath.Join(w.dir, "state", "fetched", "f", "list", "*")); err != nil || len(all) != 1 {
		t.Errorf("%q are kept, want the second list", all)
	}
	before := asked("/one")
	now := asked("/two")
	w.eventually("it is fetched on", func() bool { return asked("/two") > now+3 })
	if asked("/one") != before {
		t.Error("what is no longer configured is fetched")
	}
	set(nil)
	now = asked("/two")
	time.Sleep(100 * time.Millisecond)
	if got := asked("/two"); got > now+1 {
		t.Errorf("a feed that was taken away was fetched %d times", got-now)
	}
	if _, err := w.p.Reconfigure(t.Context(), []blocklist.Feed{{FeedConfig: blocklist.FeedConfig{Name: "f"}, Fetch: blocklist.Fetch{URL: "gopher://secret.example/k"}}}, blocklist.Order{Zones: zonesOf("f")}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a URL that cannot be fetched: %v", err)
	}
}

// TestAnotherPlaceIsAnotherList: what one URL said is no reason for another to be asked only for what is newer.
func TestAnotherPlaceIsAnotherList(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(func(w http.ResponseWriter, r *http.Request) {
		gives(strings.Split(r.URL.Path, "/")[1]+".example\n", `"same"`)(w, r)
	})
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/a/malware.domains"))
	w.fetch()
	_, err := w.p.SetFeeds(t.Context(), []blocklist.Feed{fetchFeed(server.URL + "/b/malware.domains")})
	must(t, err)
	w.fetch()
	if !w.lists("b.example") || w.lists("a.example") || server.requests()[1].Header.Get("If-None-Match") != "" {
		t.Errorf("the list of the other place is not served: %+v", w.status("f").Fetch)
	}
}

// TestListsOfFormerFeedsAreRemoved: a start removes what was fetched for feeds that are gone.
func TestListsOfFormerFeedsAreRemoved(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", ""))
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/malware.domains"))
	w.fetch()
	w.close()
	w.feeds = nil
	w.open(nil)
	if _, err := os.Stat(filepath.Join(w.dir, "state", "fetched", "f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the list of a former feed is still there: %v", err)
	}
}

// TestReloadDoesNotWaitForEver: whoever waits for a slow list is told that it is on its way, and it is read when it is whole.
func TestReloadDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	release := make(chan struct{})
	server.does(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		gives("a.example\n", "")(w, r)
	})
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/malware.domains"))
	w.run()
	w.eventually("it is being fetched", func() bool { return len(server.requests()) > 0 })
	report := w.reload(blocklist.ReloadOptions{FetchWait: 10 * time.Millisecond})
	if len(report.Feeds) != 1 || report.Feeds[0].Failure == nil || !strings.Contains(report.Feeds[0].Failure.Text, "still being fetched") {
		t.Errorf("report %+v, want that it is being fetched", report)
	}
	close(release)
	w.eventually("it is served", func() bool { return w.lists("a.example") })
	if len(server.requests()) != 1 {
		t.Errorf("it was fetched %d times", len(server.requests()))
	}
}

// TestReloadTellsWhatWasFetched: whoever asks for a fetch hears what came of it, whoever was the first to read the new list.
func TestReloadTellsWhatWasFetched(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", ""))
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/malware.domains"))
	w.run()
	w.eventually("the list is served", func() bool { return w.lists("a.example") })
	for i := range 2 {
		name := fmt.Sprintf("n%d.example", i)
		server.does(gives("a.example\n"+name+"\n", ""))
		report, err := w.p.ReloadSlowly(t.Context(), blocklist.ReloadOptions{FetchWait: time.Minute}, func() {
			w.eventually("the list is read by itself", func() bool { return i == 0 || w.lists(name) })
		})
		must(t, err)
		if len(report.Feeds) != 1 || report.Feeds[0].Outcome != blocklist.OutcomeRead || report.Feeds[0].Report.Live != 2 || !report.Published {
			t.Fatalf("reload %d: %+v, want that the list was read", i, report)
		}
		if !w.lists(name) {
			t.Errorf("reload %d: its list is not served", i)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1": "loopback", "127.8.9.10": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback", "64:ff9b::7f00:1": "loopback",
		"0.0.0.0": "this host", "0.1.2.3": "this host", "::": "this host", "::ffff:0.0.0.0": "this host",
		"10.1.2.3": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.0.1": "private", "::ffff:192.168.0.1": "private",
		"64:ff9b::a00:1": "private", "fc00::1": "private", "fd12:3456::1": "private", "::ffff:10.0.0.1": "private",
		"169.254.169.254": "link-local", "fe80::1": "link-local", "fe80::1%eth0": "link-local", "64:ff9b::a9fe:a9fe": "link-local",
		"100.64.0.1": "shared", "100.127.255.255": "shared", "224.0.0.251": "multicast", "239.255.255.250": "multicast", "ff02::fb": "multicast",
		"255.255.255.255": "reserved", "240.0.0.1": "reserved", "192.0.0.8": "reserved", "198.18.0.1": "benchmarks", "192.0.2.1": "documentation",
		"2001:db8::1": "documentation", "2002:7f00:1::": "6to4", "2001::1": "reserved", "fec0::1": "no public", "::127.0.0.1": "no public",
		"64:ff9b:1::1": "no public", "4000::1": "no public", "3fff::1": "documentation",
		"8.8.8.8": "", "172.32.0.1": "", "100.128.0.1": "", "2606:4700::1111": "", "64:ff9b::808:808": "", "::ffff:8.8.8.8": "", "2a00:1450::1": "",
	} {
		err := blocklist.CheckAddress(netip.MustParseAddr(addr))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", addr, err, want)
		}
	}
	allowed := netip.MustParsePrefix("10.1.0.0/16")
	for addr, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true, "10.2.0.1": false, "127.0.0.1": false} {
		if err := blocklist.CheckAddress(netip.MustParseAddr(addr), allowed); (err == nil) != want {
			t.Errorf("%s with %v allowed: %v", addr, allowed, err)
		}
	}
}

// TestNameThatLeadsHomeIsRefused: it is the address that is dialled that counts, whatever name has led to it.
func TestNameThatLeadsHomeIsRefused(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(gives("a.example\n", ""))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	must(t, err)
	w := newWorld(t, nil)
	f := fetchFeed("http://localhost:" + port + "/malware.domains")
	f.Fetch.AllowPrivate = nil
	w.add(f)
	w.fetch()
	if s := w.status("f"); !strings.Contains(s.Error, "is a loopback address") || len(server.requests()) != 0 {
		t.Errorf("%d requests, error %q; want none", len(server.requests()), s.Error)
	}
}

func TestShownURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{ // shown, and the name of its file
		"https://lists.example/malware.hosts":                                         {"https://lists.example/malware.hosts", "malware.hosts"},
		"https://u:p@lists.example:8443/a/b/full.csv.zip?token=k":                     {"https://lists.example:8443/…/full.csv.zip", "full.csv.zip"},
		"https://threatfox-api.abuse.ch/v2/files/exports/KEY/recent.json":             {"https://threatfox-api.abuse.ch/…/recent.json", "recent.json"},
		"https://lists.example/feed/0123456789abcdef0123456789abcdef":                 {"https://lists.example/…", "list"},
		"https://lists.example/0123456789abcdef0123456789abcdef.csv":                  {"https://lists.example/…", "list.csv"},
		"https://lists.example/x/1b4e28ba-2fa1-11d2-883f-0016d3cca427/hosts":          {"https://lists.example/…/hosts", "hosts"},
		"https://lists.example/x/1b4e28ba-2fa1-11d2-883f-0016d3cca427":                {"https://lists.example/…", "list"},
		"https://lists.example/x/sk.AbCdEfGh12345678IjKl":                             {"https://lists.example/…", "list"},
		"https://lists.example":                                                       {"https://lists.example/", "list"},
		"https://lists.example/?key=k":                                                {"https://lists.example/", "list"},
		"https://lists.example/../../.hidden":                                         {"https://lists.example/.hidden", "hidden"},
		"https://lists.example/a%2Fb%00c":                                             {"https://lists.example/…/b\\x00c", "b_c"},
		"https://raw.example/hagezi/dns-blocklists/main/wildcard/pro-onlydomains.txt": {"https://raw.example/…/pro-onlydomains.txt", "pro-onlydomains.txt"},
	} {
		shown := blocklist.ShownURL(text)
		if shown != want[0] && text != "https://lists.example/a%2Fb%00c" {
			t.Errorf("%s is shown as %s, want %s", text, shown, want[0])
		}
		if strings.ContainsRune(shown, 0) {
			t.Errorf("%q holds what a terminal could take for a command", shown)
		}
		if got := blocklist.ListName(text); got != want[1] {
			t.Errorf("%s is kept as %s, want %s", text, got, want[1])
		}
	}
}

func TestRedirected(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ from, location, want string }{
		{"https://a.example/x/y", "z", "https://a.example/x/z"},
		{"https://a.example/x", "//b.example/z", "https://b.example/z"},
		{"http://a.example/x", "https://a.example/x", "https://a.example/x"},
		{"https://a.example/x", "http://a.example/x", ""},
		{"https://a.example/x", "", ""},
		{"https://a.example/x", "http://%zz", ""},
		{"https://a.example/x", "ftp://a.example/", ""},
		{"https://a.example/x", "https:///x", ""},
	} {
		if got, err := blocklist.Redirected(tc.from, tc.location); got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s to %q: got %q, %v; want %q", tc.from, tc.location, got, err, tc.want)
		}
	}
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"https://a.example/x", "https://A.example:443/y", true}, {"http://a.example/x", "https://a.example/x", true},
		{"https://a.example/x", "https://a.example:444/x", false}, {"https://a.example/x", "https://b.example/x", false},
		{"http://a.example:8080/x", "https://a.example/x", false}, {"https://a.example/x", "https://x.a.example/", false},
	} {
		if got := blocklist.SameServer(tc.a, tc.b); got != tc.want {
			t.Errorf("%s and %s are of one server: %v, want %v", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestWhenToFetchAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "Tue, 24 Nov 2026 12:05:00 GMT": 5 * time.Minute, "Tue, 24 Nov 2026 11:05:00 GMT": 0, "": 0, "-5": 0, "soon": 0,
		"99999999": blocklist.RetryAfterMax, "99999999999999999999": 0, "Tue, 24 Nov 2099 11:05:00 GMT": blocklist.RetryAfterMax,
	} {
		if got := blocklist.RetryAfter(text, now); got != want {
			t.Errorf("Retry-After %q: got %v, want %v", text, got, want)
		}
	}
	for failures, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 1000: time.Hour} {
		if got := blocklist.Backoff(failures, 24*time.Hour); got != want {
			t.Errorf("after %d failures: got %v, want %v", failures, got, want)
		}
	}
	if got := blocklist.Backoff(8, time.Minute); got != time.Minute {
		t.Errorf("the pause is %v, want no more than the interval", got)
	}
	for random, want := range map[float64]time.Duration{0: 54 * time.Minute, 0.5: time.Hour, 1: 66 * time.Minute} {
		if got := blocklist.Jittered(time.Hour, 0.1, random); got.Round(time.Second) != want {
			t.Errorf("jitter of %v: got %v, want %v", random, got, want)
		}
	}
}

// TestServerMayAskForPatience: a server that is asked too often says when to come again.
func TestServerMayAskForPatience(t *testing.T) {
	t.Parallel()
	server := newListServer(t)
	server.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	w := newWorld(t, nil)
	w.add(fetchFeed(server.URL + "/malware.domains"))
	w.fetch()
	if next := time.Until(w.status("f").Fetch.NextAttempt); next < 9*time.Minute || next > 10*time.Minute {
		t.Errorf("the next fetch is in %v, want 10 minutes", next)
	}
}
