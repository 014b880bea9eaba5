package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"
	"cenote/sighting"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// rooms is a server's rooms, as far as the API asks them.
type rooms struct {
	ready   error
	explain func(api.Question) (api.Explanation, error)
	reload  func(api.ReloadRequest) (api.ReloadAnswer, error)
	filter  sighting.Filter
	fault   error // of the ledger
	erased  netip.Addr
	held    api.HeldFilter
	decided blocklist.Decision
	*copies
}

func (r *rooms) Ready() error { return r.ready }

func (r *rooms) Explain(_ context.Context, q api.Question) (api.Explanation, error) {
	return r.explain(q)
}

func (r *rooms) FeedStatus() api.FeedsAnswer {
	return api.FeedsAnswer{Feeds: []blocklist.FeedStatus{{Name: "maltrail", State: blocklist.FeedGood}}}
}

func (r *rooms) Reload(_ context.Context, q api.ReloadRequest) (api.ReloadAnswer, error) {
	return r.reload(q)
}

func (r *rooms) Held(f api.HeldFilter) (api.HeldAnswer, error) {
	r.held = f
	if f.Feed == "none" {
		return api.HeldAnswer{}, errors.New("no such feed")
	}
	row := blocklist.HeldRow{Name: "a.example", State: blocklist.StateHeld, Fault: blocklist.Fault{Reason: blocklist.ReasonHeldPopular}}
	return api.HeldAnswer{Held: []blocklist.Held{{Feed: "maltrail", HeldRow: row}}}, nil
}

func (r *rooms) Decide(_ context.Context, d blocklist.Decision) (blocklist.DecideReport, error) {
	r.decided = d
	return blocklist.DecideReport{}, r.fault
}

func (r *rooms) Sightings(_ context.Context, f sighting.Filter) (api.SightingsAnswer, error) {
	r.filter = f
	return api.SightingsAnswer{Next: "more"}, r.fault
}

func (r *rooms) Export(context.Context, netip.Addr) (sighting.Export, error) {
	return sighting.Export{}, nil
}

func (r *rooms) Erase(_ context.Context, a netip.Addr) (sighting.Erasure, error) {
	r.erased = a
	return sighting.Erasure{}, r.fault
}

// start runs a server on a socket and a loopback port; it returns both.
func start(t *testing.T, r *rooms, token string) (socket, base string) {
	t.Helper()
	_, socket, base = startServer(t, r, token, "127.0.0.1:0")
	return socket, base
}

func startServer(t *testing.T, r *rooms, token, address string) (s *api.Server, socket, base string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	socket = filepath.Join(t.TempDir(), "s", "cenote.sock")
	s, err := api.New(api.Config{
		Socket: socket, HTTP: netip.MustParseAddrPort(address), Token: token, Version: "1.2.3",
		Rooms: api.Rooms{Health: r, Explainer: r, Feeds: r, Copies: r.copies, Ledger: r, Reviewer: r}, Metrics: registry, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	return s, socket, "http://127.0.0.1:" + strconv.Itoa(s.HTTPAddr().(*net.TCPAddr).Port)
}

func get(t *testing.T, address string, edit func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestReadinessFollowsTheServer(t *testing.T) {
	r := &rooms{ready: errors.New("the feeds are being read")}
	_, base := start(t, r, "")
	if status, body := get(t, base+"/readyz", nil); status != http.StatusServiceUnavailable || !strings.Contains(body, "the feeds are being read") {
		t.Errorf("/readyz = %d %s, want 503 with the reason", status, body)
	}
	if status, _ := get(t, base+"/healthz", nil); status != http.StatusOK {
		t.Errorf("/healthz = %d, want 200: the process lives", status)
	}
	r.ready = nil
	if status, _ := get(t, base+"/readyz", nil); status != http.StatusOK {
		t.Errorf("/readyz = %d, want 200", status)
	}
}

func TestMetricsAreServed(t *testing.T) {
	_, base := start(t, &rooms{}, "")
	if status, body := get(t, base+"/metrics", nil); status != http.StatusOK || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics = %d %.80s", status, body)
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	_, base := start(t, &rooms{}, "")
	for name, edit := range map[string]func(*http.Request){
		"a name that points to loopback": func(r *http.Request) { r.Host = "attacker.example" },
		"a page of another site":         func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		if status, _ := get(t, base+"/v1/feeds", edit); status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, status)
		}
	}
	if status, _ := get(t, base+"/v1/feeds", func(r *http.Request) { r.Host = "localhost" }); status != http.StatusOK {
		t.Errorf("localhost: status %d, want 200", status)
	}
}

func TestTokenGuardsAllButHealth(t *testing.T) {
	socket, base := start(t, &rooms{}, "a-long-enough-token")
	if status, _ := get(t, base+"/v1/feeds", nil); status != http.StatusUnauthorized {
		t.Errorf("without token: status %d, want 401", status)
	}
	if status, _ := get(t, base+"/v1/feeds", func(r *http.Request) { r.Header.Set("Authorization", "Bearer a-long-enough-tokem") }); status != http.StatusUnauthorized {
		t.Errorf("with a wrong token: status %d, want 401", status)
	}
	if status, _ := get(t, base+"/v1/feeds", func(r *http.Request) { r.Header.Set("Authorization", "Bearer a-long-enough-token") }); status != http.StatusOK {
		t.Errorf("with the token: status %d, want 200", status)
	}
	if status, _ := get(t, base+"/healthz", nil); status != http.StatusOK {
		t.Errorf("/healthz without token: status %d, want 200", status)
	}
	var answer api.FeedsAnswer
	if err := api.NewClient(socket, 0).Get(t.Context(), "/v1/feeds", nil, &answer); err != nil || len(answer.Feeds) != 1 {
		t.Errorf("over the socket: %+v, %v; want one feed without a token", answer, err)
	}
}

func TestGuardsChangeWhileServing(t *testing.T) {
	s, socket, base := startServer(t, &rooms{}, "", "127.0.0.1:0")
	if err := s.SetGuards(0o660, "a-long-enough-token"); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, base+"/v1/feeds", nil); status != http.StatusUnauthorized {
		t.Errorf("without the new token: status %d, want 401", status)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode is %v (%v), want 0660", info.Mode().Perm(), err)
	}
	if err := s.SetGuards(0, ""); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, base+"/v1/feeds", nil); status != http.StatusOK {
		t.Errorf("after the token was taken away on loopback: status %d, want 200", status)
	}
}

// TestReachableAddressKeepsItsToken: until a restart moves it to loopback, the address that others reach is guarded.
func TestReachableAddressKeepsItsToken(t *testing.T) {
	s, _, base := startServer(t, &rooms{}, "a-long-enough-token", "0.0.0.0:0")
	if err := s.SetGuards(0, ""); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, base+"/v1/feeds", nil); status != http.StatusUnauthorized {
		t.Errorf("without the token: status %d, want 401", status)
	}
}

func TestSocketIsForItsOwner(t *testing.T) {
	socket, _ := start(t, &rooms{}, "")
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v (%v), want 0600", info.Mode().Perm(), err)
	}
}

func TestSocketInUseIsAnError(t *testing.T) {
	socket, _ := start(t, &rooms{}, "")
	if _, err := api.New(api.Config{Socket: socket, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("New on a socket in use: %v, want an error that says so", err)
	}
}

func TestSocketOfAKilledServerIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "cenote.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	s, err := api.New(api.Config{Socket: socket, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestFileInTheWayOfTheSocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cenote.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.New(api.Config{Socket: path, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("New replaced a file that is no socket")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file now holds %q", b)
	}
}

func TestExplainTakesNameOrReference(t *testing.T) {
	r := &rooms{explain: func(q api.Question) (api.Explanation, error) {
		var out api.Explanation
		out.Name = q.Name.String() + q.Reference + q.Client.String()
		return out, nil
	}}
	socket, base := start(t, r, "")
	var answer api.Explanation
	params := url.Values{"name": {"WWW.Example."}, "client": {"192.0.2.7"}}
	if err := api.NewClient(socket, 0).Get(t.Context(), "/v1/explain", params, &answer); err != nil || answer.Name != "www.example192.0.2.7" {
		t.Errorf("explain = %q, %v", answer.Name, err)
	}
	for _, bad := range []string{"", "?name=a..b", "?name=a&reference=b", "?name=a&client=nobody", "?name=a&type=BOGUS", "?name=a&transport=pigeon",
		"?name=a&listener=here", "?name=a&key=a..b", "?name=a&rd=perhaps", "?name=a&do=2", "?name=a&resolve=2"} {
		if status, body := get(t, base+"/v1/explain"+bad, nil); status != http.StatusBadRequest {
			t.Errorf("explain%s = %d %s, want 400", bad, status, body)
		}
	}
	for bad, want := range map[string]string{"client=nobody": "write one such as 192.0.2.7", "listener=here": "such as 192.0.2.1 or [2001:db8::1]:53"} {
		if _, body := get(t, base+"/v1/explain?name=a&"+bad, nil); !strings.Contains(string(body), want) {
			t.Errorf("explain with %s = %s, want %q", bad, body, want)
		}
	}
}

// TestExplainTakesTheWayOfAsking: what is not said is as most clients ask.
func TestExplainTakesTheWayOfAsking(t *testing.T) {
	for text, want := range map[string]api.Question{
		"":                      {},
		"type=https&rd=true":    {Type: 65},
		"transport=tcp&do=true": {Transport: policy.TransportTCP, DO: true},
		"rd=false&type=TYPE99":  {NoRD: true, Type: 99},
		"key=Branch.Example":    {Key: "\x06branch\x07example\x00"},
		"listener=192.0.2.53":   {Listener: netip.MustParseAddrPort("192.0.2.53:53")},
		"listener=[2001:db8::53]:5353&resolve=true": {Listener: netip.MustParseAddrPort("[2001:db8::53]:5353"), Resolve: true},
	} {
		values, err := url.ParseQuery("name=www.example&" + text)
		if err != nil {
			t.Fatal(err)
		}
		want.Name = dnsname.MustParse("www.example")
		if got, err := api.ParseQuestion(values); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestReloadFailureKeepsItsReport(t *testing.T) {
	r := &rooms{reload: func(q api.ReloadRequest) (api.ReloadAnswer, error) {
		return api.ReloadAnswer{Warnings: q.Feeds}, errors.New("cenote.yaml:3: unknown key")
	}}
	socket, _ := start(t, r, "")
	var answer api.ReloadAnswer
	err := api.NewClient(socket, 0).Post(t.Context(), "/v1/reload", api.ReloadRequest{Feeds: []string{"a"}}, &answer)
	problem, ok := errors.AsType[*api.Problem](err)
	if !ok || problem.Status != http.StatusUnprocessableEntity || !strings.Contains(problem.Message, "cenote.yaml:3") {
		t.Fatalf("reload: %v, want the fault of the configuration", err)
	}
	detail, _ := json.Marshal(problem.Detail)
	if !strings.Contains(string(detail), `"a"`) {
		t.Errorf("the report is lost: %s", detail)
	}
}

func TestNoServerIsSaid(t *testing.T) {
	err := api.NewClient(filepath.Join(t.TempDir(), "none.sock"), 0).Get(t.Context(), "/readyz", nil, new(api.Health))
	if !errors.Is(err, api.ErrNoServer) || !strings.Contains(err.Error(), "cenote serve") || !strings.Contains(err.Error(), "--config") {
		t.Errorf("Get without a server: %v, want ErrNoServer with the next move", err)
	}
}

func TestEraseNamesOneClient(t *testing.T) {
	r := &rooms{}
	socket, _ := start(t, r, "")
	var done sighting.Erasure
	if err := api.NewClient(socket, 0).Delete(t.Context(), "/v1/clients/192.0.2.9", &done); err != nil || r.erased != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("erased %v, %v; want 192.0.2.9", r.erased, err)
	}
	if err := api.NewClient(socket, 0).Delete(t.Context(), "/v1/clients/everybody", &done); err == nil {
		t.Error("a client that is no address was accepted")
	}
}

// TestFilterIsHandedOn holds what each parameter of /v1/sightings asks the ledger for.
func TestFilterIsHandedOn(t *testing.T) {
	r := &rooms{}
	_, base := start(t, r, "")
	status, body := get(t, base+"/v1/sightings?client=192.0.2.0/24&zone=z&feed=f&family=lumma&indicator=bad.example&since=2026-01-31&until=2026-02-01T12:00:00Z"+
		"&enforced=false&hours=true&limit=7&cursor=c", nil)
	want := sighting.Filter{
		Client: netip.MustParsePrefix("192.0.2.0/24"), Zone: "z", Feed: "f", Family: "lumma", Indicator: "bad.example",
		Since: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC),
		Enforcement: sighting.ObservedOnly, Hours: true, Limit: 7, Cursor: "c",
	}
	if r.filter != want {
		t.Errorf("the ledger was asked for\n got %+v\nwant %+v", r.filter, want)
	}
	if status != http.StatusOK || !strings.Contains(body, `"next":"more"`) {
		t.Errorf("got %d %s", status, body)
	}
	for _, bad := range []string{"client=nobody", "since=tomorrow", "until=-3h", "enforced=perhaps", "hours=many", "limit=-1"} {
		if status, body := get(t, base+"/v1/sightings?"+bad, nil); status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s, want 400", bad, status, body)
		}
	}
}

func TestFaultsOfTheLedgerHaveTheirStatus(t *testing.T) {
	r := &rooms{}
	_, base := start(t, r, "")
	for _, c := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("%w: no such cursor", sighting.ErrFilter), http.StatusBadRequest},
		{fmt.Errorf("erasing: %w", sighting.ErrBusy), http.StatusServiceUnavailable},
		{sighting.ErrClosed, http.StatusServiceUnavailable},
		{errors.New("the disk is broken"), http.StatusInternalServerError},
	} {
		r.fault = c.err
		if status, body := get(t, base+"/v1/sightings", nil); status != c.want || !strings.Contains(body, c.err.Error()) {
			t.Errorf("%v: got %d %s, want %d and the fault", c.err, status, body, c.want)
		}
	}
}

// TestReaderThatStopsIsCutOff: a client that asks and does not read holds no connection for ever.
func TestReaderThatStopsIsCutOff(t *testing.T) {
	failed := make(chan error, 1)
	s := httptest.NewServer(api.BoundWrites(50*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<20)
		for range 256 { // more than any socket buffers
			if _, err := w.Write(block); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	})))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the write ended with %v, want the end of its time", err)
		}
	case <-time.After(time.Minute):
		t.Error("the answer is still being written")
	}
}

// TestReloadNeedsNoBody, but what it has must be understood: a word that is not known may be a wish that would not be met.
func TestReloadNeedsNoBody(t *testing.T) {
	var got []api.ReloadRequest
	r := &rooms{reload: func(q api.ReloadRequest) (api.ReloadAnswer, error) {
		got = append(got, q)
		return api.ReloadAnswer{}, nil
	}}
	_, base := start(t, r, "")
	for body, want := range map[string]int{"": http.StatusOK, `{"force":true}`: http.StatusOK, `{"fource":true}`: http.StatusBadRequest, "{": http.StatusBadRequest} {
		res, err := http.Post(base+"/v1/reload", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q: status %d, want %d", body, res.StatusCode, want)
		}
	}
	if len(got) != 2 || got[0].Force == got[1].Force {
		t.Errorf("reloads were %+v, want one by force", got)
	}
}

// TestNothingIsAnEmptyList: programs that walk a list need not look first whether it is one.
func TestNothingIsAnEmptyList(t *testing.T) {
	r := &rooms{
		explain: func(api.Question) (api.Explanation, error) { return api.Explanation{}, nil },
		reload:  func(api.ReloadRequest) (api.ReloadAnswer, error) { return api.ReloadAnswer{}, nil },
	}
	socket, base := start(t, r, "")
	for path, lists := range map[string][]string{"/v1/sightings": {"sightings"}, "/v1/explain?name=a.example": {"zones", "places"}} {
		_, body := get(t, base+path, nil)
		for _, name := range lists {
			if !strings.Contains(body, `"`+name+`":[]`) {
				t.Errorf("%s has no empty list of %s: %s", path, name, body)
			}
		}
	}
	var answer map[string]json.RawMessage
	if err := api.NewClient(socket, 0).Post(t.Context(), "/v1/reload", api.ReloadRequest{}, &answer); err != nil || string(answer["feeds"]) != "[]" {
		t.Errorf("a reload that read nothing: feeds are %s, %v", answer["feeds"], err)
	}
}

// TestEveryRouteIsDescribed holds docs/api.md against the routes, and its tables of fields against the JSON.
func TestEveryRouteIsDescribed(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	page := read("../docs/api.md")
	found := func(pattern, text string) (out []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return out
	}
	routes, described := found(`mux\.Handle(?:Func)?\("([A-Z]+ [^"]+)"`, read("routes.go")), found("(?m)^\\| `([A-Z]+ /[^`]*)` \\|", page)
	if len(routes) == 0 || !slices.Equal(routes, described) {
		t.Errorf("the routes are\n%q\ndocs/api.md has\n%q", routes, described)
	}
	for _, of := range []reflect.Type{
		reflect.TypeFor[sighting.Sighting](), reflect.TypeFor[sighting.Indicator](), reflect.TypeFor[sighting.Sample](), reflect.TypeFor[sighting.Loss](),
		reflect.TypeFor[blocklist.FeedHistory](), reflect.TypeFor[blocklist.KeptCopy](), reflect.TypeFor[blocklist.Pin](), reflect.TypeFor[blocklist.FeedDiff](),
		reflect.TypeFor[blocklist.DiffCounts](), reflect.TypeFor[blocklist.DiffRow](), reflect.TypeFor[blocklist.RowSay](),
		reflect.TypeFor[sighting.Hour](), reflect.TypeFor[sighting.First](), reflect.TypeFor[sighting.Export](), reflect.TypeFor[sighting.Erasure](),
	} {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !regexp.MustCompile("(?m)^\\|.*\\b"+name+"\\b.*\\|$|`"+name+"`").MatchString(page) {
				t.Errorf("docs/api.md does not describe %s of a %s", name, of.Name())
			}
		}
	}
	for _, parameter := range found(`v\.Get\("([a-z]+)"\)`, read("sightings.go")) {
		if !strings.Contains(page, "`"+parameter+"`") {
			t.Errorf("docs/api.md does not describe the parameter %s", parameter)
		}
	}
}

// TestUnknownParametersAreRefused: a filter that is passed over gives another answer than the one that was asked for.
func TestUnknownParametersAreRefused(t *testing.T) {
	_, base := start(t, &rooms{explain: func(api.Question) (api.Explanation, error) { return api.Explanation{}, nil }}, "")
	over := func(query string) (int, string) {
		status, body := get(t, base+query, nil)
		var p api.Problem
		_ = json.Unmarshal([]byte(body), &p) // which an answer of another kind is not
		return status, p.Message
	}
	for query, want := range map[string]string{
		"/v1/sightings?famly=qakbot":                   `there is no parameter "famly" here; did you mean "family"?`,
		"/v1/explain?name=bad.example&cleint=10.0.0.1": `there is no parameter "cleint" here; did you mean "client"?`,
		"/v1/feeds?feed=maltrail":                      `there is no parameter "feed" here; see docs/api.md`,
		"/v1/held?colour=red":                          `there is no parameter "colour" here; known here: feed, name, reason, state`,
		"/v1/sightings?feed=a&feed=b":                  `the parameter "feed" is given 2 times`,
		"/v1/sightings?feed=%zz":                       "the parameters cannot be read",
		"/v1/explain?name=bad.example&transport=quic":  "there are udp, tcp and tls",
	} {
		status, problem := over(query)
		if status != http.StatusBadRequest || !strings.Contains(problem, want) {
			t.Errorf("%s: got %d, %q, want 400 and %q", query, status, problem, want)
		}
	}
	for _, query := range []string{"/v1/sightings?family=qakbot", "/v1/explain?name=bad.example&answer=192.0.2.1&answer=192.0.2.2", "/healthz?probe=1"} {
		if status, problem := over(query); status != http.StatusOK {
			t.Errorf("%s: got %d, %q, want 200", query, status, problem)
		}
	}
}

// TestProfileIsTakenOverTheSocket: one at a time, and from nowhere else.
func TestProfileIsTakenOverTheSocket(t *testing.T) {
	socket, base := start(t, &rooms{}, "")
	client := api.NewClient(socket, 0)
	for kind, want := range map[string]string{"cpu": "nanoseconds", "heap": "inuse_space", "allocs": "alloc_space", "goroutine": "cenote/api"} {
		var taken bytes.Buffer
		if err := client.Profile(t.Context(), url.Values{"kind": {kind}, "seconds": {"1"}}, &taken); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if unzip, err := gzip.NewReader(&taken); err != nil {
			t.Errorf("%s: not a profile of pprof: %v", kind, err)
		} else if b, err := io.ReadAll(unzip); err != nil || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: %d octets (%v) without %s", kind, len(b), err, want)
		}
	}
	for _, params := range []url.Values{{"kind": {"moon"}}, {"kind": {"threadcreate"}}, {"seconds": {"0"}}, {"seconds": {"301"}}, {"seconds": {"ten"}}} {
		if problem, ok := errors.AsType[*api.Problem](client.Profile(t.Context(), params, io.Discard)); !ok || problem.Status != http.StatusBadRequest {
			t.Errorf("%v: %v, want status 400", params, problem)
		}
	}
	if status, _ := get(t, base+"/v1/profile", nil); status != http.StatusNotFound {
		t.Errorf("over HTTP: status %d, want 404", status)
	}
}

func TestOneCPUProfileAtATime(t *testing.T) {
	socket, _ := start(t, &rooms{}, "")
	client := api.NewClient(socket, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // again where the other one was there before
		defer close(ended)
		for ctx.Err() == nil {
			_ = client.Profile(ctx, url.Values{"seconds": {"300"}}, io.Discard)
		}
	}()
	until(t, "a second one is refused", func() bool {
		problem, ok := errors.AsType[*api.Problem](client.Profile(t.Context(), url.Values{"seconds": {"1"}}, io.Discard))
		return ok && problem.Status == http.StatusServiceUnavailable
	})
	cancel()
	<-ended
}

// TestProfileEndsWithItsClient: whoever gives up leaves room for the next.
func TestProfileEndsWithItsClient(t *testing.T) {
	socket, _ := start(t, &rooms{}, "")
	client := api.NewClient(socket, 0)
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := client.Profile(short, url.Values{"seconds": {"300"}}, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the first: %v, want that its time is over", err)
	}
	until(t, "there is room after the first has gone", func() bool {
		return client.Profile(t.Context(), url.Values{"seconds": {"1"}}, io.Discard) == nil
	})
}

func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !reached(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not reached within 30 s: %s", what)
		}
	}
}
