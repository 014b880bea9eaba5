package dnsserver_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsserver"

	"github.com/miekg/dns"
)

func jar(t *testing.T, old *dnsserver.CookieJar, secrets ...string) *dnsserver.CookieJar {
	t.Helper()
	c := dnsserver.Cookies{Enabled: true}
	for _, s := range secrets {
		secret, err := dnsserver.ParseCookieSecret([]byte(s + "\n"))
		must(t, err)
		c.Secrets = append(c.Secrets, secret)
	}
	j, err := dnsserver.NewCookieJar(c, old)
	must(t, err)
	return j
}

func unhex(s string) []byte { return must1(hex.DecodeString(s)) }

// The examples of RFC 9018 appendix A.
func TestCookieVectors(t *testing.T) {
	const first, old, rolled = "e5e973e5a6b2a43f48e7dc849e37bfcf", "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
	for _, tc := range []struct {
		name    string
		secrets []string
		client  string
		now     int64
		in      string
		state   string
		out     string
	}{
		{"A.1 a new client", []string{first}, "198.51.100.100", 1559731985, "2464c4abcf10c957", "new", "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"A.2 the same one renews", []string{first}, "198.51.100.100", 1559734385, "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "valid", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		{"A.3 reserved octets set, when it was young", []string{first}, "203.0.113.203", 1559727985, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "valid", ""},
		{"A.3 another client comes back late", []string{first}, "203.0.113.203", 1559734700, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", "new", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"A.4 IPv6, made with the secret before", []string{rolled, old}, "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961, "22681ab97d52c298010000005cf7c57926556bd0934c72f8", "valid", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j, addr, now := jar(t, nil, tc.secrets...), netip.MustParseAddr(tc.client), time.Unix(tc.now, 0)
			if got := dnsserver.JudgeCookie(j, unhex(tc.in), addr, now); got != tc.state {
				t.Errorf("cookie is %s, want %s", got, tc.state)
			}
			if got := dnsserver.MakeCookie(j, unhex(tc.in), addr, now); tc.out != "" && !bytes.Equal(got, unhex(tc.out)) {
				t.Errorf("reply has %x, want %s", got, tc.out)
			}
		})
	}
	// In A.4 the client's cookie is young; the server there makes a new one since its secret was rolled, which is its choice.
	j, addr := jar(t, nil, rolled), netip.MustParseAddr("2001:db8:220:1:59de:d0f4:8769:82b8")
	if got := dnsserver.MakeCookie(j, unhex("22681ab97d52c298"), addr, time.Unix(1559741961, 0)); !bytes.Equal(got, unhex("22681ab97d52c298010000005cf7c609a6bb79d16625507a")) {
		t.Errorf("A.4 with the new secret: %x", got)
	}
}

func TestCookieWorth(t *testing.T) {
	j, addr, now := jar(t, nil), netip.MustParseAddr("192.0.2.7"), time.Unix(1_700_000_000, 0)
	good := dnsserver.MakeCookie(j, []byte("clientck"), addr, now)
	changed := func(i int) []byte { b := bytes.Clone(good); b[i] ^= 1; return b }
	for _, tc := range []struct {
		name   string
		option []byte
		addr   string
		now    time.Time
		want   string
	}{
		{"good", good, "192.0.2.7", now, "valid"},
		{"good within its hour", good, "192.0.2.7", now.Add(59 * time.Minute), "valid"},
		{"too old", good, "192.0.2.7", now.Add(61 * time.Minute), "new"},
		{"from a clock a little ahead", good, "192.0.2.7", now.Add(-4 * time.Minute), "valid"},
		{"from the future", good, "192.0.2.7", now.Add(-6 * time.Minute), "new"},
		{"another address", good, "192.0.2.8", now, "new"},
		{"another client cookie", changed(0), "192.0.2.7", now, "new"},
		{"another hash", changed(23), "192.0.2.7", now, "new"},
		{"another version", changed(8), "192.0.2.7", now, "new"},
		{"client part alone", good[:8], "192.0.2.7", now, "new"},
		{"a foreign length", append(bytes.Clone(good), 1), "192.0.2.7", now, "new"},
		{"malformed", good[:5], "192.0.2.7", now, "none"},
		{"no option", nil, "192.0.2.7", now, "none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := dnsserver.JudgeCookie(j, tc.option, netip.MustParseAddr(tc.addr), tc.now); got != tc.want {
				t.Errorf("cookie is %s, want %s", got, tc.want)
			}
		})
	}
}

func TestCookieSecretsRotate(t *testing.T) {
	addr, now := netip.MustParseAddr("192.0.2.7"), time.Unix(1_700_000_000, 0).Truncate(24*time.Hour)
	j := jar(t, nil)
	made := dnsserver.MakeCookie(j, []byte("clientck"), addr, now.Add(-time.Minute))
	if got := dnsserver.JudgeCookie(j, made, addr, now.Add(time.Minute)); got != "valid" {
		t.Errorf("after one rotation the cookie is %s, want valid", got)
	}
	if renewed := dnsserver.MakeCookie(j, []byte("clientck"), addr, now.Add(-time.Minute).Add(24*time.Hour)); bytes.Equal(renewed[16:], made[16:]) {
		t.Error("the secret did not change with its period")
	}
	reloaded := jar(t, j)
	if got := dnsserver.JudgeCookie(reloaded, made, addr, now); got != "valid" {
		t.Errorf("after a reload the cookie is %s, want valid", got)
	}
	a, b := "e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962"
	given := jar(t, nil, a)
	made = dnsserver.MakeCookie(given, []byte("clientck"), addr, now)
	if got := dnsserver.JudgeCookie(jar(t, given, b), made, addr, now); got != "valid" {
		t.Errorf("after the operator rolled the secret over the cookie is %s, want valid", got)
	}
}

func TestCookieSecretFaults(t *testing.T) {
	for _, s := range []string{"", "e5e973", "e5e973e5a6b2a43f48e7dc849e37bfcg", "e5e973e5a6b2a43f48e7dc849e37bfcf00"} {
		if _, err := dnsserver.ParseCookieSecret([]byte(s)); err == nil {
			t.Errorf("ParseCookieSecret(%q) found no fault", s)
		}
	}
}

// cookieQuery is a question with a COOKIE option.
func cookieQuery(name, cookie string) *dns.Msg {
	m := query(name, dns.TypeA)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
	return m
}

func cookieIn(r *dns.Msg) string {
	for _, o := range r.IsEdns0().Option {
		if c, ok := o.(*dns.EDNS0_COOKIE); ok {
			return c.Cookie
		}
	}
	return ""
}

func TestCookieExchange(t *testing.T) {
	b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 A 192.0.2.1"}})
	const client = "0102030405060708"
	first := cookieIn(b.ask(cookieQuery("www.example", client)))
	if len(first) != 48 || first[:16] != client {
		t.Fatalf("first reply has cookie %q, want the client's and 16 octets of ours", first)
	}
	if again := cookieIn(b.ask(cookieQuery("www.example", first))); again != first {
		t.Errorf("a good cookie came back as %q, want %q", again, first)
	}
	b.now = b.now.Add(40 * time.Minute)
	if renewed := cookieIn(b.ask(cookieQuery("www.example", first))); renewed == first || renewed[:16] != client {
		t.Errorf("after 40 minutes the cookie is %q, want a new one of the same client", renewed)
	}
	if got := cookieIn(b.ask(query("www.example", dns.TypeA))); got != "" {
		t.Errorf("a client without cookie got %q", got)
	}
	r := b.ask(cookieQuery("www.example", "010203")) // RFC 7873 section 5.2.2
	expect(t, r, "FORMERR")
	if got := cookieIn(r); got != "" {
		t.Errorf("a malformed cookie got %q", got)
	}
}

// A client may ask for a cookie and nothing else, or whether the one it has is still good (RFC 7873 section 5.4).
func TestCookieWithoutQuestion(t *testing.T) {
	ask := func(b *bench, cookie string) *dns.Msg {
		m := cookieQuery("www.example", cookie)
		m.Question = nil
		return b.ask(m)
	}
	const client = "0102030405060708"
	b := newBench(t, options{})
	first := ask(b, client)
	expect(t, first, "NOERROR")
	good := cookieIn(first)
	if len(good) != 48 || good[:16] != client || len(first.Question) != 0 {
		t.Fatalf("reply has cookie %q and %d questions, want the client's with ours, and none", good, len(first.Question))
	}
	expect(t, ask(b, good), "NOERROR")
	bad := ask(b, client+"0100000000000000ffffffffffffffff")
	expect(t, bad, "BADCOOKIE")
	if got := cookieIn(bad); len(got) != 48 || got[:16] != client {
		t.Errorf("with BADCOOKIE comes cookie %q, want one to come back with", got)
	}
	if b.policyN.Load() != 0 || b.world.asked.Load() != 0 {
		t.Error("policy or the network was asked without a question")
	}
	off := newBench(t, options{settings: func(s *dnsserver.Settings) { s.Cookies.Enabled = false }})
	expect(t, ask(off, client), "FORMERR")
	outsider := newBench(t, options{})
	outsider.peer = netip.MustParseAddrPort("198.51.100.1:9")
	expect(t, ask(outsider, client), "REFUSED EDE18")
}

func TestCookiesCanBeOff(t *testing.T) {
	b := newBench(t, options{settings: func(s *dnsserver.Settings) { s.Cookies.Enabled = false }})
	if got := cookieIn(b.ask(cookieQuery("www.example", "0102030405060708"))); got != "" {
		t.Errorf("got cookie %q, want none", got)
	}
}

// TestCookiesThatAreOffAreUnknown: where cookies are off their option is one that is not known, and passed over whatever it holds (RFC 6891
// section 6.1.2).
func TestCookiesThatAreOffAreUnknown(t *testing.T) {
	b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 A 192.0.2.1"},
		settings: func(s *dnsserver.Settings) { s.Cookies.Enabled = false }})
	for _, cookie := range []string{"", "010203", "010203040506070809", strings.Repeat("00", 41)} {
		r := b.ask(cookieQuery("www.example", cookie))
		expect(t, r, "NOERROR", "www.example. 60 IN A 192.0.2.1")
		if got := cookieIn(r); got != "" {
			t.Errorf("cookie %q got %q, want none", cookie, got)
		}
	}
	if got := dnsserver.Faulty(b.worker); got != 0 {
		t.Errorf("%d queries are counted as faulty, want none", got)
	}
	on := newBench(t, options{})
	expect(t, on.ask(cookieQuery("www.example", strings.Repeat("00", 41))), "FORMERR")
	if got := dnsserver.Faulty(on.worker); got != 1 {
		t.Errorf("%d queries are counted as faulty, want the one with the malformed cookie", got)
	}
}
