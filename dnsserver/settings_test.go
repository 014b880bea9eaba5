package dnsserver_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"

	"github.com/miekg/dns"
)

func TestSettingsFaults(t *testing.T) {
	for name, change := range map[string]func(*dnsserver.Settings){
		"udp size 511":     func(s *dnsserver.Settings) { s.UDPSize = 511 },
		"udp size 65535":   func(s *dnsserver.Settings) { s.UDPSize = 65535 },
		"rates":            func(s *dnsserver.Settings) { s.Rates.Burst = 0 },
		"cookies":          func(s *dnsserver.Settings) { s.Cookies.Rotate = time.Minute },
		"denied root":      func(s *dnsserver.Settings) { s.Local.Deny = []dnsname.Name{dnsname.Root} },
		"excepted nothing": func(s *dnsserver.Settings) { s.Local.Except = []dnsname.Name{""} },
		"long version":     func(s *dnsserver.Settings) { s.Identity.Version = strings.Repeat("x", 256) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers})
			s := dnsserver.DefaultSettings()
			s.Access.Allow = nil
			change(&s)
			if err := dnsserver.ApplySettings(b.core, s); err == nil {
				t.Error("Apply found no fault")
			}
			expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1") // the old settings hold
		})
	}
}

func TestSettingsApply(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	s := dnsserver.DefaultSettings()
	s.Access.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	must(t, dnsserver.ApplySettings(b.core, s))
	expect(t, b.ask(query("www.example", dns.TypeA)), "REFUSED EDE18")
}

// A query sees one Settings from beginning to end, also while it waits.
func TestSettingsHoldForAQuery(t *testing.T) {
	b := newBench(t, options{answers: big(2000)})
	b.fill(must1(query("big.example", dns.TypeAAAA).Pack()))
	if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.NeedNetwork {
		t.Fatalf("verdict = %v, want NeedNetwork", v)
	}
	dnsserver.CopyTo(&b.q, &b.late)
	b.late.Out = b.out
	s := dnsserver.DefaultSettings()
	s.UDPSize = 512
	must(t, dnsserver.ApplySettings(b.core, s))
	dnsserver.Resolve(t.Context(), b.worker, &b.late)
	dnsserver.Answer(b.worker, &b.late)
	var r dns.Msg
	must(t, r.Unpack(b.late.Reply))
	if got := r.IsEdns0().UDPSize(); got != 1232 {
		t.Errorf("OPT says %d octets, want the 1232 of the settings it began with", got)
	}
}

func TestConfigFaults(t *testing.T) {
	if _, err := dnsserver.NewCore(dnsserver.Config{}); err == nil {
		t.Error("an empty Config is no fault")
	}
}
