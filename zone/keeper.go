package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// pollDefault is how often files are looked at, of many a part; see fileLooks. One that has changed is read when it has stayed as it is from one look to the next.
const pollDefault = 500 * time.Millisecond

// ErrSerial is that the serial of a changed file is not after the one that is served (RFC 1982).
var ErrSerial = errors.New("the serial goes back")

// Source is where a zone comes from, and who may see it.
type Source struct {
	Name dnsname.Name
	// Path is its master file. Empty: the zone's states come by Install and Edit, and the last one lasts over a restart.
	Path string
	// Origin is what Status shows as the source of a zone without a file.
	Origin string
	// Verify says what is wanted of its digest.
	Verify Verify
	// Allow, Transfer, TransferKeys and RequireTLS are those of Served.
	Allow        func(netip.Addr) bool
	Transfer     func(netip.Addr) bool
	TransferKeys []dnsname.Name
	RequireTLS   bool
	// Notify is that of Served.
	Notify []Notified
	// Updates say who may change the zone by messages. Nil: nobody.
	Updates *Updates
	// NotifyFrom and NotifyKeys are those of Served.
	NotifyFrom func(netip.Addr) bool
	NotifyKeys []dnsname.Name
	// Sign is how the zone is signed here. Nil: it is served as it comes.
	Sign *Signing
	// Catalog is the catalog that lists the zone, and Member the label of its node there; empty for a zone of the configuration. With another label it is
	// another zone, of which nothing is kept.
	Catalog dnsname.Name
	Member  string
	// Template is that of Served.
	Template any
}

// isAs reports whether what is kept of a zone counts for another source of it.
func (s *Source) isAs(o *Source) bool {
	return s.Path == o.Path && s.Member == o.Member && s.Catalog.IsZero() == o.Catalog.IsZero()
}

// KeeperConfig is what a Keeper is made from.
type KeeperConfig struct {
	// Sources are the zones, no two of the same name.
	Sources []Source
	// Dir is where journals are kept, which is made if it is not there. Empty: histories and zones without a file last as long as the keeper.
	Dir string
	// Keys is where the keys of zones are kept that are signed here, a directory for each. It is needed if there are such zones.
	Keys string
	// Parent tells which DS records the zone above has. Nil: somebody has to say it, by MarkDS.
	Parent ParentDS
	// Bounds are those of histories.
	Bounds HistoryBounds
	// Changed is told after another version of a zone was published. It must return at once, and may call Set, but nothing else of the keeper. Nil: nobody
	// is told.
	Changed func(apex dnsname.Name, serial uint32)
	// Poll is how often files are looked at, of many a part. Default 500ms.
	Poll time.Duration
	// Trust tells whether zones with a digest are signed as they have to be. Nil: nobody knows, and the digest alone counts.
	Trust Trust
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Log gets one line an event. Nil: slog.Default.
	Log *slog.Logger
}

// Keeper keeps the zones of a server as their sources are: it looks for changes of files, takes what others install, and publishes a new Set for each, with
// each zone's history. A zone whose file has become faulty keeps its last good state. Its methods may be called by many at once.
type Keeper struct {
	poll    time.Duration
	now     func() time.Time
	log     *slog.Logger
	dir     string
	keys    string
	parent  ParentDS
	bounds  HistoryBounds
	changed func(dnsname.Name, uint32)
	thawed  func(dnsname.Name) // has the primaries of a zone asked; nil: nobody does
	trust   Trust
	teller  *Notifier
	online  *onlineWork
	set     atomic.Pointer[Set]
	counters

	changing  sync.Mutex                 // held while it changes which zones there are
	mu        sync.Mutex                 // held while zones are published, but not while one is read, signed or written down; see apart
	idle      *sync.Cond                 // on mu: a zone is busy no more
	updating  int                        // guarded by mu: how many zones are busy with updates
	large     int                        // guarded by mu: how many large zones are worked on beside the look at files
	besides   sync.WaitGroup             // of these
	zones     []*kept                    // changed with mu and state held
	files     fileLooks                  // guarded by mu
	byName    map[dnsname.Name]*kept     // those of zones; guarded by mu
	updated   updateMemories             // has a lock of its own
	heard     []Heard                    // guarded by mu
	news      []*kept                    // guarded by mu: those whose serial is another since the last Set
	histories int                        // guarded by mu: how many octets the histories of zones take that are counted
	state     sync.Mutex                 // guards the status of zones, so that asking for it never waits for a load
	transfers map[dnsname.Name]*progress // those under way; guarded by state
}

// counters count what became of zones.
type counters struct {
	loads         atomic.Uint64
	failures      atomic.Uint64
	journalFaults atomic.Uint64 // journals that could not be read or written
	journalCut    atomic.Uint64 // octets of journals that were found damaged
	updates       updateCounters
}

// kept is a zone with what was seen of its file.
type kept struct {
	source   Source
	zone     *Zone // nil before the first that is good
	history  *History
	counted  int       // how many octets of Keeper.histories are of history
	journal  *journal  // nil before the zone has a state, or without a directory
	had      recorded  // what the journal said when it was opened, until that is taken
	unproved time.Time // when to ask again whether it is signed as it has to be; zero where that is known
	status   Status
	expired  bool // guarded by mu: served no more until a primary confirms it
	held     bool // guarded by mu: its fault is that it is frozen
	overdue  bool // guarded by mu: it would have expired, if it were not frozen, and the log has it
	keptSignatures
	keptUpdates
	keptFile
	keptWork
}

// keptSignatures is what there is of a zone that is signed here.
type keptSignatures struct {
	plain      *Zone // what the source has of it; nil of others
	wanted     *Zone // what could not be signed; nil if plain is what the source has
	signing    *signedZone
	unsigned   bool      // zone is plain, since it could not be signed
	sourceless bool      // zone is as it was signed before the start, and it is not known from what: plain is nil until it comes again
	signAfter  time.Time // it is not signed again before
	signFault  bool      // guarded by mu: its fault is that it cannot be signed
	received   *journal  // of what came of a zone by transfer that is signed here; nil of others, or without a directory
	came       *Zone     // what received has; nil where that is not known
}

// keptUpdates is what updates (RFC 2136) made of a zone.
type keptUpdates struct {
	updated *Zone    // the source with them, which is then the present state; nil without any
	updates *journal // of updated; nil where there are none, or without a directory
	unknown error    // why what they made of the zone before the start is not known; nil where it is
}

// keptFile is what is known of the file of a zone.
type keptFile struct {
	file   sum    // of the file that was taken last, or for which updates stand
	loaded stamp  // of the file that was read last, good or bad
	seen   stamp  // by the last look
	looks  int    // how often the file was seen like that
	look   uint64 // the last look of fileLooks for which it was chosen
	unread bool   // the zone is frozen since before the start, and its file was not read
}

// keptWork is what is done with a zone, or was done with a copy of it.
type keptWork struct {
	busy   bool   // guarded by mu: somebody works on a copy of it
	apart  bool   // it is such a copy, or one that nobody else knows of yet
	news   bool   // of a copy: its serial is another
	taken  bool   // and a primary, or who else made it, has just given it
	looked bool   // and it was looked at whether it is signed as it has to be
	noted  *noted // and what is to be told of it; nil for nothing
}

// State is how a zone stands.
type State string

// The states.
const (
	StateServed   State = "served"   // as its file is
	StateKept     State = "kept"     // as its file was when it was last good
	StateFailed   State = "failed"   // there was none that is good: its names get SERVFAIL
	StateUnsigned State = "unsigned" // as its source is, without the signatures that it should have
	// StateExpired is that no primary has confirmed a zone for as long as its SOA record lets it be served without (RFC 1035 section 3.3.13): its names get
	// SERVFAIL until one does.
	StateExpired State = "expired"
)

// Status is how a zone stands, for people.
type Status struct {
	Name         string    `json:"name"`
	Source       string    `json:"source"` // the path of its file, or what gives its states
	State        State     `json:"state"`
	Serial       uint32    `json:"serial"`
	Records      int       `json:"records"`
	Names        int       `json:"names"`
	Bytes        int       `json:"bytes"` // in memory
	Signed       bool      `json:"signed"`
	Loaded       time.Time `json:"loaded,omitzero"`         // when the state that is served was read
	Warnings     int       `json:"warnings"`                // of the file that was read last
	Oldest       uint32    `json:"oldest"`                  // the oldest serial from which the history leads to the present one
	Steps        int       `json:"steps"`                   // of the history
	Frozen       bool      `json:"frozen"`                  // nothing changes the zone until it is thawed
	Updated      time.Time `json:"updated,omitzero"`        // when an update changed it last, since the server was started
	Primary      string    `json:"primary,omitempty"`       // of a zone by transfer: the server that confirmed it last
	Checked      time.Time `json:"checked,omitzero"`        // and when
	Next         time.Time `json:"next,omitzero"`           // when a primary is asked again
	Expires      time.Time `json:"expires,omitzero"`        // until when the zone is served without
	Transfer     *Progress `json:"transfer,omitempty"`      // that is under way
	LeftOut      []LeftOut `json:"left_out,omitempty"`      // of a zone that is made of something: what of that has no place in it
	Catalog      string    `json:"catalog,omitempty"`       // the catalog that lists the zone
	Members      int       `json:"members,omitempty"`       // of a catalog: how many zones of it are served here
	Ignored      int       `json:"ignored,omitempty"`       // and how many are not, as another zone has their name or they may not be here
	IgnoredFirst string    `json:"ignored_first,omitempty"` // one of these, and why
	Broken       string    `json:"broken,omitempty"`        // and why it is not followed; what it listed when it was last good is
	Fault        string    `json:"fault,omitempty"`         // why the source is not what is served
	Since        time.Time `json:"since,omitzero"`          // and since when
}

// LeftOut is what has no place in a zone.
type LeftOut struct {
	Count int    `json:"count"`
	What  string `json:"what"`
}

// NewKeeper makes a keeper and reads every zone once. Zones that cannot be served are no error: Status tells of them.
func NewKeeper(c KeeperConfig) (*Keeper, error) {
	k := &Keeper{poll: cmp.Or(c.Poll, pollDefault), now: c.Now, log: c.Log, dir: c.Dir, keys: c.Keys, parent: c.Parent, bounds: c.Bounds.withDefaults(), changed: c.Changed, trust: c.Trust, transfers: map[dnsname.Name]*progress{}, online: newOnlineWork(), files: newFileLooks()}
	if k.now == nil {
		k.now = time.Now
	}
	k.idle = sync.NewCond(&k.mu)
	if k.log == nil {
		k.log = slog.Default()
	}
	k.teller = NewNotifier(k.Set, k.now, k.log)
	if k.dir != "" {
		if err := os.MkdirAll(k.dir, 0o750); err != nil {
			return nil, fmt.Errorf("making the directory of journals: %w", err)
		}
	}
	return k, k.Update(c.Sources)
}

// Set is the zones that are served. Whoever answers a query takes it once.
func (k *Keeper) Set() *Set { return k.set.Load() }

// Hear changes of which zones notices are heard that are not served here.
func (k *Keeper) Hear(all []Heard) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard = all
	return k.publish()
}

// Reload reads every file that has changed, at once, and again those that are not served as they are, or does so for the zones that are named alone. force takes serials that
// go back. Frozen zones stay; the error is that one is named.
func (k *Keeper) Reload(force bool, only ...dnsname.Name) ([]Status, error) {
	trust := newPatience()
	var err error
	k.mu.Lock()
	k.each(func(z *kept) {
		named := slices.Contains(only, z.source.Name)
		if len(only) > 0 && !named || !k.settled(z) || z.source.Path == "" {
			return
		}
		if z.status.Frozen {
			if named {
				err = errors.Join(err, fmt.Errorf("%s: %w", z.source.Name, ErrFrozen))
			}
			return
		}
		if now, err := stampOf(z.source.Path); err != nil || now != z.loaded || z.status.State != StateServed {
			k.reload(context.Background(), trust, z, force)
		}
	})
	k.mu.Unlock()
	return k.Status(), err
}

// reload reads the file of a zone that is not busy, and publishes what comes of it. mu is held, and given up while that takes.
func (k *Keeper) reload(ctx context.Context, trust *patience, z *kept, force bool) {
	k.apart(z, func(next *kept) { k.load(ctx, trust, next, force) })
	k.publishOnly(z)
}

// Run looks for changes, and tells secondaries of them, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.poll)
	defer tick.Stop()
	var notices sync.WaitGroup
	defer notices.Wait()
	defer k.besides.Wait()
	notices.Go(func() { _ = k.teller.Run(ctx) })
	defer k.runParents(ctx)()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			k.watchDirs(func(n *fileNotices) { notices.Go(func() { n.run(ctx) }) })
			_ = k.look(ctx)
		}
	}
}

// look reads the files that have changed and come to rest, and reports how many it looked at.
func (k *Keeper) look(ctx context.Context) (looked int) {
	trust := newPatience()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renew()
	all := k.files.due()
	for _, z := range all {
		if k.named(z.source.Name) == z { // as long as mu is given up for another one it may go
			k.files.rest(z, k.lookAt(ctx, trust, z))
		}
	}
	return len(all)
}

// lookAt looks at the file of a zone, and reads it if it has changed and come to rest. It reports whether there is something to see for the next look. mu is held,
// and given up while the file is read.
func (k *Keeper) lookAt(ctx context.Context, trust *patience, z *kept) (restless bool) {
	if z.status.Frozen || z.busy {
		return true
	}
	rests, changed := k.rests(z)
	if rests {
		if z.seen.size >= largeSize {
			trust = newPatience() // the others' is for one after the other
		}
		k.inTurn(z, z.seen.size, func(next *kept) { k.load(ctx, trust, next, false) })
	}
	return changed
}

// rests reports whether the file of a zone has changed, and come to rest.
func (k *Keeper) rests(z *kept) (rests, changed bool) {
	now, err := stampOf(z.source.Path)
	if now == z.loaded && k.doubted(z) {
		z.loaded = stamp{}
	}
	if now != z.seen {
		z.seen, z.looks = now, 0
		return false, true
	}
	z.looks++
	changed = now != z.loaded || err != nil && z.status.Fault == ""
	return changed && (z.looks >= cutLooks || !isCut(z.source.Path)), changed
}

// load reads the file of z, a copy, and takes what it says if that can be served.
func (k *Keeper) load(ctx context.Context, trust *patience, z *kept, force bool) {
	before, statErr := stampOf(z.source.Path)
	z.loaded, z.seen = before, before
	var next *Zone
	var faults []Fault
	var err error
	behind(before.size, func() {
		next, faults, err = Load(z.source.Name, z.source.Path, k.now())
		release(before.size)
	})
	if err == nil {
		err = statErr
	}
	if after, _ := stampOf(z.source.Path); err == nil && after != before {
		err = errMoving
	}
	if doubt := !z.unproved.IsZero(); err == nil {
		if err = k.verify(ctx, trust, z, next); err != nil && doubt {
			z.zone, z.news = nil, false // what is served was never known to be good
		}
	} else if doubt {
		z.unproved, z.looked = k.now().Add(trustAgain), true
	}
	if err == nil {
		err = k.knowUpdates(z, force)
	}
	if err == nil {
		next, err = k.choose(z, next, force)
	}
	warnings := 0
	for _, f := range faults {
		if f.Severity == SeverityWarning {
			warnings++
		}
	}
	switch {
	case err == nil:
		if err = k.take(z, next); (err == nil || z.unsigned) && next != z.updated && (z.updated != nil || z.updates != nil && z.updates.unread) {
			k.dropUpdates(z)
		}
	case z.zone == nil && z.updated != nil:
		err = errors.Join(err, k.take(z, z.updated))
	}
	k.note(z, warnings, err)
}

// note keeps what came of a load: of a copy, until that is taken over.
func (k *Keeper) note(z *kept, warnings int, err error) {
	if z.apart {
		z.noted = &noted{warnings: warnings, err: err}
		return
	}
	k.state.Lock()
	defer k.state.Unlock()
	s := &z.status
	z.describe()
	if s.Warnings = warnings; err != nil {
		k.failures.Add(1)
		k.refuse(z, err)
		return
	}
	k.loads.Add(1)
	s.Loaded, s.Fault, s.Since, z.signFault = k.now(), "", time.Time{}, false
	s.State = z.stands()
	k.log.Info("zone loaded", "zone", s.Name, "serial", s.Serial, "records", s.Records, "warnings", warnings)
}

// describe writes into the status what the zone is. state is held.
func (z *kept) describe() {
	s := &z.status
	if s.Name, s.Source = z.source.Name.String(), z.source.Path; s.Source == "" {
		s.Source = z.source.Origin
	}
	if s.Catalog = ""; !z.source.Catalog.IsZero() {
		s.Catalog = z.source.Catalog.String()
	}
	if z.zone == nil {
		return
	}
	s.Serial, s.Records, s.Names, s.Bytes, s.Signed = z.zone.serial, z.zone.records, z.zone.names, z.zone.Bytes(), z.zone.signed
	s.Oldest, s.Steps = s.Serial, len(z.history.Steps())
	if s.Steps > 0 {
		s.Oldest = z.history.steps[0].From
	}
}

// stands is how a zone stands. mu and state are held.
func (z *kept) stands() State {
	switch {
	case z.zone == nil:
		return StateFailed
	case z.expired:
		return StateExpired
	case z.unsigned:
		return StateUnsigned
	case z.status.Fault != "":
		return StateKept
	}
	return StateServed
}

// refuse keeps the last good state, and tells of a fault once. mu and state are held.
func (k *Keeper) refuse(z *kept, err error) {
	s := &z.status
	was := s.Fault
	if was == "" {
		s.Since = k.now()
	}
	_, z.signFault = err.(signError) // and nothing else, which signing would not mend
	s.Fault = err.Error()
	if s.State = z.stands(); s.Fault == was {
		return
	}
	k.log.Error("zone not loaded", "zone", s.Name, "state", string(s.State), "err", err)
}

// isBefore reports whether serial a is less than b (RFC 1982 section 3.2). Where that is not defined, halfway round, it counts as before.
func isBefore(a, b uint32) bool { return a != b && int32(a-b) < 0 }

// publish makes a Set of what there is now, and tells who wants to know.
func (k *Keeper) publish() error {
	k.boundHistories(k.zones)
	served := make([]Served, 0, len(k.zones))
	for _, z := range k.zones {
		served = append(served, z.served())
	}
	set, err := NewSet(served...)
	if err != nil {
		return err
	}
	set.hear(k.heard)
	k.tell(set)
	return nil
}

// publishOnly is publish where nothing but what there is of one zone has changed. It costs as much however many zones there are, but for the few times that all
// histories together are too large.
func (k *Keeper) publishOnly(z *kept) {
	shorter := k.boundHistories([]*kept{z})
	served := []Served{z.served()}
	for _, other := range shorter {
		served = append(served, other.served())
	}
	k.tell(k.set.Load().with(served))
}

// tell puts a Set in place, and tells who wants to know.
func (k *Keeper) tell(set *Set) {
	k.set.Store(set)
	for _, z := range k.news {
		k.teller.Changed(z.source.Name, z.zone.serial)
		if k.changed != nil {
			k.changed(z.source.Name, z.zone.serial)
		}
	}
	k.news = nil
}

// served is the zone as it is published. One that was never good is published too, so that its names are asked of nobody else.
func (z *kept) served() Served {
	data := z.zone
	if data == nil || z.expired {
		data = &Zone{apex: z.source.Name, labels: z.source.Name.Labels(), absent: true}
	}
	return Served{
		Zone: data, History: z.history, Online: z.online(), Allow: z.source.Allow, Transfer: z.source.Transfer, TransferKeys: z.source.TransferKeys, RequireTLS: z.source.RequireTLS,
		Notify: z.source.Notify, NotifyFrom: z.source.NotifyFrom, NotifyKeys: z.source.NotifyKeys, Updates: z.source.Updates,
		Template: z.source.Template,
	}
}

// Status tells how every zone stands.
func (k *Keeper) Status() []Status {
	k.state.Lock()
	defer k.state.Unlock()
	out := make([]Status, 0, len(k.zones))
	for _, z := range k.zones {
		s := z.status
		s.Transfer = k.transfers[z.source.Name].now()
		out = append(out, s)
	}
	return out
}
