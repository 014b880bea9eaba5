package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/api"
	"cenote/config"
	"cenote/dnsname"
	"cenote/sighting"
	"cenote/wire"
)

// long reports whether the tests are to run at full size, which takes minutes: `make soak` asks for that.
func long() bool { return os.Getenv("CENOTE_LONG") == "1" }

// sized is small in an ordinary run and full in a long one.
func sized(small, full int) int {
	if long() {
		return full
	}
	return small
}

// scaled is sized; CENOTE_NAMES says otherwise how many names a test has that shows what does not depend on them.
func scaled(t *testing.T, small, full int) int {
	t.Helper()
	text := os.Getenv("CENOTE_NAMES")
	if text == "" {
		return sized(small, full)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("CENOTE_NAMES: %v", err)
	}
	return n
}

// running is a server of a test.
type running struct {
	*server
	t    *testing.T
	stop func()
}

// startServer runs a server with a configuration text until the test ends.
func startServer(t *testing.T, dir, text string) *running {
	t.Helper()
	path := filepath.Join(dir, "cenote.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(c, options{path: path, log: slog.New(slog.DiscardHandler), compiler: thisTest(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	r := &running{server: s, t: t, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})}
	t.Cleanup(r.stop)
	r.wait("ready", func() bool { return s.ready() == nil && s.settled.Load() })
	return r
}

// wait waits for what must come soon.
func (r *running) wait(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Duration(sized(60, 600)) * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not %s in time", what)
		}
	}
}

func (r *running) addr() netip.AddrPort { return r.dns.Addrs()[0].Addr }

// load asks one server at a steady rate from one socket, and judges every reply.
type load struct {
	t    *testing.T
	conn *net.UDPConn
	rate int // queries a second
	// ask makes query n; judge returns what is wrong with its reply, or "".
	ask   func(n int) dnsname.Name
	judge func(n int, reply []byte) string

	mu       sync.Mutex
	pending  map[uint16]pending // guarded by mu
	delays   []time.Duration    // guarded by mu
	sent     int
	answered atomic.Int64
	wrong    atomic.Int64
}

type pending struct {
	n  int
	at time.Time
}

func newLoad(t *testing.T, server netip.AddrPort, rate int) *load {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	if err := stampArrivals(conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &load{t: t, conn: conn, rate: rate, pending: map[uint16]pending{}}
}

// run sends until ctx ends and then waits for the last replies.
func (l *load) run(ctx context.Context) {
	var reading sync.WaitGroup
	reading.Go(l.read)
	began := time.Now()
	for ctx.Err() == nil {
		for due := int(time.Since(began).Seconds() * float64(l.rate)); l.sent < due; l.sent++ {
			l.send(l.sent)
		}
		time.Sleep(time.Millisecond)
	}
	for deadline := time.Now().Add(patience); l.waits() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	_ = l.conn.SetReadDeadline(time.Now())
	reading.Wait()
}

// waits reports whether replies are still to come.
func (l *load) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) > 0
}

func (l *load) send(n int) {
	name := l.ask(n)
	msg := make([]byte, wire.HeaderLen, 300)
	id := uint16(n)
	wire.SetID(msg, id)
	wire.SetFlags(msg, wire.FlagRD)
	wire.SetCount(msg, 0, 1)
	msg = append(append(msg, name...), 0, wire.TypeA, 0, wire.ClassIN)
	l.mu.Lock()
	l.pending[id] = pending{n, time.Now().Round(0)} // of the same clock as an arrival
	l.mu.Unlock()
	if _, err := l.conn.Write(msg); err != nil {
		l.t.Errorf("sending query %d: %v", n, err)
	}
}

func (l *load) read() {
	buf, control := make([]byte, 4096), make([]byte, 128)
	for {
		n, controls, _, _, err := l.conn.ReadMsgUDP(buf, control)
		if err != nil {
			return
		}
		id := wire.ID(buf)
		l.mu.Lock()
		p, ok := l.pending[id]
		delete(l.pending, id)
		l.delays = append(l.delays, arrival(control[:controls]).Sub(p.at))
		l.mu.Unlock()
		if !ok {
			continue
		}
		l.answered.Add(1)
		if fault := l.judge(p.n, buf[:n]); fault != "" && l.wrong.Add(1) <= 5 {
			l.t.Errorf("query %d: %s", p.n, fault)
		}
	}
}

// report fails the test for every reply that is missing and logs the delays.
func (l *load) report() {
	l.t.Helper()
	if lost := l.sent - int(l.answered.Load()); lost != 0 {
		l.t.Errorf("%d of %d queries got no reply", lost, l.sent)
	}
	slices.Sort(l.delays)
	if n := len(l.delays); n > 0 {
		l.t.Logf("%d queries at %d/s: 0 expected lost, %d wrong; p50 %v, p99 %v, p99.9 %v, max %v", l.sent, l.rate, l.wrong.Load(), l.delays[n/2], l.delays[n*99/100], l.delays[n*999/1000], l.delays[n-1])
	}
}

func firstAnswer(reply []byte) string {
	w, err := wire.Records(reply)
	if err != nil || !w.Next() || w.Section != wire.SectionAnswer || w.Type != wire.TypeA {
		return fmt.Sprintf("RCODE %d, no address", wire.Rcode(reply))
	}
	addr, _ := netip.AddrFromSlice(w.RData())
	return addr.String()
}

// replaceFile puts a new list in place by rename, as careful tools do.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestReloadsUnderLoadLoseNothing replaces a list again and again while queries come in: none is lost, and none gets an answer that was true
// neither before nor after.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	names, reloads, rate := sized(20_000, 1_000_000), sized(5, 100), sized(2000, 10_000)
	dir := t.TempDir()
	list := filepath.Join(dir, "list.domains")
	text := func(round int) string {
		var b strings.Builder
		for i := range names {
			fmt.Fprintf(&b, "n%d.listed.example\n", i)
		}
		fmt.Fprintf(&b, "round-%d.marker.example\n", round)
		return b.String()
	}
	replaceFile(t, list, text(0))
	s := startServer(t, dir, `
state: `+dir+`/state
listen: [{address: 127.0.0.1:0}]
rate_limit: {enabled: false}
compile: {poll: 200ms, debounce: 50ms}
feeds: [{name: list, path: `+list+`}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [list]}]}
`)
	l := newLoad(t, s.addr(), rate)
	l.ask = func(n int) dnsname.Name {
		return dnsname.MustParse("n" + strconv.Itoa(n*7919%names) + ".listed.example")
	}
	l.judge = func(_ int, reply []byte) string {
		if got := firstAnswer(reply); got != "192.0.2.53" {
			return "got " + got + ", want the sinkhole"
		}
		return ""
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	loading.Go(func() { l.run(ctx) })
	for round := 1; round <= reloads; round++ {
		replaceFile(t, list, text(round))
		marker := dnsname.MustParse("round-" + strconv.Itoa(round) + ".marker.example")
		s.wait(fmt.Sprintf("in round %d", round), func() bool { return s.lists(marker) })
	}
	cancel()
	loading.Wait()
	l.report()
}

// lists reports whether the policy in force lists a name.
func (r *running) lists(name dnsname.Name) bool {
	e, err := r.catalog.Explain(context.Background(), api.Question{Name: name})
	return err == nil && e.Winner != nil
}

// TestRenumberedRowsKeepTheirEvidence changes what stands on which line, and in which family, every 100 ms under load. Every sighting must tell the
// family and the line that its name had in the list that was served when it was asked for.
func TestRenumberedRowsKeepTheirEvidence(t *testing.T) {
	const names, families = 200, 7
	rounds := sized(15, 300)
	dir := t.TempDir()
	trails := filepath.Join(dir, "trails")
	write := func(round int) {
		next := fmt.Sprintf("%s-%d", trails, round)
		writeTrails(t, next, round, names, families)
		link := trails + ".link"
		if err := os.Symlink(next, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, trails); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	s := startServer(t, dir, `
state: `+dir+`/state
listen: [{address: 127.0.0.1:0}]
rate_limit: {enabled: false}
compile: {poll: 100ms, debounce: 10ms}
feeds: [{name: trails, path: `+trails+`, format: maltrail, match: exact, shrink_max: 100%}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [trails]}]}
sightings: {indicators_max: 1000000}
`)
	var newest atomic.Int64
	l := newLoad(t, s.addr(), sized(2000, 5000))
	asked, met := map[int]dnsname.Name{}, sync.Map{} // by query, guarded by l.mu; names that were sinkholed
	l.ask = func(n int) dnsname.Name {
		round := max(0, int(newest.Load())-rand.IntN(3))
		name := dnsname.MustParse(fmt.Sprintf("n%d.r%d.example", n%names, round))
		l.mu.Lock()
		defer l.mu.Unlock()
		asked[n] = name
		return name
	}
	var sinkholed atomic.Int64
	l.judge = func(n int, reply []byte) string {
		l.mu.Lock()
		name := asked[n]
		delete(asked, n)
		l.mu.Unlock()
		if firstAnswer(reply) == "192.0.2.53" {
			if _, before := met.LoadOrStore(name, true); !before {
				sinkholed.Add(1)
			}
		}
		return ""
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	loading.Go(func() { l.run(ctx) })
	pause, deadline := 100*time.Millisecond, time.Now().Add(5*time.Minute)
	for round := 1; round <= rounds || sinkholed.Load() < 2*names && time.Now().Before(deadline); round++ {
		if round > rounds {
			pause = time.Second // a machine that did not keep up gets time to serve a list before the next
		}
		write(round)
		newest.Store(int64(round))
		time.Sleep(pause)
	}
	cancel()
	loading.Wait()
	l.report()
	judgeEvidence(t, s, names, families)
}

// trailPlace is the family and line that a name has in its round: both move from round to round.
func trailPlace(i, round, families int) (family string, line int) {
	slot := i + round*3
	return fmt.Sprintf("family-%d", slot%families), 2 + (slot/families*5+round)%50*7
}

func writeTrails(t *testing.T, dir string, round, names, families int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lines := map[string]map[int]string{}
	for i := range names {
		family, line := trailPlace(i, round, families)
		if lines[family] == nil {
			lines[family] = map[int]string{}
		}
		for lines[family][line] != "" {
			line++ // what writes and what judges agree by the same walk
		}
		lines[family][line] = fmt.Sprintf("n%d.r%d.example", i, round)
	}
	for family, at := range lines {
		var b strings.Builder
		last := slices.Max(slices.Collect(keys(at)))
		for n := 1; n <= last; n++ {
			fmt.Fprintln(&b, cmpOr(at[n], "# nothing here"))
		}
		if err := os.WriteFile(filepath.Join(dir, family+".txt"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func keys(m map[int]string) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// judgeEvidence holds every sighting against the files of its round, which are still there.
func judgeEvidence(t *testing.T, s *running, names, families int) {
	t.Helper()
	ended := time.Now()
	s.wait("traced to their rows", func() bool { return s.ledger.Drained().After(ended) })
	var rows, wrong int
	for g, err := range s.ledger.All(t.Context(), sighting.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
		var i, round int
		if _, err := fmt.Sscanf(g.Name, "n%d.r%d.example", &i, &round); err != nil {
			t.Fatalf("a sighting of %q, which was never listed", g.Name)
		}
		family, _ := trailPlace(i, round, families)
		b, err := os.ReadFile(filepath.Join(fmt.Sprintf("%s/trails-%d", filepath.Dir(string(s.config.Load().State)), round), family+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(b), "\n")
		if g.Family != family || g.Line < 1 || g.Line > len(lines) || lines[g.Line-1] != g.Name {
			if wrong++; wrong <= 5 {
				t.Errorf("%s: sighting says family %s, line %d of %s; its list had it in %s", g.Name, g.Family, g.Line, g.File, family)
			}
		}
	}
	t.Logf("%d sightings, %d wrong", rows, wrong)
	if rows < names {
		t.Errorf("only %d sightings: the test has not tested enough", rows)
	}
}
