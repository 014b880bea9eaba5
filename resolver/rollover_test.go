package resolver_test

import (
	"context"
	"crypto"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

const day = 24 * time.Hour

// rolling is a root whose keys roll over, and a resolver that follows them by a clock of its own.
type rolling struct {
	*rooted
	t     *testing.T
	clock *clock
	store memory
	keys  map[string]*rootKey // by letter

	mu      sync.Mutex // guards the rest
	shown   []string   // the keys that the root shows now: letters, with "!" behind one that is revoked
	signers []string   // those that sign them

	stop func()
}

// rootKey is a key of the root that signs its keys.
type rootKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

// memory keeps the state of trust anchors over restarts.
type memory struct {
	mu  sync.Mutex
	all map[dnsname.Name][]byte
}

func (m *memory) Load(zone dnsname.Name) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[zone] == nil {
		return nil, fs.ErrNotExist
	}
	return m.all[zone], nil
}

func (m *memory) Save(zone dnsname.Name, text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[zone] = text
	return nil
}

// newRolling starts a root and a resolver that trusts some of its keys.
func newRolling(t *testing.T, trusted string) *rolling {
	t.Helper()
	r := &rolling{t: t, clock: newClock(), store: memory{all: map[dnsname.Name][]byte{}}, keys: map[string]*rootKey{}, stop: func() {}}
	taken := map[uint16]bool{0: true} // which the library takes for a tag that nobody has set
	for _, letter := range []string{"a", "b", "c"} {
		r.keys[letter] = newRootKey(t, taken)
	}
	tree := dnstest.StartTree(t, "zone . server a.root.test @1 sign\nwww A 192.0.2.1\n")
	tree.SetClock(r.clock.now)
	tree.Hook("@1", r.showKeys)
	hints, err := resolver.ReadHints(strings.NewReader(tree.RootHints()), "hints")
	if err != nil {
		t.Fatal(err)
	}
	r.rooted = &rooted{tree: tree, hints: hints, config: resolver.Config{Now: r.clock.now, Timeouts: slowMachine, Recursion: &resolver.Recursion{
		Hints: hints, Port: tree.Port(), Never: []netip.Prefix{}, NoIPv6: true, Anchors: r.anchors(trusted), Follow: true, AnchorStore: &r.store,
	}}}
	t.Cleanup(func() { r.stop() })
	r.restarts()
	return r
}

// newRootKey makes a key whose tag, revoked or not, is not taken, and takes it: keys are told apart by their tags here.
func newRootKey(t *testing.T, taken map[uint16]bool) *rootKey {
	t.Helper()
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	for {
		private, err := k.Generate(256)
		if err != nil {
			t.Fatal(err)
		}
		revoked := *k
		revoked.Flags |= dns.REVOKE
		if tags := [2]uint16{k.KeyTag(), revoked.KeyTag()}; !taken[tags[0]] && !taken[tags[1]] {
			taken[tags[0]], taken[tags[1]] = true, true
			return &rootKey{k, private.(crypto.Signer)}
		}
	}
}

// anchors are trust anchors for keys.
func (r *rolling) anchors(letters string) []dnssec.AnchorRecord {
	var text strings.Builder
	for letter := range strings.FieldsSeq(letters) {
		fmt.Fprintln(&text, r.keys[letter].DNSKEY)
	}
	anchors, err := dnssec.ParseAnchors("anchors", []byte(text.String()))
	if err != nil {
		r.t.Fatal(err)
	}
	return anchors
}

// showKeys puts the keys of the test beside the one of the tree that signs its data.
func (r *rolling) showKeys(q dnstest.Query, right *dns.Msg) *dns.Msg {
	if q.Name != "." || q.Type != dns.TypeDNSKEY {
		return right
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	set := slices.DeleteFunc(right.Answer, func(rr dns.RR) bool {
		k, ok := rr.(*dns.DNSKEY)
		return !ok || k.Flags != 256
	})
	for _, name := range r.shown {
		set = append(set, r.key(name).DNSKEY)
	}
	all := slices.Clone(set)
	for _, name := range r.signers {
		all = append(all, r.key(name).sign(r.t, set, r.clock.now()))
	}
	right.Answer = all
	return right
}

// key is the key of a letter, revoked if "!" is behind it.
func (r *rolling) key(name string) *rootKey {
	letter, revoked := strings.CutSuffix(name, "!")
	k := *r.keys[letter]
	if revoked {
		c := *k.DNSKEY
		c.Flags |= dns.REVOKE
		k.DNSKEY = &c
	}
	return &k
}

func (k *rootKey) sign(t *testing.T, set []dns.RR, now time.Time) dns.RR {
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Ttl: 300}, Algorithm: k.Algorithm, KeyTag: k.KeyTag(), SignerName: ".",
		Inception: uint32(now.Add(-7 * day).Unix()), Expiration: uint32(now.Add(7 * day).Unix())}
	if err := sig.Sign(k.private, set); err != nil {
		t.Error(err)
	}
	return sig
}

// restarts ends the resolver, if there is one, and starts one that has nothing but what was saved.
func (r *rolling) restarts() {
	r.t.Helper()
	r.stop()
	cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
	if err != nil {
		r.t.Fatal(err)
	}
	r.config.Cache = cache
	if r.Resolver, err = resolver.New(r.config); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func(run func(context.Context) error) { ended <- run(ctx) }(r.Run)
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
}

// shows has the root show keys that some of them sign, and the resolver look at once that the hour has passed in which it does not look.
func (r *rolling) shows(keys, signers string) {
	r.t.Helper()
	r.mu.Lock()
	r.shown, r.signers = strings.Fields(keys), strings.Fields(signers)
	r.mu.Unlock()
	r.passes(day)
}

// passes moves the clock on, a day at a time.
func (r *rolling) passes(d time.Duration) {
	r.t.Helper()
	for ; d > 0; d -= day {
		r.clock.advance(min(day, d))
		r.FollowDue(r.t.Context())
	}
}

// state compares the states of keys with what they should be: "a valid, b pending".
func (r *rolling) state(want string) {
	r.t.Helper()
	var a dnssec.Anchors
	if err := a.UnmarshalText([]byte(r.Anchors()[dnsname.Root])); err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, letter := range []string{"a", "b", "c"} {
		for _, k := range a.Keys {
			if k.Tag() == r.keys[letter].KeyTag() {
				got = append(got, letter+" "+k.State.String())
			}
		}
	}
	if strings.Join(got, ", ") != want {
		r.t.Errorf("the keys are %q, want %q", strings.Join(got, ", "), want)
	}
}

// finds asks for a name that the root has, an hour later, when nothing is remembered of it.
func (r *rolling) finds(want string) {
	r.t.Helper()
	r.clock.advance(time.Hour)
	if got := r.ask(r.t, "www", "A"); !strings.HasPrefix(got, want) {
		r.t.Errorf("got %s, want %s", got, want)
	}
}

const proven, unproven, refused = "NOERROR AD\n", "NOERROR\n", "error: "

// TestTrustAnchorsRollOver plays roll-overs of the root (RFC 5011) as a resolver sees them that runs meanwhile, and one that is restarted in the middle.
func TestTrustAnchorsRollOver(t *testing.T) {
	for name, play := range map[string]func(r *rolling){
		"a stand-by key is added": func(r *rolling) {
			r.shows("a b", "a")
			r.state("a valid, b pending")
			r.passes(29 * day)
			r.state("a valid, b pending")
			r.passes(day)
			r.state("a valid, b valid")
			r.shows("a b", "b")
			r.finds(proven)
		},
		"a key rolls over by the book": func(r *rolling) {
			r.shows("a b", "a")
			r.passes(31 * day)
			r.shows("a! b", "a! b")
			r.state("a revoked, b valid")
			r.finds(proven)
			r.shows("b", "b")
			r.passes(31 * day)
			r.state("a removed, b valid")
			r.finds(proven)
			r.shows("a b", "a") // whoever has the old key has nothing
			r.state("a removed, b valid")
			r.finds(refused)
		},
		"a key is missing and comes back": func(r *rolling) {
			r.shows("a b", "a")
			r.passes(31 * day)
			r.shows("b", "b")
			r.state("a missing, b valid")
			r.passes(100 * day)
			r.state("a missing, b valid")
			r.shows("a b", "a")
			r.state("a valid, b valid")
			r.finds(proven)
		},
		"a key is revoked by others alone": func(r *rolling) {
			r.shows("a b", "a")
			r.passes(31 * day)
			r.shows("a! b", "b")
			r.state("a missing, b valid")
			r.shows("a b", "a")
			r.state("a valid, b valid")
			r.finds(proven)
		},
		"all keys are revoked": func(r *rolling) {
			r.shows("a", "a")
			r.shows("a!", "a!")
			r.state("a revoked")
			r.finds(unproven) // as without a trust anchor (RFC 5011 section 5)
			r.shows("a", "a")
			r.state("a revoked")
			r.finds(unproven)
		},
		"a pending key vanishes": func(r *rolling) {
			r.shows("a b", "a")
			r.passes(28 * day)
			r.shows("a", "a")
			r.state("a valid")
			r.shows("a b", "a")
			r.passes(29 * day)
			r.state("a valid, b pending")
			r.shows("a b", "b")
			r.finds(refused)
			r.shows("a b", "a")
			r.state("a valid, b valid")
		},
		"a restart in the middle": func(r *rolling) {
			r.shows("a b", "a")
			r.passes(20 * day)
			r.restarts()
			r.passes(9 * day)
			r.state("a valid, b pending")
			r.passes(day)
			r.state("a valid, b valid")
			r.restarts()
			r.shows("a! b", "a! b")
			r.restarts()
			r.state("a revoked, b valid") // which the configuration trusts
			r.finds(proven)
		},
		"nobody answers for a while": func(r *rolling) {
			r.shows("a b", "a")
			r.passes(20 * day)
			r.tree.Kill("@1")
			r.passes(15 * day)
			r.state("a valid, b pending")
			if err := r.tree.Mend(); err != nil {
				r.t.Fatal(err)
			}
			r.passes(day)
			r.state("a valid, b valid")
			r.finds(proven)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(newRolling(t, "a"))
		})
	}
}

// slowStore keeps the state of anchors on a disk that hangs.
type slowStore struct{ reached, release chan bool }

func (s slowStore) Load(dnsname.Name) ([]byte, error) {
	close(s.reached)
	<-s.release
	return nil, fs.ErrNotExist
}

func (s slowStore) Save(dnsname.Name, []byte) error { return nil }

// TestAnchorsAreReadBesideQuestions: a reload that waits for the file of an anchor keeps no question waiting.
func TestAnchorsAreReadBesideQuestions(t *testing.T) {
	r := startRooted(t, signedInternet)
	anchors, err := dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
	if err != nil {
		t.Fatal(err)
	}
	store := slowStore{make(chan bool), make(chan bool)}
	config := r.config
	changed := *config.Recursion
	changed.Anchors, changed.AnchorStore = anchors, store
	config.Recursion = &changed
	ended := make(chan error)
	go func() { ended <- r.Update(config) }()
	<-store.reached
	if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR\n") {
		t.Error(got)
	}
	close(store.release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Error(got)
	}
}
