package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/config"
	"cenote/pace"
	"cenote/spelling"
)

type reloadCommand struct {
	socketFlag
	Force bool     `short:"f" help:"Take feeds as they are, although they are empty, look like a web page or have lost most of their entries; where no feed is named, also zones although their serial goes back, and catalogs although they have lost most of their zones."`
	Feeds []string `predictor:"feed" arg:"" optional:"" name:"feed" help:"The feeds to load; all if none is named."`
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
	if err := client.Post(ctx, "/v1/reload", api.ReloadRequest{Force: c.Force, Feeds: c.Feeds}, &answer); err != nil {
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
	if len(answer.Zones) > 0 && err == nil {
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
	if err := printOutcomes(std.out, a.Feeds); err != nil {
		return err
	}
	printFailures(std.err, a.Feeds)
	if err := printZoneFaults(std.err, a.Zones, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "policy generation %d, after %.1f s\n", a.Generation, a.Seconds)
	return err
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
	answer, undo, err := s.reloadConfig(ctx, r.Feeds)
	if err != nil {
		return answer, err
	}
	report, err := s.publisher.Reload(ctx, blocklist.ReloadOptions{Force: r.Force, Feeds: r.Feeds, FetchWait: reloadFetchWait})
	if err != nil {
		return answer, errors.Join(err, undo())
	}
	addReport(&answer.ReloadReport, report)
	if answer.Zones, err = s.reloadZones(r.Force && len(r.Feeds) == 0); err != nil {
		return answer, errors.Join(err, undo())
	}
	if err := s.dns.ReloadCertificates(); err != nil {
		s.log.Error("certificates not loaded; those before are served", "err", err)
		answer.Warnings = append(answer.Warnings, "the certificate before is served: "+err.Error())
	}
	answer.Feeds = append(answer.Feeds, s.stillKept(answer.Feeds, r.Feeds)...)
	s.log.Info("reloaded", "generation", answer.Generation, "published", answer.Published, "seconds", answer.Seconds)
	return answer, nil
}

// reloadConfig puts the configuration file in force, if there is one, and returns how to take that back. asked are the feeds that must be in it.
func (s *server) reloadConfig(ctx context.Context, asked []string) (answer api.ReloadAnswer, undo func() error, err error) {
	if s.path == "" {
		return answer, func() error { return nil }, nil
	}
	next, warnings, err := config.Load(s.path)
	logWarnings(s.log, warnings)
	for _, w := range warnings {
		answer.Warnings = append(answer.Warnings, w.String())
	}
	if err != nil {
		return answer, nil, err
	}
	for _, name := range asked {
		if !slices.ContainsFunc(next.Feeds, func(f config.Feed) bool { return f.Name == name }) {
			return answer, nil, fmt.Errorf("%w: %q is not in %s; %s", blocklist.ErrUnknownFeed, name, s.path, spelling.Known(name, feedNames(next)))
		}
	}
	undo, err = s.apply(ctx, next, &answer)
	return answer, undo, err
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
