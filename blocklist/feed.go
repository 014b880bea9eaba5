package blocklist

import (
	"context"
	"fmt"
	"math"
	"time"

	"cenote/policy"
)

// Match is how far below its names a feed reaches.
type Match uint8

// The matches. MatchDefault leaves it to the tradition of the format; see Formats.
const (
	MatchDefault Match = iota
	MatchExact
	MatchSubtree
	MatchBelow
)

var matchNames = [...]string{"default", "exact", "subtree", "below"}

// String names the match as the configuration does.
func (m Match) String() string {
	if int(m) < len(matchNames) {
		return matchNames[m]
	}
	return fmt.Sprintf("match-%d", uint8(m))
}

// MarshalText writes the match as the configuration does.
func (m Match) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a match as the configuration writes it; the empty text is MatchDefault.
func (m *Match) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MatchDefault
		return nil
	}
	for i, name := range matchNames {
		if name == string(text) {
			*m = Match(i)
			return nil
		}
	}
	return fmt.Errorf("unknown match %q: use default, exact, subtree or below", text)
}

// FeedConfig is one feed: where it lies, how it is written, and what holds for rows that do not say. It travels to the compiling child
// as JSON.
type FeedConfig struct {
	// Name is the feed's name in policy zones, sightings and logs. Example: "maltrail".
	Name string `json:"name"`
	// Path is a file, an archive (.tar.gz, .tgz, .tar, .zip), a compressed file (.gz) or a directory. Example: "/var/lib/feeds/malware.tar.gz".
	Path string `json:"path"`
	// Shown is what the source is called for people in place of Path. Default: "", Path. Example: "https://lists.example/malware.hosts".
	Shown string `json:"shown,omitempty"`
	// Format is one of Formats. Default: "", detected by name and content. Example: "rpz".
	Format string `json:"format,omitempty"`
	// Match is whether the names below a listed name are listed too. Default: what the format means by tradition. It does not touch
	// rows whose own syntax says it (a wildcard in RPZ). Example: "subtree".
	Match Match `json:"match,omitempty"`
	// Addresses is what the addresses of a list are for. It does not touch RPZ. Default: AddressesAnswered. Example: AddressesIgnored.
	Addresses Addresses `json:"addresses,omitempty"`
	// Lenient reads the address triggers of RPZ in any spelling that can mean but one thing; see policy.ParsePrefix. Default: false, they must be
	// as the draft demands. Example: true.
	Lenient bool `json:"lenient,omitempty"`
	// AllAttributes serves also the attributes of MISP that are not marked for detection (to_ids), but for those of the type ip-src. Default: false, they
	// are refused. Example: true.
	AllAttributes bool `json:"all_attributes,omitempty"`
	// Compromised is what becomes of rows about sites of others that were broken into. Default: CompromisedRecorded. Example: CompromisedNODATA.
	Compromised Compromised `json:"compromised,omitempty"`
	// Family is the malware family of rows that name none. Default: none. Example: "lummac2".
	Family string `json:"family,omitempty"`
	// Threat is the threat type of rows that name none. Default: none. Example: "botnet_cc".
	Threat string `json:"threat,omitempty"`
	// Confidence is that of rows that give none, in percent, 1 to 100. Default: 0, which leaves it unknown.
	Confidence uint8 `json:"confidence,omitempty"`
	// Columns tells which column of a CSV, or key of a record of JSON, holds what; with a header of unusual names, set Format too. Default: found by the usual names.
	Columns Columns `json:"columns,omitzero"`
	// Files selects the files of a directory or archive by base name, a pattern of path.Match. Default: "*.txt" for maltrail, "*.json" for
	// misp, otherwise all that are not hidden. Example: "*.hosts".
	Files string `json:"files,omitempty"`
	// Zone is the apex of an RPZ file that does not say it by $ORIGIN. Default: taken from $ORIGIN or the owner of the SOA, or the names are
	// read as relative. Example: "rpz.example".
	Zone string `json:"zone,omitempty"`
	// TTL is how long a row without an expiry holds, counted from its own date or else from the file's time of change. Default: 0, for ever.
	// Example: 720h.
	TTL time.Duration `json:"ttl,omitempty"`
	// SuffixList is a Public Suffix List file to use in place of the one that is compiled in. Default: "".
	// Example: "/usr/share/publicsuffix/public_suffix_list.dat".
	SuffixList string `json:"suffix_list,omitempty"`
	// AllowSuffixes serves rows that hold a top-level domain or a public suffix. Default: false, they are refused.
	AllowSuffixes bool `json:"allow_suffixes,omitempty"`
	// AllowPrivateSuffixes serves rows that equal a suffix of the list's private section (a hosting company's). Default: false, they are held.
	AllowPrivateSuffixes bool `json:"allow_private_suffixes,omitempty"`
	// AllowEmpty takes a feed without a single usable row for what it is. Default: false, it is refused with ErrEmpty.
	AllowEmpty bool `json:"allow_empty,omitempty"`
	// AllowHTML reads a source that looks like a web page as if it were a list: those of its lines that are rows count. Default: false, it is
	// refused with ErrHTML.
	AllowHTML bool `json:"allow_html,omitempty"`
	// ErrorMax is the share of its rows, from 0 to 1, that may be unreadable; above it a feed of more than errorLeast rows is refused with ErrBroken. Rows
	// that can be read and say something that is no use here do not count. Default: 0, no bound; below 0 none may be. Example: 0.5.
	ErrorMax float64 `json:"error_max,omitempty"`
	// Protect is what rows must not stop. Default: nothing but what a suffix list says.
	Protect Protection `json:"protect,omitzero"`
	// LetsThrough is whether the feed's names are listed to be let through, so that a row without an action of its own is not guarded by Protect.
	// Default: false.
	LetsThrough bool `json:"lets_through,omitempty"`
	// Released and Refused are the names and networks, as HeldRow.Name has them, of which an operator decided that their rows are served although
	// guards would hold them, or never. A Publisher sets them. Default: none.
	Released []string `json:"released,omitempty"`
	Refused  []string `json:"refused,omitempty"`
	// Limits bound what a feed may cost. Default: DefaultLimits.
	Limits Limits `json:"limits,omitzero"`
}

// Columns names the columns of a CSV, as its header writes them; letter case does not matter. A column that is left empty is looked for
// under its usual names.
type Columns struct {
	Indicator  string `json:"indicator,omitempty"`  // the name. Example: "ioc_value"
	Type       string `json:"type,omitempty"`       // what Indicator is; rows that are no domain are counted. Example: "ioc_type"
	Family     string `json:"family,omitempty"`     // Example: "malware_printable"
	Threat     string `json:"threat,omitempty"`     // Example: "threat_type"
	Confidence string `json:"confidence,omitempty"` // percent. Example: "confidence_level"
	Date       string `json:"date,omitempty"`       // when it was listed; FeedConfig.TTL counts from it. Example: "Date added"
	Expiry     string `json:"expiry,omitempty"`     // when it ends. Example: "valid_until"
	Reference  string `json:"reference,omitempty"`  // Example: "Source"
	Comment    string `json:"comment,omitempty"`    // Example: "tags"
}

// Limits bound what one feed may cost. A zero field takes its value from DefaultLimits.
type Limits struct {
	SourceBytes  int64 `json:"source_bytes,omitempty"`  // of all files as they are stored. Default: 256 MiB
	ContentBytes int64 `json:"content_bytes,omitempty"` // of all files unpacked. Default: 2 GiB
	Files        int   `json:"files,omitempty"`         // in a directory or archive. Default: 20,000
	Rows         int   `json:"rows,omitempty"`          // parsed, good or bad. Default: 20,000,000
}

// DefaultLimits are the limits of a feed that sets none.
func DefaultLimits() Limits {
	return Limits{SourceBytes: 256 << 20, ContentBytes: 2 << 30, Files: 20_000, Rows: 20_000_000}
}

// Sink takes what a feed holds, in the order of its rows.
type Sink interface {
	// Indicator takes one row that may be served. The value is reused for the next row: what is kept must be copied (its strings may be
	// kept). An error ends the reading.
	Indicator(*Indicator) error
	// Fault takes one row that is not served. Only the first FaultsMax of each reason come here; the Report counts them all.
	Fault(Fault)
}

// FaultsMax is how many faults of each reason a Sink is shown: a feed of a million bad rows would spend its time on their texts.
// CheckFeed shows all.
const FaultsMax = 100

// Report is what was found in a feed. Always Parsed = Live + Refused + Held, and Refused + Held is the sum of Faults.
// Live counts rows handed to the Sink; which of them say the same thing twice is known only where they are merged.
type Report struct {
	Format          string                 `json:"format"`
	ClosestEncloser bool                   `json:"closest_encloser,omitempty"` // an RPZ source, see policy.Feed
	Serial          uint32                 `json:"serial,omitempty"`           // of an RPZ source's SOA
	Expire          uint32                 `json:"expire,omitempty"`           // the same, in seconds
	SOA             *policy.SOA            `json:"soa,omitempty"`              // and all of it
	Files           int                    `json:"files"`
	Lines           int                    `json:"lines"`
	Bytes           int64                  `json:"bytes"`   // unpacked
	Skipped         int                    `json:"skipped"` // rows that every such file has and nobody means: localhost, headers, SOA and NS
	Parsed          int                    `json:"parsed"`  // rows that say something: one a name, so a hosts line may be several
	Live            int                    `json:"live"`
	Refused         int                    `json:"refused"`
	Held            int                    `json:"held"`
	Faults          map[Reason]*FaultCount `json:"faults,omitempty"`
	HeldRows        []HeldRow              `json:"held_rows,omitempty"`    // the first HeldMax
	GuardedRows     []HeldRow              `json:"guarded_rows,omitempty"` // the first GuardedMax of those that guards refuse for their names
	Popular         int                    `json:"popular,omitempty"`      // of the live rows, those with a popular name of which no operator decided
	PopularRows     []HeldRow              `json:"popular_rows,omitempty"` // the first HeldMax
	Released        int                    `json:"released,omitempty"`     // of the live rows, those that an operator released
	Families        map[string]*TrailKinds `json:"families,omitempty"`     // maltrail only
	Loose           int                    `json:"loose,omitempty"`        // records with an address that is not spelled as the RPZ draft demands, and is read (FeedConfig.Lenient)
	Triggers        policy.TriggerCounts   `json:"triggers,omitzero"`      // of the live rows, those about something else than query names
}

// HeldMax is how many held rows a Report lists, and how many popular ones that are not held.
const HeldMax = 5000

// GuardedMax is how many of the rows that guards refuse for their names a Report lists.
const GuardedMax = 1000

// errorLeast is how many rows a feed may have for ErrorMax not to count: of a few rows, half is no sign of anything.
const errorLeast = 100

// TrailKinds counts the rows of one maltrail family by what they are.
type TrailKinds struct {
	Domain int `json:"domain"`
	IP     int `json:"ip"`
	IPPort int `json:"ip_port"`
	HTTPIP int `json:"http_ip"`
	CIDR   int `json:"cidr"`
	URL    int `json:"url"`
	Path   int `json:"path"`
	Other  int `json:"other"`
}

// ReadFeed reads the feed of c row by row into s. It opens the source, detects the format if c gives none, and refuses or holds rows as
// the guards say. The Report is filled also when there is an error; but then what s got is incomplete and must be thrown away.
// Errors wrap one of the Err values of this package where the source is to blame.
func ReadFeed(ctx context.Context, c FeedConfig, s Sink) (Report, error) {
	return readFeed(ctx, c, s, FaultsMax)
}

// readFeed is ReadFeed with the number of faults of each reason that s is shown.
func readFeed(ctx context.Context, c FeedConfig, s Sink, shown int) (Report, error) {
	r, err := newReader(c, s)
	if err != nil {
		return Report{}, fmt.Errorf("reading feed %q: %w", c.Name, err)
	}
	r.shown = shown
	if err := r.read(ctx); err != nil {
		return r.report, fmt.Errorf("reading feed %q: %w", c.Name, err)
	}
	return r.report, nil
}

// CheckFeed reads the feed of c as ReadFeed does, keeps nothing of it, and hands every row that is not served to faults, however many there are.
func CheckFeed(ctx context.Context, c FeedConfig, faults func(Fault)) (Report, error) {
	return readFeed(ctx, c, checkSink{faults}, math.MaxInt)
}

// checkSink takes all faults and no indicator.
type checkSink struct{ faults func(Fault) }

// Indicator implements Sink.
func (checkSink) Indicator(*Indicator) error { return nil }

// Fault implements Sink.
func (s checkSink) Fault(f Fault) { s.faults(f) }

// source is where the feed comes from, as people know it.
func (c *FeedConfig) source() string {
	if c.Shown != "" {
		return c.Shown
	}
	return c.Path
}

func (c *FeedConfig) confidence() uint8 {
	if c.Confidence == 0 {
		return policy.ConfidenceUnknown
	}
	return c.Confidence
}
