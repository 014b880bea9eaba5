package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"cenote/api"
	"cenote/dnsname"

	"github.com/prometheus/client_golang/prometheus"
)

// knowing is the rooms that know the network and the cache.
type knowing struct {
	*rooms
	asked  api.TruthQuestion
	name   dnsname.Name
	most   int
	rtype  string
	flush  api.FlushRequest
	loaded []byte
	broken bool // the dump ends early
}

func (k *knowing) Resolve(_ context.Context, q api.TruthQuestion) (api.ResolveAnswer, error) {
	if k.asked = q; q.Type == "NOSUCH" {
		return api.ResolveAnswer{}, errors.New("no such type")
	}
	return api.ResolveAnswer{Name: q.Name.String(), Rcode: "NOERROR"}, nil
}

func (k *knowing) Servers(name dnsname.Name, most int) api.ServersAnswer {
	k.name, k.most = name, most
	return api.ServersAnswer{}
}

func (k *knowing) Anchors() api.AnchorsAnswer { return api.AnchorsAnswer{} }

func (k *knowing) CacheStats() api.CacheStats { return api.CacheStats{Entries: 7} }

func (k *knowing) CacheGet(name dnsname.Name, rtype string) (api.CacheAnswer, error) {
	k.name, k.rtype = name, rtype
	return api.CacheAnswer{Name: name.String()}, nil
}

func (k *knowing) CacheFlush(r api.FlushRequest) (api.FlushAnswer, error) {
	k.flush = r
	return api.FlushAnswer{Answers: 3}, nil
}

func (k *knowing) CacheDump(_ context.Context, to io.Writer) error {
	_, _ = to.Write(bytes.Repeat([]byte("d"), 2<<20))
	if k.broken {
		return errors.New("broken")
	}
	return nil
}

func (k *knowing) CacheLoad(_ context.Context, from io.Reader) (api.LoadAnswer, error) {
	var err error
	k.loaded, err = io.ReadAll(from)
	return api.LoadAnswer{Kept: len(k.loaded)}, err
}

func startKnowing(t *testing.T) (*knowing, *api.Client, string) {
	t.Helper()
	k := &knowing{rooms: &rooms{}}
	socket := filepath.Join(t.TempDir(), "s", "cenote.sock")
	s, err := api.New(api.Config{
		Socket: socket, HTTP: netip.MustParseAddrPort("127.0.0.1:0"), Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Rooms: api.Rooms{Health: k, Truth: k, Cache: k, Dumper: k},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return k, api.NewClient(socket, 0), "http://" + s.HTTPAddr().String()
}

// TestResolveIsAskedAsTold, and lists are lists where there is nothing.
func TestResolveIsAskedAsTold(t *testing.T) {
	k, client, _ := startKnowing(t)
	var raw map[string]json.RawMessage
	params := url.Values{"name": {"WWW.example"}, "type": {"AAAA"}, "trace": {"true"}, "dnssec": {"1"}, "no_validation": {"TRUE"}}
	if err := client.Get(t.Context(), "/v1/resolve", params, &raw); err != nil {
		t.Fatal(err)
	}
	want := api.TruthQuestion{Name: dnsname.MustParse("www.example"), Type: "AAAA", Trace: true, DNSSEC: true, NoValidation: true}
	if k.asked != want || string(raw["answer"]) != "[]" || string(raw["additional"]) != "[]" {
		t.Errorf("asked %+v, want %+v; answered %s", k.asked, want, raw)
	}
	for query, status := range map[string]int{"": 400, "name=a..b": 400, "name=a&trace=perhaps": 400, "name=a&type=NOSUCH": 422} {
		params, _ := url.ParseQuery(query)
		err := client.Get(t.Context(), "/v1/resolve", params, &raw)
		if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != status {
			t.Errorf("%q: %v, want status %d", query, err, status)
		}
	}
}

// TestServersAreListed with a bound.
func TestServersAreListed(t *testing.T) {
	k, client, _ := startKnowing(t)
	var answer api.ServersAnswer
	if err := client.Get(t.Context(), "/v1/servers", url.Values{"name": {"A.example"}, "limit": {"7"}}, &answer); err != nil || k.most != 7 || k.name != dnsname.MustParse("a.example") {
		t.Errorf("%v, asked for %d of %v", err, k.most, k.name)
	}
	if err := client.Get(t.Context(), "/v1/servers", nil, &answer); err != nil || k.most != 10 || !k.name.IsZero() || answer.Busiest == nil {
		t.Errorf("%v, asked for %d of %v: %+v", err, k.most, k.name, answer)
	}
	for _, limit := range []string{"0", "1001", "many"} {
		if err := client.Get(t.Context(), "/v1/servers", url.Values{"limit": {limit}}, &answer); err == nil {
			t.Errorf("limit %s is taken", limit)
		}
	}
}

// TestFlushIsOfANameOrOfAll and of nothing by mistake.
func TestFlushIsOfANameOrOfAll(t *testing.T) {
	k, client, _ := startKnowing(t)
	var answer api.FlushAnswer
	for _, r := range []api.FlushRequest{{Name: "a.example", Subtree: true}, {All: true}} {
		if err := client.Post(t.Context(), "/v1/cache/flush", r, &answer); err != nil || k.flush != r || answer.Answers != 3 {
			t.Errorf("%+v: %v, flushed %+v", r, err, k.flush)
		}
	}
	k.flush = api.FlushRequest{}
	for _, r := range []any{api.FlushRequest{}, api.FlushRequest{Name: "a", All: true}, api.FlushRequest{All: true, Subtree: true}, map[string]any{"nmae": "a"}} {
		err := client.Post(t.Context(), "/v1/cache/flush", r, &answer)
		if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != http.StatusBadRequest || k.flush != (api.FlushRequest{}) {
			t.Errorf("%+v: %v, flushed %+v", r, err, k.flush)
		}
	}
}

// TestDumpsAreLargerThanOtherBodies, and a part is never taken for the whole.
func TestDumpsAreLargerThanOtherBodies(t *testing.T) {
	k, client, _ := startKnowing(t)
	var dump bytes.Buffer
	if err := client.Dump(t.Context(), &dump); err != nil || dump.Len() != 2<<20 {
		t.Fatalf("%v, %d octets", err, dump.Len())
	}
	var answer api.LoadAnswer
	if err := client.Load(t.Context(), bytes.NewReader(dump.Bytes()), &answer); err != nil || answer.Kept != 2<<20 || !bytes.Equal(k.loaded, dump.Bytes()) {
		t.Errorf("%v, %+v, %d octets came", err, answer, len(k.loaded))
	}
	err := client.Post(t.Context(), "/v1/cache/flush", api.FlushRequest{Name: strings.Repeat("a", 2<<20)}, new(api.FlushAnswer))
	if problem, ok := errors.AsType[*api.Problem](err); !ok || !strings.Contains(problem.Message, "too large") {
		t.Errorf("another body of that size: %v", err)
	}
	k.broken = true
	if err := client.Dump(t.Context(), &dump); err == nil {
		t.Error("a dump that ended early is taken for whole")
	}
}

// TestWhatClientsAskIsForTheSocketAlone: over HTTP nobody sees what is in the cache, flushes it or sends queries from here.
func TestWhatClientsAskIsForTheSocketAlone(t *testing.T) {
	k, _, base := startKnowing(t)
	for _, path := range []string{"/v1/resolve?name=a", "/v1/servers", "/v1/cache/get?name=a", "/v1/cache/dump"} {
		res, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
	}
	for _, path := range []string{"/v1/cache/flush", "/v1/cache/load"} {
		res, err := http.Post(base+path, "application/json", strings.NewReader(`{"all": true}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound || k.flush.All || k.loaded != nil {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
	}
	for _, path := range []string{"/v1/anchors", "/v1/cache"} {
		res, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, res.StatusCode)
		}
	}
}
