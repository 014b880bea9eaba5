package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"
)

type heldCommand struct {
	List    heldList    `cmd:"" default:"withargs" help:"List the rows that wait for an operator; this is the default, and cenote held list --help shows its filters."`
	Release heldRelease `cmd:"" help:"Serve the rows of a name although a guard holds them."`
	Refuse  heldRefuse  `cmd:"" help:"Refuse the rows of a name, so that they wait no more."`
	Forget  heldForget  `cmd:"" help:"Forget what was decided of a name: its rows are held again."`
}

type heldList struct {
	socketFlag
	Feed      string `predictor:"feed" help:"Only this feed."`
	Name      string `help:"Only rows of this name or network."`
	Reason    string `enum:",held-popular,held-private-suffix,held-network" default:"" placeholder:"REASON" help:"Only rows that are held for this reason: held-popular, held-private-suffix or held-network."`
	State     string `enum:",held,log-only,served" default:"" placeholder:"STATE" help:"Only rows of this state: held, log-only or served."`
	Decisions bool   `xor:"what" help:"List what was decided, by whom, when and why."`
	JSON      bool   `xor:"what" help:"Print JSON, with rows and decisions."`
}

// Run lists the rows that wait, or what was decided.
func (c *heldList) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	params := url.Values{}
	for key, value := range map[string]string{"feed": c.Feed, "name": c.Name, "reason": c.Reason, "state": c.State} {
		if value != "" {
			params.Set(key, value)
		}
	}
	if name, err := asciiName(c.Name); err == nil && c.Name != "" {
		params.Set("name", name)
	}
	var answer api.HeldAnswer
	if err := client.Get(ctx, "/v1/held", params, &answer); err != nil {
		return err
	}
	switch {
	case c.JSON:
		return printJSON(std.out, answer)
	case c.Decisions:
		return printDecisions(std.out, answer.Decisions)
	}
	if len(answer.Held) == 0 && len(params) > 0 {
		_, _ = fmt.Fprintln(std.err, "no row that is asked for waits; without --feed, --name, --reason and --state all are shown")
		return nil
	}
	return printHeld(std, &answer, time.Now())
}

func printHeld(std streams, a *api.HeldAnswer, now time.Time) error {
	if len(a.Held) == 0 {
		_, _ = fmt.Fprintln(std.err, "no row waits")
	} else if err := printHeldRows(std.out, a.Held, now); err != nil {
		return err
	}
	if a.Unlisted > 0 {
		_, _ = fmt.Fprintf(std.err, "%d further rows are not listed; `cenote check` lists those that are held, and each can be decided by its name\n", a.Unlisted)
	}
	return nil
}

func printHeldRows(to io.Writer, rows []blocklist.Held, now time.Time) error {
	t := newTable(to, "FEED", "NAME", "STATE", "REASON", "BY", "SINCE", "WHERE", "ROW")
	for i := range rows {
		r := &rows[i]
		t.row(r.Feed, r.Name, string(r.State), r.Reason.String(), printable(r.By), age(r.Since, now), blocklist.Place(printable(r.File), r.Line), r.Text)
	}
	return t.flush()
}

func printDecisions(to io.Writer, all []blocklist.Decision) error {
	t := newTable(to, "FEED", "NAME", "VERDICT", "WHEN", "WHO", "WHY")
	for i := range all {
		d := &all[i]
		t.row(d.Feed, d.Name, string(d.Verdict), stamp(d.When), printable(d.Who), printable(d.Why))
	}
	return t.flush()
}

// decideFlags are shared by the commands that decide.
type decideFlags struct {
	socketFlag
	Name string `arg:"" help:"The name, address or network."`
	Feed string `predictor:"feed" help:"Only rows of this feed. Default: all feeds that hold the name."`
	Who  string `env:"SUDO_USER" help:"Who decides, if that is not the user who asks."`
	JSON bool   `help:"Print JSON."`
}

type heldRelease struct {
	decideFlags
	Why string `required:"" placeholder:"TEXT" help:"Why, for those who come after."`
}

// Run releases the rows of a name.
func (c *heldRelease) Run(ctx context.Context, std streams) error {
	return c.decide(ctx, std, "release", c.Why)
}

type heldRefuse struct {
	decideFlags
	Why string `required:"" placeholder:"TEXT" help:"Why, for those who come after."`
}

// Run refuses the rows of a name.
func (c *heldRefuse) Run(ctx context.Context, std streams) error {
	return c.decide(ctx, std, "refuse", c.Why)
}

type heldForget struct {
	decideFlags
	Why string `placeholder:"TEXT" help:"Why; it is in the log alone."`
}

// Run forgets what was decided of a name.
func (c *heldForget) Run(ctx context.Context, std streams) error {
	return c.decide(ctx, std, "forget", c.Why)
}

// decide asks the server for a decision and says what came of it. A feed that could not be read with it makes it exit 1.
func (c *decideFlags) decide(ctx context.Context, std streams, verdict, why string) error {
	client, err := c.client(reloadTimeout)
	if err != nil {
		return err
	}
	name, err := asciiName(c.Name)
	if err != nil {
		return err
	}
	var answer blocklist.DecideReport
	request := api.DecideRequest{Verdict: verdict, Name: name, Feed: c.Feed, Why: why, Who: c.Who}
	if err := client.Post(ctx, "/v1/held", request, &answer); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.out, answer)
	} else {
		err = printDecided(std.out, verdict, &answer)
		printFailures(std.err, answer.Reload.Feeds)
	}
	if err == nil && slices.ContainsFunc(answer.Reload.Feeds, func(f blocklist.FeedResult) bool { return f.Outcome == blocklist.OutcomeFailed }) {
		err = errReported
	}
	return err
}

func printDecided(to io.Writer, verdict string, a *blocklist.DecideReport) error {
	word := map[string]string{"release": "released", "refuse": "refused", "forget": "forgotten"}[verdict]
	for i := range a.Decisions {
		_, _ = fmt.Fprintf(to, "%s: %s %s\n", a.Decisions[i].Feed, a.Decisions[i].Name, word)
	}
	return printOutcomes(to, a.Reload.Feeds)
}

// Held lists the rows and the decisions that a filter lets through; see api.Reviewer. That nothing waits of a feed that there is not says nothing of the one
// that was meant.
func (s *server) Held(f api.HeldFilter) (api.HeldAnswer, error) {
	rows, unlisted := s.publisher.HeldRows()
	rows = slices.DeleteFunc(rows, func(r blocklist.Held) bool {
		return f.Feed != "" && r.Feed != f.Feed || f.Name != "" && r.Name != f.Name || f.Reason != "" && r.Reason.String() != f.Reason ||
			f.State != "" && string(r.State) != f.State
	})
	decided := slices.DeleteFunc(s.publisher.Decisions(), func(d blocklist.Decision) bool {
		return f.Feed != "" && d.Feed != f.Feed || f.Name != "" && d.Name != f.Name
	})
	out := api.HeldAnswer{Held: rows, Unlisted: unlisted, Decisions: decided}
	if f.Feed == "" || len(rows)+len(decided) > 0 {
		return out, nil
	}
	return out, checkKnown("feed", f.Feed, union(feedNames(s.config.Load()), s.publisher.Former()))
}

// Decide stores a decision and puts it in force; see api.Reviewer. It is no part of a reload that is under way.
func (s *server) Decide(ctx context.Context, d blocklist.Decision) (blocklist.DecideReport, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return s.publisher.Decide(ctx, d)
}

// explainer says beside what the policy decides which rows of a name wait for an operator.
type explainer struct{ *server }

// Explain implements api.Explainer.
func (e explainer) Explain(ctx context.Context, q api.Question) (api.Explanation, error) {
	out, err := e.catalog.Explain(ctx, q)
	if err != nil {
		return out, err
	}
	about := func(name string) bool {
		return name == out.Name || strings.HasSuffix(out.Name, "."+name) || patternMatches(name, out.Name)
	}
	rows, _ := e.publisher.HeldRows()
	out.Held = slices.DeleteFunc(rows, func(r blocklist.Held) bool { return !about(r.Name) })
	out.Refused = slices.DeleteFunc(e.publisher.GuardedRows(), func(r blocklist.Held) bool { return !about(r.Name) })
	out.Decisions = slices.DeleteFunc(e.publisher.Decisions(), func(d blocklist.Decision) bool { return !about(d.Name) })
	return out, nil
}

// patternMatches reports whether what is held is a pattern that a name matches, which is escaped.
func patternMatches(held, name string) bool {
	text, ok := strings.CutPrefix(held, "/")
	if !ok {
		return false
	}
	pattern, err := policy.NewPattern(strings.TrimSuffix(text, "/"))
	n, err2 := dnsname.Parse(name)
	return err == nil && err2 == nil && pattern.Matches(policy.AppendPlain(nil, []byte(n.Canonical())))
}

// printReview shows what waits for an operator, what guards refuse, and what was decided, of an explained name.
func printReview(to io.Writer, e *api.Explanation) {
	for i := range e.Held {
		printGuarded(to, &e.Held[i])
		_, _ = fmt.Fprintln(to, "    see `cenote held`")
	}
	for i := range e.Refused {
		printGuarded(to, &e.Refused[i])
	}
	for i := range e.Decisions {
		d := &e.Decisions[i]
		_, _ = fmt.Fprintf(to, "\n%s: %s of feed %s, by %s, %s: %s\n", d.Verdict, d.Name, d.Feed, printable(d.Who), stamp(d.When), printable(d.Why))
	}
}

// printGuarded shows a row that is not served, or not as its feed says, and why.
func printGuarded(to io.Writer, r *blocklist.Held) {
	_, _ = fmt.Fprintf(to, "\n%s: %s of feed %s is %s%s\n    %s\n", r.State, r.Name, r.Feed, r.Reason, inBrackets(r.By), blocklist.Place(printable(r.File), r.Line))
}
