package dnsserver_test

import (
	"encoding/binary"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnsserver"
	"cenote/policy"

	"github.com/miekg/dns"
)

// The traps of miekg/dns that concern serving, numbered as in the project's list of limits and traps. The sockets' share of them is
// tested beside the sockets.

// M1: twelve octets that promise a question pass that library's checks and reach a handler that has none to look at.
func TestM1HeaderOnlyGetsFORMERR(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	for n := 12; n < 29; n++ { // and every cut of a whole question
		whole := header(0x0100, [4]uint16{1}, []byte("\x03www\x07example\x00\x00\x01\x00\x01")...)
		reply := b.send(append([]byte{}, whole[:n]...))
		if len(reply) < 12 || reply[3]&15 != dns.RcodeFormatError {
			t.Errorf("%d octets: reply = %x, want FORMERR", n, reply)
		}
	}
	if got := dnsserver.Bugs(b.worker); got != 0 {
		t.Errorf("bugs = %d, want 0", got)
	}
}

// M5, M6, M7, M15: nothing on the path of a query prints messages, parses text or builds messages with that library: it is not imported
// by what serves.
func TestM5NoForeignMessageCodeOnThePath(t *testing.T) {
	files, err := os.ReadDir(".")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		must(t, err)
		for _, i := range parsed.Imports {
			if strings.Contains(i.Path.Value, "miekg/dns") {
				t.Errorf("%s imports %s", f.Name(), i.Path.Value)
			}
		}
	}
}

// M8: labels are compared, never names as text: a dot inside a label neither hides a listed name nor makes one.
func TestM8DotsInLabels(t *testing.T) {
	b := newBench(t, options{policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree})})
	for name, sinkholed := range map[string]bool{`x\.y.bad.example.`: true, `www\.bad.example.`: false, `x.bad\.example.`: false, `<b>.bad.example.`: true} {
		r := b.ask(query(name, dns.TypeA))
		if code, _ := edeOf(r); (code == 15) != sinkholed {
			t.Errorf("%s: %s, want sinkholed: %v", name, text(r), sinkholed)
		}
	}
}

// M10: counts that lie, and what follows the end, are faults and not passed over.
func TestM10CountsThatLie(t *testing.T) {
	www := []byte("\x03www\x07example\x00\x00\x01\x00\x01")
	for name, in := range map[string][]byte{
		"500 records of none":     header(0x0100, [4]uint16{1, 0, 0, 500}, www...),
		"500 answers":             header(0x0100, [4]uint16{1, 500}, www...),
		"65535 questions":         header(0x0100, [4]uint16{65535}, www...),
		"a tail":                  header(0x0100, [4]uint16{1}, append(www[:len(www):len(www)], "tail"...)...),
		"OPT longer than its end": header(0x0100, [4]uint16{1, 0, 0, 1}, append(www[:len(www):len(www)], 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 9)...),
	} {
		b := newBench(t, options{answers: wwwAnswers})
		if reply := b.send(in); len(reply) < 12 || reply[3]&15 != dns.RcodeFormatError {
			t.Errorf("%s: reply = %x, want FORMERR", name, reply)
		}
	}
}

// M14: a TSIG that nobody checked counts for nothing: every one is refused, with the reason, and NOTIFY and UPDATE do not get through.
func TestM14TSIGIsRefused(t *testing.T) {
	b := newBench(t, options{policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
	m := query("bad.example", dns.TypeA)
	m.SetTsig("Key.example.", dns.HmacSHA256, 300, 1_700_000_000)
	in := must1(m.Pack())
	binary.BigEndian.PutUint16(in[len(in)-6:], m.Id) // the original id
	reply := b.send(in)
	var r dns.Msg
	must(t, r.Unpack(reply))
	tsig := r.IsTsig()
	if r.Rcode != dns.RcodeNotAuth || tsig == nil || len(r.Answer) != 0 {
		t.Fatalf("reply = %v, want NOTAUTH with a TSIG record", &r)
	}
	if tsig.Error != dns.RcodeBadKey || tsig.Hdr.Name != "key.example." || tsig.Algorithm != dns.HmacSHA256 || tsig.MACSize != 0 || tsig.OrigId != m.Id {
		t.Errorf("TSIG = %v, want BADKEY for the key and algorithm that came, unsigned", tsig)
	}
}

// M14: that library truncates what is larger than 512 octets unless told otherwise, and never truncates what is signed.
func TestM14LargeQueriesAreRead(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	m := query("www.example", dns.TypeA)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 900)})
	expect(t, b.ask(m), "NOERROR", "www.example. 60 IN A 192.0.2.1")
}

// M2, M3, M4, M9, M11, M12, M13: the library's server, client, check of signatures and hash of names are not used, for nothing that serves
// imports it: in the whole program only the reader of RPZ files does.
func TestM2NothingThatServesImportsTheLibrary(t *testing.T) {
	var importers []string
	must(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "dnstest" || len(d.Name()) > 2 && d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			if strings.Contains(i.Path.Value, "miekg/dns") {
				importers = append(importers, filepath.ToSlash(path))
			}
		}
		return nil
	}))
	if want := []string{"../blocklist/rpz.go", "../resolver/rootcopy.go", "../zone/master.go"}; !slices.Equal(importers, want) {
		t.Errorf("imported by %q, want %q: whoever else needs it has to close its traps first", importers, want)
	}
}
