package dnssec_test

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/miekg/dns"
)

// world is a small signed zone, and what is true in it. It is written apart from the code under test: what exists, what stands for what and
// which records prove it is worked out anew here.
type world struct {
	apex   dnsname.Name
	sets   map[dnsname.Name]map[uint16][]dns.RR // all that the zone file has, what is below cuts too
	exists map[dnsname.Name]bool                // authoritative names, empty ones among them
	signed map[dnsname.Name]map[uint16]*dnssec.Set
	chain  []*dnssec.Set // NSEC or NSEC3
	hash   string        // "" for NSEC
	salt   string
	rounds uint16
	optOut bool
	key    *signer
	zone   *dnssec.Zone

	checked map[*dnssec.Set]bool // what came of proofs that were checked before
}

// worldKind is how a zone denies.
type worldKind struct {
	nsec3, optOut bool
	salt          string
	rounds        uint16
}

func (k worldKind) String() string {
	switch {
	case k.optOut:
		return "NSEC3 with opt-out"
	case k.nsec3:
		return fmt.Sprintf("NSEC3 with %d iterations", k.rounds)
	}
	return "NSEC"
}

// newWorld signs the zone apex with these lines, whose names are relative to it.
func newWorld(t testing.TB, key *signer, apex string, kind worldKind, lines string) *world {
	t.Helper()
	k := *key.key
	k.Hdr.Name = apex
	w := &world{apex: dnsname.Name(name(apex)), sets: map[dnsname.Name]map[uint16][]dns.RR{}, signed: map[dnsname.Name]map[uint16]*dnssec.Set{},
		checked: map[*dnssec.Set]bool{}, key: &signer{key: &k, private: key.private, life: key.life}, optOut: kind.optOut, salt: kind.salt, rounds: kind.rounds}
	lines = "@ 300 IN SOA ns root 1 2 3 4 300\n@ 300 IN NS ns.outside.test.\n" + lines
	z := dns.NewZoneParser(strings.NewReader(lines), apex, "")
	for rr, ok := z.Next(); ok; rr, ok = z.Next() {
		w.put(rr)
	}
	if z.Err() != nil {
		t.Fatal(z.Err())
	}
	w.put(w.key.key)
	w.findNames()
	w.signSets(t)
	if kind.nsec3 {
		w.makeNSEC3(t)
	} else {
		w.makeNSEC(t)
	}
	w.zone = zoneOf(t, w.key)
	return w
}

func (w *world) put(rr dns.RR) {
	n := dnsname.Name(name(rr.Header().Name))
	if w.sets[n] == nil {
		w.sets[n] = map[uint16][]dns.RR{}
	}
	w.sets[n][rr.Header().Rrtype] = append(w.sets[n][rr.Header().Rrtype], rr)
}

// above returns the cut or DNAME that a name is at or below; how is "" if there is none. A DNAME hides what is below it alone.
func (w *world) above(n dnsname.Name) (at dnsname.Name, how string) {
	for labels := w.apex.Labels(); labels <= n.Labels(); labels++ {
		at := n.Suffix(labels)
		switch sets := w.sets[at]; {
		case labels > w.apex.Labels() && sets[dns.TypeNS] != nil:
			return at, "cut"
		case labels < n.Labels() && sets[dns.TypeDNAME] != nil:
			return at, "dname"
		}
	}
	return "", ""
}

func (w *world) findNames() {
	w.exists = map[dnsname.Name]bool{}
	for n := range w.sets {
		if at, how := w.above(n); how == "" || how == "cut" && at == n {
			for ; n != w.apex; n = n.Parent() {
				w.exists[n] = true
			}
		}
	}
	w.exists[w.apex] = true
}

// authoritative reports whether the zone signs a set.
func (w *world) authoritative(n dnsname.Name, rtype uint16) bool {
	at, how := w.above(n)
	return how == "" || how == "cut" && at == n && rtype == dns.TypeDS
}

func (w *world) signSets(t testing.TB) {
	for n, sets := range w.sets {
		w.signed[n] = map[uint16]*dnssec.Set{}
		for rtype, rrs := range sets {
			if w.authoritative(n, rtype) {
				w.signed[n][rtype] = signedSet(t, rrs, w.key)
			}
		}
	}
}

// types is the bitmap of a name.
func (w *world) types(n dnsname.Name, extra ...uint16) []uint16 {
	var out []uint16
	for rtype := range w.sets[n] {
		if _, how := w.above(n); how == "" || rtype == dns.TypeNS || rtype == dns.TypeDS {
			out = append(out, rtype)
		}
	}
	out = append(out, extra...)
	slices.Sort(out)
	return out
}

func text(n dnsname.Name) string {
	if n.IsRoot() {
		return "."
	}
	return n.String() + "."
}

func (w *world) makeNSEC(t testing.TB) {
	owners := slices.SortedFunc(maps.Keys(w.exists), dnsname.Compare)
	owners = slices.DeleteFunc(owners, func(n dnsname.Name) bool { return w.sets[n] == nil })
	for i, n := range owners {
		rr := &dns.NSEC{Hdr: dns.RR_Header{Name: text(n), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: text(owners[(i+1)%len(owners)]), TypeBitMap: w.types(n, dns.TypeRRSIG, dns.TypeNSEC)}
		w.chain = append(w.chain, signedSet(t, []dns.RR{rr}, w.key))
	}
}

func (w *world) hashName(n dnsname.Name) string {
	return strings.ToLower(dns.HashName(text(n), dns.SHA1, w.rounds, w.salt))
}

// inChain reports whether a name has an NSEC3 record: with opt-out, delegations without DS have none, nor have names that exist for them alone.
func (w *world) inChain(n dnsname.Name) bool {
	if !w.optOut {
		return true
	}
	for other := range w.exists {
		if other != n && !other.IsBelow(n) || w.sets[other] == nil {
			continue
		}
		if at, how := w.above(other); how != "cut" || w.sets[at][dns.TypeDS] != nil {
			return true
		}
	}
	return false
}

func (w *world) makeNSEC3(t testing.TB) {
	w.hash = "sha1"
	byHash := map[string]dnsname.Name{}
	for n := range w.exists {
		if w.inChain(n) {
			byHash[w.hashName(n)] = n
		}
	}
	hashes := slices.Sorted(maps.Keys(byHash))
	flags := uint8(0)
	if w.optOut {
		flags = 1
	}
	for i, h := range hashes {
		n := byHash[h]
		var extra []uint16
		if _, how := w.above(n); w.sets[n] != nil && (how == "" || w.sets[n][dns.TypeDS] != nil) {
			extra = append(extra, dns.TypeRRSIG)
		}
		rr := &dns.NSEC3{Hdr: dns.RR_Header{Name: h + "." + strings.TrimPrefix(text(w.apex), "."), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300},
			Hash: dns.SHA1, Flags: flags, Iterations: w.rounds, SaltLength: uint8(len(w.salt) / 2), Salt: w.salt, HashLength: 20,
			NextDomain: strings.ToUpper(hashes[(i+1)%len(hashes)]), TypeBitMap: w.types(n, extra...)}
		w.chain = append(w.chain, signedSet(t, []dns.RR{rr}, w.key))
	}
}

// claim is what an answer says, or what is true: kind is "data", "alias", "no data", "name error", "cut" or "dname".
type claim struct{ kind, data string }

// truth looks a question up (RFC 1034 section 4.3.2).
func (w *world) truth(q dnsname.Name, qtype uint16) (claim, *dnssec.Set) {
	if at, how := w.above(q); how == "dname" || how == "cut" && (at != q || qtype != dns.TypeDS) {
		return claim{kind: how}, nil
	}
	n := q
	if !w.exists[q] {
		for n = q.Parent(); !w.exists[n]; n = n.Parent() {
		}
		if n = "\x01*" + n; !w.exists[n] {
			return claim{kind: "name error"}, nil
		}
	}
	kind, s := "data", w.signed[n][qtype]
	if s == nil {
		kind, s = "alias", w.signed[n][dns.TypeCNAME]
	}
	if s == nil {
		return claim{kind: "no data"}, nil
	}
	c := *s
	c.Name = []byte(q)
	return claim{kind, dataOf(s)}, &c
}

func dataOf(s *dnssec.Set) string {
	data := make([]string, len(s.RData))
	for i, r := range s.RData {
		data[i] = string(r)
		if s.Type == dns.TypeCNAME || s.Type == dns.TypeNS || s.Type == dns.TypeSOA || s.Type == dns.TypeDNAME {
			data[i] = strings.ToLower(data[i]) // names, in which case does not matter
		}
	}
	slices.Sort(data)
	return fmt.Sprintf("%d %q", s.Type, slices.Compact(data))
}

// prove returns the records of the chain that a server would send with an answer about q: those at or over q, what encloses it, and the wildcard.
func (w *world) prove(q dnsname.Name) []*dnssec.Set {
	encloser := w.provable(q)
	names := []dnsname.Name{q}
	if encloser != q {
		names = append(names, "\x01*"+encloser)
	}
	if w.hash != "" && encloser != q {
		names = append(names, encloser, q.Suffix(encloser.Labels()+1))
		names = names[1:] // the name itself is below what is denied
	}
	var out []*dnssec.Set
	for _, n := range names {
		if s := w.link(n); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// provable is the longest of a name and those above it that a record can show to exist.
func (w *world) provable(n dnsname.Name) dnsname.Name {
	for !w.exists[n] || w.hash != "" && !w.inChain(n) {
		n = n.Parent()
	}
	return n
}

// unprovable reports whether a name is below an empty one that exists for delegations without DS alone, beside a wildcard: then it does not exist,
// and no record can say so, since it is the wildcard's name as far as records tell (RFC 5155 leaves this open).
func (w *world) unprovable(n dnsname.Name) bool {
	encloser := w.provable(n)
	return w.optOut && w.exists["\x01*"+encloser] && w.exists[n.Suffix(encloser.Labels()+1)]
}

// link is the record of the chain at or over a name: the last that does not come behind it.
func (w *world) link(n dnsname.Name) *dnssec.Set {
	if w.hash != "" {
		label := w.hashName(n)
		i := slices.IndexFunc(w.chain, func(s *dnssec.Set) bool { return string(s.Name[1:33]) > label })
		if i <= 0 { // before the first or behind the last, which are neighbours
			i = len(w.chain)
		}
		return w.chain[i-1]
	}
	best := w.chain[0]
	for _, s := range w.chain {
		if dnsname.Compare(dnsname.Name(s.Name), n) <= 0 {
			best = s
		}
	}
	return best
}

// reply is what somebody answered.
type reply struct {
	answer *dnssec.Set // nil for a negative answer
	nx     bool
	proofs []*dnssec.Set
}

func (r reply) claim(qtype uint16) claim {
	switch {
	case r.answer != nil && r.answer.Type == qtype:
		return claim{"data", dataOf(r.answer)}
	case r.answer != nil:
		return claim{"alias", dataOf(r.answer)}
	case r.nx:
		return claim{kind: "name error"}
	}
	return claim{kind: "no data"}
}

// honest is the true reply, if the zone has one.
func (w *world) honest(q dnsname.Name, qtype uint16) (reply, bool) {
	c, s := w.truth(q, qtype)
	if c.kind == "cut" || c.kind == "dname" {
		return reply{}, false
	}
	r := reply{answer: s, nx: c.kind == "name error"}
	if s == nil || !w.exists[q] {
		r.proofs = w.prove(q)
	}
	return r, true
}

// judge is what a resolver does with a reply: check everything, then ask for the proofs that it needs.
func (w *world) judge(q dnsname.Name, qtype uint16, r reply) dnssec.Verdict {
	work := dnssec.NewWork()
	work.Signatures, work.Failures = 100, 100
	d := dnssec.NewDenial([]byte(w.apex), w.secure(r.proofs, work), work)
	switch {
	case r.answer != nil:
		if string(r.answer.Name) != string(q) || r.answer.Type != qtype && r.answer.Type != dns.TypeCNAME {
			return dnssec.Verdict{Status: dnssec.Bogus}
		}
		c := w.zone.Check(r.answer, noon, work)
		if c.Status == dnssec.Secure && c.Wildcard {
			return d.Expanded([]byte(q), c.Encloser)
		}
		return c.Verdict
	case r.nx:
		return d.NameError([]byte(q))
	}
	return d.NoData([]byte(q), qtype)
}

func (w *world) secure(sets []*dnssec.Set, work *dnssec.Work) []*dnssec.Set {
	var out []*dnssec.Set
	for _, s := range sets {
		good, known := w.checked[s]
		if !known {
			good = w.zone.Check(s, noon, work).Status == dnssec.Secure
			w.checked[s] = good
		}
		if good {
			out = append(out, s)
		}
	}
	return out
}

// randomLines is a small random zone file.
func randomLines(r *rand.Rand) string {
	var b strings.Builder
	owner := func() string {
		labels := make([]string, 1+r.Intn(3))
		for i := range labels {
			labels[i] = string("abcd"[r.Intn(4)])
		}
		return strings.Join(labels, ".")
	}
	alone := map[string]bool{}
	for range 3 + r.Intn(8) {
		n := owner()
		if alone[n] {
			continue
		}
		switch r.Intn(10) {
		case 0:
			alone[n] = true
			fmt.Fprintf(&b, "%s 300 IN NS ns.%s\n%s 300 IN DS 1 13 2 %064x\nns.%s 300 IN A 192.0.2.9\n", n, n, n, r.Intn(100), n)
		case 1:
			alone[n] = true
			fmt.Fprintf(&b, "%s 300 IN NS ns.%s\nns.%s 300 IN A 192.0.2.9\n", n, n, n)
		case 2:
			alone["*."+n] = true
			fmt.Fprintf(&b, "*.%s 300 IN CNAME target.test.\n", n)
		case 3, 4:
			fmt.Fprintf(&b, "*.%s 300 IN A 192.0.2.%d\n", n, r.Intn(200))
		case 5:
			alone[n] = true
			fmt.Fprintf(&b, "%s 300 IN DNAME target.test.\n", n)
		default:
			fmt.Fprintf(&b, "%s 300 IN A 192.0.2.%d\n%s 300 IN TXT \"%d\"\n", n, r.Intn(200), n, r.Intn(9))
		}
	}
	return withoutClashes(b.String(), alone)
}

// withoutClashes drops lines that put other records beside a CNAME, a cut or a DNAME.
func withoutClashes(lines string, alone map[string]bool) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		f := strings.Fields(line)
		if alone[f[0]] && (f[3] == "A" || f[3] == "TXT") || strings.HasPrefix(f[0], "*.") && f[3] == "A" && alone[f[0]] {
			continue
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n") + "\n"
}

// randomQuestion is a name in or near what the zone has.
func randomQuestion(r *rand.Rand, apex dnsname.Name) (dnsname.Name, uint16) {
	n := apex
	for range r.Intn(5) {
		n, _ = n.Child(string("abcde*"[r.Intn(6)]))
	}
	return n, []uint16{dns.TypeA, dns.TypeTXT, dns.TypeDS, dns.TypeCNAME, dns.TypeNS, dns.TypeDNAME, dns.TypeMX}[r.Intn(7)]
}
