package policy

import "cenote/nameindex"

// Config is what a Policy is made of.
type Config struct {
	// Generation numbers the policy: two policies of one process never share a number. Default: the manifest's. Example: 42.
	Generation uint64
	// Zones in order of precedence. Default: none, nothing matches. Example: [{Name: "malware", Feeds: ["maltrail"]}].
	Zones []Zone
	// Index holds the names, their sets and the Manifest as JSON. Default: nil, an empty index.
	Index *nameindex.Index
	// AnswerEarly answers a match of the query name before the response triggers of earlier zones are known. No trigger that this
	// version serves looks at a response, so both settings decide alike. Default: false. Example: true.
	AnswerEarly bool
}

// Policy is the compiled policy: ordered zones over one index. It is immutable.
type Policy struct {
	config   Config
	manifest Manifest
}

// Rule is what a Hit stands for.
type Rule struct {
	Zone   *Zone
	Feed   string
	Family string
	Threat string
	Member Member
	Data   *LocalData // nil unless the member has local data
}

// New checks c and returns its Policy.
func New(c Config) (*Policy, error) { return &Policy{config: c}, nil }

// Generation returns the number that Config or the manifest gave.
func (p *Policy) Generation() uint64 { return p.config.Generation }

// Zones returns the zones in order of precedence. They must not be changed.
func (p *Policy) Zones() []Zone { return p.config.Zones }

// Manifest returns the manifest of the index. It must not be changed.
func (p *Policy) Manifest() *Manifest { return &p.manifest }

// Index returns the index, or nil if the policy is empty.
func (p *Policy) Index() *nameindex.Index { return p.config.Index }

// Missing returns the feeds that zones name and the index lacks, because they were never loaded; each once, in order of first mention.
func (p *Policy) Missing() []string { return nil }

// CheckQuery decides about the query name. It allocates nothing.
func (p *Policy) CheckQuery(r *Request) Decision { return Decision{} }

// CheckAnswer decides about the names that the CNAME and DNAME records of the answer in msg lead to, in their order, starting at
// r.Name. before is what CheckQuery decided: if that matched, it stands, because an earlier stage beats all later ones.
func (p *Policy) CheckAnswer(r *Request, msg []byte, before Decision) Decision { return before }

// AnswerTriggers reports whether any rule looks at the addresses or name servers of an answer. None does in this version, so an answer
// without CNAME and DNAME needs no check.
func (p *Policy) AnswerTriggers() bool { return false }

// Rule returns what h, a hit of a decision of this policy, stands for.
func (p *Policy) Rule(h Hit) Rule { return Rule{} }
