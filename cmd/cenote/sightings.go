package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/sighting"
)

type sightingsCommand struct {
	List   sightingsList   `cmd:"" default:"withargs" help:"Show which clients asked for listed names; this is the default, and cenote sightings list --help shows its filters."`
	Export sightingsExport `cmd:"" help:"Print all that is known of one client, as JSON."`
	Erase  sightingsErase  `cmd:"" help:"Forget one client, wherever the ledger keeps it. The query log is not touched."`
}

type sightingsList struct {
	socketFlag
	Client    string `placeholder:"ADDR" help:"Only this client, or the clients of this prefix."`
	Family    string `help:"Only this malware family."`
	Feed      string `predictor:"feed" help:"Only this feed."`
	Zone      string `predictor:"policyzone" help:"Only this policy zone."`
	Indicator string `placeholder:"NAME" help:"Only this listed name and those below it."`
	Since     string `placeholder:"TIME" help:"Only what was seen since: 2026-01-31, an RFC 3339 time, or 36h or 7d ago."`
	Until     string `placeholder:"TIME" help:"Only what was seen before."`
	Enforced  string `enum:"true,false," default:"" placeholder:"true|false" help:"Only matches that decided an answer, or only those that were observed."`
	Hours     bool   `help:"With --json, also give each hour."`
	Limit     int    `placeholder:"N" help:"At most so many lines. Default: all."`
	JSON      bool   `xor:"form" help:"Print JSON."`
	CSV       bool   `xor:"form" name:"csv" help:"Print CSV."`
}

// Run prints sightings page by page, so that a ledger of any size can be read.
func (c *sightingsList) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(std.out)
	to := c.printer(buffered)
	losses, err := c.pages(ctx, client, to)
	if err != nil {
		// What came before stays; an end would say that it is all there is.
		return errors.Join(err, to.flush(), buffered.Flush())
	}
	err = errors.Join(to.end(losses), buffered.Flush())
	if !c.JSON {
		printLosses(std.err, losses)
	}
	return err
}

// pageSize is how many sightings are asked for at a time.
const pageSize = 1000

func (c *sightingsList) pages(ctx context.Context, client *api.Client, to printer) ([]sighting.Loss, error) {
	params := c.params()
	var losses []sighting.Loss
	for left := c.Limit; ; {
		size := pageSize
		if c.Limit > 0 {
			size = min(left, pageSize)
		}
		params.Set("limit", strconv.Itoa(size))
		var page api.SightingsAnswer
		if err := client.Get(ctx, "/v1/sightings", params, &page); err != nil {
			return losses, err
		}
		for i := range page.Sightings {
			if err := to.sighting(&page.Sightings[i]); err != nil {
				return losses, err
			}
		}
		losses = append(losses, page.Losses...)
		if left -= len(page.Sightings); page.Next == "" || c.Limit > 0 && left <= 0 {
			return losses, nil
		}
		params.Set("cursor", page.Next)
	}
}

func (c *sightingsList) params() url.Values {
	out := url.Values{}
	for key, value := range map[string]string{
		"client": c.Client, "family": c.Family, "feed": c.Feed, "zone": c.Zone, "indicator": c.Indicator, "since": c.Since, "until": c.Until, "enforced": c.Enforced,
	} {
		if value != "" {
			out.Set(key, value)
		}
	}
	if c.Hours {
		out.Set("hours", "true")
	}
	return out
}

// lossLinesMax is how many intervals of loss are shown to a person; the others are summed up.
const lossLinesMax = 20

func printLosses(to io.Writer, losses []sighting.Loss) {
	for i := range losses[:min(len(losses), lossLinesMax)] {
		l := &losses[i]
		_, _ = fmt.Fprintf(to, "not recorded one by one: %d matches from %s to %s (%s) %s %s %s\n",
			l.Count, stamp(l.From), stamp(l.Until), l.Reason, prefix(l.Client), l.Feed, printable(l.Family))
	}
	if len(losses) <= lossLinesMax {
		return
	}
	rest, last := uint64(0), time.Time{}
	for _, l := range losses[lossLinesMax:] {
		rest += l.Count
		if l.Until.After(last) {
			last = l.Until
		}
	}
	_, _ = fmt.Fprintf(to, "and %d matches more in %d intervals up to %s; --json shows them all\n", rest, len(losses)-lossLinesMax, stamp(last))
}

func prefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// printer writes sightings in one form. end completes them; flush only lets go of what was written.
type printer interface {
	sighting(*sighting.Sighting) error
	end([]sighting.Loss) error
	flush() error
}

func (c *sightingsList) printer(to io.Writer) printer {
	switch {
	case c.JSON:
		return &jsonPrinter{to: to}
	case c.CSV:
		return &csvPrinter{w: csv.NewWriter(to)}
	}
	return &textPrinter{table: newTable(to)}
}

// textPrinter lines columns up by the page, so that it holds no more than that.
type textPrinter struct {
	*table
	begun bool
	rows  int
}

func (p *textPrinter) begin() {
	if !p.begun {
		p.begun = true
		p.row("CLIENT", "FAMILY", "INDICATOR", "FEED", "FIRST SEEN", "LAST SEEN", "COUNT", "ACTION", "PLACE")
	}
}

func (p *textPrinter) sighting(s *sighting.Sighting) error {
	p.begin()
	action := s.Action
	if s.Enforced == 0 {
		action += " (observed)"
	}
	p.row(s.Client.String(), orDash(printable(s.Family)), orDash(s.Name), s.Feed, stamp(s.FirstSeen), stamp(s.LastSeen), strconv.FormatUint(s.Count, 10), action, placeText(s))
	if p.rows++; p.rows%pageSize == 0 {
		return p.flush()
	}
	return nil
}

func (p *textPrinter) end([]sighting.Loss) error {
	p.begin()
	return p.flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func placeText(s *sighting.Sighting) string {
	if s.File == "" {
		return "-"
	}
	return blocklist.Place(printable(s.File), s.Line)
}

// jsonPrinter writes one object with all sightings and losses, a sighting at a time.
type jsonPrinter struct {
	to    io.Writer
	begun bool
}

func (p *jsonPrinter) sighting(s *sighting.Sighting) error {
	head := ",\n"
	if !p.begun {
		head, p.begun = "{\"sightings\": [\n", true
	}
	if _, err := io.WriteString(p.to, head); err != nil {
		return err
	}
	return printJSON(p.to, s)
}

func (p *jsonPrinter) end(losses []sighting.Loss) error {
	head := "], \"losses\": "
	if !p.begun {
		head = "{\"sightings\": " + "[" + head
	}
	if losses == nil {
		losses = []sighting.Loss{}
	}
	if _, err := io.WriteString(p.to, head); err != nil {
		return err
	}
	if err := printJSON(p.to, losses); err != nil {
		return err
	}
	_, err := io.WriteString(p.to, "}\n")
	return err
}

func (*jsonPrinter) flush() error { return nil }

type csvPrinter struct {
	w     *csv.Writer
	begun bool
}

func (p *csvPrinter) begin() {
	if p.begun {
		return
	}
	p.begun = true
	_ = p.w.Write([]string{"client", "family", "threat", "indicator", "kind", "zone", "feed", "action", "first_seen", "first_port", "last_seen", "last_port",
		"count", "enforced", "verified", "file", "line", "reference"})
}

func (p *csvPrinter) sighting(s *sighting.Sighting) error {
	p.begin()
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return p.w.Write([]string{s.Client.String(), cell(s.Family), cell(s.Threat), s.Name, s.Kind, s.Zone, s.Feed, s.Action, stamp(s.FirstSeen), number(uint64(s.FirstPort)),
		stamp(s.LastSeen), number(uint64(s.LastPort)), number(s.Count), number(s.Enforced), number(s.Verified), cell(s.File), strconv.Itoa(s.Line), cell(s.Reference)})
}

func (p *csvPrinter) end([]sighting.Loss) error {
	p.begin()
	return p.flush()
}

func (p *csvPrinter) flush() error {
	p.w.Flush()
	return p.w.Error()
}

// cell is text of a feed that no spreadsheet takes for a formula.
func cell(text string) string {
	text = printable(text)
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

type sightingsExport struct {
	socketFlag
	Client netip.Addr `arg:"" help:"The client."`
}

// Run prints what is known of the client.
func (c *sightingsExport) Run(ctx context.Context, std streams) error {
	client, err := c.client(reloadTimeout)
	if err != nil {
		return err
	}
	var answer sighting.Export
	if err := client.Get(ctx, clientPath(c.Client), nil, &answer); err != nil {
		return err
	}
	return printJSON(std.out, answer)
}

// clientPath is where the API keeps a client. The ledger knows no zones of addresses.
func clientPath(client netip.Addr) string {
	return "/v1/clients/" + client.WithZone("").String()
}

type sightingsErase struct {
	socketFlag
	Client netip.Addr `arg:"" help:"The client."`
	Yes    bool       `help:"Do not ask."`
	JSON   bool       `help:"Print JSON."`
}

// Run erases the client, after a question.
func (c *sightingsErase) Run(ctx context.Context, std streams) error {
	if !c.Yes && !confirm(std, fmt.Sprintf("Erase every sighting of %s? This cannot be undone. [y/N] ", c.Client)) {
		return errors.New("nothing was erased")
	}
	client, err := c.client(reloadTimeout)
	if err != nil {
		return err
	}
	var done sighting.Erasure
	if err := client.Delete(ctx, clientPath(c.Client), &done); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, done)
	}
	if done.Quarantined > 0 {
		_, _ = fmt.Fprintf(std.err, "%d damaged files in sightings/quarantine of the state directory may still hold the client; look at them and remove them by hand\n",
			done.Quarantined)
	}
	_, err = fmt.Fprintf(std.out, "erased %d sightings in %d days, %d journals, %d first sightings\n", done.Rows, done.Days, done.Journals, done.Firsts)
	return err
}

func confirm(std streams, question string) bool {
	_, _ = io.WriteString(std.err, question) // standard output is for the answer
	answer, _ := bufio.NewReader(std.in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
