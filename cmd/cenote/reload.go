package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/config"
	"cenote/dnsname"
	"cenote/pace"
	"cenote/spelling"
	"cenote/zone"
)

type reloadCommand struct {
	socketFlag
	Force bool     `short:"f" help:"Take feeds as they are, although they are empty, look like a web page or have lost most of their entries; of the zones that are named, or of all where nothing is, also those whose serial goes back, and catalogs although they have lost most of their zones."`
	Names []string `predictor:"reload" arg:"" optional:"" name:"name" help:"The feeds, and zones with a file, to load; all if none is named. Where a feed and a zone have one name, feed:NAME and zone:NAME say which is meant."`
	JSON  bool     `help:"Print JSON."`
}

// reloadTimeout bounds a reload that somebody waits for, since a compilation may take minutes, and what is done with all sightings of a client.
const reloadTimeout = 15 * time.Minute

// reloadFetchWait is how long a reload waits for lists to be fetched. What takes longer goes on.
const reloadFetchWait = time.Minute

// Run asks the server to load its configuration, feeds and zones again. A feed or zone that could not be taken makes it exit 1.
func (c *reloadCommand) Run(ctx context.Context, std streams) error {
	client, err := c.client(reloadTimeout)
	if err != nil {
		return err
	}
	var answer api.ReloadAnswer
	if err := client.Post(ctx, "/v1/reload", api.ReloadRequest{Force: c.Force, Names: c.Names}, &answer); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.out, answer)
	} else {
		err = printReload(std, &answer)
	}
	for _, f := range answer.Feeds {
		if f.Outcome == blocklist.OutcomeFailed && err == nil {
			err = errReported
		}
	}
	if err == nil && slices.ContainsFunc(answer.Zones, func(z zone.Status) bool { return z.State != zone.StateServed }) {
		err = errReported
	}
	return err
}

func printReload(std streams, a *api.ReloadAnswer) error {
	for _, w := range a.Warnings {
		_, _ = fmt.Fprintln(std.err, w)
	}
	for _, key := range a.NeedsRestart {
		_, _ = fmt.Fprintf(std.err, "%s takes effect at the next restart\n", key)
	}
	if err := printLoaded(std.out, a); err != nil {
		return err
	}
	printFailures(std.err, a.Feeds)
	if err := printZoneFaults(std.err, a.Zones, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "policy generation %d, after %.1f s\n", a.Generation, a.Seconds)
	return err
}

// printLoaded shows what became of what was loaded: feeds, and zones that were named.
func printLoaded(to io.Writer, a *api.ReloadAnswer) error {
	good := 0
	for i := range a.Zones {
		if z := &a.Zones[i]; z.State == zone.StateServed {
			good++
			if _, err := fmt.Fprintf(to, "%s: served, serial %d\n", printable(z.Name), z.Serial); err != nil {
				return err
			}
		}
	}
	if len(a.Feeds) == 0 && good > 0 {
		return nil
	}
	return printOutcomes(to, a.Feeds)
}

// printOutcomes shows what became of the feeds that were read.
func printOutcomes(to io.Writer, feeds []blocklist.FeedResult) error {
	if len(feeds) == 0 {
		_, err := fmt.Fprintln(to, "no feed has changed")
		return err
	}
	t := newTable(to, "FEED", "OUTCOME", "ENTRIES", "COPY")
	for i := range feeds {
		f := &feeds[i]
		entries := ""
		if f.Report != nil {
			entries = fmt.Sprint(f.Report.Live)
		}
		t.row(f.Name, string(f.Outcome), entries, fmt.Sprint(f.Copy))
	}
	return t.flush()
}

// printFailures shows why feeds were not taken.
func printFailures(to io.Writer, feeds []blocklist.FeedResult) {
	for i := range feeds {
		if failure := feeds[i].Failure; failure != nil {
			_, _ = fmt.Fprintf(to, "%s: %s\n", feeds[i].Name, printable(failure.Text))
		}
	}
}

// reloadOn reloads at every signal until ctx ends.
func (s *server) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			if _, err := s.Reload(ctx, api.ReloadRequest{}); err != nil {
				s.log.Error("reload refused; everything stays as it was", "err", err)
			}
		}
	}
}

// Reload loads the configuration and the feeds, all or nothing: a fault in the configuration, or feeds and zones that cannot be served, leave
// everything as it was. Feeds with a URL are fetched. A single bad feed keeps its last good copy and is told of in the answer; see api.Feeds.
func (s *server) Reload(ctx context.Context, r api.ReloadRequest) (api.ReloadAnswer, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	answer, of, undo, err := s.reloadConfig(ctx, &r)
	if err != nil {
		return answer, err
	}
	if err := s.reloadFeeds(ctx, of, r.Force, &answer); err != nil {
		return answer, errors.Join(err, undo())
	}
	if answer.Zones, err = s.reloadZones(of, r.Force); err != nil {
		return answer, errors.Join(err, undo())
	}
	if err := s.dns.ReloadCertificates(); err != nil {
		s.log.Error("certificates not loaded; those before are served", "err", err)
		answer.Warnings = append(answer.Warnings, "the certificate before is served: "+err.Error())
	}
	s.log.Info("reloaded", "generation", answer.Generation, "published", answer.Published, "seconds", answer.Seconds)
	return answer, nil
}

// reloadFeeds loads the feeds that are asked for. Who names zones alone has asked for none.
func (s *server) reloadFeeds(ctx context.Context, of reloadScope, force bool, answer *api.ReloadAnswer) error {
	if len(of.feeds) == 0 && len(of.zones) > 0 {
		answer.Generation = s.publisher.CompileStatus().Generation
		return nil
	}
	report, err := s.publisher.Reload(ctx, blocklist.ReloadOptions{Force: force, Feeds: of.feeds, FetchWait: reloadFetchWait})
	if err != nil {
		return err
	}
	addReport(&answer.ReloadReport, report)
	answer.Feeds = append(answer.Feeds, s.stillKept(answer.Feeds, of.feeds)...)
	return nil
}

// reloadConfig puts the configuration file in force, if there is one, and returns how to take that back, and what of it was asked for.
func (s *server) reloadConfig(ctx context.Context, r *api.ReloadRequest) (answer api.ReloadAnswer, of reloadScope, undo func() error, err error) {
	if s.path == "" {
		of, err = s.scopeOf(r, s.config.Load())
		return answer, of, func() error { return nil }, err
	}
	next, warnings, err := config.Load(s.path)
	logWarnings(s.log, warnings)
	for _, w := range warnings {
		answer.Warnings = append(answer.Warnings, w.String())
	}
	if err != nil {
		return answer, of, nil, err
	}
	if of, err = s.scopeOf(r, next); err != nil {
		return answer, of, nil, fmt.Errorf("%s: %w", s.path, err)
	}
	undo, err = s.apply(ctx, next, &answer)
	return answer, of, undo, err
}

// reloadScope is what a reload is about: feeds, and zones with a file. Nothing stands for everything.
type reloadScope struct {
	feeds []string
	zones []dnsname.Name
}

// scopeOf finds out what is named, and refuses zones that are frozen before anything is changed.
func (s *server) scopeOf(r *api.ReloadRequest, c *config.Config) (of reloadScope, err error) {
	if of, err = reloadScopeOf(r, c); err != nil || len(of.zones) == 0 {
		return of, err
	}
	for _, z := range s.zones.Status() {
		if z.Frozen && slices.ContainsFunc(of.zones, func(apex dnsname.Name) bool { return apex.String() == z.Name }) {
			err = errors.Join(err, fmt.Errorf("%s: %w", z.Name, zone.ErrFrozen))
		}
	}
	return of, err
}

// reloadScopeOf finds out what is named.
func reloadScopeOf(r *api.ReloadRequest, c *config.Config) (of reloadScope, err error) {
	feeds := feedNames(c)
	for _, name := range r.Feeds {
		if !slices.Contains(feeds, name) {
			return of, fmt.Errorf("%w: %q; %s", blocklist.ErrUnknownFeed, name, spelling.Known(name, feeds))
		}
	}
	of.feeds = slices.Clone(r.Feeds)
	for _, name := range r.Names {
		if err := of.add(c, name, r.Force); err != nil {
			return of, err
		}
	}
	return of, nil
}

// add adds what is named. What a feed and a zone with a file are both called is both, unless they are forced: then the name has to say which is meant.
func (of *reloadScope) add(c *config.Config, name string, force bool) error {
	feed, z := reloadNamed(c, name)
	loaded := z != nil && z.File != ""
	switch {
	case feed == "" && z == nil:
		return fmt.Errorf("there is no feed and no zone %q; %s", name, spelling.Known(name, reloadNames(c)))
	case feed == "" && !loaded:
		return fmt.Errorf("the zone %s has no file; one from primaries is asked for by `cenote transfer`", z.Name)
	case feed != "" && loaded && force:
		return fmt.Errorf("a feed and a zone are called %[1]q: name feed:%[1]s or zone:%[1]s", name)
	}
	if feed != "" {
		of.feeds = append(of.feeds, feed)
	}
	if loaded {
		of.zones = append(of.zones, z.Name.Canonical())
	}
	return nil
}

// reloadNamed is the feed and the zone of a name, which may begin with the kind of what is meant: feed: or zone:.
func reloadNamed(c *config.Config, name string) (feed string, z *config.OwnZone) {
	if slices.Contains(feedNames(c), name) {
		feed = name
	}
	if z = ownZone(c, name); feed != "" || z != nil {
		return feed, z
	}
	kind, plain, _ := strings.Cut(name, ":")
	switch {
	case kind == "feed" && slices.Contains(feedNames(c), plain):
		return plain, nil
	case kind == "zone":
		return "", ownZone(c, plain)
	}
	return "", nil
}

// ownZone is the zone of a name, nil if there is none.
func ownZone(c *config.Config, name string) *config.OwnZone {
	apex, err := dnsname.Parse(name)
	if err != nil {
		return nil
	}
	for i := range c.Zones {
		if c.Zones[i].Name.Canonical() == apex.Canonical() {
			return &c.Zones[i]
		}
	}
	return nil
}

// addReport adds what a second step did to what the first did: of a feed that both looked at, the second counts.
func addReport(sum *blocklist.ReloadReport, next blocklist.ReloadReport) {
	sum.Feeds = slices.DeleteFunc(sum.Feeds, func(f blocklist.FeedResult) bool {
		return slices.ContainsFunc(next.Feeds, func(n blocklist.FeedResult) bool { return n.Name == f.Name })
	})
	sum.Feeds = append(sum.Feeds, next.Feeds...)
	sum.Generation = next.Generation
	sum.Published = sum.Published || next.Published
	sum.Seconds += next.Seconds
}

// stillKept are the feeds that were not read again because they are as bad as they were: whoever asks for a reload wants to know of them.
func (s *server) stillKept(read []blocklist.FeedResult, asked []string) []blocklist.FeedResult {
	var out []blocklist.FeedResult
	for _, f := range s.publisher.Status() {
		told := slices.ContainsFunc(read, func(r blocklist.FeedResult) bool { return r.Name == f.Name && r.Failure != nil })
		if f.Error != "" && !told && (len(asked) == 0 || slices.Contains(asked, f.Name)) {
			out = append(out, blocklist.FeedResult{
				Name: f.Name, Outcome: blocklist.OutcomeFailed, Copy: f.Copy, Report: f.Report, Failure: &blocklist.FeedFailure{Text: f.Error},
			})
		}
	}
	return out
}

// apply puts a configuration in force as far as that needs no new socket, writes into answer what came of it, and returns how to
// take it back. If a later part refuses it, the earlier ones get the old one back.
func (s *server) apply(ctx context.Context, next *config.Config, answer *api.ReloadAnswer) (undo func() error, err error) {
	before := s.config.Load()
	changes := config.Diff(before, next)
	undoRooms, err := s.applyRooms(next, before)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return undoRooms, nil // what the rooms read from files, such as the cookies' secrets, may have changed all the same
	}
	if answer.ReloadReport, err = s.publisher.Reconfigure(ctx, feeds(next), policyOrder(next)); err != nil {
		return nil, errors.Join(err, undoRooms())
	}
	s.resizeCache(next)
	s.config.Store(next)
	for _, c := range config.NeedsRestart(changes) {
		answer.NeedsRestart = append(answer.NeedsRestart, c.Key)
		s.log.Warn("this key takes effect at the next restart", "key", c.Key)
	}
	return func() error {
		_, err := s.publisher.Reconfigure(context.WithoutCancel(ctx), feeds(before), policyOrder(before))
		s.resizeCache(before)
		s.config.Store(before)
		return errors.Join(err, undoRooms())
	}, nil
}

// resizeCache comes last, for what a smaller cache drops does not come back.
func (s *server) resizeCache(c *config.Config) {
	if err := s.cache.Resize(int64(c.Cache.Size), s.now().UnixNano(), new(pace.Pace).Look); err != nil {
		s.log.Error("the cache keeps its size", "err", err) // the configuration allows what the cache does
	}
}

// applyRooms hands next to the rooms that can change while they run, and returns how to give them before again.
func (s *server) applyRooms(next, before *config.Config) (undo func() error, err error) {
	apply := func(c *config.Config) error {
		settings, err := serverSettings(c)
		if err != nil {
			return err
		}
		token, err := c.API.Token()
		if err != nil {
			return err
		}
		asking, err := resolverConfig(c, s.cache, s.now, s.log)
		if err != nil {
			return err
		}
		keys, err := signingKeys(c)
		if err != nil {
			return err
		}
		taken, err := followedZones(c, keys)
		if err != nil {
			return err
		}
		if err := s.taken.update(c, keys); err != nil {
			return err
		}
		s.keys.Store(keys)
		s.logSettings.set(c)
		s.dns.SetBounds(serverBounds(c))
		zoneErr := errors.Join(s.listed.Update(zoneSources(c, keys), taken, subscriptions(c, taken, keys)), s.zones.Hear(heardZones(c)))
		defer s.made.update(c) // when its zones are known
		return errors.Join(
			zoneErr,
			s.dns.Apply(settings),
			s.cache.Update(cacheConfig(c)),
			s.resolver.Update(asking),
			s.ledger.Update(ledgerConfig(c, s.catalog, s.log)),
			s.queries.Update(queryLogConfig(c, s.catalog, s.log)),
			s.publisher.Update(compileSettings(c, s.compiler)),
			s.api.SetGuards(os.FileMode(c.API.SocketMode), token),
		)
	}
	undo = func() error { return apply(before) }
	if err := apply(next); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
