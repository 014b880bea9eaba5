package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"cenote/api"
)

type resolveCommand struct {
	socketFlag
	Name         string `arg:"" help:"The name."`
	Type         string `arg:"" optional:"" help:"The type of the records, such as AAAA, MX or TYPE65280. Default: A."`
	Trace        bool   `short:"t" help:"Ask anew, whatever the cache holds, and show all that was done: which servers were asked, what they said, and how it was validated."`
	DNSSEC       bool   `name:"dnssec" help:"Show signatures and proofs, too."`
	NoValidation bool   `help:"Take an answer that does not stand up to validation."`
	JSON         bool   `help:"Print JSON."`
}

// resolveTimeout bounds a question that somebody waits for: longer than resolver.total can be.
const resolveTimeout = 70 * time.Second

// Run asks the running server's resolver. Exit status 1 says that there was no answer.
func (c *resolveCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(resolveTimeout)
	if err != nil {
		return err
	}
	name, err := asciiName(c.Name)
	if err != nil {
		return err
	}
	params := url.Values{"name": {name}}
	if c.Type != "" {
		params.Set("type", c.Type)
	}
	for key, set := range map[string]bool{"trace": c.Trace, "dnssec": c.DNSSEC, "no_validation": c.NoValidation} {
		if set {
			params.Set(key, "true")
		}
	}
	var answer api.ResolveAnswer
	if err := client.Get(ctx, "/v1/resolve", params, &answer); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.out, answer)
	} else {
		err = printResolved(std, &answer)
	}
	if answer.Rcode == "SERVFAIL" && err == nil {
		return errReported
	}
	return err
}

func printResolved(std streams, a *api.ResolveAnswer) error {
	to := std.out
	_, _ = fmt.Fprintf(to, "%s %s: %s, %s, in %s\n", a.Name, a.Type, a.Rcode, a.Security, milliseconds(a.Seconds))
	if a.Stale {
		_, _ = fmt.Fprintln(to, "the answer is past its time; nobody had a newer one")
	}
	if a.Reason != "" {
		_, _ = fmt.Fprintf(to, "reason: %s\n", printable(a.Reason))
	}
	if a.Error != nil {
		_, _ = fmt.Fprintf(to, "extended error %d: %s\n", a.Error.Code, a.Error.Text)
	}
	if err := printRecords(to, a); err != nil {
		return err
	}
	if a.Trace != nil {
		_, _ = fmt.Fprintln(to, "\nwhat was done:")
		printTrace(to, a.Trace, 1)
		printSpent(to, a.Trace.Spent)
	}
	if a.Trace == nil && a.Error != nil && a.Error.Code == edeCachedError {
		_, _ = fmt.Fprintln(std.err, "this is remembered from a moment ago; --trace asks anew")
	}
	_, err := fmt.Fprintln(std.err, "No policy is applied here; `cenote explain "+printable(a.Name)+"` says what clients are answered, and why.")
	return err
}

// edeCachedError is the extended error of an answer that says that there was none a moment ago (RFC 8914 section 4.14).
const edeCachedError = 13

func printRecords(to io.Writer, a *api.ResolveAnswer) error {
	for _, section := range []struct {
		name    string
		records []api.Record
	}{{"answer", a.Answer}, {"authority", a.Authority}, {"additional", a.Additional}} {
		if len(section.records) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(to, "\n%s:\n", section.name)
		if err := printSection(to, section.records); err != nil {
			return err
		}
	}
	return nil
}

func printSection(to io.Writer, records []api.Record) error {
	t := newTable(to)
	for _, r := range records {
		t.row("  "+r.Name, fmt.Sprint(r.TTL), r.Type, r.Data)
	}
	return t.flush()
}

// printTrace prints the steps as a tree: what a question needed to be known first is set in.
func printTrace(to io.Writer, t *api.Trace, depth int) {
	indent := strings.Repeat("  ", depth)
	seen := map[string]bool{}
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.Kind == "trust" && seen[s.Name] {
			continue // said above
		}
		seen[s.Name] = seen[s.Name] || s.Kind == "trust"
		_, _ = fmt.Fprintf(to, "%s%s\n", indent, printable(stepText(s)))
		for _, a := range troubled(s) {
			_, _ = fmt.Fprintf(to, "%s    %s\n", indent, printable(attemptText(&a)))
		}
		for _, line := range stepProofs(s) {
			_, _ = fmt.Fprintf(to, "%s    %s\n", indent, printable(line))
		}
		if s.Inner != nil {
			printTrace(to, s.Inner, depth+1)
		}
	}
}

// stepText is a step in one line.
func stepText(s *api.TraceStep) string {
	switch s.Kind {
	case "asked":
		part := ""
		if s.Minimised {
			part = " (a part of the name)"
		}
		return fmt.Sprintf("servers of %s: %s %s%s -> %s%s", s.Zone, s.Name, s.Type, part, resultText(s), fromText(s))
	case "forwarded":
		return fmt.Sprintf("forwarded: %s %s -> %s%s", s.Name, s.Type, resultText(s), fromText(s))
	case "cached":
		return fmt.Sprintf("known from the cache: %s %s, TTL %d", s.Name, s.Type, s.TTL)
	case "question":
		if s.Inner == nil {
			return fmt.Sprintf("needs %s %s, which another question found, in %s", s.Name, s.Type, milliseconds(s.Seconds))
		}
		return fmt.Sprintf("needs %s %s, in %s:", s.Name, s.Type, milliseconds(s.Seconds))
	case "trust":
		known := ""
		if s.Known {
			known = ", known before"
		}
		return fmt.Sprintf("trust of %s: %s%s%s", s.Name, s.Security, because(s), known)
	}
	return fmt.Sprintf("verdict on %s %s (%s): %s%s", s.Name, s.Type, s.Result, s.Security, because(s))
}

func resultText(s *api.TraceStep) string {
	out := s.Result
	if s.Next != "" {
		out += " to " + s.Next
	}
	if s.TTL > 0 {
		out += fmt.Sprintf(", TTL %d", s.TTL)
	}
	return out
}

// fromText says who gave a result.
func fromText(s *api.TraceStep) string {
	if s.Server == "" {
		return ", in " + milliseconds(s.Seconds)
	}
	return fmt.Sprintf(", from %s in %s", s.Server, milliseconds(s.Seconds))
}

func because(s *api.TraceStep) string {
	out := ""
	if s.Code != nil {
		out += fmt.Sprintf(" (%d, %s)", *s.Code, extendedErrorText(*s.Code))
	}
	if s.Reason != "" {
		out += ": " + s.Reason
	}
	return out
}

// troubled are the attempts of a step, unless there was one and it brought the result.
func troubled(s *api.TraceStep) []api.TraceAttempt {
	if a := s.Attempts; len(a) == 1 && a[0].Server == s.Server && a[0].Transport == "udp" && a[0].EDNS && a[0].Result == "NOERROR" {
		return nil
	}
	return s.Attempts
}

func attemptText(a *api.TraceAttempt) string {
	out := fmt.Sprintf("%s by %s", a.Server, a.Transport)
	if !a.EDNS {
		out += " without EDNS"
	}
	if !a.MixedCase {
		out += " in plain case"
	}
	out += fmt.Sprintf(": %s, in %s", a.Result, milliseconds(a.Seconds))
	if a.Bytes > 0 {
		out += fmt.Sprintf(", %d octets", a.Bytes)
	}
	return out
}

// stepProofs are the keys and proofs of a step, a line each.
func stepProofs(s *api.TraceStep) []string {
	var out []string
	if len(s.DS) > 0 {
		out = append(out, "DS "+keysText(s.DS))
	}
	if len(s.Keys) > 0 {
		out = append(out, fmt.Sprintf("keys of %s %s, signed by %d", s.Zone, keysText(s.Keys), s.SignedBy))
	}
	if s.Proof != "" {
		out = append(out, strings.Split(s.Proof, "; ")...)
	}
	return out
}

func keysText(keys []api.TraceKey) string {
	var out []string
	for _, k := range keys {
		text := fmt.Sprintf("%d (algorithm %d", k.Tag, k.Algorithm)
		if k.Digest > 0 {
			text += fmt.Sprintf(", digest %d", k.Digest)
		}
		if k.Flags&1 != 0 {
			text += ", entry point"
		}
		out = append(out, text+")")
	}
	return strings.Join(out, ", ")
}

func printSpent(to io.Writer, s *api.TraceSpent) {
	if s == nil {
		return
	}
	_, _ = fmt.Fprintf(to, "\nspent: %d queries", s.Packets)
	if l := s.Left; l != nil {
		_, _ = fmt.Fprintf(to, "; left: %d queries, %d looks for name servers (%d may fail), %d referrals, %d signatures (%d may fail), %d blocks to hash", l.Packets,
			l.Targets, l.TargetFailures, l.Referrals, l.Signatures, l.SignatureFailures, l.Hashes)
	}
	_, _ = fmt.Fprintln(to)
}

// milliseconds is a time in seconds as people read it.
func milliseconds(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
