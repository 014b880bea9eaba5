package dnsserver

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"cenote/dnsname"
	"cenote/querylog"
	"cenote/wire"
)

// localKind is what a local name is answered with.
type localKind uint8

const (
	localNone    localKind = iota // not answered here
	localEmpty                    // a zone with nothing in it: NODATA at its apex, NXDOMAIN below (RFC 6303 section 3)
	localHost                     // localhost: the loopback addresses at the apex and below (RFC 6761 section 6.3)
	localPointer                  // an empty zone but for one PTR to localhost at its apex
	localNoData                   // NODATA at the apex and below (RFC 9462 section 4 for resolver.arpa)
	localAbsent                   // NXDOMAIN at the apex and below
	localText                     // class CH: a TXT record about ourselves
	localMinimal                  // HINFO in place of all that ANY asks for (RFC 8482 section 4.2)
)

// localAnswer is what step 3 found without asking anybody.
type localAnswer struct {
	kind localKind
	apex int    // where the zone's name begins in the query name
	text string // of localText
}

// localNames are the names of LocalZones. They are immutable.
type localNames struct {
	kinds  map[string]localKind // by name in canonical wire form
	depths map[string]int       // by top-level domain: the most labels of a name in kinds, so that most queries cost one look-up
}

func newLocalNames(c LocalZones) (*localNames, error) {
	l := &localNames{kinds: map[string]localKind{}, depths: map[string]int{}}
	if c.SpecialUse {
		l.addSpecialUse()
	}
	for _, n := range c.Except {
		if n.IsZero() || n.IsRoot() {
			return nil, fmt.Errorf("local zones: exception %q names no zone", n)
		}
		l.add(n, localNone)
	}
	if c.ResolverARPA {
		l.addAll(localNoData, "resolver.arpa")
	}
	if c.UseApplicationDNS {
		l.addAll(localAbsent, "use-application-dns.net")
	}
	if c.PrivateRelay {
		l.addAll(localAbsent, "mask.icloud.com", "mask-h2.icloud.com")
	}
	for _, n := range c.Deny {
		if n.IsZero() || n.IsRoot() {
			return nil, fmt.Errorf("local zones: denied name %q names no zone", n)
		}
		l.add(n, localAbsent)
	}
	return l, nil
}

func (l *localNames) add(n dnsname.Name, kind localKind) {
	n = n.Canonical()
	l.kinds[string(n)] = kind
	top := string(n.Suffix(1))
	l.depths[top] = max(l.depths[top], n.Labels())
}

func (l *localNames) addAll(kind localKind, names ...string) {
	for _, n := range names {
		l.add(dnsname.MustParse(n), kind)
	}
}

// addSpecialUse adds the names that must not leak to the root servers or mean something on this host only.
func (l *localNames) addSpecialUse() {
	l.addAll(localHost, "localhost")
	l.addAll(localEmpty, "invalid", "test", "onion", "home.arpa")
	// RFC 6303 section 4: private, test and local addresses.
	l.addAll(localEmpty, "10.in-addr.arpa", "168.192.in-addr.arpa", "0.in-addr.arpa", "127.in-addr.arpa", "254.169.in-addr.arpa",
		"2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa",
		"d.f.ip6.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa")
	for i := 16; i < 32; i++ {
		l.addAll(localEmpty, fmt.Sprintf("%d.172.in-addr.arpa", i))
	}
	for i := 64; i < 128; i++ { // RFC 7793
		l.addAll(localEmpty, fmt.Sprintf("%d.100.in-addr.arpa", i))
	}
	l.addAll(localEmpty, strings.Repeat("0.", 32)+"ip6.arpa")
	l.addAll(localPointer, "1.0.0.127.in-addr.arpa", "1."+strings.Repeat("0.", 31)+"ip6.arpa")
}

// find returns how name is answered here: by the longest of our names that it equals or lies below.
func (l *localNames) find(name []byte) (localKind, int) {
	var offsets [dnsname.LabelsMax + 1]uint8
	n := dnsname.Offsets(name, &offsets)
	if n == 0 {
		return localNone, 0
	}
	depth, ok := l.depths[string(name[offsets[n-1]:])]
	if !ok {
		return localNone, 0
	}
	for _, off := range offsets[max(0, n-depth):n] {
		if kind, ok := l.kinds[string(name[off:])]; ok {
			return kind, int(off)
		}
	}
	return localNone, 0
}

func (l *localNames) holds(name []byte) bool {
	kind, _ := l.find(name)
	return kind != localNone
}

// findLocal answers the names that are ours to answer, and, where the operator does not want otherwise, ANY, of which nobody gets more than a word (RFC 8482). The target of a rule's
// CNAME is never one of them: see aim.
func (w *worker) findLocal(q *Query) bool {
	kind, apex := q.settings.local.find(q.request.Name)
	if kind == localNone && q.request.Type == wire.TypeANY && q.settings.Local.MinimalAny {
		kind = localMinimal
	}
	if kind == localNone || kind == localEmpty && q.wantsProofOfHome() {
		return false
	}
	q.source.local, q.source.kind = localAnswer{kind: kind, apex: apex}, querylog.SourceLocal
	return true
}

// wantsProofOfHome reports whether q asks for the DS record of home.arpa in order to validate: the one question about that name that has to
// be passed on, for the proof that there is none is its parent's (RFC 8375 section 4).
func (q *Query) wantsProofOfHome() bool {
	return q.request.Type == wire.TypeDS && q.request.DO && string(q.request.Name) == "\x04home\x04arpa\x00"
}

// inspectChaos answers what may be known about ourselves, and turns away the rest of class CH.
func (q *Query) inspectChaos() {
	name := dnsname.Name(q.msg.Name).Canonical()
	text, id := "", q.settings.Identity
	switch name {
	case "\x07version\x04bind\x00", "\x07version\x06server\x00":
		text = id.Version
	case "\x08hostname\x04bind\x00", "\x02id\x06server\x00":
		text = id.Hostname
	}
	if text == "" || q.msg.Type != wire.TypeTXT && q.msg.Type != wire.TypeANY {
		q.turnAway(wire.RcodeRefused, edeNotSupported)
		return
	}
	q.step, q.draft.form = stepReply, formTruth
	q.source.local, q.source.kind = localAnswer{kind: localText, text: text}, querylog.SourceLocal
}

// Times of local answers, in seconds. RFC 6303 section 3 gives those of the SOA.
const (
	localTTL     = 10800
	localSerial  = 1
	localRefresh = 3600
	localRetry   = 1200
	localExpire  = 604800
)

// local writes an answer that was found without asking anybody, and returns its response code.
func (m *writer) local(q *Query) int {
	a, rtype := &q.source.local, q.msg.Type
	atApex := a.apex == 0
	switch a.kind {
	case localText:
		m.answer(wire.TypeTXT, wire.ClassCH, 0, appendText(m.scratch[:0], a.text))
		return wire.RcodeSuccess
	case localMinimal:
		m.answer(wire.TypeHINFO, wire.ClassIN, localRefresh, appendText(m.scratch[:0], "RFC8482", ""))
		return wire.RcodeSuccess
	case localHost:
		m.loopback(rtype)
	case localPointer:
		if atApex && (rtype == wire.TypePTR || rtype == wire.TypeANY) {
			m.answer(wire.TypePTR, wire.ClassIN, localTTL, append(m.scratch[:0], "\x09localhost\x00"...))
		}
	case localNone, localEmpty, localNoData, localAbsent:
	}
	m.apex(a, rtype)
	if m.counts[wire.SectionAnswer] > 0 {
		return wire.RcodeSuccess
	}
	zone := pointerTo(a.apex)
	m.soa(wire.SectionAuthority, zone[:], localTTL)
	if a.kind == localAbsent || !atApex && (a.kind == localEmpty || a.kind == localPointer) {
		return wire.RcodeNXDomain
	}
	return wire.RcodeSuccess
}

func (m *writer) loopback(rtype uint16) {
	if rtype == wire.TypeA || rtype == wire.TypeANY {
		m.answer(wire.TypeA, wire.ClassIN, localTTL, append(m.scratch[:0], 127, 0, 0, 1))
	}
	if rtype == wire.TypeAAAA || rtype == wire.TypeANY {
		m.answer(wire.TypeAAAA, wire.ClassIN, localTTL, append(m.scratch[:0], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
	}
}

// apex answers questions for the SOA and NS records that every zone has at its apex (RFC 6303 section 3).
func (m *writer) apex(a *localAnswer, rtype uint16) {
	if a.apex != 0 || a.kind == localAbsent || a.kind == localNoData {
		return
	}
	owner := pointerTo(0)
	if rtype == wire.TypeSOA || rtype == wire.TypeANY {
		m.soa(wire.SectionAnswer, owner[:], localTTL)
	}
	if rtype == wire.TypeNS || rtype == wire.TypeANY {
		m.answer(wire.TypeNS, wire.ClassIN, localTTL, append(m.scratch[:0], owner[:]...))
	}
}

// soa writes a SOA whose TTL and MINIMUM are ttl, so that it is for no longer that the absence is kept (RFC 2308 section 5).
func (m *writer) soa(section int, owner []byte, ttl uint32) {
	b := append(m.scratch[:0], owner...)
	b = append(b, "\x06nobody\x07invalid\x00"...)
	for _, v := range [...]uint32{localSerial, localRefresh, localRetry, localExpire, ttl} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	m.record(section, owner, wire.TypeSOA, wire.ClassIN, ttl, b)
}

// pointerTo is a compression pointer to the part of the question's name that begins at off.
func pointerTo(off int) [2]byte {
	p := 0xc000 | wire.HeaderLen + off
	return [2]byte{byte(p >> 8), byte(p)}
}

// appendText appends character strings (RFC 1035 section 3.3) of at most 255 octets each.
func appendText(dst []byte, texts ...string) []byte {
	for _, s := range texts {
		s = s[:min(len(s), math.MaxUint8)]
		dst = append(dst, byte(len(s)))
		dst = append(dst, s...)
	}
	return dst
}
