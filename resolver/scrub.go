package resolver

import (
	"encoding/binary"
	"math"

	"cenote/dnsname"
	"cenote/wire"
)

const (
	recordsMax = 1024 // in the answer and authority sections of a reply
	aliasesMax = 11   // steps of CNAME from the question to its answer
	proofsMax  = 64   // records that are kept of the authority section
)

// scrub makes an answer to q out of a reply that belongs to it, in the form of rrcache.Cache.Get. Of the answer section it keeps the
// chain of aliases from the question and what is at its end, in order; of the authority section the SOA of a negative answer and, with
// DO, the proofs that it or a wildcard needs; of the additional section nothing. Every name in it was read and is written anew, so that
// nothing in the result points where it should not. ede is what the upstream said about its reply, EDENone if nothing.
func scrub(q *question, packet []byte, trusted bool) (msg []byte, ede uint16, err error) {
	opt := findOPT(packet)
	if opt.damaged || wire.Flags(packet)&wire.FlagTC != 0 {
		return nil, opt.ede, errMalformed
	}
	rcode := wire.Rcode(packet) | opt.rcode<<4
	switch rcode {
	case wire.RcodeSuccess, wire.RcodeNXDomain, wire.RcodeYXDomain:
	default:
		return nil, opt.ede, rcodeError(rcode)
	}
	s := scrubber{q: q, packet: packet, rcode: rcode}
	if err := s.read(); err != nil {
		return nil, opt.ede, err
	}
	s.begin(trusted)
	if err := s.write(); err != nil {
		return nil, opt.ede, err
	}
	return s.out, opt.ede, nil
}

// optRecord is what a reply's OPT record says.
type optRecord struct {
	present bool
	damaged bool // the records cannot be walked
	rcode   int  // the upper bits of the response code
	ede     uint16
}

// findOPT looks for the OPT record of a reply.
func findOPT(packet []byte) optRecord {
	opt := optRecord{ede: EDENone}
	w, err := wire.Records(packet)
	if err != nil {
		opt.damaged = true
		return opt
	}
	for w.Next() {
		if w.Section == wire.SectionAdditional && w.Type == wire.TypeOPT && !opt.present {
			opt.present, opt.rcode, opt.ede = true, int(w.TTL>>24), extendedError(w.RData())
		}
	}
	opt.damaged = w.Err != nil
	return opt
}

// extendedError returns the first extended error among EDNS options (RFC 8914 section 2), EDENone if there is none.
func extendedError(options []byte) uint16 {
	for len(options) > 0 {
		var data []byte
		if data, options = optionOf(options, wire.OptionEDE); len(data) >= 2 {
			return binary.BigEndian.Uint16(data)
		}
	}
	return EDENone
}

// optionOf returns the data of the first option of a code, which is not nil then, and the options behind it; nil and nothing if there is none.
func optionOf(options []byte, code uint16) (data, rest []byte) {
	for len(options) >= 4 {
		got, n := binary.BigEndian.Uint16(options), int(binary.BigEndian.Uint16(options[2:]))
		if options = options[4:]; n > len(options) {
			break
		}
		if got == code {
			return options[:n:n], options[n:]
		}
		options = options[n:]
	}
	return nil, nil
}

// found is a record of the reply.
type found struct {
	owner   []byte // canonical
	rtype   uint16
	covers  uint16 // of an RRSIG: the type that it signs
	ttl     uint32
	section int
	off     int // of RDATA
	end     int
	kept    bool
}

// scrubber reads a reply into records and writes an answer from them.
type scrubber struct {
	packer
	q      *question
	packet []byte
	rcode  int

	records []found
	counts  [3]int
}

// read walks the answer and authority sections. Records of another class are passed over.
func (s *scrubber) read() error {
	w, err := wire.Records(s.packet)
	if err != nil {
		return errMalformed
	}
	for w.Next() && w.Section != wire.SectionAdditional {
		if len(s.records) == recordsMax {
			return errTooMany
		}
		if w.Class != s.q.class || w.Type == wire.TypeOPT || w.Type == wire.TypeTSIG {
			continue
		}
		f := found{rtype: w.Type, ttl: w.TTL, section: w.Section, off: w.DataOff, end: w.DataOff + w.DataLen}
		if f.owner, _, err = wire.AppendName(nil, s.packet, w.NameOff); err != nil {
			return errMalformed
		}
		dnsname.Lower(f.owner, f.owner)
		if data := w.RData(); w.Type == wire.TypeRRSIG && len(data) >= 2 {
			f.covers = binary.BigEndian.Uint16(data)
		}
		if f.ttl > math.MaxInt32 {
			f.ttl = 0 // RFC 2181 section 8
		}
		s.records = append(s.records, f)
	}
	if w.Err != nil {
		return errMalformed
	}
	return nil
}

// begin writes header and question.
func (s *scrubber) begin(trusted bool) {
	s.out = make([]byte, wire.HeaderLen, max(512, len(s.packet)))
	flags := uint16(wire.FlagQR | wire.FlagRA | s.rcode)
	if trusted {
		flags |= wire.Flags(s.packet) & wire.FlagAD
	}
	wire.SetFlags(s.out, flags)
	wire.SetCount(s.out, 0, 1)
	s.name([]byte(s.q.name), true)
	s.out = binary.BigEndian.AppendUint16(s.out, s.q.qtype)
	s.out = binary.BigEndian.AppendUint16(s.out, s.q.class)
}

// write follows the chain of aliases and writes what belongs to it.
func (s *scrubber) write() error {
	end, answered, err := s.writeAnswer()
	if err != nil {
		return err
	}
	soa, err := s.writeAuthority(end, !answered)
	if err != nil {
		return err
	}
	for i, n := range s.counts {
		wire.SetCount(s.out, i+1, n)
	}
	return s.plausible(answered, soa)
}

// plausible refuses replies that answer nothing: those of a server that does not recurse, and those whose records belong to others.
func (s *scrubber) plausible(answered, soa bool) error {
	switch {
	case len(s.out) > wire.MessageMax:
		return errTooMany
	case answered && s.rcode == wire.RcodeNXDomain:
		return errUnrelated
	case answered || soa || s.rcode != wire.RcodeSuccess || s.counts[0] > 0:
		return nil
	case wire.Count(s.packet, 1) > 0:
		return errUnrelated
	case s.hasNS() || wire.Flags(s.packet)&wire.FlagRA == 0:
		return errReferral
	}
	return nil
}

func (s *scrubber) hasNS() bool {
	for i := range s.records {
		if s.records[i].section == wire.SectionAuthority && s.records[i].rtype == wire.TypeNS {
			return true
		}
	}
	return false
}

// writeAnswer writes the chain of aliases in order, and the records at its end. It returns the last name of the chain.
func (s *scrubber) writeAnswer() (end []byte, answered bool, err error) {
	name := []byte(s.q.name)
	for range aliasesMax + 1 {
		n, err := s.keep(func(f *found) bool { return f.section == wire.SectionAnswer && s.wanted(f, name) })
		if n > 0 || err != nil {
			return name, n > 0, err
		}
		target, err := s.alias(name)
		if target == nil || err != nil {
			return name, false, err
		}
		name = target
	}
	return nil, false, errChain
}

// wanted reports whether a record answers the question at a name of the chain, or signs one that does.
func (s *scrubber) wanted(f *found, name []byte) bool {
	if string(f.owner) != string(name) {
		return false
	}
	return f.rtype == s.q.qtype || s.q.qtype == wire.TypeANY || s.q.do && f.rtype == wire.TypeRRSIG && f.covers == s.q.qtype
}

// alias writes the CNAME at name, with the DNAME that it was made from if there is one, and returns its target, nil if there is none.
func (s *scrubber) alias(name []byte) (target []byte, err error) {
	i := s.find(func(f *found) bool { return f.rtype == wire.TypeCNAME && string(f.owner) == string(name) })
	if i < 0 {
		return nil, nil
	}
	if s.records[i].kept {
		return nil, errChain // we were here before
	}
	target, end, err := wire.AppendName(nil, s.packet, s.records[i].off)
	if err != nil || end != s.records[i].end {
		return nil, errMalformed
	}
	dnsname.Lower(target, target)
	if err := s.writeDNAME(name, target); err != nil {
		return nil, err
	}
	_, err = s.keep(func(f *found) bool {
		signs := s.q.do && f.rtype == wire.TypeRRSIG && f.covers == wire.TypeCNAME && string(f.owner) == string(name)
		return f.section == wire.SectionAnswer && (signs || f == &s.records[i])
	})
	return target, err
}

// writeDNAME writes the DNAME that makes target out of name (RFC 6672 section 2.2), and its signatures.
func (s *scrubber) writeDNAME(name, target []byte) error {
	i := s.find(func(f *found) bool { return f.rtype == wire.TypeDNAME && s.makes(f, name, target) })
	if i < 0 || s.records[i].kept {
		return nil
	}
	owner := s.records[i].owner
	_, err := s.keep(func(f *found) bool {
		signs := s.q.do && f.rtype == wire.TypeRRSIG && f.covers == wire.TypeDNAME && string(f.owner) == string(owner)
		return f.section == wire.SectionAnswer && (signs || f == &s.records[i])
	})
	return err
}

// makes reports whether a DNAME record turns name into target.
func (s *scrubber) makes(f *found, name, target []byte) bool {
	if !dnsname.Name(name).IsBelow(dnsname.Name(f.owner)) {
		return false
	}
	to, _, err := wire.AppendName(nil, s.packet, f.off)
	if err != nil {
		return false
	}
	dnsname.Lower(to, to)
	prefix := name[:len(name)-len(f.owner)]
	return string(target) == string(prefix)+string(to)
}

// writeAuthority writes the SOA of a negative answer, whose zone must hold name, and with DO the proofs.
func (s *scrubber) writeAuthority(name []byte, negative bool) (soa bool, err error) {
	var zone []byte
	if i := s.find(func(f *found) bool { return f.rtype == wire.TypeSOA && holds(f.owner, name) }); negative && i >= 0 {
		zone = s.records[i].owner
		if _, err := s.keep(func(f *found) bool { return f == &s.records[i] }); err != nil {
			return false, err
		}
	}
	if !s.q.do {
		return zone != nil, nil
	}
	proofs := 0
	_, err = s.keep(func(f *found) bool {
		if f.section != wire.SectionAuthority || f.kept || proofs == proofsMax {
			return false
		}
		signsSOA := f.rtype == wire.TypeRRSIG && f.covers == wire.TypeSOA && zone != nil && string(f.owner) == string(zone)
		proof := signsSOA || isDenial(f.rtype) || f.rtype == wire.TypeRRSIG && isDenial(f.covers)
		if proof {
			proofs++
		}
		return proof
	})
	return zone != nil, err
}

func isDenial(rtype uint16) bool { return rtype == wire.TypeNSEC || rtype == wire.TypeNSEC3 }

// holds reports whether name is zone or below it.
func holds(zone, name []byte) bool {
	return string(zone) == string(name) || dnsname.Name(name).IsBelow(dnsname.Name(zone))
}

// find returns the first record that is such; an SOA counts in the authority section alone, everything else in the answer section.
func (s *scrubber) find(such func(*found) bool) int {
	for i := range s.records {
		f := &s.records[i]
		section := wire.SectionAnswer
		if f.rtype == wire.TypeSOA {
			section = wire.SectionAuthority
		}
		if f.section == section && such(f) {
			return i
		}
	}
	return -1
}

// keep writes the records that are such, and returns how many.
func (s *scrubber) keep(such func(*found) bool) (n int, err error) {
	for i := range s.records {
		f := &s.records[i]
		if !such(f) {
			continue
		}
		if err := s.record(f); err != nil {
			return n, err
		}
		f.kept = true
		s.counts[f.section]++
		n++
	}
	return n, nil
}

// record writes one record.
func (s *scrubber) record(f *found) error {
	s.name(f.owner, true)
	s.out = binary.BigEndian.AppendUint16(s.out, f.rtype)
	s.out = binary.BigEndian.AppendUint16(s.out, s.q.class)
	s.out = binary.BigEndian.AppendUint32(s.out, f.ttl)
	length := len(s.out)
	s.out = append(s.out, 0, 0)
	if err := s.data(f, s.packet); err != nil {
		return err
	}
	n := len(s.out) - length - 2
	if n > math.MaxUint16 || len(s.out) > wire.MessageMax {
		return errTooMany
	}
	binary.BigEndian.PutUint16(s.out[length:], uint16(n))
	return nil
}
