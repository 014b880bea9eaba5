package blocklist

import (
	"fmt"
	"os"

	"cenote/dnsname"

	"github.com/weppos/publicsuffix-go/publicsuffix"
)

// suffixes answers one question: would a row with this name take more than one registrant's names? It holds the rules of a Public Suffix
// List by the name they are about.
type suffixes struct {
	rules     map[string]suffixRule
	labelsMax int   // of a name that can be a suffix
	known     sieve // names that have a rule
	wild      sieve // those with a rule for the names right below
}

// suffixRule is what the list says about a name and the names right below it.
type suffixRule uint8

const (
	suffixICANN     suffixRule = 1 << iota // the name is a suffix of registries
	suffixPrivate                          // the name is a suffix of a company that lets names below it
	wildcardICANN                          // every name right below is one ("*.ck")
	wildcardPrivate                        // likewise, private ("*.compute.example")
	suffixException                        // it would be one by a wildcard, but is not ("!www.ck")
)

// suffixFileMax is how large a Public Suffix List file may be; the real one has 0.3 MB.
const suffixFileMax = 16 << 20

// newSuffixes takes the list from file, or the one compiled in if file is empty.
func newSuffixes(file string) (*suffixes, error) {
	if file == "" {
		rules := publicsuffix.DefaultRules()
		return buildSuffixes(rules[:])
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("opening the suffix list: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > suffixFileMax {
		return nil, fmt.Errorf("suffix list %s: not a file of at most %d octets", file, suffixFileMax)
	}
	rules, err := publicsuffix.NewList().LoadFile(file, nil)
	if err != nil {
		return nil, fmt.Errorf("reading suffix list %s: %w", file, err)
	}
	list, err := buildSuffixes(rules)
	if err != nil {
		return nil, fmt.Errorf("suffix list %s: %w", file, err)
	}
	return list, nil
}

// suffixRulesMin is less than any real list has: a guard that an empty file could take away would be none.
const suffixRulesMin = 1000

func buildSuffixes(rules []publicsuffix.Rule) (*suffixes, error) {
	if len(rules) < suffixRulesMin {
		return nil, fmt.Errorf("%d rules are too few to be a Public Suffix List", len(rules))
	}
	s := &suffixes{rules: make(map[string]suffixRule, len(rules))}
	for _, rule := range rules {
		if rule.Value == "" { // "*", which holds for every top-level domain anyway
			continue
		}
		name, err := dnsname.Parse(rule.Value)
		if err != nil {
			return nil, err
		}
		name = name.Canonical()
		s.rules[string(name)] |= flagOf(rule)
		s.labelsMax = max(s.labelsMax, name.Labels()+1)
	}
	s.sift()
	return s, nil
}

// sift makes the sieves of the rules.
func (s *suffixes) sift() {
	s.known, s.wild = newSieve(len(s.rules)), newSieve(len(s.rules))
	for name, rule := range s.rules {
		s.known.add([]byte(name))
		if rule&(wildcardICANN|wildcardPrivate) != 0 {
			s.wild.add([]byte(name))
		}
	}
}

// of returns the rules about a name and those about the one above it that have a say in it.
func (s *suffixes) of(name []byte) (own, above suffixRule) {
	if s.known.may(name) {
		own = s.rules[string(name)]
	}
	if parent := name[1+name[0]:]; s.wild.may(parent) {
		above = s.rules[string(parent)]
	}
	return own, above
}

// names reports whether there is a rule for the canonical name itself, and not only one for all names right below the one above it.
func (s *suffixes) names(name []byte) bool {
	own, _ := s.of(name)
	return own != 0
}

func flagOf(rule publicsuffix.Rule) suffixRule {
	switch {
	case rule.Type == publicsuffix.ExceptionType:
		return suffixException
	case rule.Type == publicsuffix.WildcardType && rule.Private:
		return wildcardPrivate
	case rule.Type == publicsuffix.WildcardType:
		return wildcardICANN
	case rule.Private:
		return suffixPrivate
	}
	return suffixICANN
}

// check returns why the canonical name with that many labels must not be served, or ReasonNone. The name above a wildcard rule counts as a
// suffix too: a row that holds it would block every suffix below it.
func (s *suffixes) check(name []byte, labels int) Reason {
	switch {
	case labels == 0:
		return ReasonRoot
	case labels == 1:
		return ReasonTLD
	case labels > s.labelsMax:
		return ReasonNone
	}
	own, above := s.of(name)
	switch {
	case own&suffixException != 0:
		return ReasonNone
	case own&(suffixICANN|wildcardICANN) != 0, above&wildcardICANN != 0:
		return ReasonPublicSuffix
	case own&(suffixPrivate|wildcardPrivate) != 0, above&wildcardPrivate != 0:
		return ReasonHeld
	}
	return ReasonNone
}
