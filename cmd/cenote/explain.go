package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"

	"golang.org/x/net/idna"
)

type explainCommand struct {
	socketFlag
	Name   string     `arg:"" help:"The name, or the reference from the text of an extended error (ref:...)."`
	Client netip.Addr `placeholder:"ADDR" help:"The client that asks."`
	JSON   bool       `help:"Print JSON."`
}

// Run asks the server, or where none is running the policy that was compiled last.
func (c *explainCommand) Run(ctx context.Context, std streams) error {
	params, err := c.params()
	if err != nil {
		return err
	}
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var answer api.Explanation
	err = client.Get(ctx, "/v1/explain", params, &answer)
	if errors.Is(err, api.ErrNoServer) && c.Socket == "" {
		answer, err = c.withoutServer(params, std)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printExplanation(std.out, &answer)
}

func (c *explainCommand) params() (url.Values, error) {
	out := url.Values{}
	if c.Client.IsValid() {
		out.Set("client", c.Client.String())
	}
	switch {
	case c.Name == "":
		return nil, errors.New("explain needs a name, such as www.example, or a reference")
	case strings.HasPrefix(c.Name, "ref:"):
		out.Set("reference", c.Name)
		return out, nil
	}
	name, err := asciiName(c.Name)
	out.Set("name", name)
	return out, err
}

// asciiName is a name as people type it in the form that DNS asks for (RFC 5891). Malware minds no rules for host names: underscores stay.
func asciiName(name string) (string, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false)).ToASCII(name)
		}
	}
	return name, nil
}

// withoutServer opens the policy that was compiled last. It takes no lock and writes nothing: a server may be about to start, or run with
// another socket.
func (c *explainCommand) withoutServer(params url.Values, std streams) (api.Explanation, error) {
	conf, _, err := c.read()
	if err != nil {
		return api.Explanation{}, err
	}
	quiet := slog.New(slog.DiscardHandler)
	g, err := blocklist.OpenStored(blocklist.Config{
		Dir: stateOf(conf).policy(), Zones: policyZones(conf), AnswerEarly: conf.Policy.AnswerEarly, Log: quiet,
	})
	if errors.Is(err, blocklist.ErrNothingStored) {
		return api.Explanation{}, fmt.Errorf("%w (start a server with `cenote serve`; it compiles the feeds)", err)
	}
	if err != nil {
		return api.Explanation{}, err
	}
	held := newCatalog(quiet)
	defer held.close()
	held.publish(g)
	_, _ = fmt.Fprintln(std.err, "No server is running; this is the policy that was compiled last.")
	q := api.Question{Reference: params.Get("reference"), Client: c.Client.Unmap()}
	if name := params.Get("name"); name != "" {
		if q.Name, err = dnsname.Parse(name); err != nil {
			return api.Explanation{}, err
		}
		q.Name = q.Name.Canonical()
	}
	return held.Explain(q)
}

// Explain says what the policy in force does with a question; see api.Explainer.
func (c *catalog) Explain(q api.Question) (api.Explanation, error) {
	if q.Reference != "" {
		return c.explainReference(q)
	}
	g := c.current()
	if g == nil {
		return api.Explanation{}, errors.New("no policy has been compiled yet; see `cenote feeds`")
	}
	return explainIn(g, q.Name, q.Client), nil
}

// explainReference resolves what an extended error's text stands for. The generation must still be held or be the one in force.
func (c *catalog) explainReference(q api.Question) (api.Explanation, error) {
	ref, err := dnsserver.DecodeReference(q.Reference)
	if err != nil {
		return api.Explanation{}, err
	}
	g := c.generation(ref.Generation)
	if g == nil {
		return api.Explanation{}, fmt.Errorf("the reference is of policy generation %d, which is no longer held; look in the query log for it, "+
			"or explain the name", ref.Generation)
	}
	name, err := listedName(g, ref)
	if err != nil {
		return api.Explanation{}, err
	}
	return explainIn(g, name, q.Client), nil
}

// listedName finds the name that a reference stands for: the index is searched for its set, which is slow and exact.
func listedName(g *blocklist.Generation, ref dnsserver.Reference) (dnsname.Name, error) {
	found := 0
	var name dnsname.Name
	for n, set := range g.Policy.Index().All() {
		if set == ref.Set && n.Labels() == int(ref.Labels) {
			name = n
			if found++; found > 1 {
				break
			}
		}
	}
	switch found {
	case 0:
		return "", errors.New("the reference names a rule that this policy does not have")
	case 1:
		return name, nil
	}
	rule := g.Policy.Rule(policy.Hit{Set: ref.Set, Zone: ref.Zone, Member: ref.Member, Labels: ref.Labels})
	return "", fmt.Errorf("the reference stands for a rule of feed %q, family %q, in zone %q, which many names share; explain the name itself",
		rule.Feed, rule.Family, rule.Zone.Name)
}

func explainIn(g *blocklist.Generation, name dnsname.Name, client netip.Addr) api.Explanation {
	from := netip.AddrPortFrom(client, 0)
	out := api.Explanation{
		Explanation: g.Policy.Explain(&policy.Request{Time: time.Now(), Peer: from, Client: from, RD: true, Type: 1, Class: 1, Name: []byte(name)}),
		Compiled:    g.Policy.Manifest().Built,
	}
	for _, z := range out.Zones {
		for i := range z.Candidates {
			out.Places = append(out.Places, place(g, &z.Candidates[i]))
		}
	}
	for i := range out.Unheld {
		out.Places = append(out.Places, place(g, &out.Unheld[i]))
	}
	return out
}

func place(g *blocklist.Generation, c *policy.Candidate) api.Place {
	out := api.Place{Feed: c.Feed, Listed: c.Listed}
	rows, err := g.Find(c.FeedNumber, c.ListedName)
	if err != nil {
		out.Missing = err.Error()
		return out
	}
	row := &rows[0]
	for i := range rows {
		if rows[i].Kind == c.Kind && rows[i].Family == c.Family && rows[i].Exception == c.Exception {
			row = &rows[i]
			break
		}
	}
	out.File, out.Line, out.Reference, out.Comment = row.File, row.Line, row.Reference, row.Comment
	out.Added, out.Expires = row.Added, row.Expiry
	return out
}

func printExplanation(to io.Writer, e *api.Explanation) error {
	if w := e.Winner; w == nil {
		_, _ = fmt.Fprintf(to, "%s: no rule decides; the truth is answered\n", e.Name)
	} else {
		_, _ = fmt.Fprintf(to, "%s: %s, by zone %s: feed %s lists %s (%s)\n", e.Name, w.Action, w.Zone, w.Feed, w.Listed, w.Kind)
		_, _ = fmt.Fprintf(to, "it wins: %s\n", e.Clause.Sentence())
	}
	_, _ = fmt.Fprintf(to, "policy generation %d, compiled %s\n", e.Generation, stamp(e.Compiled))
	next := 0
	for _, z := range e.Zones {
		_, _ = fmt.Fprintf(to, "\nzone %d %s%s\n", z.Position, z.Zone, marks(z))
		for i := range z.Candidates {
			printCandidate(to, &z.Candidates[i], &e.Places[next])
			next++
		}
	}
	if len(e.Unheld) > 0 {
		_, _ = fmt.Fprintln(to, "\nin feeds that no zone holds")
	}
	for i := range e.Unheld {
		printCandidate(to, &e.Unheld[i], &e.Places[next+i])
	}
	return nil
}

func marks(z policy.ZoneExplanation) string {
	var out string
	if z.LogOnly {
		out += " (log only)"
	}
	if z.Observe {
		out += " (observes what earlier zones let through)"
	}
	return out
}

func printCandidate(to io.Writer, c *policy.Candidate, p *api.Place) {
	_, _ = fmt.Fprintf(to, "  %s: %s\n", c.Status, c.Status.Sentence())
	if c.Status == policy.StatusEmpty {
		_, _ = fmt.Fprintf(to, "    %s, feed %s\n", c.Listed, c.Feed)
		return
	}
	_, _ = fmt.Fprintf(to, "    %s %s %s, feed %s", c.Action, c.Kind, c.Listed, c.Feed)
	if c.Family != "" {
		_, _ = fmt.Fprintf(to, ", family %s", printable(c.Family))
	}
	if c.Threat != "" {
		_, _ = fmt.Fprintf(to, ", threat %s", printable(c.Threat))
	}
	_, _ = fmt.Fprintln(to)
	if p.Missing != "" {
		_, _ = fmt.Fprintf(to, "    its row cannot be shown: %s\n", printable(p.Missing))
	} else {
		_, _ = fmt.Fprintf(to, "    %s\n", strings.TrimSpace(fmt.Sprintf("%s:%d %s %s", printable(p.File), p.Line, printable(p.Reference), printable(p.Comment))))
	}
	if !p.Expires.IsZero() {
		_, _ = fmt.Fprintf(to, "    until %s\n", stamp(p.Expires))
	}
}

// printable is text of a feed with everything escaped that a terminal could take for a command.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}
