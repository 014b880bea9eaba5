package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// errNoTools: the machine or the checkout lacks what the server part needs.
var errNoTools = errors.New("not everything that it needs is here")

// The cores that the two sides have to themselves.
const (
	serverCore = "0"
	loadCore   = "1"
)

// tools are the load tools, built in a directory of our own.
type tools struct{ dir string }

// buildTools copies the sources and builds them: they may lie where nothing can be written.
func buildTools(ctx context.Context, from, dir string) (*tools, error) {
	for _, command := range []string{"cc", "make", "taskset"} {
		if _, err := exec.LookPath(command); err != nil {
			return nil, fmt.Errorf("%w: no %s", errNoTools, command)
		}
	}
	if cores() < 2 {
		return nil, fmt.Errorf("%w: one core only", errNoTools)
	}
	if _, err := os.Stat(filepath.Join(from, "dnsblast.c")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no load tools in %s", errNoTools, from)
	}
	t := &tools{dir: filepath.Join(dir, "tools")}
	if err := copyTree(from, t.dir); err != nil {
		return nil, fmt.Errorf("copying the load tools: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "make", "-C", t.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the load tools: %w\n%s", err, out)
	}
	return t, nil
}

// withTools makes a directory of our own with the load tools in it, and removes it after use.
func withTools(ctx context.Context, from string, use func(dir string, t *tools) error) error {
	dir, err := os.MkdirTemp("", "cenote-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t, err := buildTools(ctx, from, dir)
	if err != nil {
		return err
	}
	return use(dir, t)
}

// copyTree copies regular files and directories, with no more of their permissions than that some may be run.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o755)
	})
}

func (t *tools) path(name string) string { return filepath.Join(t.dir, name) }

// makeData writes the list of n names and the files of queries into dir.
func (t *tools) makeData(ctx context.Context, n int, dir string) error {
	for _, args := range [][]string{{"-v1only"}, {"-queries"}} {
		args = append(args, "-n", strconv.Itoa(n), "-out", dir)
		if out, err := exec.CommandContext(ctx, t.path("gen/gen"), args...).CombinedOutput(); err != nil {
			return fmt.Errorf("making the list: %w\n%s", err, out)
		}
	}
	return nil
}

// load is one run of the load generator.
type load struct {
	server  string // address
	port    int
	queries string // file
	seconds float64
	window  int // queries under way; or
	rate    int // queries a second
	clients int // addresses
	start   uint64
}

// outcome is what the load generator prints.
type outcome struct {
	Sent, Got, Lost   uint64
	LossPct           float64 `json:"loss_pct"`
	QPS               float64
	P50               float64 `json:"p50_us"`
	P99               float64 `json:"p99_us"`
	P999              float64 `json:"p999_us"`
	ServFail, Refused uint64
	WithAnswer        uint64 `json:"with_answer"`
	Next              uint64
	Busy              float64 // the generator's share of its core; over TCP only
	Reconnects        uint64  // connections that the server ended; over TCP only
}

// blast runs a load to its end.
func (t *tools) blast(ctx context.Context, l load) (o outcome, err error) {
	args := []string{"-c", loadCore, t.path("dnsblast"), "-s", l.server, "-p", strconv.Itoa(l.port), "-f", l.queries,
		"-d", strconv.FormatFloat(l.seconds, 'f', -1, 64), "-c", strconv.Itoa(l.clients), "-o", strconv.FormatUint(l.start, 10), "-A", "-e"}
	if l.rate > 0 {
		args = append(args, "-Q", strconv.Itoa(l.rate))
	} else {
		args = append(args, "-w", strconv.Itoa(l.window))
	}
	p := prepare(ctx, "taskset", args...)
	p.Stdout = nil
	pipe, err := p.StdoutPipe()
	if err != nil {
		return o, err
	}
	if err := launch(p); err != nil {
		return o, fmt.Errorf("load generator: %w", err)
	}
	err = json.NewDecoder(pipe).Decode(&o)
	return o, errors.Join(err, p.Wait())
}

// prepare makes a command with a session of its own, so that it can have a scheduler group of its own.
func prepare(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	return c
}

// launch starts a command at the top of the scheduler's order, if we may: other work on the machine then costs the figures little.
func launch(c *exec.Cmd) error {
	if err := c.Start(); err != nil {
		return err
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", c.Process.Pid), []byte("-20"), 0)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", c.Process.Pid), []byte("500"), 0) // rather than us, so that we can tell of it
	return nil
}
