package rrcache

import (
	"encoding/binary"
	"fmt"

	"cenote/dnsname"
)

// Condition is something that the answers for the names at and below a zone depend on, beside who gives them, such as a negative trust anchor.
type Condition struct {
	Zone     dnsname.Name // canonical
	Identity string       // as that of a SourceZone
}

// term is a source or a condition as a dump tells of it: a zone, and what is so there.
type term struct{ zone, identity string }

// termsMax bounds the octets of all terms of a dump: some 20,000 of the longest.
const termsMax = 8 << 20

// identityMax is how many octets of an Identity count.
const identityMax = 64

func termOf(zone dnsname.Name, identity string) term {
	return term{string(zone), identity[:min(len(identity), identityMax)]}
}

// appendTerms writes the terms of sources, each with the lengths of its two parts.
func (s *Sources) appendTerms(b []byte) ([]byte, error) {
	if s == nil {
		return b, nil
	}
	start := len(b)
	for t := range s.terms {
		b = append(append(b, uint8(len(t.zone))), t.zone...)
		b = append(append(b, uint8(len(t.identity))), t.identity...)
	}
	if len(b)-start > termsMax {
		return nil, fmt.Errorf("%d octets of sources: want at most %d", len(b)-start, termsMax)
	}
	return b, nil
}

// readTerms reads what appendTerms wrote.
func readTerms(b []byte) (map[term]bool, error) {
	terms := map[term]bool{}
	part := func() (string, bool) {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return "", false
		}
		text := string(b[1 : 1+int(b[0])])
		b = b[1+int(b[0]):]
		return text, true
	}
	for len(b) > 0 {
		zone, ok := part()
		if n, _, err := dnsname.Check([]byte(zone)); !ok || err != nil || n != len(zone) {
			return nil, ErrDump
		}
		identity, ok := part()
		if !ok {
			return nil, ErrDump
		}
		terms[term{zone, identity}] = true
	}
	return terms, nil
}

// apart are the zones at and below which some terms and those of sources are not the same: answers that the first led to do not hold there, nor where an alias leads there.
func (s *Sources) apart(terms map[term]bool) map[string]bool {
	zones := map[string]bool{}
	if s == nil {
		return zones
	}
	for t := range terms {
		if !s.terms[t] {
			zones[t.zone] = true
		}
	}
	for t := range s.terms {
		if !terms[t] {
			zones[t.zone] = true
		}
	}
	return zones
}

// terms reads those of the head of a dump, with their length before and the checksum of the whole head behind them.
func (l *loader) terms(head []byte) (map[term]bool, error) {
	b, err := l.fill(4)
	if err != nil {
		return nil, err
	}
	head = append(head, b...)
	length := binary.LittleEndian.Uint32(b)
	if length > termsMax {
		return nil, ErrDump
	}
	if b, err = l.fill(int(length) + 4); err != nil {
		return nil, err
	}
	if head = append(head, b[:length]...); checksum(head) != binary.LittleEndian.Uint32(b[length:]) {
		return nil, fmt.Errorf("%w: its head is damaged", ErrDump)
	}
	return readTerms(b[:length])
}
