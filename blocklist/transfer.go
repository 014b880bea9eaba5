package blocklist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/pace"
)

// Transfer says from which servers a policy zone is taken (AXFR, IXFR). The zero value takes none.
type Transfer struct {
	// Zone is the apex of the zone. Example: "rpz.example".
	Zone dnsname.Name
	// Primaries are the servers, in the order in which they are asked, as people know them; ZoneTaker knows more. Example: ["192.0.2.54:53"].
	Primaries []string
}

// ZoneTaker takes policy zones from their primaries, and keeps them over a restart, so that only what has changed need be asked for. Its methods are
// called by many at once, but by one at a time of each feed.
type ZoneTaker interface {
	// Open finds what a former run kept of the zone of a feed, so that the first look need not wait for that, and what changes is served as soon as it comes. What fails Take tells.
	Open(r ZoneRequest)
	// Take asks the primaries of a feed for what is newer than the version that it has, and returns the version that counts then. An error leaves that as
	// it is. It is a *TransferError, or that of ctx.
	Take(ctx context.Context, r ZoneRequest) (*ZoneVersion, error)
}

// ZoneRequest is one look at the primaries of a feed.
type ZoneRequest struct {
	Feed string
	Zone dnsname.Name
	// Dir is the directory for what is kept of the zone; nobody else writes there.
	Dir string
	// Told is whether somebody says that there is something new.
	Told bool
	// AllowOlder takes a version whose serial goes back.
	AllowOlder bool
	// Octets, Records and Time bound one transfer.
	Octets  int64
	Records int
	Time    time.Duration
	// Changing is to be told of a difference as soon as it has come, if the version that it leads to will be returned. It returns when that is done. Nil: nobody asks.
	Changing func(context.Context, *ZoneChange)
}

// ZoneChange is the difference between two versions of a policy zone, of which the newer one is not made yet. Names are canonical, at or below the apex.
type ZoneChange struct {
	// From and To are the serials.
	From, To uint32
	// Owners are the names that have other records.
	Owners []dnsname.Name
	// Append appends the records of a name to text as Write of the version before or after writes them, the SOA record first.
	Append func(text []byte, owner dnsname.Name, after bool) []byte
	// Kept visits the names below one that have records and are not among Owners, until visit returns false. What it hands over lives until visit returns.
	Kept func(below dnsname.Name, visit func(owner []byte) bool)
}

// ZoneVersion is one version of a policy zone. It never changes.
type ZoneVersion struct {
	Serial uint32
	// Sum stands for all that the version says.
	Sum string
	// Primary is the server that has confirmed it, or has given it.
	Primary string
	// Octets is how much was transferred for it, Differences of how many; 0: it came whole, or there was nothing newer.
	Octets      int64
	Differences int
	// Refresh and Retry are how long after a look that went well the next one comes, and after one that did not.
	Refresh, Retry time.Duration
	// Write writes it as a master file (RFC 1035 section 5), its SOA record first.
	Write func(io.Writer) error
}

// TransferError is why a policy zone was not taken.
type TransferError struct {
	Outcome FetchOutcome
	Err     error
}

// Error says what the primaries said.
func (e *TransferError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *TransferError) Unwrap() error { return e.Err }

// Looks at primaries of policy zones.
const (
	zoneLooksMax   = 4 // at a time
	zoneRetryFirst = 5 * time.Second
	zoneRetryMax   = 10 * time.Minute // without a version of the zone; with one it is what the SOA record says
	// zoneNoticeGap is how long primaries are left alone after a look, however many notices come of a zone.
	zoneNoticeGap = 500 * time.Millisecond
	// zoneLooksAhead is how much longer than between them looks may have taken together; then primaries are left alone as long as a look takes. So changes that come fast are
	// followed, and a zone that changes without end costs half of the time. The look that brings a zone for the first time does not count.
	zoneLooksAhead = time.Minute
)

// lookRest is how long the primaries of a zone are left alone when notices come of it. The zero value has seen no look.
type lookRest struct {
	ahead time.Duration // how much longer looks have taken together than the pauses between them
	ended time.Time     // the end of the last one
	until time.Time     // a notice is followed from then on
}

// look notes a look from began to ended, of which nothing counts if it brought the zone for the first time.
func (r *lookRest) look(began, ended time.Time, first bool) {
	if !r.ended.IsZero() {
		r.ahead = max(0, r.ahead-began.Sub(r.ended))
	}
	if !first {
		r.ahead += ended.Sub(began)
	}
	r.ended, r.until = ended, ended.Add(max(zoneNoticeGap, r.ahead-zoneLooksAhead))
}

func (t *Transfer) on() bool { return t.Zone != "" }

// shown is what the source is called for people.
func (t *Transfer) shown() string {
	return t.Zone.Canonical().String() + " (from " + strings.Join(t.Primaries, ", ") + ")"
}

// status is how a zone stands of which z is known, which may be nil; nil where none is taken.
func (t *Transfer) status(z *ZoneStatus) *ZoneStatus {
	if !t.on() {
		return nil
	}
	out := ZoneStatus{}
	if z != nil {
		out = *z
	}
	out.Zone, out.Primaries = t.Zone.Canonical().String(), t.Primaries
	return &out
}

// checkTransfer looks at all that can be known without asking anybody.
func (f *Fetch) checkTransfer() error {
	switch {
	case f.URL != "":
		return errors.New("it has both a url and primaries")
	case len(f.Transfer.Primaries) == 0:
		return errors.New("its zone has no primaries")
	case f.Timeout < 0:
		return errors.New("the timeout is below zero")
	}
	return nil
}

// transfer looks at the primaries of the zone, and takes what they have.
func (f *fetcher) transfer(ctx context.Context, told bool) (FetchOutcome, *fetchError) {
	if f.zones == nil {
		return 0, &fetchError{outcome: FetchMisconfigured, text: "nobody here takes zones from primaries"}
	}
	limits := f.feed.Limits.orDefault()
	f.copy = 0
	request := f.zoneRequest()
	request.Told, request.Changing = told, func(ctx context.Context, c *ZoneChange) { f.copy = f.changing(ctx, f.feed.Name, c) }
	v, err := f.zones.Take(ctx, request)
	if err != nil {
		return 0, judgeTransfer(err)
	}
	f.record.transferred(v)
	outcome, err := f.takeVersion(v, f.list.known(), limits.SourceBytes) // which may have to read the list: not before what has changed is served
	if err != nil {
		return 0, f.feed.Fetch.judge(ctx, limits, err)
	}
	return outcome, nil
}

// zoneRequest is a look that nobody asks for in particular.
func (f *fetcher) zoneRequest() ZoneRequest {
	limits := f.feed.Limits.orDefault()
	return ZoneRequest{
		Feed: f.feed.Name, Zone: f.feed.Fetch.Transfer.Zone, Dir: f.layout.fetchedZone(f.feed.Name), AllowOlder: f.feed.AllowOlder,
		Octets: limits.SourceBytes, Records: limits.Rows, Time: f.feed.Fetch.Timeout,
	}
}

// openZone has what a former run kept of the zone opened before it is needed.
func (f *fetcher) openZone() {
	if !f.feed.Fetch.Transfer.on() || f.zones == nil {
		return
	}
	f.turn.Lock()
	defer f.turn.Unlock()
	f.zones.Open(f.zoneRequest())
}

// takeVersion puts a version in the place of the list, unless that is of it.
func (f *fetcher) takeVersion(v *ZoneVersion, known fetchedState, most int64) (FetchOutcome, error) {
	got := known
	if known.Zone == nil || known.Zone.Sum != v.Sum {
		got = fetchedState{}
	}
	got.Fetched = time.Now().UTC()
	got.Zone = &ZoneStatus{Serial: v.Serial, Sum: v.Sum, Primary: v.Primary, Refresh: v.Refresh, Retry: v.Retry}
	if got.SHA256 != "" {
		return f.take(got, nil, known)
	}
	file, err := f.list.create()
	if err != nil {
		return 0, err
	}
	if err := pace.Behind(func() error { return writeVersion(v, file, most, &got) }); err != nil {
		discard(file)
		return 0, err
	}
	return f.take(got, file, known)
}

// writeVersion writes a version to a file, and notes size and sum.
func writeVersion(v *ZoneVersion, file *os.File, most int64, got *fetchedState) error {
	h := sha256.New()
	out := &bounded{to: io.MultiWriter(file, h), most: most}
	if err := v.Write(out); err != nil {
		return err
	}
	got.Size, got.SHA256 = out.written, hex.EncodeToString(h.Sum(nil))
	return nil
}

// bounded writes in pieces up to so many octets.
type bounded struct {
	to      io.Writer
	most    int64
	written int64
}

// Write refuses what goes over the bound.
func (b *bounded) Write(p []byte) (n int, err error) {
	if b.written+int64(len(p)) > b.most {
		return 0, ErrTooLarge
	}
	for len(p) > 0 && err == nil {
		var m int
		m, err = b.to.Write(p[:min(len(p), filePiece)])
		p, n, b.written = p[m:], n+m, b.written+int64(m)
	}
	return n, err
}

func judgeTransfer(err error) *fetchError {
	if e, ok := errors.AsType[*TransferError](err); ok {
		return &fetchError{outcome: e.Outcome, text: e.Error()}
	}
	return &fetchError{outcome: FetchIncomplete, text: err.Error()}
}

// pauseAfter is how long after a look that went well the next one comes.
func (f *fetcher) pauseAfter(state *fetchedState) time.Duration {
	if z := state.Zone; f.feed.Fetch.Transfer.on() && z != nil {
		return z.Refresh
	}
	return f.feed.Fetch.Interval
}

// pauseFailed is how long after so many failures in a row the next attempt begins.
func (f *fetcher) pauseFailed(failures int) time.Duration {
	switch z := f.list.state.Zone; {
	case !f.feed.Fetch.Transfer.on():
		return backoff(failures, f.feed.Fetch.Interval)
	case z != nil && z.Retry > 0:
		return z.Retry
	}
	return min(zoneRetryFirst<<min(failures-1, 20), zoneRetryMax)
}

// notice has the primaries looked at, when they have rested from the look before. It never waits.
func (f *fetcher) notice() {
	f.told.Store(true)
	select {
	case f.wake <- struct{}{}:
	default: // it is awake
	}
}

// Notice tells that a zone may have changed at a primary. It never waits, and may be called from many goroutines.
func (p *Publisher) Notice(apex []byte) {
	if all := p.fetches.heard.Load(); all != nil {
		for _, f := range (*all)[dnsname.Name(apex)] {
			f.notice()
		}
	}
}

// hear notes which fetchers take which zones. mu is held.
func (s *fetchers) hear() {
	heard := map[dnsname.Name][]*fetcher{}
	for _, f := range s.all {
		if t := &f.feed.Fetch.Transfer; t.on() {
			apex := t.Zone.Canonical()
			heard[apex] = append(heard[apex], f)
		}
	}
	s.heard.Store(&heard)
}

// ZoneStatus is how a policy zone that is taken from primaries stands. It travels as JSON.
type ZoneStatus struct {
	// Zone is its apex, and Primaries the servers that it is taken from.
	Zone      string   `json:"zone,omitempty"`
	Primaries []string `json:"primaries,omitempty"`
	// Serial is that of the version that was taken last, Sum stands for all of it.
	Serial uint32 `json:"serial"`
	Sum    string `json:"sum"`
	// Primary is the server that confirmed it last.
	Primary string `json:"primary"`
	// Refresh and Retry are what its SOA record says, within bounds.
	Refresh time.Duration `json:"refresh"`
	Retry   time.Duration `json:"retry"`
}
