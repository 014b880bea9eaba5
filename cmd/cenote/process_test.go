package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The tests of this file run the program as a process of its own, for what only a process has: signals, exit statuses, standard error.

// asProcess is the program with arguments, to be started.
func asProcess(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "CENOTE_TEST_AS_CENOTE=1")
	return cmd
}

// process is a server that runs as a process.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended; cmd.ProcessState is set then

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu: what it wrote to standard error
}

// Write takes what the process says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// said is what the process has said so far.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// startProcess runs `cenote serve` until the test ends.
func startProcess(t *testing.T, config string) *process {
	t.Helper()
	p := &process{t: t, cmd: asProcess(t, "serve", "--config", config), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("the server said:\n%s", p.said())
		}
	})
	return p
}

// within is how long the tests of this file wait for what must come, on the slowest of machines.
const within = 2 * time.Minute

// until waits for done, while the process runs.
func (p *process) until(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(within); !done(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-p.ended:
			p.t.Fatalf("%s: the process has ended: %v", what, p.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: waited in vain", what)
		}
	}
}

// says waits for the process to have said text n times.
func (p *process) says(text string, n int) {
	p.t.Helper()
	p.until("it says "+text, func() bool { return strings.Count(p.said(), text) >= n })
}

var servingDNS = regexp.MustCompile(`msg="serving dns" address=(\S+) transport=udp`)

// addr waits for the address on which the process serves.
func (p *process) addr() netip.AddrPort {
	p.t.Helper()
	p.says("msg=started", 1)
	return netip.MustParseAddrPort(servingDNS.FindStringSubmatch(p.said())[1])
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exits waits for the end of the process, and returns its status.
func (p *process) exits() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// answers asks until the reply looks as wanted, as the first must if the policy is in force.
func (p *process) answers(name, want string) {
	p.t.Helper()
	q := question{rd: true, edns: true, wait: again, from: "127.0.0.1", name: dns.Fqdn(name), qtype: dns.TypeA, class: dns.ClassINET}
	var got string
	p.until(name+" is answered "+want, func() bool {
		got = q.exchange(p.addr())
		return strings.Contains(got, want)
	})
}

// answersNow is answers without patience.
func (p *process) answersNow(name, want string) {
	p.t.Helper()
	q := question{rd: true, edns: true, from: "127.0.0.1", name: dns.Fqdn(name), qtype: dns.TypeA, class: dns.ClassINET}
	if got := q.exchange(p.addr()); !strings.Contains(got, want) {
		p.t.Errorf("%s is answered %q, want %s in it", name, got, want)
	}
}

// writeAll writes files of a directory.
func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// sinkholing is a configuration that reads its feed at a reload only, and whatever more it holds.
func sinkholing(sinkhole, more string) string {
	return "state: state\nlisten: [{address: 127.0.0.1:0}]\ncompile: {poll: 1h, poll_only: true}\nfeeds: [{name: f, path: f.domains}]\n" +
		"policy: {sinkhole: {ipv4: [" + sinkhole + "]}, zones: [{name: z, feeds: [f]}]}\n" + more
}

// TestHangupReloadsAllOrNothing: SIGHUP brings configuration and feeds into effect together, or, where the file has a fault, neither, and says
// where the fault is.
func TestHangupReloadsAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "cenote.yaml")
	writeAll(t, dir, map[string]string{"cenote.yaml": sinkholing("192.0.2.53", ""), "f.domains": "first.test\n"})
	p := startProcess(t, config)
	p.answers("first.test", "192.0.2.53")

	writeAll(t, dir, map[string]string{"cenote.yaml": sinkholing("192.0.2.54", ""), "f.domains": "first.test\nsecond.test\n"})
	p.answersNow("first.test", "192.0.2.53") // nothing happens before it is asked for
	p.signal(syscall.SIGHUP)
	p.says("msg=reloaded", 1)
	p.answersNow("first.test", "192.0.2.54")
	p.answersNow("second.test", "192.0.2.54")

	writeAll(t, dir, map[string]string{"cenote.yaml": sinkholing("192.0.2.55", "tcp: {idel: 20s}\n"), "f.domains": "first.test\nsecond.test\nthird.test\n"})
	p.signal(syscall.SIGHUP)
	p.says("reload refused", 1)
	if said := p.said(); !strings.Contains(said, "cenote.yaml:6:7: tcp.idel: unknown key") {
		t.Error("the log does not say which key is wrong, and where")
	}
	p.answersNow("second.test", "192.0.2.54")
	p.answersNow("third.test", "NXDOMAIN")

	writeAll(t, dir, map[string]string{"cenote.yaml": sinkholing("192.0.2.55", "tcp: {idle: 20s}\n")})
	p.signal(syscall.SIGHUP)
	p.says("msg=reloaded", 2)
	p.answersNow("third.test", "192.0.2.55")

	p.signal(syscall.SIGTERM)
	if got := p.exits(); got != 0 {
		t.Errorf("exit status %d after SIGTERM, want 0", got)
	}
}

// TestHangupDuringTheStart: a SIGHUP that comes while the server is starting is one reload more, not its end.
func TestHangupDuringTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := syscall.Mkfifo(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	digits := strings.Repeat("0", 32) + "\n"
	writeAll(t, dir, map[string]string{
		"cenote.yaml": sinkholing("192.0.2.53", "cookies: {secret_file: secret}\n"), "f.domains": "first.test\n", "next": digits})
	p := startProcess(t, filepath.Join(dir, "cenote.yaml"))
	var pipe *os.File
	p.until("it waits for its secret", func() bool {
		var err error
		if pipe, err = os.OpenFile(secret, os.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil && !errors.Is(err, syscall.ENXIO) {
			t.Fatal(err)
		}
		return err == nil
	})
	if err := os.Rename(filepath.Join(dir, "next"), secret); err != nil { // whoever reads it from now on need not wait
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	if _, err := pipe.WriteString(digits); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	p.says("msg=reloaded", 1)
	p.answersNow("first.test", "192.0.2.53")
}

// heldUpstream answers no query before release is closed, and then all with 192.0.2.1. asked counts those that came.
func heldUpstream(t *testing.T, release <-chan struct{}) (addr string, asked *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int64)
	var running sync.WaitGroup
	answer := func(q *dns.Msg, to net.Addr) {
		<-release
		r := new(dns.Msg).SetReply(q)
		r.RecursionAvailable = true
		r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		if b, err := r.Pack(); err == nil {
			_, _ = conn.WriteTo(b, to)
		}
	}
	running.Go(func() {
		for buf := make([]byte, dns.MaxMsgSize); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) == nil && len(q.Question) == 1 {
				asked.Add(1)
				running.Go(func() { answer(q, from) })
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		running.Wait()
	})
	return conn.LocalAddr().String(), asked
}

// TestTerminationDrains: SIGTERM lets nobody in any more, answers whoever waits, writes down what was matched, and ends with status 0.
func TestTerminationDrains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release := make(chan struct{})
	released := sync.OnceFunc(func() { close(release) })
	up, asked := heldUpstream(t, release)
	t.Cleanup(released) // before that of the upstream
	config := filepath.Join(dir, "cenote.yaml")
	writeAll(t, dir, map[string]string{"f.domains": "first.test\n",
		"cenote.yaml": sinkholing("192.0.2.53", "upstreams: [\""+up+"\"]\nlimits: {shutdown: 5m}\n")})
	p := startProcess(t, config)
	p.answers("first.test", "192.0.2.53")

	client, server := dns.Client{Net: "udp", Timeout: within}, p.addr().String()
	began := time.Now()
	reply := make(chan string, 1)
	go func() {
		r, _, err := client.Exchange(new(dns.Msg).SetQuestion("held.example.", dns.TypeA), server)
		if err != nil {
			reply <- err.Error()
			return
		}
		reply <- show(r)
	}()
	p.until("the query waits for its upstream", func() bool { return asked.Load() > 0 })
	p.signal(syscall.SIGTERM)
	for open := true; open; time.Sleep(5 * time.Millisecond) { // until nobody is let in
		conn, err := net.Dial("tcp", server)
		if open = err == nil; open {
			_ = conn.Close()
		}
		if time.Since(began) > within {
			t.Fatal("after SIGTERM connections are still let in")
		}
	}
	slow := time.Since(began) > 4*time.Second // no query waits for longer than five
	released()
	if got := <-reply; got != "NOERROR\nheld.example. 60 IN A 192.0.2.1\n" && !(slow && strings.HasPrefix(got, "SERVFAIL")) {
		t.Errorf("the query under way got %q, want its answer", got)
	}
	if got := p.exits(); got != 0 {
		t.Errorf("exit status %d, want 0", got)
	}
	if !strings.Contains(p.said(), "msg=stopped") {
		t.Error("the log does not say that the server has stopped")
	}

	again := startProcess(t, config)
	again.addr()
	again.until("the match is in the ledger", func() bool {
		out, err := asProcess(t, "sightings", "--config", config).Output()
		return err == nil && strings.Contains(string(out), "first.test")
	})
}

// TestExitStatus holds what scripts and supervisors go by: 0 is success, 1 a fault that is told, 2 a wrong command line.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	good := sinkholing("192.0.2.53", "")
	writeAll(t, dir, map[string]string{
		"f.domains": "first.test\n", "dirty.domains": "first.test\nnot/a/name\n",
		"good.yaml": good, "key.yaml": good + "upstrem: []\n",
		"row.yaml":   strings.Replace(good, "f.domains", "dirty.domains", 1),
		"gone.yaml":  strings.Replace(good, "f.domains", "gone.domains", 1),
		"taken.yaml": strings.Replace(good, "127.0.0.1:0", taken.Addr().String(), 1),
	})
	for _, tc := range []struct {
		name   string
		args   string
		status int
		says   string // on standard output or standard error
	}{
		{"check finds nothing", "check --config good.yaml", 0, ""},
		{"check finds an unknown key", "check --config key.yaml", 1, "key.yaml:6:1: upstrem: unknown key"},
		{"check finds a bad row", "check --config row.yaml", 1, "dirty.domains:2: "},
		{"check finds no feed", "check --config gone.yaml", 1, "gone.domains"},
		{"check finds no configuration", "check --config nowhere.yaml", 1, "nowhere.yaml"},
		{"check as JSON", "check --json --config row.yaml", 1, `dirty.domains","line":2,`},
		{"unknown flag", "serve --prot 53", 2, "unknown flag --prot"},
		{"unknown command", "srve", 2, "unexpected argument srve"},
		{"no command", "", 2, "expected one of"},
		{"wrong line of a command below another", "held release a.example", 2, "Run `cenote held release --help` for what it takes."},
		{"wrong command below another", "zones dif", 2, "Run `cenote zones --help`"},
		{"word that is none", "held --state none", 2, `must be one of "held","log-only","served" but`},
		{"word that is none, of an argument", "completion none", 2, `"fish" but got "none"`},
		{"address that is none", "explain a.example --client 192.0.2", 2, `--client: "192.0.2" is no address: write one such as 192.0.2.7`},
		{"one address of several that is none", "explain a.example --answer 192.0.2.7,x", 2, `"x" is no address`},
		{"confidence above all", "export rpz --confidence 101", 1, "--confidence 101: want 1 to 100"},
		{"help", "--help", 0, "Usage: cenote"},
		{"version", "version", 0, "cenote"},
		{"port in use", "serve --config taken.yaml", 1, "another program has the address"},
		{"faulty configuration", "serve --config key.yaml", 1, "key.yaml:6:1: upstrem: unknown key"},
		{"no server to be asked for its health", "health --config good.yaml", 1, "cenote.sock"},
		{"no server to reload", "reload --config good.yaml", 1, "cenote.sock"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := asProcess(t, strings.Fields(tc.args)...)
			cmd.Dir = dir
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
			defer stop()
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != tc.status || !strings.Contains(string(out), tc.says) {
				t.Errorf("cenote %s: exit status %d, want %d, and %q in:\n%s", tc.args, got, tc.status, tc.says, out)
			}
		})
	}
}
