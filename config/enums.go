package config

// Refusal is what a client outside the access list gets.
type Refusal string

// The refusals.
const (
	RefusalRefused Refusal = "refused" // an answer with RCODE REFUSED
	RefusalDrop    Refusal = "drop"    // no answer
)

// String is the word in the file.
func (r Refusal) String() string { return string(r) }

func (Refusal) values() []string { return words(RefusalRefused, RefusalDrop) }

// Format is how the rows of a feed are written.
type Format string

// The formats.
const (
	FormatAuto     Format = "auto"
	FormatHosts    Format = "hosts"
	FormatDomains  Format = "domains"
	FormatWildcard Format = "wildcard"
	FormatAdblock  Format = "adblock"
	FormatDnsmasq  Format = "dnsmasq"
	FormatUnbound  Format = "unbound"
	FormatRPZ      Format = "rpz"
	FormatMaltrail Format = "maltrail"
	FormatCSV      Format = "csv"
)

// String is the word in the file.
func (f Format) String() string { return string(f) }

func (Format) values() []string {
	return words(FormatAuto, FormatHosts, FormatDomains, FormatWildcard, FormatAdblock, FormatDnsmasq, FormatUnbound, FormatRPZ,
		FormatMaltrail, FormatCSV)
}

// Match is how far below a listed name a feed reaches.
type Match string

// The kinds of match.
const (
	MatchDefault Match = "default" // what the format means by tradition
	MatchExact   Match = "exact"   // the name alone
	MatchBelow   Match = "below"   // every name under it
	MatchSubtree Match = "subtree" // both
)

// String is the word in the file.
func (m Match) String() string { return string(m) }

func (Match) values() []string { return words(MatchDefault, MatchExact, MatchBelow, MatchSubtree) }

// Action is what a match in a zone does.
type Action string

// The actions.
const (
	ActionSinkhole Action = "sinkhole"
	ActionNXDOMAIN Action = "nxdomain"
	ActionNODATA   Action = "nodata"
	ActionPassthru Action = "passthru"
	ActionDrop     Action = "drop"
	ActionTCPOnly  Action = "tcp-only"
)

// String is the word in the file.
func (a Action) String() string { return string(a) }

func (Action) values() []string {
	return words(ActionSinkhole, ActionNXDOMAIN, ActionNODATA, ActionPassthru, ActionDrop, ActionTCPOnly)
}

// Override is what replaces the actions that a feed's rows give.
type Override string

// The overrides.
const (
	OverrideGiven    Override = "given" // none: what the row says
	OverrideSinkhole Override = "sinkhole"
	OverrideNXDOMAIN Override = "nxdomain"
	OverrideNODATA   Override = "nodata"
	OverridePassthru Override = "passthru"
	OverrideDrop     Override = "drop"
	OverrideTCPOnly  Override = "tcp-only"
	OverrideDisabled Override = "disabled" // record, and let the next zone decide
)

// String is the word in the file.
func (o Override) String() string { return string(o) }

func (Override) values() []string {
	return words(OverrideGiven, OverrideSinkhole, OverrideNXDOMAIN, OverrideNODATA, OverridePassthru, OverrideDrop, OverrideTCPOnly,
		OverrideDisabled)
}

// EDE is an extended error (RFC 8914).
type EDE string

// The extended errors that a policy may give.
const (
	EDENone         EDE = "none"
	EDEForgedAnswer EDE = "forged-answer"
	EDEBlocked      EDE = "blocked"
	EDECensored     EDE = "censored"
	EDEFiltered     EDE = "filtered"
	EDEProhibited   EDE = "prohibited"
)

// String is the word in the file.
func (e EDE) String() string { return string(e) }

// Code is the info code of RFC 8914 section 4, and false for EDENone.
func (e EDE) Code() (uint16, bool) {
	switch e {
	case EDEForgedAnswer:
		return 4, true
	case EDEBlocked:
		return 15, true
	case EDECensored:
		return 16, true
	case EDEFiltered:
		return 17, true
	case EDEProhibited:
		return 18, true
	case EDENone:
	}
	return 0, false
}

func (EDE) values() []string {
	return words(EDEBlocked, EDECensored, EDEFiltered, EDEProhibited, EDEForgedAnswer, EDENone)
}

// LogMode chooses the queries that are logged.
type LogMode string

// The modes of the query log.
const (
	LogOff     LogMode = "off"
	LogMatches LogMode = "matches"
	LogSampled LogMode = "sampled"
	LogAll     LogMode = "all"
)

// String is the word in the file.
func (m LogMode) String() string { return string(m) }

func (LogMode) values() []string { return words(LogOff, LogMatches, LogSampled, LogAll) }

// Compression is how finished log files are packed.
type Compression string

// The compressions.
const (
	CompressionNone Compression = "none"
	CompressionGzip Compression = "gzip"
	CompressionZstd Compression = "zstd"
)

// String is the word in the file.
func (c Compression) String() string { return string(c) }

func (Compression) values() []string { return words(CompressionNone, CompressionGzip, CompressionZstd) }

// LogLevel is the least important line that the server's log shows.
type LogLevel string

// The levels.
const (
	LevelDebug LogLevel = "debug"
	LevelInfo  LogLevel = "info"
	LevelWarn  LogLevel = "warn"
	LevelError LogLevel = "error"
)

// String is the word in the file.
func (l LogLevel) String() string { return string(l) }

func (LogLevel) values() []string { return words(LevelDebug, LevelInfo, LevelWarn, LevelError) }

// LogFormat is how the server's log is written.
type LogFormat string

// The formats of the log.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// String is the word in the file.
func (f LogFormat) String() string { return string(f) }

func (LogFormat) values() []string { return words(LogText, LogJSON) }

// enum is a closed set of words.
type enum interface{ values() []string }

func words[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
