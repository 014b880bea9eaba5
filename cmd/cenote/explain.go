package main

import (
	"cmp"
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
	"cenote/wire"

	"golang.org/x/net/idna"
)

type explainCommand struct {
	socketFlag
	Name    string       `arg:"" help:"The name, an address, or the reference from the text of an extended error (ref:...)."`
	Client  netip.Addr   `placeholder:"ADDR" help:"The client that asks."`
	Answer  []netip.Addr `placeholder:"ADDR" help:"An address that the name is taken to have; may be given more than once."`
	Resolve bool         `help:"Ask the network what the name has, and explain the answer with it."`
	Type    string       `placeholder:"TYPE" help:"The type that is asked for, such as AAAA or HTTPS. Default: A."`
	Via     string       `name:"transport" enum:",udp,tcp,tls" default:"" placeholder:"TRANSPORT" help:"How the question comes: udp, tcp or tls. Default: udp."`
	Listen  string       `name:"listener" placeholder:"ADDR[:PORT]" help:"The address of this server that is asked; without a port 53."`
	Key     string       `predictor:"key" placeholder:"NAME" help:"The name of the key that the question is signed with (TSIG). Default: it is not signed."`
	RD      bool         `name:"rd" default:"true" negatable:"" help:"The client asks for recursion, as stubs do; --rd=false for one that does not."`
	DO      bool         `name:"do" help:"The client asks for DNSSEC signatures."`
	At      string       `placeholder:"TIME" help:"When the question is asked, such as 2026-11-30T12:00:00Z. Default: now."`
	JSON    bool         `help:"Print JSON."`
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
		answer, err = c.withoutServer(ctx, params, std)
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
	for _, addr := range c.Answer {
		out.Add("answer", addr.String())
	}
	for key, text := range map[string]string{"time": c.At, "type": c.Type, "transport": c.Via, "listener": c.Listen, "key": c.Key} {
		if text != "" {
			out.Set(key, text)
		}
	}
	for key, set := range map[string]bool{"resolve": c.Resolve, "do": c.DO} {
		if set {
			out.Set(key, "true")
		}
	}
	if !c.RD {
		out.Set("rd", "false")
	}
	switch {
	case c.Name == "":
		return nil, errors.New("explain needs a name, such as www.example, an address or a reference")
	case strings.HasPrefix(c.Name, "ref:"):
		out.Set("reference", c.Name)
		return out, nil
	}
	if _, err := netip.ParseAddr(c.Name); err == nil {
		out.Set("address", c.Name)
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
func (c *explainCommand) withoutServer(ctx context.Context, params url.Values, std streams) (api.Explanation, error) {
	conf, _, err := c.read()
	if err != nil {
		return api.Explanation{}, err
	}
	quiet := slog.New(slog.DiscardHandler)
	g, err := blocklist.OpenStored(blocklist.Config{
		Dir: stateOf(conf).policy(), Order: policyOrder(conf), Log: quiet,
	})
	if errors.Is(err, blocklist.ErrNothingStored) {
		return api.Explanation{}, fmt.Errorf("%w (start a server with `cenote serve`; it compiles the feeds)", err)
	}
	if err != nil {
		return api.Explanation{}, err
	}
	held := newCatalog(quiet)
	defer held.close()
	held.keys = func() []string { return keyNames(conf) }
	held.requires = func() bool { return conf.Policy.ServfailUntilReady }
	held.publish(g)
	_, _ = fmt.Fprintln(std.err, "No server is running; this is the policy that was compiled last.")
	q, err := api.ParseQuestion(params)
	if err != nil {
		return api.Explanation{}, err
	}
	return held.Explain(ctx, q)
}

// Explain says what the policy in force does with a question; see api.Explainer.
func (c *catalog) Explain(ctx context.Context, q api.Question) (api.Explanation, error) {
	if q.Reference != "" {
		return c.explainReference(ctx, q)
	}
	if !q.Key.IsZero() && c.keys != nil {
		if err := checkKnown("key", q.Key.String(), c.keys()); err != nil {
			return api.Explanation{}, err
		}
	}
	g := c.current()
	if g == nil {
		return api.Explanation{}, errors.New("no policy has been compiled yet; see `cenote feeds`")
	}
	return c.explainIn(ctx, g, &q)
}

// answerTo is what a question is explained with: what the network says, or what the question takes for it; nil for nothing.
func (c *catalog) answerTo(ctx context.Context, q *api.Question, r *policy.Request, p *policy.Policy) (*dnsserver.Truth, error) {
	var given policy.Answer
	switch {
	case q.Resolve && c.truth == nil:
		return nil, errors.New("no server is running that could ask the network; give the addresses with --answer")
	case q.Resolve:
		truth := c.truth(ctx, r, p)
		truth.Answer.Addrs = append(truth.Answer.Addrs, q.Answers...)
		return &truth, nil
	case q.Address.IsValid():
		server := policy.Server{Name: []byte{0}, Addrs: []netip.Addr{q.Address}}
		given = policy.Answer{Addrs: []netip.Addr{q.Address}, Paths: []policy.Path{{Servers: []policy.Server{server}}}}
	case q.Server != "":
		given = policy.Answer{Paths: []policy.Path{{Servers: []policy.Server{{Name: []byte(q.Server)}}}}}
	case len(q.Answers) > 0:
		given = policy.Answer{Addrs: q.Answers}
	default:
		return nil, nil
	}
	return &dnsserver.Truth{Answer: given}, nil
}

// explainReference resolves what an extended error's text stands for. The generation must still be held or be the one in force.
func (c *catalog) explainReference(ctx context.Context, q api.Question) (api.Explanation, error) {
	ref, err := policy.DecodeReference(q.Reference)
	if err != nil {
		return api.Explanation{}, err
	}
	g := c.generation(ref.Generation)
	if g == nil {
		return api.Explanation{}, fmt.Errorf("the reference is of policy generation %d, which is no longer held; look in the query log for it, "+
			"or explain the name", ref.Generation)
	}
	if err := c.subject(g, ref, &q); err != nil {
		return api.Explanation{}, err
	}
	return c.explainIn(ctx, g, &q)
}

// subject finds what a reference stands for: the index is searched for its set, which is slow and exact.
func (c *catalog) subject(g *blocklist.Generation, ref policy.Reference, q *api.Question) error {
	key, err := listedKey(g, ref)
	if err != nil {
		return err
	}
	if prefix, ok := policy.KeyPrefix([]byte(key)); ok {
		if q.Address = prefix.Addr(); ref.Trigger == policy.TriggerClientIP {
			q.Address, q.Client, q.Name = netip.Addr{}, prefix.Addr(), dnsname.Root
		}
		return nil
	}
	switch text := policy.KeyText([]byte(key)); ref.Trigger {
	case policy.TriggerPattern:
		rule := g.Policy.Rule(policy.Hit{Set: ref.Set, Zone: ref.Zone, Member: ref.Member})
		return fmt.Errorf("the reference stands for the pattern %s of feed %q, in zone %q; explain a name to see what it matches", text, rule.Feed, zoneName(rule.Zone))
	case policy.TriggerNSDNAME:
		q.Server, err = dnsname.Parse(text)
		q.Server = reached(g, ref, q.Server)
		return err
	}
	q.Name = reached(g, ref, key)
	return nil
}

// reached is a name that the rule of a reference reaches, which lists name: one of a wildcard reaches only what is below.
func reached(g *blocklist.Generation, ref policy.Reference, name dnsname.Name) dnsname.Name {
	rule := g.Policy.Rule(policy.Hit{Set: ref.Set, Zone: ref.Zone, Member: ref.Member, Labels: ref.Labels})
	if below, err := name.Child("*"); rule.Member.Kind == policy.KindBelow && err == nil {
		return below
	}
	return name
}

// listedKey finds the key of the only rule that a reference can stand for. Of names that share a set, and two of which may have the same hash, it says so.
func listedKey(g *blocklist.Generation, ref policy.Reference) (dnsname.Name, error) {
	found := 0
	var name dnsname.Name
	for n, set := range g.Policy.Index().All() {
		if set == ref.Set && ref.RefersTo([]byte(n)) {
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
		rule.Feed, rule.Family, zoneName(rule.Zone))
}

// requestOf is a question as the policy sees it.
func requestOf(q *api.Question) *policy.Request {
	from, name, at := netip.AddrPortFrom(q.Client, 0), q.Name, q.Time
	if at.IsZero() {
		at = time.Now()
	}
	if name == "" {
		name = dnsname.Root
	}
	return &policy.Request{
		Time: at, Peer: from, Client: from, Local: q.Listener, Transport: q.Transport, Verified: q.Transport != policy.TransportUDP, Key: q.Key,
		RD: !q.NoRD, DO: q.DO, Type: cmp.Or(q.Type, wire.TypeA), Class: wire.ClassIN, Name: []byte(name),
	}
}

// effectFailure is the effect where a query fails since not all name servers are known, or not all feeds.
const effectFailure = "failure"

// explainIn explains a question by a generation.
func (c *catalog) explainIn(ctx context.Context, g *blocklist.Generation, q *api.Question) (api.Explanation, error) {
	r := requestOf(q)
	truth, err := c.answerTo(ctx, q, r, g.Policy)
	if err != nil {
		return api.Explanation{}, err
	}
	var answer *policy.Answer
	if truth != nil {
		answer = &truth.Answer
	}
	out := api.Explanation{Explanation: g.Policy.Explain(r, answer), Compiled: g.Policy.Manifest().Built}
	var d policy.Decision
	if out.Winner != nil {
		d.Winner = out.Winner.Hit
	}
	out.Effect = dnsserver.EffectOf(&d, q.Transport).String()
	if truth != nil {
		if out.Without, out.Partial = truth.Without, truth.Partial; truth.Fails && out.Winner == nil {
			out.Effect = effectFailure
		}
	}
	if out.Lacks = g.Policy.Lacks(r, &d); len(out.Lacks) > 0 && c.requires != nil && c.requires() && out.Effect == dnsserver.EffectTruth.String() {
		out.Effect = effectFailure
	}
	switch {
	case q.Address.IsValid():
		out.Name = q.Address.String()
	case q.Server != "":
		out.Name = q.Server.String()
	}
	if answer != nil {
		out.Answers = append(policy.AddressesIn(answer.Msg), answer.Addrs...)
	}
	eachZone(&out, func(z *policy.ZoneExplanation) {
		for i := range z.Candidates {
			out.Places = append(out.Places, place(g, &z.Candidates[i]))
		}
	})
	for i := range out.Unheld {
		out.Places = append(out.Places, place(g, &out.Unheld[i]))
	}
	return out, nil
}

// eachZone calls visit for the zones of an explanation in the order of its places.
func eachZone(e *api.Explanation, visit func(*policy.ZoneExplanation)) {
	for i := range e.Zones {
		visit(&e.Zones[i])
	}
	for i := range e.Chain {
		for j := range e.Chain[i].Zones {
			visit(&e.Chain[i].Zones[j])
		}
	}
}

func place(g *blocklist.Generation, c *policy.Candidate) api.Place {
	out := api.Place{Feed: c.Feed, Listed: c.Listed}
	rows, err := g.Find(c.FeedNumber, c.Key)
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
	if report, err := g.Report(c.FeedNumber); err == nil {
		out.Source, out.Serial, out.Copy = report.Source.Shown, report.Serial, g.Policy.Manifest().Feeds[c.FeedNumber].SourceGeneration
	}
	return out
}

func printExplanation(to io.Writer, e *api.Explanation) error {
	printOutcome(to, e)
	next := 0
	print := func(zones []policy.ZoneExplanation) {
		for _, z := range zones {
			_, _ = fmt.Fprintf(to, "\nzone %d %s%s\n", z.Position, z.Zone, marks(z))
			for i := range z.Candidates {
				printCandidate(to, &z.Candidates[i], &e.Places[next])
				next++
			}
		}
	}
	print(e.Zones)
	for _, g := range e.Chain {
		if g.Record > 0 {
			_, _ = fmt.Fprintf(to, "\ntarget of record %d of the answer, %s\n", g.Record, g.Name)
		} else {
			_, _ = fmt.Fprintf(to, "\nstep %d of the chain, %s\n", g.Stage, g.Name)
		}
		print(g.Zones)
	}
	if len(e.Unheld) > 0 {
		_, _ = fmt.Fprintln(to, "\nin feeds that no zone holds")
	}
	for i := range e.Unheld {
		printCandidate(to, &e.Unheld[i], &e.Places[next+i])
	}
	printReview(to, e)
	return nil
}

func printOutcome(to io.Writer, e *api.Explanation) {
	if w := e.Winner; w == nil {
		_, _ = fmt.Fprintf(to, "%s: no rule decides; the truth is answered\n", e.Name)
	} else {
		_, _ = fmt.Fprintf(to, "%s: %s, by zone %s%s: feed %s lists %s (%s)\n", e.Name, w.Action, w.Zone, ofView(e.View), w.Feed, listed(w), w.Kind)
		_, _ = fmt.Fprintf(to, "it wins: %s\n", e.Clause.Sentence())
	}
	if e.Pending {
		_, _ = fmt.Fprintln(to, "if what is answered matches no rule of an earlier zone; --resolve looks")
	}
	if e.Effect == dnsserver.EffectTruncate.String() {
		_, _ = fmt.Fprintln(to, "over UDP an empty answer says so; over TCP the truth is answered (--transport tcp)")
	}
	if e.Without != "" {
		_, _ = fmt.Fprintf(to, "there is no answer to look at: %s\n", e.Without)
	}
	if e.Partial {
		_, _ = fmt.Fprintln(to, "not all name servers on the way could be found")
	}
	if len(e.Lacks) > 0 {
		_, _ = fmt.Fprintf(to, "of these feeds, which might decide, nothing has been loaded yet: %s\n", strings.Join(e.Lacks, ", "))
	}
	if e.Effect == effectFailure {
		key := "policy.ns_required"
		if len(e.Lacks) > 0 {
			key = "policy.servfail_until_ready"
		}
		_, _ = fmt.Fprintf(to, "such a question gets SERVFAIL (%s)\n", key)
	}
	if len(e.Answers) > 0 {
		_, _ = fmt.Fprintf(to, "with the addresses %s\n", strings.Trim(fmt.Sprint(e.Answers), "[]"))
	}
	_, _ = fmt.Fprintf(to, "policy generation %d, compiled %s\n", e.Generation, stamp(e.Compiled))
}

func ofView(view string) string {
	if view == "" {
		return ""
	}
	return " of view " + view
}

// listed is what a rule lists, and what of the query fell under it, where that is not the name.
func listed(c *policy.Candidate) string {
	switch c.Trigger {
	case policy.TriggerClientIP:
		return "the client " + c.Listed
	case policy.TriggerIP:
		return "the answer " + c.Listed
	case policy.TriggerNSDNAME:
		return fmt.Sprintf("the name server %s, as of %s", c.Server, c.Listed)
	case policy.TriggerNSIP:
		return "the name server at " + c.Listed
	case policy.TriggerNone, policy.TriggerQNAME:
	}
	return c.Listed
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
	_, _ = fmt.Fprintf(to, "    %s %s %s, feed %s", c.Action, c.Kind, listed(c), c.Feed)
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
		_, _ = fmt.Fprintf(to, "    %s\n", strings.TrimSpace(fmt.Sprintf("%s %s %s", blocklist.Place(printable(p.File), p.Line), printable(p.Reference), printable(p.Comment))))
		if p.Serial > 0 {
			_, _ = fmt.Fprintf(to, "    serial %d\n", p.Serial)
		}
	}
	printSource(to, p)
	if !p.Expires.IsZero() {
		_, _ = fmt.Fprintf(to, "    until %s\n", stamp(p.Expires))
	}
}

// printSource prints which state of which source a row is from, and since when it has been there.
func printSource(to io.Writer, p *api.Place) {
	if p.Source != "" {
		_, _ = fmt.Fprintf(to, "    from %s, copy %d\n", printable(p.Source), p.Copy)
	}
	if !p.Added.IsZero() {
		_, _ = fmt.Fprintf(to, "    since %s\n", stamp(p.Added))
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
