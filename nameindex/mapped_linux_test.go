package nameindex_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cenote/nameindex"
)

// TestMappedFileAnswersAlike: a mapped file has the same names, also after its own name is gone, and its memory goes with the Index.
func TestMappedFileAnswersAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	names := oracle{}
	for range 3000 {
		names[randomName(r)] = "set " + string(rune('a'+r.IntN(20)))
	}
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	names.fill(t, b)
	path := filepath.Join(t.TempDir(), "mapped.index")
	if _, err := b.WriteFile(path, []byte("manifest")); err != nil {
		t.Fatal(err)
	}
	useMapped(t, r, path, names)
	for deadline := time.Now().Add(30 * time.Second); isMapped(t, path); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the file is still mapped although nobody uses it")
		}
		runtime.GC()
	}
}

func useMapped(t *testing.T, r *rand.Rand, path string, names oracle) {
	t.Helper()
	x, err := nameindex.Open(path, nameindex.OpenOptions{Mapped: true})
	if err != nil {
		t.Fatal(err)
	}
	if !isMapped(t, path) {
		t.Fatal("the file is not mapped")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	with, err := x.With(reopenDelta(t, x, oracle{}))
	if err != nil {
		t.Fatal(err)
	}
	x = nil
	runtime.GC()
	for name := range names {
		for _, near := range neighbours(r, name) {
			compare(t, with, names, near)
		}
	}
	n := 0
	for range with.All() {
		n++
	}
	if n != len(names) || with.Len() != n {
		t.Errorf("%d names of %d", n, len(names))
	}
	runtime.KeepAlive(with)
}

func isMapped(t *testing.T, path string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(maps), path)
}

// TestMappedFileIsChecked: what Open refuses when it reads, it refuses when it maps, and then nothing stays mapped.
func TestMappedFileIsChecked(t *testing.T) {
	clean := image(t)
	for _, at := range []int{0, 20, 5000, len(clean) - 30} {
		file := append([]byte{}, clean...)
		file[at] ^= 1
		path := filepath.Join(t.TempDir(), "damaged.index")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := nameindex.Open(path, nameindex.OpenOptions{Mapped: true}); !errors.Is(err, nameindex.ErrDamaged) && !errors.Is(err, nameindex.ErrFormat) {
			t.Errorf("octet %d changed: error %v, want ErrDamaged or ErrFormat", at, err)
		}
		if isMapped(t, path) {
			t.Errorf("octet %d changed: the file stays mapped", at)
		}
	}
}
