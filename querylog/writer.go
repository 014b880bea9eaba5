package querylog

import (
	"bytes"
	"context"
	"time"

	"cenote/ring"
)

// The rhythm of the writer. A line is in the file at most flushEvery, one pause and one write after its query was answered.
const (
	flushEvery = 250 * time.Millisecond
	retryEvery = 250 * time.Millisecond // after a failed write
	checkEvery = time.Second            // for a file that was renamed from outside, and for its age
	tellEvery  = time.Second            // at most one event line
	pauseMin   = 2 * time.Millisecond
	pauseMax   = 20 * time.Millisecond // a ring must hold what comes in that time
	pauseOff   = 250 * time.Millisecond
	// farewellMax bounds how long the end of Run waits for producers that go on.
	farewellMax = 2 * time.Second
	// rotateRetry is how long a file grows on that could not be put aside.
	rotateRetry = 10 * time.Second
)

const (
	chunk       = 64
	flushOctets = 256 << 10 // a buffer of that size is written at once
	bufferMax   = 1 << 20   // of a buffer that cannot be written; above it the rings fill
)

// writer takes records from the queues into the file. Everything in it belongs to its one goroutine.
type writer struct {
	log      *Log
	config   *Config
	archiver *archiver
	encoder  encoder
	file     *file // nil: closed

	buf     []byte    // lines that wait
	events  bool      // buf has lines that are no records
	oldest  time.Time // when the first line of buf came
	checked time.Time // when the file was looked at
	rotate  time.Time // no rotation before

	retry   time.Time // no write before; zero while all is well
	failing bool

	told   uint64 // drops that event lines have told of
	toldAt time.Time
}

func newWriter(l *Log, a *archiver) *writer {
	return &writer{
		log: l, archiver: a, config: l.config.Load(), encoder: newEncoder(l.config.Load().Names, &l.keys),
		buf: make([]byte, 0, flushOctets+flushOctets/4), toldAt: time.Now(),
	}
}

// run writes until ctx ends, and then what is left.
func (w *writer) run(ctx context.Context) {
	w.begin(time.Now())
	pause := pauseMin
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for ctx.Err() == nil {
		taken := w.drain()
		w.tend(time.Now())
		if taken >= chunk {
			pause = pauseMin
			continue
		}
		pause = w.nextPause(pause, taken)
		timer.Reset(pause)
		select {
		case <-ctx.Done():
		case <-w.log.changed:
			w.adopt()
		case <-timer.C:
		}
	}
	w.finish()
}

func (w *writer) nextPause(last time.Duration, taken int) time.Duration {
	switch {
	case taken > 0:
		return pauseMin
	case w.config.Mode == ModeOff:
		return pauseOff
	}
	return min(2*last, pauseMax)
}

// begin opens the file before the first line is there, so that a wrong path is told at once.
func (w *writer) begin(now time.Time) {
	if w.config.Mode == ModeOff {
		return
	}
	if err := w.open(); err != nil {
		w.fail(now, err)
	}
	w.archiver.wake()
}

// adopt puts a new configuration in force. What was taken before still goes to the file of before.
func (w *writer) adopt() {
	next := w.log.config.Load()
	w.retry = time.Time{}
	w.drain()
	w.tell(time.Now())
	w.flush(time.Now())
	if next.Path != w.config.Path || next.Mode == ModeOff {
		w.closeFile()
	}
	w.config, w.retry, w.rotate = next, time.Time{}, time.Time{}
	w.begin(time.Now())
}

// drain makes one pass over the queues and returns how many records it took. What comes meanwhile is left for the next pass.
func (w *writer) drain() (taken int) {
	w.log.rings(func(r *ring.SPSC[Record]) bool {
		for left := r.Len(); left > 0 && len(w.buf) < bufferMax; {
			records := r.Peek(min(left, chunk))
			for i := range records {
				w.add(&records[i])
			}
			r.Release(len(records))
			left -= len(records)
			taken += len(records)
			if len(w.buf) >= flushOctets {
				w.flush(time.Now())
			}
		}
		return len(w.buf) < bufferMax
	})
	return taken
}

func (w *writer) add(r *Record) {
	if len(w.buf) == 0 {
		w.oldest = time.Now()
	}
	w.buf = w.encoder.appendLine(w.buf, r)
}

// tend does what the passing of time asks for.
func (w *writer) tend(now time.Time) {
	if now.Sub(w.checked) >= checkEvery {
		w.checked = now
		w.inspect(now)
	}
	if now.Sub(w.toldAt) >= tellEvery {
		w.tell(now)
	}
	if len(w.buf) > 0 && now.Sub(w.oldest) >= flushEvery {
		w.flush(now)
	}
	if w.config.Mode == ModeOff && len(w.buf) == 0 {
		w.closeFile()
	}
}

// inspect begins a new file if the old one has its age or was taken away, though nothing is to be written.
func (w *writer) inspect(now time.Time) {
	if w.config.Mode == ModeOff || now.Before(w.retry) {
		return
	}
	if err := w.ready(now, 0); err != nil {
		w.fail(now, err)
	}
}

// tell puts a line into the file that says how many records are missing since the last such line.
func (w *writer) tell(now time.Time) {
	dropped := w.log.counters.dropped()
	if dropped == w.told || len(w.buf) >= bufferMax {
		return
	}
	if len(w.buf) == 0 {
		w.oldest = now
	}
	w.buf = w.encoder.appendDrops(w.buf, w.config.Now().UnixNano(), dropped-w.told)
	w.config.Log.Warn("query log lost records; a larger ring or a smaller mode helps", "records", dropped-w.told)
	w.told, w.toldAt, w.events = dropped, now, true
}

// flush writes the buffer. What cannot be written stays in it.
func (w *writer) flush(now time.Time) {
	if now.Before(w.retry) {
		return
	}
	written := 0
	for written < len(w.buf) {
		n, err := w.writeSome(now, w.buf[written:])
		written += n
		if err != nil {
			w.fail(now, err)
			break
		}
	}
	w.buf = w.buf[:copy(w.buf, w.buf[written:])]
	if len(w.buf) == 0 && written > 0 {
		w.events = false
		w.recovered()
	}
}

// writeSome writes as many of the lines as the file may hold. It returns how many octets of whole lines are in it.
func (w *writer) writeSome(now time.Time, lines []byte) (int, error) {
	first := bytes.IndexByte(lines, '\n') + 1
	if err := w.ready(now, first); err != nil {
		return 0, err
	}
	if w.file.size == 0 {
		w.file.began = w.config.Now()
	}
	n := len(lines)
	if room := w.file.room(&w.config.Rotate); int64(n) > room {
		n = max(first, bytes.LastIndexByte(lines[:room], '\n')+1)
	}
	n, err := w.file.append(lines[:n], w.log.appendTo)
	n = bytes.LastIndexByte(lines[:n], '\n') + 1 // a torn line is mended when the file is opened again
	w.count(lines[:n])
	return n, err
}

// count counts what was written. Lines that are no records are told by a key that records do not have.
func (w *writer) count(lines []byte) {
	records := bytes.Count(lines, []byte{'\n'})
	if w.events {
		records -= bytes.Count(lines, []byte(eventKey))
	}
	w.log.counters.written.Add(uint64(records))
	w.log.counters.octets.Add(uint64(len(lines)))
}

// ready makes sure that a file is open which has room for a line of n octets.
func (w *writer) ready(now time.Time, n int) error {
	if w.file != nil && w.file.moved() {
		w.closeFile()
	}
	if w.file != nil && now.After(w.rotate) && w.file.full(&w.config.Rotate, n, w.config.Now()) {
		w.turn(now)
	}
	if w.file != nil {
		return nil
	}
	return w.open()
}

func (w *writer) open() (err error) {
	if w.file == nil {
		w.file, err = openFile(w.config.Path, w.config.Now())
	}
	return err
}

// turn puts the file aside. If that fails it grows on for a while: a log that is too long is better than none.
func (w *writer) turn(now time.Time) {
	if err := w.file.putAside(w.config.Now()); err != nil {
		w.rotate = now.Add(rotateRetry)
		w.log.counters.writeErrors.Add(1)
		w.config.Log.Error("query log cannot be rotated", "path", w.config.Path, "err", err)
		return
	}
	w.file = nil
	w.log.counters.rotations.Add(1)
	w.archiver.wake()
}

func (w *writer) closeFile() {
	if w.file != nil {
		w.file.close()
		w.file = nil
	}
}

// fail notes that the log cannot be written. The file is closed, so that it is mended or found anew at the next try.
func (w *writer) fail(now time.Time, err error) {
	w.closeFile()
	w.retry = now.Add(retryEvery)
	w.log.counters.writeErrors.Add(1)
	if !w.failing {
		w.config.Log.Error("query log cannot be written; trying again", "path", w.config.Path, "err", err)
	}
	w.failing = true
}

// recovered notes that all is well.
func (w *writer) recovered() {
	if w.failing {
		w.config.Log.Info("query log is written again", "path", w.config.Path)
	}
	w.failing, w.retry = false, time.Time{}
}

// finish writes what is left. A disk that still fails is tried once more.
func (w *writer) finish() {
	w.log.want.Store(uint64(ModeOff) << 32)
	w.retry = time.Time{}
	for until := time.Now().Add(farewellMax); time.Now().Before(until); {
		taken := w.drain()
		w.flush(time.Now())
		if taken == 0 || len(w.buf) > 0 {
			break
		}
	}
	w.tell(time.Now())
	w.flush(time.Now())
	w.abandon()
	w.closeFile()
}

// abandon counts what could not be written.
func (w *writer) abandon() {
	lost := bytes.Count(w.buf, []byte{'\n'}) - bytes.Count(w.buf, []byte(eventKey))
	w.log.rings(func(r *ring.SPSC[Record]) bool {
		n := r.Len()
		r.Release(n)
		lost += n
		return true
	})
	if lost > 0 {
		w.log.counters.droppedWrite.Add(uint64(lost))
		w.config.Log.Error("query log ends with records that could not be written", "path", w.config.Path, "records", lost)
	}
}
