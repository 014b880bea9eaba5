package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"cenote/api"
	"cenote/config"
	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/tsig"
	"cenote/wire"
	"cenote/zone"
)

type zonesCommand struct {
	List   zonesList   `cmd:"" default:"withargs" help:"Show how the zones stand; this is the default."`
	Diff   zonesDiff   `cmd:"" help:"Compare two versions of a zone: a line for each record that went or came."`
	Freeze zonesFreeze `cmd:"" help:"Keep a zone as it is, whatever its source says, until it is thawed; a restart changes nothing of that."`
	Thaw   zonesThaw   `cmd:"" help:"Let a zone change again."`
	Dump   zonesDump   `cmd:"" help:"Write a zone as a master file, with all that updates have made of it."`
}

type zonesList struct {
	socketFlag
	JSON bool `help:"Print JSON."`
}

// Run shows how the zones of the running server stand.
func (c *zonesList) Run(ctx context.Context, std streams) error {
	client, err := c.client(0)
	if err != nil {
		return err
	}
	var answer api.ZonesAnswer
	if err := client.Get(ctx, "/v1/zones", nil, &answer); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, answer)
	}
	return printZones(std.out, answer.Zones, time.Now())
}

type zonesDump struct {
	socketFlag
	Zone   string `predictor:"zone" arg:"" help:"The zone."`
	Signed bool   `help:"Write it as it is served, with the keys and signatures that are made here."`
}

// Run writes a zone to standard output.
func (c *zonesDump) Run(ctx context.Context, std streams) error {
	client, err := c.client(transferTimeout)
	if err != nil {
		return err
	}
	name, err := asciiName(c.Zone)
	if err != nil {
		return err
	}
	return client.DumpZone(ctx, name, c.Signed, std.out)
}

func printZones(to io.Writer, zones []zone.Status, now time.Time) error {
	t := newTable(to, "ZONE", "STATE", "SERIAL", "RECORDS", "SIGNED", "WARNINGS", "LOADED", "CHECKED", "SOURCE")
	for i := range zones {
		z := &zones[i]
		signed := "no"
		if z.Signed {
			signed = "yes"
		}
		t.row(printable(z.Name), zoneState(z), strconv.FormatUint(uint64(z.Serial), 10), strconv.Itoa(z.Records), signed, strconv.Itoa(z.Warnings),
			age(z.Loaded, now), age(z.Checked, now), printable(z.Source))
	}
	if err := t.flush(); err != nil {
		return err
	}
	return printZoneFaults(to, zones, now)
}

// zoneState is how a zone stands, in words.
func zoneState(z *zone.Status) string {
	if z.Frozen {
		return string(z.State) + ", frozen"
	}
	return string(z.State)
}

// printZoneFaults shows what is not in zones, and why they are not served as their files are.
func printZoneFaults(to io.Writer, zones []zone.Status, now time.Time) error {
	for i := range zones {
		z := &zones[i]
		if len(z.LeftOut) > 0 {
			if _, err := fmt.Fprintf(to, "\n%s: left out: %s\n", printable(z.Name), leftOutText(z.LeftOut)); err != nil {
				return err
			}
		}
		if z.Transfer != nil {
			if _, err := fmt.Fprintf(to, "\n%s: %s\n", printable(z.Name), progressText(z.Transfer, now)); err != nil {
				return err
			}
		}
		if err := printCatalogFaults(to, z); err != nil {
			return err
		}
		if z.Fault != "" {
			if _, err := fmt.Fprintf(to, "\n%s: since %s: %s\n", printable(z.Name), age(z.Since, now), printable(z.Fault)); err != nil {
				return err
			}
		}
	}
	return nil
}

// printCatalogFaults shows why the zones of a catalog are not all served.
func printCatalogFaults(to io.Writer, z *zone.Status) (err error) {
	if z.Broken != "" {
		_, err = fmt.Fprintf(to, "\n%s: its %d zones stay as they were: %s\n", printable(z.Name), z.Members, printable(z.Broken))
	}
	if z.Ignored > 0 && err == nil {
		_, err = fmt.Fprintf(to, "\n%s: zones that are not served: %d, such as %s\n", printable(z.Name), z.Ignored, printable(z.IgnoredFirst))
	}
	return err
}

// zoneSources are the zones of a configuration, for the keeper of zones.
func zoneSources(c *config.Config, keys *tsig.Keys) []zone.Source {
	out := make([]zone.Source, 0, len(c.Zones))
	for i := range c.Zones {
		z := &c.Zones[i]
		source := zone.Source{
			Name: z.Name, Path: string(z.File), Verify: verifyOf(z.ZONEMD), Allow: admitting(z.Allow), Transfer: admitting(z.AllowTransfer), TransferKeys: canonicals(z.TransferKeys),
			RequireTLS: z.RequireTLS, Notify: notified(z.Notify, keys), Updates: updatesOf(&z.Update), Sign: signingOf(&z.Sign),
		}
		switch {
		case z.IsPolicy():
			source.Origin, source.Allow = "policy", madeZoneAdmits(z)
		case z.IsCatalog():
			source.Origin, source.Allow = "catalog", madeZoneAdmits(z)
		case z.Members.Enabled:
			source.Allow = madeZoneAdmits(z)
		}
		if len(z.Primaries) > 0 {
			source.Origin = "primary " + z.Primaries[0].Address.String()
			source.NotifyFrom, source.NotifyKeys = noticesOf(z.Primaries, z.NotifyFrom)
		}
		out = append(out, source)
	}
	return out
}

// notified are the secondaries that are told of changes, with their keys.
func notified(all []config.Notified, keys *tsig.Keys) []zone.Notified {
	out := make([]zone.Notified, 0, len(all))
	for _, n := range all {
		out = append(out, zone.Notified{Addr: n.Address, Key: keys.Find(n.Key)})
	}
	return out
}

// verifyOf is what is wanted of the digest of a zone.
func verifyOf(v config.Verify) zone.Verify {
	switch v {
	case config.VerifyRequire:
		return zone.VerifyRequire
	case config.VerifyLog:
		return zone.VerifyLog
	case config.VerifyOff:
		return zone.VerifyOff
	case config.VerifyCheck:
	}
	return zone.VerifyCheck
}

// trustSeal asks the resolver whether the digest of a zone is signed as the chain of trust wants it.
func (s *server) trustSeal(ctx context.Context, seal *zone.Seal) (known bool, err error) {
	return s.resolver.Sealed(ctx, seal.Apex, seal.Keys, seal.SOA, seal.Digest)
}

// updatesOf is who may change a zone, nil if nobody may.
func updatesOf(u *config.ZoneUpdate) *zone.Updates {
	if len(u.Grants) == 0 {
		return nil
	}
	out := &zone.Updates{Allow: admitting(u.Allow)}
	for _, g := range u.Grants {
		grant := zone.Grant{Keys: canonicals(g.Keys), Names: canonicals(g.Names), Below: canonicals(g.Below), Self: g.Self}
		for _, t := range g.Types {
			if n, err := wire.ParseType(t.String()); err == nil { // as all are that the configuration knows
				grant.Types = append(grant.Types, n)
			}
		}
		out.Grants = append(out.Grants, grant)
	}
	return out
}

// signingOf is how a zone is signed, nil if it is not.
func signingOf(s *config.ZoneSign) *zone.Signing {
	if !s.Enabled {
		return nil
	}
	algorithm := uint8(dnssec.ECDSAP256)
	if s.Algorithm == config.SignEd25519 {
		algorithm = dnssec.Ed25519
	}
	return &zone.Signing{
		Algorithm: algorithm, Split: s.SplitKeys, Denial: zone.Denial(s.Denial), OptOut: s.OptOut, Validity: s.Validity, Refresh: s.Refresh, Lifetime: s.KeyLifetime,
		ZSKLifetime: s.ZSKLifetime, Propagation: s.Propagation, ParentTTL: s.ParentTTL, Withdraw: s.Withdraw,
	}
}

// canonicals are names as rooms compare them.
func canonicals(names []dnsname.Name) []dnsname.Name {
	var out []dnsname.Name
	for _, n := range names {
		out = append(out, n.Canonical())
	}
	return out
}

// admitting reports whether an address lies in one of the networks; nil stands for no list.
func admitting(networks []netip.Prefix) func(netip.Addr) bool {
	if len(networks) == 0 {
		return nil
	}
	return func(a netip.Addr) bool {
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
	}
}

// reloadZones reads the zones that have changed, and returns those that are not served as their files are.
func (s *server) reloadZones(of reloadScope, force bool) ([]zone.Status, error) {
	if len(of.zones) > 0 {
		return s.reloadNamed(of.zones, force)
	}
	force = force && len(of.feeds) == 0
	all, err := s.zones.Reload(force)
	if force {
		s.listed.Accept("")
		all = s.zones.Status()
	}
	return slices.DeleteFunc(all, func(z zone.Status) bool { return z.State == zone.StateServed }), err
}

// reloadNamed reads the files of these zones alone, and tells how they stand.
func (s *server) reloadNamed(zones []dnsname.Name, force bool) ([]zone.Status, error) {
	_, err := s.zones.Reload(force, zones...)
	names := make([]string, len(zones))
	for i, apex := range zones {
		if names[i] = apex.String(); force {
			s.listed.Accept(apex)
		}
	}
	return slices.DeleteFunc(s.zones.Status(), func(z zone.Status) bool { return !slices.Contains(names, z.Name) }), err
}

// checkZone reads a zone, and reports whether it can be served.
func checkZone(z *config.OwnZone, now time.Time, to checkWriter) bool {
	loaded, faults, err := zone.Load(z.Name, string(z.File), now)
	if err == nil && z.Sign.Enabled {
		err = loaded.CanBeSigned()
	}
	to.zone(z, loaded, faults, err)
	return err == nil
}
