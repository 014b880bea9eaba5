package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"cenote/api"
)

type cacheCommand struct {
	Stats cacheStats `cmd:"" default:"withargs" help:"Show what the cache holds and has done; this is the default."`
	Get   cacheGet   `cmd:"" help:"Show all answers that are kept for a name: with and without signatures, checked or not, fresh and stale."`
	Flush cacheFlush `cmd:"" help:"Forget the answers for a name, or all, and the delegations and trust of zones at and below it."`
	Dump  cacheDump  `cmd:"" help:"Write all answers into a file."`
	Load  cacheLoad  `cmd:"" help:"Read a file that dump wrote. What the cache has already stays."`
}

type cacheStats struct {
	socketFlag
	JSON bool `help:"Print JSON."`
}

// Run shows what the cache holds and has done.
func (c *cacheStats) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var a api.CacheStats
	if err := client.Get(ctx, "/v1/cache", nil, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, a)
	}
	t := newTable(std.out)
	for _, row := range []struct {
		name string
		n    uint64
	}{
		{"answers", uint64(a.Entries)}, {"octets", uint64(a.Bytes)}, {"capacity", uint64(a.Capacity)}, {"hits", a.Hits}, {"stale", a.Stale},
		{"misses", a.Misses}, {"pushed out", a.Evictions},
	} {
		t.row(row.name, strconv.FormatUint(row.n, 10))
	}
	for _, reason := range slices.Sorted(maps.Keys(a.Refused)) {
		t.row("refused: "+reason, strconv.FormatUint(a.Refused[reason], 10))
	}
	return t.flush()
}

type cacheGet struct {
	socketFlag
	Name string `arg:"" help:"The name."`
	Type string `arg:"" optional:"" help:"Only records of this type. Default: all types."`
	JSON bool   `help:"Print JSON."`
}

// Run shows all that is kept for a name. Exit status 1 says that there is nothing.
func (c *cacheGet) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	name, err := asciiName(c.Name)
	if err != nil {
		return err
	}
	var a api.CacheAnswer
	if err := client.Get(ctx, "/v1/cache/get", url.Values{"name": {name}, "type": {c.Type}}, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, a)
	}
	if len(a.Entries) == 0 {
		_, _ = fmt.Fprintf(std.err, "nothing is kept for %s\n", printable(a.Name))
		return errReported
	}
	for i := range a.Entries {
		if err := printKept(std.out, a.Name, &a.Entries[i], time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func printKept(to io.Writer, name string, k *api.CacheKept, now time.Time) error {
	_, _ = fmt.Fprintf(to, "%s %s%s: %s, %s, %s, TTL %d, stored %s ago, of use for %s more\n", name, k.Type, variant(k), k.Rcode, k.Security, k.State, k.TTL,
		age(k.Stored, now), age(now, k.Gone))
	for _, section := range [][]api.Record{k.Answer, k.Authority} {
		if err := printSection(to, section); err != nil {
			return err
		}
	}
	return nil
}

// variant says for whom an answer is kept.
func variant(k *api.CacheKept) string {
	var out string
	for _, mark := range []struct {
		set  bool
		text string
	}{{k.DNSSEC, "signed"}, {k.Unchecked, "unchecked"}, {k.Failure, "failure"}, {k.Held, "held"}, {true, k.Source}} {
		if mark.set {
			out += ", " + mark.text
		}
	}
	if out == "" {
		return ""
	}
	return " (" + out[2:] + ")"
}

type cacheFlush struct {
	socketFlag
	Name    string `arg:"" optional:"" help:"The name."`
	Subtree bool   `help:"And all names below it."`
	All     bool   `help:"Forget everything."`
	JSON    bool   `help:"Print JSON."`
}

// Run has the server forget.
func (c *cacheFlush) Run(ctx context.Context, std streams) error {
	if (c.Name == "") != c.All || c.All && c.Subtree {
		return errors.New("flush needs a name, with --subtree or without, or --all alone")
	}
	client, err := c.client(0)
	if err != nil {
		return err
	}
	name, err := asciiName(c.Name)
	if err != nil {
		return err
	}
	var a api.FlushAnswer
	if err := client.Post(ctx, "/v1/cache/flush", api.FlushRequest{Name: name, Subtree: c.Subtree, All: c.All}, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, a)
	}
	_, err = fmt.Fprintf(std.out, "forgot %d answers, %d delegations, trust of %d names, %d lame servers\n", a.Answers, a.Delegations, a.Trusts, a.Lame)
	return err
}

type cacheDump struct {
	socketFlag
	File string `arg:"" type:"path" help:"The file."`
}

// transferTimeout bounds how long a dump may take on its way.
const transferTimeout = 10 * time.Minute

// Run writes all answers into a file, which is there whole or not at all.
func (c *cacheDump) Run(ctx context.Context, std streams) error {
	client, err := c.client(transferTimeout)
	if err != nil {
		return err
	}
	if err := writeStream(c.File, func(to io.Writer) error { return client.Dump(ctx, to) }); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%s: %d octets\n", c.File, info.Size())
	return err
}

type cacheLoad struct {
	socketFlag
	File string `arg:"" type:"path" help:"The file."`
	JSON bool   `help:"Print JSON."`
}

// Run has the server read a dump.
func (c *cacheLoad) Run(ctx context.Context, std streams) error {
	client, err := c.client(transferTimeout)
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	var a api.LoadAnswer
	if err := client.Load(ctx, file, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, a)
	}
	_, err = fmt.Fprintf(std.out, "%d answers are in the cache again; %d were there already, %d are past their time, %d are refused, %d are of names that others are asked for now\n",
		a.Kept, a.Newer, a.Expired, a.Refused, a.Others)
	return err
}
