package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cenote/blocklist"
	"cenote/forecast"
	"cenote/querylog"
	"cenote/spelling"
)

type forecastCommand struct {
	configFlag
	Feed   string   `predictor:"list" arg:"" help:"A feed of the configuration, served or not, or the path of a list: a file, a directory or an archive."`
	More   []string `predictor:"file" arg:"" optional:"" name:"log" help:"Further query logs, so that the shell may complete a pattern behind --log."`
	Log    []string `predictor:"file" required:"" sep:"none" placeholder:"FILE" help:"A query log of this server, plain or packed (.gz, .zst), - for standard input; may be given more than once."`
	Top    []string `sep:"none" type:"path" placeholder:"FILE" help:"A list of names that many ask for, rank,name or name a line; may be given more than once."`
	Allow  []string `sep:"none" type:"path" placeholder:"FILE" help:"A list of names that are to stay reachable, in any format of feeds; may be given more than once."`
	Format string   `placeholder:"FORMAT" help:"Of a path: the format of the list, such as hosts or rpz. Default: detected."`
	Match  string   `placeholder:"MATCH" help:"Of a path: what a name reaches: exact, subtree or below. Default: the tradition of the format."`
	Files  string   `placeholder:"PATTERN" help:"Of a path: which files of a directory or archive are read, such as *.txt."`
	Zone   string   `placeholder:"NAME" help:"Of a path: the apex of an RPZ file that does not say it."`
	Limit  int      `default:"20" placeholder:"N" help:"How many names and clients are listed."`
	JSON   bool     `help:"Print JSON."`
}

// forecastAnswer is what the command prints.
type forecastAnswer struct {
	Feed    string                `json:"feed"`
	Source  string                `json:"source"`
	Partial string                `json:"partial,omitempty"` // why not all of the log was read
	Read    *blocklist.FeedReport `json:"read"`              // what was found in the feed
	Log     replayed              `json:"log"`
	forecast.Report
	Notes   []string `json:"notes"`
	Seconds float64  `json:"seconds"` // of the replay
}

// Run compiles the feed into a directory of its own, asks it about every query of the logs, and prints what it would have matched.
func (c *forecastCommand) Run(ctx context.Context, std streams) error {
	feed, err := c.feed()
	if err != nil {
		return err
	}
	logs, err := logFiles(append(c.Log, c.More...))
	if err != nil {
		return err
	}
	answer, err := c.ask(ctx, feed, logs, std)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.out, answer)
	} else {
		printForecast(std.out, answer)
	}
	if err == nil && answer.Partial != "" {
		_, _ = fmt.Fprintln(std.err, "cenote: not all was read:", printable(answer.Partial))
		return errReported
	}
	return err
}

// ask compiles the feed and replays the logs. When it returns, nothing of that is left.
func (c *forecastCommand) ask(ctx context.Context, feed blocklist.FeedConfig, logs []string, std streams) (*forecastAnswer, error) {
	dir, err := os.MkdirTemp("", "cenote-forecast-")
	if err != nil {
		return nil, fmt.Errorf("making room for the compiled list: %w (TMPDIR may name another place)", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	drawn := newProgress(std.err)
	defer drawn.clear()
	trial, err := c.compile(ctx, feed, dir, drawn)
	if ctx.Err() != nil {
		return nil, errors.New("stopped while the list was read; nothing was counted")
	}
	if err != nil {
		return nil, err
	}
	defer trial.close()
	return trial.run(ctx, logs, std, drawn, c.Limit)
}

// feed is the feed that the command line means: that of the configuration with the name, or else what lies at the path.
func (c *forecastCommand) feed() (blocklist.FeedConfig, error) {
	conf, _, err := c.read()
	if err != nil {
		return blocklist.FeedConfig{}, err
	}
	for _, f := range locatedFeeds(conf) {
		if f.Name == c.Feed {
			return f.FeedConfig, c.unwanted()
		}
	}
	if _, err := os.Stat(c.Feed); err != nil {
		if near := spelling.Nearest(c.Feed, feedNames(conf)); near != "" {
			return blocklist.FeedConfig{}, fmt.Errorf("%q is neither a feed of the configuration nor the path of a list; did you mean %q?", c.Feed, near)
		}
		return blocklist.FeedConfig{}, fmt.Errorf("%q is neither a feed of the configuration nor the path of a list: %w", c.Feed, err)
	}
	out := blocklist.FeedConfig{
		Name: filepath.Base(c.Feed), Path: c.Feed, Format: c.Format, Files: c.Files, Zone: c.Zone, SuffixList: string(conf.Compile.SuffixList),
	}
	return out, out.Match.UnmarshalText([]byte(c.Match))
}

// unwanted refuses the flags that are about a path.
func (c *forecastCommand) unwanted() error {
	if c.Format+c.Match+c.Files+c.Zone != "" {
		return fmt.Errorf("%q is a feed of the configuration, which says how it is read: --format, --match, --files and --zone are for a path (./%s is one)", c.Feed, c.Feed)
	}
	return nil
}

// The names under which a forecast compiles its lists.
const (
	trialFeed  = "feed"
	trialTop   = "top %d"
	trialAllow = "allow %d"
)

// trial is a feed that is compiled to be tried, with the lists that it is compared with.
type trial struct {
	feed       blocklist.FeedConfig
	generation *blocklist.Generation
	tally      *forecast.Tally
	top, allow []string // the lists as they are called within
	paths      map[string]string
}

// compile makes a policy of the feed and the lists, and compares them.
func (c *forecastCommand) compile(ctx context.Context, feed blocklist.FeedConfig, dir string, drawn *progress) (*trial, error) {
	t := &trial{feed: feed, paths: map[string]string{trialFeed: feed.Path}}
	feed.Name = trialFeed
	job := blocklist.CompileConfig{Dir: dir, Generation: 1, Merge: true, Progress: drawn.show}
	add := func(f blocklist.FeedConfig) {
		job.Feeds = append(job.Feeds, blocklist.CompileFeed{FeedConfig: f, ShrinkMax: 1, Read: true, Serve: true})
	}
	add(feed)
	for i, path := range c.Top {
		list, err := topList(path, dir, i)
		if err != nil {
			return nil, fmt.Errorf("reading the top list %s: %w", path, err)
		}
		t.top = append(t.top, t.named(trialTop, i, path))
		add(blocklist.FeedConfig{
			Name: t.top[i], Path: list, Shown: path, Format: "domains", Match: blocklist.MatchSubtree, AllowSuffixes: true, AllowPrivateSuffixes: true,
		})
	}
	for i, path := range c.Allow {
		t.allow = append(t.allow, t.named(trialAllow, i, path))
		add(blocklist.FeedConfig{Name: t.allow[i], Path: path, AllowSuffixes: true, AllowPrivateSuffixes: true, AllowEmpty: true})
	}
	err := t.open(ctx, job)
	if err == nil {
		err = t.compare()
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *trial) named(form string, i int, path string) string {
	name := fmt.Sprintf(form, i+1)
	t.paths[name] = path
	return name
}

// open does the job and opens what it made.
func (t *trial) open(ctx context.Context, job blocklist.CompileConfig) error {
	if err := os.Mkdir(filepath.Join(job.Dir, "policy"), 0o750); err != nil {
		return err
	}
	report, err := blocklist.Compile(ctx, job)
	if err != nil {
		return err
	}
	for i := range report.Feeds {
		if failure := report.Feeds[i].Failure; failure != nil {
			return fmt.Errorf("%s cannot be read: %w", t.paths[report.Feeds[i].Name], failure)
		}
	}
	order := blocklist.Order{Zones: forecast.Zones(trialFeed, t.top, t.allow), AnswerEarly: true}
	t.generation, err = blocklist.OpenStored(blocklist.Config{Dir: job.Dir, Order: order, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.tally = forecast.New(t.generation.Policy)
	}
	return err
}

func (t *trial) close() {
	if t.generation != nil {
		_ = t.generation.Close()
	}
}

// compare looks at each name of the lists.
func (t *trial) compare() error {
	now := time.Now()
	for number, f := range t.generation.Policy.Manifest().Feeds {
		if f.Name == trialFeed {
			continue
		}
		add := t.tally.Overlap(t.paths[f.Name], slices.Contains(t.allow, f.Name), f.Entries)
		if err := t.generation.Each(uint16(number), func(r blocklist.Row) bool {
			add([]byte(r.Name), r.Line, now)
			return true
		}); err != nil {
			return err
		}
	}
	return nil
}

// run replays the logs. Where it ends early, what has been counted is in the answer.
func (t *trial) run(ctx context.Context, logs []string, std streams, drawn *progress, limit int) (*forecastAnswer, error) {
	began := time.Now()
	r := &replay{in: std.in, drawn: drawn, take: t.take}
	err := r.files(ctx, logs)
	answer := &forecastAnswer{Feed: t.feed.Name, Source: t.feed.Path, Log: r.replayed, Report: t.tally.Report(limit), Seconds: time.Since(began).Seconds()}
	if t.feed.Shown != "" {
		answer.Source = t.feed.Shown
	}
	if err != nil {
		answer.Partial = err.Error()
	}
	answer.Read, err = t.generation.Report(0)
	t.locate(answer.Names)
	answer.Notes = notesOn(answer)
	return answer, err
}

// take counts a line of a log.
func (t *trial) take(l *querylog.Line) {
	t.tally.Add(&forecast.Query{
		Time: time.Unix(0, l.Time), Client: l.Client, Name: l.Name, RD: l.RD, Action: l.Action, Feed: l.Feed, Enforced: l.Enforced,
	})
}

// locate fills in where the rows are that names would have matched.
func (t *trial) locate(names []forecast.Name) {
	for i := range names {
		n := &names[i]
		if row, err := t.generation.LocateMember(n.Member, n.Key); err == nil {
			n.File, n.Line = row.File, row.Line
		}
	}
}

// notesOn says what a reader of the forecast must know.
func notesOn(a *forecastAnswer) []string {
	notes := []string{"a query log has no answers: a name that leads to a listed one by CNAME is not found by this"}
	if u := a.Rows.Unreplayed; u.IP+u.NSDNAME+u.NSIP > 0 {
		notes = append(notes, fmt.Sprintf("for the same reason %d entries about addresses in answers and %d about name servers could not match", u.IP, u.NSDNAME+u.NSIP))
	}
	if a.AllMatched {
		notes = append(notes, "a rule of its time matched every query of the log: it seems to hold matches alone (query_log.mode), and so the forecast sees nothing else")
	}
	if a.Log.Lost > 0 {
		notes = append(notes, fmt.Sprintf("the log itself says that %d records are missing in it", a.Log.Lost))
	}
	return notes
}

// logFiles are the files that arguments mean, in their order: a pattern that the shell has left stands for what it matches.
func logFiles(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		_, err := os.Stat(arg)
		matches, _ := filepath.Glob(arg)
		switch {
		case arg == "-" || err == nil:
			out = append(out, arg)
		case errors.Is(err, fs.ErrNotExist) && len(matches) > 0:
			out = append(out, matches...)
		default:
			return nil, fmt.Errorf("query log: %w", err)
		}
	}
	return out, nil
}
