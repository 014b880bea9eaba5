package zone

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// Bounds of how often primaries are asked, whatever an SOA record says.
const (
	pauseMin     = 2 * time.Second
	pauseMax     = 7 * 24 * time.Hour
	retryDefault = 10 * time.Second // without a version of the zone; it doubles
	retryLongest = 10 * time.Minute
	transfersMax = 8                // at a time
	membersMax   = transfersMax - 1 // of these, of zones that catalogs list: a catalog and the zones of the configuration do not wait for all of them
	lookGrace    = 10 * time.Second // for which a zone whose time is over is served, while its primaries are asked
	// noticeGap is how long primaries are left alone after a look, or as long as the look took, however many notices come of a zone: their senders may be
	// forged. Those that come meanwhile are one.
	noticeGap = 500 * time.Millisecond
	// lookGap is the time from the first look at one zone that is served already to that at the next, after a start or a change of the configuration.
	lookGap = 10 * time.Millisecond
)

// Secondary is a zone that is taken from primaries.
type Secondary struct {
	Name dnsname.Name
	// Member is that of its Source.
	Member string
	// Primaries are asked in this order, until one has an answer that can be taken.
	Primaries []Primary
	// Bounds are those of one transfer.
	Bounds TransferBounds
}

// Secondaries keep zones as their primaries have them: they ask as often as the SOA record says, install what is new in the Keeper, and end a zone that
// nobody has confirmed for too long (RFC 1034 section 4.3.5). Methods may be called by many at once.
type Secondaries struct {
	keeper      *Keeper
	now         func() time.Time
	log         *slog.Logger
	places      chan struct{} // one for each transfer under way
	members     chan struct{} // one for each of these, of zones that catalogs list, or that wants a place
	transfers   atomic.Uint64
	differences atomic.Uint64 // transfers that were of differences
	current     atomic.Uint64
	failures    atomic.Uint64

	mu   sync.Mutex
	all  map[dnsname.Name]*secondary
	turn time.Time       // of the next first look
	ctx  context.Context // of Run; nil before
	run  sync.WaitGroup
}

// secondary is one zone while it is followed.
type secondary struct {
	Secondary
	stop context.CancelFunc // nil before it runs
	gone chan struct{}      // is closed when it is followed no more
	wake chan lookNow       // asks for a look at once
	told chan struct{}      // holds a notice that nobody has followed yet
	fail time.Duration      // the next pause without a version
	work time.Time          // when the last look had a place
}

// lookNow asks for a look at once.
type lookNow struct {
	result chan<- error // gets what came of it
	force  bool         // a serial that goes back is taken
}

// NewSecondaries makes them for the zones of a keeper, whose clock and log they share.
func NewSecondaries(keeper *Keeper, zones []Secondary) *Secondaries {
	s := &Secondaries{keeper: keeper, now: keeper.now, log: keeper.log, places: make(chan struct{}, transfersMax), members: make(chan struct{}, membersMax), all: map[dnsname.Name]*secondary{}}
	s.Update(zones)
	keeper.mu.Lock()
	defer keeper.mu.Unlock()
	keeper.thawed = func(apex dnsname.Name) { s.Notice([]byte(apex)) }
	return s
}

// Update changes which zones are followed. Those that stay as they are go on; those that have other primaries, keys or bounds now ask them at once.
func (s *Secondaries) Update(zones []Secondary) {
	s.keeper.resume(zones) // before it is locked: whoever brings a notice never waits for the keeper
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[dnsname.Name]*secondary, len(zones))
	for _, z := range zones {
		z.Name = z.Name.Canonical()
		if had := s.all[z.Name]; had != nil && had.IsAs(&z) {
			next[z.Name] = had
			continue
		}
		next[z.Name] = &secondary{Secondary: z, gone: make(chan struct{}), wake: make(chan lookNow), told: make(chan struct{}, 1)}
	}
	for name, z := range s.all {
		if next[name] != z {
			z.end()
		}
	}
	s.all = next
	if s.ctx != nil && s.ctx.Err() == nil {
		s.start()
	}
}

// end has a zone followed no more. mu is held.
func (z *secondary) end() {
	close(z.gone) // first, so that whoever is told that a look was cut off knows why
	if z.stop != nil {
		z.stop()
	}
}

// IsAs reports whether a zone is taken as another one, so that nobody has to be asked again.
func (s *Secondary) IsAs(o *Secondary) bool {
	return s.Name.Canonical() == o.Name.Canonical() && s.Member == o.Member && s.Bounds == o.Bounds &&
		slices.EqualFunc(s.Primaries, o.Primaries, func(a, b Primary) bool { return a.isAs(&b) })
}

// start runs the zones that do not run yet. mu is held.
func (s *Secondaries) start() {
	for _, z := range s.all {
		if z.stop != nil {
			continue
		}
		var ctx context.Context
		ctx, z.stop = context.WithCancel(s.ctx)
		s.run.Go(func() { s.follow(ctx, z) })
	}
}

// Run follows the zones until ctx ends.
func (s *Secondaries) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.start()
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock() // no zone is started any more
	for _, z := range s.all {
		z.end()
	}
	s.all = nil
	s.mu.Unlock()
	s.run.Wait()
	return nil
}

// Transfer asks the primaries of a zone at once, and returns what came of it. Where a change of the configuration takes the place of the zone meanwhile, its
// primaries of now are asked. force takes a version whose serial goes back.
func (s *Secondaries) Transfer(ctx context.Context, apex dnsname.Name, force bool) error {
	for {
		z, err := s.followed(apex.Canonical())
		if err != nil {
			return err
		}
		if again, err := z.ask(ctx, force); !again {
			return err
		}
	}
}

// errEnded is that no zone is followed any more.
var errEnded = errors.New("the server is ending")

// followed is a zone that is followed now.
func (s *Secondaries) followed(apex dnsname.Name) (*secondary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch z := s.all[apex]; {
	case z != nil:
		return z, nil
	case s.ctx != nil && s.ctx.Err() != nil:
		return nil, errEnded
	}
	return nil, fmt.Errorf("%w that is taken from a primary: %s", ErrUnknown, apex)
}

// ask has follow look at once, and returns what came of it; again says that it is followed no more, and nothing came of it.
func (z *secondary) ask(ctx context.Context, force bool) (again bool, err error) {
	result := make(chan error, 1)
	select {
	case z.wake <- lookNow{result, force}:
	case <-z.gone:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case err := <-result:
		return err != nil && z.isGone(), err // it was mostly cut off
	case <-z.gone:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (z *secondary) isGone() bool {
	select {
	case <-z.gone:
		return true
	default:
		return false
	}
}

// Notice tells that a zone may have changed at a primary: they are looked at now, or when they have rested from the look before. It never waits for that.
func (s *Secondaries) Notice(apex []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.all[dnsname.Name(apex)]
	if z == nil {
		return
	}
	select {
	case z.told <- struct{}{}:
	default: // one is there already
	}
}

// follow asks for one zone as often as it should.
func (s *Secondaries) follow(ctx context.Context, z *secondary) {
	due, rested, told := s.firstLook(z), time.Now(), false
	for {
		timer := time.NewTimer(time.Until(due))
		var asker lookNow
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-z.told:
			timer.Stop()
			if rested.Before(due) {
				due = rested
			}
			told = true
			continue
		case asker = <-z.wake:
			timer.Stop()
		case <-timer.C:
		}
		err := s.lookInTime(ctx, z, told, asker.force)
		if asker.result != nil {
			asker.result <- err
		}
		if ctx.Err() != nil {
			return
		}
		ended := time.Now()
		due, rested, told = ended.Add(s.next(z, err)), ended.Add(max(noticeGap, ended.Sub(z.work))), false
	}
}

// firstLook is when a zone is looked at first: at once if it is not served, and else when its turn comes, so that a start does not ask for all at a time, or when
// its time is over, if that is before.
func (s *Secondaries) firstLook(z *secondary) time.Time {
	now := time.Now()
	left, ok := s.keeper.timeLeft(z.Name, s.now())
	if !ok || left <= 0 {
		return now
	}
	over := now.Add(left)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn.Before(now) {
		s.turn = now
	}
	due := s.turn
	if s.turn = s.turn.Add(lookGap); over.Before(due) {
		return over
	}
	return due
}

// lookInTime is look; a zone whose time is over does not wait for what comes of it, beyond lookGrace.
func (s *Secondaries) lookInTime(ctx context.Context, z *secondary, told, force bool) error {
	if left, ok := s.keeper.timeLeft(z.Name, s.now()); ok {
		timer := time.AfterFunc(max(left+lookGrace, 0), func() { s.keeper.schedule(z.Name, s.now(), 0) })
		defer timer.Stop()
	}
	return s.look(ctx, z, told, force)
}

// look asks the primaries for what is new, and installs it. The first that has an answer counts; but whoever was told that there is something new asks on until
// one has it.
func (s *Secondaries) look(ctx context.Context, z *secondary, told, force bool) error {
	if z.Member != "" {
		leave, err := enter(ctx, s.members)
		if err != nil {
			return err
		}
		defer leave()
	}
	leave, err := enter(ctx, s.places)
	if err != nil {
		return err
	}
	defer leave()
	z.work = time.Now()
	return askEach(ctx, z.Primaries, told, func(p *Primary) (bool, error) { return s.take(ctx, z, p, force) })
}

// enter waits for a place, which leave gives back.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// take asks one primary, and reports whether it had something new.
func (s *Secondaries) take(ctx context.Context, z *secondary, p *Primary, force bool) (changed bool, err error) {
	present := s.keeper.present(z.Name)
	began := s.now()
	t := &transfer{apex: z.Name, primary: p, bounds: z.Bounds, older: force, hold: s.keeper.isFrozen(z.Name), now: s.now, progress: &progress{primary: p.String(), began: began}}
	defer s.keeper.underWay(z.Name, t.progress)()
	var seal proved
	t.accept = func(next *Zone) (err error) {
		seal, err = s.keeper.prove(ctx, z.Name, present, next)
		return err
	}
	next, err := t.run(ctx, present)
	if errors.Is(err, ErrSerial) {
		err = fmt.Errorf("%w; if that is right, run `cenote transfer --force %s`", err, z.Name)
	}
	if err != nil {
		return false, err
	}
	if next == present {
		if err := t.accept(present); err != nil {
			return false, err
		}
		s.current.Add(1)
	} else {
		err = s.keeper.Edit(z.Name, func(had *Zone) (*Zone, error) {
			if had != present {
				return nil, errors.New("the zone was changed by somebody else meanwhile")
			}
			return next, nil
		})
		if err != nil {
			return false, err
		}
		s.transfers.Add(1)
		if t.steps > 0 {
			s.differences.Add(1)
		}
		s.log.Info("zone transferred", "zone", z.Name.String(), "primary", p.String(), "serial", next.serial, "octets", t.octets, "differences", t.steps, "seconds", s.now().Sub(began).Seconds())
	}
	s.keeper.doubt(z.Name, seal)
	s.keeper.confirm(z.Name, p.String(), s.now())
	return next != present, nil
}

// next notes what came of a look, and returns after which time the next one comes.
func (s *Secondaries) next(z *secondary, err error) time.Duration {
	now, pause := s.now(), time.Duration(0)
	present := s.keeper.present(z.Name)
	switch {
	case err == nil:
		z.fail = 0
		pause = within(present.timer(refreshAt))
	case present != nil:
		pause = within(present.timer(retryAt))
	default:
		z.fail = min(max(2*z.fail, retryDefault), retryLongest)
		pause = z.fail
	}
	pause -= time.Duration(rand.Int64N(int64(pause)/10 + 1)) // so that many zones do not ask at once
	if err != nil {
		s.failures.Add(1)
		s.keeper.fail(z.Name, err)
	} else if _, doubted := s.keeper.doubts(z.Name); !doubted.IsZero() {
		pause = max(min(pause, doubted.Sub(now)), pauseMin)
	}
	if left, ok := s.keeper.schedule(z.Name, now, pause); ok {
		pause = min(pause, max(left, 0)+time.Millisecond)
	}
	return pause
}

// within bounds a time of an SOA record.
func within(d time.Duration) time.Duration { return min(max(d, pauseMin), pauseMax) }

// Where the times of an SOA record lie, from the serial on.
const (
	refreshAt = 4
	retryAt   = 8
	expireAt  = 12
)

// timer is one of the times of the zone's SOA record.
func (z *Zone) timer(at int) time.Duration {
	soa := z.soa.first()
	return time.Duration(binary.BigEndian.Uint32(soa[len(soa)-20+at:])) * time.Second
}

// present is the version that there is of a zone, served or expired; nil without one.
func (k *Keeper) present(apex dnsname.Name) *Zone {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.named(apex); z != nil {
		return z.present()
	}
	return nil
}

// confirm notes that a primary has the version that is served. It lasts over a restart.
func (k *Keeper) confirm(apex dnsname.Name, primary string, now time.Time) {
	k.recordConfirmed(apex, now)
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.named(apex)
	if z == nil || z.zone == nil {
		return
	}
	was := z.expired
	z.expired, z.overdue = false, false
	k.state.Lock()
	s := &z.status
	if s.Fault != "" && !z.signFault {
		k.log.Info("zone confirmed again", "zone", s.Name, "primary", primary, "serial", s.Serial)
		s.Fault, s.Since = "", time.Time{}
	}
	s.State, s.Primary, s.Checked = z.stands(), primary, now
	s.Expires = now.Add(z.zone.timer(expireAt))
	k.state.Unlock()
	if was {
		k.publishOnly(z)
	}
}

// fail tells that no primary could be followed.
func (k *Keeper) fail(apex dnsname.Name, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.named(apex); z != nil {
		k.state.Lock()
		k.failures.Add(1)
		z.held = errors.Is(err, ErrFrozen)
		k.refuse(z, err)
		z.signFault = false // another look is what mends it
		k.state.Unlock()
	}
}

// resume reads when zones that journals had were confirmed last, and ends those whose time was over by then: a server that was down for long does not serve them
// before a primary has confirmed them. It waits for the disk with no lock held.
func (k *Keeper) resume(zones []Secondary) {
	restored := map[dnsname.Name]string{} // and by which file it is known when
	k.mu.Lock()
	for i := range zones {
		if z := k.named(zones[i].Name); z != nil && z.isRestored() && z.confirmedBy() != "" {
			restored[z.source.Name] = z.confirmedBy()
		}
	}
	k.mu.Unlock()
	confirmed := make(map[dnsname.Name]time.Time, len(restored))
	for name, path := range restored {
		if info, err := os.Stat(path); err == nil {
			confirmed[name] = info.ModTime()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	over := false
	for name, at := range confirmed {
		if z := k.named(name); z != nil && z.isRestored() {
			over = k.resumeOne(z, at) || over
		}
	}
	if over {
		_ = k.publish() // the names are those of before
	}
}

// isRestored reports whether a zone is served as it was before the start, and it was not yet found out when a primary confirmed it.
func (z *kept) isRestored() bool { return z.zone != nil && !z.expired && z.status.Checked.IsZero() }

// resumeOne notes when a zone was confirmed last, and reports whether its time is over. mu is held.
func (k *Keeper) resumeOne(z *kept, at time.Time) (over bool) {
	k.state.Lock()
	defer k.state.Unlock()
	s := &z.status
	z.unproved = k.now() // a former run may have been in doubt, or have wanted less
	s.Checked = at
	s.Expires = s.Checked.Add(z.zone.timer(expireAt))
	if over = !s.Frozen && !k.now().Before(s.Expires); over {
		k.expire(z)
	}
	return over
}

// expire notes that a zone is served no more, for want of a primary that confirms it. mu and state are held; publish follows.
func (k *Keeper) expire(z *kept) {
	s := &z.status
	z.expired, s.State = true, StateExpired
	k.log.Error("zone expired: no primary has confirmed it for as long as its SOA record says; its names get SERVFAIL", "zone", s.Name, "serial", s.Serial, "checked", s.Checked)
}

// timeLeft is for how long a zone may be served without being confirmed; ok is false where nothing ends.
func (k *Keeper) timeLeft(apex dnsname.Name, now time.Time) (left time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.named(apex)
	if z == nil || z.zone == nil || z.expired || z.status.Expires.IsZero() || z.status.Frozen {
		return 0, false
	}
	return z.status.Expires.Sub(now), true
}

// schedule notes when a zone is looked at next, ends it if its time is over, and returns how much of it is left; ok is false where nothing ends, as while it is
// frozen: whoever freezes a zone wants it served as it is, and mostly since something is wrong with its primaries.
func (k *Keeper) schedule(apex dnsname.Name, now time.Time, pause time.Duration) (left time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.named(apex)
	if z == nil {
		return 0, false
	}
	k.state.Lock()
	s := &z.status
	s.Next = now.Add(pause)
	if s.Frozen {
		if z.zone != nil && !z.overdue && !s.Expires.IsZero() && !now.Before(s.Expires) {
			z.overdue = true
			k.log.Warn("zone is frozen, and served beyond the time for which its SOA record lets it be without a primary; thawed, it expires unless one confirms it", "zone", s.Name, "serial", s.Serial, "checked", s.Checked)
		}
		k.state.Unlock()
		return 0, false
	}
	if z.zone == nil || z.expired || s.Expires.IsZero() || now.Before(s.Expires) {
		left, ok = s.Expires.Sub(now), z.zone != nil && !z.expired && !s.Expires.IsZero()
		k.state.Unlock()
		return left, ok
	}
	k.expire(z)
	k.state.Unlock()
	k.publishOnly(z)
	return 0, false
}
