package blocklist_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
)

// zonePrimary gives versions of the zone rpz.test as a test says.
type zonePrimary struct {
	mu    sync.Mutex
	looks []blocklist.ZoneRequest  // guarded by mu
	early []blocklist.ZoneRequest  // guarded by mu: what was opened before the first look
	has   *blocklist.ZoneVersion   // guarded by mu
	err   *blocklist.TransferError // guarded by mu; nil: it has a version
	kept  *blocklist.ZoneVersion   // guarded by mu: that was taken last
	until int                      // guarded by mu: how many seconds the SOA record lets the zone be without a word; 0: an hour
}

// Open implements blocklist.ZoneTaker.
func (p *zonePrimary) Open(r blocklist.ZoneRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.looks) == 0 {
		p.early = append(p.early, r)
	}
}

// Take implements blocklist.ZoneTaker.
func (p *zonePrimary) Take(_ context.Context, r blocklist.ZoneRequest) (*blocklist.ZoneVersion, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looks = append(p.looks, r); p.err != nil {
		return nil, p.err
	}
	v := *p.has
	if p.kept != nil && p.kept.Sum == v.Sum {
		v.Octets = 0
	}
	p.kept = &v
	return &v, nil
}

func (p *zonePrimary) gives(serial uint32, refresh, retry time.Duration, rules ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest strings.Builder
	text := fmt.Sprintf("rpz.test. 60 IN SOA localhost. root.localhost. %d 60 60 %d 60\nrpz.test. 60 IN NS localhost.\n", serial, cmp.Or(p.until, 3600))
	for _, name := range rules {
		rest.WriteString(name + ".rpz.test. 60 IN CNAME .\n")
	}
	text += rest.String()
	p.err = nil
	p.has = &blocklist.ZoneVersion{
		Serial: serial, Sum: fmt.Sprint(serial, len(rules), rules[0]), Primary: "192.0.2.54:53", Octets: 100, Differences: len(rules) - 1, Refresh: refresh, Retry: retry,
		Write: func(w io.Writer) error { _, err := io.WriteString(w, text); return err },
	}
}

func (p *zonePrimary) fails(outcome blocklist.FetchOutcome, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = &blocklist.TransferError{Outcome: outcome, Err: errors.New(text)}
}

func (p *zonePrimary) asked() []blocklist.ZoneRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looks
}

// takenFeed is a feed that is taken from a primary.
func takenFeed() blocklist.Feed {
	return blocklist.Feed{
		FeedConfig: blocklist.FeedConfig{Name: "f", Limits: blocklist.Limits{SourceBytes: 1 << 20, Rows: 1000}},
		Fetch:      blocklist.Fetch{Transfer: blocklist.Transfer{Zone: dnsname.MustParse("RPZ.test"), Primaries: []string{"192.0.2.54:53"}}, Timeout: time.Minute},
	}
}

// takenWorld has that feed and its primary.
func takenWorld(t *testing.T) (*world, *zonePrimary) {
	p := &zonePrimary{}
	w := newWorld(t, func(c *blocklist.Config) { c.Taker = p })
	w.add(takenFeed())
	return w, p
}

// TestPolicyZoneIsFollowed: a zone is asked for as often as its SOA record says, and when somebody tells that it has changed; what is as it was costs nothing.
func TestPolicyZoneIsFollowed(t *testing.T) {
	t.Parallel()
	w, p := takenWorld(t)
	p.gives(1, 50*time.Millisecond, time.Hour, "a.example")
	stop := w.follow()
	w.eventually("the zone is served", func() bool { return w.lists("a.example") })
	w.eventually("it is asked for again", func() bool { return len(p.asked()) > 3 })
	if n := w.metric("cenote_blocklist_published_total"); n != 1 {
		t.Errorf("an unchanged zone was published %v times", n)
	}
	first := p.asked()[0]
	if len(p.early) != 1 || p.early[0].Feed != "f" || p.early[0].Zone != first.Zone || p.early[0].Dir != first.Dir {
		t.Errorf("opened before the first look: %+v", p.early)
	}
	if first.Feed != "f" || first.Octets != 1<<20 || first.Records != 1000 || first.Time != time.Minute || first.Told || !strings.HasPrefix(first.Dir, w.dir) {
		t.Errorf("asked for %+v", first)
	}
	p.gives(2, time.Hour, time.Hour, "a.example", "b.example")
	w.eventually("the change is served", func() bool { return w.lists("b.example") })
	s := w.status("f")
	z := s.Fetch.Zone
	if s.State != blocklist.FeedGood || z.Serial != 2 || z.Zone != "rpz.test" || z.Primary != "192.0.2.54:53" || len(z.Primaries) != 1 || s.Report.Serial != 2 || s.URL != "rpz.test (from 192.0.2.54:53)" {
		t.Errorf("%+v, zone %+v", s, z)
	}
	n := len(p.asked())
	p.gives(3, time.Hour, time.Hour, "c.example")
	w.p.Notice([]byte("\x05other\x00"))
	for range 100 {
		w.p.Notice([]byte("\x03rpz\x04test\x00"))
	}
	w.eventually("the notice is followed", func() bool { return w.lists("c.example") && !w.lists("a.example") })
	if all := p.asked(); len(all) > n+2 || !all[n].Told {
		t.Errorf("a hundred notices led to %d looks, the first %+v", len(all)-n, all[n])
	}
	stop()
	// A restart serves what was taken, and asks when it is due; a list that is gone is written again.
	n = len(p.asked())
	must(t, os.Remove(s.Path))
	w.open(nil)
	if !w.lists("c.example") || w.status("f").Fetch.Zone.Serial != 3 {
		t.Errorf("after a restart: %+v", w.status("f").Fetch.Zone)
	}
	w.fetch()
	if _, err := os.Stat(s.Path); err != nil || len(p.asked()) == n {
		t.Errorf("%d looks, the list: %v", len(p.asked())-n, err)
	}
}

// TestPolicyZoneThatCannotBeTaken: the last good zone stays, the failure is counted, shown and tried again as the SOA record says; guards hold for what comes.
func TestPolicyZoneThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	w, p := takenWorld(t)
	p.gives(5, time.Hour, 30*time.Minute, "a.example", "b.example", "c.example")
	w.fetch()
	p.fails(blocklist.FetchUnsigned, "the signature is wrong")
	w.fetch()
	s := w.status("f")
	next := time.Until(s.Fetch.NextAttempt)
	if !w.lists("a.example") || s.State != blocklist.FeedKept || !strings.Contains(s.Error, "rpz.test (from 192.0.2.54:53): the signature is wrong") || s.Fetch.Failures != 1 || next < 20*time.Minute || next > 40*time.Minute {
		t.Errorf("%+v, %+v", s, s.Fetch)
	}
	if n := w.fetched(blocklist.FetchUnsigned); n != 1 {
		t.Errorf("it is counted %v times", n)
	}
	p.gives(6, time.Hour, time.Hour, "z.example")
	w.fetch()
	if s = w.status("f"); !w.lists("a.example") || !strings.Contains(s.Error, "more than 50% would be lost") {
		t.Errorf("it lost two of three rules: %s", s.Error)
	}
	p.gives(4, time.Hour, time.Hour, "a.example", "b.example", "d.example")
	w.fetch()
	if s = w.status("f"); w.lists("d.example") || !strings.Contains(s.Error, "its serial went back from 5 to 4") {
		t.Errorf("an older zone: %s", s.Error)
	}
	p.gives(7, time.Hour, time.Hour, strings.Fields(strings.Repeat("a-very-long-name-that-is-repeated.example ", 30_000))...)
	w.fetch()
	if s = w.status("f"); !w.lists("a.example") || !strings.Contains(s.Error, "larger than") && !strings.Contains(s.Error, "limits.size") {
		t.Errorf("a zone of more than a MiB: %s", s.Error)
	}
	p.gives(8, time.Hour, time.Hour, "a.example", "b.example", "e.example")
	w.fetch()
	if s = w.status("f"); !w.lists("e.example") || s.State != blocklist.FeedGood {
		t.Errorf("a good zone again: %+v", s)
	}
}

// TestNoticesAreFollowedSoon: a zone whose looks took long, or which came for the first time, is looked at soon when there is a notice; one that is looked at without end for half of the time.
func TestNoticesAreFollowedSoon(t *testing.T) {
	t.Parallel()
	const gap = 500 * time.Millisecond
	looks := [][2]time.Duration{{0, time.Hour}, {gap, 50 * time.Second}, {gap, 8 * time.Second}, {gap, 12 * time.Second}, {9 * time.Second, 10 * time.Second}, {0, 10 * time.Second}, {time.Hour, 30 * time.Second}}
	want := []time.Duration{gap, gap, gap, 9 * time.Second, 10 * time.Second, 20 * time.Second, gap}
	if got := blocklist.LookRests(looks); !slices.Equal(got, want) {
		t.Errorf("primaries rest for %v, want %v", got, want)
	}
}

// TestUnconfirmedPolicyZoneIsStale: a zone that nobody has confirmed for as long as its SOA record lets it be is served, and shown and logged as stale, until a
// primary confirms it.
func TestUnconfirmedPolicyZoneIsStale(t *testing.T) {
	t.Parallel()
	w, p := takenWorld(t)
	p.until = 2
	p.gives(1, time.Hour, 50*time.Millisecond, "a.example")
	w.run()
	w.eventually("the zone is served", func() bool { return w.lists("a.example") })
	if s := w.status("f"); !s.Expired.IsZero() {
		t.Errorf("it is stale at once: %+v", s)
	}
	p.fails(blocklist.FetchUnreachable, "connection refused")
	w.p.Notice([]byte("\x03rpz\x04test\x00"))
	w.eventually("it is stale", func() bool { s := w.status("f"); return !s.Expired.IsZero() && s.State == blocklist.FeedKept })
	w.eventually("that is logged", func() bool { return strings.Contains(w.log(), "policy zone is older than its SOA lets it become") })
	if !w.lists("a.example") {
		t.Error("it is not served")
	}
	p.gives(1, time.Hour, time.Hour, "a.example")
	w.eventually("it is confirmed", func() bool { s := w.status("f"); return s.Expired.IsZero() && s.State == blocklist.FeedGood })
}

// TestTransfersAreChecked: a feed has either a URL or primaries, and somebody who takes zones.
func TestTransfersAreChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*blocklist.Fetch){
		"both a url and primaries": func(f *blocklist.Fetch) { f.URL = "https://lists.example/" },
		"has no primaries":         func(f *blocklist.Fetch) { f.Transfer.Primaries = nil },
		"below zero":               func(f *blocklist.Fetch) { f.Timeout = -1 },
	} {
		f := takenFeed()
		change(&f.Fetch)
		if err := f.Fetch.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	w := newWorld(t, nil)
	w.add(takenFeed())
	w.fetch()
	if s := w.status("f"); !strings.Contains(s.Error, "nobody here takes zones") {
		t.Errorf("%+v", s)
	}
}
