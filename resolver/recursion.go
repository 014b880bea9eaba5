package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// Recursion says how names are looked for from the root down, by asking the servers of the zones themselves (RFC 1034 section 5.3.3).
type Recursion struct {
	// Hints are the servers of the root that are asked who serves it now (RFC 8109). Default RootHints.
	Hints []Hint
	// RootZone is a file with the root zone, which is looked into in place of asking its servers (RFC 8806). Default none.
	RootZone string
	// Port is where servers of zones listen. Default 53; another one is for a root of one's own.
	Port uint16
	// NoIPv4 and NoIPv6 leave out servers of one family. Default false.
	NoIPv4, NoIPv6 bool
	// From4 and From6 are the addresses that queries leave from. Default what the system chooses.
	From4, From6 netip.Addr
	// Never are networks whose addresses are not asked, whoever says that a name server is there. Default NeverAsked. An empty list that is not
	// nil asks every address of one machine.
	Never []netip.Prefix
	// WholeNames sends the whole name to every server on the way, which RFC 9156 advises against. Default false.
	WholeNames bool
	// NothingBelow takes a name that is not there as proof that nothing is below it (RFC 8020), in zones that nobody signs too. Default false.
	NothingBelow bool
	// Forwards are zones whose names are asked of other resolvers.
	Forwards []Forward
	// Stubs are zones whose servers are known beforehand, whoever is named elsewhere.
	Stubs []Stub
	// Anchors are the keys that validation begins with. None: nothing is validated.
	Anchors []dnssec.AnchorRecord
	// Follow changes the anchors as their zones roll their keys over (RFC 5011).
	Follow bool
	// AnchorStore keeps the state of the anchors that are followed. Default none: it begins anew at each start.
	AnchorStore AnchorStore
	// Negative turns validation off at and below some names.
	Negative []NegativeAnchor
	// ValidationTime is the time that signatures are judged at. Default Config.Now.
	ValidationTime func() time.Time
	// Private says which addresses the world may not give for its names. Default any.
	Private *Private
	// DNS64 is the prefix that IPv4 addresses are put behind for names that have no IPv6 addresses (RFC 6147). Default none. Example: 64:ff9b::/96.
	DNS64 netip.Prefix
	// Subnets says which zones are told of the clients' networks. Default none.
	Subnets Subnets
	// Bounds say how much work one question may make.
	Bounds RecursionBounds
}

// Hint is a server of the root and its addresses.
type Hint struct {
	Name  dnsname.Name
	Addrs []netip.Addr
}

// Forward is a zone whose names are asked of other resolvers, which recurse. What they say is validated as everything is.
type Forward struct {
	Zone      dnsname.Name
	Upstreams []Upstream // whose Group and Trusted say nothing
	Hosts     []Host     // resolvers that are known by name, beside the Upstreams
	// First asks the servers of the zones where the resolvers have no answer. Default false.
	First bool
	// Uncached has answers given to those who wait for them, and not kept. Default false.
	Uncached bool
}

// Stub is a zone whose servers are known beforehand.
type Stub struct {
	Zone    dnsname.Name
	Servers []netip.AddrPort
	// First asks as if there were no stub where its servers have no answer. Default false.
	First bool
}

// AliasesMax is the most that RecursionBounds.Aliases may be: rules of the policy are applied to that many (policy.ChainMax).
const AliasesMax = 16

// forwardsMax is how many zones may be forwarded: each has a group of upstreams. stubsMax is how many stubs there may be: each is a source with answers of its own.
const (
	forwardsMax = 200
	stubsMax    = 4000
)

// RecursionBounds of a Recursion: what one question of a client may cost, however its zones are made, with all that is asked on the way.
type RecursionBounds struct {
	// Packets are queries sent in all. Default 100.
	Packets int
	// Targets are looks for addresses of name servers. Default 24.
	Targets int
	// TargetFailures are such looks that found nothing (NXNSAttack, CVE-2020-12662). Default 6.
	TargetFailures int
	// Looks are queries for addresses of name servers that are sent to the servers of one zone, and to one server. A zone that names hundreds of servers elsewhere sends
	// no more than that there (NXNSAttack, CVE-2020-12662; NRDelegationAttack, CVE-2022-3204). Default 10.
	Looks int
	// Referrals are steps down to another zone. Default 40.
	Referrals int
	// Aliases are steps of CNAME and DNAME. Default 11.
	Aliases int
	// Depth is how deep a question may need the answers of others. Default 8.
	Depth int
	// PerZone are questions that wait for the servers of one zone that has an owner (Config.Owner), which no top-level domain has, so that a flood of names under one
	// zone leaves room for all others. Default 256.
	PerZone int
	// Cuts are the delegations that are kept. Default 100,000.
	Cuts int
	// Servers are the name servers' addresses of which is remembered how they answer. Default 100,000.
	Servers int
}

// NeverAsked are networks in which no server of a zone is: those of this machine and of its link, and those that are no machine's.
func NeverAsked() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "fe80::/10", "ff00::/8"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func (r *Recursion) setDefaults() {
	b := &r.Bounds
	if r.Hints == nil {
		r.Hints = RootHints()
	}
	if r.Never == nil {
		r.Never = NeverAsked()
	}
	if r.Private != nil && r.Private.Addresses == nil {
		r.Private = &Private{Addresses: PrivateAddresses(), Allow: r.Private.Allow}
	}
	orDefault(&r.Subnets.Bits4, 24)
	orDefault(&r.Subnets.Bits6, 56)
	orDefault(&r.Port, dnsPort)
	for i := range r.Forwards {
		for j := range r.Forwards[i].Hosts {
			orDefault(&r.Forwards[i].Hosts[j].Port, dnsPort)
		}
	}
	orDefault(&b.Packets, 100)
	orDefault(&b.Targets, 24)
	orDefault(&b.TargetFailures, 6)
	orDefault(&b.Looks, 10)
	orDefault(&b.Referrals, 40)
	orDefault(&b.Aliases, aliasesMax)
	orDefault(&b.Depth, 8)
	orDefault(&b.PerZone, 256)
	orDefault(&b.Cuts, 100_000)
	orDefault(&b.Servers, 100_000)
}

func (r *Recursion) check() error {
	if r.NoIPv4 && r.NoIPv6 {
		return errors.New("recursion over neither IPv4 nor IPv6")
	}
	n := 0
	for _, h := range r.Hints {
		for _, a := range h.Addrs {
			if r.mayAsk(a) {
				n++
			}
		}
	}
	if n == 0 && !r.holdsRoot() {
		return errors.New("recursion: no address of a root server that may be asked")
	}
	if err := r.Subnets.check(); err != nil {
		return err
	}
	if err := checkDNS64(r.DNS64); err != nil {
		return err
	}
	if len(r.Forwards) > forwardsMax {
		return fmt.Errorf("%d zones to forward: want at most %d", len(r.Forwards), forwardsMax)
	}
	if len(r.Stubs) > stubsMax {
		return fmt.Errorf("%d stub zones: want at most %d", len(r.Stubs), stubsMax)
	}
	b := &r.Bounds
	for _, v := range []int{b.Packets, b.Targets, b.TargetFailures, b.Looks, b.Referrals, b.Aliases, b.Depth, b.PerZone, b.Cuts, b.Servers} {
		if v < 1 {
			return fmt.Errorf("bound %d of recursion: want at least 1", v)
		}
	}
	if b.Aliases > AliasesMax {
		return fmt.Errorf("%d aliases: want at most %d", b.Aliases, AliasesMax)
	}
	return nil
}

// holdsRoot reports whether it is known without hints whom to ask for the root.
func (r *Recursion) holdsRoot() bool {
	for _, f := range r.Forwards {
		if f.Zone.IsRoot() {
			return true
		}
	}
	for _, s := range r.Stubs {
		if s.Zone.IsRoot() {
			return true
		}
	}
	return false
}

// parentSide returns the name by which the zone is found that answers for a name and type: DS records are the parent's (RFC 4035 section 2.4).
func parentSide(name dnsname.Name, rtype uint16) dnsname.Name {
	if rtype == wire.TypeDS {
		return name.Parent()
	}
	return name
}

// cut is the delegation that a stub stands for, whose group is source.
func (s *Stub) cut(source uint16) *cut {
	return &cut{source: source, zone: s.Zone, parent: s.Zone, own: true, servers: []nameServer{{name: s.Zone, at: s.Servers}}}
}

// mayAsk reports whether a server of a zone may be asked at an address.
func (r *Recursion) mayAsk(a netip.Addr) bool {
	if !a.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.Is4() && r.NoIPv4 || a.Is6() && r.NoIPv6 {
		return false
	}
	for _, p := range r.Never {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// rootTTL is how long hints serve where nobody tells who serves the root.
const rootTTL = 30 * time.Second

// hintCut is the root as the hints have it.
func (r *Recursion) hintCut(now time.Time) *cut {
	z := &cut{zone: dnsname.Root, parent: dnsname.Root, expires: now.Add(rootTTL)}
	for _, h := range r.Hints {
		z.servers = append(z.servers, nameServer{name: h.Name.Canonical(), glue: h.Addrs})
	}
	return z
}
