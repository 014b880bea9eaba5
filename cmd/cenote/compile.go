package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cenote/blocklist"
	"cenote/config"

	"golang.org/x/term"
)

type compileCommand struct {
	configFlag
	Output string `short:"o" type:"path" placeholder:"FILE" default:"policy.index" help:"The file to write. Default: policy.index in the directory of whoever asks."`
	JSON   bool   `help:"Print the report as JSON."`
	Child  bool   `hidden:"" help:"Take a job from a running server on standard input."`
}

// Run reads all feeds and writes the compiled policy. As a child of the server it does the server's job instead.
func (c *compileCommand) Run(ctx context.Context, std streams) error {
	if c.Child {
		return blocklist.RunChild(ctx, std.in, std.out)
	}
	conf, _, err := c.read()
	if err != nil {
		return err
	}
	if c.Config == "" {
		if err := writeStarter(string(conf.Feeds[0].Path)); err != nil {
			return err
		}
	}
	drawn := newProgress(std.err)
	job := blocklist.CompileConfig{Generation: 1, Merge: true, Progress: drawn.show}
	served := map[string]bool{}
	conf.EachZone(func(_ string, z *config.Zone) {
		for _, f := range z.Feeds {
			served[f] = true
		}
	})
	for _, f := range locatedFeeds(conf) {
		job.Feeds = append(job.Feeds, blocklist.CompileFeed{FeedConfig: f.FeedConfig, ShrinkMax: 1, Read: true, Serve: served[f.Name]})
	}
	report, err := compileTo(ctx, job, c.Output)
	drawn.clear()
	if c.JSON {
		err = errors.Join(err, printJSON(std.out, report))
	} else {
		printCompile(std.out, &report, c.Output)
	}
	if err == nil && slices.ContainsFunc(report.Feeds, func(f blocklist.FeedResult) bool { return f.Failure != nil }) {
		return errReported
	}
	return err
}

// compileTo does the job in a directory beside the output and moves the index there. The report says also beside an error what became of the
// feeds.
func compileTo(ctx context.Context, job blocklist.CompileConfig, output string) (blocklist.CompileReport, error) {
	dir, err := os.MkdirTemp(filepath.Dir(output), ".compile-")
	if err != nil {
		return blocklist.CompileReport{}, fmt.Errorf("making room beside %s: %w (name another file with --output)", output, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	job.Dir = dir
	if err := os.Mkdir(filepath.Join(dir, "policy"), 0o750); err != nil {
		return blocklist.CompileReport{}, err
	}
	report, err := blocklist.Compile(ctx, job)
	if err != nil {
		return report, err
	}
	served := slices.ContainsFunc(report.Feeds, func(f blocklist.FeedResult) bool { return f.Failure == nil && serves(&job, f.Name) })
	if !report.Compiled || !served {
		return report, errors.New("nothing to compile: no policy zone holds a feed that could be read; " + output + " is not written")
	}
	return report, os.Rename(filepath.Join(dir, "policy", "1.index"), output)
}

// serves reports whether the job is to serve a feed.
func serves(job *blocklist.CompileConfig, name string) bool {
	return slices.ContainsFunc(job.Feeds, func(f blocklist.CompileFeed) bool { return f.Name == name && f.Serve })
}

func printCompile(to io.Writer, r *blocklist.CompileReport, output string) {
	for i := range r.Feeds {
		f := &r.Feeds[i]
		if f.Failure != nil {
			_, _ = fmt.Fprintf(to, "%s: %s\n", f.Name, printable(f.Failure.Text))
			continue
		}
		_, _ = fmt.Fprintf(to, "%s: %d entries of %d rows, %d refused, %d held, %d twice, in %.1f s\n", f.Name, f.Report.Live, f.Report.Parsed,
			f.Report.Refused, f.Report.Held, f.Report.Duplicates.Count, f.Seconds)
	}
	if r.Compiled {
		_, _ = fmt.Fprintf(to, "%s: %d names, %d sets, %d octets, in %.1f s\n", output, r.Names, r.Sets, r.Bytes, r.Seconds)
	}
}

// progress draws how far a compilation or a replay is, on a terminal only.
type progress struct {
	to    io.Writer
	tty   bool
	drawn time.Time
}

// progressEvery is how often the line is drawn, so that drawing costs nothing.
const progressEvery = 100 * time.Millisecond

func newProgress(to io.Writer) *progress {
	f, ok := to.(*os.File)
	return &progress{to: to, tty: ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) show(now blocklist.Progress) {
	what := string(now.Stage)
	if now.Feed != "" {
		what += " " + now.Feed
	}
	p.draw(what, now.Done, now.Of, "rows")
}

// draw draws how far some other work is.
func (p *progress) draw(what string, done, of int, unit string) {
	if !p.tty || time.Since(p.drawn) < progressEvery {
		return
	}
	p.drawn = time.Now()
	_, _ = fmt.Fprintf(p.to, "\r\x1b[K%-28s %s", what, bar(done, of, unit))
}

// clear takes the line away, so that what is printed next stands alone.
func (p *progress) clear() {
	if p.tty {
		_, _ = io.WriteString(p.to, "\r\x1b[K")
	}
}

// bar is a progress bar where the end is known, and a count where it is not.
func bar(done, of int, unit string) string {
	const width = 30
	if of <= 0 || done > of {
		return fmt.Sprintf("%d %s", done, unit)
	}
	full := done * width / of
	return fmt.Sprintf("[%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat(".", width-full), done, of)
}
