package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/config"
	"cenote/dnstest"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for cenote where a server starts its compiling child, and be a server whose clock is in a file.
func TestMain(m *testing.M) {
	if os.Getenv(atEase) != "" {
		if err := compileAtEase(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("CENOTE_TEST_AS_CENOTE") != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if clock := os.Getenv("CENOTE_TEST_CLOCK"); clock != "" {
		os.Exit(exitStatus(serveByFile(clock, os.Getenv("CENOTE_TEST_CONFIG"))))
	}
	goleak.VerifyTestMain(m)
}

// atEase in the environment makes the test binary a compiling child that gives way to nobody.
const atEase = "CENOTE_TEST_COMPILE_AT_EASE"

// compileAtEase is `cenote compile --child` without giving way, for which tests on a busy machine would wait for long. The tests that run a process
// have the child that is.
func compileAtEase(in io.Reader, out io.Writer) error {
	var job struct {
		Job blocklist.CompileConfig `json:"job"`
	}
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	messages := json.NewEncoder(out)
	job.Job.Progress = func(p blocklist.Progress) { _ = messages.Encode(map[string]any{"progress": p}) }
	report, err := blocklist.Compile(context.Background(), job.Job)
	last := map[string]any{"report": report}
	if err != nil {
		last["error"] = err.Error()
	}
	return errors.Join(messages.Encode(last), err)
}

// thisTest is the command line of a compiling child: this binary, told so by the environment.
func thisTest(t testing.TB) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"/usr/bin/env", atEase + "=1", self, "compile", "--child"}
}

var update = flag.Bool("update", false, "rewrite golden parts of the scenarios")

// patience bounds how long a scenario waits for what must come "soon", a reply among it; again is when a question that is asked until its reply
// is as wanted is asked anew.
const patience, again = 20 * time.Second, 2 * time.Second

// TestScenarios runs testdata/scenario/*.txtar against the real server in this process. The commands of a scenario are:
//
//	internet FILE          start an upstream that answers from FILE; $UPSTREAM is its address
//	tree FILE              start the servers of a tree of zones, see dnstest.StartTree; $HINTS and $ANCHORS are files with its root, $PORT is
//	                       where its servers listen
//	internet-saw NAME      fail unless the upstream was asked about NAME
//	internet-dies          the upstream goes away
//	internet-returns       it is back at its address
//	primary ZONE FILE      start a name server that gives the zone of FILE away by transfer, and follows the file; $PRIMARY is its address
//	primary-dies           it goes away
//	primary-returns        it is back at its address
//	list-server DIR        start a server that gives the files of DIR over HTTP, and what lies in objects as TAXII does; $LISTS is its URL
//	list-server-dies       it goes away
//	list-server-returns    it is back at its address
//	serve FILE             start the server with the configuration FILE; $DNS is where it listens
//	shutdown, restart      end the server as SIGTERM does; start it again with the same configuration
//	ask [-tcp] [-tls] [-do] [-rd=false] [-edns=false] [-nsid] [-from ADDR] [-key NAME=SECRET] [-until REGEXP] [-wait TIME] NAME [TYPE [CLASS]]
//	                       ask the server and print the reply; with -key signed, and what the signature of the reply is worth; with -nsid what the server tells of itself; with -until ask again until it looks so; -wait is for silence: how
//	                       long it must last
//	update [-tcp] [-from ADDR] [-key NAME=SECRET] ZONE +RECORD… -RECORD… -NAME…
//	                       ask the server to change a zone (RFC 2136): to add records, to delete some, or all of a name; print the response code
//	cenote ARGS            run a command of the command line in this process; with -until REGEXP first, again until it prints so
//
// The package's own stop and skip, which pass over what follows, are not for scenarios.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../../testdata/scenario/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %q, %v", files, err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil || regexp.MustCompile(`(?m)^(stop|skip)\b`).Match(text) {
			t.Errorf("%s: %v, or it passes over its end", file, err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                "../../testdata/scenario",
		RequireUniqueNames: true,
		UpdateScripts:      *update,
		Setup:              setupScenario,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"internet":            worldOf((*world).internet),
			"tree":                worldOf((*world).startTree),
			"internet-saw":        worldOf((*world).internetSaw),
			"internet-dies":       worldOf((*world).internetDies),
			"internet-returns":    worldOf((*world).internetReturns),
			"primary":             worldOf((*world).startPrimary),
			"primary-dies":        worldOf((*world).primaryDies),
			"primary-returns":     worldOf((*world).primaryReturns),
			"list-server":         worldOf((*world).listServer),
			"list-server-dies":    worldOf((*world).listServerDies),
			"list-server-returns": worldOf((*world).listServerReturns),
			"serve":               worldOf((*world).serve),
			"shutdown":            worldOf((*world).stopServer),
			"restart":             worldOf((*world).restart),
			"ask":                 worldOf((*world).ask),
			"update":              worldOf((*world).update),
			"cenote":              worldOf((*world).cenote),
		},
	})
}

// world is what one scenario has running.
type world struct {
	t        testing.TB
	config   string
	upstream *dnstest.Server
	lists    listServer
	primary  primary
	cancel   context.CancelFunc
	ended    chan error
	addr     netip.AddrPort
	tls      netip.AddrPort // where TLS is served, if anywhere
}

type worldKey struct{}

func setupScenario(env *testscript.Env) error {
	w := &world{t: env.T().(testing.TB)}
	env.Values[worldKey{}] = w
	env.Setenv("STATE", filepath.Join(env.WorkDir, "state"))
	env.Defer(func() {
		_ = w.stop()
		w.primary.close()
		w.lists.close()
	})
	return nil
}

func worldOf(run func(*world, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		run(ts.Value(worldKey{}).(*world), ts, neg, args)
	}
}

func (w *world) internet(ts *testscript.TestScript, _ bool, args []string) {
	w.upstream = dnstest.Start(w.t, ts.ReadFile(args[0]))
	ts.Setenv("UPSTREAM", w.upstream.Addr().String())
}

func (w *world) startTree(ts *testscript.TestScript, _ bool, args []string) {
	tree := dnstest.StartTree(w.t, ts.ReadFile(args[0]))
	for key, text := range map[string]string{"HINTS": tree.RootHints(), "ANCHORS": tree.Anchors()} {
		path := ts.MkAbs(strings.ToLower(key))
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
		ts.Setenv(key, path)
	}
	ts.Setenv("PORT", strconv.Itoa(int(tree.Port())))
}

func (w *world) internetSaw(ts *testscript.TestScript, neg bool, args []string) {
	if n := w.upstream.Asked(args[0], 0); n > 0 == neg {
		ts.Fatalf("the upstream was asked %d times about %s", n, args[0])
	}
}

func (w *world) internetDies(*testscript.TestScript, bool, []string) { w.upstream.Close() }

func (w *world) internetReturns(*testscript.TestScript, bool, []string) { w.upstream.Reopen(w.t) }

func (w *world) serve(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	w.config = ts.MkAbs(args[0])
	ts.Check(os.WriteFile(w.config, []byte(text), 0o600))
	ts.Setenv("CENOTE_CONFIG", w.config)
	w.start(ts)
}

func (w *world) start(ts *testscript.TestScript) {
	c, _, err := config.Load(w.config)
	ts.Check(err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s, err := newServer(c, options{path: w.config, log: log, compiler: thisTest(w.t)})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.ended = cancel, make(chan error, 1)
	go func() { w.ended <- s.run(ctx) }()
	w.addr = s.dns.Addrs()[0].Addr
	ts.Setenv("DNS", w.addr.String())
	for _, l := range s.dns.Addrs() {
		if l.TLS != nil {
			w.tls = l.Addr
		}
	}
	deadline := time.Now().Add(patience)
	for s.ready() != nil {
		if time.Now().After(deadline) {
			ts.Fatalf("the server is not ready: %v", s.ready())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) stop() error {
	if w.cancel == nil {
		return nil
	}
	w.cancel()
	w.cancel = nil
	return <-w.ended
}

func (w *world) stopServer(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(w.stop()) }

func (w *world) restart(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(w.stop())
	w.start(ts)
}

// question is what the ask command was told.
// flagCO is the EDNS flag of those who know compact denial (RFC 9824 section 5.1).
const flagCO = 0x4000

type question struct {
	tcp, tls     bool
	do, rd, edns bool
	co           bool
	nsid         bool
	from, until  string
	key          string        // NAME=SECRET in base64, to sign with
	wait         time.Duration // for a reply; 0: with patience
	name         string
	qtype, class uint16
}

func parseAsk(args []string) (question, error) {
	q := question{qtype: dns.TypeA, class: dns.ClassINET}
	set := flag.NewFlagSet("ask", flag.ContinueOnError)
	set.BoolVar(&q.tcp, "tcp", false, "")
	set.BoolVar(&q.tls, "tls", false, "")
	set.BoolVar(&q.do, "do", false, "")
	set.BoolVar(&q.co, "co", false, "")
	set.BoolVar(&q.rd, "rd", true, "")
	set.BoolVar(&q.edns, "edns", true, "")
	set.BoolVar(&q.nsid, "nsid", false, "")
	set.StringVar(&q.from, "from", "127.0.0.1", "")
	set.StringVar(&q.until, "until", "", "")
	set.StringVar(&q.key, "key", "", "")
	set.DurationVar(&q.wait, "wait", 0, "")
	if err := set.Parse(args); err != nil {
		return q, err
	}
	rest := set.Args()
	if len(rest) == 0 {
		return q, fmt.Errorf("ask needs a name")
	}
	if q.until != "" {
		q.wait = cmp.Or(q.wait, again)
	}
	q.name = dns.Fqdn(rest[0])
	if len(rest) > 1 {
		q.qtype = dns.StringToType[rest[1]]
	}
	if len(rest) > 2 {
		q.class = dns.StringToClass[rest[2]]
	}
	return q, nil
}

func (w *world) ask(ts *testscript.TestScript, _ bool, args []string) {
	q, err := parseAsk(args)
	ts.Check(err)
	text := w.poll(ts, q.until, func() string { return q.exchange(w.at(&q)) })
	_, _ = io.WriteString(ts.Stdout(), text)
}

// at is where a question is asked.
func (w *world) at(q *question) netip.AddrPort {
	if q.tls {
		return w.tls
	}
	return w.addr
}

// update sends a message that changes a zone.
func (w *world) update(ts *testscript.TestScript, _ bool, args []string) {
	q, changes := question{}, args
	set := flag.NewFlagSet("update", flag.ContinueOnError)
	set.BoolVar(&q.tcp, "tcp", false, "")
	set.StringVar(&q.from, "from", "127.0.0.1", "")
	set.StringVar(&q.key, "key", "", "")
	ts.Check(set.Parse(args))
	m := new(dns.Msg)
	if changes = set.Args(); len(changes) == 0 {
		ts.Fatalf("update needs a zone")
	}
	m.SetUpdate(dns.Fqdn(changes[0]))
	for _, change := range changes[1:] {
		what, text := change[:1], change[1:]
		if !strings.Contains(text, " ") {
			m.RemoveName([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(text)}}})
			continue
		}
		rr, err := dns.NewRR(text)
		ts.Check(err)
		if what == "+" {
			m.Insert([]dns.RR{rr})
		} else {
			m.Remove([]dns.RR{rr})
		}
	}
	_, _ = io.WriteString(ts.Stdout(), q.send(w.addr, m))
}

func (w *world) cenote(ts *testscript.TestScript, neg bool, args []string) {
	until := ""
	if len(args) > 1 && args[0] == "-until" {
		until, args = args[1], args[2:]
	}
	var status int
	var errOut strings.Builder
	text := w.poll(ts, until, func() string {
		var out strings.Builder
		errOut.Reset()
		status = runContext(context.Background(), w.withConfig(args), streams{strings.NewReader(""), &out, &errOut})
		return out.String()
	})
	_, _ = io.WriteString(ts.Stdout(), text)
	_, _ = io.WriteString(ts.Stderr(), errOut.String())
	if (status != 0) != neg {
		ts.Fatalf("cenote %s: exit status %d\n%s%s", strings.Join(args, " "), status, text, errOut.String())
	}
}

// withConfig gives a command the scenario's configuration unless it names one.
func (w *world) withConfig(args []string) []string {
	if w.config == "" || slices.Contains(args, "--config") || args[0] == "version" {
		return args
	}
	return append(slices.Clone(args), "--config", w.config)
}

// poll runs f until its text matches the pattern; without a pattern it runs f once.
func (w *world) poll(ts *testscript.TestScript, pattern string, f func() string) string {
	if pattern == "" {
		return f()
	}
	re, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text := f()
		if re.MatchString(text) {
			return text
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %q within %v; the last was:\n%s", pattern, patience, text)
		}
	}
}

func (q *question) exchange(server netip.AddrPort) string {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.Question[0].Qclass = q.class
	m.RecursionDesired = q.rd
	if q.edns {
		m.SetEdns0(1232, q.do)
		if q.co {
			m.IsEdns0().Hdr.Ttl |= flagCO
		}
	}
	if q.nsid {
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	}
	return q.send(server, m)
}

// send sends a message as the question says, and shows the reply.
func (q *question) send(server netip.AddrPort, m *dns.Msg) string {
	client := dns.Client{Net: "udp", Timeout: cmp.Or(q.wait, patience), Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(q.from)}}}
	if q.tcp {
		client.Net, client.Dialer = "tcp", &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(q.from)}}
	}
	if q.tls {
		client.Net, client.TLSConfig = "tcp-tls", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}} // the certificate is others' to judge
		client.Dialer = &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(q.from)}}
	}
	if q.key != "" {
		name, secret, _ := strings.Cut(q.key, "=")
		client.TsigSecret = map[string]string{dns.CanonicalName(name): secret}
		m.SetTsig(dns.CanonicalName(name), dns.HmacSHA256, 300, time.Now().Unix())
	}
	r, _, err := client.Exchange(m, server.String())
	if err != nil && (r == nil || q.key == "") {
		return "no reply\n"
	}
	text := show(r) + q.showSignature(r, err)
	if q.nsid {
		text += showServer(r)
	}
	return text
}

// showSignature prints what the signature of a reply to a signed question is worth.
func (q *question) showSignature(r *dns.Msg, err error) string {
	record := r.IsTsig()
	switch {
	case q.key == "":
		return ""
	case record == nil:
		return "not signed\n"
	case record.Error != 0:
		return dns.RcodeToString[int(record.Error)] + "\n"
	case err != nil:
		return fmt.Sprintf("signed wrongly: %v\n", err)
	}
	return "signed\n"
}

// show prints what a scenario looks at: response code and flags, the answer section, the name servers of a referral, what stands beside, extended errors.
func show(r *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[r.Rcode])
	for _, f := range []struct {
		set  bool
		name string
	}{{r.Authoritative, " aa"}, {r.Truncated, " tc"}, {r.AuthenticatedData, " ad"}} {
		if f.set {
			b.WriteString(f.name)
		}
	}
	if opt := r.IsEdns0(); opt != nil && opt.Hdr.Ttl&flagCO != 0 {
		b.WriteString(" co")
	}
	b.WriteByte('\n')
	for _, rr := range r.Answer {
		b.WriteString(strings.ReplaceAll(rr.String(), "\t", " ") + "\n")
	}
	for _, rr := range r.Ns {
		if rr.Header().Rrtype == dns.TypeNS {
			b.WriteString("authority " + strings.ReplaceAll(rr.String(), "\t", " ") + "\n")
		}
	}
	for _, rr := range r.Extra {
		if t := rr.Header().Rrtype; t != dns.TypeOPT && t != dns.TypeTSIG {
			b.WriteString("additional " + strings.ReplaceAll(rr.String(), "\t", " ") + "\n")
		}
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				b.WriteString(strings.TrimRight(fmt.Sprintf("EDE %d %s", ede.InfoCode, ede.ExtraText), " ") + "\n")
			}
		}
	}
	return b.String()
}

// showServer prints what the server tells of itself.
func showServer(r *dns.Msg) string {
	var b strings.Builder
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			switch o := o.(type) {
			case *dns.EDNS0_NSID:
				name, _ := hex.DecodeString(o.Nsid)
				fmt.Fprintf(&b, "NSID %s\n", name)
			case *dns.EDNS0_TCP_KEEPALIVE:
				fmt.Fprintf(&b, "KEEPALIVE %v\n", time.Duration(o.Timeout)*100*time.Millisecond)
			}
		}
	}
	return b.String()
}
