package resolver

import (
	"context"
	"net/netip"
	"sync/atomic"
)

// ledger is the packets that are left to all questions that one query of a client leads to, one after the other: its own, those about the name servers on
// the way to it, the target of a rule's CNAME.
type ledger struct {
	packets atomic.Int32
	begun   atomic.Bool // a question has taken from it
	asker   netip.Prefix
}

type ledgerKey struct{}

// OneQuery returns a context for all calls of Resolve and Path that one query of a client leads to: they share the packets of one question. asker is
// the address of the client, and how many bits of it others may be told; not valid for none (RFC 7871 section 7.1.2).
func (r *Resolver) OneQuery(ctx context.Context, asker netip.Prefix) context.Context {
	c := r.state.Load().config.Recursion
	if c == nil {
		return ctx
	}
	l := &ledger{asker: asker}
	l.packets.Store(int32(c.Bounds.Packets))
	return context.WithValue(ctx, ledgerKey{}, l)
}

// ledgerOf returns the ledger of a context, nil if it has none.
func ledgerOf(ctx context.Context) *ledger {
	l, _ := ctx.Value(ledgerKey{}).(*ledger)
	return l
}

// share has a flight take its packets from a ledger. What runs out of one that was begun before says nothing about the name.
func (f *flight) share(l *ledger) {
	if l != nil && f.budget != nil {
		f.budget.packets = &l.packets
		f.inner = l.begun.Swap(true)
	}
}
