package dnsserver_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/nameindex"
	"cenote/policy"
	"cenote/querylog"
	"cenote/rrcache"
	"cenote/sighting"
	"cenote/zone"

	"github.com/miekg/dns"
)

// listed is one row of a test policy.
type listed struct {
	name   string
	zone   string
	kind   policy.Kind
	action policy.Action // ActionDefault: the zone's
	data   *policy.LocalData
	expiry uint32 // hours since the epoch; 0: never
	server bool   // it is about a name server
	match  string // a pattern in the place of name
	prefix string // of addresses that are answered, in the place of name
}

// newPolicy builds a policy through the file that production builds, one feed a zone.
func newPolicy(t testing.TB, generation uint64, zones []policy.Zone, rows ...listed) *policy.Policy {
	t.Helper()
	manifest := policy.Manifest{Generation: generation, Families: []string{"", "testbot"}, Threats: []string{"", "malware"}}
	feeds := map[string]uint16{}
	for i := range zones {
		feeds[zones[i].Name] = uint16(i)
		manifest.Feeds = append(manifest.Feeds, policy.Feed{Name: zones[i].Name})
		zones[i].Feeds = []string{zones[i].Name}
	}
	members := map[dnsname.Name][]policy.Member{}
	for _, r := range rows {
		m := policy.Member{Feed: feeds[r.zone], Family: 1, Threat: 1, Kind: r.kind, Action: r.action, Confidence: policy.ConfidenceUnknown, Expiry: r.expiry}
		if r.data != nil {
			manifest.Data = append(manifest.Data, *r.data)
			m.Data, m.Action = uint32(len(manifest.Data)), policy.ActionLocalData
		}
		n := dnsname.MustParse(cmp.Or(r.name, ".")).Canonical()
		if r.match != "" {
			key, _ := policy.AppendPatternKey(nil, r.match)
			n = dnsname.Name(key)
			manifest.Feeds[m.Feed].Triggers.Pattern++
		}
		if r.prefix != "" {
			n = dnsname.Name(policy.AppendPrefixKey(nil, policy.TriggerIP, netip.MustParsePrefix(r.prefix)))
			manifest.Feeds[m.Feed].Triggers.IP++
		}
		if r.server {
			key, _ := policy.AppendNameKey(nil, []byte(n))
			n = dnsname.Name(key)
			manifest.Feeds[m.Feed].Triggers.NSDNAME++
		}
		members[n] = append(members[n], m)
	}
	return openPolicy(t, generation, zones, members, manifest)
}

func openPolicy(t testing.TB, generation uint64, zones []policy.Zone, members map[dnsname.Name][]policy.Member, manifest policy.Manifest) *policy.Policy {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{Names: len(members)})
	for _, n := range slices.Sorted(maps.Keys(members)) {
		must(t, b.Add([]byte(n), b.AddSet(policy.EncodeSet(members[n]))))
	}
	text, err := json.Marshal(manifest)
	must(t, err)
	path := filepath.Join(t.TempDir(), "policy.idx")
	_, err = b.WriteFile(path, text)
	must(t, err)
	index, err := nameindex.Open(path, nameindex.OpenOptions{})
	must(t, err)
	p, err := policy.New(policy.Config{Generation: generation, Zones: zones, Index: index, AnswerEarly: true})
	must(t, err)
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sink is a zone as an operator would have it.
func sink(name string, action policy.Action) policy.Zone {
	return policy.Zone{Name: name, Action: action, TTL: 10, TTLMax: 60, EDE: 15,
		IPv4: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, IPv6: []netip.Addr{netip.MustParseAddr("2001:db8::53")}}
}

// world is a resolver that knows a few answers by heart, in presentation format: "name type" -> records, an rcode in angle brackets first.
type world struct {
	answers    map[string]string
	fail       error
	stale      bool
	asked      atomic.Int64
	prefetched atomic.Int64
	cache      *rrcache.Cache
	raw        []byte // given for everything, if set
}

func (r *world) Resolve(_ context.Context, k *rrcache.Key, dst []byte) (dnsserver.Resolved, error) {
	r.asked.Add(1)
	if r.fail != nil {
		return dnsserver.Resolved{}, r.fail
	}
	if r.raw != nil {
		return dnsserver.Resolved{Msg: append(dst[:0], r.raw...), EDE: policy.EDENone}, nil
	}
	msg := r.message(k)
	r.cache.Put(k, msg, time.Now().UnixNano())
	return dnsserver.Resolved{Msg: append(dst[:0], msg...), Stale: r.stale, EDE: policy.EDENone}, nil
}

func (r *world) Prefetch(*rrcache.Key) { r.prefetched.Add(1) }

// message packs the answer to k as rrcache gives it.
func (r *world) message(k *rrcache.Key) []byte {
	m := new(dns.Msg)
	m.Response, m.RecursionAvailable, m.Compress = true, true, true
	name := dns.Fqdn(dnsname.Name(k.Name).String())
	m.Question = []dns.Question{{Name: name, Qtype: k.Type, Qclass: k.Class}}
	text, ok := r.answers[strings.TrimSuffix(name, ".")+" "+dns.TypeToString[k.Type]]
	if !ok {
		m.Rcode = dns.RcodeNameError
		m.Ns = append(m.Ns, mustRR("example. 60 SOA ns.example. host.example. 1 3600 600 86400 60"))
	}
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case line == "":
		case line == "<SERVFAIL>":
			m.Rcode = dns.RcodeServerFailure
		case line == "<AD>":
			m.AuthenticatedData = true
		default:
			m.Answer = append(m.Answer, mustRR(line))
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func mustRR(s string) dns.RR {
	rr, err := dns.NewRR(s)
	if err != nil {
		panic(err)
	}
	return rr
}

// bench is a server without sockets.
type bench struct {
	t       testing.TB
	core    *dnsserver.Core
	worker  *dnsserver.Worker
	world   *world
	cache   *rrcache.Cache
	policy  atomic.Pointer[policy.Policy]
	policyN atomic.Int64 // how often the policy was taken
	q, late dnsserver.Query
	now     time.Time
	peer    netip.AddrPort
	local   netip.AddrPort
	tcp     bool
	out     []byte
	tap     *tap // if set, takes what is recorded
}

// options change what newBench makes.
type options struct {
	policy    *policy.Policy
	settings  func(*dnsserver.Settings)
	answers   map[string]string
	sightings *sighting.Store
	queries   *querylog.Log
	policyFn  func() *policy.Policy
	paths     dnsserver.PathFinder
	zones     func() *zone.Set
	referral  func(*rrcache.Key) []byte
}

func newBench(t testing.TB, o options) *bench {
	t.Helper()
	cache, err := rrcache.New(rrcache.Config{Bytes: 4 << 20})
	must(t, err)
	b := &bench{t: t, cache: cache, world: &world{answers: o.answers, cache: cache}, now: time.Now(),
		peer: netip.MustParseAddrPort("192.168.1.2:5353"), local: netip.MustParseAddrPort("192.168.1.1:53"), out: make([]byte, 65535)}
	b.policy.Store(o.policy)
	settings := dnsserver.DefaultSettings()
	if o.settings != nil {
		o.settings(&settings)
	}
	if o.policyFn == nil {
		o.policyFn = func() *policy.Policy { b.policyN.Add(1); return b.policy.Load() }
	}
	b.core, err = dnsserver.NewCore(dnsserver.Config{Policy: o.policyFn, Cache: cache, Resolver: b.world, Zones: o.zones, Notices: new(noticesTaken), Referral: o.referral, Paths: o.paths, Sightings: o.sightings,
		Queries: o.queries, Settings: settings, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	b.worker = dnsserver.NewWorker(b.core)
	return b
}

// fill prepares the Query as a transport does.
func (b *bench) fill(in []byte) {
	q := &b.q
	q.Begin()
	q.In, q.Out, q.Time = in, b.out, b.now
	q.Peer, q.Client, q.Local = b.peer, b.peer, b.local
	q.Transport = policy.TransportUDP
	if b.tcp {
		q.Transport = policy.TransportTCP
	}
}

// send takes one message through the path, over the network if need be, and returns the reply; nil if it was dropped.
func (b *bench) send(in []byte) []byte {
	b.t.Helper()
	b.fill(in)
	verdict, q := dnsserver.Answer(b.worker, &b.q), &b.q
	shared := b.worker
	for steps := 0; verdict == dnsserver.NeedNetwork; steps++ {
		if steps == 3 {
			b.t.Fatal("the query asks for the network again and again")
		}
		if q == &b.q {
			shared = dnsserver.NewShared(b.core)
			if b.tap != nil {
				dnsserver.TapShared(shared, sharedEvents{b.tap}, sharedRecords{b.tap})
			}
			dnsserver.CopyTo(&b.q, &b.late)
			clear(in) // the socket's buffer is used for the next packet
			q = &b.late
			q.Out = make([]byte, len(b.out))
		}
		dnsserver.Resolve(context.Background(), shared, q)
		verdict = dnsserver.Answer(shared, q)
	}
	if verdict == dnsserver.Dropped {
		return nil
	}
	return q.Reply
}

// ask sends m and reads the reply, which it checks for what must hold of every reply.
func (b *bench) ask(m *dns.Msg) *dns.Msg {
	b.t.Helper()
	in, err := m.Pack()
	must(b.t, err)
	reply := b.send(in)
	if reply == nil {
		return nil
	}
	var r dns.Msg
	if err := r.Unpack(reply); err != nil {
		b.t.Fatalf("reply %x does not unpack: %v", reply, err)
	}
	if r.Id != m.Id || !r.Response || r.Opcode != m.Opcode {
		b.t.Errorf("header = %v, want the id and opcode of %v", r.MsgHdr, m.MsgHdr)
	}
	if !slices.Equal(r.Question, m.Question) {
		b.t.Errorf("question = %v, want %v, letter case included", r.Question, m.Question)
	}
	if (r.IsEdns0() != nil) != (m.IsEdns0() != nil) {
		b.t.Errorf("OPT in reply: %v, in query: %v", r.IsEdns0(), m.IsEdns0())
	}
	return &r
}

// query makes a question with EDNS, as most clients send it.
func query(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, false)
	return m
}

// text is the part of a reply that tests compare: response code, flags that matter, extended error, records.
func text(r *dns.Msg) string {
	if r == nil {
		return "dropped"
	}
	var b strings.Builder
	rcode := dns.RcodeToString[r.Rcode]
	if r.Rcode == dns.RcodeBadVers { // shares its number with BADSIG
		rcode = "BADVERS"
	}
	b.WriteString(rcode)
	for _, f := range []struct {
		name string
		set  bool
	}{{"AA", r.Authoritative}, {"TC", r.Truncated}, {"AD", r.AuthenticatedData}} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	if code, ok := edeOf(r); ok {
		b.WriteString(" EDE" + itoa(code))
	}
	for _, s := range []struct {
		name string
		rrs  []dns.RR
	}{{"", r.Answer}, {"auth ", r.Ns}} {
		for _, rr := range s.rrs {
			b.WriteString("\n" + s.name + strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	return b.String()
}

func itoa(n uint16) string { return string(json.RawMessage(must1(json.Marshal(n)))) }

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func edeOf(r *dns.Msg) (uint16, bool) {
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.InfoCode, true
			}
		}
	}
	return 0, false
}

func expect(t *testing.T, r *dns.Msg, want ...string) {
	t.Helper()
	if got, want := text(r), strings.Join(want, "\n"); got != want {
		t.Errorf("reply:\n%s\nwant:\n%s", got, want)
	}
}

var errUnreachable = errors.New("no upstream answers")
