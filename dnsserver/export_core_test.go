package dnsserver

import (
	"context"
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Doors for the tests of the path of a query.
type (
	Core      = core
	Worker    = worker
	RateTable = rateTable
	CookieJar = cookieJar
)

func NewCore(c Config) (*Core, error)                          { return newCore(c) }
func NewWorker(c *Core) *Worker                                { return c.newWorker() }
func NewShared(c *Core) *Worker                                { return c.newShared() }
func Answer(w *Worker, q *Query) Verdict                       { return w.answer(q) }
func Resolve(ctx context.Context, w *Worker, q *Query)         { w.resolve(ctx, q) }
func Shed(w *Worker, q *Query) Verdict                         { return w.shed(q) }
func CopyTo(from, to *Query)                                   { from.copyTo(to) }
func Release(q *Query)                                         { q.release() }
func ApplySettings(c *Core, s Settings) error                  { return c.apply(s) }
func Bugs(w *Worker) uint64                                    { return w.counters.bugs.Load() }
func Slipped(w *Worker) uint64                                 { return w.counters.slipped.Load() }
func ShedCount(w *Worker) uint64                               { return w.counters.shed.Load() }
func DroppedFor(w *Worker, reason string) uint64               { return w.dropped(reason) }
func NewRateTable(c Rates, old *RateTable) (*RateTable, error) { return newRateTable(c, old) }
func Take(t *RateTable, a netip.Addr, now time.Time) (within, slip bool) {
	return t.take(a, now)
}
func NewCookieJar(c Cookies, old *CookieJar) (*CookieJar, error) { return newCookieJar(c, old) }
func SipHash24(k *[16]byte, msg []byte) uint64                   { return sipHash24(k, msg) }

// Faulty counts the messages of w that could not be answered as asked.
func Faulty(w *Worker) (n uint64) {
	for i := range w.counters.faults {
		if wire.Fault(i) != wire.FaultNone {
			n += w.counters.faults[i].Load()
		}
	}
	return n
}

// Tap makes w hand its matches and records to rings of the test.
func Tap(w *Worker, sights eventRing, queries recordRing) { w.sights, w.queries = sights, queries }

// TapShared is Tap for a shared worker.
func TapShared(w *Worker, ledger eventQueue, log recordQueue) { w.ledger, w.log = ledger, log }

// JudgeCookie names what a cookie is worth: none, new or valid.
func JudgeCookie(j *CookieJar, option []byte, addr netip.Addr, now time.Time) string {
	return j.judge(option, addr, now).String()
}

// MakeCookie returns the option that a client who sent option gets.
func MakeCookie(j *CookieJar, option []byte, addr netip.Addr, now time.Time) []byte {
	return j.appendTo(nil, option, j.judge(option, addr, now), addr, now)
}

func (w *worker) dropped(reason string) uint64 {
	for d := range dropsMax {
		if d.String() == reason {
			return w.counters.drops[d].Load()
		}
	}
	panic("no such reason: " + reason)
}

// WorkerOf makes another worker of a whole server.
func WorkerOf(s *Server) *Worker { return s.core.newWorker() }

// UpdateWaits are the updates that wait to be made.
type UpdateWaits = updateWaits

// UpdatesMax is how many there are at most.
const UpdatesMax = updatesMax

func (u *updateWaits) Enter(key dnsname.Name) bool { return u.enter(key) }
func (u *updateWaits) Leave(key dnsname.Name)      { u.leave(key) }
