package dnstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// peerPatience is how long a peer may take until it answers, on a machine that does ten things besides.
const peerPatience = 30 * time.Second

// Program returns where the program of a peer is. Without it the test is skipped, or fails in strict mode, where nothing may be.
func Program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv("CENOTE_STRICT") == "1" {
		t.Fatalf("%s is not installed, and CENOTE_STRICT=1", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// Ask asks a server by UDP for what must be answered, however slow the machine is.
func Ask(m *dns.Msg, server string) (*dns.Msg, error) {
	reply, _, err := (&dns.Client{Timeout: peerPatience}).Exchange(m, server)
	return reply, err
}

// StartPeer runs a server until the test ends, and waits until ready, which asks it something, reports true. What the server says is told if the
// test fails.
func StartPeer(t testing.TB, ready func() bool, command ...string) {
	t.Helper()
	var said output
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%.8000s", command[0], said.String())
		}
	})
	for deadline := time.Now().Add(peerPatience); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer", command[0])
		}
	}
}

// output keeps what a program writes, while others may read it.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
