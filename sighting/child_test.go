package sighting_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"cenote/sighting"
)

// The environment by which the test binary knows that it is a child that records until it is killed.
const (
	childDir   = "CENOTE_TEST_SIGHTING_DIR"
	childBoard = "CENOTE_TEST_SIGHTING_BOARD"
	childRound = "CENOTE_TEST_SIGHTING_ROUND"
)

// board is memory that a child shares with its parent: what it says there is not lost when it is killed.
type board struct {
	begun  atomic.Uint64 // events that the child began to commit
	acked  atomic.Uint64 // events that the ledger said were written
	lagMax atomic.Uint64 // longest time between a commit and the word that it is written, nanoseconds
}

func mapBoard(path string) (*board, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(4096); err != nil {
		return nil, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*board)(unsafe.Pointer(&b[0])), nil
}

// childAsk is event i of a round.
func childAsk(round, i int) ask {
	return ask{client: fmt.Sprintf("10.%d.%d.%d", round, i%3, i*7%200), name: fmt.Sprintf("n%d.example", i%11), labels: 2, family: i % 11, generation: 1, port: uint16(i)}
}

// childMain records events, if this process is a child, and never returns then.
func childMain() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	var round int
	fmt.Sscan(os.Getenv(childRound), &round)
	b, err := mapBoard(os.Getenv(childBoard))
	if err != nil {
		panic(err)
	}
	s, err := sighting.Open(sighting.Config{Dir: dir, Catalog: &book{}, Limits: sighting.Limits{TablePairs: 700, Pairs: 1 << 20}})
	if err != nil {
		panic(err)
	}
	s.CutTransfers(2000) // so that it is often killed between two transactions of one commit
	go s.Run(context.Background())
	childRecord(s, b, round)
	return true
}

func childRecord(s *sighting.Store, b *board, round int) {
	type mark struct {
		n  uint64
		at time.Time
	}
	var marks []mark
	p := s.Producer()
	for i := 0; ; {
		for range 20 {
			a := childAsk(round, i)
			a.at = time.Now()
			b.begun.Add(1)
			a.fill(p.Slot())
			p.Commit()
			i++
		}
		marks = append(marks, mark{uint64(i), time.Now()})
		written := s.Written()
		for len(marks) > 0 && marks[0].at.Before(written) {
			b.acked.Store(marks[0].n)
			b.lagMax.Store(max(b.lagMax.Load(), uint64(time.Since(marks[0].at))))
			marks = marks[1:]
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// perClient counts the events of each client and name of a round.
func perClient(t *testing.T, s *sighting.Store, round int) (map[string]uint64, uint64) {
	t.Helper()
	got, n := map[string]uint64{}, uint64(0)
	prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(round)}), 16)
	for _, g := range all(t, s, sighting.Filter{Client: prefix}) {
		got[g.Client.String()+" "+g.Name] += g.Count
		n += g.Count
	}
	return got, n
}

func TestKillLosesNothingWrittenAndCountsNothingTwice(t *testing.T) {
	rounds := 20
	if testing.Short() || raceEnabled {
		rounds = 4
	}
	dir, r := t.TempDir(), rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	recorded := make([]uint64, rounds)
	for round := range rounds {
		b := killed(t, dir, round, time.Duration(20+r.IntN(300))*time.Millisecond)
		s := open(t, sighting.Config{Dir: dir})
		for before := range round + 1 {
			got, n := perClient(t, s, before)
			want := map[string]uint64{}
			for i := range n {
				a := childAsk(before, int(i))
				want[a.client+" "+a.name]++
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("round %d, seen after kill %d: its %d events are not the first %d that were recorded", before, round, n, n)
			}
			if before < round && n != recorded[before] {
				t.Fatalf("round %d had %d events, after kill %d it has %d", before, recorded[before], round, n)
			}
			recorded[before] = n
		}
		acked, begun := b.acked.Load(), b.begun.Load()
		if n := recorded[round]; n < acked || n > begun {
			t.Fatalf("round %d: %d events recorded, want from %d, which were written, to %d", round, n, acked, begun)
		}
		t.Logf("round %d: %d begun, %d written, %d recorded, longest wait for the journal %v", round, begun, acked, recorded[round], time.Duration(b.lagMax.Load()))
		s.Close()
	}
}

// killed runs a child for a while after its first event was written, and kills it.
func killed(t *testing.T, dir string, round int, after time.Duration) *board {
	t.Helper()
	path := filepath.Join(t.TempDir(), "board")
	b, err := mapBoard(path)
	must(t, err)
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+dir, childBoard+"="+path, fmt.Sprintf("%s=%d", childRound, round))
	child.Stderr = os.Stderr
	must(t, child.Start())
	await(t, "the child records", func() bool { return b.acked.Load() > 0 })
	time.Sleep(after) // the moment is what the test is about
	must(t, child.Process.Kill())
	child.Wait()
	return b
}

func TestTornAndDamagedJournalsKeepWhatIsBeforeTheDamage(t *testing.T) {
	dir := t.TempDir()
	killed(t, dir, 0, 100*time.Millisecond)
	segments, err := filepath.Glob(filepath.Join(dir, "journal", "*.journal"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("journals are %v, %v", segments, err)
	}
	whole, err := os.ReadFile(segments[len(segments)-1])
	must(t, err)
	must(t, os.RemoveAll(filepath.Join(dir, "days"))) // all must come from the journal
	r := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for i := range 12 {
		cut := append([]byte(nil), whole...)
		at := r.IntN(len(cut))
		what := fmt.Sprintf("cut at %d of %d", at, len(whole))
		if i%2 == 0 {
			cut = cut[:at]
		} else {
			what = fmt.Sprintf("octet %d of %d is wrong", at, len(whole))
			cut[at] ^= 1 + byte(r.IntN(255))
		}
		expectPrefix(t, what, segments[len(segments)-1], cut)
	}
}

// expectPrefix opens a ledger that has nothing but a journal.
func expectPrefix(t *testing.T, what, name string, journal []byte) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "journal"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "journal", filepath.Base(name)), journal, 0o600))
	s := open(t, sighting.Config{Dir: dir})
	defer s.Close()
	got, n := perClient(t, s, 0)
	want := map[string]uint64{}
	for i := range n {
		a := childAsk(0, int(i))
		want[a.client+" "+a.name]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: the %d events are not the first %d", what, n, n)
	}
	if len(journal) < 1000 && n > 100 {
		t.Errorf("%s: %d events come from %d octets", what, n, len(journal))
	}
}
