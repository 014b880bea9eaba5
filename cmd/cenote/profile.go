package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"cenote/api"
)

type profileCommand struct {
	socketFlag
	Kind    string `enum:"cpu,heap,allocs,goroutine" default:"cpu" help:"What to look at: cpu (where the processor's time goes), heap (what holds memory), allocs (what was allocated since the start), goroutine (what waits for what)."`
	Seconds int    `default:"10" help:"Length of a CPU profile, 1 to 300."`
	Output  string `short:"o" type:"path" placeholder:"FILE" help:"Where to write it. Default: cenote-KIND.pprof. With - it goes to standard output."`
}

// Run writes the profile, which go tool pprof shows.
func (c *profileCommand) Run(ctx context.Context, std streams) error {
	if c.Seconds < 1 || c.Seconds > api.ProfileSecondsMax {
		return fmt.Errorf("--seconds %d: want 1 to %d", c.Seconds, api.ProfileSecondsMax)
	}
	client, err := c.client(time.Duration(c.Seconds)*time.Second + time.Minute)
	if err != nil {
		return err
	}
	if c.Kind == "cpu" {
		_, _ = fmt.Fprintf(std.err, "taking a profile for %d s ...\n", c.Seconds)
	}
	var taken bytes.Buffer
	if err := client.Profile(ctx, url.Values{"kind": {c.Kind}, "seconds": {strconv.Itoa(c.Seconds)}}, &taken); err != nil {
		return err
	}
	if c.Output == "-" {
		_, err := taken.WriteTo(std.out)
		return err
	}
	path := c.Output
	if path == "" {
		path = "cenote-" + c.Kind + ".pprof"
	}
	size := taken.Len()
	if err := os.WriteFile(path, taken.Bytes(), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s: %d octets; look at it with: go tool pprof -top %s\n", path, size, path)
	return err
}
