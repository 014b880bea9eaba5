package nameindex_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

func TestWalkEqualsAMap(t *testing.T) {
	sizes := []int{0, 1, 7, 8, 9, 300, 2047, 2048, 2049, 20_000}
	if raceEnabled {
		sizes = sizes[:6]
	}
	for _, size := range sizes {
		t.Run(fmt.Sprintf("names=%d", size), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(size)))
			names := oracle{}
			for tries := 0; len(names) < size && tries < 20*size; tries++ {
				names[randomName(r)] = fmt.Sprint("set ", r.IntN(1+size/10))
			}
			x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{Names: size}))
			if x.Len() != len(names) {
				t.Fatalf("Len() = %d, want %d", x.Len(), len(names))
			}
			for name := range names {
				for _, near := range neighbours(r, name) {
					compare(t, x, names, near)
				}
			}
			for range 2000 {
				compare(t, x, names, randomName(r))
			}
		})
	}
}

// Every hash collides with many others here, so that only the comparison of names tells them apart.
func TestCollisionsChangeNothing(t *testing.T) {
	for name, bits := range map[string]uint8{"8 bits": 8, "16 bits": 16} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(2, uint64(bits)))
			names := oracle{}
			for len(names) < 2500 {
				names[randomName(r)] = fmt.Sprint(r.IntN(9))
			}
			x := build(t, names, nameindex.NewCrippledBuilder(bits, fromRand(r)))
			for name := range names {
				for _, near := range neighbours(r, name) {
					compare(t, x, names, near)
				}
			}
		})
	}
}

func fromRand(r *rand.Rand) func([]byte) {
	return func(seed []byte) {
		for i := range seed {
			seed[i] = byte(r.Uint32())
		}
	}
}

// A seed of zeros makes the hash of every name of short labels zero: all of these share one bucket, until a better seed comes.
func TestCrowdedBucketIsSpreadAnew(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	seeds := 0
	b := nameindex.NewCrippledBuilder(64, func(seed []byte) {
		clear(seed)
		if seeds++; seeds > 2 {
			fromRand(r)(seed)
		}
	})
	names := oracle{}
	for i := range 3000 {
		names[dnsname.MustParse(fmt.Sprintf("%02x.%02x.xn", i%256, i/256))] = "set"
	}
	names.fill(t, b)
	path := filepath.Join(t.TempDir(), "names")
	stats, err := b.WriteFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Longest > 64 || stats.Reseeds != 2 {
		t.Errorf("the fullest bucket has %d names after %d new seeds, want at most 64 after 2", stats.Longest, stats.Reseeds)
	}
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range names {
		compare(t, x, names, name)
	}
}

// Wherever in a label names differ, and however little, they are spread over the buckets.
func TestEveryOctetCounts(t *testing.T) {
	for _, length := range []int{4, 8, 15, 16, 17, 31, 32, 33, 48, 63} {
		b := nameindex.NewBuilder(nameindex.BuildOptions{})
		set := b.AddSet(nil)
		n := 0
		for at := range length - 1 {
			for c := range 150 {
				label := bytes.Repeat([]byte("x"), length)
				label[at], label[at+1] = "abcdefghij"[c%10], "0123456789_-+*="[c/10]
				name, _ := dnsname.MustParse("example").Child(string(label))
				if err := b.Add([]byte(name), set); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		stats, err := b.WriteFile(filepath.Join(t.TempDir(), "names"), nil)
		if err != nil {
			t.Fatalf("labels of %d octets: %v", length, err)
		}
		if stats.Longest > 40 || stats.Reseeds > 0 {
			t.Errorf("labels of %d octets: %d of %d names in one bucket, %d seeds in vain", length, stats.Longest, n, stats.Reseeds)
		}
	}
}

func TestCrowdedUnderEverySeedIsAnError(t *testing.T) {
	b := nameindex.NewCrippledBuilder(1, func(seed []byte) { clear(seed) })
	for i := range 300 {
		b.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.example", i))), b.AddSet(nil))
	}
	if _, err := b.WriteFile(filepath.Join(t.TempDir(), "names"), nil); !errors.Is(err, nameindex.ErrCrowded) {
		t.Fatalf("WriteFile = %v, want %v", err, nameindex.ErrCrowded)
	}
}

func TestLongAndDeepNames(t *testing.T) {
	deep := dnsname.Name(strings.Repeat("\x01a", 127) + "\x00")
	long := dnsname.Name(strings.Repeat("\x3f"+strings.Repeat("x", 63), 3) + "\x3d" + strings.Repeat("y", 61) + "\x00")
	if deep.Labels() != 127 || len(long) != 255 {
		t.Fatalf("the names have %d labels and %d octets", deep.Labels(), len(long))
	}
	for name, listed := range map[string][]dnsname.Name{
		"deep":             {deep},
		"all above deep":   {deep, deep.Suffix(126), deep.Suffix(63), deep.Suffix(1), dnsname.Root},
		"long":             {long},
		"long and above":   {long, long.Parent(), long.Suffix(1)},
		"253 octets":       {long[1+63:], dnsname.Name("\x01a") + long[1+63:]},
		"only short names": {dnsname.MustParse("example")},
	} {
		t.Run(name, func(t *testing.T) {
			names := oracle{}
			for i, n := range listed {
				names[n] = fmt.Sprint(i)
			}
			x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
			for _, n := range append(listed, deep, long, deep.Parent(), long.Parent(), dnsname.Root) {
				compare(t, x, names, n)
			}
		})
	}
}

func TestWalkStopsWhereOutEnds(t *testing.T) {
	names := oracle{dnsname.MustParse("example"): "1", dnsname.MustParse("a.example"): "2", dnsname.MustParse("b.a.example"): "3"}
	x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	for room := range 5 {
		out := make([]nameindex.Match, room)
		got := x.Walk([]byte(dnsname.MustParse("c.b.a.example")), out)
		if want := min(room, 3); got != want {
			t.Errorf("Walk with room for %d = %d, want %d", room, got, want)
		}
		for i := range got {
			if int(out[i].Labels) != i+1 {
				t.Errorf("match %d has %d labels, want %d: the shortest comes first", i, out[i].Labels, i+1)
			}
		}
	}
}

func TestAllGivesBackWhatWasAdded(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	names := oracle{}
	for len(names) < 5000 {
		names[randomName(r)] = fmt.Sprint(r.IntN(99))
	}
	x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	got := oracle{}
	for name, set := range x.All() {
		if _, twice := got[name]; twice {
			t.Errorf("All yields %s twice", name)
		}
		got[name] = string(x.Set(set))
	}
	if len(got) != len(names) {
		t.Errorf("All yields %d names, want %d", len(got), len(names))
	}
	for name, want := range names {
		if got[name] != want {
			t.Errorf("All yields %q for %s, want %q", got[name], name, want)
		}
	}
	for range x.All() {
		break // must not panic
	}
}

func TestSetsAreInternedAndRanked(t *testing.T) {
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	uses := map[string]int{"": 5, "rare": 1, "common": 30, "middle": 10, "never": 0}
	for payload, n := range uses {
		first := b.AddSet([]byte(payload))
		if again := b.AddSet([]byte(payload)); again != first {
			t.Errorf("AddSet(%q) = %d and then %d, want one id", payload, first, again)
		}
		for i := range n {
			if err := b.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d-%s.example", i, payload))), first); err != nil {
				t.Fatal(err)
			}
		}
	}
	x := reopen(t, b, "the manifest")
	var got []string
	for i := range x.Sets() {
		got = append(got, string(x.Set(uint32(i))))
	}
	if want := []string{"common", "middle", "", "rare"}; !slices.Equal(got, want) {
		t.Errorf("sets = %q, want %q: the most frequent first, the unused not at all", got, want)
	}
	if got := string(x.Manifest()); got != "the manifest" {
		t.Errorf("Manifest() = %q, want %q", got, "the manifest")
	}
}

func TestSizesAddUp(t *testing.T) {
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for i := range 5000 {
		b.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.example", i))), b.AddSet([]byte{byte(i)}))
	}
	path := filepath.Join(t.TempDir(), "names")
	stats, err := b.WriteFile(path, []byte("12345"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := x.Sizes()
	if s != stats.Sizes || s.Total != info.Size() || s.Manifest != 5 || s.Sets != 256+4*257 {
		t.Errorf("Sizes() = %+v, WriteFile said %+v, the file has %d octets", s, stats.Sizes, info.Size())
	}
	if rest := s.Total - s.Names - s.Sets - s.Manifest; rest < 4096 || rest > 4096+1024 {
		t.Errorf("%d octets belong to no part, want a header, checksums and a footer", rest)
	}
}

func TestBuilderRefuses(t *testing.T) {
	name := []byte(dnsname.MustParse("www.example"))
	for what, c := range map[string]struct {
		name []byte
		set  uint32
		want error
	}{
		"upper case":     {[]byte("\x03wWw\x07example\x00"), 0, nameindex.ErrName},
		"no root":        {name[:len(name)-1], 0, nameindex.ErrName},
		"octets behind":  {append(bytes.Clone(name), 0), 0, nameindex.ErrName},
		"nothing":        {nil, 0, nameindex.ErrName},
		"pointer":        {[]byte{0xc0, 0}, 0, nameindex.ErrName},
		"an unknown set": {name, 1, nameindex.ErrSet},
	} {
		b := nameindex.NewBuilder(nameindex.BuildOptions{})
		b.AddSet(nil)
		if err := b.Add(c.name, c.set); !errors.Is(err, c.want) {
			t.Errorf("%s: Add = %v, want %v", what, err, c.want)
		}
	}
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for _, set := range []string{"one", "two"} {
		if err := b.Add(name, b.AddSet([]byte(set))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.WriteFile(filepath.Join(t.TempDir(), "names"), nil); !errors.Is(err, nameindex.ErrDuplicate) {
		t.Errorf("WriteFile with a name twice = %v, want %v", err, nameindex.ErrDuplicate)
	}
}

func TestWalkAllocatesNothing(t *testing.T) {
	names := oracle{}
	for i := range 3000 {
		names[dnsname.MustParse(fmt.Sprintf("n%d.example", i))] = "set"
	}
	x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	var out [8]nameindex.Match
	for what, text := range map[string]string{
		"hit": "www.n77.example", "clean": "www.else.example", "deep": strings.Repeat("a.", 120) + "n77.example",
	} {
		name := []byte(dnsname.MustParse(text))
		if got := testing.AllocsPerRun(1000, func() { x.Walk(name, out[:]) }); got != 0 {
			t.Errorf("%s: Walk allocates %v times, want 0", what, got)
		}
	}
}
