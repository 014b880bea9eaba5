package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cenote/spelling"
)

// check looks at what no key can know by itself: names that must agree, addresses that meet, limits that contradict each other.
func (c *Config) check(r *reader) {
	c.checkListen(r)
	c.checkAccess(r)
	c.checkLimits(r)
	c.checkFeeds(r)
	c.checkKeys(r)
	c.checkOwnZones(r)
	c.checkCatalogs(r)
	c.checkZones(r)
	c.checkUpstreams(r)
	c.checkRecursion(r)
	c.checkAPI(r)
	c.checkPaths(r)
}

func (c *Config) checkListen(r *reader) {
	if len(c.Listen) == 0 {
		r.fault(r.at("listen"), "the list is empty, so nobody could ask", "such as listen: [{address: 127.0.0.1:53}]")
	}
	for i, l := range c.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		switch {
		case l.Encrypted():
			l.checkTLS(r, key)
		case !l.UDP && !l.TCP:
			r.fault(r.at(key), l.Address.String()+" serves neither UDP nor TCP", "leave out udp: false or tcp: false")
		case !l.TCP:
			r.warn(r.at(key+".tcp"), l.Address.String()+" serves no TCP, so large answers cannot be had from it", "RFC 9210 wants TCP of every server")
		}
		for _, other := range c.Listen[:i] {
			if l.meets(other) {
				r.fault(r.at(key+".address"), fmt.Sprintf("%v is already served by %v", l.Address, other.Address), "keep one of them")
			}
		}
	}
}

// checkTLS wants what TLS needs.
func (l Listen) checkTLS(r *reader, key string) {
	switch {
	case l.TLS.Cert == "" && !r.lost(key+".tls.cert"):
		r.fault(r.at(key+".tls"), "the certificate is missing", "name its file under cert")
	case l.TLS.Key == "" && !r.lost(key+".tls.key"):
		r.fault(r.at(key+".tls"), "the private key of the certificate is missing", "name its file under key")
	}
	if !l.TCP {
		r.fault(r.at(key+".tcp"), l.Address.String()+" serves TLS, which runs over TCP", "leave out tcp: false")
	}
	if l.Address.Port() == 53 {
		r.fault(r.at(key+".address"), "port 53 is for DNS in the clear (RFC 7858 section 3.1)", "give port 853, such as "+netip.AddrPortFrom(l.Address.Addr(), 853).String())
	}
}

// meets reports whether two listeners want the same socket. A wildcard has the whole of its family, and [::] has IPv4 as well.
func (l Listen) meets(o Listen) bool {
	if l.Address.Port() != o.Address.Port() || l.Address.Port() == 0 || !(l.Datagrams() && o.Datagrams() || l.TCP && o.TCP) {
		return false
	}
	return covers(l.Address.Addr(), o.Address.Addr()) || covers(o.Address.Addr(), l.Address.Addr())
}

// covers reports whether a socket on a takes what is sent to b.
func covers(a, b netip.Addr) bool {
	return a == b || a.IsUnspecified() && (a.Is6() || b.Is4())
}

func (c *Config) checkAccess(r *reader) {
	if len(c.Access.Allow) == 0 {
		r.warn(r.at("access.allow"), "nobody may ask", "name the networks of your clients under access.allow")
	}
	for i, p := range c.Access.Allow {
		if p.Bits() == 0 {
			r.warn(r.at(fmt.Sprintf("access.allow[%d]", i)), p.String()+" lets everybody ask: an open resolver is used in attacks on others", "name the networks of your clients")
		}
	}
	for i, d := range c.Access.Deny {
		if !slices.ContainsFunc(c.Access.Allow, func(a netip.Prefix) bool { return a.Overlaps(d) }) {
			r.warn(r.at(fmt.Sprintf("access.deny[%d]", i)), d.String()+" lies in no allowed network, so denying it does nothing", "remove it, or correct access.allow")
		}
	}
}

func (c *Config) checkLimits(r *reader) {
	for _, pair := range []struct {
		low, high       string
		lowest, highest float64
	}{
		{"resolver.timeout", "resolver.total", float64(c.Resolver.Timeout), float64(c.Resolver.Total)},
		{"cache.ttl_min", "cache.ttl_max", float64(c.Cache.TTLMin), float64(c.Cache.TTLMax)},
		{"cache.negative_ttl_min", "cache.negative_ttl_max", float64(c.Cache.NegativeTTLMin), float64(c.Cache.NegativeTTLMax)},
		{"cache.negative_ttl_min", "cache.ttl_max", float64(c.Cache.NegativeTTLMin), float64(c.Cache.TTLMax)},
		{"resolver.probe.first", "resolver.probe.longest", float64(c.Resolver.Probe.First), float64(c.Resolver.Probe.Longest)},
		{"sightings.batch_pairs", "sightings.pairs_max", float64(c.Sightings.BatchPairs), float64(c.Sightings.PairsMax)},
		{"tcp.per_client", "tcp.connections", float64(c.TCP.PerClient), float64(c.TCP.Connections)},
	} {
		if pair.lowest > pair.highest && !r.lost(pair.low) && !r.lost(pair.high) {
			r.fault(r.at(pair.low), "more than "+pair.high, "make it smaller, or the other larger")
		}
	}
	for _, ttl := range []struct {
		key string
		ttl time.Duration
	}{
		{"cache.ttl_min", c.Cache.TTLMin}, {"cache.ttl_max", c.Cache.TTLMax}, {"cache.negative_ttl_min", c.Cache.NegativeTTLMin},
		{"cache.negative_ttl_max", c.Cache.NegativeTTLMax},
		{"cache.stale.ttl", c.Cache.Stale.TTL}, {"cache.stale.max", c.Cache.Stale.Max},
	} {
		checkTTL(r, ttl.key, ttl.ttl)
	}
	if c.Sightings.Retention%(24*time.Hour) != 0 {
		r.fault(r.at("sightings.retention"), "not a number of whole days", "such as 90d")
	}
	c.checkRate(r)
	if n := len(c.LocalZones.NSID); n > nsidMax {
		r.fault(r.at("local_zones.nsid"), fmt.Sprintf("the text has %d octets; %d is the most", n, nsidMax), "it goes into replies, which have little room")
	}
	for key, text := range map[string]string{"local_zones.identity": c.LocalZones.Identity, "local_zones.version": c.LocalZones.Version} {
		if len(text) > identityMax {
			r.fault(r.at(key), fmt.Sprintf("the text has %d octets; %d is the most", len(text), identityMax), "DNS cannot say more in one text")
		}
	}
}

// nsidMax is how many octets leave room for all that a small reply has besides.
const nsidMax = 32

// identityMax is how many octets one text of DNS has (RFC 1035 section 3.3).
const identityMax = 255

// burstMax is how much of its rate a network may use at once.
const burstMax = 4 * time.Hour

func (c *Config) checkRate(r *reader) {
	if r.lost("rate_limit.queries") || r.lost("rate_limit.burst") {
		return
	}
	if worth := float64(c.RateLimit.Burst) / float64(c.RateLimit.Queries); worth > burstMax.Seconds() {
		r.fault(r.at("rate_limit.burst"), fmt.Sprintf("a burst of %d is what %v allows in %.0f hours; %.0f is the most", c.RateLimit.Burst, c.RateLimit.Queries,
			worth/3600, burstMax.Hours()), "make rate_limit.burst smaller, or rate_limit.queries larger")
	}
	if c.RateLimit.Enabled && float64(c.RateLimit.Burst) < float64(c.RateLimit.Queries) {
		r.warn(r.at("rate_limit.burst"), "the burst is less than one second of the rate, so that the rate is never reached", "make rate_limit.burst at least as large as rate_limit.queries")
	}
}

// checkTTL finds times that DNS cannot say.
func checkTTL(r *reader, key string, ttl time.Duration) {
	if ttl%time.Second != 0 {
		r.fault(r.at(key), "not a whole number of seconds", "DNS counts lifetimes in seconds")
	}
}

func (c *Config) checkFeeds(r *reader) {
	names := map[string]int{}
	for i, f := range c.Feeds {
		key := fmt.Sprintf("feeds[%d]", i)
		if first, twice := names[f.Name]; twice && f.Name != "" {
			r.fault(r.at(key+".name"), "two feeds are named "+quoted(f.Name), fmt.Sprintf("the other is on line %d", r.at(fmt.Sprintf("feeds[%d].name", first)).Line))
		} else {
			names[f.Name] = i
		}
		if f.Columns != (Columns{}) && f.Format != FormatCSV && f.Format != FormatAuto {
			r.fault(r.at(key+".columns"), "columns are for feeds of format csv, and this one is "+f.Format.String(), "write format: csv, or remove columns")
		}
		if !c.holds(f.Name) && !r.lost("policy.zones") {
			r.warn(r.at(key+".name"), "no zone holds the feed "+quoted(f.Name)+", so it does nothing", "name it in the feeds of a zone under policy.zones")
		}
	}
	c.checkFeedPaths(r)
	c.checkFetch(r)
}

func (c *Config) checkFeedPaths(r *reader) {
	for i, f := range c.Feeds {
		for _, other := range c.Feeds[:i] {
			if f.Path != "" && f.Path == other.Path {
				r.warn(r.at(fmt.Sprintf("feeds[%d].path", i)), fmt.Sprintf("the feeds %s and %s read the same path", quoted(other.Name), quoted(f.Name)), "one feed can be held by several zones")
			}
		}
	}
}

func (c *Config) holds(feed string) bool {
	found := false
	c.EachZone(func(_ string, z *Zone) { found = found || slices.Contains(z.Feeds, feed) })
	return found
}

func (c *Config) checkZones(r *reader) {
	checkSinkhole(r, "policy.sinkhole", c.Policy.Sinkhole)
	count := 0
	c.EachZone(func(string, *Zone) { count++ })
	if count == 0 {
		r.warn(r.at("policy.zones"), "there is no policy zone, so no name is acted on", "see docs/config.md")
	}
	if count > zonesMax {
		r.fault(r.at("policy.zones"), fmt.Sprintf("there are %d policy zones; %d is the most", count, zonesMax), "one zone can hold many feeds")
	}
	checkZoneNames(r, "policy.zones", c.Policy.Zones)
	c.EachZone(func(key string, z *Zone) { c.checkZone(r, key, z) })
	c.checkViews(r)
}

// checkZoneNames wants the zones of one view to have names of their own.
func checkZoneNames(r *reader, key string, zones []Zone) {
	names := map[string]int{}
	for i := range zones {
		name, here := zones[i].Name, fmt.Sprintf("%s[%d].name", key, i)
		if first, twice := names[name]; twice && name != "" {
			r.fault(r.at(here), "two zones are named "+quoted(name), fmt.Sprintf("the other is on line %d", r.at(fmt.Sprintf("%s[%d].name", key, first)).Line))
		} else {
			names[name] = i
		}
	}
}

func (c *Config) checkZone(r *reader, key string, z *Zone) {
	c.checkZoneFeeds(r, key, z)
	if _, own := r.places[key+".sinkhole"]; own {
		checkSinkhole(r, key+".sinkhole", z.Sinkhole)
	}
	if z.sinkholes() && !z.LogOnly && len(z.Sinkhole.IPv4)+len(z.Sinkhole.IPv6) == 0 && !r.lostWithin(key) && !r.lostWithin("policy.sinkhole") {
		r.fault(r.at(key), "the zone "+quoted(z.Name)+" sinkholes names and has no addresses to answer with", "set policy.sinkhole.ipv4 and policy.sinkhole.ipv6, or the zone's own sinkhole")
	}
	if (z.Action == ActionCNAME || z.Override == OverrideCNAME) && z.Target.IsZero() && !r.lostWithin(key) {
		r.fault(r.at(key), "the zone "+quoted(z.Name)+" leads to no target", "set target, such as target: garden.example")
	}
	if len(z.EDEText) > edeTextMax {
		r.fault(r.at(key+".ede_text"), fmt.Sprintf("the text has %d octets; %d is the most", len(z.EDEText), edeTextMax), "small replies must have room for it")
	}
	checkTTL(r, key+".ttl", z.TTL)
	checkTTL(r, key+".ttl_max", z.TTLMax)
}

func (c *Config) checkViews(r *reader) {
	names := map[string]int{}
	for i := range c.Policy.Views {
		v, key := &c.Policy.Views[i], fmt.Sprintf("policy.views[%d]", i)
		if first, twice := names[v.Name]; twice && v.Name != "" {
			r.fault(r.at(key+".name"), "two views are named "+quoted(v.Name), fmt.Sprintf("the other is on line %d", r.at(fmt.Sprintf("policy.views[%d].name", first)).Line))
		} else {
			names[v.Name] = i
		}
		for _, list := range []struct {
			key   string
			empty bool
		}{{"clients", len(v.Clients) == 0}, {"transports", len(v.Transports) == 0}, {"listeners", len(v.Listeners) == 0}, {"keys", len(v.Keys) == 0}} {
			if _, written := r.places[key+"."+list.key]; written && list.empty && !r.lost(key+"."+list.key) {
				r.fault(r.at(key+"."+list.key), "the list is empty, and without the key the view is for all", "leave the key out if that is meant")
			}
		}
		c.checkKeyNames(r, key+".keys", v.Keys)
		checkZoneNames(r, key+".zones", v.Zones)
		if _, err := time.LoadLocation(v.Schedule.TimeZone); err != nil && !r.lost(key+".schedule.time_zone") {
			r.fault(r.at(key+".schedule.time_zone"), quoted(v.Schedule.TimeZone)+" is no time zone that is known here", "write a name of the IANA database, such as Europe/Berlin")
		}
		if len(v.Clients)+len(v.Transports)+len(v.Listeners)+len(v.Keys)+len(v.Schedule.Days) == 0 && v.Schedule.From == 0 && v.Schedule.To == minutesPerDay {
			r.warn(r.at(key), "the view "+quoted(v.Name)+" is for every question, so that policy.zones and later views are for none", "give it clients, or move its zones to policy.zones")
		}
	}
}

func (z *Zone) sinkholes() bool {
	given := z.Override == OverrideGiven || z.Override == OverrideDataOrPassthru || z.Override == OverrideDataOrDisabled
	return z.Override == OverrideSinkhole || given && z.Action == ActionSinkhole
}

func (c *Config) checkZoneFeeds(r *reader, key string, z *Zone) {
	known := make([]string, len(c.Feeds))
	for i, f := range c.Feeds {
		known[i] = f.Name
	}
	for i, name := range z.Feeds {
		at := fmt.Sprintf("%s.feeds[%d]", key, i)
		if !slices.Contains(known, name) && !slices.Contains(known, "") && !r.lost("feeds") {
			r.fault(r.at(at), fmt.Sprintf("the zone %s holds the feed %s, and there is none of that name", quoted(z.Name), quoted(name)), cmp.Or(spelling.Hint(name, known), "describe it under feeds"))
		}
		if slices.Contains(z.Feeds[:i], name) {
			r.fault(r.at(at), "the feed "+quoted(name)+" is in this zone twice", "keep one")
		}
	}
}

func checkSinkhole(r *reader, key string, s Sinkhole) {
	for _, family := range []struct {
		key   string
		addrs []netip.Addr
		six   bool
	}{{"ipv4", s.IPv4, false}, {"ipv6", s.IPv6, true}} {
		if len(family.addrs) > sinkholeMax {
			r.fault(r.at(key+"."+family.key), fmt.Sprintf("more than %d sinkhole addresses", sinkholeMax), "an answer must fit a datagram")
		}
		for i, a := range family.addrs {
			at := fmt.Sprintf("%s.%s[%d]", key, family.key, i)
			switch {
			case a.Is6() != family.six:
				r.fault(r.at(at), fmt.Sprintf("%v does not belong under %s", a, family.key), "IPv4 addresses stand under ipv4, IPv6 ones under ipv6")
			case a.IsMulticast() || a.Zone() != "" || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
				r.fault(r.at(at), fmt.Sprintf("%v cannot be the address of a sinkhole", a), "give the address of a host")
			}
		}
	}
}

// edeTextMax is how long the text of an extended error may be.
const edeTextMax = 120

// zonesMax is how many zones a policy may have.
const zonesMax = 2048

// sinkholeMax is how many addresses of a family one answer may give.
const sinkholeMax = 8

func (c *Config) checkUpstreams(r *reader) {
	if len(c.Upstreams) == 0 && !c.Resolver.HostUpstreams && !c.Recursion.Enabled {
		r.warn(r.at("upstreams"), "there are no upstreams, so only listed and local names get an answer", "name resolvers under upstreams, or set recursion.enabled")
	}
	for i, u := range c.Upstreams {
		key, addr := fmt.Sprintf("upstreams[%d].address", i), u.Address.Addr()
		if addr.IsUnspecified() || addr.IsMulticast() || u.Address.Port() == 0 {
			r.fault(r.at(key), u.Address.String()+" cannot be asked", "give the address and port of a resolver")
		}
		if u.TLS != "" && u.Address.Port() == 53 {
			r.warn(r.at(key), u.Address.String()+" is asked by TLS at the port of plain DNS", "TLS is mostly at port 853")
		}
		if l, loops := c.servedBy(u.Address); loops && !r.lost("listen") {
			r.fault(r.at(key), fmt.Sprintf("%v is this server itself (listen: %v), so queries would go round in a circle", u.Address, l), "give another resolver, or listen on another port")
		}
		if slices.ContainsFunc(c.Upstreams[:i], func(o Upstream) bool { return o.Address == u.Address }) {
			r.fault(r.at(key), u.Address.String()+" is here twice", "keep one")
		}
	}
}

// servedBy is the listener that takes what is sent to an address. A wildcard is known to take loopback; what other addresses the
// host has is not known here.
func (c *Config) servedBy(a netip.AddrPort) (netip.AddrPort, bool) {
	for _, l := range c.Listen {
		if l.Address == a || l.Address.Port() == a.Port() && a.Addr().IsLoopback() && covers(l.Address.Addr(), a.Addr()) {
			return l.Address, true
		}
	}
	return netip.AddrPort{}, false
}

func (c *Config) checkAPI(r *reader) {
	http := c.API.HTTP
	if !http.IsValid() {
		return
	}
	if !http.Addr().IsLoopback() && c.API.TokenFile == "" && !r.lost("api.token_file") {
		r.fault(r.at("api.http"), http.String()+" is not on loopback, and api.token_file is not set: anybody could read who was seen with what", "set api.token_file, or listen on 127.0.0.1")
	}
	web := Listen{Address: http, TCP: true}
	for _, l := range c.Listen {
		if web.meets(l) && !r.lost("listen") {
			r.fault(r.at("api.http"), fmt.Sprintf("%v is already served by %v", http, l.Address), "give another port")
		}
	}
}

// checkPaths finds files that the server writes and that are also something else.
func (c *Config) checkPaths(r *reader) {
	written := map[Path]string{}
	for _, w := range []struct {
		key  string
		path Path
	}{{"api.socket", c.API.Socket}, {"query_log.path", c.QueryLog.Path}, {"sightings.stream", c.Sightings.Stream}} {
		if w.path == "" {
			continue
		}
		if other, twice := written[w.path]; twice {
			r.fault(r.at(w.key), "the same path as "+other, "give each its own")
		}
		written[w.path] = w.key
	}
	for i, f := range c.Feeds {
		key := fmt.Sprintf("feeds[%d].path", i)
		if other, both := written[f.Path]; both {
			r.fault(r.at(key), fmt.Sprintf("the feed %s reads what %s writes", quoted(f.Name), other), "give each its own path")
		}
		if c.State != "" && f.Path != "" && within(string(c.State), string(f.Path)) {
			r.fault(r.at(key), fmt.Sprintf("the feed %s holds the state directory", quoted(f.Name)), "keep feeds and state apart")
		}
	}
}

// within reports whether a path is the directory itself or lies below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
