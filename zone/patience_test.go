package zone_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"cenote/zone"
)

// TestWaitsTakeNoPatience holds that the time for which the chain of trust may be asked is not used up while a zone is waited for
// that somebody else works on.
func TestWaitsTakeNoPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, asked := t.TempDir(), 0
		files := []string{filepath.Join(dir, "busy"), filepath.Join(dir, "sealed")}
		write(t, files[0], serial("1", "192.0.2.1"))
		write(t, files[1], sealed)
		k, err := zone.NewKeeper(zone.KeeperConfig{
			Sources: []zone.Source{{Name: canonical("busy.example"), Path: files[0]}, {Name: canonical("corp.example"), Path: files[1]}}, Log: slog.New(slog.DiscardHandler),
			Trust: func(ctx context.Context, _ *zone.Seal) (bool, error) {
				if asked++; ctx.Err() != nil {
					t.Errorf("question %d is asked when its time is over", asked)
				}
				return true, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			done <- k.Edit(canonical("busy.example"), func(present *zone.Zone) (*zone.Zone, error) {
				time.Sleep(time.Minute)
				return present, nil
			})
		}()
		synctest.Wait()
		write(t, files[0], serial("2", "192.0.2.1"))
		write(t, files[1], sealed+"; changed\n")
		if _, err := k.Reload(false); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil || asked != 2 {
			t.Errorf("%v; %d questions, want 2", err, asked)
		}
	})
}
