package resolver

import (
	"encoding/binary"
	"math"
	"slices"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// assembly is a message in the making: the answer to a question, put together from what several servers said.
type assembly struct {
	packer
	q      *question
	rcode  int
	secure bool // every part of it
	most   int  // aliases, with those that the cache knew
	ede    uint16
	sets   [2][]*rrset // of answer and authority
}

// add takes what servers of a zone found.
func (m *assembly) add(f *finding) {
	m.put(wire.SectionAnswer, f.answer...)
	switch {
	case f.kind == kindNXDomain:
		m.rcode = wire.RcodeNXDomain
	case f.tooLong:
		m.rcode = wire.RcodeYXDomain
	}
	if f.soa != nil && f.kind != kindAlias {
		m.put(wire.SectionAuthority, f.soa)
	}
	if m.q.do && f.needsProofs() {
		m.put(wire.SectionAuthority, f.proofs...)
	}
}

// put adds sets to a section, each once: a chain of aliases may come by a DNAME or a proof several times.
func (m *assembly) put(section int, sets ...*rrset) {
	for _, s := range sets {
		same := func(have *rrset) bool { return have.name == s.name && have.rtype == s.rtype }
		if !slices.ContainsFunc(m.sets[section], same) {
			m.sets[section] = append(m.sets[section], s)
		}
	}
}

// judged takes what came of the check of a part.
func (m *assembly) judged(v dnssec.Verdict) {
	if v.Status == dnssec.Secure {
		return
	}
	m.secure = false
	if m.ede == EDENone {
		m.ede = v.Code
	}
}

// needsProofs reports whether what is denied is a part of the answer: negative ones, and those made from a wildcard.
func (f *finding) needsProofs() bool {
	if f.kind == kindNoData || f.kind == kindNXDomain {
		return true
	}
	for _, s := range f.answer {
		if len(s.sigs) > 0 && int(s.sigs[0][rrsigLabels]) < s.name.Labels() {
			return true
		}
	}
	return false
}

// rrsigLabels is where an RRSIG record has the number of labels of the name that was signed.
const rrsigLabels = 3

// merge takes the answer to the question for the target of an alias.
func (m *assembly) merge(msg []byte) error {
	r, err := readResponse(msg, m.q.class)
	if err != nil {
		return err
	}
	m.rcode = r.rcode
	m.secure = m.secure && wire.Flags(msg)&wire.FlagAD != 0
	for _, s := range r.sets {
		if s.section != wire.SectionAdditional {
			m.put(s.section, s)
		}
	}
	if m.aliases() > m.most {
		return errChain
	}
	return nil
}

// aliases counts the steps from the question to its answer.
func (m *assembly) aliases() (n int) {
	for _, s := range m.sets[wire.SectionAnswer] {
		if s.rtype == wire.TypeCNAME {
			n++
		}
	}
	return n
}

// failed gives a failure the aliases that led to it.
func (m *assembly) failed(got outcome) outcome {
	if len(m.sets[wire.SectionAnswer]) > 0 {
		got.msg = m.deadEnd()
	}
	return got
}

// deadEnd writes a failure with the aliases that lead to it, nil if it cannot.
func (m *assembly) deadEnd() []byte {
	m.rcode, m.secure, m.sets[wire.SectionAuthority] = wire.RcodeServFail, false, nil
	for _, s := range m.sets[wire.SectionAnswer] {
		if s.rtype != wire.TypeCNAME && s.rtype != wire.TypeDNAME {
			return nil
		}
	}
	m.marks, m.compressed = nil, 0
	msg, err := m.write()
	if err != nil {
		return nil
	}
	return msg
}

// write writes the message, in the form of rrcache.Cache.Get.
func (m *assembly) write() ([]byte, error) {
	m.out = make([]byte, wire.HeaderLen, 512)
	flags := uint16(wire.FlagQR|wire.FlagRA) | uint16(m.rcode)
	if m.secure {
		flags |= wire.FlagAD
	}
	wire.SetFlags(m.out, flags)
	wire.SetCount(m.out, 0, 1)
	m.name([]byte(m.q.name), true)
	m.out = binary.BigEndian.AppendUint16(m.out, m.q.qtype)
	m.out = binary.BigEndian.AppendUint16(m.out, m.q.class)
	for section, sets := range m.sets {
		n := 0
		for _, s := range sets {
			wrote, err := m.set(s)
			if err != nil {
				return nil, err
			}
			n += wrote
		}
		wire.SetCount(m.out, section+1, n)
	}
	return m.out, nil
}

// set writes the records of a set and, for those who ask for them, its signatures.
func (m *assembly) set(s *rrset) (n int, err error) {
	for _, data := range s.rdata {
		if err := m.record(s.name, s.rtype, s.ttl, data); err != nil {
			return n, err
		}
		n++
	}
	if !m.q.do {
		return n, nil
	}
	for _, data := range s.sigs {
		if err := m.record(s.name, wire.TypeRRSIG, min(s.ttl, s.sigTTL), data); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (m *assembly) record(name dnsname.Name, rtype uint16, ttl uint32, data []byte) error {
	m.name([]byte(name), true)
	m.out = binary.BigEndian.AppendUint16(m.out, rtype)
	m.out = binary.BigEndian.AppendUint16(m.out, m.q.class)
	m.out = binary.BigEndian.AppendUint32(m.out, ttl)
	length := len(m.out)
	m.out = append(m.out, 0, 0)
	if err := m.data(&found{rtype: rtype, end: len(data)}, data); err != nil {
		return err
	}
	n := len(m.out) - length - 2
	if n > math.MaxUint16 || len(m.out) > wire.MessageMax {
		return errTooMany
	}
	binary.BigEndian.PutUint16(m.out[length:], uint16(n))
	return nil
}
