package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peerOptions are the flags of the part that measures the server beside its peers.
type peerOptions struct {
	peers     string
	pairs     int
	conns     int
	tcpWindow int
}

func (o *peerOptions) define() {
	flag.StringVar(&o.peers, "peers", "", "measure the server beside these peers and nothing else: all, or names with commas between")
	flag.IntVar(&o.pairs, "pairs", 7, "how often the server and a peer take turns under each load")
	flag.IntVar(&o.conns, "tcp-conns", 8, "connections of the load over TCP")
	flag.IntVar(&o.tcpWindow, "tcp-window", 32, "queries under way on each connection of the load over TCP")
}

// A peer is a server of others, as Debian packages it.
type peer struct {
	name    string
	pkg     string // of Debian
	program string
	list    string            // the file of names that it reads, beside those of the rig
	file    string            // its file of configuration
	config  string            // the text of that, with ${...} for what a place says
	more    map[string]string // further files, by name
	vars    map[string]string // what ${...} stands for besides
	args    []string          // with ${...} too
	loads   []string          // those that say something; empty for all
	scale   bool              // no filter, but shown for scale
	stub    bool              // it recurses, and its configuration has the stub zone that the load of misses needs
}

// bears says whether a load says something of the peer.
func (p *peer) bears(k peerKind) bool {
	if k.miss {
		return p.stub
	}
	return len(p.loads) == 0 || slices.Contains(p.loads, k.name)
}

// peerAddr is where a peer listens, one at a time: an address that lo carries by name, since named binds to no other.
const peerAddr = "127.0.0.1"

// checkPeers refuses what would measure nothing.
func (o *options) checkPeers() error {
	if o.profile != "" {
		return errors.New("-peers and -profile exclude each other")
	}
	if _, err := peersOf(o.peers); err != nil {
		return err
	}
	if chosen := o.peerLoads(); o.loads != "" && len(chosen) != len(strings.Split(o.loads, ",")) {
		return fmt.Errorf("loads %q: want some of hits, cached, mix, tcp and misses", o.loads)
	}
	if o.names < 1 || o.pairs < 1 || o.window < 1 || o.clients < 1 || o.tcpWindow < 1 || !(o.seconds > 0) {
		return errors.New("names, pairs, seconds, window, clients and tcp-window have to be above 0")
	}
	if o.conns < 1 || o.conns > tcpConnsMax {
		return fmt.Errorf("tcp-conns has to be 1 to %d", tcpConnsMax)
	}
	return nil
}

// tcpConnsMax is how many connections have an address of their own.
const tcpConnsMax = 250

// peersOf are the peers that the flag names.
func peersOf(flag string) ([]peer, error) {
	all := allPeers()
	if flag == "all" {
		return all, nil
	}
	var out []peer
	for name := range strings.SplitSeq(flag, ",") {
		i := slices.IndexFunc(all, func(p peer) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("peers: there is no %q; want all, or some of %s", name, strings.Join(peerNames(all), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func peerNames(peers []peer) (out []string) {
	for _, p := range peers {
		out = append(out, p.name)
	}
	return out
}

// path is where the program lies; servers are often in a directory that is not in the PATH of users.
func (p *peer) path() (string, error) {
	if path, err := exec.LookPath(p.program); err == nil {
		return path, nil
	}
	for _, dir := range [...]string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, p.program)); err == nil {
			return path, nil
		}
	}
	return "", errNotInstalled
}

var errNotInstalled = errors.New("not installed")

// version asks the package manager.
func (p *peer) version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", p.pkg).Output()
	if err != nil || len(out) == 0 {
		return "unknown"
	}
	return string(out)
}

// peerResults are the figures of all peers.
type peerResults struct {
	names  int
	pairs  int
	served time.Duration // from the server's start, with no state, to the first answer by the whole list
	loads  []peerKind
	peers  []*peerResult
}

// peerResult is one peer: why it was not measured, or what it did under each load.
type peerResult struct {
	peer
	version string
	served  time.Duration // from its start to the first answers by the whole list
	reason  string
	loads   []*pairResult
}

// benchPeers measures, prints and writes, also if peers are missing. A peer that was asked for by its name and has no figures is an error then.
func benchPeers(ctx context.Context, o *options) error {
	var all *peerResults
	err := withRig(ctx, o, func(r *rig) (err error) {
		all, err = r.measurePeers(ctx)
		return err
	})
	if err != nil {
		return err
	}
	text := all.text()
	if o.page != "" {
		chart := filepath.Join(filepath.Dir(o.page), "peers.svg")
		if err := os.WriteFile(chart, []byte(all.chart()), 0o644); err != nil {
			return err
		}
		text += "\n![The rates of the peers, by that of Cenote](peers.svg)\n"
	}
	if err := publish(o, "peers", text); err != nil {
		return err
	}
	fmt.Print(all.installation())
	return all.check(o.peers)
}

// check fails if a peer that was asked for by its name was not measured.
func (all *peerResults) check(flag string) error {
	var missing []string
	for _, p := range all.peers {
		if p.reason != "" && flag != "all" {
			missing = append(missing, p.name+": "+p.reason)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("peers that were asked for and not measured: %s", strings.Join(missing, "; "))
	}
	return nil
}

// installation says how to get the peers that are missing, with none of them started; nothing if all are there.
func (all *peerResults) installation() string {
	var packages []string
	for _, p := range all.peers {
		if p.reason == errNotInstalled.Error() && !slices.Contains(packages, p.pkg) {
			packages = append(packages, p.pkg)
		}
	}
	if len(packages) == 0 {
		return ""
	}
	return "\nTo measure all peers, as root on Debian 12 (the first and the last line keep the packages from starting their services; leave both out if the file is there):\n\n" +
		"printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d\n" +
		"apt-get install -y --no-install-recommends " + strings.Join(packages, " ") + "\n" +
		"rm /usr/sbin/policy-rc.d\n"
}
