package pace

import (
	"errors"
	"os"
)

// Sync is f.Sync, but for the processor: a thread that waits in fsync(2) keeps what Go runs goroutines by, until Go takes it away, which is after
// some 20 us at the soonest and 10 ms at the latest. On a machine with a socket worker a core, queries wait as long. Here the kernel is asked to do it and to
// say when it is done (io_submit(2), Linux), and if it does not take that, f.Sync does it. It returns when everything is on the disk. The error is that of f.Sync.
func Sync(f *os.File) error {
	err := syncElsewhere(f)
	if err == nil || !errors.Is(err, errNotHandedOver) {
		return err
	}
	return f.Sync()
}
