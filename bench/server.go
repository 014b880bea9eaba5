package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cenote/dnsname"
	"cenote/pace"
	"cenote/wire"
)

// Where the two responders listen. Both are bound to one address, as an operator who counts does.
const (
	cenoteAddr = "127.0.53.2"
	echoAddr   = "127.0.53.9"
	port       = 5301
	adminAddr  = "127.0.53.2:5381"
)

// readyMax and readyEach are how long the server may take to load the list: whatever its length, and for each of its names.
const (
	readyMax  = 3 * time.Minute
	readyEach = 30 * time.Microsecond
)

// readyPoll and reloadPoll are how often it is asked whether it has: at the start often, since a start takes little; under load seldom.
const (
	readyPoll  = 5 * time.Millisecond
	reloadPoll = 20 * time.Millisecond
)

// cenote is the server under test.
type cenote struct {
	cmd            *exec.Cmd
	log            bytes.Buffer  // read only after ended
	binary, config string        // paths
	readyMax       time.Duration // how long it may take to load a list
	ready          time.Duration // from its start until the last name of the list was answered by policy
	done           chan struct{} // closed when the server has ended
	err            error         // how; set before done is closed
}

// startCenote starts the server and waits until the last name of the list is answered by policy.
func startCenote(ctx context.Context, o *options, s *setup) (*cenote, error) {
	if err := free(net.JoinHostPort(cenoteAddr, strconv.Itoa(port)), adminAddr); err != nil {
		return nil, err
	}
	binary, err := binaryOf(ctx, o, s.dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, "cenote.yaml")
	if err := os.WriteFile(path, []byte(s.text()), 0o600); err != nil {
		return nil, err
	}
	c := &cenote{done: make(chan struct{}), binary: binary, config: path, readyMax: readyMax + time.Duration(o.names)*readyEach}
	c.cmd = prepare(ctx, "taskset", "-c", serverCore, binary, "serve", "--config", path)
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	began := time.Now()
	if err := launch(c.cmd); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if err := c.awaitReady(ctx, filepath.Join(s.dir, "q.last")); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	c.ready = time.Since(began)
	return c, nil
}

// free says whether nobody listens there: another server would be taken for ours.
func free(addrs ...string) error {
	for _, addr := range addrs {
		udp, err := net.ListenPacket("udp", addr)
		if err != nil {
			return fmt.Errorf("the address of the measurement is taken: %w", err)
		}
		udp.Close()
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("the address of the measurement is taken: %w", err)
		}
		tcp.Close()
	}
	return nil
}

// binaryOf returns the path of the server, which it builds from the checkout unless the flag names one: a binary that lies about may be
// of another commit.
func binaryOf(ctx context.Context, o *options, dir string) (string, error) {
	if o.binary != "" {
		return filepath.Abs(o.binary)
	}
	binary := filepath.Join(dir, "cenote")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/cenote")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return binary, nil
}

func (c *cenote) awaitReady(ctx context.Context, lastFile string) error {
	last, err := firstNames(lastFile, 1)
	if err != nil {
		return err
	}
	return c.await(ctx, last[0], readyPoll)
}

// await waits until a name is answered by policy, which it asks for after each pause of that length.
func (c *cenote) await(ctx context.Context, name string, poll time.Duration) error {
	timeout := time.After(c.readyMax)
	for !listed(name) {
		select {
		case <-c.done:
			return errors.New("the server has ended")
		case <-timeout:
			return fmt.Errorf("the server did not come to answer %s by policy within %v", name, c.readyMax)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
	return nil
}

// listed asks the server for a name and reports whether the answer is policy's: those of the upstream here are all truthAddr.
func listed(name string) bool {
	reply := ask(cenoteAddr, name)
	return reply != nil && wire.Count(reply, 1) > 0 && !bytes.Contains(reply, truthAddr[:])
}

// ask asks the responder at an address for the A record of a name. It returns nil if there was no answer, or SERVFAIL or REFUSED.
func ask(addr, name string) []byte {
	conn, err := net.Dial("udp", net.JoinHostPort(addr, strconv.Itoa(port)))
	if err != nil {
		return nil
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	query, err := encodeQuery(name, wire.TypeA)
	if err != nil {
		return nil
	}
	reply := make([]byte, 4096)
	if _, err := conn.Write(query); err != nil {
		return nil
	}
	size, err := conn.Read(reply)
	if err != nil || size < wire.HeaderLen || wire.Rcode(reply) == wire.RcodeServFail || wire.Rcode(reply) == wire.RcodeRefused {
		return nil
	}
	return reply[:size]
}

// encodeQuery makes a query with ID 1 and RD, without EDNS.
func encodeQuery(name string, qtype uint16) ([]byte, error) {
	n, err := dnsname.Parse(name)
	if err != nil {
		return nil, err
	}
	query := append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, n...)
	return append(query, byte(qtype>>8), byte(qtype), 0, wire.ClassIN), nil
}

// stopMax is how long the server may take to end.
const stopMax = time.Minute

// stop ends the server as an operator does.
func (c *cenote) stop() error {
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(stopMax):
		c.cmd.Process.Kill()
		<-c.done
	}
	if c.err != nil {
		return fmt.Errorf("the server ended with %w\n%s", c.err, c.log.String())
	}
	return nil
}

// cpu is the processor time that the server has used.
func (c *cenote) cpu() time.Duration { return processCPU(c.cmd.Process.Pid) }

// processCPU is the processor time that a process has used; 0 if it has ended.
func processCPU(pid int) time.Duration {
	ran, err := pace.Ran(pid)
	if err != nil {
		return 0
	}
	return ran
}

// metrics reads the server's metrics, each summed over its labels.
func (c *cenote) metrics(ctx context.Context) (map[string]float64, error) { return metricsNow(ctx) }

func metricsNow(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+adminAddr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return parseMetrics(resp.Body)
}

// parseMetrics sums each metric over its labels. The buckets of histograms stay apart, by their names with labels.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	sums := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		name, _, _ := strings.Cut(line[:end], "{")
		if strings.HasSuffix(name, "_bucket") {
			name = line[:end]
		}
		sums[name] += v
	}
	return sums, lines.Err()
}

// startEcho starts the responder that everything is compared with. It answers with one A record, as the server does.
func (t *tools) startEcho(ctx context.Context) (*exec.Cmd, error) {
	if err := free(net.JoinHostPort(echoAddr, strconv.Itoa(port))); err != nil {
		return nil, err
	}
	c := prepare(ctx, "taskset", "-c", serverCore, t.path("echo"), "-a", "-s", echoAddr, "-p", strconv.Itoa(port), "-b", "32")
	return c, launch(c)
}
