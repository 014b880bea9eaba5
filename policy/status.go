package policy

// Status is what became of a Candidate.
type Status uint8

// The statuses. Only StatusWins decides the answer.
const (
	StatusWins      Status = iota // it decides the answer
	StatusBeaten                  // it could decide, but another rule comes first: see Candidate.Clause
	StatusLogOnly                 // its zone only records
	StatusDisabled                // its action is disabled; it is only recorded
	StatusException               // it is an exception: it takes the name out of its own feed
	StatusExcepted                // an exception of its feed takes the name out
	StatusStopped                 // a longer listed name of its RPZ feed stops it: the closest-encloser rule
	StatusShort                   // its kind does not reach the name
	StatusEmpty                   // it is no rule: it says that names lie below, and stops wildcards above in its RPZ feed
	StatusExpired                 // its time is over
	StatusUnheld                  // no zone holds its feed
	StatusSpared                  // its zone is not for such a query: one without recursion, or whose answer is signed
	statusEnd
)

func (s standing) status() Status {
	switch s {
	case standsException:
		return StatusException
	case standsExpired:
		return StatusExpired
	case standsEmpty:
		return StatusEmpty
	case standsShort:
		return StatusShort
	case standsStopped:
		return StatusStopped
	case standsExcepted:
		return StatusExcepted
	case standsFree:
	}
	return StatusBeaten // until it is known which of the free ones won
}

// Clause is one clause of the rules of precedence; see the documentation of the package.
type Clause uint8

// The clauses, the strongest first.
const (
	ClauseNone      Clause = iota // nothing was decided
	ClauseAlone                   // no other rule could have decided
	ClauseChain                   // it is about an earlier name of the chain
	ClauseEarly                   // it decided by the question alone, and the other looks at the answer
	ClauseZoneOrder               // its zone comes first
	ClauseTrigger                 // its trigger comes first
	ClausePrefix                  // its prefix is longer
	ClauseAddress                 // its address is smaller
	ClauseExact                   // the name itself is listed, the other only reaches down to it
	ClauseLabels                  // its listed name has more labels
	ClauseServer                  // its name server is the last in canonical order
	ClauseStated                  // it is about name servers; the other is not, and counts for them too
	ClauseFeedOrder               // the zone names its feed first
	ClauseSetOrder                // one feed lists the name more than once; see EncodeSet
	clauseEnd
)

// described is the short name of a value of an enum, and a sentence about it for people.
type described struct{ name, sentence string }

func statuses() [statusEnd]described {
	return [...]described{
		StatusWins:      {"wins", "this rule decides the answer"},
		StatusBeaten:    {"beaten", "another rule comes first"},
		StatusLogOnly:   {"log-only", "the zone records matches and changes no answer"},
		StatusDisabled:  {"disabled", "the rule is disabled: it is recorded, and the next one decides"},
		StatusException: {"exception", "takes the name out of its own feed"},
		StatusExcepted:  {"excepted", "an exception of the same feed takes the name out"},
		StatusStopped:   {"stopped", "a longer name in the same RPZ feed stops the wildcard (closest-encloser rule)"},
		StatusShort:     {"out-of-reach", "the rule is not about this name: an exact rule ends at its name, a wildcard begins below it"},
		StatusEmpty:     {"empty-non-terminal", "no rule: the name exists in its RPZ feed because others lie below it"},
		StatusExpired:   {"expired", "the feed's time for it is over"},
		StatusUnheld:    {"unheld", "no policy zone holds the feed"},
		StatusSpared:    {"spared", "the zone is not for a query without recursion, or whose answer is signed"},
	}
}

func clauses() [clauseEnd]described {
	return [...]described{
		ClauseNone:      {"none", "no rule decides"},
		ClauseAlone:     {"alone", "no other rule could decide"},
		ClauseChain:     {"chain-position", "a rule about an earlier name of the chain comes before all about a later one"},
		ClauseEarly:     {"answered-early", "it is decided by the question alone; no rule about the answer is waited for (policy.answer_early)"},
		ClauseZoneOrder: {"zone-order", "the policy zone that comes first decides"},
		ClauseTrigger:   {"trigger-order", "within a zone the client's address comes before the name, then what is answered, then the servers' names, then their addresses"},
		ClausePrefix:    {"longer-prefix", "the longer prefix comes first"},
		ClauseAddress:   {"smaller-address", "of two prefixes of one length the smaller address comes first"},
		ClauseExact:     {"exact-over-wildcard", "a rule for the name itself comes before one for the names below another"},
		ClauseLabels:    {"more-labels", "the listed name with more labels comes first"},
		ClauseServer:    {"last-server", "of two name servers the one that is the last in canonical order counts"},
		ClauseStated:    {"stated-first", "a rule about name servers comes before one that counts for them too (qname_as_ns, ip_as_ns)"},
		ClauseFeedOrder: {"feed-order", "the zone names this feed before the other"},
		ClauseSetOrder:  {"set-order", "one feed lists the name more than once, in this order"},
	}
}

// String names the status as explain and the API do.
func (s Status) String() string { return s.described().name }

// Sentence says what the status means, in words for people.
func (s Status) Sentence() string { return s.described().sentence }

func (s Status) described() described {
	if s >= statusEnd {
		return described{"unknown", "unknown"}
	}
	return statuses()[s]
}

// String names the clause as explain and the API do.
func (c Clause) String() string { return c.described().name }

// Sentence says what the clause means, in words for people.
func (c Clause) Sentence() string { return c.described().sentence }

func (c Clause) described() described {
	if c >= clauseEnd {
		return described{"unknown", "unknown"}
	}
	return clauses()[c]
}
