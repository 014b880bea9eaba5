package nameindex_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

var benchSizes = []int{100_000, 1_000_000}

func fillMany(tb testing.TB, names []listed) *nameindex.Builder {
	b := nameindex.NewBuilder(nameindex.BuildOptions{Names: len(names)})
	for _, n := range names {
		if err := b.Add([]byte(n.name), b.AddSet([]byte(n.family))); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

func BenchmarkWalk(b *testing.B) {
	for _, size := range benchSizes {
		names := manyNames(b, size)
		x := reopen(b, fillMany(b, names), "")
		r := rand.New(rand.NewPCG(9, 9))
		for what, query := range map[string]func() dnsname.Name{
			"hit":   func() dnsname.Name { return names[r.IntN(size)].name },
			"clean": func() dnsname.Name { return dnsname.MustParse(fmt.Sprintf("www.c%x.example", r.Uint32())) },
			"deep": func() dnsname.Name {
				return dnsname.MustParse(strings.Repeat("a.", 20) + fmt.Sprintf("c%x.example", r.Uint32()))
			},
		} {
			queries := make([][]byte, 1<<16)
			for i := range queries {
				queries[i] = []byte(query())
			}
			b.Run(fmt.Sprintf("names=%d/%s", size, what), func(b *testing.B) {
				var out [8]nameindex.Match
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					x.Walk(queries[i&(len(queries)-1)], out[:])
				}
			})
		}
	}
}

// BenchmarkWalkMapped is BenchmarkWalk's hit in a file that is mapped.
func BenchmarkWalkMapped(b *testing.B) {
	names := manyNames(b, 1_000_000)
	path := filepath.Join(b.TempDir(), "names")
	if _, err := fillMany(b, names).WriteFile(path, nil); err != nil {
		b.Fatal(err)
	}
	x, err := nameindex.Open(path, nameindex.OpenOptions{Mapped: true})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	queries := make([][]byte, 1<<16)
	for i := range queries {
		queries[i] = []byte(names[r.IntN(len(names))].name)
	}
	var out [8]nameindex.Match
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x.Walk(queries[i&(len(queries)-1)], out[:])
	}
}

// BenchmarkWalkBatch walks 32 names at a time, as a socket worker does, with and without looking ahead. Its figure is of one walk.
func BenchmarkWalkBatch(b *testing.B) {
	const batch = 32
	names := manyNames(b, 1_000_000)
	x := reopen(b, fillMany(b, names), "")
	r := rand.New(rand.NewPCG(9, 9))
	var queries [1 << 16]dnsname.Name
	for i := range queries {
		queries[i] = names[r.IntN(len(names))].name
	}
	for what, ahead := range map[string]bool{"plain": false, "ahead": true} {
		b.Run(what, func(b *testing.B) {
			var look nameindex.Lookahead
			var out [8]nameindex.Match
			var buf [batch][dnsname.WireMax]byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i += batch {
				part := queries[i&(len(queries)-1):][:batch]
				for j, name := range part {
					n := copy(buf[j][:], name)
					if ahead {
						look.Add(x, buf[j][:n])
					}
				}
				look.Fetch(x)
				for j, name := range part {
					x.Walk(buf[j][:len(name)], out[:])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/walk")
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, size := range benchSizes {
		names := manyNames(b, size)
		b.Run(fmt.Sprintf("names=%d", size), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "names")
			b.ReportAllocs()
			for b.Loop() {
				stats, err := fillMany(b, names).WriteFile(path, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(stats.Sizes.Names)/float64(stats.Names), "octets/name")
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range benchSizes {
		path := filepath.Join(b.TempDir(), "names")
		if _, err := fillMany(b, manyNames(b, size)).WriteFile(path, nil); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("names=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nameindex.Open(path, nameindex.OpenOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The promise is at most 17 octets a name, with the directory, on the names that are really out there.
func TestRealNamesFit(t *testing.T) {
	shared(t)
	if testing.Short() {
		t.Skip("reads the whole archive")
	}
	names, err := realNames()
	if err != nil {
		t.Fatal(err)
	}
	if raceEnabled {
		names = names[:50_000]
	}
	stats, err := fillMany(t, names).WriteFile(filepath.Join(t.TempDir(), "names"), nil)
	if err != nil {
		t.Fatal(err)
	}
	each := float64(stats.Sizes.Names) / float64(stats.Names)
	t.Logf("%d names, %d sets, %.2f octets a name, fullest bucket %d", stats.Names, stats.Sets, each, stats.Longest)
	if each > 17 {
		t.Errorf("a name takes %.2f octets, want at most 17", each)
	}
}

// BenchmarkCodeEqual compares names with their own codes, as a look-up does once for each name that is listed.
func BenchmarkCodeEqual(b *testing.B) {
	names := manyNames(b, 100_000)
	var texts []string
	for _, n := range names {
		texts = append(texts, string(n.name[:len(n.name)-1]))
	}
	c := nameindex.CodeOf(texts...)
	var queries, codes [1 << 9][]byte
	for i := range queries {
		queries[i] = []byte(texts[i*7])
		codes[i] = c.Append(nil, queries[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if !c.Equal(codes[i&(len(codes)-1)], queries[i&(len(codes)-1)]) {
			b.Fatal("a name does not equal its own code")
		}
	}
}
