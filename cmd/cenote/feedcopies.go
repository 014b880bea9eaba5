package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"time"

	"cenote/api"
	"cenote/blocklist"
)

type feedsHistory struct {
	socketFlag
	Feed string `predictor:"feed" arg:"" optional:"" help:"The feed. Default: all."`
	JSON bool   `help:"Print JSON."`
}

// Run shows the kept copies.
func (c *feedsHistory) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var answer api.HistoryAnswer
	if err := client.Get(ctx, "/v1/feeds/history", url.Values{"feed": {c.Feed}}, &answer); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printHistory(std.out, answer.Feeds, time.Now())
}

func printHistory(to io.Writer, feeds []blocklist.FeedHistory, now time.Time) error {
	t := newTable(to, "FEED", "COPY", "STATE", "READ", "ENTRIES", "OCTETS", "SOURCE CHANGED", "SOURCE OCTETS")
	for _, f := range feeds {
		for i := range f.Copies {
			c := &f.Copies[i]
			t.row(f.Feed, strconv.FormatUint(c.Copy, 10), copyState(c, f.Pin), age(c.Read, now), strconv.Itoa(c.Entries), strconv.FormatInt(c.Bytes, 10),
				stamp(c.Source.Changed), strconv.FormatInt(c.Source.Size, 10))
		}
	}
	return t.flush()
}

func copyState(c *blocklist.KeptCopy, pin *blocklist.Pin) string {
	switch {
	case c.Error != "":
		return "damaged: " + printable(c.Error)
	case c.Served && pin != nil:
		return "good, pinned"
	case c.Served:
		return "good"
	}
	return "kept"
}

type feedsDiff struct {
	socketFlag
	Feed  string `predictor:"feed" arg:"" help:"The feed."`
	From  uint64 `arg:"" optional:"" help:"Number of the copy to begin with, as cenote feeds history shows it. Default: the one before the other."`
	To    uint64 `arg:"" optional:"" help:"Number of the copy to compare it with. Default: the one that is good now."`
	Limit int    `placeholder:"N" help:"List at most about so many rows. Default: all. 0 lists none and counts all." default:"-1"`
	JSON  bool   `help:"Print JSON."`
}

// Run prints the difference page by page, so that one of any size can be read.
func (c *feedsDiff) Run(ctx context.Context, std streams) error {
	client, err := c.client(reloadTimeout)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(std.out)
	var to diffPrinter = &diffText{to: out}
	if c.JSON {
		to = &diffJSON{to: out}
	}
	err = c.pages(ctx, client, to)
	return cmp.Or(err, out.Flush())
}

func (c *feedsDiff) pages(ctx context.Context, client *api.Client, to diffPrinter) error {
	params := url.Values{"feed": {c.Feed}}
	for key, number := range map[string]uint64{"from": c.From, "to": c.To} {
		if number != 0 {
			params.Set(key, strconv.FormatUint(number, 10))
		}
	}
	for left, begun := c.Limit, false; ; begun = true {
		size := blocklist.DiffRowsMax
		if c.Limit >= 0 {
			size = max(1, min(left, size))
		}
		params.Set("limit", strconv.Itoa(size))
		var page blocklist.FeedDiff
		if err := client.Get(ctx, "/v1/feeds/diff", params, &page); err != nil {
			return err
		}
		if c.Limit == 0 {
			page.Rows = nil
		}
		if !begun {
			to.begin(&page)
		}
		to.rows(page.Rows)
		if left -= len(page.Rows); page.Next == "" || c.Limit >= 0 && left <= 0 {
			return to.end(page.Next != "")
		}
		params.Set("cursor", page.Next)
		// What is kept may change meanwhile; the pages are of the same two copies.
		params.Set("from", strconv.FormatUint(page.From.Copy, 10))
		params.Set("to", strconv.FormatUint(page.To.Copy, 10))
	}
}

// diffPrinter writes a difference in one form.
type diffPrinter interface {
	begin(*blocklist.FeedDiff)
	rows([]blocklist.DiffRow)
	end(more bool) error
}

// diffText writes a line a row, with + and - before it.
type diffText struct{ to *bufio.Writer }

func (d *diffText) begin(f *blocklist.FeedDiff) {
	for _, c := range []struct {
		sign string
		copy *blocklist.KeptCopy
	}{{"---", &f.From}, {"+++", &f.To}} {
		_, _ = fmt.Fprintf(d.to, "%s %s copy %d, read %s, %d entries%s\n", c.sign, f.Feed, c.copy.Copy, stamp(c.copy.Read), c.copy.Entries, servedMark(c.copy))
	}
	if n := f.Counts; n != nil {
		_, _ = fmt.Fprintf(d.to, "%d rows added, %d removed, %d changed, %d with another expiry alone; %d families\n", n.Added, n.Removed, n.Changed, n.Renewed, n.Families)
	}
}

func servedMark(c *blocklist.KeptCopy) string {
	if c.Served {
		return ", good now"
	}
	return ""
}

func (d *diffText) rows(rows []blocklist.DiffRow) {
	for i := range rows {
		r := &rows[i]
		if r.Was != nil {
			d.row("-", r, r.Was)
		}
		if r.Is != nil {
			d.row("+", r, r.Is)
		}
	}
}

func (d *diffText) row(sign string, r *blocklist.DiffRow, s *blocklist.RowSay) {
	_, _ = fmt.Fprintf(d.to, "%s %s %s", sign, r.Kind, r.Listed)
	if r.Exception {
		_, _ = d.to.WriteString(" exception")
	}
	for _, f := range []struct{ key, value string }{{"", s.Action}, {"family ", r.Family}, {"threat ", s.Threat}, {"confidence ", percent(s.Confidence)}} {
		if f.value != "" {
			_, _ = fmt.Fprintf(d.to, ", %s%s", f.key, printable(f.value))
		}
	}
	if !s.Expires.IsZero() {
		_, _ = fmt.Fprintf(d.to, ", until %s", stamp(s.Expires))
	}
	_, _ = fmt.Fprintf(d.to, "  %s\n", blocklist.Place(printable(s.File), s.Line))
}

func percent(n int) string {
	if n < 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (d *diffText) end(more bool) error {
	if more {
		_, _ = fmt.Fprintln(d.to, "... and more; --limit says how many are listed")
	}
	return d.to.Flush()
}

// diffJSON writes one object, a page of rows at a time.
type diffJSON struct {
	to  *bufio.Writer
	any bool
}

func (d *diffJSON) begin(f *blocklist.FeedDiff) {
	for _, part := range []struct {
		key   string
		value any
	}{{`{"feed": `, f.Feed}, {`, "from": `, f.From}, {`, "to": `, f.To}, {`, "counts": `, f.Counts}} {
		_, _ = d.to.WriteString(part.key)
		d.value(part.value)
	}
	_, _ = d.to.WriteString(`, "rows": [`)
}

// value writes one value; what fails is told by Flush.
func (d *diffJSON) value(v any) { _ = printJSON(d.to, v) }

func (d *diffJSON) rows(rows []blocklist.DiffRow) {
	for i := range rows {
		if d.any {
			_ = d.to.WriteByte(',')
		}
		d.any = true
		d.value(&rows[i])
	}
}

func (d *diffJSON) end(more bool) error {
	_, _ = fmt.Fprintf(d.to, "], \"more\": %t}\n", more)
	return d.to.Flush()
}

type feedsRollback struct {
	socketFlag
	Feed string `predictor:"feed" arg:"" help:"The feed."`
	To   uint64 `arg:"" optional:"" help:"Number of the copy to serve, as cenote feeds history shows it. Default: the one before the one that is good now."`
	Why  string `placeholder:"TEXT" help:"The reason, for the log and for those who look at the feeds later."`
	JSON bool   `help:"Print JSON."`
}

// Run rolls the feed back.
func (c *feedsRollback) Run(ctx context.Context, std streams) error {
	request := api.RollbackRequest{Feed: c.Feed, To: c.To, By: whoAsks(), Why: c.Why}
	return askForCopy(ctx, std, &c.socketFlag, "/v1/feeds/rollback", request, c.JSON)
}

type feedsUnpin struct {
	socketFlag
	Feed string `predictor:"feed" arg:"" help:"The feed."`
	Why  string `placeholder:"TEXT" help:"The reason, for the log."`
	JSON bool   `help:"Print JSON."`
}

// Run unpins the feed and has its source read.
func (c *feedsUnpin) Run(ctx context.Context, std streams) error {
	request := api.UnpinRequest{Feed: c.Feed, By: whoAsks(), Why: c.Why}
	return askForCopy(ctx, std, &c.socketFlag, "/v1/feeds/unpin", request, c.JSON)
}

// askForCopy has the server serve another copy, and prints what came of it. A feed that could not be taken makes it exit 1.
func askForCopy(ctx context.Context, std streams, socket *socketFlag, path string, request any, asJSON bool) error {
	client, err := socket.client(reloadTimeout)
	if err != nil {
		return err
	}
	var answer api.ReloadAnswer
	if err := client.Post(ctx, path, request, &answer.ReloadReport); err != nil {
		return err
	}
	if asJSON {
		err = printJSON(std.out, answer.ReloadReport)
	} else {
		err = printReload(std, &answer)
	}
	for _, f := range answer.Feeds {
		if f.Outcome == blocklist.OutcomeFailed && err == nil {
			err = errReported
		}
	}
	return err
}

// whoAsks is the name of who runs the command, for the log: it is what they say of themselves. Who became another user is named as well.
func whoAsks() string {
	name := "user " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if before := os.Getenv("SUDO_USER"); before != "" {
		name += " (" + before + ")"
	}
	return name
}

// reasonText is who did something and why, as far as it is known.
func reasonText(by, why string) string {
	var out string
	if by != "" {
		out += " by " + printable(by)
	}
	if why != "" {
		out += ", because: " + printable(why)
	}
	return out
}
