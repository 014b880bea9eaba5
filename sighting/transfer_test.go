package sighting_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"cenote/sighting"
)

// TestTransferThatFailsBetweenTransactions: a commit is many transactions, and each of them may be the one that fails. Readers see every
// match once at any time, and so does the next start, be it after the commit or in the middle of it.
func TestTransferThatFailsBetweenTransactions(t *testing.T) {
	const pairs = 400
	for _, healed := range []bool{true, false} {
		for fails := range int64(6) {
			t.Run(fmt.Sprintf("transaction %d, healed %v", fails+1, healed), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s := open(t, sighting.Config{Dir: dir, Limits: sighting.Limits{TablePairs: pairs, Pairs: 1 << 20}})
				s.CutTransfers(3000)
				var commits atomic.Int64
				var broken atomic.Bool
				broken.Store(true)
				s.FailCommit(func() error {
					if commits.Add(1) > fails && broken.Load() {
						return errors.New("no space left on device")
					}
					return nil
				})
				r := run(t, s)
				for i := range pairs {
					a := ask{client: fmt.Sprintf("10.0.%d.%d", i/200, i%200), name: fmt.Sprintf("n%d.example", i%90), labels: 2, family: i % 7, generation: 1, at: time.Now()}
					s.Put(a.fill)
				}
				drained(t, s)
				await(t, "a transaction has failed", func() bool { return commits.Load() > fails })
				if got := total(all(t, s, sighting.Filter{})); got != pairs {
					t.Errorf("%d events while a transfer is unfinished, want %d", got, pairs)
				}
				broken.Store(!healed)
				if healed {
					await(t, "the transfer is finished", func() bool { return s.Pairs() == 0 })
					if got := total(all(t, s, sighting.Filter{})); got != pairs {
						t.Errorf("%d events after the transfer, want %d", got, pairs)
					}
				}
				r.stop()
				after := openAndRun(t, sighting.Config{Dir: dir})
				if got := total(all(t, after.Store, sighting.Filter{})); got != pairs {
					t.Errorf("%d events after a restart, want %d", got, pairs)
				}
			})
		}
	}
}
