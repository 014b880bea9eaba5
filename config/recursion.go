package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cenote/dnsname"
)

// Recursion looks for names from the root down, by asking the servers of the zones themselves, and validates what they say.
type Recursion struct {
	// Enabled turns recursion on. `upstreams` must then be empty: zones that other resolvers know are listed under `forward`.
	Enabled bool `yaml:"enabled" default:"false"`
	// RootHints is a file with the servers of the root and their addresses, in the form of zone files. Without it they are those of the
	// internet.
	RootHints Path `yaml:"root_hints" example:"/etc/cenote/root.hints"`
	// RootZone is a file with the whole root zone, kept up to date by you, which is looked into in place of asking the servers of the root (RFC 8806). Its
	// digest must be right (ZONEMD). When it is older than the zone allows, servers are asked again.
	RootZone Path `yaml:"root_zone" example:"/var/lib/cenote/root.zone"`
	// Port is where the servers of zones listen; another one than 53 is for a root of one's own.
	Port int `yaml:"port" default:"53" min:"1" max:"65535"`
	// IPv4 asks servers by IPv4.
	IPv4 bool `yaml:"ipv4" default:"true"`
	// IPv6 asks servers by IPv6.
	IPv6 bool `yaml:"ipv6" default:"true"`
	// From4 is the address that queries leave from by IPv4. Without it the system chooses.
	From4 netip.Addr `yaml:"from_ipv4" example:"192.0.2.53"`
	// From6 is the address that queries leave from by IPv6. Without it the system chooses.
	From6 netip.Addr `yaml:"from_ipv6" example:"2001:db8::53"`
	// Never are networks whose addresses are not asked, whoever says that a name server is there.
	Never []netip.Prefix `yaml:"never_asked" default:"[0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 240.0.0.0/4, '::/128', '::1/128', 'fe80::/10', 'ff00::/8']"`
	// Minimise tells the servers on the way no more of a name than they need to know (RFC 9156).
	Minimise bool `yaml:"minimise" default:"true"`
	// NothingBelow takes the word of a zone that is not signed that a name is not there for all names below it, too (RFC 8020). It spares its servers floods of such names;
	// some servers deny names that exist only because others lie below them, and those are not found any more. Signed zones prove it, whatever is set here.
	NothingBelow bool `yaml:"nothing_below" default:"false"`
	// Validation checks signatures (DNSSEC).
	Validation Validation `yaml:"validation"`
	// Forward are zones whose names are asked of other resolvers.
	Forward []ForwardZone `yaml:"forward"`
	// Stub are zones whose servers are given here.
	Stub []StubZone `yaml:"stub"`
	// Private keeps private addresses out of the world's answers.
	Private Private `yaml:"private"`
	// DNS64 is the prefix that IPv4 addresses are put behind for names that have no IPv6 addresses (RFC 6147), where clients have IPv6 alone. Its length is
	// 32, 40, 48, 56, 64 or 96.
	DNS64 netip.Prefix `yaml:"dns64" example:"64:ff9b::/96"`
	// Subnets tells the servers of some zones the network of the client that asks.
	Subnets Subnets `yaml:"subnets"`
	// Limits bound the work that one question of a client may make.
	Limits RecursionLimits `yaml:"limits"`
}

// Private keeps private addresses out of the world's answers, so that no name of a stranger leads to a machine of yours (DNS rebinding). Names of
// zones under `forward` and `stub` may have them, unless all names are forwarded.
type Private struct {
	// Deny leaves private addresses out, from answers that are asked for from then on. An answer that has no others is given as if the name had none, with the extended error Blocked.
	Deny bool `yaml:"deny" default:"false"`
	// Addresses are the networks. IPv4 addresses in the form of IPv6 (::ffff:192.0.2.1) always belong to them.
	Addresses []netip.Prefix `yaml:"addresses" default:"[0.0.0.0/8, 10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, '::/127', 'fc00::/7', 'fe80::/10', 'fec0::/10']"`
	// Allow are names at and below which they may be, such as those of your own.
	Allow []dnsname.Name `yaml:"allow" example:"[corp.example]"`
}

// Subnets tells the servers of the zones that are listed the network of the client that asks, for answers that lead to a machine close by (EDNS Client
// Subnet, RFC 7871). No other server is told, and nobody is told of clients with private addresses, or of those that ask for that.
type Subnets struct {
	// Zones are the zones, with those below them. A top-level domain's own servers are told only if it is listed itself.
	Zones []dnsname.Name `yaml:"zones" root:"true" example:"[cdn.example]"`
	// IPv4Prefix is how many bits of an IPv4 address they are told.
	IPv4Prefix int `yaml:"ipv4_prefix" default:"24" min:"1" max:"32"`
	// IPv6Prefix is how many bits of an IPv6 address they are told.
	IPv6Prefix int `yaml:"ipv6_prefix" default:"56" min:"1" max:"128"`
}

// Validation checks what servers say by the signatures of zones (RFC 4035).
type Validation struct {
	// Enabled turns validation on. What does not stand up to it is answered with SERVFAIL.
	Enabled bool `yaml:"enabled" default:"true"`
	// Anchors is a file with the keys that validation begins with, as DS or DNSKEY records or as the XML of IANA. Without it they are those of the
	// internet's root.
	Anchors Path `yaml:"trust_anchors" example:"/etc/cenote/root.key"`
	// Follow changes the trust anchors as their zones roll their keys over (RFC 5011). What is known of that is in the state directory.
	Follow bool `yaml:"follow" default:"true"`
	// Negative are names at and below which nothing is validated, for zones whose owners made a mistake (RFC 7646).
	Negative []NegativeAnchor `yaml:"negative_anchors"`
	// Time is the moment that signatures are judged at, in place of the clock. It is for tests, and a warning in the log.
	Time string `yaml:"time" example:"2026-11-01T12:00:00Z"`
}

// NegativeAnchor is a name at and below which nothing is validated.
type NegativeAnchor struct {
	// Name is the name.
	Name dnsname.Name `yaml:"name" root:"true" required:"true" short:"true" shown:"true" example:"broken.example"`
	// Until is the moment from which it is validated again. Without it that never comes, so give one.
	Until string `yaml:"until" shown:"true" example:"2026-12-01T00:00:00Z"`
}

// ForwardZone is a zone whose names are asked of other resolvers.
type ForwardZone struct {
	// Name is the zone.
	Name dnsname.Name `yaml:"name" root:"true" required:"true" shown:"true" example:"corp.example"`
	// Upstreams are the resolvers. What they call validated is validated here all the same.
	Upstreams []Upstream `yaml:"upstreams" shown:"true"`
	// Hosts are resolvers that are given by name, beside those by address or in place of them. Their addresses are looked for as those of any name are.
	Hosts []UpstreamHost `yaml:"hosts"`
	// Cache keeps the answers. Without, each question is asked of the resolvers anew, for names that are another thing to each who asks, or from one
	// moment to the next.
	Cache bool `yaml:"cache" default:"true"`
	// First asks the servers of the zones where the resolvers have no answer.
	First bool `yaml:"first" default:"false"`
}

// UpstreamHost is a resolver that is given by its name.
type UpstreamHost struct {
	// Name is its name.
	Name dnsname.Name `yaml:"name" required:"true" short:"true" shown:"true" example:"dns.corp.example"`
	// Port is where it listens.
	Port int `yaml:"port" default:"53" min:"1" max:"65535"`
	// TLS is the name in its certificate; it is then asked by TLS alone (mostly at port 853).
	TLS string `yaml:"tls" pattern:"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.]?)+$" example:"dns.corp.example"`
}

// StubZone is a zone whose servers are given.
type StubZone struct {
	// Name is the zone.
	Name dnsname.Name `yaml:"name" root:"true" required:"true" shown:"true" example:"lab.example"`
	// Servers are its servers. Without a port it is 53.
	Servers []netip.AddrPort `yaml:"servers" port:"53" required:"true" shown:"true" example:"[192.0.2.20]"`
	// First looks for a name as if the zone were not listed here, where its servers have no answer.
	First bool `yaml:"first" default:"false"`
}

// RecursionLimits bound the work that one question of a client may make, with all that is asked on the way.
type RecursionLimits struct {
	// Packets is how many queries it may send.
	Packets int `yaml:"packets" default:"100" min:"10" max:"1000"`
	// Targets is how many addresses of name servers it may look for.
	Targets int `yaml:"targets" default:"24" min:"2" max:"200"`
	// TargetFailures is how many of those may be looked for in vain.
	TargetFailures int `yaml:"target_failures" default:"6" min:"1" max:"100"`
	// Looks is how many queries for such addresses it may send to the servers of one zone, and to one server. The root and the top-level domains have no
	// such bound.
	Looks int `yaml:"looks" default:"10" min:"2" max:"100"`
	// Aliases is how many aliases it may follow.
	Aliases int `yaml:"aliases" default:"11" min:"1" max:"16"`
	// PerZone is how many questions may wait for the servers of one zone. Zones of registries, such as those of com and co.uk, have no such bound where
	// the suffix list (compile.suffix_list) names them; those that it knows by a wildcard alone (*.bd) have it, since nobody can tell whose they are.
	PerZone int `yaml:"per_zone" default:"256" min:"1" max:"100000"`
	// Delegations is how many delegations are remembered.
	Delegations int `yaml:"delegations" default:"100000" min:"100" max:"10000000"`
	// Servers is how many servers are remembered, with how they answer.
	Servers int `yaml:"servers" default:"100000" min:"100" max:"10000000"`
}

// at reads a moment in the form of RFC 3339. An empty one is the zero time.
func at(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}

// Moment is Time as a moment, zero if it is not set. Load has checked it.
func (v *Validation) Moment() time.Time { t, _ := at(v.Time); return t }

// Moment is Until as a moment, zero for never. Load has checked it.
func (n *NegativeAnchor) Moment() time.Time { t, _ := at(n.Until); return t }

func (c *Config) checkRecursion(r *reader) {
	n := &c.Recursion
	if n.Enabled && len(c.Upstreams) > 0 {
		r.fault(r.at("recursion.enabled"), "names are looked for from the root down, and upstreams has resolvers to forward them to", "leave one of the two out; zones of other resolvers belong under recursion.forward")
	}
	if !n.IPv4 && !n.IPv6 {
		r.fault(r.at("recursion.ipv6"), "servers are asked by neither IPv4 nor IPv6", "turn one of them on")
	}
	for key, a := range map[string]netip.Addr{"recursion.from_ipv4": n.From4, "recursion.from_ipv6": n.From6} {
		if a.IsValid() && a.Is4() != (key == "recursion.from_ipv4") {
			r.fault(r.at(key), a.String()+" is of the other family", "swap the two")
		}
	}
	forwarded, asked := map[dnsname.Name]bool{}, map[dnsname.Name]bool{}
	for i, f := range n.Forward {
		c.checkServers(r, fmt.Sprintf("recursion.forward[%d]", i), "upstreams", f.Name, addressesOf(f.Upstreams), forwarded)
		c.checkHosts(r, i)
		forwarded[f.Name], asked[f.Name] = true, true
	}
	for i, s := range n.Stub {
		c.checkServers(r, fmt.Sprintf("recursion.stub[%d]", i), "servers", s.Name, s.Servers, asked)
		if s.First && s.Name.IsRoot() {
			r.fault(r.at(fmt.Sprintf("recursion.stub[%d].first", i)), "above the root there is nobody to ask", "leave first out")
		}
		asked[s.Name] = true
	}
	if p := n.DNS64; p.IsValid() && (!p.Addr().Is6() || !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits())) {
		r.fault(r.at("recursion.dns64"), p.String()+" is not a prefix for IPv4 addresses", "such as 64:ff9b::/96; its length is 32, 40, 48, 56, 64 or 96")
	}
	n.Subnets.check(r)
	n.Validation.check(r)
}

// check warns of what tells more than is meant.
func (s *Subnets) check(r *reader) {
	for i, zone := range s.Zones {
		if zone.IsRoot() {
			r.warn(r.at(fmt.Sprintf("recursion.subnets.zones[%d]", i)), "the servers of all zones, the root's among them, are told the clients' networks", "list the zones that answer by it")
		}
	}
	if s.IPv4Prefix > 24 || s.IPv6Prefix > 56 {
		r.warn(r.at("recursion.subnets"), "servers are told more of clients' addresses than 24 bits of IPv4 and 56 of IPv6", "RFC 7871 section 11.1 advises against that")
	}
}

// checkHosts wants a forwarded zone to have resolvers, and some that are found without them.
func (c *Config) checkHosts(r *reader, i int) {
	f := &c.Recursion.Forward[i]
	key := fmt.Sprintf("recursion.forward[%d]", i)
	if len(f.Upstreams)+len(f.Hosts) == 0 && !r.lost(key+".upstreams") && !r.lost(key+".hosts") {
		r.fault(r.at(key), "nobody is named who is to be asked", "add upstreams, or hosts")
	}
	for j, h := range f.Hosts {
		at := fmt.Sprintf("%s.hosts[%d]", key, j)
		if name := h.Name.Canonical(); len(f.Upstreams) == 0 && !f.First && (name == f.Name.Canonical() || name.IsBelow(f.Name.Canonical())) {
			r.fault(r.at(at), h.Name.String()+" has to be found before it can be asked, and its address is asked of itself", "add an address under upstreams")
		}
	}
}

func addressesOf(upstreams []Upstream) (out []netip.AddrPort) {
	for _, u := range upstreams {
		out = append(out, u.Address)
	}
	return out
}

// checkServers looks at the servers of a zone that is asked elsewhere. names are those of the zones before.
func (c *Config) checkServers(r *reader, key, list string, name dnsname.Name, servers []netip.AddrPort, names map[dnsname.Name]bool) {
	if names[name] {
		r.fault(r.at(key+".name"), name.String()+" is here twice", "put all its servers into one")
	}
	for j, a := range servers {
		at := fmt.Sprintf("%s.%s[%d]", key, list, j)
		if a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Port() == 0 {
			r.fault(r.at(at), a.String()+" cannot be asked", "give the address and port of a server")
		}
		if l, loops := c.servedBy(a); loops && !r.lost("listen") {
			r.fault(r.at(at), fmt.Sprintf("%v is this server itself (listen: %v), so queries would go round in a circle", a, l), "give another server, or listen on another port")
		}
		if slices.Contains(servers[:j], a) {
			r.fault(r.at(at), a.String()+" is here twice", "keep one")
		}
	}
}

func (v *Validation) check(r *reader) {
	const form = "such as 2026-12-01T00:00:00Z"
	if _, err := at(v.Time); err != nil {
		r.fault(r.at("recursion.validation.time"), quoted(v.Time)+" is not a moment", form)
	} else if v.Time != "" {
		r.warn(r.at("recursion.validation.time"), "signatures are judged as of "+v.Time+", not as of now: old ones count, new ones do not", "this is for tests; leave it out")
	}
	for i, n := range v.Negative {
		key := r.at(fmt.Sprintf("recursion.validation.negative_anchors[%d].until", i))
		switch until, err := at(n.Until); {
		case err != nil:
			r.fault(key, quoted(n.Until)+" is not a moment", form)
		case n.Until == "":
			r.warn(r.at(fmt.Sprintf("recursion.validation.negative_anchors[%d]", i)), n.Name.String()+" is not validated until somebody takes this out", "say until when: "+strings.TrimPrefix(form, "such as ")+" under until")
		case until.Before(time.Now()):
			r.warn(key, n.Name.String()+" is validated again since "+n.Until, "take the entry out")
		}
	}
}
