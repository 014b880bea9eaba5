package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cenote/api"
	"cenote/config"
	"cenote/dnsname"
	"cenote/pace"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/wire"
)

// keeper carries the answers over a restart: they are written at the end, and read in the background at the start. What it does with the
// file it does one after the other.
type keeper struct {
	s    *server
	path string

	mu      sync.Mutex
	stop    context.CancelFunc // ends the reading; nil while nothing is read
	partial bool               // the file was not read to its end, and stays
}

// Bounds of carrying answers over a restart. What takes longer is given up: the answers can be had again.
const (
	keepPatience = 30 * time.Second // at the end, to write
	loadPatience = 2 * time.Minute  // at the start, to read
)

func (s *server) newKeeper(c *config.Config) *keeper {
	return &keeper{s: s, path: stateOf(c).answers()}
}

// load reads what was kept, unless the configuration says no. The file then goes: after a crash, what was flushed meanwhile must not return.
func (k *keeper) load(ctx context.Context) {
	if !k.s.config.Load().Cache.Keep {
		return
	}
	file, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		k.s.log.Warn("answers of before the restart cannot be read", "err", err)
		return
	}
	defer file.Close()
	ctx, stop := context.WithTimeout(ctx, loadPatience)
	defer stop()
	k.begin(stop)
	begun := time.Now()
	got, err := k.s.loadCache(ctx, file)
	k.end(ctx, err)
	if err != nil {
		k.s.log.Warn("not all answers of before the restart were taken", "err", err, "kept", got.Kept)
		return
	}
	k.s.log.Info("answers of before the restart are back", "kept", got.Kept, "expired", got.Expired, "newer", got.Newer, "refused", got.Refused,
		"others_are_asked", got.Others, "took", time.Since(begun).Round(time.Millisecond))
}

func (k *keeper) begin(stop context.CancelFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stop = stop
}

// end removes the file, unless the server stops before it was read.
func (k *keeper) end(ctx context.Context, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.partial = err != nil && errors.Is(ctx.Err(), context.Canceled) && k.stop != nil; !k.partial {
		_ = os.Remove(k.path)
	}
	k.stop = nil
}

// forget ends the reading and removes what was kept, since what it has is to be forgotten.
func (k *keeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stop != nil {
		k.stop()
		k.stop = nil
	}
	if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.s.log.Warn("answers of before the restart cannot be removed", "err", err)
	}
}

// save writes the answers, if the configuration says so. Nothing is asked any more.
func (k *keeper) save() {
	if !k.s.config.Load().Cache.Keep || k.partial {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepPatience)
	defer cancel()
	begun, n := time.Now(), 0
	err := os.MkdirAll(filepath.Dir(k.path), 0o750)
	if err == nil {
		err = writeStream(k.path, func(to io.Writer) (err error) {
			n, err = k.s.dumpCache(ctx, to, func() {})
			return err
		})
	}
	if err != nil {
		k.s.log.Warn("the answers are not kept over the restart", "err", err)
		return
	}
	k.s.log.Info("the answers are kept over the restart", "kept", n, "took", time.Since(begun).Round(time.Millisecond))
}

// basis says what all answers of the cache depend on: by whom they were given, but for zones with sources of their own, which the cache tells apart, and by what they were checked. Those of
// another one are not taken. What files say counts by what asking has of them, and not by where they are.
func basis(c *config.Config, asking *resolver.Config) string {
	r := c.Recursion
	r.Limits, r.Forward, r.Stub, r.Validation.Negative = config.RecursionLimits{}, nil, nil, nil
	r.IPv4, r.IPv6, r.From4, r.From6, r.Minimise, r.RootZone, r.Validation.Follow = false, false, netip.Addr{}, netip.Addr{}, false, "", false // the way there, and not what is there
	r.RootHints, r.Validation.Anchors = "", ""
	sum := sha256.New()
	ups := slices.SortedFunc(slices.Values(asking.Upstreams), func(a, b resolver.Upstream) int { return a.Addr.Compare(b.Addr) }) // each address once
	_, _ = fmt.Fprintf(sum, "%+v %+v", ups, r)
	if asking.Recursion != nil {
		hints := asking.Recursion.Hints
		if hints == nil {
			hints = resolver.RootHints()
		}
		_, _ = fmt.Fprintf(sum, " %+v", hints)
		for _, a := range asking.Recursion.Anchors {
			a.Line = 0
			_, _ = fmt.Fprintf(sum, " %+v", a)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// whileWanted ends reading or writing when nobody wants it any more.
type whileWanted struct {
	ctx context.Context
	r   io.Reader
	w   io.Writer
}

// Read reads while it is wanted.
func (w whileWanted) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(b)
}

// Write writes while it is wanted.
func (w whileWanted) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}

func (s *server) dumpCache(ctx context.Context, to io.Writer, rest func()) (int, error) {
	return s.cache.Dump(whileWanted{ctx: ctx, w: to}, time.Now().UnixNano(), rest)
}

func (s *server) loadCache(ctx context.Context, from io.Reader) (rrcache.Loaded, error) {
	return s.cache.Load(whileWanted{ctx: ctx, r: from}, time.Now().UnixNano(), new(pace.Pace).Look)
}

// writeStream puts what fill writes in place of a file, so that a reader and a crash see all of it or what was there.
func writeStream(path string, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	to := bufio.NewWriter(f)
	if err = errors.Join(fill(to), to.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// answers is the cache as the API asks it.
type answers struct{ *server }

// CacheStats tells what the cache holds and has done; see api.Cache.
func (a answers) CacheStats() api.CacheStats {
	s := a.cache.Stats()
	out := api.CacheStats{
		Entries: s.Entries, Bytes: s.Bytes, Capacity: s.Capacity, Hits: s.Hits, Stale: s.Stale, Misses: s.Misses, Evictions: s.Evictions,
		Refused: map[string]uint64{},
	}
	for reason, n := range s.Refused {
		if n > 0 {
			out.Refused[rrcache.Refusal(reason).String()] = n
		}
	}
	return out
}

// CacheGet tells all that is kept for a name; see api.Cache.
func (a answers) CacheGet(name dnsname.Name, rtype string) (api.CacheAnswer, error) {
	out := api.CacheAnswer{Name: name.String()}
	var wanted uint16
	if rtype != "" {
		var err error
		if wanted, err = wire.ParseType(rtype); err != nil {
			return out, err
		}
	}
	for _, k := range a.cache.Kept(name, wanted, time.Now().UnixNano()) {
		out.Entries = append(out.Entries, keptOf(&k, a.cache.Sources()))
	}
	return out, nil
}

func keptOf(k *rrcache.Kept, sources *rrcache.Sources) api.CacheKept {
	at := func(ns int64) time.Time { return time.Unix(0, ns).UTC() }
	security := "not proved"
	if wire.Flags(k.Msg)&wire.FlagAD != 0 {
		security = "secure"
	}
	sections := sectionsOf(k.Msg)
	return api.CacheKept{
		Type: wire.TypeText(k.Type), Class: k.Class, DNSSEC: k.DO, Unchecked: k.CD, Source: cmp.Or(sources.Label(k.Group), "not asked any more"), State: k.State.String(), TTL: k.TTL,
		Stored: at(k.Stored), Expires: at(k.Expires), Gone: at(k.Gone), Held: k.Held, Popular: k.Popular, Failure: k.Failure,
		Rcode: wire.RcodeText(wire.Rcode(k.Msg)), Security: security, Answer: emptyOf(sections[0]), Authority: emptyOf(sections[1]),
	}
}

// emptyOf makes an empty list of none at all.
func emptyOf(records []api.Record) []api.Record {
	if records == nil {
		return []api.Record{}
	}
	return records
}

// CacheFlush forgets answers and what was learnt about zones; see api.Cache. What is on its way meanwhile may come back; so delegations go
// first, and answers after them.
func (a answers) CacheFlush(r api.FlushRequest) (api.FlushAnswer, error) {
	name := dnsname.Root
	if !r.All {
		var err error
		if name, err = dnsname.Parse(r.Name); err != nil {
			return api.FlushAnswer{}, err
		}
		name = name.Canonical()
	}
	a.keeper.forget()
	learnt := a.resolver.ForgetZones(name)
	out := api.FlushAnswer{Delegations: learnt.Delegations, Trusts: learnt.Trusts, Denials: learnt.Denials, Lame: learnt.Lame}
	if r.All {
		out.Answers = a.cache.FlushAll()
	} else {
		out.Answers = a.cache.Flush(name, r.Subtree)
	}
	a.log.Info("flushed", "name", name, "subtree", r.Subtree || r.All, "answers", out.Answers, "delegations", out.Delegations, "trusts", out.Trusts)
	return out, nil
}

// CacheDump writes all answers; see api.Dumper.
func (a answers) CacheDump(ctx context.Context, to io.Writer) error {
	_, err := a.dumpCache(ctx, to, new(pace.Pace).Look)
	return err
}

// CacheLoad reads answers; see api.Dumper.
func (a answers) CacheLoad(ctx context.Context, from io.Reader) (api.LoadAnswer, error) {
	got, err := a.loadCache(ctx, from)
	if errors.Is(err, rrcache.ErrSource) {
		err = fmt.Errorf("%w (they were dumped under other upstreams, root servers or trust anchors than are in force)", err)
	}
	return api.LoadAnswer(got), err
}
