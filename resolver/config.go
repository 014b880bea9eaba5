package resolver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"cenote/rrcache"
	"cenote/wire"
)

// Config says whom to ask and how. Zero values stand for the defaults; only Cache has none.
type Config struct {
	// Upstreams are the resolvers that are asked. The quickest that is well is preferred. None: every Resolve fails with ErrNoUpstreams.
	Upstreams []Upstream
	// Recursion, if it is not nil, has names looked for from the root down, and no upstream is asked.
	Recursion *Recursion
	// Cache takes the answers. It stays what it is over an Update.
	Cache *rrcache.Cache
	// Notes are EDNS options that queries to some servers carry. Of several networks that an address is in, the smallest counts. Default none.
	Notes []Note
	// Timeouts say how long to wait.
	Timeouts Timeouts
	// Bounds say how much at once.
	Bounds Bounds
	// PlainCase turns random letter case in queries off. Default false: upstreams that do not keep the case are found out by themselves.
	PlainCase bool
	// Slow has questions that took longer logged, with what they cost. 0: none.
	Slow time.Duration
	// Roots vouch for upstreams that are asked by TLS. Default those of the host.
	Roots *x509.CertPool
	// Owner tells whose a zone is: zones that make their validation costly wait for those of the same owner. Default: what lies below one name of two labels is one's.
	Owner Owner
	// Basis says what all answers depend on, as rrcache.Sources.WithBasis has it: those that the cache dumps under one are taken under no other one. Default "".
	Basis string
	// Now is the clock that the cache is read by. Default time.Now. It stays what it is over an Update.
	Now func() time.Time
	// Log takes what happens to upstreams. Default none. It stays what it is over an Update.
	Log *slog.Logger
}

// Upstream is one resolver that is asked.
type Upstream struct {
	// Addr is where it listens, by UDP and TCP. Example: 192.0.2.53:53.
	Addr netip.AddrPort
	// Group is the rrcache.Key.Group that it answers for. Default 0.
	Group uint16
	// Trusted lets its AD bit through: it validates, and the way to it is safe. Default false: the bit is cleared.
	Trusted bool
	// TLS is the name in its certificate, if it is asked by TLS alone. Default: it is asked by UDP and TCP.
	TLS string
}

// Note is an EDNS option that queries to the servers in a network carry, for operators of those servers who want to know who asks.
type Note struct {
	Servers netip.Prefix // Example: 198.51.100.0/24
	Code    uint16       // of the option. Example: 65001, the first of those for local use (RFC 6891 section 9)
	Data    []byte       // at most NoteMax octets
}

// NoteMax is how many octets a Note has at most.
const NoteMax = 128

// noteFor returns the option for a server, in wire form; nil for none.
func (c *Config) noteFor(server netip.Addr) []byte {
	var best *Note
	for i := range c.Notes {
		if n := &c.Notes[i]; n.Servers.Contains(server) && (best == nil || n.Servers.Bits() > best.Servers.Bits()) {
			best = n
		}
	}
	if best == nil {
		return nil
	}
	return wire.AppendOption(nil, best.Code, best.Data)
}

// Timeouts of a Resolver.
type Timeouts struct {
	// Attempt is how long to wait, at most, before the question is sent again, to another upstream if there is one. An upstream that is
	// known to be quick gets less. The earlier attempt goes on meanwhile. Default 800ms.
	Attempt time.Duration
	// Total is how long a question may take in all. Default 5s.
	Total time.Duration
	// Stale is how long a caller waits before it gets a stale answer, if there is one (RFC 8767 section 5). Default 1.8s; below 0 it gets that at once.
	Stale time.Duration
	// ProbeMin and ProbeMax are the first and the longest pause between two probes of an upstream that is down. Default 1s and 1m.
	ProbeMin, ProbeMax time.Duration
	// Idle is how long a TCP connection is kept for the next query. Default 10s.
	Idle time.Duration
	// Relearn is how long it is believed that an upstream does not keep letter case or does not speak EDNS. Default 10m.
	Relearn time.Duration
}

// Bounds of a Resolver.
type Bounds struct {
	// Outstanding is how many different questions are asked at a time. Default 4096.
	Outstanding int
	// Waiters is how many callers may wait for one question. Default 1024.
	Waiters int
	// Tries is how often one question is sent, to all upstreams together. Default 4, at most 16.
	Tries int
	// PerUpstream is how many attempts may be under way at one upstream. Default 2048.
	PerUpstream int
	// Sockets is how many UDP sockets may be open, each for one query at a time. Default 4096.
	Sockets int
	// Connections is how many TCP connections may be open to one upstream. Default 32.
	Connections int
	// NearMisses is how many packets that are not the reply are ignored before the question is asked again by TCP. Default 8.
	NearMisses int
	// Prefetches is how many questions are asked ahead at a time. Default 16.
	Prefetches int
	// PrefetchQueue is how many more may wait for that. Default 256.
	PrefetchQueue int
}

const triesMax = 16

func (c *Config) setDefaults() {
	t, b := &c.Timeouts, &c.Bounds
	orDefault(&t.Attempt, 800*time.Millisecond)
	orDefault(&t.Total, 5*time.Second)
	orDefault(&t.Stale, 1800*time.Millisecond)
	orDefault(&t.ProbeMin, time.Second)
	orDefault(&t.ProbeMax, time.Minute)
	orDefault(&t.Idle, 10*time.Second)
	orDefault(&t.Relearn, 10*time.Minute)
	orDefault(&b.Outstanding, 4096)
	orDefault(&b.Waiters, 1024)
	orDefault(&b.Tries, 4)
	orDefault(&b.PerUpstream, 2048)
	orDefault(&b.Sockets, 4096)
	orDefault(&b.Connections, 32)
	orDefault(&b.NearMisses, 8)
	orDefault(&b.Prefetches, 16)
	orDefault(&b.PrefetchQueue, 256)
	if c.Recursion != nil {
		own := *c.Recursion
		own.setDefaults()
		c.Recursion = &own
	}
	if c.Owner == nil {
		c.Owner = topLevelOwner
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) check() error {
	if c.Cache == nil {
		return errors.New("resolver: no cache")
	}
	type place struct {
		addr  netip.AddrPort
		group uint16
	}
	named := make(map[place]bool, len(c.Upstreams))
	for _, u := range c.Upstreams {
		if err := u.check(); err != nil {
			return err
		}
		if u.Group > rrcache.GroupMax {
			return fmt.Errorf("group %d of an upstream: want at most %d", u.Group, rrcache.GroupMax)
		}
		if named[place{u.Addr, u.Group}] {
			return fmt.Errorf("upstream %v is named twice", u.Addr)
		}
		named[place{u.Addr, u.Group}] = true
	}
	for _, n := range c.Notes {
		if !n.Servers.IsValid() || len(n.Data) > NoteMax {
			return fmt.Errorf("note for %v: want a network, and at most %d octets", n.Servers, NoteMax)
		}
	}
	if err := c.Timeouts.check(); err != nil {
		return err
	}
	if c.Recursion != nil {
		if err := c.Recursion.check(); err != nil {
			return err
		}
	}
	return c.Bounds.check()
}

func (u *Upstream) check() error {
	a := u.Addr.Addr()
	if !u.Addr.IsValid() || u.Addr.Port() == 0 || a.IsUnspecified() || a.IsMulticast() {
		return fmt.Errorf("upstream %v: want the address and port of one machine", u.Addr)
	}
	return nil
}

func (t *Timeouts) check() error {
	for _, d := range []time.Duration{t.Attempt, t.Total, t.ProbeMin, t.ProbeMax, t.Idle, t.Relearn} {
		if d < 0 {
			return fmt.Errorf("timeout %v: want more than 0", d)
		}
	}
	if t.Attempt > t.Total || t.ProbeMin > t.ProbeMax {
		return fmt.Errorf("timeouts: one attempt (%v) within the total (%v), the first pause of probes (%v) within the last (%v)", t.Attempt, t.Total, t.ProbeMin, t.ProbeMax)
	}
	return nil
}

func (b *Bounds) check() error {
	for _, n := range []int{b.Outstanding, b.Waiters, b.Tries, b.PerUpstream, b.Sockets, b.Connections, b.NearMisses, b.Prefetches, b.PrefetchQueue} {
		if n < 1 {
			return fmt.Errorf("bound %d: want at least 1", n)
		}
	}
	if b.Tries > triesMax {
		return fmt.Errorf("%d tries: want at most %d", b.Tries, triesMax)
	}
	return nil
}
