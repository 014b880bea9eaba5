package resolver

import (
	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// proof is a set as dnssec reads it.
func (s *rrset) proof(class uint16) *dnssec.Set {
	return &dnssec.Set{Name: []byte(s.name), Type: s.rtype, Class: class, TTL: s.ttl, RData: s.rdata, Sigs: s.sigs}
}

// check verifies a set, and lowers its TTL to what its signature allows.
func (it *iteration) check(z *dnssec.Zone, s *rrset) dnssec.Checked {
	c := dnssec.Checked{Verdict: noRoom()}
	it.compute(dnsname.Name(z.Name()), func() { c = z.Check(s.proof(it.f.q.class), it.validationTime(), it.b.crypto) })
	if c.Status == dnssec.Secure {
		s.ttl = min(s.ttl, c.TTL)
	}
	return c
}

// denial makes a Denial of what is signed by a zone among the proofs. Its verdict is that of the first that does not stand up.
func (it *iteration) denial(z *dnssec.Zone, proofs []*rrset) (*dnssec.Denial, dnssec.Verdict) {
	var sets []*dnssec.Set
	for _, s := range proofs {
		if !isDenial(s.rtype) {
			continue
		}
		c := it.check(z, s)
		if c.Status == dnssec.Bogus {
			return nil, c.Verdict
		}
		if c.Status == dnssec.Secure {
			sets = append(sets, s.proof(it.f.q.class))
		}
	}
	return dnssec.NewDenial(z.Name(), sets, it.b.crypto), dnssec.Verdict{Status: dnssec.Secure, Code: dnssec.CodeNone}
}

// validate checks what the servers of a zone said about a name (RFC 4035 section 5).
func (it *iteration) validate(z *cut, name dnsname.Name, f *finding) dnssec.Verdict {
	it.b.checking.Lock()
	defer it.b.checking.Unlock()
	v := it.validateFinding(z, name, f)
	it.noteVerdict(name, f, v)
	return v
}

func (it *iteration) validateFinding(z *cut, name dnsname.Name, f *finding) dnssec.Verdict {
	if f.kind == kindNoData || f.kind == kindNXDomain {
		return it.validateNegative(z, name, f)
	}
	all := dnssec.Verdict{Status: dnssec.Secure, Code: dnssec.CodeNone}
	for _, s := range f.answer {
		switch {
		case s.made && len(f.answer) == 1: // by us alone
			return dnssec.Verdict{Status: dnssec.Insecure, Code: dnssec.CodeNone, Text: "it is made here"}
		case s.made:
			s.ttl = min(s.ttl, f.answer[0].ttl)
			continue // the DNAME that it was made from is checked
		case s.rtype == wire.TypeRRSIG:
			return dnssec.Verdict{Status: dnssec.Insecure, Code: dnssec.CodeNone, Text: "nobody signs a signature"}
		}
		v := it.validateSet(z, s, f)
		if v.Status == dnssec.Bogus {
			return v
		}
		if v.Status != dnssec.Secure {
			all = v
		}
	}
	return all
}

// validateSet checks a set of the answer.
func (it *iteration) validateSet(z *cut, s *rrset, f *finding) dnssec.Verdict {
	if s.rtype == wire.TypeRRSIG {
		return dnssec.Verdict{Status: dnssec.Insecure, Code: dnssec.CodeNone, Text: "nobody signs signatures"}
	}
	signer, ok := s.signer()
	if !ok {
		return it.validateUnsigned(z, s.name, s.rtype, dnssec.CodeNoSignature, "records have no signature")
	}
	if !atOrBelow(s.name, signer) || s.rtype == wire.TypeDS && s.name == signer {
		return bogus(dnssec.CodeBogus, "%v cannot sign for %v", signer, s.name).verdict
	}
	keys, v := it.trustSigner(signer, parentSide(s.name, s.rtype))
	if v.Status != dnssec.Secure {
		return v
	}
	c := it.check(keys, s)
	if c.Status != dnssec.Secure || !c.Wildcard {
		return c.Verdict
	}
	d, v := it.denial(keys, f.proofs)
	if v.Status == dnssec.Bogus {
		return v
	}
	v = it.deny(keys, func() dnssec.Verdict { return d.Expanded([]byte(s.name), c.Encloser) })
	if v.Status == dnssec.Secure {
		it.keepWild(signer, dnsname.Name(c.Encloser), s, f)
	}
	return v
}

// keepWild remembers a wildcard that was found Secure, to stand for other names (RFC 8198 section 5.3).
func (it *iteration) keepWild(zone, encloser dnsname.Name, s *rrset, f *finding) {
	if s.rtype == wire.TypeCNAME || s.rtype == wire.TypeDNAME || it.f.q.audience.some || len(f.answer) != 1 || s.proof(it.f.q.class).Size() > dnssec.RangeSetMax {
		return
	}
	kept := *s
	at := sourced{it.s.source(s.name, s.rtype), zone}
	if it.r.denials.addWild(at, encloser, &kept, f.proofs, it.f.q.class, it.r.now()); it.r.isOver(it.s) {
		it.r.denials.forget(at)
	}
}

// deny has a denial computed.
func (it *iteration) deny(z *dnssec.Zone, denies func() dnssec.Verdict) dnssec.Verdict {
	v := noRoom()
	it.compute(dnsname.Name(z.Name()), func() { v = denies() })
	return v
}

// noRoom is the verdict about what could not be checked in time. It is given to one question and not remembered.
func noRoom() dnssec.Verdict {
	return bogus(dnssec.CodeIndeterminate, "there was no room to validate it").verdict
}

// validateUnsigned tells whether it is right that something at a name has no signature.
func (it *iteration) validateUnsigned(z *cut, name dnsname.Name, rtype uint16, code uint16, what string) dnssec.Verdict {
	name = parentSide(name, rtype)
	if _, v := it.trust(z.zone); v.Status != dnssec.Secure && !it.s.anchoredBelow(z.zone, name, it.r.now()) {
		return v
	}
	_, v := it.trust(name)
	if v.Status == dnssec.Secure {
		return bogus(code, "%v: %s", name, what).verdict
	}
	return v
}

// validateNegative checks what denies a name or a type.
func (it *iteration) validateNegative(z *cut, name dnsname.Name, f *finding) dnssec.Verdict {
	sets := f.proofs
	if f.soa != nil {
		sets = append(sets[:len(sets):len(sets)], f.soa)
	}
	signer, ok := signerAt(sets, name)
	if !ok {
		return it.validateUnsigned(z, name, it.f.q.qtype, dnssec.CodeNoProof, "nothing proves that it is not there")
	}
	keys, v := it.trustSigner(signer, parentSide(name, it.f.q.qtype))
	if v.Status != dnssec.Secure {
		return v
	}
	if f.soa != nil {
		if c := it.check(keys, f.soa); c.Status == dnssec.Bogus {
			return c.Verdict
		}
	}
	d, v := it.denial(keys, f.proofs)
	if v.Status == dnssec.Bogus {
		return v
	}
	v = dnssec.Verdict{Status: dnssec.Bogus}
	if f.kind == kindNXDomain {
		v = it.deny(keys, func() dnssec.Verdict { return d.NameError([]byte(name)) })
	}
	if v.Status == dnssec.Bogus {
		// Some servers deny names that exist only because others lie below them. What is signed counts, not the response code.
		absent := false
		noData := it.deny(keys, func() dnssec.Verdict {
			v := d.NoData([]byte(name), it.f.q.qtype)
			absent = v.Status == dnssec.Secure && it.tellsAbsent(d, name)
			return v
		})
		if f.kind == kindNoData || noData.Status == dnssec.Secure {
			f.kind, v = kindNoData, noData
		}
		if absent {
			f.kind = kindNXDomain
		}
	}
	if v.Status == dnssec.Secure && f.soa != nil && f.soa.name == signer {
		at := sourced{it.s.source(name, it.f.q.qtype), signer}
		if it.r.denials.add(at, f.soa, f.proofs, it.f.q.class, it.r.now()); it.r.isOver(it.s) {
			it.r.denials.forget(at)
		}
	}
	return v
}

// tellsAbsent reports whether a denial that there is nothing of a type at a name is to be told as one of the name: a compact denial says so in its record alone (RFC 9824 section 5). Those
// who want the records get the code that the zone gives: somebody who validates and knows nothing of such denials would miss a proof. Servers are not told that we know them (the flag CO,
// section 5.1): it changes the code that they send, and what is signed counts here.
func (it *iteration) tellsAbsent(d *dnssec.Denial, name dnsname.Name) bool {
	return !it.f.q.do && d.Absent([]byte(name))
}

// signerAt returns whose keys sign what denies something at a name: the closest of those at or above it.
func signerAt(sets []*rrset, name dnsname.Name) (dnsname.Name, bool) {
	var best dnsname.Name
	for _, s := range sets {
		if signer, ok := s.signer(); ok && atOrBelow(name, signer) && (best.IsZero() || signer.Labels() > best.Labels()) {
			best = signer
		}
	}
	return best, !best.IsZero()
}
