package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// peerServer is a peer that runs.
type peerServer struct {
	cmd  *exec.Cmd
	dir  string
	done chan struct{} // closed when it has ended
}

// startPeer starts a peer on the server's core and waits until it serves the whole list; it returns how long that took.
func (r *rig) startPeer(ctx context.Context, p *peer) (*peerServer, time.Duration, error) {
	program, err := p.path()
	if err != nil {
		return nil, 0, err
	}
	if err := free(fmt.Sprintf("%s:%d", peerAddr, port)); err != nil {
		return nil, 0, err
	}
	at := place{dir: filepath.Join(r.dir, "peer-"+p.name), lists: r.dir, upstream: r.up.addr}
	if err := p.writeFiles(at); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	s, err := p.launch(ctx, program, at)
	if err != nil {
		return nil, 0, err
	}
	if err := r.awaitPeer(ctx, s); err != nil {
		s.stop()
		return nil, 0, err
	}
	return s, time.Since(began), nil
}

// writeFiles makes the peer's directory, with its configuration.
func (p *peer) writeFiles(at place) error {
	if err := os.MkdirAll(at.dir, 0o755); err != nil {
		return err
	}
	for name, text := range p.files(at) {
		if err := os.WriteFile(filepath.Join(at.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// outputFile is where a peer's standard output and error go, in its directory.
const outputFile = "output"

func (p *peer) launch(ctx context.Context, program string, at place) (*peerServer, error) {
	args := []string{"-c", serverCore, program}
	for _, arg := range p.args {
		args = append(args, p.expand(arg, at))
	}
	output, err := os.Create(filepath.Join(at.dir, outputFile))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s := &peerServer{cmd: prepare(ctx, "taskset", args...), dir: at.dir, done: make(chan struct{})}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = at.dir, output, output
	if err := launch(s.cmd); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// sampleLen is how many names of each kind have to be answered as they should before a peer is measured.
const sampleLen = 200

// sample are names by which a peer is judged: the last of the list and some from all over it, and some that are not listed.
type sample struct{ listed, clean []string }

func (r *rig) sample() (s sample, err error) {
	var errs [3]error
	var last []string
	last, errs[0] = firstNames(filepath.Join(r.dir, "q.last"), 1)
	s.listed, errs[1] = firstNames(filepath.Join(r.dir, "q.blocked"), sampleLen)
	s.clean, errs[2] = firstNames(filepath.Join(r.dir, "q.clean"), sampleLen)
	s.listed = append(last, s.listed...)
	return s, errors.Join(errs[:]...)
}

// wrong is the first name of the sample that is not answered as it should, with what it should be answered by.
func (s sample) wrong() error {
	for _, name := range s.listed {
		if !byPolicy(name) {
			return fmt.Errorf("no answer by policy for the listed name %s", name)
		}
	}
	for _, name := range s.clean {
		if !byUpstream(name) {
			return fmt.Errorf("no answer of the upstream for %s", name)
		}
	}
	return nil
}

// awaitPeer waits until a whole sample is answered by policy and from the upstream: some peers serve before all of the list is in use, and not
// in its order.
func (r *rig) awaitPeer(ctx context.Context, s *peerServer) error {
	names, err := r.sample()
	if err != nil {
		return err
	}
	timeout := time.After(readyMax)
	for {
		wrong := names.wrong()
		if wrong == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("it ended: %s", s.lastWords())
		case <-timeout:
			return fmt.Errorf("%w within %v: %s", wrong, readyMax, s.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// byPolicy says whether the peer answers a name, and not from the upstream. Peers answer listed names with an address or NXDOMAIN.
func byPolicy(name string) bool {
	reply := ask(peerAddr, name)
	return reply != nil && !bytes.Contains(reply, truthAddr[:])
}

func byUpstream(name string) bool {
	return bytes.Contains(ask(peerAddr, name), truthAddr[:])
}

// peerStopMax is how long a peer may take to end.
const peerStopMax = 10 * time.Second

// stop ends the peer and what it started, which is its process group, and removes its files.
func (s *peerServer) stop() {
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(peerStopMax):
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
	}
	os.RemoveAll(s.dir)
}

// ended says whether the peer is no more.
func (s *peerServer) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// lastWords is the last line of the peer's output.
func (s *peerServer) lastWords() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, outputFile))
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	last := strings.ReplaceAll(lines[len(lines)-1], s.dir+"/", "")
	return last[:min(len(last), 160)]
}

func (s *peerServer) pid() int { return s.cmd.Process.Pid }

// processTree is a process and its descendants.
func processTree(pid int) []int {
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", out[i]))
		for _, path := range children {
			b, _ := os.ReadFile(path)
			for word := range strings.FieldsSeq(string(b)) {
				if child, err := strconv.Atoi(word); err == nil {
					out = append(out, child)
				}
			}
		}
	}
	return out
}

// treeCPU is the processor time of a process and its descendants, with that of children that have ended.
func treeCPU(pid int) (sum time.Duration) {
	for _, p := range processTree(pid) {
		sum += processCPU(p) + waitedCPU(p)
	}
	return sum
}

// waitedCPU is the processor time of a process's children that have ended and were waited for, to 10 ms (proc(5), stat, fields 16 and 17).
func waitedCPU(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return parseWaitedCPU(string(b))
}

func parseWaitedCPU(stat string) (sum time.Duration) {
	const tick = 10 * time.Millisecond
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // from the third on
	if len(fields) < 15 {
		return 0
	}
	for _, field := range fields[13:15] {
		n, _ := strconv.ParseInt(field, 10, 64)
		sum += time.Duration(n) * tick
	}
	return sum
}

// memoryOfTree is what a process and its descendants hold, in MiB. What several share is counted in parts.
func memoryOfTree(pid int) (sum float64) {
	for _, p := range processTree(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err == nil {
			sum += parsePss(string(b))
		}
	}
	return sum
}

func parsePss(rollup string) float64 {
	for line := range strings.Lines(rollup) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib / 1024
		}
	}
	return 0
}

// writeNSDZone makes the zone that nsd serves: a record for every listed name, and the upstream's for the others.
func writeNSDZone(dir string) (err error) {
	f, err := os.Create(filepath.Join(dir, "nsd.zone"))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	defer func() { err = errors.Join(err, w.Flush(), f.Close()) }()
	fmt.Fprintf(w, "$ORIGIN .\n$TTL 86400\n@ SOA ns.up.example. host.up.example. 1 3600 600 864000 3600\n@ NS ns.up.example.\nns.up.example. A 127.0.0.1\n")
	for _, part := range [...]struct{ file, addr string }{{"domains.txt", "192.0.2.53"}, {"q.clean", "192.0.2.77"}} {
		if err := appendZone(w, filepath.Join(dir, part.file), part.addr); err != nil {
			return err
		}
	}
	return nil
}

// appendZone writes an A record for the name on each line of a file.
func appendZone(w *bufio.Writer, path, addr string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ")
		fmt.Fprintf(w, "%s. A %s\n", name, addr)
	}
	return lines.Err()
}
