package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"cenote/api"
	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/wire"
)

// truth answers the API from the resolver: what the world says, without any policy.
type truth struct{ *resolver.Resolver }

// Resolve asks a question; see api.Truth.
func (t truth) Resolve(ctx context.Context, q api.TruthQuestion) (api.ResolveAnswer, error) {
	rtype := uint16(wire.TypeA)
	if q.Type != "" {
		var err error
		if rtype, err = wire.ParseType(q.Type); err != nil {
			return api.ResolveAnswer{}, err
		}
	}
	key := &rrcache.Key{Name: []byte(q.Name), Type: rtype, Class: wire.ClassIN, DO: q.DNSSEC, CD: q.NoValidation}
	out := api.ResolveAnswer{Name: q.Name.String(), Type: wire.TypeText(rtype)}
	begun := time.Now()
	var got resolver.Result
	var err error
	if q.Trace {
		var trace *resolver.Trace
		got, trace, err = t.Trace(ctx, key)
		out.Trace = traceOf(trace)
		spent := spentOf(trace.Spent)
		out.Trace.Spent = &spent
	} else {
		got, err = t.Resolver.Resolve(ctx, key, nil)
	}
	if errors.Is(err, resolver.ErrType) {
		return api.ResolveAnswer{}, err
	}
	out.Seconds = time.Since(begun).Seconds()
	t.fill(&out, &got, err, q.NoValidation)
	return out, nil
}

// fill writes down what came of a question.
func (t truth) fill(out *api.ResolveAnswer, got *resolver.Result, err error, unchecked bool) {
	code := got.EDE
	if failed, ok := errors.AsType[*resolver.Error](err); ok {
		code = failed.Code
	}
	if code != resolver.EDENone {
		out.Error = &api.ExtendedError{Code: code, Text: extendedErrorText(code)}
	}
	if err != nil {
		out.Rcode, out.Security, out.Reason = wire.RcodeText(wire.RcodeServFail), "unknown", err.Error()
		if code >= dnssec.CodeIndeterminate && code <= dnssec.CodeNoProof {
			out.Security = dnssec.Bogus.String()
		}
		return
	}
	out.Rcode, out.Stale = wire.RcodeText(wire.Rcode(got.Msg)), got.Stale
	sections := sectionsOf(got.Msg)
	out.Answer, out.Authority, out.Additional = sections[0], sections[1], sections[2]
	switch {
	case wire.Rcode(got.Msg) == wire.RcodeServFail:
		out.Security = "unknown"
	case wire.Flags(got.Msg)&wire.FlagAD != 0:
		out.Security = dnssec.Secure.String()
	case t.Validates() && !unchecked:
		out.Security = dnssec.Insecure.String()
	default:
		out.Security = "unchecked"
	}
}

// sectionsOf returns the records of a message in presentation form, by section.
func sectionsOf(msg []byte) (out [3][]api.Record) {
	w, err := wire.Records(msg)
	for err == nil && w.Next() {
		owner, _, err := wire.AppendName(nil, msg, w.NameOff)
		if err != nil {
			break
		}
		out[w.Section] = append(out[w.Section], api.Record{
			Name: strings.TrimSuffix(dnsname.Name(owner).String(), ".") + ".", TTL: w.TTL, Type: wire.TypeText(w.Type), Data: wire.RDataText(msg, &w),
		})
	}
	return out
}

func traceOf(t *resolver.Trace) *api.Trace {
	if t == nil {
		return nil
	}
	out := &api.Trace{Steps: []api.TraceStep{}}
	for _, s := range t.Steps {
		out.Steps = append(out.Steps, stepOf(s))
	}
	return out
}

func stepOf(s *resolver.Step) api.TraceStep {
	out := api.TraceStep{
		Kind: s.Kind.String(), Name: s.Name.String(), Minimised: s.Minimised, Known: s.Known, Seconds: s.Took.Seconds(), Result: s.Result, TTL: s.TTL,
		Proof: s.Proof, DS: keysOf(s.DS), Keys: keysOf(s.Keys), SignedBy: s.SignedBy, Inner: traceOf(s.Inner),
	}
	if s.Type != 0 {
		out.Type = wire.TypeText(s.Type)
	}
	if !s.Zone.IsZero() {
		out.Zone = s.Zone.String()
	}
	if !s.Next.IsZero() {
		out.Next = s.Next.String()
	}
	if s.Server.IsValid() {
		out.Server = s.Server.String()
	}
	if s.Kind == resolver.StepTrust || s.Kind == resolver.StepVerdict {
		out.Security, out.Reason = s.Verdict.Status.String(), s.Verdict.Text
		if s.Verdict.Code != dnssec.CodeNone {
			out.Code = &s.Verdict.Code
		}
	}
	for _, a := range s.Attempts {
		transport := "udp"
		switch {
		case a.TLS:
			transport = "tls"
		case a.TCP:
			transport = "tcp"
		}
		out.Attempts = append(out.Attempts, api.TraceAttempt{
			Server: a.Server.String(), Transport: transport, EDNS: a.EDNS, MixedCase: a.Mixed, Seconds: a.Took.Seconds(), Result: a.Result, Bytes: a.Size,
		})
	}
	return out
}

func keysOf(refs []dnssec.KeyRef) []api.TraceKey {
	var out []api.TraceKey
	for _, r := range refs {
		out = append(out, api.TraceKey(r))
	}
	return out
}

func spentOf(s resolver.Spent) api.TraceSpent {
	out := api.TraceSpent{Packets: s.Packets}
	if s.Bounded {
		out.Left = &api.TraceLeft{
			Packets: s.PacketsLeft, Targets: s.TargetsLeft, TargetFailures: s.FailuresLeft, Referrals: s.ReferralsLeft, Signatures: s.SignaturesLeft,
			SignatureFailures: s.FailingLeft, Hashes: s.HashesLeft,
		}
	}
	return out
}

// Servers tells what is known of servers; see api.Truth.
func (t truth) Servers(name dnsname.Name, most int) api.ServersAnswer {
	var out api.ServersAnswer
	if !name.IsZero() {
		if d, ok := t.Delegation(name); ok {
			out.Delegation = delegationOf(&d)
		}
		return out
	}
	for _, s := range t.Resolver.Servers(most, resolver.Slowest) {
		out.Slowest = append(out.Slowest, serverOf(&s))
	}
	for _, s := range t.Resolver.Servers(most, resolver.Busiest) {
		out.Busiest = append(out.Busiest, serverOf(&s))
	}
	for _, u := range t.Status() {
		out.Upstreams = append(out.Upstreams, serverOf(&resolver.ServerStatus{UpstreamStatus: u, Known: true}))
	}
	return out
}

func delegationOf(d *resolver.Delegation) *api.DelegationAnswer {
	out := &api.DelegationAnswer{Zone: d.Zone.String(), TTL: d.TTL, Stub: d.Stub, Signed: d.Signed, Forwarded: len(d.Forwarded) > 0, Servers: []api.NameServerAnswer{}}
	if !d.Parent.IsZero() {
		out.Parent = d.Parent.String()
	}
	for _, n := range d.Servers {
		server := api.NameServerAnswer{Name: n.Name.String(), Addresses: []api.ServerAnswer{}}
		for i := range n.Places {
			server.Addresses = append(server.Addresses, serverOf(&n.Places[i]))
		}
		out.Servers = append(out.Servers, server)
	}
	for _, u := range d.Forwarded {
		at := serverOf(&resolver.ServerStatus{UpstreamStatus: u, Known: true})
		out.Servers = append(out.Servers, api.NameServerAnswer{Name: at.Address, Addresses: []api.ServerAnswer{at}})
	}
	return out
}

func serverOf(s *resolver.ServerStatus) api.ServerAnswer {
	c := &s.Counts
	return api.ServerAnswer{
		Address: s.Addr.String(), Known: s.Known, Up: s.Up || !s.Known, RTT: s.RTT.Seconds(), EDNS: s.EDNS || !s.Known, KeepsCase: s.KeepsCase || !s.Known,
		Lame: s.Lame, UnderWay: s.UnderWay, Queries: c.Queries, TCP: c.TCP, Replies: c.Replies, Timeouts: c.Timeouts, Unreachable: c.Unreachable,
		ServFail: c.ServFail, Refusals: c.Refusals, Rejected: c.Rejected,
	}
}

// Anchors tells how the trust anchors stand; see api.Truth.
func (t truth) Anchors() api.AnchorsAnswer {
	out := api.AnchorsAnswer{Validates: t.Validates()}
	anchors, negative := t.AnchorStates()
	for i := range anchors {
		out.Anchors = append(out.Anchors, anchorOf(&anchors[i]))
	}
	for _, n := range negative {
		out.Negative = append(out.Negative, api.NegativeAnswer{Name: n.Name.String(), Until: momentOf(n.Until)})
	}
	return out
}

func anchorOf(a *resolver.AnchorStatus) api.AnchorAnswer {
	out := api.AnchorAnswer{
		Zone: a.Zone.String(), Following: a.Following, Next: momentOf(a.Next), Gone: a.Gone, DS: keysOf(a.DS), Keys: []api.AnchorKeyAnswer{},
	}
	if out.DS == nil {
		out.DS = []api.TraceKey{}
	}
	for _, k := range a.Keys {
		out.Keys = append(out.Keys, api.AnchorKeyAnswer{TraceKey: api.TraceKey(k.KeyRef), State: k.State.String(), Since: k.Since.UTC(), Seen: momentOf(k.Seen)})
	}
	return out
}

// momentOf is a time, nil for none.
func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// extendedErrorText is what the registry calls an extended error (RFC 8914 section 4 and after).
func extendedErrorText(code uint16) string {
	texts := []string{
		"other", "unsupported DNSKEY algorithm", "unsupported DS digest type", "stale answer", "forged answer", "DNSSEC indeterminate", "DNSSEC bogus",
		"signature expired", "signature not yet valid", "DNSKEY missing", "RRSIGs missing", "no zone key bit set", "NSEC missing", "cached error",
		"not ready", "blocked", "censored", "filtered", "prohibited", "stale NXDOMAIN answer", "not authoritative", "not supported",
		"no reachable authority", "network error", "invalid data", "signature expired before valid", "too early", "unsupported NSEC3 iterations value",
	}
	if int(code) < len(texts) {
		return texts[code]
	}
	return "other"
}
