package blocklist

import (
	"fmt"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// Indicator is one name, address or name server that a feed lists, with what the feed says about it and where it says so.
type Indicator struct {
	Name       dnsname.Name // canonical, never the root; of what is no query name, the key that policy has for it
	Kind       policy.Kind
	Action     policy.Action     // ActionDefault unless the format gives one (RPZ)
	Exception  bool              // takes the name out of its own feed
	Data       *policy.LocalData // for ActionLocalData; nil otherwise
	Family     string            // malware family; "" where nobody says
	Threat     string            // threat type, such as "botnet_cc"; "" where nobody says
	Confidence uint8             // 0 to 100, or policy.ConfidenceUnknown
	Expiry     time.Time         // the zero time for never
	File       string            // the file as the operator knows it: "malware.tar.gz:malware/vidar.txt"
	Line       int               // of File, from 1
	Reference  string            // where the feed got it from: an address, a report
	Comment    string            // what the row says beside the name, cut at CommentMax octets
}

// CommentMax is how many octets of a row's Comment or Reference are kept.
const CommentMax = 512

// Reason is why a row of a feed is not served.
type Reason uint8

// The reasons. Rows of those that are held wait for an operator; all others refuse the row for good.
const (
	ReasonNone            Reason = iota
	ReasonNotADomain             // octets or a shape that no host name has
	ReasonTooLong                // a label over 63 octets, a name over 255
	ReasonLineTooLong            // a line over LineMax octets
	ReasonBadEncoding            // not UTF-8, or IDNA cannot map it to ASCII
	ReasonIPAddress              // an address or a prefix where a name is wanted, or where the feed's addresses are not used
	ReasonURL                    // an address of a page: a DNS answer is about the whole host
	ReasonRegex                  // a pattern that cannot be served
	ReasonPath                   // the path part of an address, without a host
	ReasonNotADNSRule            // the syntax is right, but the rule is not about DNS names
	ReasonOtherType              // something other than a name or an address: a file, a process
	ReasonSyntax                 // the row does not follow the format
	ReasonInclude                // $INCLUDE, conf-file and the like, which are never followed
	ReasonGenerate               // $GENERATE, which is never expanded
	ReasonOutOfZone              // an RPZ owner outside its zone
	ReasonConflict               // an RPZ owner whose records contradict each other
	ReasonTooManyRecords         // an RPZ owner with more than recordsMax records
	ReasonBadAction              // an RPZ target under a TLD rpz-* that is no action
	ReasonBadAddress             // an RPZ address trigger that is not written as the draft demands
	ReasonSpecialAddress         // an address of a list that means something else in every network: private, loopback, multicast
	ReasonWidePrefix             // a prefix of a list that holds more of the world than one holder has
	ReasonTooManyPatterns        // a pattern beyond policy.PatternsMax
	ReasonCombination            // a pattern of several things that must be seen together
	ReasonWithdrawn              // its publisher has revoked it, or says that it is harmless
	ReasonNotYetValid            // its publisher says that it holds from a later day on
	ReasonNotForDetection        // its publisher does not mean it for detection (to_ids of MISP)
	ReasonSomeClients            // a rule for some clients alone ($client and $ctag of adblock)
	ReasonSomeTypes              // a rule for some types of records alone ($dnstype of adblock)
	ReasonOverruled              // an exception of adblock and an $important rule are about the same name
	ReasonRoot                   // the root of the DNS
	ReasonTLD                    // a top-level domain, or any single label
	ReasonPublicSuffix           // a suffix under which registries sell names
	ReasonProtected              // it would stop a protected name; Fault.By says which list has it
	ReasonDecided                // it was held, and an operator refused it
	ReasonHeldPopular            // a popular name: held for review
	ReasonHeldNetwork            // an address of a protected network: held for review
	ReasonHeld                   // a suffix of the list's private section: held for review
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	"none", "not-a-domain", "too-long", "line-too-long", "bad-encoding", "ip-address", "url", "regex", "path", "not-a-dns-rule",
	"other-type", "syntax", "include-directive", "generate-directive", "out-of-zone", "conflict", "too-many-records", "bad-action", "bad-address",
	"special-address", "wide-prefix", "too-many-patterns",
	"combination", "withdrawn", "not-yet-valid", "not-for-detection", "some-clients", "some-types", "overruled", "root", "tld", "public-suffix", "protected", "refused-by-operator",
	"held-popular", "held-network", "held-private-suffix",
}

// String names the reason as metrics, logs and the API do.
func (r Reason) String() string {
	if r >= reasonEnd {
		return fmt.Sprintf("reason-%d", uint8(r))
	}
	return reasonNames[r]
}

// Held reports whether rows with the reason wait for an operator.
func (r Reason) Held() bool {
	return r == ReasonHeld || r == ReasonHeldPopular || r == ReasonHeldNetwork
}

// unreadable reports whether the reason speaks of a row that nobody can have meant as it stands.
func (r Reason) unreadable() bool {
	switch r {
	case ReasonNotADomain, ReasonTooLong, ReasonLineTooLong, ReasonBadEncoding, ReasonSyntax, ReasonOutOfZone, ReasonConflict,
		ReasonTooManyRecords, ReasonBadAction, ReasonBadAddress:
		return true
	}
	return false
}

// MarshalText lets a Reason be a key and a value in JSON.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Reason) UnmarshalText(text []byte) error {
	for i, name := range reasonNames {
		if name == string(text) {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("unknown reason %q", text)
}

// Fault is one row that is not served. Text is the row, cut and escaped, so that it can go to a terminal or a log as it is.
type Fault struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // 0 where nobody knows it, see Row
	Reason Reason `json:"reason"`
	Text   string `json:"text"`
	// By is the list on which a guard goes, for protected and popular names and for networks; "" for other reasons.
	By string `json:"by,omitempty"`
}

// Place is where a row stands: its file, and its line unless that is 0, since nobody knows it.
func Place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// String writes the fault as an operator wants to see it: place, reason, row.
func (f Fault) String() string {
	text := fmt.Sprintf("%s: %s: %s", Place(f.File, f.Line), f.Reason, f.Text)
	if f.By != "" {
		text += " (" + f.By + ")"
	}
	return text
}

// FaultCount is how many rows were refused for one reason, and the first of them.
type FaultCount struct {
	Count int   `json:"count"`
	First Fault `json:"first"`
}
