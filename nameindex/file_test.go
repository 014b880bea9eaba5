package nameindex_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// generation returns a Builder whose every name is listed with the set n.
func generation(n int) *nameindex.Builder {
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	set := b.AddSet(fmt.Append(nil, n))
	for i := range 3000 {
		b.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.example", i))), set)
	}
	return b
}

// image returns the octets of a small index.
func image(t testing.TB) []byte {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	for i := range 40 {
		b.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.example", i))), b.AddSet([]byte{byte(i % 3)}))
	}
	b.Add([]byte(one), b.AddSet([]byte{1}))
	b.Add([]byte(two), b.AddSet([]byte{2}))
	file, err := nameindex.Image(b, []byte("manifest"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	file := image(t)
	r := rand.New(rand.NewPCG(5, 5))
	for i := range file {
		if i > 200 && i < 4000 && i%97 != 0 { // the empty part of the header
			continue
		}
		bit := byte(1) << r.IntN(8)
		file[i] ^= bit
		if _, err := nameindex.OpenImage(file); !errors.Is(err, nameindex.ErrDamaged) && !errors.Is(err, nameindex.ErrFormat) {
			t.Fatalf("octet %d changed by %02x: Open = %v, want %v", i, bit, err, nameindex.ErrDamaged)
		}
		file[i] ^= bit
	}
}

// A fault on the disk is a matter of blocks, and the error says which.
func TestOpenNamesTheDamagedBlock(t *testing.T) {
	file := image(t)
	file[len(file)-100] ^= 1
	if _, err := nameindex.OpenImage(file); err == nil || !strings.Contains(err.Error(), "block 0") {
		t.Errorf("Open = %v, want an error that names block 0", err)
	}
}

// A file that was looked at before is still refused if any of its blocks has changed since.
func TestOpenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	if _, err := generation(7).WriteFile(path, nil); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, mapped := range []bool{false, true} {
		x, err := nameindex.Open(path, nameindex.OpenOptions{Again: true, Mapped: mapped})
		if err != nil {
			t.Fatal(err)
		}
		if set, listed := x.Lookup([]byte(dnsname.MustParse("n2999.example"))); !listed || string(x.Set(set)) != "7" || x.Len() != 3000 {
			t.Errorf("mapped %v: n2999.example is listed: %v, of %d names", mapped, listed, x.Len())
		}
		for at := 10; at < len(file)-100; at += len(file) / 20 {
			other := filepath.Join(t.TempDir(), "damaged")
			damaged := bytes.Clone(file)
			damaged[at] ^= 8
			if err := os.WriteFile(other, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := nameindex.Open(other, nameindex.OpenOptions{Again: true, Mapped: mapped}); !errors.Is(err, nameindex.ErrDamaged) && !errors.Is(err, nameindex.ErrFormat) {
				t.Errorf("mapped %v, octet %d changed: Open = %v", mapped, at, err)
			}
		}
	}
}

func TestOpenRefusesCutAndForeignFiles(t *testing.T) {
	file := image(t)
	for n := 0; n < len(file); n += 1 + n/50 {
		path := filepath.Join(t.TempDir(), "names")
		if err := os.WriteFile(path, file[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := nameindex.Open(path, nameindex.OpenOptions{}); !errors.Is(err, nameindex.ErrDamaged) {
			t.Fatalf("cut to %d octets: Open = %v, want %v", n, err, nameindex.ErrDamaged)
		}
	}
	if _, err := nameindex.OpenImage(append(bytes.Clone(file), 0)); !errors.Is(err, nameindex.ErrDamaged) {
		t.Errorf("one octet more: Open = %v, want %v", err, nameindex.ErrDamaged)
	}
	if _, err := nameindex.OpenImage(bytes.Repeat([]byte("<html>"), 2000)); !errors.Is(err, nameindex.ErrFormat) {
		t.Errorf("a web page: Open = %v, want %v", err, nameindex.ErrFormat)
	}
	if _, err := nameindex.Open(filepath.Join(t.TempDir(), "none"), nameindex.OpenOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: Open = %v, want %v", err, os.ErrNotExist)
	}
}

func TestOpenKeepsToItsLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(path, image(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := nameindex.Open(path, nameindex.OpenOptions{SizeMax: 4500}); !errors.Is(err, nameindex.ErrSize) {
		t.Errorf("Open = %v, want %v", err, nameindex.ErrSize)
	}
}

// A file whose checksums are right but whose content is not must be refused or harmless: no look-up may leave it.
func TestOpenSurvivesSealedDamage(t *testing.T) {
	clean := image(t)
	r := rand.New(rand.NewPCG(6, 6))
	opened, files := 0, 20_000
	if raceEnabled {
		files = 2_000
	}
	for range files {
		file := bytes.Clone(clean)
		for range 1 + r.IntN(3) {
			at := 4096 + r.IntN(len(file)-4096-48)
			if r.IntN(8) == 0 {
				at = 12 + r.IntN(140)
			}
			file[at] = byte(r.Uint32())
			if r.IntN(2) == 0 {
				file[at] = byte(r.IntN(4)) // lengths and offsets of a small file are small
			}
		}
		if nameindex.Reseal(file) && exercise(t, file) {
			opened++
		}
	}
	if opened == 0 {
		t.Error("no changed file was opened, so nothing was tested")
	}
}

// exercise opens file, if that is possible, and reads everything in it.
func exercise(t testing.TB, file []byte) bool {
	x, err := nameindex.OpenImage(file)
	if err != nil {
		return false
	}
	for name, set := range x.All() {
		_ = x.Set(set)
		walk(x, name)
	}
	for _, set := range x.Apart() {
		_ = x.Set(set)
	}
	var ahead nameindex.Lookahead
	for i := range 45 {
		name := dnsname.MustParse(fmt.Sprintf("www.n%d.example", i))
		ahead.Add(x, []byte(name))
		walk(x, name)
	}
	ahead.Fetch(x)
	x.Manifest()
	return true
}

func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "names")
	if _, err := generation(1).WriteFile(path, nil); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	err := nameindex.Replace(path, func(w io.Writer) error {
		w.Write([]byte("half a file"))
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("Replace = %v, want %v", err, full)
	}
	wantGeneration(t, path, "1")
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
}

func wantGeneration(t *testing.T, path, want string) {
	t.Helper()
	x, err := nameindex.Open(path, nameindex.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := walk(x, dnsname.MustParse("www.n7.example")); !equal(got, []string{"2=" + want}) {
		t.Errorf("Walk = %v, want the set of generation %s", got, want)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "names")
	for _, name := range []string{"names", "names" + nameindex.TempMark + "1", "names" + nameindex.TempMark + "22", "other" + nameindex.TempMark + "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := nameindex.RemoveLeftovers(path); err != nil {
		t.Fatal(err)
	}
	var got []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if want := "names other" + nameindex.TempMark + "1"; strings.Join(got, " ") != want {
		t.Errorf("left are %v, want %s", got, want)
	}
}
