package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cenote/config"
	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/resolver"
)

// recursion is how names are looked for from the root down, as the configuration has it.
func recursion(c *config.Recursion, store resolver.AnchorStore) (*resolver.Recursion, error) {
	out := &resolver.Recursion{
		Port: uint16(c.Port), NoIPv4: !c.IPv4, NoIPv6: !c.IPv6, From4: c.From4, From6: c.From6, Never: c.Never, RootZone: string(c.RootZone), DNS64: c.DNS64, WholeNames: !c.Minimise, NothingBelow: c.NothingBelow,
		Bounds: resolver.RecursionBounds{
			Packets: c.Limits.Packets, Targets: c.Limits.Targets, TargetFailures: c.Limits.TargetFailures, Looks: c.Limits.Looks, Aliases: c.Limits.Aliases,
			PerZone: c.Limits.PerZone, Cuts: c.Limits.Delegations, Servers: c.Limits.Servers,
		},
	}
	out.Subnets = resolver.Subnets{Zones: c.Subnets.Zones, Bits4: c.Subnets.IPv4Prefix, Bits6: c.Subnets.IPv6Prefix}
	if out.Never == nil {
		out.Never = []netip.Prefix{}
	}
	if c.Private.Deny {
		out.Private = &resolver.Private{Addresses: c.Private.Addresses, Allow: c.Private.Allow}
	}
	for _, f := range c.Forward {
		forward := resolver.Forward{Zone: f.Name, Upstreams: upstreams(f.Upstreams), First: f.First, Uncached: !f.Cache}
		for _, h := range f.Hosts {
			forward.Hosts = append(forward.Hosts, resolver.Host{Name: h.Name.Canonical(), Port: uint16(h.Port), TLS: h.TLS})
		}
		out.Forwards = append(out.Forwards, forward)
	}
	for _, s := range c.Stub {
		out.Stubs = append(out.Stubs, resolver.Stub{Zone: s.Name, Servers: s.Servers, First: s.First})
	}
	if c.RootHints != "" {
		hints, err := readHints(string(c.RootHints))
		if err != nil {
			return nil, err
		}
		out.Hints = hints
	}
	out.AnchorStore = store
	return out, validation(&c.Validation, out)
}

func upstreams(list []config.Upstream) []resolver.Upstream {
	out := make([]resolver.Upstream, len(list))
	for i, u := range list {
		out[i] = resolver.Upstream{Addr: u.Address, Trusted: u.Trusted, TLS: u.TLS}
	}
	return out
}

func readHints(path string) ([]resolver.Hint, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading recursion.root_hints: %w", err)
	}
	defer file.Close()
	return resolver.ReadHints(file, path)
}

// validation adds what signatures are checked by.
func validation(c *config.Validation, out *resolver.Recursion) error {
	if !c.Enabled {
		return nil
	}
	text, path := []byte(resolver.RootAnchors), "built-in trust anchors"
	if c.Anchors != "" {
		read, err := os.ReadFile(string(c.Anchors))
		if err != nil {
			return fmt.Errorf("reading recursion.validation.trust_anchors: %w", err)
		}
		text, path = read, string(c.Anchors)
	}
	var err error
	if out.Anchors, err = dnssec.ParseAnchors(path, text); err != nil {
		return err
	}
	out.Follow = c.Follow
	for _, n := range c.Negative {
		out.Negative = append(out.Negative, resolver.NegativeAnchor{Name: n.Name, Until: n.Moment()})
	}
	if at := c.Moment(); !at.IsZero() {
		out.ValidationTime = func() time.Time { return at }
	}
	return nil
}

// anchorFiles keeps the state of trust anchors in files of a directory.
type anchorFiles string

func (dir anchorFiles) path(zone dnsname.Name) string {
	return filepath.Join(string(dir), "anchor-"+strings.ReplaceAll(zone.String(), string(filepath.Separator), "_"))
}

// Load implements resolver.AnchorStore.
func (dir anchorFiles) Load(zone dnsname.Name) ([]byte, error) { return os.ReadFile(dir.path(zone)) }

// Save implements resolver.AnchorStore: the file is written whole, synced and renamed.
func (dir anchorFiles) Save(zone dnsname.Name, text []byte) error {
	if err := os.MkdirAll(string(dir), 0o750); err != nil {
		return err
	}
	return writeWhole(dir.path(zone), text)
}

// writeWhole puts text in place of a file, as writeStream does.
func writeWhole(path string, text []byte) error {
	return writeStream(path, func(to io.Writer) error {
		_, err := to.Write(text)
		return err
	})
}
