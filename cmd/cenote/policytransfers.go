package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"cenote/blocklist"
	"cenote/config"
	"cenote/dnsname"
	"cenote/tsig"
	"cenote/zone"
)

// policyTransfers take policy zones for feeds from their primaries (blocklist.ZoneTaker).
type policyTransfers struct {
	now func() time.Time

	mu        sync.Mutex
	primaries map[string][]zone.Primary // by feed; guarded by mu
	copies    map[string]*zone.Copy     // of feeds, as far as they were looked at; guarded by mu
	opening   map[string]*sync.Mutex    // by feed: held while its copy is opened, which takes seconds where it is large; guarded by mu
}

func newPolicyTransfers(now func() time.Time) *policyTransfers {
	return &policyTransfers{now: now, copies: map[string]*zone.Copy{}, opening: map[string]*sync.Mutex{}}
}

// update takes the primaries of a configuration, with the keys by which they are asked. If they cannot be had, all stays as it was.
func (p *policyTransfers) update(c *config.Config, keys *tsig.Keys) error {
	next := map[string][]zone.Primary{}
	for i := range c.Feeds {
		f := &c.Feeds[i]
		all, err := primariesOf(f.Primaries, keys)
		if err != nil {
			return fmt.Errorf("feed %s: %w", f.Name, err)
		}
		if len(all) > 0 {
			next[f.Name] = all
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primaries = next
	maps.DeleteFunc(p.copies, func(feed string, _ *zone.Copy) bool { return next[feed] == nil })
	return nil
}

// Open opens what is kept of the zone of a feed.
func (p *policyTransfers) Open(r blocklist.ZoneRequest) {
	_, _, _ = p.copyOf(&r) // which is tried again when the primaries are looked at
}

// Take looks at the primaries of a feed.
func (p *policyTransfers) Take(ctx context.Context, r blocklist.ZoneRequest) (*blocklist.ZoneVersion, error) {
	c, primaries, err := p.copyOf(&r)
	if err != nil {
		return nil, &blocklist.TransferError{Outcome: blocklist.FetchNotStored, Err: err}
	}
	taken, err := c.Look(ctx, &zone.CopyLook{
		Primaries: primaries, Told: r.Told, Older: r.AllowOlder, Bounds: zone.TransferBounds{Octets: r.Octets, Records: r.Records, Time: r.Time},
		Changing: func(c *zone.Change) {
			if r.Changing != nil {
				r.Changing(ctx, zoneChange(c))
			}
		},
	})
	if err != nil {
		return nil, transferError(err)
	}
	if taken.Unkept != nil {
		return nil, &blocklist.TransferError{Outcome: blocklist.FetchNotStored, Err: fmt.Errorf("the journal of the zone: %w", taken.Unkept)}
	}
	refresh, retry, _ := taken.Zone.Timers()
	return &blocklist.ZoneVersion{
		Serial: taken.Zone.Serial(), Sum: taken.Zone.Sum(), Primary: taken.Primary, Octets: taken.Octets, Differences: taken.Steps,
		Refresh: refresh, Retry: retry, Write: taken.Zone.WriteMaster,
	}, nil
}

// zoneChange says what changes in a zone in the words of feeds.
func zoneChange(c *zone.Change) *blocklist.ZoneChange {
	return &blocklist.ZoneChange{From: c.From, To: c.To, Owners: c.Owners(), Append: c.AppendMaster, Kept: c.Kept}
}

// copyOf is what is kept of the zone of a feed, opened if it is not yet, and the primaries. Other feeds do not wait for it.
func (p *policyTransfers) copyOf(r *blocklist.ZoneRequest) (*zone.Copy, []zone.Primary, error) {
	c, primaries, opening := p.known(r)
	if c != nil {
		return c, primaries, nil
	}
	opening.Lock()
	defer opening.Unlock()
	if c, primaries, _ = p.known(r); c != nil {
		return c, primaries, nil
	}
	c, err := zone.OpenCopy(r.Dir, r.Zone, p.now)
	if err != nil {
		return nil, primaries, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.primaries[r.Feed] != nil {
		p.copies[r.Feed] = c
	}
	return c, primaries, nil
}

// known is the copy of a feed, if it was opened, its primaries, and what is held to open it.
func (p *policyTransfers) known(r *blocklist.ZoneRequest) (*zone.Copy, []zone.Primary, *sync.Mutex) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.copies[r.Feed]
	if c != nil && c.Name() != r.Zone.Canonical() {
		c = nil
	}
	if p.opening[r.Feed] == nil {
		p.opening[r.Feed] = new(sync.Mutex)
	}
	return c, p.primaries[r.Feed], p.opening[r.Feed]
}

// transferError says an error of a transfer in the words of feeds.
func transferError(err error) error {
	outcome := blocklist.FetchUnreachable
	switch {
	case errors.Is(err, zone.ErrSerial):
		outcome, err = blocklist.FetchOlder, fmt.Errorf("%w; if the primary is right set allow_older on the feed", err)
	case errors.Is(err, zone.ErrTime):
		outcome = blocklist.FetchTimedOut
	case errors.Is(err, zone.ErrBound):
		outcome, err = blocklist.FetchTooLarge, fmt.Errorf("%w; raise limits.size or limits.rows if it is meant to be so large", err)
	case errors.Is(err, zone.ErrUnsigned):
		outcome = blocklist.FetchUnsigned
	case errors.Is(err, zone.ErrRefused):
		outcome = blocklist.FetchStatusCode
	case errors.Is(err, zone.ErrTransfer):
		outcome = blocklist.FetchIncomplete
	}
	return &blocklist.TransferError{Outcome: outcome, Err: errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))}
}

// primariesOf are servers of a configuration, with the keys by which they are asked.
func primariesOf(all []config.Primary, keys *tsig.Keys) ([]zone.Primary, error) {
	var out []zone.Primary
	for _, p := range all {
		primary := zone.Primary{Addr: p.Address}
		if !p.Key.IsZero() {
			if primary.Key = keys.Find(p.Key); primary.Key == nil {
				return nil, fmt.Errorf("there is no key %s", p.Key)
			}
		}
		if p.Encrypted() {
			var err error
			if primary.TLS, primary.Pins, err = primaryTLS(&p); err != nil {
				return nil, err
			}
		}
		out = append(out, primary)
	}
	return out, nil
}

// transferOf says from where the policy zone of a feed is taken.
func transferOf(f *config.Feed) blocklist.Transfer {
	if len(f.Primaries) == 0 {
		return blocklist.Transfer{}
	}
	out := blocklist.Transfer{Zone: f.Zone}
	for _, p := range f.Primaries {
		text := p.Address.String()
		if p.Encrypted() {
			text += " by TLS"
		}
		if !p.Key.IsZero() {
			text += " key " + p.Key.String()
		}
		out.Primaries = append(out.Primaries, text)
	}
	return out
}

// heardZones are the policy zones of feeds of which notices are heard.
func heardZones(c *config.Config) []zone.Heard {
	var out []zone.Heard
	for i := range c.Feeds {
		if f := &c.Feeds[i]; len(f.Primaries) > 0 {
			from, keys := noticesOf(f.Primaries, f.NotifyFrom)
			out = append(out, zone.Heard{Name: f.Zone, From: from, Keys: keys})
		}
	}
	return out
}

// noticesOf are the addresses and the keys from which it is heard that a zone has changed: those of its primaries, and what the operator names beside.
func noticesOf(primaries []config.Primary, beside []netip.Prefix) (from func(netip.Addr) bool, keys []dnsname.Name) {
	networks := slices.Clone(beside)
	for _, p := range primaries {
		networks = append(networks, netip.PrefixFrom(p.Address.Addr(), p.Address.Addr().BitLen()))
		if !p.Key.IsZero() {
			keys = append(keys, p.Key.Canonical())
		}
	}
	return admitting(networks), keys
}

// notices hands on what primaries tell (dnsserver.NoticeTaker).
type notices struct{ *server }

// Notice is about a zone that is served, or taken for a feed, or both.
func (n notices) Notice(apex []byte) {
	n.primaries.Notice(apex)
	n.publisher.Notice(apex)
}

// transfers have the primaries of zones asked at once (api.Rooms).
type transfers struct{ *server }

// Transfer asks the primaries of a zone. Of one that is taken for a feed it says how that is done.
func (t transfers) Transfer(ctx context.Context, apex dnsname.Name, force bool) error {
	err := t.primaries.Transfer(ctx, apex, force)
	if err == nil && force {
		t.listed.Accept(apex)
	}
	if errors.Is(err, zone.ErrUnknown) {
		for _, z := range t.config.Load().Zones {
			if z.File != "" && z.Name.Canonical() == apex.Canonical() {
				return fmt.Errorf("%w; it is read from %s: `cenote reload` does that at once", err, z.File)
			}
		}
		for _, f := range t.config.Load().Feeds {
			if len(f.Primaries) > 0 && f.Zone.Canonical() == apex.Canonical() {
				return fmt.Errorf("%w; its primaries are asked for the feed %s: `cenote reload %[2]s`", err, f.Name)
			}
		}
	}
	return err
}
