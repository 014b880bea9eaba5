package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cenote/api"
	"cenote/dnsname"
	"cenote/zone"
)

type transferCommand struct {
	socketFlag
	Zone string `arg:"" help:"The zone."`
	JSON bool   `help:"Print JSON."`
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
	}
	var answer api.ZonesAnswer
	if err := client.Post(ctx, "/v1/zones/transfer", api.TransferRequest{Zone: c.Zone}, &answer); err != nil {
		return err
	}
	answer.Zones = slices.DeleteFunc(answer.Zones, func(z zone.Status) bool { return z.Name != name.Canonical().String() })
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printZones(std.out, answer.Zones, time.Now())
}

// transferWait is how long the command waits for a transfer.
const transferWait = 11 * time.Minute
