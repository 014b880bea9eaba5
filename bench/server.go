package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
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
	"cenote/wire"

	"golang.org/x/sys/unix"
)

// Where the two responders listen. Both are bound to one address, as an operator who counts does.
const (
	cenoteAddr = "127.0.53.2"
	echoAddr   = "127.0.53.9"
	port       = 5301
	adminAddr  = "127.0.53.2:5381"
)

// readyMax is how long the server may take to load the list.
const readyMax = 3 * time.Minute

// cenote is the server under test.
type cenote struct {
	cmd            *exec.Cmd
	log            bytes.Buffer  // read only after ended
	binary, config string        // paths
	done           chan struct{} // closed when the server has ended
	err            error         // how; set before done is closed
}

// configText is the operator's file: everything at its default but what the measurement needs. indicators_max is raised because a few
// hundred clients ask for all names here.
const configText = `state: %[1]s/state
listen: ["%[2]s:%[3]d"]
feeds:
  - name: bench
    path: %[1]s/domains.txt
    format: domains
    match: subtree
policy:
  sinkhole:
    ipv4: [192.0.2.53]
    ipv6: ["2001:db8::53"]
  zones:
    - name: bench
      feeds: [bench]
upstreams:
  - address: %[4]s
sightings:
  indicators_max: 1000000
api:
  http: %[5]s
log:
  level: warn
`

// startCenote starts the server and waits until the last name of the list is answered by policy.
func startCenote(ctx context.Context, o *options, dir, upstream string) (*cenote, error) {
	if err := free(net.JoinHostPort(cenoteAddr, strconv.Itoa(port)), adminAddr, net.JoinHostPort(echoAddr, strconv.Itoa(port))); err != nil {
		return nil, err
	}
	binary, err := binaryOf(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "cenote.yaml")
	text := fmt.Sprintf(configText, dir, cenoteAddr, port, upstream, adminAddr)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c := &cenote{done: make(chan struct{}), binary: binary, config: path, cmd: prepare(ctx, "taskset", "-c", serverCore, binary, "serve", "--config", path)}
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	if err := launch(c.cmd); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	if err := c.awaitReady(ctx, filepath.Join(dir, "q.last")); err != nil {
		return nil, errors.Join(err, c.stop())
	}
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
	b, err := os.ReadFile(lastFile)
	if err != nil {
		return err
	}
	last, _, _ := strings.Cut(string(b), " ")
	return c.await(ctx, last)
}

// await waits until a name is answered by policy.
func (c *cenote) await(ctx context.Context, name string) error {
	timeout := time.After(readyMax)
	for !listed(name) {
		select {
		case <-c.done:
			return errors.New("the server has ended")
		case <-timeout:
			return fmt.Errorf("the server did not come to answer %s by policy within %v", name, readyMax)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// listed asks for a name and reports whether the answer is policy's: those of the upstream here are all truthAddr.
func listed(name string) bool {
	conn, err := net.Dial("udp", net.JoinHostPort(cenoteAddr, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := dnsname.Parse(name)
	if err != nil {
		return false
	}
	query := append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, n...)
	query = append(query, 0, wire.TypeA, 0, wire.ClassIN)
	reply := make([]byte, 512)
	if _, err := conn.Write(query); err != nil {
		return false
	}
	size, err := conn.Read(reply)
	if err != nil || size < wire.HeaderLen {
		return false
	}
	reply = reply[:size]
	return wire.Rcode(reply) != wire.RcodeServFail && wire.Count(reply, 1) > 0 && !bytes.Contains(reply, truthAddr[:])
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

// cpu is the processor time that the server has used, with that of threads that have ended, exact to the nanosecond.
func (c *cenote) cpu() time.Duration {
	const scheduled = 2 // of the clocks of a process, the one that counts all its time; clock_getcpuclockid(3) makes the number so
	var ts unix.Timespec
	if err := unix.ClockGettime(^int32(c.cmd.Process.Pid)<<3|scheduled, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// metrics reads the server's metrics, each summed over its labels.
func (c *cenote) metrics(ctx context.Context) (map[string]float64, error) {
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

// parseMetrics sums each metric over its labels.
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
		sums[name] += v
	}
	return sums, lines.Err()
}

// startEcho starts the responder that everything is compared with.
func (t *tools) startEcho(ctx context.Context) (*exec.Cmd, error) {
	c := prepare(ctx, "taskset", "-c", serverCore, t.path("echo"), "-s", echoAddr, "-p", strconv.Itoa(port), "-b", "32")
	return c, launch(c)
}

// truthAddr is what the upstream answers for every name.
var truthAddr = [4]byte{192, 0, 2, 77}

// upstream answers every question: A with truthAddr, all else with no data. It is asked for each name once, before anything is measured.
func upstream(ctx context.Context) (addr string, err error) {
	conn, err := net.ListenPacket("udp", "127.0.53.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, peer, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := truth(buf[:n]); reply != nil {
				conn.WriteTo(reply, peer)
			}
		}
	}()
	return conn.LocalAddr().String(), nil
}

// truth makes the upstream's reply.
func truth(msg []byte) []byte {
	var q wire.Query
	if q.Parse(msg) != wire.FaultNone {
		return nil
	}
	const ttl = 86400
	reply := make([]byte, 0, 512)
	reply = binary.BigEndian.AppendUint16(reply, q.ID)
	reply = append(reply, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	reply = append(reply, q.Question...)
	if q.Type == wire.TypeA {
		wire.SetCount(reply, 1, 1)
		reply = wire.AppendRecord(reply, []byte{0xc0, wire.HeaderLen}, wire.TypeA, wire.ClassIN, ttl, truthAddr[:])
	} else {
		wire.SetCount(reply, 2, 1)
		soa := append([]byte{0, 0}, make([]byte, 20)...)
		binary.BigEndian.PutUint32(soa[18:], ttl)
		reply = wire.AppendRecord(reply, []byte{0}, wire.TypeSOA, wire.ClassIN, ttl, soa)
	}
	if q.OPT.Present {
		wire.SetCount(reply, 3, 1)
		reply = wire.AppendOPT(reply, wire.UDPSafe, 0, q.OPT.DO, nil)
	}
	return reply
}
