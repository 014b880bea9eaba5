package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"cenote/blocklist"
	"cenote/config"
	"cenote/dnsname"
	"cenote/policy"
	"cenote/rpz"
	"cenote/zone"
)

type exportCommand struct {
	RPZ exportRPZCommand `cmd:"" name:"rpz" help:"Write the policy that was compiled last as a response policy zone, for BIND, Unbound, PowerDNS Recursor and Knot Resolver."`
}

type exportRPZCommand struct {
	configFlag
	Zone       string       `placeholder:"NAME" default:"rpz.cenote.invalid" help:"The name of the zone. Default: rpz.cenote.invalid."`
	View       string       `predictor:"view" placeholder:"NAME" help:"The view whose policy zones count. Default: those of everybody."`
	Feed       []string     `predictor:"feed" sep:"none" placeholder:"NAME" help:"Only what this feed lists; may be given more than once."`
	Type       []string     `sep:"none" placeholder:"THREAT" help:"Only rows of this threat type; may be given more than once."`
	Confidence uint8        `placeholder:"N" help:"Only rows that are at least so sure, 1 to 100; those that do not say are left out."`
	Action     string       `enum:",sinkhole,nxdomain,nodata,drop,tcp-only,cname" default:"" placeholder:"ACTION" help:"What is done to all that is stopped: sinkhole, nxdomain, nodata, drop, tcp-only or cname. Default: what the policy does."`
	Sinkhole   []netip.Addr `placeholder:"ADDR" help:"An address of --action=sinkhole; may be given more than once. Default: those of the configuration."`
	Target     string       `placeholder:"NAME" help:"Where --action=cname leads; *.NAME puts the query name before it."`
	Serial     uint32       `placeholder:"N" help:"The serial of the zone. Default: the seconds since 1970, so that each file is newer than those before."`
	Output     string       `short:"o" type:"path" placeholder:"FILE" help:"The file to write, which is put in place whole. Default: standard output."`
}

// confidenceMax is what a row says that is quite sure.
const confidenceMax = 100

// Run writes the zone, and tells on standard error what RPZ has no words for.
func (c *exportRPZCommand) Run(ctx context.Context, std streams) error {
	if c.Confidence > confidenceMax {
		return fmt.Errorf("--confidence %d: want 1 to %d", c.Confidence, confidenceMax)
	}
	conf, _, err := c.read()
	if err != nil {
		return err
	}
	now := time.Now()
	g, err := c.generator(conf, now)
	if err != nil {
		return err
	}
	if c.Serial == 0 {
		c.Serial = uint32(now.Unix())
	}
	comment := fmt.Sprintf("made by Cenote %s of its policy, %s", thisBuild(), now.UTC().Format(time.RFC3339))
	write := func(to io.Writer) error { return g.WriteMaster(to, c.Serial, comment) }
	if c.Output == "" {
		err = write(std.out)
	} else {
		err = errors.Join(writeStream(c.Output, write), os.Chmod(c.Output, 0o644)) // another program reads it
	}
	if err == nil {
		report := g.Report()
		_, err = fmt.Fprintln(std.err, exportText(&report))
	}
	return err
}

// generator opens the policy that was compiled last. It takes no lock and writes nothing, so that a server may run.
func (c *exportRPZCommand) generator(conf *config.Config, now time.Time) (*rpz.Generator, error) {
	answer, err := c.answer(conf)
	if err != nil {
		return nil, err
	}
	apex, err := dnsname.Parse(c.Zone)
	if err != nil {
		return nil, fmt.Errorf("the name of the zone: %w", err)
	}
	stored, err := blocklist.OpenStored(blocklist.Config{Dir: stateOf(conf).policy(), Order: policyOrder(conf), Log: slog.New(slog.DiscardHandler)})
	if errors.Is(err, blocklist.ErrNothingStored) {
		return nil, fmt.Errorf("%w (start a server with `cenote serve`; it compiles the feeds)", err)
	}
	if err != nil {
		return nil, err
	}
	defer stored.Close() // the rows of the feeds; the policy stays
	excerpt, err := stored.Policy.Excerpt(policy.Selection{View: c.View, Feeds: c.Feed, Threats: c.Type, Confidence: c.Confidence})
	if err != nil {
		return nil, err
	}
	return rpz.New(rpz.Config{Apex: apex, Policy: excerpt, Answer: answer, At: now})
}

// answerTTL is how long, in seconds, an answer lives that the zone has in place of the policy's: as long as those of policy zones that do not say.
const answerTTL = 10

// answer is what the zone says in place of the policy.
func (c *exportRPZCommand) answer(conf *config.Config) (a rpz.Answer, err error) {
	a.TTL = answerTTL
	if a.Action = actionNamed(c.Action); a.Action != policy.ActionLocalData {
		return withSinkhole(a, c.Sinkhole, &conf.Policy.Sinkhole), nil
	}
	if a.Target, err = dnsname.Parse(c.Target); err != nil {
		return a, fmt.Errorf("--action=cname needs --target, the name that it leads to: %w", err)
	}
	return a, nil
}

func actionNamed(word string) policy.Action {
	if word == "cname" {
		return policy.ActionLocalData
	}
	var a policy.Action
	_ = a.UnmarshalText([]byte(word)) // the grammar knows no other words; none is the default
	return a
}

// withSinkhole gives an answer the addresses that are given, or else those of the configuration.
func withSinkhole(a rpz.Answer, given []netip.Addr, own *config.Sinkhole) rpz.Answer {
	if len(given) == 0 {
		given = append(append(given, own.IPv4...), own.IPv6...)
	}
	for _, addr := range given {
		if addr.Is4() {
			a.IPv4 = append(a.IPv4, addr)
		} else {
			a.IPv6 = append(a.IPv6, addr)
		}
	}
	return a
}

// exportText says what became of the rules of a policy in a zone.
func exportText(r *rpz.Report) string {
	text := fmt.Sprintf("%d records for %d listed names and addresses", r.Records, r.Names)
	if left := leftOut(r); len(left) > 0 {
		text += "; left out: " + leftOutText(left)
	}
	return text
}

// leftOut is what of a policy has no place in a zone.
func leftOut(r *rpz.Report) (left []zone.LeftOut) {
	for _, l := range []zone.LeftOut{
		{Count: r.Patterns, What: "patterns"}, {Count: r.Typed, What: "local data for some types alone"}, {Count: r.Order, What: "clients in a zone behind others"},
		{Count: r.Reserved, What: "names that mean something else in RPZ"}, {Count: r.TooLong, What: "names too long for the zone"}, {Count: r.Itself, What: "aliases of themselves"},
	} {
		if l.Count > 0 {
			left = append(left, l)
		}
	}
	return left
}

func leftOutText(left []zone.LeftOut) string {
	var words []string
	for _, l := range left {
		words = append(words, fmt.Sprintf("%d %s", l.Count, l.What))
	}
	return strings.Join(words, ", ")
}
