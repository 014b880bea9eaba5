package dnstest

import (
	"fmt"
	"maps"
	"slices"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// authority is what one server of a tree answers from: its zones. It answers as RFC 1034 section 4.3.2 and RFC 4035 section 3.1 say. It is not
// changed once it is made.
type authority struct {
	zones  []*authZone
	all    []*authZone // of the tree, for referrals that point anywhere
	extras []extra
}

// answer fills in what the server knows about a question.
func (a *authority) answer(reply *dns.Msg, q Query, f Fault) error {
	r := &response{Msg: reply, qtype: q.Type, do: q.DO && !f.NoDNSSEC && !f.NoOPT && !f.NoEDNS}
	name, err := parseName(q.Name)
	if err != nil {
		return err
	}
	opt := reply.IsEdns0()
	switch {
	case reply.Opcode != dns.OpcodeQuery:
		reply.Rcode = dns.RcodeNotImplemented
	case f.Refer != "":
		err = a.refer(r, f.Refer)
	case reply.Question[0].Qclass != dns.ClassINET:
		reply.Rcode = dns.RcodeRefused
	default:
		a.fill(r, name)
	}
	a.spoil(r, name, f)
	if opt != nil && f.NoOPT {
		reply.Extra = slices.DeleteFunc(reply.Extra, func(rr dns.RR) bool { return rr == opt })
	}
	return err
}

func (a *authority) fill(r *response, name dnsname.Name) {
	r.z = a.zoneOf(name, r.qtype)
	if r.z == nil {
		r.Rcode = dns.RcodeRefused
		return
	}
	r.owner, r.spelled = name, r.Question[0].Name
	r.resolve()
}

// zoneOf is the zone that a question is for: the closest, but the one above for DS at a cut if the server has it (RFC 4035 section 3.1.4.1).
func (a *authority) zoneOf(name dnsname.Name, qtype uint16) (best *authZone) {
	var at *authZone
	for _, z := range a.zones {
		switch {
		case !z.holds(name):
		case z.apex == name && qtype == dns.TypeDS:
			at = z
		case best == nil || z.apex.IsBelow(best.apex):
			best = z
		}
	}
	if best == nil {
		return at
	}
	return best
}

// refer sends the resolver to a zone of the tree.
func (a *authority) refer(r *response, zone string) error {
	apex, err := parseName(zone)
	if err != nil {
		return err
	}
	for _, z := range a.all {
		if z.apex == apex {
			r.z = z
			r.Ns = append(r.Ns, z.nodes[apex][dns.TypeNS]...)
			r.addTargets(z.nodes[apex][dns.TypeNS])
			return nil
		}
	}
	return fmt.Errorf("no zone %q", zone)
}

// spoil does to a reply what a fault says, and adds the extra records.
func (a *authority) spoil(r *response, name dnsname.Name, f Fault) {
	opt := r.IsEdns0()
	if f.Chatty && len(r.Answer) > 0 {
		r.addServers()
	}
	r.Authoritative = r.Authoritative && !f.NoAA
	if f.Empty {
		r.Answer, r.Ns, r.Rcode = nil, nil, dns.RcodeSuccess
	}
	if f.NoSOA {
		r.Ns = slices.DeleteFunc(r.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
	}
	if f.NoGlue || f.Empty {
		r.Extra = slices.DeleteFunc(r.Extra, func(rr dns.RR) bool { return rr != opt })
	}
	a.addExtras(r, name)
}

func (a *authority) addExtras(r *response, name dnsname.Name) {
	keys := patterns(name)
	for _, e := range a.extras {
		if slices.Contains(keys, e.key) {
			section := map[string]*[]dns.RR{"answer": &r.Answer, "authority": &r.Ns, "additional": &r.Extra}[e.section]
			*section = append(*section, dns.Copy(e.rr))
		}
	}
}

// response is a reply in the making.
type response struct {
	*dns.Msg
	z     *authZone
	qtype uint16
	do    bool

	owner   dnsname.Name // what is looked up: the question, or where aliases led
	spelled string       // the same in the letters that it is to be sent in
}

// resolve looks the question up and follows aliases within the zone.
func (r *response) resolve() {
	for range cnameSteps {
		if again := r.step(); !again {
			return
		}
	}
}

// step looks up one name. It returns true if it led to another one of the zone.
func (r *response) step() (again bool) {
	z := r.z
	if cut, ok := z.cutAbove(r.owner); ok && !(cut == r.owner && r.qtype == dns.TypeDS) {
		r.referral(cut)
		return false
	}
	r.Authoritative = true
	if owner, ok := z.dnameAbove(r.owner); ok {
		return r.redirect(owner)
	}
	if z.nodes[r.owner] != nil {
		return r.found(r.owner)
	}
	encloser := z.encloser(r.owner)
	star, err := encloser.Child("*")
	if err == nil && z.nodes[star] != nil {
		return r.found(star)
	}
	if r.Rcode = dns.RcodeNameError; r.do && z.signing != nil && z.signing.compact {
		r.Rcode = dns.RcodeSuccess // RFC 9824 section 3.1; nobody tells these servers of the flag CO
	}
	r.negative(z.proveNoName(r.owner, encloser))
	return false
}

// found answers from the records at a name: what is looked up, or the wildcard that stands for it.
func (r *response) found(at dnsname.Name) (again bool) {
	node := r.z.nodes[at]
	if r.qtype == dns.TypeANY && len(node) > 0 {
		for _, t := range slices.Sorted(maps.Keys(node)) {
			r.put(at, t)
		}
		return false
	}
	if r.qtype == dns.TypeNSEC || r.qtype == dns.TypeRRSIG {
		return r.foundProof(at)
	}
	if len(node[r.qtype]) > 0 {
		r.put(at, r.qtype)
		r.addTargets(node[r.qtype])
		return false
	}
	if alias := node[dns.TypeCNAME]; len(alias) > 0 {
		r.put(at, dns.TypeCNAME)
		return r.follow(alias[0].(*dns.CNAME).Target)
	}
	r.negative(r.z.proveNoType(r.owner, at))
	return false
}

// foundProof answers questions for NSEC and RRSIG, which a zone has but does not write down.
func (r *response) foundProof(at dnsname.Name) (again bool) {
	var rrs []dns.RR
	if r.qtype == dns.TypeNSEC {
		rrs = r.z.nsecAt(at)
	} else {
		for _, t := range slices.Sorted(maps.Keys(r.z.nodes[at])) {
			rrs = append(rrs, r.z.sign(r.z.nodes[at][t])...)
		}
	}
	if len(rrs) == 0 {
		r.negative(r.z.proveNoType(r.owner, at))
	}
	r.Answer = append(r.Answer, renamed(rrs, r.spelled)...)
	if r.qtype == dns.TypeNSEC && r.do {
		r.Answer = append(r.Answer, renamed(r.z.sign(rrs), r.spelled)...)
	}
	return false
}

// put adds an RRset to the answer under the name that is looked up, and what proves it.
func (r *response) put(at dnsname.Name, t uint16) {
	rrset := r.z.nodes[at][t]
	r.Answer = append(r.Answer, renamed(rrset, r.spelled)...)
	if !r.do {
		return
	}
	r.Answer = append(r.Answer, renamed(r.z.sign(rrset), r.spelled)...)
	if at != r.owner {
		r.prove(r.z.proveWildcard(r.owner, at.Parent()))
	}
}

// follow goes on with the target of an alias if the zone holds it.
func (r *response) follow(target string) (again bool) {
	name, err := parseName(target)
	if err != nil || !r.z.holds(name) {
		return false
	}
	r.owner, r.spelled = name, target
	return true
}

// redirect answers from a DNAME record, with the CNAME that it stands for (RFC 6672 section 3.1).
func (r *response) redirect(owner dnsname.Name) (again bool) {
	rrset := r.z.nodes[owner][dns.TypeDNAME]
	r.Answer = append(r.Answer, rrset...)
	if r.do {
		r.Answer = append(r.Answer, r.z.sign(rrset)...)
	}
	dname := rrset[0].(*dns.DNAME)
	prefix := string(r.owner[:len(r.owner)-len(owner)])
	base, err := parseName(dname.Target)
	if err != nil || len(prefix)+len(base) > dnsname.WireMax {
		r.Rcode = dns.RcodeYXDomain
		return false
	}
	target := fqdn(dnsname.Name(prefix) + base)
	h := dns.RR_Header{Name: r.spelled, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl}
	r.Answer = append(r.Answer, &dns.CNAME{Hdr: h, Target: target})
	if r.qtype == dns.TypeCNAME {
		return false
	}
	return r.follow(target)
}

// referral sends the resolver to the servers below a cut.
func (r *response) referral(cut dnsname.Name) {
	node := r.z.nodes[cut]
	r.Ns = append(r.Ns, node[dns.TypeNS]...)
	if r.do {
		if ds := node[dns.TypeDS]; len(ds) > 0 {
			r.Ns = append(append(r.Ns, ds...), r.z.sign(ds)...)
		} else {
			r.prove(r.z.proveNoType(cut, cut))
		}
	}
	r.addTargets(node[dns.TypeNS])
}

// negative adds the SOA record and what proves that there is no such name or type.
func (r *response) negative(proof []dns.RR) {
	soa := []dns.RR{r.z.soa()}
	if r.do {
		soa = append(soa, r.z.sign(soa)...)
	}
	for _, rr := range soa {
		rr = dns.Copy(rr)
		rr.Header().Ttl = r.z.ttlNegative()
		r.Ns = append(r.Ns, rr)
	}
	r.prove(proof)
}

// prove adds NSEC or NSEC3 records and their signatures, each once.
func (r *response) prove(proof []dns.RR) {
	if !r.do {
		return
	}
	for _, rr := range proof {
		if !slices.ContainsFunc(r.Ns, func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }) {
			r.Ns = append(append(r.Ns, rr), r.z.sign([]dns.RR{rr})...)
		}
	}
}

// addServers adds the NS records of the zone and the addresses of these servers.
func (r *response) addServers() {
	ns := r.z.nodes[r.z.apex][dns.TypeNS]
	r.Ns = append(r.Ns, ns...)
	if r.do {
		r.Ns = append(r.Ns, r.z.sign(ns)...)
	}
	r.addTargets(ns)
}

// addTargets adds the addresses that the zone has of the servers in records: glue as well as its own data.
func (r *response) addTargets(rrs []dns.RR) {
	for _, rr := range rrs {
		var target string
		switch rr := rr.(type) {
		case *dns.NS:
			target = rr.Ns
		case *dns.MX:
			target = rr.Mx
		case *dns.SRV:
			target = rr.Target
		}
		name, err := parseName(target)
		if target == "" || err != nil {
			continue
		}
		_, isGlue := r.z.cutAbove(name)
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			rrset := r.z.nodes[name][t]
			r.Extra = append(r.Extra, rrset...)
			if r.do && !isGlue && len(rrset) > 0 {
				r.Extra = append(r.Extra, r.z.sign(rrset)...)
			}
		}
	}
}

// renamed copies records under another owner name.
func renamed(rrs []dns.RR, owner string) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = owner
	}
	return out
}
