package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cenote/blocklist"
	"cenote/config"
	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/sighting"
)

// This file says the operator's words in the words of the rooms: each function takes the configuration and returns what one room is
// made from. Nothing is decided here.

// stateDirs are the places in the state directory.
type stateDirs struct{ state string }

func stateOf(c *config.Config) stateDirs { return stateDirs{string(c.State)} }

func (d stateDirs) policy() string    { return filepath.Join(d.state, "policy") }
func (d stateDirs) sightings() string { return filepath.Join(d.state, "sightings") }
func (d stateDirs) anchors() string   { return filepath.Join(d.state, "anchors") }
func (d stateDirs) zones() string     { return filepath.Join(d.state, "zones") }
func (d stateDirs) keys() string      { return filepath.Join(d.state, "keys") }
func (d stateDirs) answers() string   { return filepath.Join(d.state, "cache", "answers") }

func feeds(c *config.Config) []blocklist.Feed {
	out := make([]blocklist.Feed, len(c.Feeds))
	for i := range c.Feeds {
		out[i] = blocklist.Feed{
			FeedConfig: feedConfig(&c.Feeds[i], string(c.Compile.SuffixList)), Fetch: fetchOf(&c.Feeds[i]),
			ShrinkMax: orNever(c.Feeds[i].ShrinkMax.Share()), AllowOlder: c.Feeds[i].AllowOlder, GrowMax: orNever(c.Feeds[i].GrowMax.Share()),
		}
		protect(c, &c.Feeds[i], &out[i].FeedConfig)
	}
	return out
}

// locatedFeeds are the feeds for whoever reads them without a server: of those with a URL, the list that a server fetched last, and of all what was
// decided of their rows. What was decided and cannot be read does not count, as with a server, which says so.
func locatedFeeds(c *config.Config) []blocklist.Feed {
	decided, _ := blocklist.Decided(stateOf(c).policy(), feeds(c))
	return blocklist.Located(stateOf(c).policy(), decided)
}

// protect says what the rows of a feed must not stop. A feed whose zones all let names through whatever a row says stops nothing.
func protect(c *config.Config, f *config.Feed, out *blocklist.FeedConfig) {
	passes, given := letsThrough(c, f.Name)
	if out.LetsThrough = passes; passes && !given {
		return
	}
	p := &c.Policy.Protect
	if !f.AllowProtected {
		out.Protect = blocklist.Protection{Builtin: p.Builtin, Names: texts(p.Names), Domains: texts(p.Domains), Lists: texts(p.Lists)}
	}
	if !f.AllowPopular && len(p.Popular.Lists) > 0 {
		out.Protect.Popular = blocklist.Popular{Lists: texts(p.Popular.Lists), Hold: p.Popular.Hold, Action: popularActionOf(p.Popular.Action)}
	}
}

// letsThrough reports whether all zones that hold the feed let names through, and whether in one of them a row's own action counts.
func letsThrough(c *config.Config, feed string) (passes, given bool) {
	held := 0
	passes = true
	c.EachZone(func(_ string, z *config.Zone) {
		if !slices.Contains(z.Feeds, feed) {
			return
		}
		held++
		keeps := overrideOf(z.Override) == policy.ActionDefault
		given = given || keeps
		passes = passes && (z.Override == config.OverridePassthru || keeps && z.Action == config.ActionPassthru)
	})
	return passes && held > 0, given
}

// texts are names or paths as text.
func texts[T config.Path | dnsname.Name](list []T) []string {
	var out []string
	for _, v := range list {
		switch v := any(v).(type) {
		case config.Path:
			out = append(out, string(v))
		case dnsname.Name:
			out = append(out, v.String())
		}
	}
	return out
}

func popularActionOf(a config.PopularAction) blocklist.PopularAction {
	switch a {
	case config.PopularLogOnly:
		return blocklist.PopularLogOnly
	case config.PopularServe:
		return blocklist.PopularServed
	case config.PopularHold:
	}
	return blocklist.PopularHeld
}

func fetchOf(f *config.Feed) blocklist.Fetch {
	if len(f.Primaries) > 0 {
		return blocklist.Fetch{Transfer: transferOf(f), Timeout: f.Timeout}
	}
	if f.URL == "" {
		return blocklist.Fetch{}
	}
	return blocklist.Fetch{
		URL: string(f.URL), Interval: f.Interval, Timeout: f.Timeout, AuthHeaderFile: string(f.AuthHeaderFile), CAFile: string(f.CAFile),
		AllowPrivate: f.AllowPrivate, MinisignKey: f.MinisignKey, TAXII: f.TAXII, MISP: f.MISPFeed, Resync: f.Resync,
	}
}

func feedConfig(f *config.Feed, suffixList string) blocklist.FeedConfig {
	out := blocklist.FeedConfig{
		Name: f.Name, Path: string(f.Path), Files: f.Files, Match: matchOf(f.Match), Lenient: f.Lenient,
		Addresses: addressesOf(f.Addresses), Compromised: compromisedOf(f.Compromised),
		Family: f.Family, Threat: f.Threat, Confidence: uint8(f.Confidence), TTL: f.Expire,
		Columns: blocklist.Columns{
			Indicator: f.Columns.Name, Type: f.Columns.Type, Family: f.Columns.Family, Threat: f.Columns.Threat,
			Confidence: f.Columns.Confidence, Date: f.Columns.Date, Expiry: f.Columns.Expire,
			Reference: f.Columns.Reference, Comment: f.Columns.Comment,
		},
		SuffixList: suffixList, AllowSuffixes: f.AllowPublicSuffix, AllowPrivateSuffixes: f.AllowPrivateSuffix, AllowEmpty: f.AllowEmpty,
		AllowHTML: f.AllowHTML, AllAttributes: f.AllAttributes, ErrorMax: orNever(f.ErrorMax.Share()),
		Limits: blocklist.Limits{
			SourceBytes: int64(f.Limits.Size), ContentBytes: int64(f.Limits.Unpacked), Files: f.Limits.Files, Rows: f.Limits.Rows,
		},
	}
	if f.Format != config.FormatAuto {
		out.Format = f.Format.String()
	}
	if !f.Zone.IsZero() {
		out.Zone = f.Zone.String()
	}
	return out
}

func addressesOf(a config.Addresses) blocklist.Addresses {
	switch a {
	case config.AddressesServers:
		return blocklist.AddressesServers
	case config.AddressesIgnored:
		return blocklist.AddressesIgnored
	case config.AddressesAnswered:
	}
	return blocklist.AddressesAnswered
}

func compromisedOf(c config.Compromised) blocklist.Compromised {
	switch c {
	case config.CompromisedServe:
		return blocklist.CompromisedServed
	case config.CompromisedNXDOMAIN:
		return blocklist.CompromisedNXDOMAIN
	case config.CompromisedNODATA:
		return blocklist.CompromisedNODATA
	case config.CompromisedTCPOnly:
		return blocklist.CompromisedTCPOnly
	case config.CompromisedLogOnly:
	}
	return blocklist.CompromisedRecorded
}

func matchOf(m config.Match) blocklist.Match {
	switch m {
	case config.MatchExact:
		return blocklist.MatchExact
	case config.MatchSubtree:
		return blocklist.MatchSubtree
	case config.MatchBelow:
		return blocklist.MatchBelow
	case config.MatchDefault:
	}
	return blocklist.MatchDefault
}

// compileSettings says how feeds are watched and compiled; program compiles them, nil is this one.
func compileSettings(c *config.Config, program []string) blocklist.Settings {
	k := &c.Compile
	return blocklist.Settings{
		Poll: k.Poll, Debounce: k.Debounce, PollOnly: k.PollOnly, Mapped: k.Mapped, History: k.History, HistoryBytes: orNever(int64(k.HistorySize)),
		Child: blocklist.ChildConfig{Command: program, MemoryBytes: int64(k.Memory), Cores: k.Cores, Processors: k.Processors, Timeout: k.Timeout},
	}
}

// policyOrder is in which order the feeds decide, and for whom.
func policyOrder(c *config.Config) blocklist.Order {
	out := blocklist.Order{
		Zones: policyZones(c.Policy.Zones, c.Policy.Strict), AnswerEarly: c.Policy.AnswerEarly && !c.Policy.Strict,
		WaitRecurse: c.Policy.QNAMEWaitRecurse || c.Policy.Strict,
		Paths:       policy.PathWants{MinDots: c.Policy.MinNSDots, WaitNames: c.Policy.NSDNAMEWaitRecurse, WaitAddresses: c.Policy.NSIPWaitRecurse},
	}
	for i := range c.Policy.Views {
		out.Views = append(out.Views, policyView(&c.Policy.Views[i], c.Policy.Strict))
	}
	return out
}

func policyView(v *config.View, strict bool) policy.View {
	out := policy.View{
		Name: v.Name, Clients: v.Clients, Listeners: v.Listeners, Shadow: v.Shadow || v.Canary == 0, Zones: policyZones(v.Zones, strict),
		Schedule: policy.Schedule{From: int(v.Schedule.From), To: int(v.Schedule.To)},
	}
	if share := v.Canary.Share(); share < 1 && share > 0 {
		out.Canary = share
	}
	for _, key := range v.Keys {
		out.Keys = append(out.Keys, key.Canonical())
	}
	for _, t := range v.Transports {
		switch t {
		case config.TransportUDP:
			out.Transports = append(out.Transports, policy.TransportUDP)
		case config.TransportTCP:
			out.Transports = append(out.Transports, policy.TransportTCP)
		case config.TransportTLS:
			out.Transports = append(out.Transports, policy.TransportTLS)
		}
	}
	for _, day := range v.Schedule.Days {
		out.Schedule.Days[day.Weekday()] = true
	}
	out.Schedule.Location, _ = time.LoadLocation(v.Schedule.TimeZone) // which is checked
	return out
}

func policyZones(zones []config.Zone, strict bool) []policy.Zone {
	out := make([]policy.Zone, len(zones))
	for i := range zones {
		out[i] = policyZone(&zones[i])
		out[i].RecursiveOnly, out[i].KeepSigned = out[i].RecursiveOnly || strict, out[i].KeepSigned || strict
		out[i].AddSOA = out[i].AddSOA || strict
	}
	return out
}

func policyZone(z *config.Zone) policy.Zone {
	out := policy.Zone{
		Name: z.Name, Feeds: z.Feeds, Action: actionOf(z.Action), Override: overrideOf(z.Override), LogOnly: z.LogOnly, Observe: z.Observe,
		IPv4: z.Sinkhole.IPv4, IPv6: z.Sinkhole.IPv6, TTL: seconds(z.TTL), TTLMax: seconds(z.TTLMax), EDE: policy.EDENone, EDEText: z.EDEReference,
		RecursiveOnly: z.RecursiveOnly, KeepSigned: !z.BreakDNSSEC, Target: z.Target, Message: z.EDEText, AddSOA: z.AddSOA,
		LocalDataOr: localDataOr(z.Override), QNAMEAsNS: z.QNAMEAsNS, IPAsNS: z.IPAsNS,
	}
	if code, ok := z.EDE.Code(); ok {
		out.EDE = code
	}
	return out
}

func localDataOr(o config.Override) policy.Action {
	switch o {
	case config.OverrideDataOrPassthru:
		return policy.ActionPassthru
	case config.OverrideDataOrDisabled:
		return policy.ActionDisabled
	}
	return policy.ActionDefault
}

func actionOf(a config.Action) policy.Action {
	switch a {
	case config.ActionSinkhole:
		return policy.ActionSinkhole
	case config.ActionNXDOMAIN:
		return policy.ActionNXDOMAIN
	case config.ActionNODATA:
		return policy.ActionNODATA
	case config.ActionPassthru:
		return policy.ActionPassthru
	case config.ActionDrop:
		return policy.ActionDrop
	case config.ActionTCPOnly:
		return policy.ActionTCPOnly
	case config.ActionCNAME:
		return policy.ActionLocalData
	}
	return policy.ActionDefault
}

func overrideOf(o config.Override) policy.Action {
	switch o {
	case config.OverrideGiven, config.OverrideDataOrPassthru, config.OverrideDataOrDisabled:
		return policy.ActionDefault
	case config.OverrideDisabled:
		return policy.ActionDisabled
	case config.OverrideSinkhole, config.OverrideNXDOMAIN, config.OverrideNODATA, config.OverridePassthru, config.OverrideDrop, config.OverrideTCPOnly,
		config.OverrideCNAME:
		return actionOf(config.Action(o))
	}
	return policy.ActionDefault
}

func listenAddrs(c *config.Config) []dnsserver.Listen {
	out := make([]dnsserver.Listen, len(c.Listen))
	for i, l := range c.Listen {
		out[i] = dnsserver.Listen{Addr: l.Address, UDP: l.Datagrams(), TCP: l.TCP}
		if l.Encrypted() {
			out[i].TLS = &dnsserver.TLSFiles{Cert: string(l.TLS.Cert), Key: string(l.TLS.Key)}
		}
	}
	return out
}

func serverBounds(c *config.Config) dnsserver.Bounds {
	return dnsserver.Bounds{
		Workers: c.Limits.Workers, Transfers: c.Limits.Transfers, ByCore: c.Limits.Steering == config.SteerCPU, Waiting: c.Limits.Waiting, ReceiveBuffer: int(c.Limits.ReceiveBuffer),
		Connections: c.TCP.Connections, PerClient: c.TCP.PerClient, Pipeline: c.TCP.Pipeline,
		Idle: c.TCP.Idle, Read: c.TCP.Read, Write: c.TCP.Write, Shutdown: max(c.Limits.Shutdown, 1), // 0 is "not set" there, and "at once" here
	}
}

func serverSettings(c *config.Config) (dnsserver.Settings, error) {
	secrets, err := c.Cookies.Read()
	keys, keysErr := signingKeys(c)
	return dnsserver.Settings{
		Keys:   keys,
		Access: dnsserver.Access{Allow: c.Access.Allow, Deny: c.Access.Deny, Drop: c.Access.Refuse == config.RefusalDrop},
		Rates: dnsserver.Rates{
			Enabled: c.RateLimit.Enabled, PerSecond: float64(c.RateLimit.Queries), Burst: c.RateLimit.Burst, Slip: c.RateLimit.Slip,
			IPv4Bits: c.RateLimit.IPv4Prefix, IPv6Bits: c.RateLimit.IPv6Prefix, Networks: c.RateLimit.Networks, Exempt: c.RateLimit.Exempt,
		},
		Cookies: dnsserver.Cookies{Enabled: c.Cookies.Enabled, Secrets: cookieSecrets(secrets), Rotate: c.Cookies.Rotate},
		Local: dnsserver.LocalZones{
			SpecialUse: c.LocalZones.SpecialUse, ResolverARPA: c.LocalZones.ResolverARPA, UseApplicationDNS: c.LocalZones.UseApplicationDNS,
			PrivateRelay: c.LocalZones.PrivateRelay, MinimalAny: c.LocalZones.MinimalANY, Deny: c.LocalZones.Deny, Except: c.LocalZones.Except,
		},
		Identity:  dnsserver.Identity{Version: c.LocalZones.Version, Hostname: c.LocalZones.Identity, NSID: c.LocalZones.NSID},
		KeepAlive: c.TCP.KeepAlive, Unchecked: c.Recursion.Enabled && !c.Recursion.Validation.Enabled,
		UDPSize: c.Limits.UDPSize,
		HideEDE: !c.Policy.ExtendedErrors, RequirePaths: c.Policy.NSRequired, RequirePolicy: c.Policy.ServfailUntilReady, NAT64: c.Recursion.DNS64,
	}, errors.Join(err, keysErr)
}

// seconds is d in whole seconds, rounded up, as TTLs are counted.
func seconds(d time.Duration) uint32 { return uint32((d + time.Second - 1) / time.Second) }

func cookieSecrets(secrets [][16]byte) []dnsserver.CookieSecret {
	out := make([]dnsserver.CookieSecret, len(secrets))
	for i, s := range secrets {
		out[i] = s
	}
	return out
}

func cacheConfig(c *config.Config) rrcache.Config {
	return rrcache.Config{
		Bytes: int64(c.Cache.Size), TTLMin: c.Cache.TTLMin, TTLMax: c.Cache.TTLMax, NegativeTTLMin: c.Cache.NegativeTTLMin,
		NegativeTTLMax: c.Cache.NegativeTTLMax,
		FailureTTL:     c.Cache.FailureTTL, MessageMax: int(c.Cache.AnswerMax), PrefetchShare: orNever(c.Cache.Prefetch.Share()),
		StaleMax: orNever(c.Cache.Stale.Max), StaleTTL: c.Cache.Stale.TTL, StaleHold: c.Cache.Stale.Hold,
	}
}

// orNever says a 0 of the operator, which turns a thing off, as the rooms want it: there 0 is "not set", and below 0 is off.
func orNever[T time.Duration | float64 | int64](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// resolverConfig is whom to ask, and how, as the configuration and the files that it names have it.
func resolverConfig(c *config.Config, cache *rrcache.Cache, now func() time.Time, log *slog.Logger) (resolver.Config, error) {
	out, err := askingOf(c, cache, now, log)
	out.Basis = basis(c, &out)
	return out, err
}

func askingOf(c *config.Config, cache *rrcache.Cache, now func() time.Time, log *slog.Logger) (resolver.Config, error) {
	r := &c.Resolver
	out := resolver.Config{
		Cache: cache, PlainCase: !r.RandomCase, Now: now, Log: log, Slow: r.Slow, Owner: owner(string(c.Compile.SuffixList), log),
		Timeouts: resolver.Timeouts{
			Attempt: r.Timeout, Total: r.Total, Stale: orNever(r.StaleWait), ProbeMin: r.Probe.First, ProbeMax: r.Probe.Longest, Idle: r.Idle, Relearn: r.Relearn,
		},
		Bounds: resolver.Bounds{
			Outstanding: r.Outstanding, Tries: r.Tries, Waiters: r.Limits.Waiters, PerUpstream: r.Limits.PerUpstream, Sockets: r.Limits.Sockets,
			Connections: r.Limits.Connections, NearMisses: r.Limits.NearMisses, Prefetches: r.Limits.Prefetches, PrefetchQueue: r.Limits.PrefetchQueue,
		},
	}
	for _, n := range r.Notes {
		out.Notes = append(out.Notes, resolver.Note{Servers: n.Servers, Code: uint16(n.Option), Data: []byte(n.Text)})
	}
	out.Upstreams = upstreams(c.Upstreams)
	if len(c.Upstreams) == 0 && r.HostUpstreams && !c.Recursion.Enabled {
		out.Upstreams = hostUpstreams(c)
	}
	var err error
	if out.Roots, err = config.Authorities(r.CAFile); err != nil {
		return out, fmt.Errorf("resolver.ca_file: %w", err)
	}
	if !c.Recursion.Enabled {
		return out, nil
	}
	out.Recursion, err = recursion(&c.Recursion, anchorFiles(stateOf(c).anchors()))
	return out, err
}

// owner tells whose a zone is by a Public Suffix List, which is read when somebody wants to know for the first time. Without one it is told by two labels.
func owner(file string, log *slog.Logger) resolver.Owner {
	read := sync.OnceValue(func() *blocklist.Registrants {
		r, err := blocklist.NewRegistrants(file)
		if err != nil {
			log.Warn("whose a zone is cannot be told by the suffix list, and is told by the last two labels of its name", "err", err)
		}
		return r
	})
	return func(zone dnsname.Name) (dnsname.Name, bool) {
		if r := read(); r != nil {
			return r.Of(zone)
		}
		return zone.Suffix(min(zone.Labels(), 2)), zone.Labels() >= 2
	}
}

// hostUpstreams are the resolvers that this host uses, without ourselves.
func hostUpstreams(c *config.Config) []resolver.Upstream {
	var own []netip.AddrPort
	for _, l := range c.Listen {
		own = append(own, l.Address)
	}
	var out []resolver.Upstream
	for _, addr := range resolver.Hosts("/etc/resolv.conf", own...) {
		out = append(out, resolver.Upstream{Addr: addr})
	}
	return out
}

func ledgerConfig(c *config.Config, names sighting.Catalog, log *slog.Logger) sighting.Config {
	const day = 24 * time.Hour
	return sighting.Config{
		Dir: stateOf(c).sightings(), Catalog: names, RetentionDays: max(int((c.Sightings.Retention+day-1)/day), 2), Ring: c.Sightings.Ring,
		Limits: sighting.Limits{
			IndicatorsPerClient: c.Sightings.IndicatorsMax, Pairs: c.Sightings.PairsMax, TablePairs: min(c.Sightings.BatchPairs, c.Sightings.PairsMax),
			QueueOctets: int64(c.Sightings.QueueMax),
		},
		Evidence: sighting.EvidenceConfig{Age: c.Sightings.JournalKeep, Bytes: int64(c.Sightings.JournalMax)},
		First:    sighting.FirstConfig{Path: string(c.Sightings.Stream), Bytes: int64(c.Sightings.StreamMax)},
		Log:      log,
	}
}
