package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cenote/blocklist"
	"cenote/sighting"
	"cenote/zone"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Rooms are the parts of the server that the API asks.
type Rooms struct {
	Health    Prober
	Explainer Explainer
	Feeds     Feeds
	Copies    Copies
	Reviewer  Reviewer
	Ledger    Ledger
	Zones     Zones
	Transfers Transfers
	Truth     Truth
	Cache     Cache
	Dumper    Dumper
}

// Prober knows whether the server should get queries.
type Prober interface {
	// Ready returns why the server should not get queries yet, or nil.
	Ready() error
}

// Explainer says what happens to a question, by the code that serves it.
type Explainer interface {
	Explain(context.Context, Question) (Explanation, error)
}

// Feeds tells about the feeds and loads them again.
type Feeds interface {
	// FeedStatus is how the feeds and the policy made of them stand.
	FeedStatus() FeedsAnswer
	// Reload loads the configuration and the feeds, all or nothing. The answer says what became of each feed, also beside an error.
	Reload(context.Context, ReloadRequest) (ReloadAnswer, error)
}

// Copies tells about the copies that are kept of each feed, and changes which is served.
type Copies interface {
	// History is what is kept of a feed, or of all for "". Diff compares two copies.
	History(feed string) ([]blocklist.FeedHistory, error)
	Diff(context.Context, blocklist.DiffOptions) (*blocklist.FeedDiff, error)
	// Rollback makes an older copy the one that is served, and pins the feed there. Unpin lets it follow its source again.
	Rollback(context.Context, blocklist.RollbackOptions) (blocklist.ReloadReport, error)
	Unpin(context.Context, blocklist.UnpinOptions) (blocklist.ReloadReport, error)
}

// Ledger tells about sightings.
type Ledger interface {
	// Sightings returns one page.
	Sightings(context.Context, sighting.Filter) (SightingsAnswer, error)
	// Export returns all that is known of one client; Erase forgets it, wherever it is kept.
	Export(context.Context, netip.Addr) (sighting.Export, error)
	Erase(context.Context, netip.Addr) (sighting.Erasure, error)
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string `json:"status"` // "ok" or "not ready"
	Reason string `json:"reason,omitempty"`
}

// FeedsAnswer is the answer of GET /v1/feeds.
type FeedsAnswer struct {
	Policy blocklist.CompileStatus `json:"policy"`
	Feeds  []blocklist.FeedStatus  `json:"feeds"`
}

// ReloadRequest is the body of POST /v1/reload.
type ReloadRequest struct {
	// Force takes what the guards of feeds would keep back and, of the zones that are named, or of all where nothing is, those whose serial goes back, and catalogs that
	// have lost most of their zones. Names are of feeds, and of zones with a file, Feeds of feeds alone; nothing named stands for all. Names may say which of a feed and a
	// zone of one name is meant, feed:NAME or zone:NAME; with Force they have to.
	Force bool     `json:"force,omitempty"`
	Feeds []string `json:"feeds,omitempty"`
	Names []string `json:"names,omitempty"`
}

// ReloadAnswer is the answer of POST /v1/reload.
type ReloadAnswer struct {
	blocklist.ReloadReport
	Zones        []zone.Status `json:"zones,omitempty"`         // those that are not served as their files are; where zones were named, these alone, however they stand
	NeedsRestart []string      `json:"needs_restart,omitempty"` // keys whose change waits for a restart
	Warnings     []string      `json:"warnings,omitempty"`      // of the configuration
}

// SightingsAnswer is the answer of GET /v1/sightings.
type SightingsAnswer struct {
	Sightings []sighting.Sighting `json:"sightings"`
	Next      string              `json:"next,omitempty"`   // the cursor of the next page; empty on the last
	Losses    []sighting.Loss     `json:"losses,omitempty"` // what was counted but not recorded one by one, in the same time
}

// controls is the whole API, as the Unix socket has it.
func (s *Server) controls() *http.ServeMux {
	mux := s.routes()
	mux.HandleFunc("GET /v1/profile", takes(s.profile, "kind", "seconds"))
	mux.HandleFunc("GET /v1/feeds/history", takes(s.history, "feed"))
	mux.HandleFunc("GET /v1/feeds/diff", takes(s.diff, "feed", "from", "to", "limit", "cursor"))
	mux.HandleFunc("POST /v1/feeds/rollback", takes(s.rollback))
	mux.HandleFunc("POST /v1/feeds/unpin", takes(s.unpin))
	mux.HandleFunc("GET /v1/resolve", takes(s.resolve, "name", "type", "trace", "dnssec", "no_validation")) // whoever may ask for it can send queries from here
	mux.HandleFunc("GET /v1/servers", takes(s.zoneServers, "name", "limit"))
	mux.HandleFunc("GET /v1/cache/get", takes(s.cacheGet, "name", "type")) // what clients ask for
	mux.HandleFunc("POST /v1/cache/flush", takes(s.cacheFlush))
	mux.HandleFunc("GET /v1/cache/dump", takes(s.cacheDump))
	mux.HandleFunc("POST /v1/cache/load", takes(s.cacheLoad))
	mux.HandleFunc("GET /v1/zones/diff", takes(s.zoneDiff, "zone", "from", "to")) // what is in zones that not everybody may see
	mux.HandleFunc("POST /v1/zones/freeze", takes(s.freeze))
	mux.HandleFunc("POST /v1/zones/transfer", takes(s.transfer))
	mux.HandleFunc("POST /v1/keys/roll", takes(s.rollKeys))
	mux.HandleFunc("POST /v1/keys/ds", takes(s.markDS))
	mux.HandleFunc("GET /v1/zones/dump", takes(s.dumpZone, "zone", "signed")) // what a zone holds is for those alone who may take it
	mux.HandleFunc("POST /v1/held", takes(s.decide))                          // it is written down who decides, which the socket alone knows
	return mux
}

// routes is what both faces have.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: metricsTimeout}))
	mux.HandleFunc("GET /v1/version", takes(s.version))
	mux.HandleFunc("GET /v1/explain", takes(s.explain, "name", "address", "reference", "client", "answer", "type", "transport", "listener", "key", "rd", "do", "time", "resolve"))
	mux.HandleFunc("GET /v1/feeds", takes(s.feeds))
	mux.HandleFunc("GET /v1/zones", takes(s.zones))
	mux.HandleFunc("GET /v1/keys", takes(s.keys))
	mux.HandleFunc("GET /v1/held", takes(s.held, "feed", "name", "reason", "state"))
	mux.HandleFunc("GET /v1/anchors", takes(s.anchors))
	mux.HandleFunc("GET /v1/cache", takes(s.cacheStats))
	mux.HandleFunc("POST /v1/reload", takes(s.reload))
	mux.HandleFunc("GET /v1/sightings", takes(s.sightings, "client", "zone", "feed", "family", "indicator", "since", "until", "enforced", "hours", "limit", "cursor"))
	mux.HandleFunc("GET /v1/clients/{address}", takes(s.export))
	mux.HandleFunc("DELETE /v1/clients/{address}", takes(s.erase))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "there is no "+r.URL.Path+" here")
	})
	return mux
}

const metricsTimeout = 10 * time.Second

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, Health{Status: "ok"})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.config.Rooms.Health.Ready(); err != nil {
		fail(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	reply(w, http.StatusOK, Health{Status: "ok"})
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"version": s.config.Version})
}

func (s *Server) feeds(w http.ResponseWriter, _ *http.Request) {
	answer := s.config.Rooms.Feeds.FeedStatus()
	answer.Feeds = listOf(answer.Feeds)
	reply(w, http.StatusOK, answer)
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	var request ReloadRequest
	if err := decodeBody(r, &request); err != nil { // no body asks for all
		failWith(w, http.StatusBadRequest, errors.New("the body is not a reload request: "+err.Error()), nil)
		return
	}
	answer, err := s.config.Rooms.Feeds.Reload(r.Context(), request)
	answer.Feeds = listOf(answer.Feeds)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, answer)
		return
	}
	reply(w, http.StatusOK, answer)
}

// decodeBody reads the body of a request, which may be none.
func decodeBody(r *http.Request, into any) error {
	from := json.NewDecoder(r.Body)
	from.DisallowUnknownFields()
	if err := from.Decode(into); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	q, err := ParseQuestion(r.URL.Query())
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := s.config.Rooms.Explainer.Explain(r.Context(), q)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	answer.Zones, answer.Places = listOf(answer.Zones), listOf(answer.Places)
	reply(w, http.StatusOK, answer)
}

func (s *Server) sightings(w http.ResponseWriter, r *http.Request) {
	filter, err := parseFilter(r)
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := s.config.Rooms.Ledger.Sightings(r.Context(), filter)
	if err != nil {
		failWith(w, ledgerStatus(err), err, nil)
		return
	}
	answer.Sightings = listOf(answer.Sightings)
	reply(w, http.StatusOK, answer)
}

func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	client(w, r, s.config.Rooms.Ledger.Export)
}

func (s *Server) erase(w http.ResponseWriter, r *http.Request) {
	client(w, r, s.config.Rooms.Ledger.Erase)
}

// client runs what is about one client, whose address is in the path.
func client[T any](w http.ResponseWriter, r *http.Request, run func(context.Context, netip.Addr) (T, error)) {
	addr, err := netip.ParseAddr(r.PathValue("address"))
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := run(r.Context(), addr)
	if err != nil {
		failWith(w, ledgerStatus(err), err, nil)
		return
	}
	reply(w, http.StatusOK, answer)
}

// ledgerStatus says whose fault an error of the ledger is.
func ledgerStatus(err error) int {
	switch {
	case errors.Is(err, sighting.ErrFilter):
		return http.StatusBadRequest
	case errors.Is(err, sighting.ErrBusy), errors.Is(err, sighting.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// listOf makes an empty list of none at all, so that programs find a list where there is nothing.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func parseFlag(text string) (bool, error) {
	if text == "" {
		return false, nil
	}
	return strconv.ParseBool(strings.ToLower(text))
}
