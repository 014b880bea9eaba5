package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cenote/api"
	"cenote/blocklist"
)

// copies are the kept copies of a server, as far as the API asks for them.
type copies struct {
	feed     string
	diff     blocklist.DiffOptions
	rollback blocklist.RollbackOptions
	unpin    blocklist.UnpinOptions
	fault    error
}

func (c *copies) History(feed string) ([]blocklist.FeedHistory, error) {
	c.feed = feed
	return nil, c.fault
}

func (c *copies) Diff(_ context.Context, o blocklist.DiffOptions) (*blocklist.FeedDiff, error) {
	c.diff = o
	return &blocklist.FeedDiff{Feed: o.Feed, Rows: []blocklist.DiffRow{}}, c.fault
}

func (c *copies) Rollback(_ context.Context, o blocklist.RollbackOptions) (blocklist.ReloadReport, error) {
	c.rollback = o
	return blocklist.ReloadReport{Generation: 7}, c.fault
}

func (c *copies) Unpin(_ context.Context, o blocklist.UnpinOptions) (blocklist.ReloadReport, error) {
	c.unpin = o
	return blocklist.ReloadReport{Generation: 8}, c.fault
}

// TestCopiesAreAskedForOverTheSocket, and nowhere else: what is served is not changed by whoever reaches the loopback address.
func TestCopiesAreAskedForOverTheSocket(t *testing.T) {
	c := &copies{}
	socket, base := start(t, &rooms{copies: c}, "")
	client := api.NewClient(socket, 0)
	var history api.HistoryAnswer
	if err := client.Get(t.Context(), "/v1/feeds/history", url.Values{"feed": {"f"}}, &history); err != nil || c.feed != "f" || history.Feeds == nil {
		t.Errorf("history: %+v, asked for %q, %v", history, c.feed, err)
	}
	var diff blocklist.FeedDiff
	params := url.Values{"feed": {"f"}, "from": {"3"}, "to": {"5"}, "limit": {"17"}, "cursor": {"00"}}
	want := blocklist.DiffOptions{Feed: "f", From: 3, To: 5, Limit: 17, Cursor: "00"}
	if err := client.Get(t.Context(), "/v1/feeds/diff", params, &diff); err != nil || c.diff != want || diff.Rows == nil {
		t.Errorf("diff: %+v, asked for %+v, %v", diff, c.diff, err)
	}
	var report blocklist.ReloadReport
	err := client.Post(t.Context(), "/v1/feeds/rollback", api.RollbackRequest{Feed: "f", To: 3, By: "the\x1b[31m desk", Why: "a bank\n"}, &report)
	if want := (blocklist.RollbackOptions{Feed: "f", To: 3, By: "the [31m desk", Why: "a bank "}); err != nil || c.rollback != want || report.Generation != 7 {
		t.Errorf("rollback: %+v, asked for %+v, %v", report, c.rollback, err)
	}
	err = client.Post(t.Context(), "/v1/feeds/unpin", api.UnpinRequest{Feed: "f", By: "the desk", Why: "mended"}, &report)
	if want := (blocklist.UnpinOptions{Feed: "f", By: "the desk", Why: "mended"}); err != nil || c.unpin != want || report.Generation != 8 || report.Feeds == nil {
		t.Errorf("unpin: %+v, asked for %+v, %v", report, c.unpin, err)
	}
	for _, path := range []string{"/v1/feeds/history", "/v1/feeds/diff?feed=f"} {
		if status, _ := get(t, base+path, nil); status != http.StatusNotFound {
			t.Errorf("%s over HTTP: status %d, want 404", path, status)
		}
	}
}

func TestRequestsAboutCopiesThatCannotBe(t *testing.T) {
	c := &copies{}
	socket, _ := start(t, &rooms{copies: c}, "")
	client := api.NewClient(socket, 0)
	status := func(err error) int {
		if problem, ok := errors.AsType[*api.Problem](err); ok {
			return problem.Status
		}
		return 0
	}
	for _, params := range []url.Values{
		{}, {"feed": {"f"}, "from": {"one"}}, {"feed": {"f"}, "to": {"-1"}}, {"feed": {"f"}, "limit": {"0"}}, {"feed": {"f"}, "limit": {"10001"}},
	} {
		if err := client.Get(t.Context(), "/v1/feeds/diff", params, new(blocklist.FeedDiff)); status(err) != http.StatusBadRequest {
			t.Errorf("diff %v: %v, want status 400", params, err)
		}
	}
	for _, path := range []string{"/v1/feeds/rollback", "/v1/feeds/unpin"} {
		for _, body := range []map[string]any{{}, {"feed": "f", "whim": 1}, {"feed": "f", "why": strings.Repeat("x", 501)}, {"feed": "f", "by": strings.Repeat("x", 501)}} {
			if err := client.Post(t.Context(), path, body, new(blocklist.ReloadReport)); status(err) != http.StatusBadRequest {
				t.Errorf("%s %.40v: %v, want status 400", path, body, err)
			}
		}
	}
	c.fault = errors.New("feed \"f\" keeps no copy 9")
	for path, ask := range map[string]func(string) error{
		"/v1/feeds/history":     func(p string) error { return client.Get(t.Context(), p, nil, new(api.HistoryAnswer)) },
		"/v1/feeds/diff?feed=f": func(p string) error { return client.Get(t.Context(), p, nil, new(blocklist.FeedDiff)) },
		"/v1/feeds/rollback":    func(p string) error { return client.Post(t.Context(), p, api.RollbackRequest{Feed: "f"}, nil) },
		"/v1/feeds/unpin":       func(p string) error { return client.Post(t.Context(), p, api.UnpinRequest{Feed: "f"}, nil) },
	} {
		if err := ask(path); status(err) != http.StatusUnprocessableEntity || !strings.Contains(err.Error(), "keeps no copy 9") {
			t.Errorf("%s: %v, want status 422 and the fault", path, err)
		}
	}
}
