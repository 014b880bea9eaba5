package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/config"
	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/querylog"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/sighting"
	"cenote/tsig"
	"cenote/zone"

	"github.com/prometheus/client_golang/prometheus"
)

type serveCommand struct {
	configFlag
}

// Run serves until SIGTERM or SIGINT; SIGHUP reloads.
func (c *serveCommand) Run(ctx context.Context, std streams) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // first of all: one that comes during the start waits, and does not end the process
	defer signal.Stop(hangups)
	conf, warnings, err := c.read()
	if err != nil {
		return err
	}
	log, settings := newLogger(conf, std.err)
	logWarnings(log, warnings)
	s, err := newServer(conf, options{path: c.Config, log: log, logSettings: settings})
	if err != nil {
		return err
	}
	go s.reloadOn(ctx, hangups)
	return s.run(ctx)
}

// options are what a server needs beside its configuration.
type options struct {
	path string       // the configuration file, for reloads; "" for the embedded default
	log  *slog.Logger // where events go
	*logSettings
	now      func() time.Time // the clock of answers, of the cache and of signatures; nil is time.Now
	compiler []string         // the program that compiles feeds; nil for this one
}

// server is one running Cenote: its rooms, connected.
type server struct {
	options
	config    atomic.Pointer[config.Config]
	began     time.Time
	catalog   *catalog
	cache     *rrcache.Cache
	keeper    *keeper
	resolver  *resolver.Resolver
	ledger    *sighting.Store
	queries   *querylog.Log
	keys      atomic.Pointer[tsig.Keys] // by which other name servers sign
	zones     *zone.Keeper
	primaries *zone.Secondaries
	listed    *zone.Catalogs   // whose zones are served too
	made      *madeZones       // those that are made of the policy, and catalogs
	taken     *policyTransfers // policy zones that are taken for feeds
	dns       *dnsserver.Server
	publisher *blocklist.Publisher
	api       *api.Server
	reloading sync.Mutex // held while a reload is under way
	settled   atomic.Bool
}

// newServer makes every room, from the inside out, and binds every socket. The policy that was compiled last is in force when it returns;
// nothing is answered before run.
func newServer(c *config.Config, o options) (*server, error) {
	s := &server{options: o, began: time.Now(), catalog: newCatalog(o.log)}
	if s.config.Store(c); s.now == nil {
		s.now = time.Now
	}
	for _, open := range []func(*config.Config) error{
		s.openState, s.openCache, s.openResolver, s.openLedger, s.openQueryLog, s.openZones, s.openDNS, s.openPublisher, s.openAPI,
	} {
		if err := open(c); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *server) openState(c *config.Config) error {
	if err := os.MkdirAll(string(c.State), 0o750); err != nil {
		return fmt.Errorf("making the state directory: %w (set another with the key state)", err)
	}
	if s.path == "" {
		return writeStarter(string(c.Feeds[0].Path))
	}
	return nil
}

// writeStarter puts the embedded feed where the embedded configuration looks for it, unless it is there already.
func writeStarter(path string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == string(config.Starter()) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, config.Starter(), 0o640)
}

func (s *server) openCache(c *config.Config) (err error) {
	s.keeper = s.newKeeper(c)
	s.cache, err = rrcache.New(cacheConfig(c))
	return err
}

func (s *server) openResolver(c *config.Config) (err error) {
	own, err := resolverConfig(c, s.cache, s.now, s.log)
	if err != nil {
		return err
	}
	s.resolver, err = resolver.New(own)
	return err
}

func (s *server) openLedger(c *config.Config) (err error) {
	s.ledger, err = sighting.Open(ledgerConfig(c, s.catalog, s.log))
	return err
}

func (s *server) openQueryLog(c *config.Config) (err error) {
	s.queries, err = querylog.New(queryLogConfig(c, s.catalog, s.log))
	return err
}

func (s *server) openZones(c *config.Config) (err error) {
	keys, err := signingKeys(c)
	if err != nil {
		return err
	}
	s.keys.Store(keys)
	taken, err := followedZones(c, keys)
	if err != nil {
		return err
	}
	sources := zoneSources(c, keys)
	s.zones, err = zone.NewKeeper(zone.KeeperConfig{
		Sources: sources, Dir: stateOf(c).zones(), Keys: stateOf(c).keys(), Parent: s.parentDS, Trust: s.trustSeal, Changed: s.zoneChanged, Now: s.now, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.primaries = zone.NewSecondaries(s.zones, taken)
	s.listed = zone.NewCatalogs(s.zones, s.primaries)
	if err := s.listed.Update(sources, taken, subscriptions(c, taken, keys)); err != nil {
		return err
	}
	s.made = newMadeZones(s.zones, s.catalog.policy.Load, s.now, s.log)
	s.made.update(c)
	s.catalog.requires = func() bool { return s.config.Load().Policy.ServfailUntilReady }
	s.catalog.keys = func() []string { return keyNames(s.config.Load()) }
	s.taken = newPolicyTransfers(s.now)
	if err := errors.Join(s.taken.update(c, keys), s.zones.Hear(heardZones(c))); err != nil {
		return err
	}
	s.catalog.published = s.made.changed
	return nil
}

// zoneChanged tells that a zone has another version.
func (s *server) zoneChanged(dnsname.Name, uint32) {
	if s.listed != nil { // not while the first zones are read
		s.listed.Changed()
	}
}

func (s *server) openDNS(c *config.Config) error {
	settings, err := serverSettings(c)
	if err != nil {
		return err
	}
	s.dns, err = dnsserver.New(dnsserver.Config{
		Listen: listenAddrs(c), Policy: func() *policy.Policy { return s.catalog.policy.Load() }, Cache: s.cache, Resolver: network{s.resolver},
		Paths: network{s.resolver}, Zones: s.zones.Set, Notices: notices{s}, Updates: s.zones,
		OneQuery: s.resolver.OneQuery, Referral: s.resolver.Referral,
		Sightings: s.ledger, Queries: s.queries, Settings: settings, Bounds: serverBounds(c), Now: s.now, Log: s.log,
	})
	if err == nil {
		s.catalog.truth = s.dns.Truth
	}
	return err
}

func (s *server) openPublisher(c *config.Config) (err error) {
	s.publisher, err = blocklist.New(blocklist.Config{
		Dir: stateOf(c).policy(), Feeds: feeds(c), Order: policyOrder(c),
		Settings: compileSettings(c, s.compiler), Taker: s.taken, Publish: s.catalog.publish, Log: s.log,
	})
	return err
}

func (s *server) openAPI(c *config.Config) error {
	token, err := c.API.Token()
	if err != nil {
		return err
	}
	registry, err := s.metrics()
	if err != nil {
		return err
	}
	s.api, err = api.New(api.Config{
		Socket: string(c.API.Socket), SocketMode: os.FileMode(c.API.SocketMode), HTTP: c.API.HTTP, Token: token,
		Version: thisBuild().String(), Rooms: s.rooms(), Metrics: registry, Log: s.log,
	})
	return err
}

// metrics gathers what every room counts.
func (s *server) metrics() (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	for _, c := range append(processMetrics(), s.dns.Collector(), s.cache.Collector(), s.resolver.Collector(), s.ledger, s.queries, s.publisher, s.zones, s.primaries, s.listed) {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return r, nil
}

// close gives back what newServer opened, if run is not reached.
func (s *server) close() {
	if s.publisher != nil {
		_ = s.publisher.Close()
	}
	if s.dns != nil {
		s.dns.Close()
	}
	if s.queries != nil {
		_ = s.queries.Close()
	}
	if s.ledger != nil {
		_ = s.ledger.Close()
	}
	s.catalog.close()
}

// run serves until ctx ends. The faces (DNS and API) go first, so that what was read is answered; then the rooms behind them, so that what was
// matched is written down.
func (s *server) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	behind, stopBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBehind()
	faces, rooms := group{stop: stop}, group{stop: stop}
	rooms.run("policy", func() error { return s.publisher.Run(behind) })
	rooms.run("resolver", func() error { return s.resolver.Run(behind) })
	rooms.run("ledger of sightings", func() error { return s.ledger.Run(behind) })
	rooms.run("zones", func() error { return s.zones.Run(behind) })
	rooms.run("transfers of zones", func() error { return s.primaries.Run(behind) })
	rooms.run("catalogs of zones", func() error { return s.listed.Run(behind) })
	rooms.run("zones of the policy", func() error { return s.made.run(behind) })
	rooms.run("query log", func() error { return s.queries.Run(behind) })
	rooms.run("catalog", func() error { return s.catalog.run(behind, s.ledger.Drained, s.queryLife()) })
	rooms.run("kept answers", func() error { s.keeper.load(behind); return nil })
	faces.run("first look at the feeds", func() error { return s.firstLook(ctx) })
	faces.run("dns", func() error { return s.dns.Run(ctx) })
	faces.run("api", func() error { return s.api.Run(ctx) })
	s.logStart()
	faces.wait()
	stopBehind()
	rooms.wait()
	s.keeper.save()
	s.catalog.close()
	s.log.Info("stopped")
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// firstFetchWait is how long the first start waits for lists to be fetched before queries are welcome without them. The names of list servers may be
// looked up through this very server.
const firstFetchWait = 20 * time.Second

// firstLook reads the feeds once, so that readiness can say when the policy is that of the feeds as they are. Where a policy is stored it waits for no
// list server.
func (s *server) firstLook(ctx context.Context) error {
	var o blocklist.ReloadOptions
	if s.catalog.policy.Load() == nil {
		o.FetchWait = firstFetchWait
	}
	_, err := s.publisher.Reload(ctx, o)
	if err != nil && ctx.Err() == nil {
		s.log.Error("reading the feeds at the start", "err", err)
	}
	s.settled.Store(true)
	return nil
}

// queryLife bounds how long a query can hold a policy: the time it may wait for the network, and some.
func (s *server) queryLife() time.Duration { return s.config.Load().Resolver.Total + 5*time.Second }

// ready says why the server should not get queries yet, or nil.
func (s *server) ready() error {
	if s.catalog.policy.Load() == nil && !s.settled.Load() {
		return errors.New("the feeds are being read for the first time")
	}
	return nil
}

func (s *server) logStart() {
	for _, l := range s.dns.Addrs() {
		network := "tcp"
		switch {
		case l.UDP:
			network = "udp"
		case l.TLS != nil:
			network = "tls"
		}
		s.log.Info("serving dns", "address", l.Addr.String(), "transport", network)
	}
	s.log.Info("started", "version", thisBuild().String(), "state", string(s.config.Load().State), "socket", string(s.config.Load().API.Socket))
}

// group runs parts of the server; the first that fails stops all.
type group struct {
	stop context.CancelCauseFunc
	all  sync.WaitGroup
}

func (g *group) run(name string, part func() error) {
	g.all.Go(func() {
		if err := part(); err != nil {
			g.stop(fmt.Errorf("%s: %w", name, err))
		}
	})
}

func (g *group) wait() { g.all.Wait() }
