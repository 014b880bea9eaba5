package resolver

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// RootAnchors is the text of the trust anchors of the internet's root as IANA publishes them: the keys of 2017 and 2024.
const RootAnchors = `. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

// AnchorStore keeps the state of trust anchors that follow roll-overs, one text a zone, over restarts.
type AnchorStore interface {
	// Load returns what was saved last; an error that is fs.ErrNotExist if nothing was.
	Load(zone dnsname.Name) ([]byte, error)
	// Save keeps text in place of what was there, or keeps that and returns an error.
	Save(zone dnsname.Name, text []byte) error
}

// keyring is the trust anchors in force. They change as their zones roll their keys over (RFC 5011).
type keyring struct {
	mu  sync.Mutex
	all map[dnsname.Name]*dnssec.Anchors
}

// newKeyring makes the anchors of a configuration, which go on where they were saved.
func (r *Resolver) newKeyring(c *Recursion) *keyring {
	k := &keyring{all: map[dnsname.Name]*dnssec.Anchors{}}
	for _, a := range dnssec.AnchorsOf(c.Anchors, r.validationTime(c)) {
		zone := dnsname.Name(a.Zone)
		k.all[zone] = a
		if c.AnchorStore == nil {
			continue
		}
		known, err := r.loadAnchors(c, a)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.log.Warn("the state of a trust anchor cannot be read; it begins anew", "zone", zone, "err", err)
		}
		if known != nil {
			k.all[zone] = known
		}
	}
	return k
}

// loadAnchors reads the state of an anchor, nil if it belongs to other anchors than are configured.
func (r *Resolver) loadAnchors(c *Recursion, configured *dnssec.Anchors) (*dnssec.Anchors, error) {
	text, err := c.AnchorStore.Load(dnsname.Name(configured.Zone))
	if err != nil {
		return nil, err
	}
	known := new(dnssec.Anchors)
	if err := known.UnmarshalText(text); err != nil {
		return nil, err
	}
	same := slices.EqualFunc(known.DS, configured.DS, func(a, b []byte) bool { return string(a) == string(b) })
	for _, k := range configured.Keys {
		same = same && slices.ContainsFunc(known.Keys, func(o dnssec.Anchor) bool { return string(o.Key) == string(k.Key) })
	}
	if !same {
		return nil, nil
	}
	return known, nil
}

func (r *Resolver) validationTime(c *Recursion) time.Time {
	if c.ValidationTime != nil {
		return c.ValidationTime()
	}
	return r.now()
}

// has reports whether a zone has a trust anchor.
func (k *keyring) has(zone dnsname.Name) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[zone] != nil
}

// above returns the closest zone at or above a name that has a trust anchor.
func (k *keyring) above(name dnsname.Name) (zone dnsname.Name, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for ; k.all[name] == nil; name = name.Parent() {
		if name.IsRoot() {
			return "", false
		}
	}
	return name, true
}

// check checks the keys of a zone against its anchors as they are at this moment: nobody waits while signatures are verified.
func (k *keyring) check(zone dnsname.Name, keys *dnssec.Set, now time.Time, w *dnssec.Work) (*dnssec.Zone, dnssec.Verdict) {
	k.mu.Lock()
	anchors := *k.all[zone]
	anchors.Keys = slices.Clone(anchors.Keys)
	k.mu.Unlock()
	return anchors.Check(keys, now, w)
}

// due returns the zones whose keys are to be looked at now.
func (k *keyring) due(now time.Time) (zones []dnsname.Name) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for zone, a := range k.all {
		if !now.Before(a.Next) {
			zones = append(zones, zone)
		}
	}
	return zones
}

// observe shows the keys of a zone to its anchors, or that they could not be had (nil), and returns their text.
func (k *keyring) observe(zone dnsname.Name, keys *dnssec.Set, now time.Time) (text []byte, v dnssec.Verdict, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.all[zone]
	if keys == nil {
		a.Failed(now)
		return nil, dnssec.Verdict{}, nil
	}
	_, v = a.Observe(keys, now, dnssec.NewWork())
	text, err = a.MarshalText()
	return text, v, err
}

// followTick is how often it is looked whether keys are due.
const followTick = time.Second

// follow follows the roll-overs of trust anchors until ctx ends.
func (r *Resolver) follow(ctx context.Context) {
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.followDue(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// followDue looks at the keys of all zones that are due.
func (r *Resolver) followDue(ctx context.Context) {
	s := r.state.Load()
	if s.keys == nil || !s.config.Recursion.Follow {
		return
	}
	for _, zone := range s.keys.due(r.validationTime(s.config.Recursion)) {
		keys, err := r.keysOf(ctx, zone)
		if err != nil {
			r.log.Warn("keys of a trust anchor's zone cannot be had", "zone", zone, "err", err)
		}
		r.show(s, zone, keys)
	}
}

// show shows keys to an anchor and saves what it makes of them.
func (r *Resolver) show(s *state, zone dnsname.Name, keys *dnssec.Set) {
	text, v, err := s.keys.observe(zone, keys, r.validationTime(s.config.Recursion))
	if keys == nil {
		return
	}
	if v.Status != dnssec.Secure {
		r.log.Warn("keys of a trust anchor's zone do not stand up to validation", "zone", zone, "reason", v.Text)
	}
	if err == nil && s.config.Recursion.AnchorStore != nil {
		err = s.config.Recursion.AnchorStore.Save(zone, text)
	}
	if err != nil {
		r.log.Error("the state of a trust anchor cannot be saved; after a restart a roll-over may be missed", "zone", zone, "err", err)
	}
	r.trusts.flush(regionOf(zone))
}

// keysOf asks for the keys of a zone anew, without validation.
func (r *Resolver) keysOf(ctx context.Context, zone dnsname.Name) (*dnssec.Set, error) {
	q := question{name: string(zone), qtype: wire.TypeDNSKEY, class: wire.ClassIN, do: true, cd: true}
	r.state.Load().place(&q)
	r.cache.Remove(q.key())
	f, err := r.join(q)
	if err != nil {
		return nil, err
	}
	defer r.leave(f)
	if err := r.wait(ctx, f, false); err != nil {
		return nil, err
	}
	got, err := readResponse(f.msg, q.class)
	if err != nil {
		return nil, err
	}
	keys := findSet(got.sets, zone, wire.TypeDNSKEY)
	if keys == nil {
		return nil, errNoKeys
	}
	return keys.proof(q.class), nil
}

var errNoKeys = errors.New("the zone has no keys")

// Anchors returns the text of each trust anchor's state, by zone.
func (r *Resolver) Anchors() map[dnsname.Name]string {
	out := map[dnsname.Name]string{}
	k := r.state.Load().keys
	if k == nil {
		return out
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for zone, a := range k.all {
		if text, err := a.MarshalText(); err == nil {
			out[zone] = string(text)
		}
	}
	return out
}
