package querylog

import (
	"context"
	"strconv"
	"time"

	"cenote/ring"
)

// Bounds of the writer.
const (
	writeEvery   = 250 * time.Millisecond // how long a record waits in a queue when there is little to do
	batchRecords = 1024                   // records that are encoded between two looks at the clock
	bufferOctets = 256 << 10              // lines that are written at once
)

// writer drains the queues into the file. It belongs to the goroutine of Run.
type writer struct {
	log     *Log
	file    *file
	encoder encoder
	buf     []byte
	held    int    // records in buf
	told    uint64 // dropped records that the file has been told of
}

func newWriter(l *Log, a *archiver) *writer {
	c := l.config.Load()
	return &writer{log: l, file: newFile(l, a), encoder: encoder{matches: matchCache{names: c.Names}}, buf: make([]byte, 0, bufferOctets+lineMax)}
}

// lineMax is more than the longest line takes: a name of 255 octets is four times as long when every octet is escaped, and stands in it twice.
const lineMax = 4096

// run writes until ctx ends, and then what is left.
func (w *writer) run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.finish()
			return
		case <-w.log.changed:
			w.flush()
			w.file.configure(w.log.config.Load())
		case <-tick.C:
		}
		w.drain(ctx)
	}
}

// drain writes what waits, until nothing does or the disk refuses.
func (w *writer) drain(ctx context.Context) {
	for w.log.waiting() > 0 && ctx.Err() == nil {
		if !w.pass() {
			return
		}
	}
	w.tellDrops()
	w.flush()
	w.file.tend()
}

// pass encodes a batch of each queue and writes what has come together. It returns false if the disk does not take it.
func (w *writer) pass() bool {
	taken := true
	w.log.rings(func(r *ring.SPSC[Record]) bool {
		taken = w.take(r)
		return taken
	})
	return taken
}

// take moves one batch from a queue into the buffer. Records stay in their queue while the buffer cannot be emptied.
func (w *writer) take(r *ring.SPSC[Record]) bool {
	records := r.Peek(batchRecords)
	for i := range records {
		if len(w.buf) >= bufferOctets && !w.flush() {
			r.Release(i)
			return false
		}
		w.buf = w.encoder.appendLine(w.buf, &records[i])
		w.held++
	}
	r.Release(len(records))
	return true
}

// flush writes the buffer to the file. After a fault the buffer stays, to be tried again.
func (w *writer) flush() bool {
	if len(w.buf) == 0 {
		return true
	}
	n, err := w.file.write(w.buf)
	if err != nil {
		w.keepRest(n)
		return false
	}
	w.log.counters.octets.Add(uint64(n))
	w.log.counters.written.Add(uint64(w.held))
	w.buf, w.held = w.buf[:0], 0
	return true
}

// keepRest takes the lines off the buffer that the file took whole. The cut line is written again behind a line feed of its own.
func (w *writer) keepRest(n int) {
	whole := 0
	for i, c := range w.buf[:n] {
		if c == '\n' {
			whole = i + 1
			if w.held > 0 {
				w.held--
				w.log.counters.written.Add(1)
			}
		}
	}
	w.log.counters.octets.Add(uint64(n))
	w.file.cut = w.file.cut || whole < n
	w.buf = append(w.buf[:0], w.buf[whole:]...)
}

// tellDrops adds a line of its own to the file when records were lost since the last one.
func (w *writer) tellDrops() {
	lost := w.log.counters.dropped()
	if lost == w.told || w.file.closed() && len(w.buf) == 0 {
		return
	}
	w.buf = append(w.buf, `{"time":"`...)
	w.buf = w.encoder.appendTime(w.buf, w.log.config.Load().Now().UnixNano())
	w.buf = append(w.buf, `","event":"dropped","records":`...)
	w.buf = append(strconv.AppendUint(w.buf, lost-w.told, 10), '}', '\n')
	w.log.config.Load().Log.Warn("queries are missing in the query log; the disk is slow or the mode asks for much", "records", lost-w.told)
	w.told = lost
}

// finish writes what is left at the end. What the disk does not take now is lost, and counted.
func (w *writer) finish() {
	for w.log.waiting() > 0 && w.pass() {
	}
	w.tellDrops()
	w.flush()
	lost := uint64(w.held)
	w.log.rings(func(r *ring.SPSC[Record]) bool {
		lost += uint64(r.Len())
		r.Release(r.Len())
		return true
	})
	w.log.counters.droppedWrite.Add(lost)
	w.file.close()
}
