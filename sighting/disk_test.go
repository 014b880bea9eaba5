package sighting_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cenote/sighting"
)

// insideNamespace is set in a test process that has a user and a mount namespace of its own.
const insideNamespace = "CENOTE_TEST_INSIDE_NAMESPACE"

// inNamespace runs the test again under unshare, and reports whether the caller is that second run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideNamespace) != "" {
		return true
	}
	if out, err := exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").CombinedOutput(); err != nil {
		message := fmt.Sprintf("unshare gives no namespaces here: %v %s", err, out)
		if os.Getenv("CENOTE_STRICT") == "1" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	again := exec.Command("unshare", "--user", "--map-root-user", "--mount", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), insideNamespace+"=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("inside the namespace: %v\n%s", err, out)
	}
	return false
}

func TestFullDiskForReal(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	disk := t.TempDir()
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"))
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	filler := filepath.Join(disk, "filler")
	must(t, os.WriteFile(filler, make([]byte, 6<<20), 0o600))
	c := sighting.Config{Dir: filepath.Join(disk, "ledger"), Limits: sighting.Limits{TablePairs: 2000, Pairs: 20_000, QueueOctets: 256 << 10}}
	s := openAndRun(t, c)
	p, n := s.Producer(), uint64(0)
	put := func(count int) {
		for range count {
			a := ask{client: fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), name: "long.name.of.bad.example", labels: 2, family: int(n % 5), generation: 1, at: time.Now()}
			a.fill(p.Slot())
			p.Commit()
			n++
		}
	}
	account := func(s *sighting.Store) (recorded, missing uint64) {
		missing, _ = lost(t, s)
		return total(all(t, s, sighting.Filter{})), missing
	}
	for i := 0; s.LostCount() < 5000; i++ {
		put(500)
		drained(t, s.Store)
		if i > 2000 {
			t.Fatal("a full disk loses nothing: the test is void")
		}
	}
	must(t, os.Remove(filler))
	room := time.Now()
	await(t, "recording goes on", func() bool { return s.Written().After(room) && s.Pairs() < 4000 })
	before := s.LostCount()
	put(1000)
	drained(t, s.Store)
	if s.LostCount() != before {
		t.Errorf("%d events were lost after there was room again", s.LostCount()-before)
	}
	recorded, missing := account(s.Store)
	if recorded+missing != n || missing != s.LostCount() {
		t.Errorf("%d recorded + %d reported (of %d lost) = %d, want %d", recorded, missing, s.LostCount(), recorded+missing, n)
	}
	s.stop()
	s = openAndRun(t, c)
	if r, m := account(s.Store); r != recorded || m != missing {
		t.Errorf("after a restart %d recorded, %d reported, want %d, %d", r, m, recorded, missing)
	}
	t.Logf("%d events, %d recorded, %d reported lost", n, recorded, missing)
}
