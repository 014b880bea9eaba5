package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// zoneSort is what a zone that judges look at is like: how it is signed, how its servers answer, and what is wrong with that.
type zoneSort struct {
	name   string
	words  string   // of its line, after its servers
	faults []string // without the "!"; "{zone}" is its name, "@A" and "@B" its servers
	second string   // words after those of its line at the second server, whose zone is another one then
	sub    bool     // it has zones below it, at the same servers
}

// soundSorts are zones that are signed well, or not at all.
var soundSorts = []zoneSort{
	{name: "ecdsa", words: "sign", sub: true},
	{name: "nsec3", words: "sign nsec3", sub: true},
	{name: "salted", words: "sign nsec3 iterations=10 salt=AABBCCDD", sub: true},
	{name: "optedout", words: "sign optout", sub: true},
	{name: "rsasha256", words: "sign alg=8", sub: true},
	{name: "rsasha512", words: "sign alg=10"},
	{name: "p384", words: "sign alg=14"},
	{name: "ed25519", words: "sign alg=15 nsec3"},
	{name: "csk", words: "sign keys=csk"},
	{name: "roll", words: "sign keys=ksk,standby,zsk,spare,revoked"},
	{name: "two", words: "sign alg=13,15"},
	{name: "digests", words: "sign digest=1,4"},
	{name: "unsigned", sub: true},
	{name: "island", words: "sign island", sub: true},
	{name: "unknownalgo", words: "sign alg=250", sub: true},
	{name: "unknowndigest", words: "sign digest=200"},
	{name: "iterations", words: "sign iterations=1000"},
}

// signedWrongly are zones whose signatures, keys or proofs are not as they should be.
var signedWrongly = []zoneSort{
	{name: "expired", words: "sign", faults: []string{"sign {zone} expired"}},
	{name: "future", words: "sign", faults: []string{"sign {zone} future"}},
	{name: "nosigs", words: "sign", faults: []string{"sign {zone} no-sigs"}, sub: true},
	{name: "wrongkey", words: "sign", faults: []string{"sign {zone} wrong-key"}},
	{name: "badsig", words: "sign", faults: []string{"sign {zone} bad-sig"}},
	{name: "badsigrsa", words: "sign alg=8", faults: []string{"sign {zone} bad-sig"}},
	{name: "wrongsigner", words: "sign", faults: []string{"sign {zone} wrong-signer"}},
	{name: "wrongtag", words: "sign", faults: []string{"sign {zone} wrong-tag"}},
	{name: "badds", words: "sign", faults: []string{"sign {zone} bad-ds"}, sub: true},
	{name: "nods", words: "sign", faults: []string{"sign {zone} no-ds"}},
	{name: "nodnskey", words: "sign", faults: []string{"sign {zone} no-dnskey"}, sub: true},
	{name: "badprotocol", words: "sign", faults: []string{"sign {zone} bad-protocol"}},
	{name: "nozoneflag", words: "sign", faults: []string{"sign {zone} no-zone-flag"}},
	{name: "unsignedkeys", words: "sign", faults: []string{"sign {zone} no-sigs type=DNSKEY"}},
	{name: "unproven", faults: []string{"sign {zone} missing-nsec"}},
	{name: "expiredds", words: "sign", faults: []string{"sign {zone} expired type=DS"}},
	{name: "onename", words: "sign", faults: []string{"sign www.{zone} expired"}},
	{name: "onetype", words: "sign", faults: []string{"sign {zone} bad-sig type=A"}},
	{name: "labels", words: "sign", faults: []string{"sign www.{zone} labels=2", "sign a.ent.{zone} labels=1", "sign x.new.{zone} labels=9"}},
	{name: "origttl", words: "sign", faults: []string{"sign www.{zone} origttl=30"}},
	{name: "extraalgo", words: "sign", faults: []string{"sign {zone} extra-algo"}},
	{name: "colliding", words: "sign", faults: []string{"sign {zone} colliding-keys=1"}},
	{name: "missing", words: "sign", faults: []string{"sign {zone} missing-nsec"}, sub: true},
	{name: "missing3", words: "sign nsec3", faults: []string{"sign {zone} missing-nsec"}, sub: true},
	{name: "wrongnsec", words: "sign", faults: []string{"sign {zone} wrong-nsec"}},
	{name: "wrongnsec3", words: "sign nsec3", faults: []string{"sign {zone} wrong-nsec"}},
	{name: "half", words: "sign", faults: []string{"sign {zone} half-nsec"}},
	{name: "half3", words: "sign nsec3", faults: []string{"sign {zone} half-nsec"}},
	{name: "badsoa", words: "sign", faults: []string{"sign {zone} bad-sig type=SOA"}},
	{name: "baddname", words: "sign", faults: []string{"sign old.{zone} bad-sig"}},
	{name: "badcname", words: "sign", faults: []string{"sign alias.{zone} expired"}},
}

// servedWrongly are zones whose servers do not answer as they should.
var servedWrongly = []zoneSort{
	{name: "lame", words: "sign", faults: []string{"@A * lame"}},
	{name: "lamehalf", words: "sign", faults: []string{"@B * lame"}},
	{name: "failing", words: "sign", faults: []string{"@A,@B * rcode=SERVFAIL"}},
	{name: "failinghalf", faults: []string{"@B * rcode=SERVFAIL"}},
	{name: "notimp", faults: []string{"@A,@B * rcode=NOTIMP"}},
	{name: "deadhalf", words: "sign", faults: []string{"@B * dead"}},
	{name: "noedns", faults: []string{"@A,@B * noedns"}},
	{name: "nodnssec", faults: []string{"@A,@B * nodnssec"}},
	{name: "noopt", faults: []string{"@A,@B * noopt"}},
	{name: "stripped", words: "sign", faults: []string{"@A,@B * nodnssec"}, sub: true},
	{name: "strippedhalf", words: "sign", faults: []string{"@B * nodnssec"}},
	{name: "formerr", words: "sign", faults: []string{"@A,@B * noedns"}},
	{name: "truncating", words: "sign", faults: []string{"@A,@B * truncate"}},
	{name: "notcp", words: "sign", faults: []string{"@A,@B * notcp"}},
	{name: "noaa", faults: []string{"@A,@B * noaa"}},
	{name: "noaasigned", words: "sign", faults: []string{"@A,@B * noaa"}},
	{name: "upward", faults: []string{"@A,@B * refer=."}},
	{name: "upwardhalf", words: "sign", faults: []string{"@B * refer=."}},
	{name: "loops", faults: []string{"@A,@B * refer={zone}"}},
	{name: "empty", faults: []string{"@A,@B * empty"}},
	{name: "nosoa", faults: []string{"@A,@B * nosoa"}},
	{name: "noglue", words: "sign", faults: []string{"@A,@B * noglue"}, sub: true},
	{name: "chatty", words: "sign", faults: []string{"@A,@B * chatty"}},
	{name: "folding", words: "sign", faults: []string{"@A,@B * lowercase"}},
	{name: "ents", faults: []string{"@A,@B ent.{zone} rcode=NXDOMAIN", "@A,@B c.ent.{zone} rcode=NXDOMAIN"}},
	{name: "refusesents", faults: []string{"@A,@B ent.{zone} lame", "@A,@B c.ent.{zone} lame"}},
	{name: "refusestypes", words: "sign", faults: []string{"@A,@B * type=TXT lame"}},
	{name: "keysfail", words: "sign", faults: []string{"@A,@B * type=DNSKEY rcode=SERVFAIL"}},
	{name: "expiredhalf", words: "sign", second: "inception=-48h expiration=-24h"},
	{name: "expiredhalf3", words: "sign nsec3", second: "inception=-48h expiration=-24h", sub: true},
	{name: "futurehalf", words: "sign alg=15", second: "inception=24h expiration=48h"},
	{name: "rolledhalf", words: "sign", second: "keys=csk"},
	{name: "dsfails", words: "sign", faults: []string{"@A,@B * type=DS rcode=SERVFAIL"}, sub: true},
}

// delegatedOddly are zones whose names of servers are not in them. Their servers are of the zone "ecdsa" or of each other.
var delegatedOddly = []zoneSort{
	{name: "glueless", words: "sign"},
	{name: "gluelessplain"},
	{name: "gluelesstwice"},
	{name: "cyclic"},
	{name: "homeless"},
	{name: "halfhomeless", words: "sign"},
	{name: "aliased"},
}

// topLevels are the top-level domains, and how they are signed.
var topLevels = []zoneSort{{name: "nsec", words: "sign"}, {name: "hashed", words: "sign alg=8 nsec3"}, {name: "optout", words: "sign optout"}, {name: "plain"}}

// judgedContent is what a zone has.
const judgedContent = `
	@           A     192.0.2.1
	@           MX    10 mail
	@           TXT   "the apex"
	www         A     192.0.2.2
	www         A     192.0.2.3
	www         AAAA  2001:db8::2
	www         TXT   "one" "two"
	mail        A     192.0.2.4
	alias       CNAME www
	alias2      CNAME alias
	nowhere     CNAME none
	loop        CNAME loop2
	loop2       CNAME loop
	*.wild      A     192.0.2.5
	*.wild      TXT   "wild"
	*.wildalias CNAME www
	a.wild2     A     192.0.2.6
	*.wild2     MX    10 mail
	a.ent       A     192.0.2.7
	b.c.ent     TXT   "deep"
	old         DNAME new
	x.new       A     192.0.2.8
	*.y.new     A     192.0.2.9
	lost        NS    ns.lost
	ns.lost     A     @5
`

// judgedInternetOf writes the tree that judges and we resolve in.
func judgedInternetOf(r *rand.Rand) *recursionWorld {
	w := &recursionWorld{r: r}
	w.text.WriteString("zone . server a.root.nsec @1, b.root.plain @2 sign\n")
	for _, top := range topLevels {
		fmt.Fprintf(&w.text, "zone %[1]s server ns1.nic.%[1]s @3, ns2.nic.%[1]s @4 %[2]s\n", top.name, top.words)
	}
	w.text.WriteString("zone refuses.plain server ns1.refuses.plain @5\n")
	for _, sorts := range [][]zoneSort{soundSorts, signedWrongly, servedWrongly} {
		for _, s := range sorts {
			w.addSort(s)
		}
	}
	w.addOdd()
	w.addAliases()
	w.text.WriteString(w.faults.String())
	return w
}

// recursionWorld is a tree in the making, and the names to ask for.
type recursionWorld struct {
	r            *rand.Rand
	text, faults strings.Builder
	zones        []string
	servers      int // addresses that are given away, after the first ones
}

// addSort adds a zone of a sort below each top-level domain. All have the same two servers.
func (w *recursionWorld) addSort(s zoneSort) {
	a, b := w.server(), w.server()
	for _, top := range topLevels {
		if top.words == "" && (s.second != "" || s.name == "strippedhalf") {
			continue // what is said there depends on who is asked
		}
		zone := s.name + "." + top.name
		if content := judgedContent + w.links(); s.second == "" {
			w.add(zone, fmt.Sprintf("ns1.%[1]s %[2]s, ns2.%[1]s %[3]s", zone, a, b), s.words, content)
		} else {
			w.add(zone, "ns1."+zone+" "+a, s.words, content)
			w.add(zone, "ns2."+zone+" "+b, s.words+" "+s.second, content)
		}
		if s.sub {
			w.addBelow("sub."+zone, zone, "sign")
			w.addBelow("hashed."+zone, zone, "sign nsec3")
			w.addBelow("open."+zone, zone, "")
		}
		for _, f := range s.faults {
			fmt.Fprintln(&w.faults, "!", strings.NewReplacer("{zone}", zone, "@A", a, "@B", b).Replace(f))
		}
	}
}

// add adds a zone.
func (w *recursionWorld) add(zone, servers, words, content string) {
	fmt.Fprintf(&w.text, "zone %s server %s %s\n%s", zone, servers, words, content)
	if !slices.Contains(w.zones, zone) {
		w.zones = append(w.zones, zone)
	}
}

// addBelow adds a zone that is served by the servers of the one above.
func (w *recursionWorld) addBelow(zone, parent, words string) {
	w.add(zone, fmt.Sprintf("ns1.%[1]s, ns2.%[1]s", parent), words, judgedContent+w.links())
}

// links are aliases that lead out of a zone, to where any of them may be.
func (w *recursionWorld) links() string {
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "to%d CNAME %s.%s.\n", i, pick(w.r, "www", "alias", "none", "a.wild", "x.old", "@", "a.wildalias", "to1", "ent"), w.someZone())
	}
	fmt.Fprintf(&b, "away DNAME %s.\n*.wildaway CNAME www.%s.\n", w.someZone(), w.someZone())
	return strings.ReplaceAll(b.String(), "@.", "")
}

// someZone is a zone that there is.
func (w *recursionWorld) someZone() string {
	sorts := pick(w.r, soundSorts, soundSorts, signedWrongly, servedWrongly, delegatedOddly)
	return pick(w.r, sorts...).name + "." + pick(w.r, topLevels...).name
}

// server is the address of one more server.
func (w *recursionWorld) server() string {
	w.servers++
	if n := w.servers + 5; n < 255 {
		return fmt.Sprint("@", n)
	}
	return fmt.Sprint("127.0.53.", w.servers-248)
}

// addOdd adds the zones that are delegated oddly.
func (w *recursionWorld) addOdd() {
	for i, top := range topLevels {
		other := topLevels[(i+1)%len(topLevels)].name
		for _, s := range delegatedOddly {
			zone := s.name + "." + top.name
			servers := map[string]string{
				"glueless": "ns1.ecdsa." + other, "gluelessplain": "ns1.unsigned." + other, "gluelesstwice": "ns1.glueless." + other + " " + w.server(),
				"cyclic": "ns1.cyclic." + other + " " + w.server(), "homeless": "ns1.none." + other + " " + w.server(),
				"halfhomeless": "ns1.none." + other + ", ns1.ecdsa." + other, "aliased": "alias.aliased." + other + " " + w.server(),
			}[s.name]
			w.add(zone, servers, s.words, judgedContent+w.links())
		}
	}
}

// addAliases adds zones of long ways: from alias to alias in one zone, and from zone to zone.
func (w *recursionWorld) addAliases() {
	for i, top := range topLevels {
		zone, other := "chains."+top.name, "chains."+topLevels[(i+1)%len(topLevels)].name
		w.add(zone, "ns1."+zone+" "+w.server(), "sign", "c0 A 192.0.2.1\nx0 A 192.0.2.1\nd0 TXT \"end\"\n")
		for n := 1; n < 20; n++ {
			fmt.Fprintf(&w.text, "c%d CNAME c%d\nx%d CNAME x%d.%s.\n", n, n-1, n, n-1, other)
			fmt.Fprintf(&w.text, "d%d DNAME d%d.%s.\n", n, n-1, other)
		}
		long := strings.Repeat(strings.Repeat("l", 63)+".", 3)
		fmt.Fprintf(&w.text, "long DNAME %s%s.\nself DNAME self.self\n", long, zone)
	}
}

// pick draws one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// ways are the names that zones are asked for, under which there is something or not; "?" is a label of a few letters.
var ways = strings.Fields(`@ @ @ www www alias alias2 nowhere loop ?.wild ?.?.wild *.wild wild ?.wildalias ?.wildaway a.wild2 ?.wild2 ?.a.wild2
	ent a.ent c.ent b.c.ent ?.ent ?.c.ent ?.a.ent old x.old ?.old ?.?.old a.y.old new x.new ?.new ?.y.new ? ? ? ?.? ?.www lost ?.lost ns.lost
	away www.away a.away ?.away x.old.away to0 to1 to2 to3 ns1 ns2 mail sub hashed open none`)

// chained are the names that zones of long ways are asked for.
var chained = strings.Fields(`c1 c4 c8 c9 c10 c11 c12 c15 c19 x1 x4 x6 x8 x9 x10 x11 x12 x15 x19 a.d1 a.d4 d1 a.d8 a.d12 a.d15 a.long
	aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.long a.self self ?`)

// questions draws n questions, each once.
func (w *recursionWorld) questions(n int) (out []dns.Question) {
	seen := map[dns.Question]bool{}
	for len(out) < n {
		q := dns.Question{Name: w.name(), Qtype: w.qtype(), Qclass: dns.ClassINET}
		if _, ok := dns.IsDomainName(q.Name); !ok || seen[q] {
			continue
		}
		seen[q] = true
		out = append(out, q)
	}
	return out
}

func (w *recursionWorld) qtype() uint16 {
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeDS, dns.TypeDNSKEY}
	return pick(w.r, types...)
}

// name draws a name: of a zone, of a top-level domain, or next to those.
func (w *recursionWorld) name() string {
	zone, way := pick(w.r, w.zones...), pick(w.r, ways...)
	switch w.r.IntN(60) {
	case 0:
		zone = pick(w.r, topLevels...).name
	case 1:
		zone, way = "", pick(w.r, "?", "?.?", "@")
	}
	if strings.HasPrefix(zone, "chains") {
		way = pick(w.r, chained...)
	}
	for strings.Contains(way, "?") {
		way = strings.Replace(way, "?", w.label(), 1)
	}
	if name := strings.TrimPrefix(way+"."+zone, "@."); name != "" {
		return dns.Fqdn(name)
	}
	return "."
}

// label is one of a few short ones, or one that is drawn once.
func (w *recursionWorld) label() string {
	b := make([]byte, pick(w.r, 1, 1, 2, 5))
	for i := range b {
		b[i] = byte('a' + w.r.IntN(26))
	}
	return string(b)
}
