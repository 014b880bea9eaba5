package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cenote/api"
	"cenote/zone"
)

type zonesDiff struct {
	socketFlag
	Zone string  `predictor:"zone" arg:"" help:"The zone."`
	From *uint32 `arg:"" optional:"" help:"Serial to begin with. Default: that of the version before the other."`
	To   *uint32 `arg:"" optional:"" help:"Serial to compare it with. Default: that of the version that is served."`
	JSON bool    `help:"Print JSON."`
}

// Run compares two versions of a zone.
func (c *zonesDiff) Run(ctx context.Context, std streams) error {
	client, err := c.client(reloadTimeout)
	if err != nil {
		return err
	}
	name, err := asciiName(c.Zone)
	if err != nil {
		return err
	}
	params := url.Values{"zone": {name}}
	for key, serial := range map[string]*uint32{"from": c.From, "to": c.To} {
		if serial != nil {
			params.Set(key, strconv.FormatUint(uint64(*serial), 10))
		}
	}
	var d zone.Difference
	if err := client.Get(ctx, "/v1/zones/diff", params, &d); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, &d)
	}
	return printDifference(std.out, &d)
}

// printDifference writes a line a record, with - or + before it.
func printDifference(to io.Writer, d *zone.Difference) error {
	out := bufio.NewWriter(to)
	_, _ = fmt.Fprintf(out, "--- %s %d\n+++ %[1]s %[3]d\n", printable(d.Zone), d.From, d.To)
	for _, list := range []struct {
		sign    byte
		records []string
	}{{'-', d.Removed}, {'+', d.Added}} {
		for _, r := range list.records {
			_ = out.WriteByte(list.sign)
			_, _ = out.WriteString(printable(strings.ReplaceAll(r, "\t", " ")))
			_ = out.WriteByte('\n')
		}
	}
	if d.LeftOut > 0 {
		_, _ = fmt.Fprintf(out, "%d further records are left out\n", d.LeftOut)
	}
	return out.Flush()
}

type zonesFreeze struct {
	socketFlag
	Zone string `predictor:"zone" arg:"" help:"The zone."`
	JSON bool   `help:"Print JSON."`
}

// Run freezes a zone.
func (c *zonesFreeze) Run(ctx context.Context, std streams) error {
	return c.freeze(ctx, std, api.FreezeRequest{Zone: c.Zone, Frozen: true}, c.JSON)
}

type zonesThaw struct {
	socketFlag
	Zone string `predictor:"zone" arg:"" help:"The zone."`
	JSON bool   `help:"Print JSON."`
}

// Run thaws a zone.
func (c *zonesThaw) Run(ctx context.Context, std streams) error {
	return c.freeze(ctx, std, api.FreezeRequest{Zone: c.Zone}, c.JSON)
}

// freeze freezes or thaws a zone, and shows how all stand then.
func (c *socketFlag) freeze(ctx context.Context, std streams, r api.FreezeRequest, asJSON bool) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	if r.Zone, err = asciiName(r.Zone); err != nil {
		return err
	}
	var answer api.ZonesAnswer
	if err := client.Post(ctx, "/v1/zones/freeze", r, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(std.out, answer)
	}
	return printZones(std.out, answer.Zones, time.Now())
}
