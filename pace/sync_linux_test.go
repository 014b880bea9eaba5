package pace_test

import (
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"cenote/pace"
)

// TestSyncIsHandedOver shows that the kernel takes a sync on this machine, and that it tells of one that it cannot do.
func TestSyncIsHandedOver(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pace.SyncElsewhere(f); err != nil {
		t.Error(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := pace.SyncElsewhere(w); err == nil {
		t.Error("a pipe was synced")
	}
}

// BenchmarkBesideSync tells for how long another goroutine of the only processor does not run while a file is synced: the longest time of each sync, on average.
func BenchmarkBesideSync(b *testing.B) {
	for name, sync := range map[string]func(*os.File) error{"file": (*os.File).Sync, "pace": pace.Sync} {
		b.Run(name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			var total, longest time.Duration
			for range b.N {
				if _, err := f.Write(make([]byte, 64<<10)); err != nil {
					b.Fatal(err)
				}
				var done atomic.Bool
				go func() {
					if err := sync(f); err != nil {
						b.Error(err)
					}
					done.Store(true)
				}()
				var most time.Duration
				for last := time.Now(); !done.Load(); {
					runtime.Gosched()
					now := time.Now()
					most, last = max(most, now.Sub(last)), now
				}
				total, longest = total+most, max(longest, most)
			}
			b.ReportMetric(float64(total.Microseconds())/float64(b.N), "held-us/op")
			b.ReportMetric(float64(longest.Microseconds()), "held-us-max")
		})
	}
}
