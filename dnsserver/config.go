package dnsserver

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"cenote/policy"
	"cenote/querylog"
	"cenote/rrcache"
	"cenote/sighting"
	"cenote/zone"
)

// Config is what a server is made from. Policy, Cache and Resolver must be set.
type Config struct {
	// Listen are the addresses to serve. Example: 192.0.2.1:53, UDP and TCP.
	Listen []Listen
	// Policy returns the policy in force, or nil before the first is published. It is called once a query and must not wait.
	Policy func() *policy.Policy
	// Cache holds answers as the world gave them; policy is applied on the way out.
	Cache *rrcache.Cache
	// Zones returns the zones that are served with authority, or nil. It is called once a query and must not wait. Nil: there are none.
	Zones func() *zone.Set
	// Updates makes the changes that messages ask for. It must be set if a zone takes updates.
	Updates Updater
	// Notices takes what primaries tell of changed zones (NOTIFY). It must be set if a zone hears notices.
	Notices NoticeTaker
	// Resolver asks the network for what the cache does not hold.
	Resolver Resolver
	// Referral names the servers that know more about a question of a client who does not want recursion, in a message as Resolve gives it; nil for none.
	// It asks nobody and never waits. Nil: there are never any.
	Referral func(key *rrcache.Key) []byte
	// OneQuery prepares the context of all that one query asks the Resolver and Paths for, so that they may bound it together. asker is the client's
	// address, with as many bits as others may be told of it; not valid for none. Nil: nothing.
	OneQuery func(ctx context.Context, asker netip.Prefix) context.Context
	// Paths finds name servers for the rules about them. Nil: those rules match nothing.
	Paths PathFinder
	// Sightings take the matches. Nil: matches are only counted.
	Sightings *sighting.Store
	// Queries is the query log. Nil: none.
	Queries *querylog.Log
	// Settings are the ones to begin with; Server.Apply replaces them.
	Settings Settings
	// Bounds limit what clients can make the server hold.
	Bounds Bounds
	// Now is the clock by which queries come: that of the cache, of the policy and of what is written down. Nil: time.Now.
	Now func() time.Time
	// Log gets one line an event, none a query. Nil: slog.Default.
	Log *slog.Logger

	spread func([]*udpSocket) error // nil: spreadUDP
}

// Listen is one address on which DNS is served.
type Listen struct {
	// Addr is the address and port; a wildcard address serves all, and replies leave from the one that was asked. Port 0 lets
	// the kernel choose.
	Addr netip.AddrPort
	// UDP and TCP say which of the two are served.
	UDP, TCP bool
	// TLS has all that comes over TCP be encrypted (RFC 7858), and is nil for what is not. There is no UDP beside it.
	TLS *TLSFiles
}

// Bounds limit what clients can make the server hold; zero stands for the default.
type Bounds struct {
	// Workers is how many UDP sockets share each address, each with a worker of its own. Default: one a core.
	Workers int
	// ByCore has the kernel choose among them by the core on which a datagram came in, not by chance: that keeps cores from sharing the lock of
	// a socket, but a network card that uses one core keeps one worker busy. It holds from New on. Default: by chance.
	ByCore bool
	// Waiting is how many queries wait for the network at once; beyond it they get SERVFAIL, or a stale answer if there is one.
	// Default 10000.
	Waiting int
	// ReceiveBuffer is the kernel's buffer of each UDP socket, in octets, for datagrams that come in and, as large, for replies. Default 4 MiB.
	ReceiveBuffer int
	// Connections is how many TCP connections are open at once, but for a few of clients outside the access list. Default 4096.
	Connections int
	// PerClient is how many of them one client network may hold. Default 64.
	PerClient int
	// Pipeline is how many queries of one connection are worked on at once (RFC 7766 section 6.2.1.1). Default 64.
	Pipeline int
	// Idle is how long a connection without a query stays open. Default 10s.
	Idle time.Duration
	// Read is how long a client may take to send one query once it has begun. Default 3s.
	Read time.Duration
	// Write is how long a client may take to accept one reply. Default 3s.
	Write time.Duration
	// Transfers is how many transfers of zones are sent at once, a quarter of them, or one, to one client network. Default 10.
	Transfers int
	// Shutdown is how long queries in work may take once Run's context has ended. Default 5s.
	Shutdown time.Duration
}

// Resolver asks the network. Both methods are called from many goroutines.
type Resolver interface {
	// Resolve finds the truth about key and writes it as rrcache.Cache.Get would, into dst or, if that is too small, a new slice. It
	// stores what it found in the cache. An error means that there is no answer, not even a stale one; if it has a method
	// EDE() uint16, the reply carries that code (RFC 8914). key and dst are the caller's again when it returns.
	Resolve(ctx context.Context, key *rrcache.Key, dst []byte) (Resolved, error)
	// Prefetch asks for key afresh behind the caller's back. It never waits and copies what it keeps of key.
	Prefetch(key *rrcache.Key)
}

// Updater changes the zones that are served, as UPDATE messages ask (RFC 2136). It is called from many goroutines.
type Updater interface {
	// ApplyUpdate makes the changes of a message, whole or not at all, and returns the RCODE of the reply. Of r it keeps nothing. It may wait for the disk.
	ApplyUpdate(r *zone.UpdateRequest) (rcode int)
}

// NoticeTaker is told that a zone may have changed at a primary. It is called by socket workers, from many goroutines, and never waits.
type NoticeTaker interface {
	// Notice is about a zone that hears notices; apex is canonical and kept by nobody.
	Notice(apex []byte)
}

// PathFinder finds the name servers on the way to a name. It is called from many goroutines.
type PathFinder interface {
	// Path finds what is wanted of them for name, which is canonical and in wire form. Whole says that nothing is missing.
	Path(ctx context.Context, name []byte, wants policy.PathWants) (path policy.Path, whole bool)
}

// Resolved is what a Resolver found.
type Resolved struct {
	Msg   []byte // beside an error: SERVFAIL with the aliases that lead to where there is no answer, or nil
	Stale bool   // past its time: the network did not answer (RFC 8767)
	EDE   uint16 // extended error to pass on, or policy.EDENone
}

func (c *Config) check() error {
	switch {
	case c.Policy == nil:
		return errors.New("dnsserver: no policy source")
	case c.Cache == nil:
		return errors.New("dnsserver: no cache")
	case c.Resolver == nil:
		return errors.New("dnsserver: no resolver")
	}
	return nil
}
