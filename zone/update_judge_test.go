package zone_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/zone"

	"github.com/miekg/dns"
)

// TestNamedJudgesUpdates sends random updates to named, and makes the same here: RCODE and zone have to be the same, serials aside.
func TestNamedJudgesUpdates(t *testing.T) {
	dir := t.TempDir()
	const text = "$TTL 60\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nalias CNAME www\n"
	write(t, filepath.Join(dir, "zone"), text)
	addr := dnstest.FreePort(t)
	conf := filepath.Join(dir, "named.conf")
	write(t, conf, fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile none; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
 recursion no; notify no; allow-transfer { any; }; check-names primary ignore; dnssec-validation no;
 check-integrity no; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore; check-wildcard no; };
zone "example" { type primary; file "zone"; allow-update { any; }; };
`, dir, addr.Port()))
	startPeer(t, addr, program(t, "named"), "-g", "-c", conf)
	ours := load(t, "example", text)
	random := rand.New(rand.NewPCG(5, 6))
	seen := map[int]int{}
	for n := range 40 * cases(10) {
		m, u := randomUpdate(t, random)
		reply, _, err := (&dns.Client{Net: "tcp", Timeout: time.Minute}).Exchange(m, addr.String())
		if err != nil {
			t.Fatal(err)
		}
		next, rcode := u.Apply(ours, func(dnsname.Name, uint16) bool { return true })
		if rcode == 0 {
			ours = next
		}
		seen[rcode]++
		earlier := rcode != 0 && reply.Rcode == dns.RcodeNotZone // named looks for changes outside of the zone before it checks what is required
		if theirs := transferred(t, addr); rcode != reply.Rcode && !earlier || !slices.Equal(withoutSOA(dump(t, ours)), theirs) {
			t.Fatalf("update %d:\n%v\nnamed says %s, here it is %s; named has\n%s\nand here it is\n%s", n, m, dns.RcodeToString[reply.Rcode], dns.RcodeToString[rcode],
				strings.Join(theirs, "\n"), strings.Join(withoutSOA(dump(t, ours)), "\n"))
		}
	}
	if len(seen) < 5 {
		t.Errorf("RCODEs were %v; the test is too easy", seen)
	}
}

// randomUpdate is an update as a message, and as it is read here.
func randomUpdate(t *testing.T, random *rand.Rand) (*dns.Msg, *zone.Update) {
	t.Helper()
	m := new(dns.Msg)
	m.SetUpdate("example.")
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	record := func(ttl string) dns.RR {
		owner := pick("example.", "ns.example.", "www.example.", "alias.example.", "a.example.", "b.a.example.", "*.example.", "x.test.")
		if owner == "x.test." && random.IntN(5) > 0 {
			owner = "www.example."
		}
		data := pick("A 192.0.2.1", "A 192.0.2.2", "A 192.0.2.3", "CNAME www.example.", "TXT one", "TXT two", "MX 10 www.example.", "NS ns.example.", "NS ns2.example.", "DNAME d.test.", "DNAME e.test.")
		if strings.HasPrefix(owner, "*") && (strings.HasPrefix(data, "DNAME") || strings.HasPrefix(data, "NS")) {
			owner = "a.example." // named passes over such records of an asterisk, which RFC 4592 sections 4.2 and 4.4 leave open
		}
		if strings.HasPrefix(data, "DNAME") {
			owner = "a.example." // at the apex it would hide the address of the server, which named refuses
		}
		rr, err := dns.NewRR(owner + " " + ttl + " IN " + data)
		if err != nil {
			t.Fatal(err)
		}
		return rr
	}
	for range random.IntN(2) {
		rr := record("0")
		switch random.IntN(5) {
		case 0:
			m.NameUsed([]dns.RR{rr})
		case 1:
			m.NameNotUsed([]dns.RR{rr})
		case 2:
			m.RRsetUsed([]dns.RR{rr})
		case 3:
			m.RRsetNotUsed([]dns.RR{rr})
		case 4:
			m.Used([]dns.RR{rr})
		}
	}
	for range random.IntN(4) {
		rr := record(pick("30", "60"))
		switch random.IntN(6) {
		case 0:
			m.RemoveName([]dns.RR{rr})
		case 1:
			m.RemoveRRset([]dns.RR{rr})
		case 2:
			m.Remove([]dns.RR{rr})
		default:
			m.Insert([]dns.RR{rr})
		}
	}
	return m, &zone.Update{Prerequisites: readInstructions(t, m.Answer), Changes: readInstructions(t, m.Ns)}
}

// readInstructions are the records of a section.
func readInstructions(t *testing.T, section []dns.RR) (out []zone.Instruction) {
	t.Helper()
	for _, rr := range section {
		buf := make([]byte, 4096)
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		h := rr.Header()
		owner := dnsname.MustParse(strings.TrimSuffix(h.Name, ".")).Canonical()
		out = append(out, zone.Instruction{Owner: owner, Type: h.Rrtype, Class: h.Class, TTL: h.Ttl, Data: buf[len(owner)+10 : end]})
	}
	return out
}

// transferred is what named has, a record a line, sorted, without the SOA record.
func transferred(t *testing.T, addr netip.AddrPort) []string {
	t.Helper()
	m := new(dns.Msg)
	m.SetAxfr("example.")
	envelopes, err := (&dns.Transfer{DialTimeout: time.Minute, ReadTimeout: time.Minute}).In(m, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			text.WriteString(rr.String() + "\n")
		}
	}
	return withoutSOA(text.String())
}

func withoutSOA(text string) (out []string) {
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "\tSOA\t") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	slices.Sort(out)
	return out
}
