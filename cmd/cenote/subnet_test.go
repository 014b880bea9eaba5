package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestListedZonesAreToldWhoAsks: the servers of a listed zone, and no others, are told the network of a client, unless its query says that nobody is to be.
func TestListedZonesAreToldWhoAsks(t *testing.T) {
	network := dnstest.OwnNetwork(t, 0)
	client := netip.MustParseAddr("198.51.100.77")
	network.Add(client)
	tree, err := dnstest.StartTreeAt(t, `
		zone .               server a.root.nature @1 sign
		zone nature          server ns.nic.nature @2 sign
		zone cdn.nature      server ns.cdn.nature @3 sign
		    *                A     192.0.2.1
		zone other.nature    server ns.other.nature @4
		    *                A     192.0.2.2
	`, 53)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{"hints": tree.RootHints(), "anchors": tree.Anchors(),
		"cenote.yaml": recursiveCenote + "  subnets: {zones: [cdn.nature]}\naccess: {allow: [127.0.0.0/8, 198.51.100.0/24]}\n"})
	p := startProcess(t, filepath.Join(dir, "cenote.yaml"))
	server := p.addr()
	for _, c := range []struct {
		name   string
		from   netip.Addr
		option *dns.EDNS0_SUBNET
		told   string
	}{
		{"plain.cdn.nature.", client, nil, "198.51.100.0/24"},
		{"plain.other.nature.", client, nil, ""},
		{"hidden.cdn.nature.", client, &dns.EDNS0_SUBNET{Family: 1, Address: net.IPv4zero}, ""},
		{"coarse.cdn.nature.", client, &dns.EDNS0_SUBNET{Family: 1, SourceNetmask: 16, Address: net.IPv4(203, 0, 0, 0)}, "198.51.0.0/16"},
		{"fine.cdn.nature.", client, &dns.EDNS0_SUBNET{Family: 1, SourceNetmask: 32, Address: net.IPv4(203, 0, 113, 7)}, "198.51.100.0/24"},
		{"here.cdn.nature.", netip.MustParseAddr("127.0.0.1"), nil, ""},
	} {
		m := new(dns.Msg).SetQuestion(c.name, dns.TypeA).SetEdns0(1232, false)
		if c.option != nil {
			c.option.Code = dns.EDNS0SUBNET
			opt := m.IsEdns0()
			opt.Option = append(opt.Option, c.option)
		}
		asker := dns.Client{Timeout: within, Dialer: &net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))}}
		r, _, err := asker.Exchange(m, server.String())
		if err != nil || len(r.Answer) != 1 {
			t.Errorf("%s: %v, %v", c.name, r, err)
			continue
		}
		for _, o := range r.IsEdns0().Option {
			if o.Option() == dns.EDNS0SUBNET {
				t.Errorf("%s: the reply has %v", c.name, o)
			}
		}
		var told []string
		for _, q := range tree.Queries("*") {
			if strings.EqualFold(q.Name, c.name) && q.Subnet != "" {
				told = append(told, q.Subnet)
			}
		}
		if got := fmt.Sprint(told); got != "["+c.told+"]" {
			t.Errorf("%s from %v: its servers were told %v, want %s", c.name, c.from, got, c.told)
		}
	}
	for _, q := range tree.Queries("@1,@2,@4") {
		if q.Subnet != "" {
			t.Errorf("a server of a zone that is not listed was told %s with %s", q.Subnet, q.Name)
		}
	}
}
