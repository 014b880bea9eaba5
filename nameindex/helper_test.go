package nameindex_test

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// oracle is the index as a map: what every answer is held against.
type oracle map[dnsname.Name]string

// walk returns the listed names at or above name, as labels and payloads, the shortest first.
func (o oracle) walk(name dnsname.Name) (found []string) {
	for labels := 0; labels <= name.Labels(); labels++ {
		if payload, ok := o[name.Suffix(labels)]; ok {
			found = append(found, fmt.Sprintf("%d=%s", labels, payload))
		}
	}
	return found
}

func walk(x *nameindex.Index, name dnsname.Name) (found []string) {
	var out [dnsname.LabelsMax + 1]nameindex.Match
	for _, m := range out[:x.Walk([]byte(name), out[:])] {
		found = append(found, fmt.Sprintf("%d=%s", m.Labels, x.Set(m.Set)))
	}
	return found
}

func compare(t *testing.T, x *nameindex.Index, want oracle, name dnsname.Name) {
	t.Helper()
	var ahead nameindex.Lookahead
	ahead.Add(x, []byte(name)) // which must neither fail nor change anything
	ahead.Fetch(x)
	if got, want := walk(x, name), want.walk(name); !equal(got, want) {
		t.Fatalf("Walk(%s) = %v, want %v", name, got, want)
	}
}

func equal(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }

// fill adds o to b; the order of a map is part of the test.
func (o oracle) fill(t testing.TB, b *nameindex.Builder) {
	t.Helper()
	for name, payload := range o {
		if err := b.Add([]byte(name), b.AddSet([]byte(payload))); err != nil {
			t.Fatalf("Add(%s): %v", name, err)
		}
	}
}

// build writes o to a file in memory and opens it.
func build(t testing.TB, o oracle, b *nameindex.Builder) *nameindex.Index {
	t.Helper()
	o.fill(t, b)
	return reopen(t, b, "manifest")
}

func reopen(t testing.TB, b *nameindex.Builder, manifest string) *nameindex.Index {
	t.Helper()
	file, err := nameindex.Image(b, []byte(manifest))
	if err != nil {
		t.Fatalf("WriteFile: %v", err)
	}
	x, err := nameindex.OpenImage(file)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return x
}

// randomName returns a name of one to four labels from a small alphabet, so that names often lie below each other.
func randomName(r *rand.Rand) dnsname.Name {
	name := dnsname.Root
	for range 1 + r.IntN(4) {
		length := 1 + r.IntN(3)
		if r.IntN(8) == 0 {
			length = 1 + r.IntN(dnsname.LabelMax)
		}
		label := make([]byte, length)
		for i := range label {
			label[i] = "ab-\x00\x01*_9\xff"[r.IntN(9)]
		}
		if child, err := name.Child(string(label)); err == nil {
			name = child
		}
	}
	return name
}

// neighbours returns names that must not be taken for name: its parent, children, siblings, one-octet changes and other divisions of
// its labels.
func neighbours(r *rand.Rand, name dnsname.Name) []dnsname.Name {
	list := []dnsname.Name{name, name.Parent()}
	for _, label := range []string{"a", "www", "\x00", "x.y"} {
		for _, parent := range []dnsname.Name{name, name.Parent()} {
			if child, err := parent.Child(label); err == nil {
				list = append(list, child)
			}
		}
	}
	for range 4 {
		b := []byte(name)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		list = appendValid(list, b)
	}
	b := []byte(name)
	if first := int(b[0]); first > 1 { // abc.d as a.bc.d, with the octets that are left
		b[0], b[2] = 1, byte(first-2)
		list = appendValid(list, b)
	}
	return list
}

func appendValid(list []dnsname.Name, b []byte) []dnsname.Name {
	if n, err := dnsname.FromWire(b); err == nil && len(n) == len(b) {
		return append(list, n.Canonical())
	}
	return list
}

// shared returns the folder with the data that tests share. Without it the test is skipped, or fails in strict mode.
func shared(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	dir = filepath.Join(dir, "..", "shared")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if os.Getenv("CENOTE_STRICT") == "1" {
		t.Fatalf("%s is absent, and CENOTE_STRICT=1", dir)
	}
	t.Skipf("%s is absent", dir)
	return ""
}

// listed is a real name and the family that lists it.
type listed struct {
	name   dnsname.Name
	family string
}

// realNames returns the distinct domain names of the maltrail archive, in its order.
var realNames = sync.OnceValues(func() ([]listed, error) {
	f, err := os.Open(filepath.Join("..", "..", "shared", "data", "maltrail", "malware.tar.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var names []listed
	seen := map[dnsname.Name]bool{}
	for archive := tar.NewReader(z); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		names = appendTrail(names, seen, strings.TrimSuffix(filepath.Base(head.Name), ".txt"), archive)
	}
})

// appendTrail adds the domain names of one file, which is enough of a parser for a benchmark.
func appendTrail(names []listed, seen map[dnsname.Name]bool, family string, r io.Reader) []listed {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.ToLower(strings.TrimSpace(line))
		if !strings.Contains(line, ".") || strings.ContainsAny(line, "/:() []*\\") || strings.Trim(line, "0123456789.") == "" {
			continue
		}
		name, err := dnsname.Parse(line)
		if err != nil || seen[name] {
			continue
		}
		seen[name] = true
		names = append(names, listed{name, family})
	}
	return names
}

// manyNames returns n names: the real ones as far as they go, then made ones.
func manyNames(tb testing.TB, n int) []listed {
	tb.Helper()
	var names []listed
	if shared(tb) != "" {
		var err error
		if names, err = realNames(); err != nil {
			tb.Fatal(err)
		}
	}
	names = names[:min(n, len(names)):min(n, len(names))]
	for i := len(names); i < n; i++ {
		names = append(names, listed{dnsname.MustParse(fmt.Sprintf("made-%x.example", i)), "made"})
	}
	return names
}
