package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// microPackages are on the path of a query or feed it.
var microPackages = [...]string{"./wire", "./dnsname", "./ring", "./nameindex", "./policy", "./rrcache", "./dnsserver", "./sighting", "./querylog", "./resolver", "./blocklist"}

// microResult is one benchmark: every run's figures, by unit.
type microResult struct {
	pkg, name string
	values    map[string][]float64
}

type microResults []*microResult

// measurePackages runs the benchmarks of the packages, one after the other, on one core where that can be chosen.
func measurePackages(ctx context.Context, o *options) (microResults, error) {
	args := append([]string{"go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-cpu", "1", "-benchtime", o.benchtime,
		"-count", strconv.Itoa(o.count)}, microPackages[:]...)
	if _, err := exec.LookPath("taskset"); err == nil && cores() > 1 {
		args = append([]string{"taskset", "-c", "1"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("benchmarks of the packages: %w\n%s", err, out)
	}
	return parseBenchmarks(out), nil
}

// parseBenchmarks reads what go test -bench prints.
func parseBenchmarks(out []byte) (all microResults) {
	pkg := ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = strings.TrimPrefix(fields[1], "cenote/")
		}
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		r := all.find(pkg, strings.TrimPrefix(fields[0], "Benchmark"))
		if r == nil {
			r = &microResult{pkg: pkg, name: strings.TrimPrefix(fields[0], "Benchmark"), values: map[string][]float64{}}
			all = append(all, r)
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.values[fields[i+1]] = append(r.values[fields[i+1]], v)
			}
		}
	}
	return all
}

func (all microResults) find(pkg, name string) *microResult {
	i := slices.IndexFunc(all, func(r *microResult) bool { return r.pkg == pkg && r.name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// text is the table of the page.
func (all microResults) text() string {
	var b strings.Builder
	b.WriteString("\n### Packages\n\nOne core; medians. A benchmark whose operation is more than one query says so by its name.\n\n")
	b.WriteString("| benchmark | ns/op | B/op | allocs/op |\n|---|---|---|---|\n")
	for _, r := range all {
		fmt.Fprintf(&b, "| %s %s | %s | %s | %s |\n", r.pkg, r.name, r.median("ns/op"), r.median("B/op"), r.median("allocs/op"))
	}
	return b.String()
}

func (r *microResult) median(unit string) string {
	if len(r.values[unit]) == 0 {
		return "-"
	}
	return strconv.FormatFloat(median(r.values[unit]), 'f', -1, 64)
}
