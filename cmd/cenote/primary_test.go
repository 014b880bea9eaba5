package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cenote/config"

	"github.com/rogpeppe/go-internal/testscript"
)

// primary is a name server of somebody else's that gives one zone away: another server of ours.
type primary struct {
	zone, file, state string
	addr              netip.AddrPort
	stop              func()
}

func (w *world) startPrimary(ts *testscript.TestScript, _ bool, args []string) {
	w.primary = primary{zone: args[0], file: ts.MkAbs(args[1]), state: filepath.Join(ts.MkAbs("."), "primary"), addr: netip.MustParseAddrPort("127.0.0.1:0")}
	ts.Check(w.primary.start(w.t))
	ts.Setenv("PRIMARY", w.primary.addr.String())
}

func (w *world) primaryDies(*testscript.TestScript, bool, []string) { w.primary.close() }

func (w *world) primaryReturns(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(w.primary.start(w.t))
}

func (p *primary) close() {
	if p.stop != nil {
		p.stop()
	}
}

// start runs it where it was, or on a port that the kernel chooses.
func (p *primary) start(t testing.TB) error {
	path := p.state + ".yaml"
	if err := os.WriteFile(path, fmt.Appendf(nil, `
state: %[1]s
listen: [{address: '%[2]s'}]
api: {socket: %[1]s/socket}
upstreams: ['127.0.0.1:9']
zones: [{name: %[3]s, file: %[4]s, allow_transfer: [127.0.0.1/32]}]
`, p.state, p.addr, p.zone, p.file), 0o600); err != nil {
		return err
	}
	c, _, err := config.Load(path)
	if err != nil {
		return err
	}
	s, err := newServer(c, options{path: path, log: slog.New(slog.DiscardHandler), compiler: thisTest(t)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	p.addr = s.dns.Addrs()[0].Addr
	p.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	for deadline := time.Now().Add(patience); s.ready() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return s.ready()
		}
	}
	return nil
}
