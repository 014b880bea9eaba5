package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// latencyResult is how long it took until an edit was served; one figure an edit, in milliseconds.
type latencyResult struct {
	names     int
	published []float64 // from the replacement of the list until the primary has a new serial
	reached   []float64 // from there until the secondary has it
}

// secondaryAddr is where the secondary listens.
const secondaryAddr = "127.0.53.3"

// measureLatency has the policy of a list served as a zone, replaces some names of a small list beside it, and waits until a secondary has the change.
func (r *zoneRig) measureLatency(ctx context.Context) (result *latencyResult, err error) {
	result = &latencyResult{names: smallNames}
	if err := writeSmall(r.dir, 0); err != nil {
		return nil, err
	}
	primary := zoneServer{peer: peer{name: "primary", file: "cenote.yaml", args: []string{"serve", "--config", "${dir}/cenote.yaml"}}, addr: cenoteAddr, port: port, ours: true}
	primary.config = fmt.Sprintf("state: ${dir}/state\nlisten: [\"%s:%d\"]\nupstreams: ['127.0.0.1:9']\nrate_limit: {enabled: false}\nlog: {level: warn}\n"+
		"feeds:\n  - {name: bench, path: ${list}/domains.txt, format: domains, match: exact}\n  - {name: small, path: ${list}/%s, format: domains, match: exact}\n"+
		"policy:\n  zones: [{name: all, feeds: [bench, small], action: nxdomain}]\n"+
		"zones:\n  - {name: %s, policy: {}, allow: [127.0.0.0/8], allow_transfer: [127.0.0.0/8], notify: ['%s:%d']}\n", cenoteAddr, port, smallFile, rulesZone, secondaryAddr, port)
	secondary := zoneServer{peer: peer{name: "secondary", file: "cenote.yaml", args: primary.args}, addr: secondaryAddr, port: port, ours: true}
	secondary.config = fmt.Sprintf("state: ${dir}/state\nlisten: [\"%s:%d\"]\nupstreams: ['127.0.0.1:9']\nrate_limit: {enabled: false}\nlog: {level: warn}\napi: {http: \"%s\"}\n"+
		"zones:\n  - {name: %s, primaries: [{address: '%s:%d'}], notify_from: [127.0.0.0/8], allow: [127.0.0.0/8]}\n", secondaryAddr, port, adminAddr, rulesZone, cenoteAddr, port)
	from, err := r.start(ctx, &primary, serverCore, []string{})
	if err != nil {
		return nil, err
	}
	defer from.stop()
	if _, err := r.awaitSerial(ctx, from, rulesZone, func(uint32) bool { return true }); err != nil {
		return nil, fmt.Errorf("the primary: %w", err)
	}
	to, err := r.start(ctx, &secondary, loadCore, []string{})
	if err != nil {
		return nil, err
	}
	defer to.stop()
	return result, r.followEdits(ctx, result, from, to)
}

func (r *zoneRig) followEdits(ctx context.Context, result *latencyResult, from, to *zoneProcess) error {
	if _, err := r.awaitSame(ctx, from, to); err != nil {
		return err
	}
	before, err := differences(ctx)
	if err != nil {
		return err
	}
	for i := range r.zones.edits {
		time.Sleep(deltaPause)
		old, _ := serialAt(from.addr, from.port, rulesZone)
		if err := writeSmall(r.dir, i+1); err != nil {
			return err
		}
		began := time.Now()
		made, err := r.awaitSerial(ctx, from, rulesZone, func(n uint32) bool { return n != old })
		if err != nil {
			return fmt.Errorf("the primary: %w", err)
		}
		seen, err := r.awaitSame(ctx, from, to)
		if err != nil {
			return err
		}
		result.published = append(result.published, 1000*made.Sub(began).Seconds())
		result.reached = append(result.reached, 1000*seen.Sub(made).Seconds())
		fmt.Printf("edit %d: published after %.0f ms, at the secondary %.0f ms later\n", i+1, result.published[i], result.reached[i])
	}
	after, err := differences(ctx)
	if err == nil && after-before < r.zones.edits {
		err = fmt.Errorf("of %d edits %d came as differences", r.zones.edits, after-before)
	}
	return err
}

// differences is how many transfers the secondary has taken as differences (IXFR).
func differences(ctx context.Context) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+adminAddr+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), `cenote_zone_transfers_total{outcome="differences"} `)
	_, err = fmt.Sscan(rest, &n)
	return n, err
}

// awaitSame waits until the secondary has the serial that the primary has.
func (r *zoneRig) awaitSame(ctx context.Context, from, to *zoneProcess) (time.Time, error) {
	want, _ := serialAt(from.addr, from.port, rulesZone)
	seen, err := r.awaitSerial(ctx, to, rulesZone, func(n uint32) bool { return n == want })
	if err != nil {
		return seen, fmt.Errorf("the secondary: %w", err)
	}
	return seen, nil
}

func (l *latencyResult) text(rules int) string {
	return fmt.Sprintf("\nThe policy of a list of %s names and a small one beside it, as a zone at a secondary that is Cenote too, each on a core of its own: when the %s names of the small list are replaced by others, the "+
		"primary has the new serial %.0f ms after the file was replaced (median of %d; worst %.0f), and the secondary, told by a notice, %.0f ms after that (worst %.0f); each edit by IXFR.\n",
		thousands(float64(rules)), thousands(float64(l.names)), median(l.published), len(l.published), slices.Max(l.published), median(l.reached), slices.Max(l.reached))
}
