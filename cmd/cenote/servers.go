package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"cenote/api"
)

type serversCommand struct {
	socketFlag
	Name  string `arg:"" optional:"" help:"A name: which zone's servers are asked about it, and what is known of them. Default: the slowest and the busiest servers, and the upstreams."`
	Limit int    `default:"10" help:"How many servers of each kind are shown."`
	JSON  bool   `help:"Print JSON."`
}

// Run shows what the running server knows of the servers that it asks.
func (c *serversCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	params := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	if c.Name != "" {
		name, err := asciiName(c.Name)
		if err != nil {
			return err
		}
		params.Set("name", name)
	}
	var answer api.ServersAnswer
	if err := client.Get(ctx, "/v1/servers", params, &answer); err != nil {
		return err
	}
	switch {
	case c.JSON:
		return printJSON(std.out, answer)
	case c.Name != "":
		return printDelegation(std, answer.Delegation)
	}
	return printServerLists(std, &answer)
}

func printDelegation(std streams, d *api.DelegationAnswer) error {
	if d == nil {
		_, err := fmt.Fprintln(std.err, "no delegation is known above this name: nothing was asked yet, or all names are forwarded (see `cenote servers`)")
		return err
	}
	_, _ = fmt.Fprintf(std.out, "zone %s%s\n\n", d.Zone, delegationText(d))
	t := newServerTable(std.out, "SERVER")
	for _, s := range d.Servers {
		if len(s.Addresses) == 0 {
			t.row(s.Name, "-", "address not known")
		}
		for i := range s.Addresses {
			t.row(append([]string{s.Name}, serverRow(&s.Addresses[i])...)...)
		}
	}
	return t.flush()
}

func delegationText(d *api.DelegationAnswer) string {
	signed := ", without DS"
	if d.Signed {
		signed = ", with DS"
	}
	switch {
	case d.Forwarded:
		return ", forwarded to other resolvers"
	case d.Stub:
		return ", whose servers the configuration names"
	}
	return fmt.Sprintf(", delegated by %s%s, for %v more", d.Parent, signed, time.Duration(d.TTL)*time.Second)
}

func printServerLists(std streams, a *api.ServersAnswer) error {
	for _, list := range []struct {
		title   string
		servers []api.ServerAnswer
	}{{"upstreams", a.Upstreams}, {"slowest servers of zones", a.Slowest}, {"busiest servers of zones", a.Busiest}} {
		if len(list.servers) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(std.out, "%s\n", list.title)
		t := newServerTable(std.out)
		for i := range list.servers {
			t.row(serverRow(&list.servers[i])...)
		}
		if err := t.flush(); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(std.out)
	}
	if len(a.Upstreams)+len(a.Busiest) == 0 {
		_, _ = fmt.Fprintln(std.err, "no server has been asked yet")
	}
	return nil
}

func newServerTable(to io.Writer, first ...string) *table {
	return newTable(to, append(first, "ADDRESS", "STATE", "RTT", "QUERIES", "TCP", "REPLIES", "TIMEOUTS", "UNREACHED", "SERVFAIL", "REFUSED", "REJECTED")...)
}

func serverRow(s *api.ServerAnswer) []string {
	n := func(v uint64) string { return strconv.FormatUint(v, 10) }
	rtt := "-"
	if s.RTT > 0 {
		rtt = milliseconds(s.RTT)
	}
	return []string{s.Address, serverState(s), rtt, n(s.Queries), n(s.TCP), n(s.Replies), n(s.Timeouts), n(s.Unreachable), n(s.ServFail), n(s.Refusals), n(s.Rejected)}
}

func serverState(s *api.ServerAnswer) string {
	out := "up"
	switch {
	case !s.Known:
		out = "not asked lately"
	case !s.Up:
		out = "down"
	}
	if s.Lame {
		out += ", lame"
	}
	if !s.EDNS {
		out += ", no EDNS"
	}
	if !s.KeepsCase {
		out += ", folds case"
	}
	return out
}

type anchorsCommand struct {
	socketFlag
	JSON bool `help:"Print JSON."`
}

// Run shows how the trust anchors of the running server stand.
func (c *anchorsCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var answer api.AnchorsAnswer
	if err := client.Get(ctx, "/v1/anchors", nil, &answer); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printAnchors(std, &answer, time.Now())
}

func printAnchors(std streams, a *api.AnchorsAnswer, now time.Time) error {
	if !a.Validates {
		_, _ = fmt.Fprintln(std.err, "nothing is validated here: names are forwarded, or recursion.validation is off")
	}
	for i := range a.Anchors {
		if err := printAnchor(std.out, &a.Anchors[i], now); err != nil {
			return err
		}
	}
	if len(a.Negative) == 0 {
		return nil
	}
	t := newTable(std.out, "NOT VALIDATED", "UNTIL", "LEFT")
	for _, n := range a.Negative {
		if n.Until == nil {
			t.row(n.Name, "-", "until it is taken out of the configuration")
		} else {
			t.row(n.Name, stamp(*n.Until), until(*n.Until, now))
		}
	}
	return t.flush()
}

func printAnchor(to io.Writer, a *api.AnchorAnswer, now time.Time) error {
	_, _ = fmt.Fprintf(to, "zone %s", a.Zone)
	switch {
	case a.Gone:
		_, _ = fmt.Fprint(to, ": all anchors are revoked; nothing in it can be validated until it gets a new one")
	case a.Next != nil:
		_, _ = fmt.Fprintf(to, ", next look at its keys %s (%s)", stamp(*a.Next), until(*a.Next, now))
	default:
		_, _ = fmt.Fprint(to, ", roll-overs are not followed")
	}
	_, _ = fmt.Fprintln(to)
	t := newTable(to, "KEY", "ALGORITHM", "STATE", "SINCE", "SEEN")
	for _, d := range a.DS {
		t.row(strconv.Itoa(int(d.Tag)), strconv.Itoa(int(d.Algorithm)), "configured (DS, digest "+strconv.Itoa(int(d.Digest))+")", "-", "-")
	}
	for _, k := range a.Keys {
		seen := "-"
		if k.Seen != nil {
			seen = stamp(*k.Seen)
		}
		t.row(strconv.Itoa(int(k.Tag)), strconv.Itoa(int(k.Algorithm)), k.State, stamp(k.Since), seen)
	}
	_, _ = fmt.Fprintln(t.w)
	return t.flush()
}
