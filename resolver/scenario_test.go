package resolver_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
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
//	ask NAME [TYPE] [do] [cd] [xN]   xN: by N clients at once, who are to find the same
//	> LINE                 what is found, a line each: code and AD, records of answer and authority, EDE and its number, or "error: …"
//	queries N, queries <N  how many different queries servers got for the last question: one that was sent again counts once
//	packets N, packets <N  how many in all, those that were sent again too
//	tcp N, tcp <N          how many different ones by TCP
//	seen SERVER WORD…      the different queries that a server (or "*") got for it, each as "name/TYPE", in any order; without a word: none
//	asked NAME TYPE N      how many queries servers got for a name in all
//	advance DURATION       move the clock of resolver and tree
//	break LINE             a fault, as in a tree but without "!"
//	mend                   take the faults away that were broken
//	tree FILE              another tree takes the place of the first
//	forget NAME            flush a subtree
//	reload WORD…           the configuration is another one: these words in place of those before
//	kept NAME SOURCE…      whose answers the cache holds for a name, in any order: recursion, forward, stub, each with _ and its zone
//
// The words of config are whole-names, no-validation, negative=NAME, anchor=ZONE (its DS records are trusted too), forward=ZONE@N[,@N],
// forward-first=ZONE@N, forward-uncached=ZONE@N, forward-host=ZONE@N/NAME, stub=ZONE@N, stub-first=ZONE@N, dns64=PREFIX, ipv6 (servers are asked by both families), stale, total=DURATION (that a question may take),
// attempt=DURATION (that a server is waited for before another one is asked), patience=DURATION (that a client waits where there is a stale answer), each long
// enough for a slow machine if it is not said, and the bounds packets=, targets=, failures=, referrals=, aliases= and
// depth=. A type that has no name is written as in RFC 3597: TYPE65280.
//
// With -update the lines of ">" are written anew.
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
	got     []string  // lines of the last answer
	begun   time.Time // when it was asked for
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
		return p.count(line, words[1], len(p.queries("*", func(dnstest.Query) bool { return true })))
	case "tcp":
		return p.count(line, words[1], len(p.queries("*", func(q dnstest.Query) bool { return q.TCP })))
	case "packets":
		n := 0
		p.queries("*", func(dnstest.Query) bool { n++; return true })
		return p.count(line, words[1], n)
	case "seen":
		p.checkSeen(line, words[1], words[2:])
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
	case "reload":
		p.words = words[1:]
		config := p.rooted.config
		config.Recursion, _ = p.recursion()
		return p.rooted.Update(config)
	case "kept":
		p.checkKept(line, words[1], words[2:])
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
	clients := 1
	for _, w := range words[1:] {
		number, many := strings.CutPrefix(w, "x")
		switch {
		case w == "do":
			k.DO = true
		case w == "cd":
			k.CD = true
		case many:
			clients = p.number(number)
		default:
			k.Type = p.rtype(w)
		}
	}
	p.begun = time.Now()
	p.got = p.showAll(k, clients)
}

func (p *play) rtype(word string) uint16 {
	if rtype, ok := dns.StringToType[word]; ok {
		return rtype
	}
	number, ok := strings.CutPrefix(word, "TYPE")
	if !ok {
		p.t.Fatalf("unknown type %q", word)
	}
	return uint16(p.number(number))
}

func (p *play) number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// checkKept compares the sources of what is kept for a name with what they should be.
func (p *play) checkKept(line, name string, want []string) {
	var got []string
	for _, k := range p.rooted.cache.Kept(dnsname.MustParse(name), 0, p.now().UnixNano()) {
		got = append(got, strings.ReplaceAll(p.rooted.cache.Sources().Label(k.Group), " ", "_"))
	}
	slices.Sort(got)
	got = slices.Compact(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("%s: there are answers of %q", line, got)
	}
}

// showAll has several clients ask at once.
func (p *play) showAll(k *rrcache.Key, clients int) []string {
	found := make([][]string, clients)
	var asked sync.WaitGroup
	for i := range found {
		own := *k
		asked.Go(func() { found[i] = p.show(&own) })
	}
	asked.Wait()
	for _, other := range found[1:] {
		if !slices.Equal(other, found[0]) {
			p.t.Errorf("two clients found different things:\n%s\n%s", strings.Join(found[0], "\n"), strings.Join(other, "\n"))
		}
	}
	return found[0]
}

// queries returns the different queries that a server got for the last question, as far as they are such.
func (p *play) queries(server string, such func(dnstest.Query) bool) (all []dnstest.Query) {
	for _, q := range p.tree.Queries(server) {
		if q.At.Before(p.begun) || !such(q) {
			continue
		}
		q.Name = strings.ToLower(q.Name)
		q.ID, q.Client, q.At = 0, netip.AddrPort{}, time.Time{}
		if !slices.Contains(all, q) {
			all = append(all, q)
		}
	}
	return all
}

// count compares a number with what a line says: N, or <N.
func (p *play) count(line, want string, n int) error {
	most, less := strings.CutPrefix(want, "<")
	number, err := strconv.Atoi(most)
	if err == nil && (less && n >= number || !less && n != number) {
		p.t.Errorf("%s: there were %d", line, n)
	}
	return err
}

// checkSeen compares the queries that a server got with those that it should have got.
func (p *play) checkSeen(line, server string, want []string) {
	var got []string
	for _, q := range p.queries(server, func(dnstest.Query) bool { return true }) {
		name := strings.TrimSuffix(q.Name, ".")
		got = append(got, cmp.Or(name, ".")+"/"+dns.TypeToString[q.Type])
	}
	slices.Sort(got)
	got = slices.Compact(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("%s: it was asked for %v", line, got)
	}
}

// socketText is what the system says about a socket, with addresses that differ from run to run.
var socketText = regexp.MustCompile(`: (read|dial|write) (udp|tcp) .*`)

// show asks and writes down what is found. Signatures are told by type and signer alone.
func (p *play) show(k *rrcache.Key) []string {
	got, err := p.rooted.Resolve(context.Background(), k, nil)
	var out []string
	if err != nil {
		out = append(out, "error: "+socketText.ReplaceAllString(err.Error(), ""))
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
	recursion, cacheConfig := p.recursion()
	cache, err := rrcache.New(cacheConfig)
	if err != nil {
		p.t.Fatal(err)
	}
	timeouts := slowMachine
	timeouts.Attempt = p.duration("attempt", timeouts.Attempt)
	timeouts.Total, timeouts.Stale = p.duration("total", timeouts.Total), p.duration("patience", timeouts.Total)
	p.rooted = startOver(p.t, p.tree, recursion.Hints, resolver.Config{Cache: cache, Recursion: recursion, Now: p.now, Timeouts: timeouts})
}

// recursion is what the words of config say.
func (p *play) recursion() (*resolver.Recursion, rrcache.Config) {
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
	recursion.Anchors = append(recursion.Anchors, p.anchors()...)
	return recursion, cacheConfig
}

// duration is what a word of config says, or what is usual.
func (p *play) duration(key string, usual time.Duration) time.Duration {
	for _, w := range p.words {
		if text, ok := strings.CutPrefix(w, key+"="); ok {
			d, err := time.ParseDuration(text)
			if err != nil {
				p.t.Fatal(err)
			}
			return d
		}
	}
	return usual
}

// anchors are the DS records of the zones that are trusted beside the root.
func (p *play) anchors() (all []dnssec.AnchorRecord) {
	for _, w := range p.words {
		if zone, ok := strings.CutPrefix(w, "anchor="); ok {
			for _, ds := range p.tree.DS(zone) {
				text := strings.Join(strings.Fields(ds.String()), " ")
				records, err := dnssec.ParseAnchors("anchors", []byte(text))
				if err != nil {
					p.t.Fatal(err)
				}
				all = append(all, records...)
			}
		}
	}
	return all
}

func (p *play) word(w string, r *resolver.Recursion, c *rrcache.Config) {
	key, value, _ := strings.Cut(w, "=")
	zone, server, _ := strings.Cut(value, "@")
	place := func() (dnsname.Name, []netip.AddrPort) {
		var at []netip.AddrPort
		for number := range strings.SplitSeq(server, ",@") {
			at = append(at, p.tree.Addr("@"+number))
		}
		return dnsname.MustParse(zone), at
	}
	switch key {
	case "whole-names":
		r.WholeNames = true
	case "no-validation", "anchor", "total", "attempt", "patience": // see start
	case "ipv6":
		r.NoIPv6 = false
	case "negative":
		r.Negative = append(r.Negative, resolver.NegativeAnchor{Name: dnsname.MustParse(value)})
	case "forward-host": // ZONE@N/NAME: the resolver at @N, and one by name that listens where @N does
		server, host, _ := strings.Cut(server, "/")
		first := p.tree.Addr("@" + server)
		r.Forwards = append(r.Forwards, resolver.Forward{Zone: dnsname.MustParse(zone), Upstreams: []resolver.Upstream{{Addr: first}},
			Hosts: []resolver.Host{{Name: dnsname.MustParse(host), Port: first.Port()}}})
	case "forward", "forward-first", "forward-uncached":
		name, at := place()
		f := resolver.Forward{Zone: name, First: key == "forward-first", Uncached: key == "forward-uncached"}
		for _, a := range at {
			f.Upstreams = append(f.Upstreams, resolver.Upstream{Addr: a})
		}
		r.Forwards = append(r.Forwards, f)
	case "stub", "stub-first":
		name, at := place()
		r.Stubs = append(r.Stubs, resolver.Stub{Zone: name, Servers: at, First: key == "stub-first"})
	case "stale":
		c.StaleMax = 0
	case "dns64":
		r.DNS64 = netip.MustParsePrefix(value)
	case "packets":
		r.Bounds.Packets = p.number(value)
	case "targets":
		r.Bounds.Targets = p.number(value)
	case "failures":
		r.Bounds.TargetFailures = p.number(value)
	case "referrals":
		r.Bounds.Referrals = p.number(value)
	case "depth":
		r.Bounds.Depth = p.number(value)
	case "aliases":
		r.Bounds.Aliases = p.number(value)
	default:
		p.t.Fatalf("config: unknown word %q", w)
	}
}
