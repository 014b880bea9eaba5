package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"cenote/api"
	"cenote/dnsname"
	"cenote/zone"
)

type transferCommand struct {
	socketFlag
	Force bool   `short:"f" help:"Take the zone although its serial goes back, and a catalog although it has lost most of its zones."`
	Zone  string `predictor:"zone" arg:"" help:"The zone."`
	JSON  bool   `help:"Print JSON."`
}

// Run has the running server ask the primaries of a zone, waits for what comes of it, and shows how the zone stands.
func (c *transferCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(transferWait)
	if err != nil {
		return err
	}
	name, err := dnsname.Parse(c.Zone)
	if err != nil {
		return err
	}
	if !c.JSON {
		_, _ = fmt.Fprintf(std.err, "asking the primaries of %s\n", name)
		defer c.tellProgress(ctx, std.err, name.Canonical().String())()
	}
	var answer api.ZonesAnswer
	if err := client.Post(ctx, "/v1/zones/transfer", api.TransferRequest{Zone: c.Zone, Force: c.Force}, &answer); err != nil {
		return err
	}
	answer.Zones = slices.DeleteFunc(answer.Zones, func(z zone.Status) bool { return z.Name != name.Canonical().String() })
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printZones(std.out, answer.Zones, time.Now())
}

// transferProgressEvery is how often it is shown how far a transfer is.
const transferProgressEvery = time.Second

// tellProgress shows how far the transfer of a zone is, until what it returns is called.
func (c *transferCommand) tellProgress(ctx context.Context, to io.Writer, name string) (stop func()) {
	client, err := c.client(0)
	if err != nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(transferProgressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var answer api.ZonesAnswer
			if client.Get(ctx, "/v1/zones", nil, &answer) != nil {
				continue
			}
			for i := range answer.Zones {
				if z := &answer.Zones[i]; z.Name == name && z.Transfer != nil {
					_, _ = fmt.Fprintf(to, "%s: %s\n", printable(name), progressText(z.Transfer, time.Now()))
				}
			}
		}
	})
	return func() { cancel(); told.Wait() }
}

// progressText is how far a transfer is.
func progressText(p *zone.Progress, now time.Time) string {
	if p.Records == 0 {
		return fmt.Sprintf("asking %s, %s", printable(p.Primary), age(p.Began, now))
	}
	return fmt.Sprintf("%d records (%.1f MiB) of serial %d so far from %s, begun %s", p.Records, float64(p.Octets)/(1<<20), p.Serial, printable(p.Primary), age(p.Began, now))
}

// transferWait is how long the command waits for a transfer.
const transferWait = 11 * time.Minute
