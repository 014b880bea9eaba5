package config

import (
	"slices"
	"time"
)

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
	FormatAuto      Format = "auto"
	FormatHosts     Format = "hosts"
	FormatDomains   Format = "domains"
	FormatWildcard  Format = "wildcard"
	FormatAdblock   Format = "adblock"
	FormatDnsmasq   Format = "dnsmasq"
	FormatUnbound   Format = "unbound"
	FormatRPZ       Format = "rpz"
	FormatMaltrail  Format = "maltrail"
	FormatCSV       Format = "csv"
	FormatRegex     Format = "regex"
	FormatAddresses Format = "addresses"
	FormatSTIX      Format = "stix"
	FormatMISP      Format = "misp"
	FormatJSON      Format = "json"
)

// String is the word in the file.
func (f Format) String() string { return string(f) }

func (Format) values() []string {
	return words(FormatAuto, FormatHosts, FormatDomains, FormatWildcard, FormatAdblock, FormatDnsmasq, FormatUnbound, FormatRPZ,
		FormatMaltrail, FormatCSV, FormatAddresses, FormatRegex, FormatSTIX, FormatMISP, FormatJSON)
}

// PopularAction is what becomes of a row with a popular name.
type PopularAction string

// What becomes of it.
const (
	PopularHold    PopularAction = "hold"     // an operator decides
	PopularLogOnly PopularAction = "log-only" // it is recorded and changes no answer
	PopularServe   PopularAction = "serve"    // it is served, and listed
)

// String is the word in the file.
func (a PopularAction) String() string { return string(a) }

func (PopularAction) values() []string { return words(PopularHold, PopularLogOnly, PopularServe) }

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

// Addresses is what the addresses that a feed lists are for.
type Addresses string

// What addresses are for.
const (
	AddressesAnswered Addresses = "answers"     // answers that hold one match
	AddressesServers  Addresses = "nameservers" // names whose name servers have one match
	AddressesIgnored  Addresses = "ignore"      // counted, and no more
)

// String is the word in the file.
func (a Addresses) String() string { return string(a) }

func (Addresses) values() []string {
	return words(AddressesAnswered, AddressesServers, AddressesIgnored)
}

// Compromised is what becomes of the rows about sites of others that were broken into.
type Compromised string

// What becomes of them.
const (
	CompromisedLogOnly  Compromised = "log-only" // recorded
	CompromisedServe    Compromised = "serve"    // what becomes of other rows
	CompromisedNXDOMAIN Compromised = "nxdomain"
	CompromisedNODATA   Compromised = "nodata"
	CompromisedTCPOnly  Compromised = "tcp-only"
)

// String is the word in the file.
func (c Compromised) String() string { return string(c) }

func (Compromised) values() []string {
	return words(CompromisedLogOnly, CompromisedServe, CompromisedNXDOMAIN, CompromisedNODATA, CompromisedTCPOnly)
}

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
	ActionCNAME    Action = "cname"
)

// String is the word in the file.
func (a Action) String() string { return string(a) }

func (Action) values() []string {
	return words(ActionSinkhole, ActionNXDOMAIN, ActionNODATA, ActionPassthru, ActionDrop, ActionTCPOnly, ActionCNAME)
}

// PolicyAnswer is what a zone that is made of the policy says of names that the policy stops.
type PolicyAnswer string

// The answers.
const (
	AnswerGiven    PolicyAnswer = "given" // what the policy does
	AnswerSinkhole PolicyAnswer = "sinkhole"
	AnswerNXDOMAIN PolicyAnswer = "nxdomain"
	AnswerNODATA   PolicyAnswer = "nodata"
	AnswerDrop     PolicyAnswer = "drop"
	AnswerTCPOnly  PolicyAnswer = "tcp-only"
	AnswerCNAME    PolicyAnswer = "cname"
)

// String is the word in the file.
func (a PolicyAnswer) String() string { return string(a) }

func (PolicyAnswer) values() []string {
	return words(AnswerGiven, AnswerSinkhole, AnswerNXDOMAIN, AnswerNODATA, AnswerDrop, AnswerTCPOnly, AnswerCNAME)
}

// Override is what replaces the actions that a feed's rows give.
type Override string

// The overrides.
const (
	OverrideGiven          Override = "given" // none: what the row says
	OverrideSinkhole       Override = "sinkhole"
	OverrideNXDOMAIN       Override = "nxdomain"
	OverrideNODATA         Override = "nodata"
	OverridePassthru       Override = "passthru"
	OverrideDrop           Override = "drop"
	OverrideTCPOnly        Override = "tcp-only"
	OverrideCNAME          Override = "cname"
	OverrideDataOrPassthru Override = "local-data-or-passthru"
	OverrideDataOrDisabled Override = "local-data-or-disabled"
	OverrideDisabled       Override = "disabled" // record, and let the next zone decide
)

// String is the word in the file.
func (o Override) String() string { return string(o) }

func (Override) values() []string {
	return words(OverrideGiven, OverrideSinkhole, OverrideNXDOMAIN, OverrideNODATA, OverridePassthru, OverrideDrop, OverrideTCPOnly,
		OverrideCNAME, OverrideDisabled, OverrideDataOrPassthru, OverrideDataOrDisabled)
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

// Transport is a way on which questions come.
type Transport string

// The transports.
const (
	TransportUDP Transport = "udp"
	TransportTCP Transport = "tcp"
	TransportTLS Transport = "tls"
)

// String is the word in the file.
func (t Transport) String() string { return string(t) }

func (Transport) values() []string { return words(TransportUDP, TransportTCP, TransportTLS) }

// Day is a day of the week.
type Day string

// The days.
const (
	Monday    Day = "mon"
	Tuesday   Day = "tue"
	Wednesday Day = "wed"
	Thursday  Day = "thu"
	Friday    Day = "fri"
	Saturday  Day = "sat"
	Sunday    Day = "sun"
)

// String is the word in the file.
func (d Day) String() string { return string(d) }

// Weekday is the day as the standard library counts it.
func (d Day) Weekday() time.Weekday {
	return time.Weekday((slices.Index(Day("").values(), string(d)) + 1) % 7)
}

func (Day) values() []string {
	return words(Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday)
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

// Verify is what is wanted of the digest of a zone (ZONEMD).
type Verify string

// What may be wanted.
const (
	VerifyCheck   Verify = "check"   // one that is there is right
	VerifyRequire Verify = "require" // there is one, and it is right
	VerifyLog     Verify = "log"     // what is wrong is logged, and the zone served
	VerifyOff     Verify = "off"     // it is not looked at
)

// String is the word in the file.
func (v Verify) String() string { return string(v) }

func (Verify) values() []string { return words(VerifyCheck, VerifyRequire, VerifyLog, VerifyOff) }

// Steering is how the kernel chooses the worker for a UDP query.
type Steering string

// The ways to choose a worker.
const (
	SteerRandom Steering = "random" // by chance
	SteerCPU    Steering = "cpu"    // by the core on which the query came in
)

// String is the word in the file.
func (s Steering) String() string { return string(s) }

func (Steering) values() []string { return words(SteerRandom, SteerCPU) }

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

// KeyAlgorithm is how a key signs.
type KeyAlgorithm string

// The algorithms of keys.
const (
	KeySHA256 KeyAlgorithm = "hmac-sha256"
	KeySHA384 KeyAlgorithm = "hmac-sha384"
	KeySHA512 KeyAlgorithm = "hmac-sha512"
)

// String is the word in the file.
func (a KeyAlgorithm) String() string { return string(a) }

func (KeyAlgorithm) values() []string { return words(KeySHA256, KeySHA384, KeySHA512) }
