package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// tcpChild is the word by which this program knows that it is to be the load generator for TCP: its one argument is a tcpLoad in JSON.
const tcpChild = "tcp-load"

// tcpLoad is one run of the load generator for TCP.
type tcpLoad struct {
	Server  string // address, without the port
	Port    int
	Queries string // file
	Seconds float64
	Conns   int    // connections, each from an address of its own
	Window  int    // queries under way on each, if Rate is 0
	Rate    int    // queries a second of all connections together; each query's time counts from when it was due
	Start   uint64 // the question of the file to begin with
}

// drainMax is how long replies are waited for when the time of a load is over, as the generator for UDP does.
const drainMax = time.Second

// blastTCP runs a load in a process of its own on the core of the load.
func blastTCP(ctx context.Context, l tcpLoad) (o outcome, err error) {
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	arg, err := json.Marshal(l)
	if err != nil {
		return o, err
	}
	p := prepare(ctx, "taskset", "-c", loadCore, self, tcpChild, string(arg))
	pipe, err := p.StdoutPipe()
	if err != nil {
		return o, err
	}
	if err := launch(p); err != nil {
		return o, fmt.Errorf("load generator for TCP: %w", err)
	}
	err = json.NewDecoder(pipe).Decode(&o)
	return o, errors.Join(err, p.Wait())
}

// runTCPChild is the whole life of the child; it returns the exit status.
func runTCPChild(arg string) int {
	debug.SetGCPercent(-1) // the child lives for seconds and makes next to no garbage
	var l tcpLoad
	if err := json.Unmarshal([]byte(arg), &l); err != nil {
		fmt.Fprintln(os.Stderr, "bench: load for TCP:", err)
		return 2
	}
	o, err := l.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: load for TCP:", err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		return 1
	}
	return 0
}

// tcpRun is a load while it runs. One thread does all of it.
type tcpRun struct {
	tcpLoad
	queries *queryFile
	conns   []*tcpConn
	next    uint64 // question
	turn    int    // connection that gets the next queries that are due
	began   time.Time
	took    []int64 // by reply: nanoseconds
	inTime  uint64  // replies that came before the time was over
	outcome outcome
}

// run asks for the time of the load, and waits for the replies that are still to come.
func (l tcpLoad) run() (outcome, error) {
	questions, err := readQueries(l.Queries)
	if err != nil {
		return outcome{}, err
	}
	runtime.LockOSThread() // the wait for the sockets blocks the thread
	defer runtime.UnlockOSThread()
	r := &tcpRun{tcpLoad: l, queries: questions, next: l.Start, took: make([]int64, 0, 1<<20)}
	defer r.close()
	for i := range l.Conns {
		c, err := dialTCP(l.Server, l.Port, i)
		if err != nil {
			return outcome{}, err
		}
		r.conns = append(r.conns, c)
	}
	r.began = time.Now()
	used := usedCPU()
	err = r.loop()
	r.outcome.Busy = float64(usedCPU()-used) / float64(time.Since(r.began))
	r.sum()
	return r.outcome, err
}

func (r *tcpRun) close() {
	for _, c := range r.conns {
		unix.Close(c.fd)
	}
}

// loop sends what may be sent, and reads what has come, until the time is over and nothing is under way.
func (r *tcpRun) loop() error {
	end := int64(r.Seconds * float64(time.Second))
	fds := make([]unix.PollFd, len(r.conns))
	for {
		now := int64(time.Since(r.began))
		if now < end {
			r.ask(now)
		} else if r.underWay() == 0 || now > end+int64(drainMax) {
			return nil
		}
		for i, c := range r.conns {
			if err := c.flush(r); err != nil {
				return err
			}
			fds[i] = unix.PollFd{Fd: int32(c.fd), Events: c.events()}
		}
		if err := waitSockets(fds, r.pause(now, end)); err != nil {
			return fmt.Errorf("waiting for the connections: %w", err)
		}
		if err := r.gather(); err != nil {
			return err
		}
		if err := r.read(fds, end); err != nil {
			return err
		}
	}
}

// How long replies gather before they are read, where enough is under way to keep the server at work meanwhile. A generator that woke up for each would
// have little of its core left.
const (
	gatherTime = 20 * time.Microsecond
	gatherMin  = 64 // queries under way on all connections
)

// gather lets replies gather; at a given rate it does not, since that would add to their times.
func (r *tcpRun) gather() error {
	if r.Rate > 0 || r.Window*r.Conns < gatherMin {
		return nil
	}
	return waitSockets(nil, gatherTime)
}

func (r *tcpRun) underWay() (n int) {
	for _, c := range r.conns {
		n += c.underWay
	}
	return n
}

// ask queues the queries that may be sent now.
func (r *tcpRun) ask(now int64) {
	if r.Rate > 0 {
		r.askDue(now)
		return
	}
	for _, c := range r.conns {
		// Half a window has to be free, so that one write holds many queries.
		if free := r.Window - c.underWay; free >= (r.Window+1)/2 {
			for range free {
				r.askOne(c, now)
			}
		}
	}
}

// dueBatch is how many queries that are due go to one connection before the next one has its turn.
const dueBatch = 32

// underWayMax bounds the queries under way on a connection at a given rate; what is due beyond waits, and its time runs.
const underWayMax = 4096

func (r *tcpRun) askDue(now int64) {
	due := uint64(float64(now) * float64(r.Rate) / float64(time.Second))
	for tries := 0; r.outcome.Sent < due && tries < len(r.conns); tries++ {
		c := r.conns[r.turn]
		r.turn = (r.turn + 1) % len(r.conns)
		for n := 0; n < dueBatch && r.outcome.Sent < due && c.underWay < underWayMax; n++ {
			r.askOne(c, r.dueAt(r.outcome.Sent))
			tries = 0
		}
	}
}

// dueAt is when the n-th query is due, in nanoseconds from the begin.
func (r *tcpRun) dueAt(n uint64) int64 {
	return int64(float64(n) * float64(time.Second) / float64(r.Rate))
}

func (r *tcpRun) askOne(c *tcpConn, at int64) {
	c.queue(r.queries.query(r.next), uint32(r.next%uint64(r.queries.len())), at)
	r.next++
	r.outcome.Sent++
}

// pause is how long to wait for the sockets: to the next query that is due, or the end.
func (r *tcpRun) pause(now, end int64) time.Duration {
	until := end + int64(drainMax)
	if now < end {
		until = end
	}
	if r.Rate > 0 && now < end {
		until = min(until, r.dueAt(r.outcome.Sent+1))
	}
	return time.Duration(max(until-int64(time.Since(r.began)), 0))
}

// read takes the replies of the connections that have some.
func (r *tcpRun) read(fds []unix.PollFd, end int64) error {
	for i, c := range r.conns {
		if fds[i].Revents&^unix.POLLOUT == 0 {
			continue
		}
		if err := c.read(r, end); err != nil {
			return err
		}
	}
	return nil
}

// answered notes one reply.
func (r *tcpRun) answered(rcode int, took int64, inTime bool) {
	r.outcome.Got++
	r.took = append(r.took, took)
	if inTime {
		r.inTime++
	}
	switch rcode {
	case 2:
		r.outcome.ServFail++
	case 5:
		r.outcome.Refused++
	}
}

// sum makes the figures of what was noted.
func (r *tcpRun) sum() {
	o := &r.outcome
	o.Lost = o.Sent - o.Got
	if o.Sent > 0 {
		o.LossPct = 100 * float64(o.Lost) / float64(o.Sent)
	}
	o.QPS = float64(r.inTime) / r.Seconds
	o.Next = r.next
	slices.Sort(r.took)
	o.P50, o.P99, o.P999 = percentile(r.took, 0.5), percentile(r.took, 0.99), percentile(r.took, 0.999)
}

// percentile is the time, in microseconds, that a share of the sorted times stays below or at.
func percentile(sorted []int64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]) / 1000
}

// usedCPU is the processor time of this process.
func usedCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
