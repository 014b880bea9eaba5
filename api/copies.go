package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"cenote/blocklist"
)

// HistoryAnswer is the answer of GET /v1/feeds/history.
type HistoryAnswer struct {
	Feeds []blocklist.FeedHistory `json:"feeds"`
}

// RollbackRequest is the body of POST /v1/feeds/rollback.
type RollbackRequest struct {
	Feed string `json:"feed"`
	To   uint64 `json:"to,omitempty"`  // number of a kept copy; absent: the newest that is older than the one that is served
	By   string `json:"by,omitempty"`  // who asks, in their own words
	Why  string `json:"why,omitempty"` // for the log and for those who wonder later
}

// UnpinRequest is the body of POST /v1/feeds/unpin.
type UnpinRequest struct {
	Feed string `json:"feed"`
	By   string `json:"by,omitempty"`
	Why  string `json:"why,omitempty"`
}

// reasonMax bounds the texts of who asks and why, in octets.
const reasonMax = 500

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	answer, err := s.config.Rooms.Copies.History(r.URL.Query().Get("feed"))
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	reply(w, http.StatusOK, HistoryAnswer{listOf(answer)})
}

func (s *Server) diff(w http.ResponseWriter, r *http.Request) {
	o, err := parseDiff(r.URL.Query())
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := s.config.Rooms.Copies.Diff(r.Context(), o)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	reply(w, http.StatusOK, answer)
}

func parseDiff(values url.Values) (o blocklist.DiffOptions, err error) {
	if o.Feed, o.Cursor = values.Get("feed"), values.Get("cursor"); o.Feed == "" {
		return o, errNoFeed
	}
	for key, into := range map[string]*uint64{"from": &o.From, "to": &o.To} {
		if text := values.Get(key); text != "" {
			if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
				return o, fmt.Errorf("%s: %q is not the number of a copy", key, text)
			}
		}
	}
	if text := values.Get("limit"); text != "" {
		if o.Limit, err = strconv.Atoi(text); err != nil || o.Limit < 1 || o.Limit > blocklist.DiffRowsMax {
			return o, fmt.Errorf("limit: %q is not a number from 1 to %d", text, blocklist.DiffRowsMax)
		}
	}
	return o, nil
}

// errNoFeed says what requests about copies need.
var errNoFeed = errors.New("the request names no feed")

func (s *Server) rollback(w http.ResponseWriter, r *http.Request) {
	var q RollbackRequest
	if readRequest(w, r, &q, &q.Feed, &q.By, &q.Why) {
		report, err := s.config.Rooms.Copies.Rollback(r.Context(), blocklist.RollbackOptions{Feed: q.Feed, To: q.To, By: q.By, Why: q.Why})
		replyReport(w, report, err)
	}
}

func (s *Server) unpin(w http.ResponseWriter, r *http.Request) {
	var q UnpinRequest
	if readRequest(w, r, &q, &q.Feed, &q.By, &q.Why) {
		report, err := s.config.Rooms.Copies.Unpin(r.Context(), blocklist.UnpinOptions{Feed: q.Feed, By: q.By, Why: q.Why})
		replyReport(w, report, err)
	}
}

// readRequest reads a body that names a feed, and who asks and why.
func readRequest(w http.ResponseWriter, r *http.Request, into any, feed, by, why *string) bool {
	err := decodeBody(r, into)
	switch {
	case err != nil:
		err = errors.New("the body is not such a request: " + err.Error())
	case *feed == "":
		err = errNoFeed
	case len(*by) > reasonMax || len(*why) > reasonMax:
		err = fmt.Errorf("by or why has more than %d octets", reasonMax)
	}
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return false
	}
	*by, *why = printed(*by), printed(*why)
	return true
}

// printed is a text without what does not print.
func printed(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

func replyReport(w http.ResponseWriter, report blocklist.ReloadReport, err error) {
	report.Feeds = listOf(report.Feeds)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, report)
		return
	}
	reply(w, http.StatusOK, report)
}
