package blocklist

import (
	"fmt"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// Indicator is one name that a feed lists, with what the feed says about it and where it says so.
type Indicator struct {
	Name       dnsname.Name // canonical, never the root
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

// The reasons. ReasonHeld is the only one whose rows wait for an operator; all others refuse the row for good.
const (
	ReasonNone             Reason = iota
	ReasonNotADomain              // octets or a shape that no host name has
	ReasonTooLong                 // a label over 63 octets, a name over 255
	ReasonLineTooLong             // a line over LineMax octets
	ReasonBadEncoding             // not UTF-8, or IDNA cannot map it to ASCII
	ReasonIPAddress               // an address or a prefix where a name is wanted
	ReasonURL                     // an address of a page: a DNS answer is about the whole host
	ReasonRegex                   // a pattern
	ReasonPath                    // the path part of an address, without a host
	ReasonNotADNSRule             // the syntax is right, but the rule is not about DNS names
	ReasonOtherType               // a CSV row about something other than a domain
	ReasonSyntax                  // the row does not follow the format
	ReasonInclude                 // $INCLUDE, conf-file and the like, which are never followed
	ReasonGenerate                // $GENERATE, which is never expanded
	ReasonOutOfZone               // an RPZ owner outside its zone
	ReasonConflict                // an RPZ owner whose records contradict each other
	ReasonTooManyRecords          // an RPZ owner with more than recordsMax records
	ReasonBadAction               // an RPZ target under a TLD rpz-* that is no action
	ReasonBadAddress              // an RPZ address trigger that is not written as the draft demands
	ReasonTriggerNotServed        // a well-formed RPZ trigger other than QNAME
	ReasonRoot                    // the root of the DNS
	ReasonTLD                     // a top-level domain, or any single label
	ReasonPublicSuffix            // a suffix under which registries sell names
	ReasonHeld                    // a suffix of the list's private section: held for review
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	"none", "not-a-domain", "too-long", "line-too-long", "bad-encoding", "ip-address", "url", "regex", "path", "not-a-dns-rule",
	"other-type", "syntax", "include-directive", "generate-directive", "out-of-zone", "conflict", "too-many-records", "bad-action", "bad-address",
	"trigger-not-served", "root", "tld", "public-suffix", "held-private-suffix",
}

// String names the reason as metrics, logs and the API do.
func (r Reason) String() string {
	if r >= reasonEnd {
		return fmt.Sprintf("reason-%d", uint8(r))
	}
	return reasonNames[r]
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
	Line   int    `json:"line"`
	Reason Reason `json:"reason"`
	Text   string `json:"text"`
}

// String writes the fault as an operator wants to see it: place, reason, row.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Reason, f.Text)
}

// FaultCount is how many rows were refused for one reason, and the first of them.
type FaultCount struct {
	Count int   `json:"count"`
	First Fault `json:"first"`
}
