package sighting_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/sighting"
)

// journalOf makes a journal of a few events.
func journalOf(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	s := openAndRun(t, sighting.Config{Dir: dir})
	for i := range 30 {
		a := childAsk(0, i)
		a.at, a.generation = time.Now(), uint64(1+i/10)
		s.Put(a.fill)
	}
	six := ask{client: "2001:db8::1", name: "a.b.c.example", labels: 1, family: 3, generation: 1, at: time.Now(), verified: true}
	s.Put(six.fill)
	s.stop()
	names, _ := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	if len(names) != 1 {
		t.Fatalf("journals are %v, want one", names)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJournalReadsWhole(t *testing.T) {
	b := journalOf(t)
	rows, good, err := sighting.ReadJournal(bytes.NewReader(b))
	if err != nil || good != int64(len(b)) || rows < 20 {
		t.Errorf("ReadJournal = %d rows, %d of %d octets, %v", rows, good, len(b), err)
	}
}

func FuzzJournal(f *testing.F) {
	b := journalOf(f)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add(b[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, good, _ := sighting.ReadJournal(bytes.NewReader(b)); good > int64(len(b)) {
			t.Fatalf("%d good octets of %d", good, len(b))
		}
	})
}

func FuzzRow(f *testing.F) {
	f.Add([]byte("\x01\xc0\x00\x02\x01\x05\x00\x00\x00\x01\x01\x00\x00\x01\x00"))
	f.Add([]byte("\x07\xc0\x00\x02\x01\x05\x03\x10\x12\x34\x02\x01\x01\x00\x00\x12\x34\x01\x00\x00\x01\x00\x01\x12\x34\x01\x00\x00\x01\x04\x03www"))
	f.Fuzz(func(t *testing.T, b []byte) {
		again, ok := sighting.RoundTripRow(b)
		if !ok {
			return
		}
		if twice, ok := sighting.RoundTripRow(again); !ok || !bytes.Equal(again, twice) {
			t.Fatalf("%x becomes %x becomes %x", b, again, twice)
		}
	})
}

func FuzzValues(f *testing.F) {
	f.Add([]byte("\x05zone0\x05feed1\x07family4\x02c2\x07subtree\x5a"))
	f.Add([]byte("\x00\x01\x01\x0d\x03bad\x07example\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x01k\x00\x00\x00\x01l\x00\x00\x00\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) { sighting.DecodeValues(b) })
}
