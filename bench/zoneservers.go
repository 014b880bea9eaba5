package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// zoneServer is a server of zones.
type zoneServer struct {
	peer
	addr    string
	port    int
	version string
	zone    string // the text of one zone, with its name twice: the second time for its file
	ours    bool
}

// zoneServers are those that are compared, Cenote first. All may run at once.
func zoneServers() []zoneServer {
	own := zoneServer{peer: peer{name: "Cenote"}, addr: cenoteAddr, port: port, ours: true,
		zone: "  - {name: %[1]s, file: ${list}/%[2]s, allow_transfer: [127.0.0.0/8]}\n"}
	own.config = "state: ${dir}/state\nlisten: [\"" + cenoteAddr + ":" + fmt.Sprint(port) + "\"]\nupstreams: ['127.0.0.1:9']\nrate_limit: {enabled: false}\n" +
		"log: {level: warn}\napi: {http: '" + adminAddr + "'}\nzones:\n${zones}"
	own.file, own.args = "cenote.yaml", []string{"serve", "--config", "${dir}/cenote.yaml"}
	nsd := zoneServer{peer: peer{name: "nsd", pkg: "nsd", program: "nsd", file: "peer.conf", args: []string{"-d", "-c", "${dir}/peer.conf"}}, port: port + 1,
		zone: "zone:\n  name: %[1]s\n  zonefile: \"${list}/%[2]s\"\n  provide-xfr: 0.0.0.0/0 NOKEY\n"}
	nsd.config, _, _ = strings.Cut(nsdText, "zone:\n  name:")
	nsd.config += "${zones}"
	knot := zoneServer{peer: peer{name: "knot", pkg: "knot", program: "knotd", file: "peer.conf", args: []string{"-c", "${dir}/peer.conf"}}, port: port + 2,
		zone: "  - domain: %[1]s\n    file: \"${list}/%[2]s\"\n    acl: all\n    zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n"}
	knot.config = "server:\n  rundir: ${dir}\n  listen: ${addr}@${port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: ${dir}\n" +
		"acl:\n  - id: all\n    action: transfer\nzone:\n${zones}"
	named := zoneServer{peer: peer{name: "named", pkg: "bind9", program: "named", file: "peer.conf", args: []string{"-f", "-n", "1", "-c", "${dir}/peer.conf"}}, port: port + 3,
		zone: "zone \"%[1]s\" { type primary; file \"${list}/%[2]s\"; masterfile-format text; allow-transfer { any; }; };\n"}
	named.config = "options {\n  directory \"${dir}\";\n  listen-on port ${port} { ${addr}; };\n  listen-on-v6 { none; };\n  pid-file none;\n  session-keyfile none;\n" +
		"  managed-keys-directory \"${dir}\";\n  recursion no;\n  minimal-responses yes;\n  zone-statistics no;\n  querylog no;\n  notify no;\n  tcp-clients 1024;\n};\n" +
		"controls { };\nlogging { category default { default_stderr; }; };\n${zones}"
	out := []zoneServer{own, nsd, knot, named}
	for i := range out {
		if out[i].addr == "" {
			out[i].addr = peerAddr
		}
	}
	return out
}

// text is the configuration for some zones.
func (s *zoneServer) text(text, dir, lists string, zones []string) string {
	var all strings.Builder
	for _, name := range zones {
		file := hostsFile
		if name == rulesZone {
			file = rulesFile
		}
		fmt.Fprintf(&all, s.zone, name, file)
	}
	words := map[string]string{"dir": dir, "list": lists, "addr": s.addr, "port": fmt.Sprint(s.port)}
	expand := func(text string) string { return os.Expand(text, func(key string) string { return words[key] }) }
	words["zones"] = expand(all.String())
	return expand(text)
}

// zoneProcess is a server that runs.
type zoneProcess struct {
	*peerServer
	addr string
	port int
}

// start starts a server on a core, and waits until it serves all zones.
func (r *zoneRig) start(ctx context.Context, s *zoneServer, core string, zones []string) (*zoneProcess, error) {
	program := r.binary
	if !s.ours {
		var err error
		if program, err = s.path(); err != nil {
			return nil, err
		}
		s.version = s.peer.version(ctx)
	}
	if err := free(fmt.Sprintf("%s:%d", s.addr, s.port)); err != nil {
		return nil, err
	}
	dir := filepath.Join(r.dir, "zones-"+s.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.text(s.config, dir, r.dir, zones)), 0o644); err != nil {
		return nil, err
	}
	args := []string{"-c", core, program}
	for _, arg := range s.args {
		args = append(args, s.text(arg, dir, r.dir, nil))
	}
	p, err := launchIn(ctx, dir, args)
	if err != nil {
		return nil, err
	}
	out := &zoneProcess{p, s.addr, s.port}
	for _, name := range zones {
		if _, err := r.awaitSerial(ctx, out, name, func(uint32) bool { return true }); err != nil {
			return nil, errors.Join(err, out.stop())
		}
	}
	return out, nil
}

// launchIn starts a command under taskset, one processor to itself, with its output in a file of the directory.
func launchIn(ctx context.Context, dir string, args []string) (*peerServer, error) {
	output, err := os.Create(filepath.Join(dir, outputFile))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s := &peerServer{cmd: prepare(ctx, "taskset", args...), dir: dir, done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	s.cmd.Stdout, s.cmd.Stderr = output, output
	if err := launch(s.cmd); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// stop ends the server, which is to happen without an error.
func (p *zoneProcess) stop() error {
	if p.ended() {
		return fmt.Errorf("it has ended: %s", p.lastWords())
	}
	syscall.Kill(-p.pid(), syscall.SIGTERM)
	p.peerServer.stop()
	return nil
}

// serialPoll is how often a server is asked for its serial.
const serialPoll = time.Millisecond

// awaitSerial waits until a server has a serial of a zone that is wanted, and returns when it was seen.
func (r *zoneRig) awaitSerial(ctx context.Context, p *zoneProcess, name string, wanted func(uint32) bool) (time.Time, error) {
	timeout := time.After(readyMax)
	for {
		if serial, ok := serialAt(p.addr, p.port, name); ok && wanted(serial) {
			return time.Now(), nil
		}
		select {
		case <-p.done:
			return time.Time{}, fmt.Errorf("it ended: %s", p.lastWords())
		case <-timeout:
			return time.Time{}, fmt.Errorf("it does not come to serve %s: %s", name, p.lastWords())
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-time.After(serialPoll):
		}
	}
}
