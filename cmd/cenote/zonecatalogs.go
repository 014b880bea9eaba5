package main

import (
	"errors"
	"slices"

	"cenote/config"
	"cenote/dnsname"
	"cenote/tsig"
	"cenote/zone"
)

// subscriptions are the catalogs of a configuration whose zones are served here. taken are the zones that come from primaries, the catalogs among them.
func subscriptions(c *config.Config, taken []zone.Secondary, keys *tsig.Keys) []zone.Subscription {
	from := make(map[dnsname.Name]*zone.Secondary, len(taken))
	for i := range taken {
		from[taken[i].Name.Canonical()] = &taken[i]
	}
	var out []zone.Subscription
	for i := range c.Zones {
		if z := &c.Zones[i]; z.Members.Enabled {
			out = append(out, zone.Subscription{
				Catalog: z.Name, Most: z.Members.Most, ShrinkMax: float64(z.Members.ShrinkMax) / 100, Wants: isBelowOne(z.Members.Below), Make: memberMaker(z, *from[z.Name.Canonical()], keys),
			})
		}
	}
	return out
}

// isBelowOne reports whether a name is one of some or below one; nil stands for every name.
func isBelowOne(tops []dnsname.Name) func(dnsname.Name) bool {
	tops = canonicals(tops)
	if len(tops) == 0 {
		return nil
	}
	return func(name dnsname.Name) bool {
		return slices.ContainsFunc(tops, func(top dnsname.Name) bool { return name == top || name.IsBelow(top) })
	}
}

// memberMaker says how a zone of a catalog is served: from the primaries of the catalog, as its group is to be.
func memberMaker(z *config.OwnZone, as zone.Secondary, keys *tsig.Keys) func(*zone.CatalogMember) (zone.Source, zone.Secondary) {
	notifyFrom, notifyKeys := noticesOf(z.Primaries, z.NotifyFrom)
	source := func(s *config.MemberSettings) zone.Source {
		return zone.Source{
			Origin: "primary " + z.Primaries[0].Address.String() + ", listed by " + z.Name.Canonical().String(), Verify: verifyOf(s.ZONEMD), Allow: admitting(s.Allow),
			Transfer: admitting(s.AllowTransfer), TransferKeys: canonicals(s.TransferKeys), RequireTLS: s.RequireTLS, Notify: notified(s.Notify, keys),
			NotifyFrom: notifyFrom, NotifyKeys: notifyKeys, Template: s,
		}
	}
	everyone, groups := source(&z.Members.MemberSettings), make([]zone.Source, len(z.Members.Groups))
	for i := range groups {
		groups[i] = source(&z.Members.Groups[i].MemberSettings)
	}
	return func(m *zone.CatalogMember) (zone.Source, zone.Secondary) {
		if at := slices.IndexFunc(z.Members.Groups, func(g config.MemberGroup) bool { return slices.Contains(m.Groups, g.Group) }); at >= 0 {
			return groups[at], as
		}
		return everyone, as
	}
}

// madeCatalog is a catalog that is made of the configuration.
type madeCatalog struct {
	apex    dnsname.Name
	members []zone.CatalogMember
	done    bool   // it is in place
	failed  string // why it is not, as it was told
}

// madeCatalogs are those of a configuration.
func madeCatalogs(c *config.Config) []*madeCatalog {
	var out []*madeCatalog
	for i := range c.Zones {
		if z := &c.Zones[i]; z.IsCatalog() {
			out = append(out, &madeCatalog{apex: z.Name, members: catalogMembers(c, z)})
		}
	}
	return out
}

// catalogMembers are the zones that a catalog lists. A zone is handed over by every catalog but the one that it goes to.
func catalogMembers(c *config.Config, catalog *config.OwnZone) []zone.CatalogMember {
	var out []zone.CatalogMember
	for i := range c.Zones {
		z := &c.Zones[i]
		if !catalog.Lists(z) {
			continue
		}
		m := zone.CatalogMember{Name: z.Name.Canonical(), Groups: []string{z.Group}}
		if z.COO.Canonical() != catalog.Name.Canonical() {
			m.Owner = z.COO.Canonical()
		}
		out = append(out, m)
	}
	return out
}

// list puts a catalog in place that is not, with another serial than before if it lists anything else.
func (p *madeZones) list(m *madeCatalog) {
	if m.done {
		return
	}
	err := p.keeper.Edit(m.apex, func(present *zone.Zone) (*zone.Zone, error) {
		next, err := zone.MakeCatalog(m.apex, serialAfter(present, p.now()), m.members)
		if err != nil || present != nil && isSame(present, next) {
			return present, err
		}
		return next, nil
	})
	if m.done = err == nil; m.done || errors.Is(err, zone.ErrUnknown) || m.failed == err.Error() {
		return
	}
	m.failed = err.Error()
	p.log.Error("catalog not made", "zone", m.apex.String(), "err", err)
}
