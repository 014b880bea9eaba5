package dnsserver

import (
	"fmt"
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
	"cenote/wire"

	"github.com/gaissmai/bart"
)

// Settings are what a reload may change while the server runs: who may ask, how often, and what is answered without asking
// anyone. Server.Apply swaps them whole; a query sees one Settings from its first step to its last.
type Settings struct {
	// Access says who may ask. The zero value admits nobody: start from DefaultSettings.
	Access Access
	// Rates bound what one client network may ask over UDP.
	Rates Rates
	// Cookies are the DNS cookies of RFC 7873, by which a client proves its address.
	Cookies Cookies
	// Local are the names that are answered here and never asked of the network.
	Local LocalZones
	// Identity is what the server tells about itself in class CH.
	Identity Identity
	// KeepAlive tells clients with EDNS for how long a connection is kept without a query (RFC 7828). Default true.
	KeepAlive bool
	// UDPSize is the largest reply over UDP, in octets, and what we say we take. Default 1232, at least 512. Example: 1400.
	UDPSize int
	// Keys are those that clients may sign their queries with (RFC 8945); nil for none. Example: tsig.NewKeys(…).
	Keys *tsig.Keys
	// HideEDE leaves extended errors (RFC 8914) out of every reply. Default false.
	HideEDE bool
	// RequirePaths gives SERVFAIL where rules look at name servers and not all of them can be found out. Default false: the rules then look at those
	// that are known.
	RequirePaths bool
	// RequirePolicy gives SERVFAIL where nothing has been loaded yet of a feed that might decide. Default false: what is there decides.
	RequirePolicy bool
	// Unchecked says that nobody checks signatures here, so that a client who does not want it (CD) gets the same answers as others. Default false.
	Unchecked bool
	// NAT64 is the prefix behind which IPv4 addresses are put for clients that have IPv6 alone, so that rules about addresses find them (policy.Answer).
	// Default none.
	NAT64 netip.Prefix
}

// Access is the access list. It looks at the address of the peer, never at what a forwarder says of its client.
type Access struct {
	// Allow are the networks that may ask. Default: loopback, private, shared and link-local. Example: 198.51.100.0/24.
	Allow []netip.Prefix
	// Deny are networks inside Allow that may not; the longest prefix decides, and Deny wins where both name the same one.
	Deny []netip.Prefix
	// Drop leaves others without a reply instead of REFUSED. Default false.
	Drop bool
}

// Rates is the rate limit on replies to clients whose address could be forged. Over the rate one reply in Slip is an empty
// one with TC, so that a real client comes back over TCP, and the rest of the queries get none.
type Rates struct {
	// Enabled turns the limit on. Default true.
	Enabled bool
	// PerSecond is the lasting rate of one client network, in queries a second. Default 500.
	PerSecond float64
	// Burst is how many queries a network that was quiet may send at once. Default 1000.
	Burst int
	// IPv4Bits is how much of an IPv4 address makes a client network, in bits. Default 32. Example: 24.
	IPv4Bits int
	// IPv6Bits is the same for IPv6. Default 56, what a household gets.
	IPv6Bits int
	// Slip is which share of the queries over the rate gets a reply: 1 every one, 2 every second, 0 none. Default 2.
	Slip int
	// Networks is how many client networks are followed at once; eight octets each. Default 65536.
	Networks int
	// Exempt are networks without a limit. Default: loopback. Example: another resolver, 198.51.100.25/32.
	Exempt []netip.Prefix
}

// Cookies are the server's DNS cookies (RFC 7873, made as RFC 9018 says, so that servers of other make can share a secret).
type Cookies struct {
	// Enabled answers a client's cookie with ours. Default true.
	Enabled bool
	// Secrets are shared with the other servers of one address: the first makes cookies, all of them are accepted. With none the
	// server makes its own and changes it every Rotate.
	Secrets []CookieSecret
	// Rotate is how long a secret of our own making is used; the one before stays good for as long again. Default 24h.
	Rotate time.Duration
}

// LocalZones are the names answered here. Policy comes first: a listed name among them is answered by its rule, and recorded.
type LocalZones struct {
	// SpecialUse answers private reverse zones (RFC 6303, 7793), localhost, invalid, test (RFC 6761), onion (RFC 7686) and home.arpa
	// (RFC 8375). Default true.
	SpecialUse bool
	// ResolverARPA denies data below resolver.arpa (RFC 9462 section 4), so that clients do not look for a way past. Default true.
	ResolverARPA bool
	// UseApplicationDNS denies use-application-dns.net, the sign on which browsers keep the network's resolver. Default true.
	UseApplicationDNS bool
	// PrivateRelay denies mask.icloud.com and mask-h2.icloud.com, by which devices find a relay past us. Default false.
	PrivateRelay bool
	// MinimalAny answers ANY with a word in place of all records of a name (RFC 8482). Default true.
	MinimalAny bool
	// Deny are further names that, with all below them, do not exist. Example: doh.example.
	Deny []dnsname.Name
	// Except are names of SpecialUse that the network serves itself, answered by the resolver instead. Example: 10.in-addr.arpa.
	Except []dnsname.Name
}

// Identity is what the server tells of itself; empty text means that it does not.
type Identity struct {
	// Version answers version.bind and version.server. Default empty. Example: "cenote".
	Version string
	// Hostname answers hostname.bind and id.server. Default empty. Example: "resolver-1".
	Hostname string
	// NSID answers the EDNS option of that name (RFC 5001), in at most NSIDMax octets. Default empty. Example: "resolver-1".
	NSID string
}

// NSIDMax is how long Identity.NSID may be, in octets: small replies have little room.
const NSIDMax = 32

// DefaultSettings returns what an operator gets who sets nothing.
func DefaultSettings() Settings {
	return Settings{
		Access: Access{Allow: prefixes("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
			"100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10")},
		Rates: Rates{Enabled: true, PerSecond: 500, Burst: 1000, IPv4Bits: 32, IPv6Bits: 56, Slip: 2, Networks: 1 << 16,
			Exempt: prefixes("127.0.0.0/8", "::1/128")},
		Cookies: Cookies{Enabled: true, Rotate: 24 * time.Hour},
		Local:   LocalZones{SpecialUse: true, ResolverARPA: true, UseApplicationDNS: true, MinimalAny: true},
		UDPSize: wire.UDPSafe, KeepAlive: true,
	}
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// settings are Settings made ready for look-ups. They are immutable but for the rate table and the cookie keys, which are atomic.
type settings struct {
	Settings
	access  *bart.Table[bool] // the longest prefix says whether it may ask
	rates   *rateTable        // nil: no limit
	cookies *cookieJar        // nil: no cookies
	local   *localNames
}

// compile checks s and makes it ready. before is what it replaces, or nil: rates and cookie secrets live on in the new one where they
// can, so that a reload forgives nobody and invalidates no client's cookie.
func (s Settings) compile(before *settings) (*settings, error) {
	if s.UDPSize == 0 {
		s.UDPSize = wire.UDPSafe
	}
	if s.UDPSize < wire.UDPMin || s.UDPSize > udpSizeMax {
		return nil, fmt.Errorf("udp size %d: want %d to %d octets", s.UDPSize, wire.UDPMin, udpSizeMax)
	}
	var oldRates *rateTable
	var oldJar *cookieJar
	if before != nil {
		oldRates, oldJar = before.rates, before.cookies
	}
	out := &settings{Settings: s, access: s.Access.table()}
	var err error
	if out.rates, err = newRateTable(s.Rates, oldRates); err != nil {
		return nil, err
	}
	if out.cookies, err = newCookieJar(s.Cookies, oldJar); err != nil {
		return nil, err
	}
	if out.local, err = newLocalNames(s.Local); err != nil {
		return nil, err
	}
	return out, s.Identity.check()
}

// udpSizeMax is the largest UDPSize: beyond it nothing is won, and every socket buffer grows.
const udpSizeMax = 4096

func (a Access) table() *bart.Table[bool] {
	t := &bart.Table[bool]{}
	for _, p := range a.Allow {
		t.Insert(p.Masked(), true)
	}
	for _, p := range a.Deny {
		t.Insert(p.Masked(), false)
	}
	return t
}

func (i Identity) check() error {
	for _, text := range []string{i.Version, i.Hostname} {
		if len(text) > 255 {
			return fmt.Errorf("identity %.20q…: longer than 255 octets", text)
		}
	}
	if len(i.NSID) > NSIDMax {
		return fmt.Errorf("name server identifier %.20q…: longer than %d octets", i.NSID, NSIDMax)
	}
	return nil
}
