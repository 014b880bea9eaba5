package sighting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// FirstConfig says where first sightings are written.
type FirstConfig struct {
	// Path is the file that takes first sightings as JSON lines; empty for none. Example: /var/log/cenote/first.jsonl.
	Path string
	// Bytes is how large it may grow before it is renamed to Path + ".1", over an older one. Default 64 MiB.
	Bytes int64
}

// First is the first sighting of a client and a family within the retention, or of a client and a feed where the feed
// names no family. Its JSON form is a line of the file of first sightings; names of fields are never changed. After a crash a
// line may come again, with "replayed" set: a reader knows it by client, family and time.
type First struct {
	Time      time.Time  `json:"time"`
	Client    netip.Addr `json:"client"`
	Port      uint16     `json:"port"`
	Transport string     `json:"transport"` // udp, tcp, tls, https, quic
	Verified  bool       `json:"verified"`  // the client's address could not be forged
	QName     string     `json:"qname"`     // the name that matched, of the query or of a CNAME step
	QType     uint16     `json:"qtype"`
	Indicator string     `json:"indicator"` // the listed name
	Zone      string     `json:"zone"`
	Feed      string     `json:"feed"`
	Family    string     `json:"family"`
	Threat    string     `json:"threat"`
	Action    string     `json:"action"`
	Enforced  bool       `json:"enforced"`
	Replayed  bool       `json:"replayed,omitempty"`
}

// announcer writes first sightings to their file and hands them to subscribers. It is behind a bounded queue: what comes
// when that is full is counted and not announced, though the sighting itself is recorded.
type announcer struct {
	s       *Store
	wake    chan struct{}
	out     *lineFile
	failing bool // guarded by draining: the last write failed
	dropped atomic.Uint64

	draining    sync.Mutex // held by whoever drains; before mu
	mu          sync.Mutex
	queue       []announcement // guarded by mu
	subscribers map[chan First]struct{}
}

// announcement is a First before it is put into words.
type announcement struct {
	dict     *dictionary
	number   uint32
	client   [16]byte
	hour     uint32
	sample   sample // without its prefix
	prefix   [dnsname.WireMax]byte
	length   int // of prefix
	replayed bool
}

const (
	announceMax   = 8 << 10
	announceChunk = 256
)

func newAnnouncer(s *Store) *announcer {
	a := &announcer{s: s, wake: make(chan struct{}, 1), subscribers: map[chan First]struct{}{}, out: new(lineFile)}
	a.out.move(s.config.First)
	return a
}

// push queues a first sighting. It is called by the collector.
func (a *announcer) push(d *dictionary, number uint32, client [16]byte, hour uint32, s *sample, replayed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= announceMax {
		a.dropped.Add(1)
		return
	}
	a.queue = append(a.queue, announcement{dict: d, number: number, client: client, hour: hour, sample: *s, replayed: replayed})
	o := &a.queue[len(a.queue)-1]
	o.length, o.sample.prefix = copy(o.prefix[:], s.prefix), nil
	poke(a.wake)
}

// Subscribe returns a channel of first sightings from now on. A subscriber that does not keep up misses some, which is
// counted. cancel ends the subscription and closes the channel, as the end of Run does.
func (s *Store) Subscribe(buffer int) (firsts <-chan First, cancel func()) {
	a := s.announcer
	c := make(chan First, max(buffer, 1))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.subscribers == nil {
		close(c)
		return c, func() {}
	}
	a.subscribers[c] = struct{}{}
	return c, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if _, ok := a.subscribers[c]; ok {
			delete(a.subscribers, c)
			close(c)
		}
	}
}

// run announces until stop is closed, and then what is left.
func (a *announcer) run(stop <-chan struct{}) {
	for {
		select {
		case <-a.wake:
			a.drain()
		case <-stop:
			a.drain()
			a.close()
			return
		}
	}
}

func (a *announcer) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.subscribers {
		close(c)
	}
	a.subscribers = nil
	a.out.close()
}

func (a *announcer) drain() {
	a.draining.Lock()
	defer a.draining.Unlock()
	for {
		a.mu.Lock()
		n := min(len(a.queue), announceChunk)
		batch := append([]announcement(nil), a.queue[:n]...)
		a.queue = append(a.queue[:0], a.queue[n:]...)
		a.mu.Unlock()
		if n == 0 {
			return
		}
		for i := range batch {
			a.announce(a.s.word(&batch[i]))
		}
		a.flush()
	}
}

func (a *announcer) announce(f First) {
	a.s.counters.firsts.Add(1)
	if line, err := json.Marshal(&f); err == nil {
		a.out.add(line)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.subscribers {
		select {
		case c <- f:
		default:
			a.dropped.Add(1)
		}
	}
}

func (a *announcer) flush() {
	lost, err := a.out.flush()
	a.dropped.Add(uint64(lost))
	switch {
	case err != nil && !a.failing:
		a.s.log.Error("first sightings cannot be written; they are counted as dropped", "error", err)
	case err == nil && a.failing:
		a.s.log.Info("first sightings are written again")
	}
	a.failing = err != nil
}

// word puts an announcement into words.
func (s *Store) word(o *announcement) First {
	l := &s.ledger
	l.mu.Lock()
	r := o.dict.at(o.number)
	about, name := l.book.list[r.rule], o.dict.nameOf(r)
	action, trigger := r.action, policy.Trigger(r.trigger)
	l.mu.Unlock()
	return First{
		Time: joinTime(o.hour, o.sample.at), Client: clientAddr(&o.client), Port: o.sample.port,
		Transport: policy.Transport(o.sample.transport).String(), Verified: o.sample.flags&EventVerified != 0,
		QName: joinedName(o.prefix[:o.length], string(name), trigger), QType: o.sample.qtype, Indicator: nameText(name),
		Zone: about.zone, Feed: about.feed, Family: about.family, Threat: about.threat,
		Action: policy.Action(action).String(), Enforced: o.sample.flags&EventEnforced != 0, Replayed: o.replayed,
	}
}

// joinedName is the presentation form of the name that prefix and the listed name make; of a count by family the listed
// name is not known, and the prefix is the whole name.
func joinedName(prefix []byte, name string, matched policy.Trigger) string {
	if matched.ByAddress() || matched == policy.TriggerNSDNAME || policy.TriggerOf([]byte(name)) != policy.TriggerQNAME {
		name = "" // an address or a name server, be it by a rule about names: no part of the query name
	}
	wire := append(append(make([]byte, 0, dnsname.WireMax+1), prefix...), name...)
	if len(wire) == 0 || wire[len(wire)-1] != 0 {
		wire = append(wire, 0)
	}
	return string(dnsname.AppendText(nil, wire))
}

// lineFile appends lines to a file that is renamed aside when it is large.
type lineFile struct {
	mu   sync.Mutex // guards the rest
	path string     // empty: lines go nowhere
	max  int64
	f    *os.File
	size int64
	buf  []byte
	n    int // lines in buf
}

// move makes the lines that are flushed from now on go to another file.
func (o *lineFile) move(c FirstConfig) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f != nil && o.path != c.Path {
		o.f.Close()
		o.f = nil
	}
	o.path, o.max = c.Path, c.Bytes
}

func (o *lineFile) add(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.path == "" {
		return
	}
	o.buf = append(append(o.buf, line...), '\n')
	o.n++
}

// flush writes what was added. If it cannot, it returns how many lines are lost.
func (o *lineFile) flush() (lost int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { o.buf, o.n = o.buf[:0], 0 }()
	if o.path == "" {
		return 0, nil
	}
	if err := o.ready(); err != nil {
		return o.n, err
	}
	n, err := o.f.Write(o.buf)
	if err != nil {
		if n > 0 { // half a line would spoil the next one
			err = errors.Join(err, o.f.Truncate(o.size))
		}
		return o.n, err
	}
	o.size += int64(n)
	return 0, nil
}

// ready opens the file, after renaming it if it is full or after somebody else did.
func (o *lineFile) ready() error {
	if o.f != nil && (o.size >= o.max || o.moved()) {
		o.f.Close()
		o.f = nil
		if o.size >= o.max {
			os.Rename(o.path, o.path+".1")
		}
	}
	if o.f != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(o.path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(o.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if o.size, err = endLines(f); err != nil {
		f.Close()
		return err
	}
	o.f = f
	return nil
}

// lineMax is above the longest line, in octets.
const lineMax = 64 << 10

// endLines takes off the end of a file what the end of power left of a line, and returns its size. A pipe or device is refused: one that nobody reads
// would hold up the end of the process.
func endLines(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is not a file; a program may follow one with tail -F", f.Name())
	}
	tail := make([]byte, min(info.Size(), lineMax))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return 0, err
	}
	torn := len(tail) - (bytes.LastIndexByte(tail, '\n') + 1)
	if torn == 0 {
		return info.Size(), nil
	}
	return info.Size() - int64(torn), f.Truncate(info.Size() - int64(torn))
}

func (o *lineFile) moved() bool {
	have, err1 := o.f.Stat()
	there, err2 := os.Stat(o.path)
	return err1 != nil || err2 != nil || !os.SameFile(have, there)
}

func (o *lineFile) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f != nil {
		o.f.Close()
	}
	o.f = nil
}

// rewrite passes each line of the file, and of the one that was renamed aside, through keep, and returns how many it dropped.
func (o *lineFile) rewrite(keep func(line []byte) bool) (dropped int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f != nil {
		o.f.Close()
		o.f = nil
	}
	if o.path == "" {
		return 0, nil
	}
	for _, path := range []string{o.path, o.path + ".1"} {
		n, err := rewriteLines(path, keep)
		if err != nil {
			return dropped, fmt.Errorf("rewriting %s: %w", path, err)
		}
		dropped += n
	}
	return dropped, nil
}
