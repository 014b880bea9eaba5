package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// zoneOptions are the flags of the part that measures authoritative zones beside other servers.
type zoneOptions struct {
	on        bool
	hosts     int
	transfers int
	edits     int
}

func (o *zoneOptions) register(f *flag.FlagSet) {
	f.BoolVar(&o.on, "zones", false, "measure authoritative zones beside nsd, knot and named, and nothing else")
	f.IntVar(&o.hosts, "zone-names", 100_000, "names of the zone that is asked for")
	f.IntVar(&o.transfers, "zone-transfers", 5, "how often each server sends the policy zone, of as many records as -names says")
	f.IntVar(&o.edits, "zone-edits", 5, "how often 1,000 names of the policy are replaced, which a secondary has to take")
}

func (o *zoneOptions) check() error {
	if o.hosts < 1 || o.transfers < 1 || o.edits < 0 {
		return errors.New("zone-names and zone-transfers have to be above 0, and zone-edits not below")
	}
	return nil
}

// The zones, and the files that all servers read.
const (
	hostsZone, hostsFile = "hosts.example", "hosts.zone"
	rulesZone, rulesFile = "rules.example", "rules.zone"
	hostsQueries         = "q.hosts"
)

// zoneTable is what was measured.
type zoneTable struct {
	hosts, rules int // names of the one, records of the other
	sides        []*zoneSide
	latency      *latencyResult
}

// zoneSide is one server. The slices have one figure a turn.
type zoneSide struct {
	zoneServer
	window  int
	rates   []float64 // answers a second
	cpus    []float64 // microseconds of CPU an answer
	ratios  []float64 // to the responder in C, in the same turn
	sent    []float64 // records a second of AXFR
	sendCPU []float64 // microseconds of CPU a record of it
	octets  float64   // a record of it
	memory  float64   // octets a record of the policy zone in memory
	counted float64   // and by the server's own count, where it tells one
}

// runZones measures, prints and writes the page.
func runZones(ctx context.Context, o *options) error {
	return withTools(ctx, o.shared, func(dir string, t *tools) error {
		r := &zoneRig{options: o, tools: t, dir: dir}
		if err := r.prepare(ctx); err != nil {
			return err
		}
		table, err := r.measure(ctx)
		if err != nil {
			return err
		}
		return publish(o, "zones", table.text())
	})
}

// zoneRig is what the measurement of zones needs.
type zoneRig struct {
	*options
	tools  *tools
	dir    string
	binary string
}

// prepare makes the zones, the questions and the server.
func (r *zoneRig) prepare(ctx context.Context) (err error) {
	fmt.Printf("making zones of %s names and %s records\n", thousands(float64(r.zones.hosts)), thousands(float64(r.names)))
	if err := r.tools.makeData(ctx, r.names, r.dir); err != nil {
		return err
	}
	if err := writeHosts(r.dir, r.zones.hosts); err != nil {
		return err
	}
	if err := writeRules(r.dir); err != nil {
		return err
	}
	if r.binary, err = binaryOf(ctx, r.options, r.dir); err != nil {
		return err
	}
	return pinSelf(loadCore)
}

// zoneTop is the SOA record and the server of a zone.
const zoneTop = "$TTL 3600\n$ORIGIN %s.\n@ SOA ns host 1 3600 600 864000 300\n@ NS ns\nns A 192.0.2.1\n"

// writeHosts makes a zone of n names with an address each, and the questions for them in another order.
func writeHosts(dir string, n int) error {
	var zone, questions strings.Builder
	fmt.Fprintf(&zone, zoneTop, hostsZone)
	stride := strideOf(n)
	for i := range n {
		fmt.Fprintf(&zone, "host-%d A 192.0.2.%d\n", i, i%250+1)
		fmt.Fprintf(&questions, "host-%d.%s A\n", i*stride%n, hostsZone)
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, hostsFile), []byte(zone.String()), 0o644),
		os.WriteFile(filepath.Join(dir, hostsQueries), []byte(questions.String()), 0o644))
}

// writeRules makes a policy zone (RPZ) with a rule for each name of the list.
func writeRules(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "domains.txt"))
	if err != nil {
		return err
	}
	var zone strings.Builder
	fmt.Fprintf(&zone, zoneTop, rulesZone)
	for name := range strings.FieldsSeq(string(list)) {
		zone.WriteString(name)
		zone.WriteString(" CNAME .\n")
	}
	return os.WriteFile(filepath.Join(dir, rulesFile), []byte(zone.String()), 0o644)
}

// measure asks, then has the policy zone sent, and then follows edits.
func (r *zoneRig) measure(ctx context.Context) (*zoneTable, error) {
	table := &zoneTable{hosts: r.zones.hosts, rules: r.names}
	for _, s := range zoneServers() {
		table.sides = append(table.sides, &zoneSide{zoneServer: s})
	}
	if err := r.measureAnswers(ctx, table); err != nil {
		return nil, fmt.Errorf("answers: %w", err)
	}
	if err := r.measureTransfers(ctx, table); err != nil {
		return nil, fmt.Errorf("transfers: %w", err)
	}
	if r.zones.edits == 0 {
		return table, nil
	}
	var err error
	if table.latency, err = r.measureLatency(ctx); err != nil {
		err = fmt.Errorf("edits: %w", err)
	}
	return table, err
}

// started starts the servers with zones, all on the server's core: who is not asked hardly uses it.
func (r *zoneRig) started(ctx context.Context, sides []*zoneSide, zones []string, use func([]*zoneProcess) error) (err error) {
	var all []*zoneProcess
	defer func() {
		for _, p := range all {
			err = errors.Join(err, p.stop())
		}
	}()
	for _, s := range sides {
		p, err := r.start(ctx, &s.zoneServer, serverCore, zones)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		all = append(all, p)
	}
	return use(all)
}

// measureAnswers has the servers and the responder in C take turns; each turn begins with another.
func (r *zoneRig) measureAnswers(ctx context.Context, table *zoneTable) error {
	echo, err := r.tools.startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.Wait()
	defer echo.Process.Kill()
	return r.started(ctx, table.sides, []string{hostsZone}, func(all []*zoneProcess) error {
		for i, s := range table.sides {
			if err := r.chooseWindow(ctx, all[i], s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		for turn := range r.turns {
			if err := r.answerTurn(ctx, table, all, turn); err != nil {
				return err
			}
		}
		return nil
	})
}

// chooseWindow finds out under how many queries under way a server is at its best.
func (r *zoneRig) chooseWindow(ctx context.Context, p *zoneProcess, s *zoneSide) error {
	best := 0.0
	for _, window := range [...]int{64, r.window} {
		o, err := r.ask(ctx, p.addr, p.port, window)
		if err == nil && o.QPS > best {
			best, s.window = o.QPS, window
		}
	}
	if best == 0 {
		return fmt.Errorf("it answers nothing: %s", p.lastWords())
	}
	return nil
}

func (r *zoneRig) answerTurn(ctx context.Context, table *zoneTable, all []*zoneProcess, turn int) error {
	runs := make([]outcome, len(all)+1)
	for i := range runs {
		at := (i + turn) % len(runs)
		addr, at2, window := echoAddr, port, r.window
		used := time.Duration(0)
		if at < len(all) {
			addr, at2, window = all[at].addr, all[at].port, table.sides[at].window
			used = treeCPU(all[at].pid())
		}
		o, err := r.ask(ctx, addr, at2, window)
		if err != nil {
			fmt.Printf("turn %d is left out: %v\n", turn+1, err)
			return ctx.Err()
		}
		if runs[at] = o; at < len(all) {
			s := table.sides[at]
			s.cpus = append(s.cpus, float64((treeCPU(all[at].pid())-used).Nanoseconds())/1000/float64(o.Got))
		}
	}
	for i, s := range table.sides {
		s.rates = append(s.rates, runs[i].QPS)
		s.ratios = append(s.ratios, runs[i].QPS/runs[len(all)].QPS)
	}
	return nil
}

func (r *zoneRig) ask(ctx context.Context, addr string, at, window int) (outcome, error) {
	o, err := r.tools.blast(ctx, load{server: addr, port: at, queries: filepath.Join(r.dir, hostsQueries), seconds: r.seconds, window: window, clients: r.clients})
	if err == nil {
		err = o.check()
	}
	return o, err
}

// measureTransfers weighs the policy zone in each server, and has it sent by each in turns.
func (r *zoneRig) measureTransfers(ctx context.Context, table *zoneTable) error {
	for _, s := range table.sides {
		var held, counted [2]float64
		for i, zones := range [...][]string{{hostsZone}, {hostsZone, rulesZone}} {
			err := r.started(ctx, []*zoneSide{s}, zones, func(all []*zoneProcess) (err error) {
				if held[i], err = r.settledMemory(ctx, all[0]); err != nil || !s.ours {
					return err
				}
				metrics, err := metricsNow(ctx)
				counted[i] = metrics["cenote_zone_memory_bytes"]
				return err
			})
			if err != nil {
				return err
			}
		}
		s.memory, s.counted = (held[1]-held[0])*mib/float64(table.rules), (counted[1]-counted[0])/float64(table.rules)
		fmt.Printf("memory of %s: %.0f MiB, %.0f MiB with the policy zone\n", s.name, held[0], held[1])
	}
	return r.started(ctx, table.sides, []string{hostsZone, rulesZone}, func(all []*zoneProcess) error {
		for turn := range r.zones.transfers {
			for i := range all {
				at := (i + turn) % len(all)
				if err := r.transferTurn(ctx, table.sides[at], all[at]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r *zoneRig) transferTurn(ctx context.Context, s *zoneSide, p *zoneProcess) error {
	used, began := treeCPU(p.pid()), time.Now()
	got, err := axfr(ctx, p.addr, p.port, rulesZone)
	if err != nil {
		return fmt.Errorf("from %s: %w: %s", s.name, err, p.lastWords())
	}
	seconds := time.Since(began).Seconds()
	if got.records < r.names {
		return fmt.Errorf("%s sent %d records of %d", s.name, got.records, r.names)
	}
	s.sent = append(s.sent, float64(got.records)/seconds)
	s.sendCPU = append(s.sendCPU, (treeCPU(p.pid())-used).Seconds()*1e6/float64(got.records))
	s.octets = float64(got.octets) / float64(got.records)
	fmt.Printf("AXFR of %s: %s records/s in %.2f s\n", s.name, thousands(float64(got.records)/seconds), seconds)
	return nil
}

// settledMemory is what a server holds when that has stayed the same for a while.
func (r *zoneRig) settledMemory(ctx context.Context, p *zoneProcess) (float64, error) {
	last := 0.0
	for range 30 {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Second):
		}
		now := memoryOfTree(p.pid())
		if now >= last*0.995 && now <= last*1.005 {
			return now, nil
		}
		last = now
	}
	return last, nil
}

// text is the part of the page.
func (t *zoneTable) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### Zones\n\nOne core for the server and one for the load. Answers: a zone of %s names with an address each, asked in an order that is not its own; medians of %d turns, "+
		"in which all take turns with the responder in C that looks nothing up. AXFR: a policy zone (RPZ) of %s records, one for each name; medians of %d. ",
		thousands(float64(t.hosts)), len(t.sides[0].rates), thousands(float64(t.rules)), len(t.sides[0].sent))
	b.WriteString("Memory is how much more a server holds with that zone (PSS), by its records.\n\n")
	b.WriteString("| server | version | answers/s | ratio to the responder | spread | CPU, us/answer | AXFR, records/s | CPU, us/record | octets sent a record | memory, octets a record |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range t.sides {
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %.2f to %.2f | %.2f | %s | %.3f | %.1f | %.0f |\n", s.name, s.version, thousands(median(s.rates)), median(s.ratios),
			slices.Min(s.ratios), slices.Max(s.ratios), median(s.cpus), thousands(median(s.sent)), median(s.sendCPU), s.octets, s.memory)
	}
	fmt.Fprintf(&b, "\nBy its own count (`cenote_zone_memory_bytes`) a record takes %.0f octets of %s; what else it holds more or less is memory that was freed and is not given back yet.\n",
		t.sides[0].counted, t.sides[0].name)
	if t.latency != nil {
		b.WriteString(t.latency.text(t.rules))
	}
	return b.String()
}
