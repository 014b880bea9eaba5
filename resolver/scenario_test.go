package resolver_test

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite what the resolutions find")

// TestResolutions plays testdata/resolution/*.txtar: small internets and what a resolver finds in them. The file "tree" is what dnstest.StartTree
// reads; a signed root is trusted. The comment above it has a sentence that says what is shown, and lines:
//
//	config WORD…           before anything is asked; words below
//	ask NAME [TYPE] [do] [cd]
//	> LINE                 what is found, a line each: code and AD, records of answer and authority, EDE and its number, or "error: …"
//	queries N, queries <N  how many queries servers got for the last question
//	asked NAME TYPE N      how many queries they got for it in all
//	advance DURATION       move the clock of resolver and tree
//	break LINE             a fault, as in a tree but without "!"
//	mend                   take the faults away that were broken
//	tree FILE              another tree takes the place of the first
//	forget NAME            flush a subtree
//
// The words of config are whole-names, no-validation, negative=NAME, forward=ZONE@N, forward-first=ZONE@N, stub=ZONE@N, dns64=PREFIX, stale, and
// bounds such as packets=20. With -update the lines of ">" are written anew.
func TestResolutions(t *testing.T) {
	files, err := filepath.Glob("testdata/resolution/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no resolutions: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			playResolution(t, file)
		})
	}
}

// play is one resolution under way.
type play struct {
	t       *testing.T
	archive *txtar.Archive
	tree    *dnstest.Tree
	text    string // that the tree was made from
	faults  string // and what was broken since
	clock   atomic.Int64
	words   []string
	rooted  *rooted
	got     []string // lines of the last answer
	before  int      // queries before it
}

// epoch is the time at which every resolution begins.
var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func (p *play) now() time.Time { return time.Unix(0, p.clock.Load()) }

func playResolution(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, archive: archive}
	p.clock.Store(epoch.UnixNano())
	p.text = p.file("tree")
	p.tree = dnstest.StartTree(t, p.text)
	p.tree.SetClock(p.now)
	var out []string
	lines := strings.Split(strings.TrimSuffix(string(archive.Comment), "\n"), "\n")
	if !strings.HasPrefix(lines[0], "# ") || !strings.HasSuffix(lines[0], ".") {
		t.Fatalf("%s: the first line is a sentence", file)
	}
	asks := 0
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		out = append(out, lines[i])
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if words[0] == "ask" {
			asks++
			p.ask(words[1:])
			var want []string
			for i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i+1]), ">") {
				i++
				want = append(want, strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(lines[i]), ">"), " "))
			}
			for _, l := range p.got {
				out = append(out, "> "+l)
			}
			if !*update && !slices.Equal(p.got, want) {
				t.Errorf("%s:%d: %s\ngot:\n%s\nwant:\n%s", file, i+1, line, strings.Join(p.got, "\n"), strings.Join(want, "\n"))
			}
			continue
		}
		if err := p.do(words, line); err != nil {
			t.Fatalf("%s:%d: %s: %v", file, i+1, line, err)
		}
	}
	if asks == 0 {
		t.Errorf("%s asks nothing", file)
	}
	if *update {
		archive.Comment = []byte(strings.Join(out, "\n") + "\n")
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *play) file(name string) string {
	for _, f := range p.archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	p.t.Fatalf("there is no file %q", name)
	return ""
}

// do plays a line that is no question.
func (p *play) do(words []string, line string) (err error) {
	switch rest := strings.TrimSpace(strings.TrimPrefix(line, words[0])); words[0] {
	case "config":
		if p.rooted != nil {
			return fmt.Errorf("after a question")
		}
		p.words = append(p.words, words[1:]...)
	case "queries":
		n := p.tree.Total() - p.before
		most, less := strings.CutPrefix(words[1], "<")
		want, err := strconv.Atoi(most)
		if err != nil {
			return err
		}
		if less && n >= want || !less && n != want {
			p.t.Errorf("%s: there were %d", line, n)
		}
	case "asked":
		want, err := strconv.Atoi(words[3])
		if err != nil {
			return err
		}
		if n := p.tree.Asked(words[1], dns.StringToType[words[2]]); n != want {
			p.t.Errorf("%s: there were %d", line, n)
		}
	case "advance":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		p.clock.Add(int64(d))
	case "break":
		p.faults += "\n! " + rest
		return p.tree.Update(p.text + p.faults)
	case "mend":
		p.faults = ""
		return p.tree.Update(p.text)
	case "tree":
		p.text = p.file(words[1])
		return p.tree.Update(p.text + p.faults)
	case "forget":
		p.rooted.Flush(dnsname.MustParse(words[1]), true)
	default:
		return fmt.Errorf("unknown command")
	}
	return nil
}

func (p *play) ask(words []string) {
	if p.rooted == nil {
		p.start()
	}
	k := &rrcache.Key{Name: []byte(dnsname.MustParse(words[0]).Canonical()), Type: dns.TypeA, Class: dns.ClassINET}
	for _, w := range words[1:] {
		switch w {
		case "do":
			k.DO = true
		case "cd":
			k.CD = true
		default:
			rtype, ok := dns.StringToType[w]
			if !ok {
				p.t.Fatalf("unknown type %q", w)
			}
			k.Type = rtype
		}
	}
	p.before = p.tree.Total()
	p.got = p.show(k)
}

// show asks and writes down what is found. Signatures are told by type and signer alone.
func (p *play) show(k *rrcache.Key) []string {
	got, err := p.rooted.Resolve(context.Background(), k, nil)
	var out []string
	if err != nil {
		out = append(out, "error: "+err.Error())
	}
	var m dns.Msg
	if len(got.Msg) > 0 {
		if err := m.Unpack(got.Msg); err != nil {
			p.t.Fatal(err)
		}
		head := dns.RcodeToString[m.Rcode]
		if m.AuthenticatedData {
			head += " AD"
		}
		if got.Stale {
			head += " stale"
		}
		out = append(out, head)
		for _, rr := range append(slices.Clone(m.Answer), m.Ns...) {
			out = append(out, recordText(rr))
		}
	}
	if got.EDE != resolver.EDENone {
		out = append(out, fmt.Sprint("EDE ", got.EDE))
	}
	return out
}

// recordText is a record in one line, with one blank between words, and without what differs from run to run.
func recordText(rr dns.RR) string {
	h := rr.Header()
	switch r := rr.(type) {
	case *dns.RRSIG:
		return fmt.Sprintf("%s %d RRSIG %s %s", h.Name, h.Ttl, dns.TypeToString[r.TypeCovered], r.SignerName)
	case *dns.DNSKEY:
		return fmt.Sprintf("%s %d DNSKEY %d alg=%d", h.Name, h.Ttl, r.Flags, r.Algorithm)
	case *dns.DS:
		return fmt.Sprintf("%s %d DS alg=%d digest=%d", h.Name, h.Ttl, r.Algorithm, r.DigestType)
	}
	return strings.Replace(strings.Join(strings.Fields(rr.String()), " "), " IN ", " ", 1)
}

// start starts the resolver of the play, as its words want it.
func (p *play) start() {
	hints, err := resolver.ReadHints(strings.NewReader(p.tree.RootHints()), "hints")
	if err != nil {
		p.t.Fatal(err)
	}
	cacheConfig := rrcache.Config{Bytes: rrcache.BytesMin, StaleMax: -1, PrefetchShare: -1}
	recursion := &resolver.Recursion{Hints: hints, Port: p.tree.Port(), Never: []netip.Prefix{}, NoIPv6: true}
	if text := p.tree.Anchors(); text != "" && !slices.Contains(p.words, "no-validation") {
		if recursion.Anchors, err = dnssec.ParseAnchors("anchors", []byte(text)); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, w := range p.words {
		p.word(w, recursion, &cacheConfig)
	}
	cache, err := rrcache.New(cacheConfig)
	if err != nil {
		p.t.Fatal(err)
	}
	p.rooted = startOver(p.t, p.tree, hints, resolver.Config{
		Cache: cache, Recursion: recursion, Now: p.now,
		Timeouts: resolver.Timeouts{Attempt: 200 * time.Millisecond, Total: 3 * time.Second, Stale: 100 * time.Millisecond},
	})
}

func (p *play) word(w string, r *resolver.Recursion, c *rrcache.Config) {
	key, value, _ := strings.Cut(w, "=")
	zone, server, _ := strings.Cut(value, "@")
	place := func() (dnsname.Name, []netip.AddrPort) {
		return dnsname.MustParse(zone), []netip.AddrPort{p.tree.Addr("@" + server)}
	}
	number := func() int {
		n, err := strconv.Atoi(value)
		if err != nil {
			p.t.Fatalf("config %s: %v", w, err)
		}
		return n
	}
	switch key {
	case "whole-names":
		r.WholeNames = true
	case "no-validation":
	case "negative":
		r.Negative = append(r.Negative, resolver.NegativeAnchor{Name: dnsname.MustParse(value)})
	case "forward", "forward-first":
		name, at := place()
		r.Forwards = append(r.Forwards, resolver.Forward{Zone: name, Upstreams: []resolver.Upstream{{Addr: at[0]}}, First: key == "forward-first"})
	case "stub":
		name, at := place()
		r.Stubs = append(r.Stubs, resolver.Stub{Zone: name, Servers: at})
	case "stale":
		c.StaleMax = 0
	case "dns64":
		r.DNS64 = netip.MustParsePrefix(value)
	case "packets":
		r.Bounds.Packets = number()
	case "targets":
		r.Bounds.Targets = number()
	case "aliases":
		r.Bounds.Aliases = number()
	default:
		p.t.Fatalf("config: unknown word %q", w)
	}
}
