package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	micro, server bool
	benchtime     string
	count         int
	binary        string
	shared        string
	page          string
	names         int
	turns         int
	seconds       float64
	window        int
	clients       int
	ledger        time.Duration
	reloads       int
	rate          int
	reloadEvery   time.Duration
	compileCore   string
	ratioMin      string
	profile       string
	loads         string
	peerOptions
	scale scaleOptions
	zones zoneOptions
}

func parseOptions() *options {
	o := new(options)
	flag.BoolVar(&o.micro, "micro", true, "run the benchmarks of the packages")
	flag.BoolVar(&o.server, "server", true, "measure the whole server")
	flag.StringVar(&o.benchtime, "benchtime", "0.3s", "how long each benchmark of a package runs")
	flag.IntVar(&o.count, "count", 3, "how often each benchmark of a package runs; the median is shown")
	flag.StringVar(&o.binary, "binary", "", "the server to measure; empty builds it from the checkout")
	flag.StringVar(&o.shared, "tools", "../shared/bench", "the directory of the load tools")
	flag.StringVar(&o.page, "page", "docs/performance.md", "the page to write; empty writes none")
	flag.IntVar(&o.names, "names", 1_000_000, "length of the list")
	flag.IntVar(&o.turns, "turns", 21, "how often the server and echo take turns")
	flag.Float64Var(&o.seconds, "seconds", 0.5, "how long one of them is under load in a turn")
	flag.IntVar(&o.window, "window", 256, "queries under way at full load")
	flag.IntVar(&o.clients, "clients", 16, "client addresses at full load")
	flag.DurationVar(&o.ledger, "ledger", 50*time.Second, "how long the ledger is loaded; 0 leaves that out")
	flag.IntVar(&o.reloads, "reloads", 10, "how often the list is replaced under load; 0 leaves that out")
	flag.IntVar(&o.rate, "rate", 10_000, "queries a second while the list is replaced")
	flag.DurationVar(&o.reloadEvery, "reload-every", 0, "how long there is at least between two replacements of the list")
	flag.StringVar(&o.compileCore, "compile-core", "", "the core of the child that compiles: 0 is the server's, 1 the load's; empty leaves it to the server")
	flag.StringVar(&o.ratioMin, "min", "hits=0.70,cached=0.65", "fail if the median ratio of a load is below, or the load was not run; empty never fails")
	flag.StringVar(&o.loads, "loads", "", "the loads to run, with commas between; empty runs all")
	flag.StringVar(&o.profile, "profile", "", "measure nothing: write a CPU profile of the server under every load to this file")
	o.peerOptions.define()
	o.scale.register(flag.CommandLine)
	o.zones.register(flag.CommandLine)
	flag.Parse()
	return o
}

// kinds are the loads that were asked for.
func (o *options) kinds() (out []kind) {
	for _, k := range kinds {
		if o.loads == "" || slices.Contains(strings.Split(o.loads, ","), k.name) {
			out = append(out, k)
		}
	}
	return out
}

// check refuses what would measure nothing.
func (o *options) check() error {
	if o.peers != "" {
		return o.checkPeers()
	}
	if err := o.zones.check(); err != nil {
		return err
	}
	if chosen := o.kinds(); o.loads != "" && len(chosen) != len(strings.Split(o.loads, ",")) {
		return fmt.Errorf("loads %q: want some of %v", o.loads, loadNames())
	} else if o.ledger > 0 && chosen[0].name != "hits" {
		return errors.New("the ledger is loaded at half the rate of hits: have hits among the loads, or -ledger 0")
	}
	if o.names < 1 || o.turns < 1 || o.window < 1 || o.clients < 1 || o.count < 1 || !(o.seconds > 0) || o.ledger < 0 || o.reloads < 0 || o.rate < 1 {
		return errors.New("names, turns, seconds, window, clients and count have to be above 0, and ledger not below")
	}
	if _, err := os.Stat(filepath.Dir(o.page)); err != nil {
		return fmt.Errorf("the page cannot be written: %w", err)
	}
	return nil
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == tcpChild {
		os.Exit(runTCPChild(os.Args[2]))
	}
	// A closed terminal or pipe ends us as well: what we started has a session of its own, and would stay with its addresses.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, parseOptions()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run measures what was asked for, prints it, and writes the page. A ratio below its minimum is an error after all that.
func run(ctx context.Context, o *options) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.profile != "" {
		return withRig(ctx, o, func(r *rig) error { return r.profileLoads(ctx) })
	}
	if o.peers != "" {
		return benchPeers(ctx, o)
	}
	if o.zones.on {
		return runZones(ctx, o)
	}
	if o.scale.on {
		return runScale(ctx, o)
	}
	var low error
	if o.server {
		results, err := measureServer(ctx, o)
		switch {
		case errors.Is(err, errNoTools):
			fmt.Printf("the whole server is not measured: %v\n", err)
		case err != nil:
			return err
		default:
			low = results.check(o.ratioMin)
			if err := publish(o, "server", results.text()); err != nil {
				return err
			}
		}
	}
	if o.micro {
		results, err := measurePackages(ctx, o)
		if err != nil {
			return err
		}
		if err := publish(o, "packages", results.text()); err != nil {
			return err
		}
	}
	return low
}

// publish prints one part, and puts it into the page in place of what was measured of it before. The other part stays as it is.
func publish(o *options, part, text string) error {
	text = strings.TrimSpace(text) + fmt.Sprintf("\n\nMeasured on %s, %s, %s.\n", time.Now().UTC().Format(time.DateOnly), machine(), o.revision())
	fmt.Print("\n", text)
	if o.page == "" {
		return nil
	}
	return writePage(o.page, part, text)
}

// machine names the processor, the kernel and Go.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := "unknown kernel"
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = "Linux " + strings.TrimSpace(string(b))
	}
	return fmt.Sprintf("%s, %s, %d cores", model, kernel, cores())
}

// revision is the commit that is measured, and Go's version.
func (o *options) revision() string {
	version := "an unknown Go"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.GoVersion
	}
	if o.binary != "" {
		return version + ", server " + o.binary + " as it was found, commit of the checkout " + commit()
	}
	return version + ", commit " + commit()
}
