package zone_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
	"cenote/zone"
)

const (
	rollTTL    = 2 * time.Hour // of the data of the zone that is rolled
	rollParent = 6 * time.Hour // of the DS records of its parent
)

// rolled is a zone that is rolled, with the servers of its parent, and what anybody may have kept of the two.
type rolled struct {
	t        *testing.T
	s        zone.Signed
	plain    *zone.Zone
	served   *zone.Zone
	at       time.Time
	versions []version // of the zone
	parent   []parentVersion
	askedFor time.Time // when the parent saw that it should have other DS records
	delay    time.Duration
}

// version is what the zone said from a time on.
type version struct {
	from, until time.Time
	keys, data  *dnssec.Set
	other       *dnssec.Set
	signers     string                  // which keys sign together, of all sets: "1,2 3"
	zones       map[string]*dnssec.Zone // by the DS set that leads to the keys
}

type parentVersion struct {
	from, until time.Time
	ds          [][]byte
}

func newRolled(t *testing.T, p zone.Signing) *rolled {
	p.ParentTTL, p.Propagation = rollParent, time.Hour
	plain := load(t, "example", strings.Replace(sample, "$TTL 3600", "$TTL 7200", 1))
	r := &rolled{t: t, s: beginSigning(t, "example", t.TempDir(), p), plain: plain, at: now}
	r.parent = []parentVersion{{from: now}}
	r.note(plain) // what was served before, without signatures
	r.step()
	return r
}

// step goes on by half an hour: the zone is signed where it is due, the parent looks at CDS, and everybody who may have kept anything validates.
func (r *rolled) step() {
	r.t.Helper()
	if r.served == nil || r.s.Due(r.at) {
		next, _ := sign(r.t, r.s, r.plain, r.served, r.at)
		if r.served == nil || next.Serial() != r.served.Serial() {
			r.note(next)
		}
		r.served = next
	}
	r.follow()
	if r.s.Waits(r.at) {
		r.s.Observe(r.parent[len(r.parent)-1].ds, r.at)
	}
	r.validate()
	r.at = r.at.Add(30 * time.Minute)
}

func (r *rolled) run(until time.Time) {
	r.t.Helper()
	for r.at.Before(until) && !r.t.Failed() {
		r.step()
	}
}

// note keeps what a new version says.
func (r *rolled) note(z *zone.Zone) {
	www := dnsname.MustParse("www.example")
	v := version{from: r.at, keys: setIn(z, z.Name(), wire.TypeDNSKEY), data: setIn(z, www, wire.TypeA), other: setIn(z, z.Name(), wire.TypeNS), signers: signersOf(z), zones: map[string]*dnssec.Zone{}}
	if n := len(r.versions); n > 0 {
		last := &r.versions[n-1]
		if same := func(a, b *dnssec.Set) bool {
			return slices.EqualFunc(a.RData, b.RData, bytes.Equal) && slices.EqualFunc(a.Sigs, b.Sigs, bytes.Equal)
		}; same(last.keys, v.keys) && same(last.data, v.data) && same(last.other, v.other) && last.signers == v.signers {
			return
		}
		last.until = r.at
	}
	r.versions = append(r.versions, v)
	oldest := r.at.Add(-24 * time.Hour)
	r.versions = slices.DeleteFunc(r.versions, func(v version) bool { return !v.until.IsZero() && v.until.Before(oldest) })
}

// signersOf tells which keys sign together, each combination once.
func signersOf(z *zone.Zone) string {
	sets := map[string][]string{}
	for r := range z.All() {
		if r.Type == wire.TypeRRSIG {
			set := fmt.Sprint(r.Owner, r.Data[:2])
			sets[set] = append(sets[set], fmt.Sprint(uint16(r.Data[16])<<8|uint16(r.Data[17])))
		}
	}
	var out []string
	for _, tags := range sets {
		out = append(out, strings.Join(tags, ","))
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// follow is the parent: some hours after the zone has other CDS records, properly signed, its DS records are those (RFC 8078 section 3).
func (r *rolled) follow() {
	cds := setIn(r.served, r.served.Name(), 59)
	if len(cds.RData) == 0 {
		return
	}
	want := cds.RData
	if bytes.Equal(want[0], dnssec.DeleteCDS()) {
		want = nil
	}
	last := &r.parent[len(r.parent)-1]
	same := slices.EqualFunc(want, last.ds, bytes.Equal)
	switch {
	case same:
		r.askedFor = time.Time{}
	case r.askedFor.IsZero():
		r.askedFor = r.at
	case r.at.Sub(r.askedFor) >= r.delay:
		if len(last.ds) > 0 {
			trusted, verdict := dnssec.Trust([]byte(r.served.Name()), last.ds, setIn(r.served, r.served.Name(), wire.TypeDNSKEY), r.at, dnssec.NewWork())
			if verdict.Status != dnssec.Secure || trusted.Check(cds, r.at, dnssec.NewWork()).Status != dnssec.Secure {
				r.t.Fatalf("%v: the parent cannot believe the CDS records: %v", r.at, verdict)
			}
		}
		last.until = r.at
		r.parent = append(r.parent, parentVersion{from: r.at, ds: want})
	}
}

// validate is all validators that may have kept parts of different ages: DS, keys and data each as old as their TTL and the hour in which a change spreads.
func (r *rolled) validate() {
	kept := func(until time.Time, ttl time.Duration) bool {
		return until.IsZero() || until.Add(ttl+time.Hour).After(r.at)
	}
	for i := range r.parent {
		p := &r.parent[i]
		if !kept(p.until, rollParent) || len(p.ds) == 0 {
			continue
		}
		for j := range r.versions {
			if v := &r.versions[j]; kept(v.until, time.Hour) {
				r.validateWith(p.ds, v, kept)
			}
		}
	}
}

func (r *rolled) validateWith(ds [][]byte, keys *version, kept func(time.Time, time.Duration) bool) {
	trusted := keys.zones[fmt.Sprintf("%x", ds)]
	if trusted == nil {
		var verdict dnssec.Verdict
		if trusted, verdict = dnssec.Trust([]byte(r.plain.Name()), ds, keys.keys, r.at, dnssec.NewWork()); verdict.Status != dnssec.Secure {
			r.t.Errorf("%v: keys of %v: %v", r.at, keys.from, verdict)
			return
		}
		keys.zones[fmt.Sprintf("%x", ds)] = trusted
	}
	for i := range r.versions {
		v := &r.versions[i]
		if !kept(v.until, rollTTL) {
			continue
		}
		for _, s := range []*dnssec.Set{v.data, v.other} {
			if c := trusted.Check(s, r.at, dnssec.NewWork()); c.Status != dnssec.Secure {
				r.t.Errorf("%v: data of %v with keys of %v: %v", r.at, v.from, keys.from, c.Verdict)
			}
			r.everyAlgorithm(s, keys)
		}
		r.everySet(v, keys)
	}
}

// everyAlgorithm wants what strict validators want: signatures of each algorithm that the zone's keys have (RFC 4035 section 2.2).
func (r *rolled) everyAlgorithm(s *dnssec.Set, keys *version) {
	for _, key := range keys.keys.RData {
		if !slices.ContainsFunc(s.Sigs, func(sig []byte) bool { return sig[2] == key[3] }) {
			r.t.Errorf("%v: no signature of algorithm %d, which the keys of %v have", r.at, key[3], keys.from)
		}
	}
}

// everySet wants each set to have a signature by one of the keys.
func (r *rolled) everySet(data, keys *version) {
	for tags := range strings.FieldsSeq(data.signers) {
		if !slices.ContainsFunc(keys.keys.RData, func(key []byte) bool {
			return slices.Contains(strings.Split(tags, ","), fmt.Sprint(dnssec.KeyTag(key)))
		}) {
			r.t.Errorf("%v: sets of %v are signed by %s, which are not among the keys of %v", r.at, data.from, tags, keys.from)
		}
	}
}

// keys are the DNSKEY records of the zone's keys now, sorted. Their tags would not do: a key may have that of one which has gone.
func (r *rolled) keys() (out []string) {
	for _, k := range r.s.Keys(r.at) {
		out = append(out, k.DNSKEY)
	}
	slices.Sort(out)
	return out
}

// TestKeysAreRolledWithoutAGap rolls keys of all kinds by the clock, with a parent that follows CDS records after some hours, and validators that have kept all
// that they may.
func TestKeysAreRolledWithoutAGap(t *testing.T) {
	const day = 24 * time.Hour
	week := zone.Signing{Validity: 4 * day, Refresh: 2 * day}
	with := func(change func(*zone.Signing)) zone.Signing {
		p := week
		change(&p)
		return p
	}
	for _, tc := range []struct {
		name         string
		first, later zone.Signing
	}{
		{"one key, by age", with(func(p *zone.Signing) { p.Lifetime = 10 * day }), zone.Signing{}},
		{"two keys, by age", with(func(p *zone.Signing) { p.Split, p.Lifetime, p.ZSKLifetime = true, 11*day, 7*day }), zone.Signing{}},
		{"another algorithm", week, with(func(p *zone.Signing) { p.Algorithm = dnssec.Ed25519 })},
		{"another algorithm for two keys", with(func(p *zone.Signing) { p.Split = true }), with(func(p *zone.Signing) { p.Split, p.Algorithm = true, dnssec.Ed25519 })},
		{"from one key to two", week, with(func(p *zone.Signing) { p.Split = true })},
		{"from two keys to one, of another algorithm", with(func(p *zone.Signing) { p.Split = true }), with(func(p *zone.Signing) { p.Algorithm = dnssec.Ed25519 })},
		{"from NSEC to NSEC3", with(func(p *zone.Signing) { p.Lifetime = 9 * day }), with(func(p *zone.Signing) { p.Denial = zone.DenialNSEC3 })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRolled(t, tc.first)
			r.run(now.Add(6 * day))
			first := r.keys()
			if len(r.parent) < 2 {
				t.Fatal("the parent has no DS records after six days")
			}
			if tc.later.Validity != 0 {
				tc.later.ParentTTL, tc.later.Propagation = rollParent, time.Hour
				if err := r.s.SetPolicy(tc.later); err != nil {
					t.Fatal(err)
				}
			}
			r.run(now.Add(22 * day))
			if last := r.keys(); tc.name != "from NSEC to NSEC3" && slices.ContainsFunc(first, func(key string) bool { return slices.Contains(last, key) }) {
				t.Errorf("keys %v are there still among %v", first, last)
			}
			verifySigned(t, r.served, r.at)
		})
	}
}

// TestRollWaitsForTheParent rolls a key beside a parent that never follows: the old key stays, until somebody says that the DS record is another.
func TestRollWaitsForTheParent(t *testing.T) {
	r := newRolled(t, zone.Signing{Validity: 2 * 24 * time.Hour, Lifetime: 5 * 24 * time.Hour})
	r.run(now.Add(4 * 24 * time.Hour))
	r.delay = 1000 * time.Hour
	first := r.keys()
	r.run(now.Add(30 * 24 * time.Hour))
	if keys := r.keys(); len(keys) != 2 || !slices.Contains(keys, first[0]) {
		t.Errorf("keys %v, want two with %s", keys, first[0])
	}
	r.delay = 0
	r.run(now.Add(34 * 24 * time.Hour))
	if keys := r.keys(); slices.Contains(keys, first[0]) {
		t.Errorf("keys %v, and %s should have gone", keys, first[0])
	}
}

// TestWithdrawAsksForNoDS has a zone ask its parent to end the chain (RFC 8078 section 4).
func TestWithdrawAsksForNoDS(t *testing.T) {
	p := zone.Signing{Validity: 2 * 24 * time.Hour, ParentTTL: rollParent, Propagation: time.Hour}
	r := newRolled(t, p)
	r.run(now.Add(2 * 24 * time.Hour))
	p.Withdraw = true
	if err := r.s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	r.run(now.Add(4 * 24 * time.Hour))
	if ds := r.parent[len(r.parent)-1].ds; len(r.parent) != 3 || len(ds) != 0 {
		t.Errorf("the parent went through %d states, and has %x", len(r.parent), ds)
	}
}
