package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cenote/dnsname"
)

// Cache tells about the answers that are kept, and forgets them.
type Cache interface {
	// CacheStats is what the cache holds and has done.
	CacheStats() CacheStats
	// CacheGet is all that is kept for a name, of the type with the word rtype, "" for all.
	CacheGet(name dnsname.Name, rtype string) (CacheAnswer, error)
	// CacheFlush forgets answers, and what was learnt about zones.
	CacheFlush(FlushRequest) (FlushAnswer, error)
}

// Dumper writes the cache out and reads it in.
type Dumper interface {
	// CacheDump writes all answers. CacheLoad keeps those that it reads, as old as they are; what the cache has already stays.
	CacheDump(context.Context, io.Writer) error
	CacheLoad(context.Context, io.Reader) (LoadAnswer, error)
}

// CacheStats is the answer of GET /v1/cache.
type CacheStats struct {
	Entries   int               `json:"entries"` // answers, expired ones included
	Bytes     int64             `json:"bytes"`
	Capacity  int64             `json:"capacity_bytes"`
	Hits      uint64            `json:"hits"`
	Stale     uint64            `json:"stale"`
	Misses    uint64            `json:"misses"`
	Evictions uint64            `json:"evictions"`
	Refused   map[string]uint64 `json:"refused"` // by reason
}

// CacheAnswer is the answer of GET /v1/cache/get.
type CacheAnswer struct {
	Name    string      `json:"name"`
	Entries []CacheKept `json:"entries"`
}

// CacheKept is one answer as it is kept.
type CacheKept struct {
	Type      string    `json:"type"`
	Class     uint16    `json:"class"`
	DNSSEC    bool      `json:"dnssec"`    // with signatures (DO)
	Unchecked bool      `json:"unchecked"` // for who takes what does not stand up to validation (CD)
	Source    string    `json:"source"`    // whose answer it is: recursion, upstreams, forward ZONE or stub ZONE
	State     string    `json:"state"`     // fresh or stale
	TTL       uint32    `json:"ttl"`
	Stored    time.Time `json:"stored"`
	Expires   time.Time `json:"expires"` // until when it is fresh
	Gone      time.Time `json:"gone"`    // until when it may be given if nobody has a newer one
	Held      bool      `json:"held,omitempty"`
	Popular   bool      `json:"popular,omitempty"` // it was asked for again
	Failure   bool      `json:"failure,omitempty"` // it says that nobody had an answer
	Rcode     string    `json:"rcode"`
	Security  string    `json:"security"` // secure, or not proved
	Answer    []Record  `json:"answer"`
	Authority []Record  `json:"authority"`
}

// FlushRequest is the body of POST /v1/cache/flush: a name, or all.
type FlushRequest struct {
	Name    string `json:"name,omitempty"`
	Subtree bool   `json:"subtree,omitempty"` // and all names below it
	All     bool   `json:"all,omitempty"`
}

// FlushAnswer says how much was forgotten.
type FlushAnswer struct {
	Answers     int `json:"answers"`
	Delegations int `json:"delegations"` // at and below the name
	Trusts      int `json:"trusts"`      // the same: whether names lie in signed zones
	Denials     int `json:"denials"`     // the same: zones with what they have proved not to be there
	Lame        int `json:"lame"`        // the same: servers that know nothing of a zone
}

// LoadAnswer says what came of the entries of a dump.
type LoadAnswer struct {
	Kept    int `json:"kept"`
	Newer   int `json:"newer"`   // the cache had an answer already
	Expired int `json:"expired"` // of no use any more
	Refused int `json:"refused"` // not what the cache keeps
	Others  int `json:"others"`  // of names that others are asked for now, or with an alias that leads to one
}

func (s *Server) cacheStats(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.config.Rooms.Cache.CacheStats())
}

func (s *Server) cacheGet(w http.ResponseWriter, r *http.Request) {
	name, err := dnsname.Parse(r.URL.Query().Get("name"))
	if err != nil {
		failWith(w, http.StatusBadRequest, fmt.Errorf("name: %w", err), nil)
		return
	}
	answer, err := s.config.Rooms.Cache.CacheGet(name.Canonical(), r.URL.Query().Get("type"))
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer.Entries = listOf(answer.Entries)
	reply(w, http.StatusOK, answer)
}

func (s *Server) cacheFlush(w http.ResponseWriter, r *http.Request) {
	var request FlushRequest
	err := decodeBody(r, &request)
	if err == nil && (request.Name == "") == !request.All {
		err = errors.New("give either a name or all")
	}
	if err == nil && request.All && request.Subtree {
		err = errors.New("subtree belongs to a name")
	}
	var answer FlushAnswer
	if err == nil {
		answer, err = s.config.Rooms.Cache.CacheFlush(request)
	}
	if err != nil {
		failWith(w, http.StatusBadRequest, fmt.Errorf("the body is not a flush request: %w", err), nil)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (s *Server) cacheDump(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	if s.config.Rooms.Dumper.CacheDump(r.Context(), w) != nil {
		panic(http.ErrAbortHandler) // so that the client does not take a part for the whole
	}
}

func (s *Server) cacheLoad(w http.ResponseWriter, r *http.Request) {
	answer, err := s.config.Rooms.Dumper.CacheLoad(r.Context(), r.Body)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, answer)
		return
	}
	reply(w, http.StatusOK, answer)
}

// loadPath takes the dump of a cache, which may be as large as a cache.
const loadPath = "/v1/cache/load"

// dumpMax bounds the octets of a dump that is read over the API.
const dumpMax = 1 << 40

// boundBodies bounds what is read of a request.
func boundBodies(next http.Handler) http.Handler {
	large, usual := http.MaxBytesHandler(next, dumpMax), http.MaxBytesHandler(next, bodyMax)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == loadPath {
			large.ServeHTTP(w, r)
			return
		}
		usual.ServeHTTP(w, r)
	})
}
