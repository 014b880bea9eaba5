package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// pollDefault is how often files are looked at. One that has changed is read when it has stayed as it is from one look to the next.
const pollDefault = 500 * time.Millisecond

// ErrSerial is that the serial of a changed file is not after the one that is served (RFC 1982).
var ErrSerial = errors.New("the serial goes back")

// Source is where a zone comes from, and who may see it.
type Source struct {
	Name dnsname.Name
	Path string
	// Allow is that of Served.
	Allow func(netip.Addr) bool
}

// KeeperConfig is what a Keeper is made from.
type KeeperConfig struct {
	// Sources are the zones, no two of the same name.
	Sources []Source
	// Poll is how often files are looked at. Default 500ms.
	Poll time.Duration
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Log gets one line an event. Nil: slog.Default.
	Log *slog.Logger
}

// Keeper keeps the zones of a server as their files are: it looks for changes, and publishes a new Set for each. A zone whose file has become faulty keeps
// its last good state. Its methods may be called by many at once.
type Keeper struct {
	poll     time.Duration
	now      func() time.Time
	log      *slog.Logger
	set      atomic.Pointer[Set]
	loads    atomic.Uint64
	failures atomic.Uint64

	mu    sync.Mutex // held while zones are loaded and published
	zones []*kept    // changed with mu and state held
	state sync.Mutex // guards the status of zones, so that asking for it never waits for a load
}

// kept is a zone with what was seen of its file.
type kept struct {
	source Source
	zone   *Zone // nil before the first that is good
	loaded stamp // of the file that was read last, good or bad
	seen   stamp // by the last look
	status Status
}

// State is how a zone stands.
type State string

// The states.
const (
	StateServed State = "served" // as its file is
	StateKept   State = "kept"   // as its file was when it was last good
	StateFailed State = "failed" // there was none that is good: its names get SERVFAIL
)

// Status is how a zone stands, for people.
type Status struct {
	Name     string    `json:"name"`
	Source   string    `json:"source"` // the path of its file
	State    State     `json:"state"`
	Serial   uint32    `json:"serial"`
	Records  int       `json:"records"`
	Names    int       `json:"names"`
	Bytes    int       `json:"bytes"` // in memory
	Signed   bool      `json:"signed"`
	Loaded   time.Time `json:"loaded,omitzero"` // when the state that is served was read
	Warnings int       `json:"warnings"`        // of the file that was read last
	Fault    string    `json:"fault,omitempty"` // why the file is not what is served
	Since    time.Time `json:"since,omitzero"`  // and since when
}

// NewKeeper makes a keeper and reads every zone once. Zones that cannot be served are no error: Status tells of them.
func NewKeeper(c KeeperConfig) (*Keeper, error) {
	k := &Keeper{poll: cmp.Or(c.Poll, pollDefault), now: c.Now, log: c.Log}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.Default()
	}
	return k, k.Update(c.Sources)
}

// Set is the zones that are served. Whoever answers a query takes it once.
func (k *Keeper) Set() *Set { return k.set.Load() }

// Update changes which zones there are. Those that stay the same are not read again.
func (k *Keeper) Update(sources []Source) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := make([]*kept, 0, len(sources))
	for _, s := range sources {
		s.Name = s.Name.Canonical()
		if slices.ContainsFunc(next, func(z *kept) bool { return z.source.Name == s.Name }) {
			return fmt.Errorf("zone %s is there twice", s.Name)
		}
		z := &kept{}
		if at := slices.IndexFunc(k.zones, func(z *kept) bool { return z.source.Name == s.Name && z.source.Path == s.Path }); at >= 0 {
			*z = *k.zones[at]
		}
		z.source = s
		next = append(next, z)
	}
	for _, z := range next {
		if z.loaded == (stamp{}) {
			k.load(z, false)
		}
	}
	k.state.Lock()
	k.zones = next
	k.state.Unlock()
	return k.publish()
}

// Reload reads every file that has changed, at once, and again those that are not served as they are. force takes serials that go back.
func (k *Keeper) Reload(force bool) ([]Status, error) {
	k.mu.Lock()
	for _, z := range k.zones {
		if now, err := stampOf(z.source.Path); err != nil || now != z.loaded || z.status.State != StateServed {
			k.load(z, force)
		}
	}
	err := k.publish()
	k.mu.Unlock()
	return k.Status(), err
}

// Run looks for changes until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			k.look()
		}
	}
}

// look reads the files that have changed and come to rest.
func (k *Keeper) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	changed := false
	for _, z := range k.zones {
		now, err := stampOf(z.source.Path)
		rests := now == z.seen
		z.seen = now
		if rests && (now != z.loaded || err != nil && z.status.Fault == "") {
			k.load(z, false)
			changed = true
		}
	}
	if changed {
		_ = k.publish() // the names are those of before
	}
}

// load reads the file of z, and takes what it says if that can be served.
func (k *Keeper) load(z *kept, force bool) {
	before, statErr := stampOf(z.source.Path)
	z.loaded, z.seen = before, before
	next, faults, err := Load(z.source.Name, z.source.Path, k.now())
	if err == nil {
		err = statErr
	}
	if err == nil && z.zone != nil && !force && isBefore(next.serial, z.zone.serial) {
		err = fmt.Errorf("%w: the file has %d, and %d is served; raise it, or take it with `cenote reload --force`", ErrSerial, next.serial, z.zone.serial)
	}
	warnings := 0
	for _, f := range faults {
		if f.Severity == SeverityWarning {
			warnings++
		}
	}
	k.note(z, next, warnings, err)
}

// note keeps what came of a load.
func (k *Keeper) note(z *kept, next *Zone, warnings int, err error) {
	k.state.Lock()
	defer k.state.Unlock()
	s := &z.status
	s.Name, s.Source, s.Warnings = z.source.Name.String(), z.source.Path, warnings
	if err != nil {
		k.failures.Add(1)
		k.refuse(z, err)
		return
	}
	k.loads.Add(1)
	if z.zone != nil && z.zone.serial == next.serial {
		k.log.Warn("zone has changed, and its serial has not: secondaries will not see it", "zone", s.Name, "serial", next.serial)
	}
	z.zone = next
	s.State, s.Serial, s.Records, s.Names, s.Bytes, s.Signed = StateServed, next.serial, next.records, next.names, next.Bytes(), next.signed
	s.Loaded, s.Fault, s.Since = k.now(), "", time.Time{}
	k.log.Info("zone loaded", "zone", s.Name, "serial", next.serial, "records", next.records, "warnings", warnings)
}

// refuse keeps the last good state, and tells of a fault once.
func (k *Keeper) refuse(z *kept, err error) {
	s := &z.status
	if s.State = StateKept; z.zone == nil {
		s.State = StateFailed
	}
	if s.Fault == err.Error() {
		return
	}
	if s.Fault == "" {
		s.Since = k.now()
	}
	s.Fault = err.Error()
	k.log.Error("zone not loaded", "zone", s.Name, "state", string(s.State), "err", err)
}

// isBefore reports whether serial a is less than b (RFC 1982 section 3.2). Where that is not defined, halfway round, it counts as before.
func isBefore(a, b uint32) bool { return a != b && int32(a-b) < 0 }

// publish makes a Set of what there is now. A zone that was never good is in it, so that its names are asked of nobody else.
func (k *Keeper) publish() error {
	var served []Served
	for _, z := range k.zones {
		data := z.zone
		if data == nil {
			data = &Zone{apex: z.source.Name, labels: z.source.Name.Labels(), absent: true}
		}
		served = append(served, Served{Zone: data, Allow: z.source.Allow})
	}
	set, err := NewSet(served...)
	if err == nil {
		k.set.Store(set)
	}
	return err
}

// Status tells how every zone stands.
func (k *Keeper) Status() []Status {
	k.state.Lock()
	defer k.state.Unlock()
	out := make([]Status, 0, len(k.zones))
	for _, z := range k.zones {
		out = append(out, z.status)
	}
	return out
}
