package resolver_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/resolver"
)

func TestHosts(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		own        []string
		want       []string
	}{
		{"plain", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n", nil, []string{"192.0.2.53:53", "[2001:db8::53]:53"}},
		{"comments, options, blanks", "# nameserver 192.0.2.1\n;x\n\n  nameserver\t192.0.2.53 # ours\noptions edns0\nsearch example\n", nil, []string{"192.0.2.53:53"}},
		{"no address", "nameserver dns.example\nnameserver\nnameserver 192.0.2.300\nnameserver 224.0.0.1", nil, nil},
		{"twice", "nameserver 192.0.2.53\nnameserver ::ffff:192.0.2.53\n", nil, []string{"192.0.2.53:53"}},
		{"zone", "nameserver fe80::1%lo\n", nil, []string{"[fe80::1%lo]:53"}},
		{"ourselves", "nameserver 192.0.2.53\nnameserver 192.0.2.54\n", []string{"192.0.2.53:53"}, []string{"192.0.2.54:53"}},
		{"our address, another port", "nameserver 192.0.2.53\n", []string{"192.0.2.53:5354"}, []string{"192.0.2.53:53"}},
		{"ourselves on all addresses", "nameserver 127.0.0.53\nnameserver 192.0.2.53\n", []string{"0.0.0.0:53"}, []string{"192.0.2.53:53"}},
		{"ourselves by the zero address", "nameserver 0.0.0.0\n", []string{"127.0.0.1:53"}, nil},
		{"too many", strings.Repeat("nameserver 192.0.2.1\n", 3) + "nameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\nnameserver 192.0.2.5\nnameserver 192.0.2.6\nnameserver 192.0.2.7\nnameserver 192.0.2.8\nnameserver 192.0.2.9\n",
			nil, []string{"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53", "192.0.2.4:53", "192.0.2.5:53", "192.0.2.6:53", "192.0.2.7:53", "192.0.2.8:53"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, want := resolver.Hosts(path, addrs(tc.own)...), addrs(tc.want); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	if got := resolver.Hosts(filepath.Join(t.TempDir(), "absent")); got != nil {
		t.Errorf("a file that is not there has %v", got)
	}
}

func addrs(texts []string) (list []netip.AddrPort) {
	for _, s := range texts {
		list = append(list, netip.MustParseAddrPort(s))
	}
	return list
}

// FuzzHosts reads arbitrary files: no panic, no more hosts than the bound, and none that cannot be asked.
func FuzzHosts(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.53\nnameserver ::1 # x\n"))
	f.Add([]byte("nameserver fe80::1%eth0\n\x00nameserver"))
	own := netip.MustParseAddrPort("127.0.0.1:53")
	f.Fuzz(func(t *testing.T, text []byte) {
		hosts := resolver.HostsIn(text, own)
		if len(hosts) > 8 {
			t.Fatalf("%d hosts", len(hosts))
		}
		for _, h := range hosts {
			if !h.IsValid() || h.Addr().IsUnspecified() || h.Addr().IsMulticast() || h.Addr().Is4In6() || h == own {
				t.Fatalf("host %v", h)
			}
		}
	})
}
