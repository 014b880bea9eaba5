package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// scaleOptions are the flags of the scaling table: for each of what grows, the sizes that are measured.
type scaleOptions struct {
	on                                bool
	names, cache, feeds, zones, views sizes
}

// scaleTurns is how often the server and echo take turns for a row, unless -turns says otherwise.
const scaleTurns = 5

func (s *scaleOptions) register(f *flag.FlagSet) {
	s.names, s.cache = sizes{1e5, 1e6, 1e7, 2e7}, sizes{1e5, 1e6, 1e7}
	s.feeds, s.zones, s.views = sizes{1, 10, 100}, sizes{1, 100}, sizes{1, 100}
	f.BoolVar(&s.on, "scale", false, "measure the scaling table and nothing else")
	f.Var(&s.names, "scale-names", "lengths of the list in the scaling table, with commas between; empty leaves them out")
	f.Var(&s.cache, "scale-cache", "numbers of cached answers in it")
	f.Var(&s.feeds, "scale-feeds", "numbers of feeds in it, among which the list is split")
	f.Var(&s.zones, "scale-zones", "numbers of policy zones in it")
	f.Var(&s.views, "scale-views", "numbers of views in it, each a group of clients with a policy zone of its own")
}

// sizes is a flag such as 1e5,1000000.
type sizes []int

// String is of flag.Value.
func (s *sizes) String() string {
	var out []string
	for _, n := range *s {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ",")
}

// Set is of flag.Value.
func (s *sizes) Set(text string) error {
	*s = nil
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || v < 1 || v > 1e9 || v != float64(int(v)) {
			return fmt.Errorf("size %q: want a whole number from 1 to 1e9", part)
		}
		*s = append(*s, int(v))
	}
	return nil
}

// rows are what the flags ask for, those with lists of one length together.
func (s *scaleOptions) rows(names int) (rows []*scaleRow) {
	for _, n := range s.names {
		rows = append(rows, &scaleRow{what: "names", size: n, names: n})
	}
	for _, n := range s.cache {
		rows = append(rows, &scaleRow{what: "cached answers", size: n, names: names, cache: n})
	}
	for _, n := range s.feeds {
		rows = append(rows, &scaleRow{what: "feeds", size: n, names: names, feeds: n})
	}
	for _, n := range s.zones {
		rows = append(rows, &scaleRow{what: "policy zones, the first decides", size: n, names: names, zones: n})
		if n > 1 {
			rows = append(rows, &scaleRow{what: "policy zones, the last decides", size: n, names: names, zones: n, lastDecides: true})
		}
	}
	for _, n := range s.views {
		rows = append(rows, &scaleRow{what: "views", size: n, names: names, views: n})
	}
	return rows
}

// scaleBench is what the rows have in common.
type scaleBench struct {
	*options
	tools    *tools
	dir      string // everything lies there
	upstream string
	made     int // length of the list that lies there; 0: none
}

// runScale measures the scaling table, prints it, and writes it and its plot beside the page. A row that cannot be measured says why.
func runScale(ctx context.Context, o *options) error {
	if !wasSet("turns") {
		o.turns = scaleTurns
	}
	rows := o.scale.rows(o.names)
	if err := measureScale(ctx, o, rows); errors.Is(err, errNoTools) {
		fmt.Printf("the scaling table is not measured: %v\n", err)
		return nil
	} else if err != nil {
		return err
	}
	drawn, err := writePlot(o.page, rows)
	if err != nil {
		return err
	}
	return publish(o, "scale", scaleText(rows, o.names, o.turns, drawn))
}

// wasSet reports whether a flag was given.
func wasSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func measureScale(ctx context.Context, o *options, rows []*scaleRow) error {
	return withTools(ctx, o.shared, func(dir string, t *tools) error { return t.measureScale(ctx, o, rows, dir) })
}

func (t *tools) measureScale(ctx context.Context, o *options, rows []*scaleRow, dir string) error {
	if err := free(net.JoinHostPort(cenoteAddr, strconv.Itoa(port)), adminAddr); err != nil {
		return err // it would be so for every row
	}
	binary, err := binaryOf(ctx, o, dir)
	if err != nil {
		return err
	}
	own := *o
	own.binary = binary
	if err := pinSelf(loadCore); err != nil {
		return err
	}
	up, err := startUpstream(ctx)
	if err != nil {
		return err
	}
	b := &scaleBench{options: &own, tools: t, upstream: up.addr, dir: filepath.Join(dir, "row")}
	echo, err := t.startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.Wait()
	defer echo.Process.Kill()
	for _, row := range rows {
		fmt.Printf("%s %s\n", row.what, thousands(float64(row.size)))
		if row.failed = b.measure(ctx, row); ctx.Err() != nil {
			return ctx.Err()
		} else if row.failed != nil {
			fmt.Printf("not measured: %v\n", row.failed)
		}
	}
	return nil
}
