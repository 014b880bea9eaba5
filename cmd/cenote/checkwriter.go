package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"

	"cenote/blocklist"
	"cenote/config"
	"cenote/zone"
)

func newCheckWriter(std streams, asJSON bool) checkWriter {
	out := bufio.NewWriter(std.out)
	if asJSON {
		return &jsonCheck{out: out}
	}
	return &textCheck{std: std, out: out}
}

// textCheck writes what check finds for people.
type textCheck struct {
	std  streams
	out  *bufio.Writer
	feed string
}

func (t *textCheck) configuration(faults config.Faults, warnings config.Warnings) {
	for _, w := range warnings {
		_, _ = fmt.Fprintln(t.std.err, w)
	}
	if len(faults) > 0 {
		_, _ = fmt.Fprintln(t.std.err, faults.Error())
	}
}

func (t *textCheck) beginFeed(name string) { t.feed = name }

func (t *textCheck) fault(f blocklist.Fault) {
	_, _ = fmt.Fprintf(t.out, "%s\n    %s\n", f, hint(f.Reason))
}

func (t *textCheck) endFeed(r blocklist.Report, err error) {
	if err != nil {
		_, _ = fmt.Fprintf(t.out, "%s: %s\n", t.feed, printable(err.Error()))
		return
	}
	if r.Format == "" {
		r.Format = "no rows of any format"
	}
	_, _ = fmt.Fprintf(t.out, "%s: %s, %d files, %d rows: %d to serve, %d refused, %d held\n", t.feed, r.Format, r.Files, r.Parsed, r.Live, r.Refused, r.Held)
	if r.Loose > 0 {
		_, _ = fmt.Fprintf(t.out, "%s: %s\n", t.feed, looseText(r.Loose))
	}
	_ = t.out.Flush() // end tells of what failed
}

func (t *textCheck) unfetched(url string) {
	_, _ = fmt.Fprintf(t.out, "%s: %s is fetched by the server, and there is no list of it here yet\n", t.feed, url)
}

func (t *textCheck) zone(z *config.OwnZone, loaded *zone.Zone, faults []zone.Fault, err error) {
	for _, f := range faults {
		_, _ = fmt.Fprintln(t.out, printable(f.String()))
	}
	switch {
	case err != nil && !errors.Is(err, zone.ErrFaulty):
		_, _ = fmt.Fprintf(t.out, "%s: %s\n", z.Name, printable(err.Error()))
	case err != nil:
		_, _ = fmt.Fprintf(t.out, "%s: the zone cannot be served\n", z.Name)
	default:
		_, _ = fmt.Fprintf(t.out, "%s: serial %d, %d records, %d names\n", z.Name, loaded.Serial(), loaded.Records(), loaded.Names())
	}
}

func (t *textCheck) end() error { return t.out.Flush() }

// jsonCheck writes one object piece by piece: faults and warnings of the configuration, then the feeds, each with its name, its faults, a
// line each, its error if it could not be read, and its report, which is null for a feed that has not been fetched; then the zones.
type jsonCheck struct {
	out           *bufio.Writer
	feeds, faults int // of the present feed
	zones         []checkedZone
	failed        error
}

func (j *jsonCheck) configuration(faults config.Faults, warnings config.Warnings) {
	j.write(`{"faults": `, orEmpty(faults), `, "warnings": `, orEmpty(warnings), `, "feeds": [`)
}

// orEmpty makes an empty list of none, so that readers need not know null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (j *jsonCheck) beginFeed(name string) {
	j.separate(j.feeds)
	j.feeds++
	j.faults = 0
	j.write(`{"name": `, &name, `, "faults": [`)
}

func (j *jsonCheck) fault(f blocklist.Fault) {
	j.separate(j.faults)
	j.faults++
	j.write(struct {
		blocklist.Fault
		Hint string `json:"hint"`
	}{f, hint(f.Reason)})
}

func (j *jsonCheck) endFeed(r blocklist.Report, err error) {
	j.write(`]`)
	if err != nil {
		text := err.Error()
		j.write(`, "error": `, &text)
	}
	j.write(`, "report": `, r, `}`)
}

func (j *jsonCheck) unfetched(url string) {
	j.write(`], "unfetched": `, &url, `, "report": null}`)
}

// checkedZone is what check finds of a zone.
type checkedZone struct {
	Name    string       `json:"name"`
	File    string       `json:"file"`
	Faults  []zone.Fault `json:"faults"`
	Error   string       `json:"error,omitempty"`
	Serial  uint32       `json:"serial"`
	Records int          `json:"records"`
}

func (j *jsonCheck) zone(z *config.OwnZone, loaded *zone.Zone, faults []zone.Fault, err error) {
	c := checkedZone{Name: z.Name.String(), File: string(z.File), Faults: orEmpty(faults)}
	if err != nil {
		c.Error = err.Error()
	} else {
		c.Serial, c.Records = loaded.Serial(), loaded.Records()
	}
	j.zones = append(j.zones, c)
}

func (j *jsonCheck) end() error {
	j.write(`], "zones": `, orEmpty(j.zones), "}\n")
	if err := j.out.Flush(); err != nil {
		return err
	}
	return j.failed
}

func (j *jsonCheck) separate(before int) {
	if before > 0 {
		j.write(",")
	}
	j.write("\n")
}

// write writes strings as they are and everything else as JSON.
func (j *jsonCheck) write(parts ...any) {
	for _, part := range parts {
		text, plain := part.(string)
		if !plain {
			b, err := json.Marshal(part)
			if err != nil && j.failed == nil {
				j.failed = err
			}
			text = string(b)
		}
		_, _ = j.out.WriteString(text) // end tells of what failed
	}
}
