package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/sighting"
)

// inNamespace runs the calling test again in a mount namespace of its own, as root there. It returns false in the outer process, where nothing is
// left to do.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "CENOTE_TEST_IN_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	unshare := program(t, "unshare")
	if err := exec.Command(unshare, "--user", "--map-root-user", "--mount", "true").Run(); err != nil {
		if os.Getenv("CENOTE_STRICT") == "1" {
			t.Fatalf("namespaces cannot be made here (%v), and CENOTE_STRICT=1", err)
		}
		t.Skipf("namespaces cannot be made here: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), unshare, "--user", "--map-root-user", "--mount", self, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("in a namespace:\n%s", out)
	if err != nil {
		t.Errorf("the test failed in the namespace: %v", err)
	}
	return false
}

// TestFullDiskStopsNoAnswer fills the disk that holds the state while queries come in. All of them are answered, the loss is counted and
// shown, and when there is room again sightings are recorded again.
func TestFullDiskStopsNoAnswer(t *testing.T) {
	t.Parallel() // it is another process that does the work
	if !inNamespace(t) {
		return
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=48m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	list := filepath.Join(dir, "list.domains")
	if err := os.WriteFile(list, []byte("listed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, `
state: `+state+`
listen: [{address: 127.0.0.1:0}]
rate_limit: {enabled: false}
feeds: [{name: list, path: `+list+`, match: subtree}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [list]}]}
sightings: {queue_max: 64KiB}
`)
	l := newLoad(t, s.addr(), 2000)
	l.ask = func(n int) dnsname.Name { return dnsname.MustParse(fmt.Sprintf("n%d.listed.example", n)) }
	l.judge = func(_ int, reply []byte) string {
		if got := firstAnswer(reply); got != "192.0.2.53" {
			return "got " + got
		}
		return ""
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loading sync.WaitGroup
	loading.Go(func() { l.run(ctx) })
	s.wait("recording", func() bool { return s.counted(t) > 500 })

	filler := filepath.Join(state, "filler")
	fill(t, filler)
	s.wait("losing", func() bool { return s.lost(t) > 0 })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	before := s.counted(t)
	s.wait("recording again", func() bool { return s.counted(t) > before+1000 })
	cancel()
	loading.Wait()
	l.report()
	s.wait("accounting for every query", func() bool { return s.counted(t)+s.lost(t) == uint64(l.sent) })
	t.Logf("%d queries: %d recorded, %d reported as lost", l.sent, s.counted(t), s.lost(t))
}

// counted is how many matches the ledger shows.
func (r *running) counted(t *testing.T) (n uint64) {
	t.Helper()
	for g, err := range r.ledger.All(context.Background(), sighting.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n += g.Count
	}
	return n
}

// lost is how many matches the ledger reports as lost.
func (r *running) lost(t *testing.T) (n uint64) {
	t.Helper()
	losses, err := r.ledger.Losses(context.Background(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		n += l.Count
	}
	return n
}

// fill takes all room of a file system.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 64<<10)
	for range 1 << 12 {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
	t.Fatal("the disk is larger than it was made")
}
