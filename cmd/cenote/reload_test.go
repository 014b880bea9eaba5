package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"cenote/api"
	"cenote/config"
	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/rrcache"
	"cenote/wire"
)

// quiet is a configuration that asks nobody and listens where the kernel says.
const quiet = "state: state\nlisten: ['127.0.0.1:0']\ncompile: {poll: 1h}\n"

// bound is one end of what a key may be.
type bound struct{ key, yaml string }

// bounds are the ends of every key with a least or a most that a reload brings into effect.
func bounds(t reflect.Type, outer []string) []bound {
	var out []bound
	for i := range t.NumField() {
		f := t.Field(i)
		keys := append(outer[:len(outer):len(outer)], f.Tag.Get("yaml"))
		if f.Tag.Get("reload") == "restart" {
			continue
		}
		for _, end := range []string{f.Tag.Get("min"), f.Tag.Get("max")} {
			if end != "" {
				out = append(out, bound{strings.Join(keys, ".") + "=" + end, strings.Join(keys, ": {") + ": " + end + strings.Repeat("}", len(keys)-1)})
			}
		}
		if f.Type.Kind() == reflect.Struct && f.Tag.Get("min") == "" {
			out = append(out, bounds(f.Type, keys)...)
		}
	}
	return out
}

// TestRoomsTakeWhatTheConfigurationAllows holds that no value which passes the checks of the configuration is refused by the room it is for: what
// `cenote check` calls good must start, and reload.
func TestRoomsTakeWhatTheConfigurationAllows(t *testing.T) {
	s := startServer(t, t.TempDir(), quiet)
	before := s.config.Load()
	applied := 0
	for _, b := range bounds(reflect.TypeFor[config.Config](), nil) {
		next, _, err := config.Parse(s.path, []byte(quiet+b.yaml))
		if err != nil {
			continue // another key must change with it
		}
		next.API.Socket, next.QueryLog.Path = before.API.Socket, before.QueryLog.Path
		undo, err := s.applyRooms(next, before)
		if err != nil {
			t.Errorf("%s is allowed, and refused: %v", b.key, err)
			continue
		}
		if err := undo(); err != nil {
			t.Fatalf("%s: taking it back: %v", b.key, err)
		}
		applied++
	}
	if applied < 50 {
		t.Errorf("only %d bounds were tried", applied)
	}
}

// TestReloadIsAllOrNothing: a request that cannot be met leaves the configuration as it was, also where the file has a new one.
func TestReloadIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, quiet)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "cenote.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(quiet + "tcp: {idle: 20s}\n")
	if _, err := s.Reload(t.Context(), api.ReloadRequest{Feeds: []string{"nobody"}}); err == nil {
		t.Error("a feed that is not there was loaded")
	}
	if got := s.config.Load().TCP.Idle.Seconds(); got != 10 {
		t.Errorf("after a refused reload tcp.idle is %v s, want 10", got)
	}
	if _, err := s.Reload(t.Context(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := s.config.Load().TCP.Idle.Seconds(); got != 20 {
		t.Errorf("after a reload tcp.idle is %v s, want 20", got)
	}
}

// TestReloadReadsSecretsAgain: a token that was changed in its file is in force after a reload, although the configuration says what it said.
func TestReloadReadsSecretsAgain(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "cookies")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, quiet+"cookies: {secret_file: cookies}\n")
	if err := os.WriteFile(secret, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(t.Context(), api.ReloadRequest{}); err == nil || !strings.Contains(err.Error(), "cookies.secret_file") {
		t.Errorf("a reload with a spoilt secret: %v, want a fault of cookies.secret_file", err)
	}
}

// filesOf is a directory, and what writes a file into it.
func filesOf(t *testing.T) (dir string, write func(name, text string)) {
	t.Helper()
	dir = t.TempDir()
	return dir, func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// zoneOfSerial is the text of a small zone.
func zoneOfSerial(serial int) string {
	return fmt.Sprintf("$TTL 300\n@ SOA ns host %d 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n", serial)
}

// TestForceIsForTheFeedsThatAreNamed: who has one feed taken as it is has said nothing of zones, whose serial may go back for another reason.
func TestForceIsForTheFeedsThatAreNamed(t *testing.T) {
	dir, write := filesOf(t)
	write("f.domains", "malware.example\n")
	write("corp", zoneOfSerial(9))
	s := startServer(t, dir, quiet+"feeds: [{name: f, path: f.domains}]\npolicy: {zones: [{name: z, feeds: [f], action: nxdomain}]}\nzones: [{name: corp.example, file: corp}]\n")
	write("corp", zoneOfSerial(8))
	for _, tc := range []struct {
		request api.ReloadRequest
		want    uint32
	}{
		{api.ReloadRequest{}, 9},
		{api.ReloadRequest{Force: true, Feeds: []string{"f"}}, 9},
		{api.ReloadRequest{Force: true}, 8},
	} {
		if _, err := s.Reload(t.Context(), tc.request); err != nil {
			t.Fatal(err)
		}
		if got := s.serial(dnsname.MustParse("corp.example")); got != tc.want {
			t.Errorf("after %+v the zone has serial %d, want %d", tc.request, got, tc.want)
		}
	}
}

// TestForceIsForTheZonesThatAreNamed, and nothing else is loaded than what is named: no other zone whose serial goes back, and no feed.
func TestForceIsForTheZonesThatAreNamed(t *testing.T) {
	dir, write := filesOf(t)
	write("f.domains", "malware.example\n")
	write("corp", zoneOfSerial(9))
	write("other", zoneOfSerial(9))
	s := startServer(t, dir, quiet+"feeds: [{name: f, path: f.domains}]\npolicy: {zones: [{name: z, feeds: [f], action: nxdomain}]}\n"+
		"zones: [{name: corp.example, file: corp}, {name: other.example, file: other}, {name: f, file: other}, {name: taken.example, primaries: [{address: '127.0.0.1:1'}]}]\n")
	write("corp", zoneOfSerial(8))
	write("other", zoneOfSerial(7))
	write("f.domains", "malware.example\nmore.example\n")
	serials := func() string {
		return fmt.Sprint(s.serial(dnsname.MustParse("corp.example")), s.serial(dnsname.MustParse("other.example")), s.serial(dnsname.MustParse("f")))
	}
	for _, tc := range []struct {
		request api.ReloadRequest
		serials string
		tells   string // of zones, in order
		feeds   int
	}{
		{api.ReloadRequest{Names: []string{"corp.example"}}, "9 9 9", "corp.example kept", 0},
		{api.ReloadRequest{Names: []string{"Corp.Example."}, Force: true}, "8 9 9", "corp.example served", 0},
		{api.ReloadRequest{Names: []string{"feed:f"}, Force: true}, "8 9 9", "other.example kept f kept taken.example failed", 1},
		{api.ReloadRequest{Names: []string{"zone:f"}, Force: true}, "8 9 7", "f served", 0},
		{api.ReloadRequest{Names: []string{"other.example", "corp.example"}, Force: true}, "8 7 7", "corp.example served other.example served", 0},
	} {
		answer, err := s.Reload(t.Context(), tc.request)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, z := range answer.Zones {
			told = append(told, z.Name, string(z.State))
		}
		if serials() != tc.serials || strings.Join(told, " ") != tc.tells || len(answer.Feeds) != tc.feeds || answer.Generation == 0 {
			t.Errorf("after %+v the serials are %s, %q is told and %d feeds are read, want %s, %q and %d", tc.request, serials(), told, len(answer.Feeds), tc.serials, tc.tells, tc.feeds)
		}
	}
	if err := s.zones.Freeze(dnsname.MustParse("corp.example"), true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"corp.exmaple": `did you mean "corp.example"?`, "corp.example": "frozen", "taken.example": "`cenote transfer`",
	} {
		if _, err := s.Reload(t.Context(), api.ReloadRequest{Names: []string{name}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	write("f.domains", "") // which is taken by force alone
	before := s.publisher.CompileStatus().Generation
	for names, want := range map[string]string{"f": "name feed:f or zone:f", "feed:f corp.example": "frozen", "zone:taken.example": "`cenote transfer`", "zone:none": "known here: corp.example, f, feed:f, other.example, zone:f"} {
		_, err := s.Reload(t.Context(), api.ReloadRequest{Names: strings.Fields(names), Force: true})
		if err == nil || !strings.Contains(err.Error(), want) || s.publisher.CompileStatus().Generation != before {
			t.Errorf("%s by force: %v, want %s, and generation %d, want %d", names, err, want, s.publisher.CompileStatus().Generation, before)
		}
	}
}

// TestReloadTellsOfNewFeeds: whoever adds a feed and reloads hears what was read.
func TestReloadTellsOfNewFeeds(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, quiet)
	for name, text := range map[string]string{
		"new.domains": "malware.example\n",
		"cenote.yaml": quiet + "feeds: [{name: new, path: new.domains}]\npolicy: {zones: [{name: z, feeds: [new], action: nxdomain}]}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := s.Reload(t.Context(), api.ReloadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Feeds) != 1 || answer.Feeds[0].Name != "new" || !answer.Published {
		t.Errorf("got %+v, want the new feed, published", answer.ReloadReport)
	}
}

// TestReloadChangesHowFeedsAreWatched: a server that looks at its feeds once an hour follows them after a reload that tells it to.
func TestReloadChangesHowFeedsAreWatched(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := func(compile string) string {
		return "state: state\nlisten: ['127.0.0.1:0']\ncompile: {" + compile + "}\nfeeds: [{name: f, path: f.domains}]\n" +
			"policy: {zones: [{name: z, feeds: [f], action: nxdomain}]}\n"
	}
	write("f.domains", "a.example\n")
	s := startServer(t, dir, conf("poll: 1h, poll_only: true"))
	write("cenote.yaml", conf("poll: 100ms, poll_only: true, debounce: 50ms, cores: 1, memory: 1GiB, timeout: 5m"))
	answer, err := s.Reload(t.Context(), api.ReloadRequest{})
	if err != nil || len(answer.NeedsRestart) > 0 {
		t.Fatalf("reload: %v, needs a restart for %v; want none", err, answer.NeedsRestart)
	}
	before := s.publisher.Current().Number
	write("f.domains", "b.example\n")
	s.wait("the change is followed", func() bool { return s.publisher.Current().Number > before })
}

// TestReloadIsLive: keys that need no new socket are in force after a reload, which asks for no restart.
func TestReloadIsLive(t *testing.T) {
	for name, tc := range map[string]struct {
		keys string
		seen func(*running) uint64 // what the key changes, as the server sees it
	}{
		"policy.answer_early":            {"policy: {answer_early: false}\n", func(s *running) uint64 { return s.publisher.Current().Number }},
		"resolver.limits.prefetch_queue": {"resolver: {limits: {prefetch_queue: 1}}\n", prefetchesShed},
		"cache.size":                     {"cache: {size: 3MiB}\n", func(s *running) uint64 { return uint64(s.cache.Stats().Capacity) }},
		"limits.receive_buffer":          {"limits: {receive_buffer: 65KiB}\n", receiveBuffer},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			base := fmt.Sprintf("%sfeeds: [{name: f, path: f.domains}]\nupstreams: ['%v']\n", quiet, silent.LocalAddr())
			write := func(name, text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("f.domains", "a.example\n")
			s := startServer(t, dir, base)
			before := tc.seen(s)
			write("cenote.yaml", base+tc.keys)
			answer, err := s.Reload(t.Context(), api.ReloadRequest{})
			if err != nil || len(answer.NeedsRestart) > 0 {
				t.Fatalf("reload: %v, needs a restart for %v; want none", err, answer.NeedsRestart)
			}
			if after := tc.seen(s); after == before {
				t.Errorf("it was %d and is %d after the reload, want a change", before, after)
			}
		})
	}
}

// receiveBuffer is what the kernel gives the sockets on which s is asked over UDP, in octets; 0 if there is none.
func receiveBuffer(s *running) (octets uint64) {
	port := s.dns.Addrs()[0].Addr.Port()
	for fd := range 1024 {
		kind, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
		local, _ := syscall.Getsockname(fd)
		if at, ok := local.(*syscall.SockaddrInet4); ok && kind == syscall.SOCK_DGRAM && at.Port == int(port) {
			n, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF)
			octets = max(octets, uint64(n))
		}
	}
	return octets
}

// prefetchesShed asks for a hundred answers ahead, of an upstream that says nothing, and tells how many times that was refused.
func prefetchesShed(s *running) uint64 {
	for i := range 100 {
		s.resolver.Prefetch(&rrcache.Key{Name: fmt.Appendf(nil, "\x02%02d\x00", i), Type: wire.TypeA, Class: wire.ClassIN})
	}
	return s.resolver.Stats().PrefetchesShed
}

// TestOldPolicyIsFreed: a reload leaves no policy in memory but the new one, also in a worker that gets no query afterwards.
func TestOldPolicyIsFreed(t *testing.T) {
	t.Parallel() // it waits for longer than a query may live
	dir := t.TempDir()
	list := filepath.Join(dir, "list.domains")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("listed.example\n")
	s := startServer(t, dir, `
state: `+filepath.Join(dir, "state")+`
listen: [{address: 127.0.0.1:0}]
compile: {poll: 100ms, debounce: 50ms}
feeds: [{name: list, path: `+list+`, match: subtree}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [list]}]}
resolver: {total: 100ms, timeout: 100ms}
`)
	for _, network := range []string{"udp", "tcp"} {
		s.ask(network, "listed.example.", dns.TypeA)
	}
	var freed atomic.Bool
	runtime.AddCleanup(s.catalog.current().Policy, func(struct{}) { freed.Store(true) }, struct{}{})
	var many strings.Builder
	for i := range 10_000 { // too many for a delta, which keeps the index
		fmt.Fprintf(&many, "n%d.example\n", i)
	}
	write(many.String())
	s.wait("without the old policy", freed.Load)
	freed.Store(false)
	runtime.AddCleanup(s.catalog.current().Policy, func(struct{}) { freed.Store(true) }, struct{}{})
	write(many.String() + "more.example\n")
	s.wait("without the policy before the delta", func() bool {
		runtime.GC() // a delta is too small for memory to be given back at once
		return freed.Load()
	})
}

// TestPathSettingsComeWithThePolicy: from the moment at which a new policy is in force, while the rest of the reload goes on, no answer is found clean by the
// name servers that the old settings look at.
func TestPathSettingsComeWithThePolicy(t *testing.T) {
	dir := t.TempDir()
	up := dnstest.Start(t, `
		example.        3600 SOA ns.example. host.example. 1 3600 600 86400 60
		example.        3600 NS ns.nic.example.
		ns.nic.example.  300 A 203.0.113.250
		www.example.     300 A 203.0.113.9
	`)
	zone := filepath.Join(dir, "policy.rpz")
	if err := os.WriteFile(zone, []byte(`$TTL 300
$ORIGIN rpz.example.
@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 300
@ NS localhost.
ns.nic.example.rpz-nsdname CNAME .
`), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(dots int) string {
		return fmt.Sprintf("state: %s\nlisten: [{address: 127.0.0.1:0}]\nupstreams: ['%s']\nfeeds: [{name: rpz, path: %s}]\n"+
			"policy: {min_ns_dots: %d, zones: [{name: rpz, feeds: [rpz], action: nxdomain}]}\n", dir, up.Addr(), zone, dots)
	}
	s := startServer(t, dir, text(1))
	ask := func() int {
		reply, err := dnstest.Ask(new(dns.Msg).SetQuestion("www.example.", dns.TypeA), s.addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return reply.Rcode
	}
	for range 2 {
		if rcode := ask(); rcode != dns.RcodeSuccess {
			t.Fatalf("rcode %d before the reload, want the truth", rcode)
		}
	}
	next, _, err := config.Parse(s.path, []byte(text(0)))
	if err != nil {
		t.Fatal(err)
	}
	// This is where a reload stands between the two: the policy is published, and the configuration is not stored yet.
	if _, err := s.publisher.Reconfigure(t.Context(), feeds(next), policyOrder(next)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if rcode := ask(); rcode != dns.RcodeNameError {
			t.Errorf("rcode %d under the new policy, want NXDOMAIN", rcode)
		}
	}
}
