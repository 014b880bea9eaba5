package dnssec

import "cenote/dnsname"

// Set is an RRset with its signatures. Name is canonical: in lower case, uncompressed, with its root byte.
type Set struct {
	Name        []byte
	Type, Class uint16
	TTL         uint32
	RData       [][]byte // each uncompressed, in the letter case in which it came; a check passes over duplicates
	Sigs        [][]byte // RDATA of the RRSIG records at Name that cover Type, uncompressed
}

// wellFormed reports whether name is exactly one name.
func wellFormed(name []byte) bool {
	n, _, err := dnsname.Check(name)
	return err == nil && n == len(name)
}

// within reports whether name is zone or below it.
func within(name, zone dnsname.Name) bool { return name == zone || name.IsBelow(zone) }

// signedLabels counts the labels of an owner as an RRSIG does: without the root, and without the asterisk of a wildcard (RFC 4034 section 3.1.3).
func signedLabels(owner dnsname.Name) int {
	if isWildcard(owner) {
		return owner.Labels() - 1
	}
	return owner.Labels()
}

func isWildcard(n dnsname.Name) bool { return len(n) > 2 && n[:2] == "\x01*" }

// expanded reports whether a signature of the set says that it was made from a wildcard.
func (s *Set) expanded() bool {
	labels := signedLabels(dnsname.Name(s.Name))
	for _, sig := range s.Sigs {
		if len(sig) >= rrsigFixed && int(sig[3]) < labels {
			return true
		}
	}
	return false
}

// Size is about how many octets the set takes.
func (s *Set) Size() int {
	n := len(s.Name)
	for _, r := range s.RData {
		n += len(r)
	}
	for _, sig := range s.Sigs {
		n += len(sig)
	}
	return n
}
