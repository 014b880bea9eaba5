package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cenote/api"
	"cenote/config"
	"cenote/sighting"
)

// This file answers the API from the rooms.

// rooms is what the API may ask.
func (s *server) rooms() api.Rooms {
	return api.Rooms{Health: s, Explainer: explainer{s}, Feeds: s, Copies: s.publisher, Reviewer: s, Ledger: ledger{s.ledger, s.config.Load, s.publisher.Former}, Zones: s.zones, Transfers: transfers{s}, Truth: truth{s.resolver}, Cache: answers{s}, Dumper: answers{s}}
}

// Ready says why the server should not get queries yet; see api.Prober. A policy from the last run is good enough to begin with.
func (s *server) Ready() error { return s.ready() }

// FeedStatus tells how the feeds stand; see api.Feeds.
func (s *server) FeedStatus() api.FeedsAnswer {
	return api.FeedsAnswer{Policy: s.publisher.CompileStatus(), Feeds: s.publisher.Status()}
}

// ledger is the store of sightings as the API asks it.
type ledger struct {
	*sighting.Store
	config func() *config.Config
	former func() []string // feeds that are not configured any more
}

// byAPI is whom the audit of exports and erasures names: whoever holds the socket or the token.
const byAPI = "api"

// Sightings returns one page, the first of them with the losses of its time. Where there is nothing of a feed or a zone that nobody knows, it is refused: that
// nothing was seen of a misspelt one says nothing.
func (l ledger) Sightings(ctx context.Context, f sighting.Filter) (api.SightingsAnswer, error) {
	page, err := l.Query(ctx, f)
	out := api.SightingsAnswer{Sightings: page.Sightings, Next: page.Next}
	if err == nil && f.Cursor == "" && len(page.Sightings) == 0 {
		err = l.checkNames(ctx, &f)
	}
	if err == nil && f.Cursor == "" {
		out.Losses, err = l.losses(ctx, &f)
	}
	return out, err
}

// checkNames refuses feeds and zones that are neither in the configuration nor were: what is gone from there has left its evidence, or a policy without it.
func (l ledger) checkNames(ctx context.Context, f *sighting.Filter) error {
	feeds, zones := feedNames(l.config()), zoneNames(l.config())
	if (f.Feed == "" || slices.Contains(feeds, f.Feed)) && (f.Zone == "" || slices.Contains(zones, f.Zone)) {
		return nil
	}
	recorded, err := l.Names(ctx)
	if err != nil {
		return err
	}
	feeds, zones = union(feeds, l.former(), recorded.Feeds), union(zones, recorded.Zones)
	if f.Feed != "" {
		err = checkKnown("feed", f.Feed, feeds)
	}
	if f.Zone != "" && err == nil {
		err = checkKnown("policy zone", f.Zone, zones)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", sighting.ErrFilter, err)
	}
	return nil
}

// union is what any of the lists has, once and in order.
func union(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// losses are those in which matches of the filter may have been counted.
func (l ledger) losses(ctx context.Context, f *sighting.Filter) ([]sighting.Loss, error) {
	all, err := l.Losses(ctx, f.Since)
	var out []sighting.Loss
	for _, loss := range all {
		if lossFits(&loss, f) {
			out = append(out, loss)
		}
	}
	return out, err
}

func lossFits(loss *sighting.Loss, f *sighting.Filter) bool {
	if !f.Until.IsZero() && loss.From.After(f.Until.Add(time.Hour)) {
		return false
	}
	if f.Client.IsValid() && loss.Client.IsValid() && !loss.Client.Overlaps(f.Client) {
		return false
	}
	fits := func(want, have string) bool { return want == "" || have == "" || want == have }
	return fits(f.Feed, loss.Feed) && fits(f.Family, loss.Family) && fits(f.Zone, loss.Zone)
}

// Export returns all that is known of a client.
func (l ledger) Export(ctx context.Context, client netip.Addr) (sighting.Export, error) {
	return l.Store.Export(ctx, client, byAPI)
}

// Erase forgets a client.
func (l ledger) Erase(ctx context.Context, client netip.Addr) (sighting.Erasure, error) {
	return l.Store.Erase(ctx, client, byAPI)
}
