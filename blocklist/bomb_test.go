package blocklist_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cenote/blocklist"
)

// refusedMost is how much more memory a list may cost that is refused than one of a row, in octets.
const refusedMost = 128 << 20

// showPeak writes the most memory that the process had, in octets, to a file. It has no part of the parent's, as getrusage(2) would.
func showPeak(path string) {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ := strings.Cut(after, "kB")
	kib, _ := strconv.Atoi(strings.TrimSpace(peak))
	os.WriteFile(path, []byte(strconv.Itoa(kib<<10)), 0o600)
}

// TestRefusedListCostsLittleMemory: a list that unpacks to millions of good names, and is refused for its size or its growth, costs the child no
// more memory than refusedMost.
func TestRefusedListCostsLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory is more than the bound")
	}
	path := filepath.Join(t.TempDir(), "peak")
	peak := func() int {
		n, err := strconv.Atoi(readFile(path))
		must(t, err)
		return n
	}
	bomb := packedNames(t, 5<<20)
	for _, tc := range []struct {
		name   string
		limits blocklist.Limits
		says   string
	}{
		{"size", blocklist.Limits{ContentBytes: 40 << 20}, "larger than the limit"},
		{"growth", blocklist.Limits{}, "it grew by more than"},
	} {
		w := newWorld(t, func(c *blocklist.Config) { c.Child = childWith(t, "shows-peak="+path) })
		source := w.feed("f", "listed.example\n")
		w.feeds[0].Limits = tc.limits
		w.reload(blocklist.ReloadOptions{})
		before := peak()
		write(t, source, bomb)
		report := w.reload(blocklist.ReloadOptions{})
		if len(report.Feeds) != 1 || report.Feeds[0].Failure == nil || !strings.Contains(report.Feeds[0].Failure.Text, tc.says) {
			t.Errorf("%s: %+v, want %q", tc.name, report.Feeds, tc.says)
		}
		after := peak()
		t.Logf("%s: the child had %d MiB, and %d MiB for the list that is refused", tc.name, before>>20, after>>20)
		if after > before+refusedMost {
			t.Errorf("%s: the child had %d octets, and %d for the list that is refused", tc.name, before, after)
		}
		w.close()
	}
}

// packedNames is a compressed list of n names.
func packedNames(t *testing.T, n int) string {
	t.Helper()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	must(t, err)
	var line []byte
	for i := range n {
		line = fmt.Appendf(line[:0], "%x.example\n", i)
		_, err := z.Write(line)
		must(t, err)
	}
	must(t, z.Close())
	return packed.String()
}
