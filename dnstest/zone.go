package dnstest

import (
	"fmt"
	"strings"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// cnameSteps is how many aliases an answer follows, so that a loop in a test's text ends.
const cnameSteps = 16

// zone holds the records of a text by owner name and type. It is not changed once it is made.
type zone struct {
	rrsets map[dnsname.Name]map[uint16][]dns.RR
	exists map[dnsname.Name]bool // owners and the empty names above them (RFC 4592 section 2.2.2)
}

// parseText reads records, one a line, and fault lines, which begin with "!".
func parseText(text string) (*zone, faults, error) {
	z := &zone{rrsets: map[dnsname.Name]map[uint16][]dns.RR{}, exists: map[dnsname.Name]bool{}}
	faults := faults{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		var err error
		switch {
		case line == "" || line[0] == ';':
		case line[0] == '!':
			err = parseFaultLine(line[1:], faults)
		default:
			err = z.parseRecord(line)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("line %d, %q: %w", i+1, line, err)
		}
	}
	return z, faults, nil
}

// parseRecord adds one record. The line goes through a zone parser that opens no files, for dns.NewRR would follow $INCLUDE.
func (z *zone) parseRecord(line string) error {
	if line[0] == '$' {
		return fmt.Errorf("directives are not read")
	}
	p := dns.NewZoneParser(strings.NewReader(line+"\n"), ".", "")
	p.SetDefaultTTL(300)
	rr, ok := p.Next()
	if !ok {
		return fmt.Errorf("no record: %w", p.Err())
	}
	name, err := dnsname.Parse(rr.Header().Name)
	if err != nil {
		return err
	}
	name = name.Canonical()
	if z.rrsets[name] == nil {
		z.rrsets[name] = map[uint16][]dns.RR{}
	}
	z.rrsets[name][rr.Header().Rrtype] = append(z.rrsets[name][rr.Header().Rrtype], rr)
	for n := name; !z.exists[n]; n = n.Parent() {
		z.exists[n] = true
	}
	return nil
}

// answer fills reply with what the zone knows about a question, aliases followed, as a recursive resolver does.
func (z *zone) answer(reply *dns.Msg, q Query, f Fault) error {
	owner, do := q.Name, q.DO && !f.NoEDNS
	for range cnameSteps {
		name, err := dnsname.Parse(owner)
		if err != nil {
			return err
		}
		types, ok := z.find(name.Canonical())
		if target, led := z.redirect(reply, name, owner, do); !ok && led {
			owner = target
			continue
		}
		if !ok {
			reply.Rcode = dns.RcodeNameError
		}
		alias, isAlias := types[dns.TypeCNAME]
		switch {
		case len(types[q.Type]) > 0 || q.Type == dns.TypeANY && len(types) > 0:
			reply.Answer = append(reply.Answer, pick(types, q.Type, owner, do)...)
			return nil
		case isAlias:
			reply.Answer = append(reply.Answer, pick(types, dns.TypeCNAME, owner, do)...)
			owner = alias[0].(*dns.CNAME).Target
		default:
			reply.Ns = append(reply.Ns, z.soa(name.Canonical(), do)...)
			return nil
		}
	}
	return nil
}

// redirect adds the DNAME record above a name that is not there, and the CNAME record that it stands for (RFC 6672 section 3.1).
func (z *zone) redirect(reply *dns.Msg, name dnsname.Name, owner string, do bool) (target string, ok bool) {
	for above := name.Canonical().Parent(); !above.IsRoot() && !ok; above = above.Parent() {
		types := z.rrsets[above]
		if len(types[dns.TypeDNAME]) == 0 || z.exists[name.Canonical()] {
			continue
		}
		dname := types[dns.TypeDNAME][0].(*dns.DNAME)
		kept := owner[:len(owner)-len(dns.Fqdn(above.String()))]
		target, ok = kept+dname.Target, true
		reply.Answer = append(reply.Answer, pick(types, dns.TypeDNAME, dname.Hdr.Name, do)...)
		h := dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl}
		reply.Answer = append(reply.Answer, &dns.CNAME{Hdr: h, Target: target})
	}
	return target, ok
}

// find returns the records at a name, or those of the wildcard that covers it (RFC 4592 section 3.3.1).
func (z *zone) find(name dnsname.Name) (types map[uint16][]dns.RR, ok bool) {
	if z.exists[name] {
		return z.rrsets[name], true
	}
	encloser := name.Parent()
	for !encloser.IsRoot() && !z.exists[encloser] {
		encloser = encloser.Parent()
	}
	star, err := encloser.Child("*")
	if err != nil {
		return nil, false
	}
	types, ok = z.rrsets[star]
	return types, ok
}

// soa returns the SOA record of the closest zone above name: what a negative answer is cached by (RFC 2308). There is none unless the
// text has one.
func (z *zone) soa(name dnsname.Name, do bool) []dns.RR {
	for {
		if types := z.rrsets[name]; len(types[dns.TypeSOA]) > 0 {
			return pick(types, dns.TypeSOA, types[dns.TypeSOA][0].Header().Name, do)
		}
		if name.IsRoot() {
			return nil
		}
		name = name.Parent()
	}
}

// pick copies the records of a type, and with DO their signatures, under the owner name that was asked for.
func pick(types map[uint16][]dns.RR, qtype uint16, owner string, do bool) []dns.RR {
	var out []dns.RR
	for rrtype, rrs := range types {
		for _, rr := range rrs {
			sig, signed := rr.(*dns.RRSIG)
			covers := signed && do && sig.TypeCovered == qtype
			if rrtype == qtype || covers || qtype == dns.TypeANY {
				rr = dns.Copy(rr)
				rr.Header().Name = owner
				out = append(out, rr)
			}
		}
	}
	return out
}
