package pace

import "time"

// Turn lets a goroutine that never waits by itself give everybody else a turn. It belongs to that goroutine; NewTurn makes one.
type Turn struct {
	poller turnPoller
}

// NewTurn makes a turn. Close ends it.
func NewTurn() *Turn { return &Turn{poller: newTurnPoller()} }

// turnRest is what a goroutine rests for where it cannot wait in the poller.
const turnRest = 5 * time.Microsecond

// Give returns when what was ready has had the processor, and that for which something has come in the network: unlike runtime.Gosched, after which the
// scheduler finds the goroutine ready again before it asks the network poller, and unlike a sleep of microseconds, which on a processor with nothing else
// to do lasts until the next datagram, for a millisecond at worst.
func (t *Turn) Give() {
	if !t.poller.wait() {
		time.Sleep(turnRest)
	}
}

// Close gives back what the system holds for t.
func (t *Turn) Close() { t.poller.close() }
