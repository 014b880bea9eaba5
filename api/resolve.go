package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cenote/dnsname"
)

// Truth asks the world what there is, without any policy.
type Truth interface {
	// Resolve asks a question. Where there is no answer, the ResolveAnswer says why; an error is a question that cannot be asked.
	Resolve(context.Context, TruthQuestion) (ResolveAnswer, error)
	// Servers tells what is known of servers: of the zone that a name is in, or with no name of those that are slowest and busiest.
	Servers(name dnsname.Name, most int) ServersAnswer
	// Anchors tells how the trust anchors stand.
	Anchors() AnchorsAnswer
}

// TruthQuestion is what GET /v1/resolve asks.
type TruthQuestion struct {
	Name dnsname.Name
	Type string // the word for a type; "" is A
	// Trace asks anew, whatever the cache holds, and tells all that was done. DNSSEC wants signatures and proofs, too. NoValidation takes what does not
	// stand up to validation.
	Trace, DNSSEC, NoValidation bool
}

// ResolveAnswer is the answer of GET /v1/resolve.
type ResolveAnswer struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Rcode      string         `json:"rcode"`
	Security   string         `json:"security"`         // secure, insecure, bogus, unchecked or unknown
	Reason     string         `json:"reason,omitempty"` // why there is no answer
	Error      *ExtendedError `json:"extended_error,omitempty"`
	Stale      bool           `json:"stale,omitempty"` // it is past its TTL, and nobody had a newer one
	Seconds    float64        `json:"seconds"`         // that it took
	Answer     []Record       `json:"answer"`
	Authority  []Record       `json:"authority"`
	Additional []Record       `json:"additional"`
	Trace      *Trace         `json:"trace,omitempty"`
}

// ExtendedError is an extended DNS error (RFC 8914).
type ExtendedError struct {
	Code uint16 `json:"code"`
	Text string `json:"text"` // what the registry calls it
}

// Record is a record in presentation form.
type Record struct {
	Name string `json:"name"`
	TTL  uint32 `json:"ttl"`
	Type string `json:"type"`
	Data string `json:"data"`
}

// Trace is all that was done to answer a question, in order.
type Trace struct {
	Steps []TraceStep `json:"steps"`
	Spent *TraceSpent `json:"spent,omitempty"` // of the whole question; inner traces have none
}

// TraceStep is one thing that was done.
type TraceStep struct {
	Kind      string         `json:"kind"` // asked, forwarded, cached, question, trust or verdict
	Name      string         `json:"name"`
	Type      string         `json:"type,omitempty"`
	Zone      string         `json:"zone,omitempty"`
	Minimised bool           `json:"minimised,omitempty"` // a part of the name alone was told
	Known     bool           `json:"known,omitempty"`     // from an earlier question
	Server    string         `json:"server,omitempty"`    // that the result is from
	Seconds   float64        `json:"seconds,omitempty"`
	Attempts  []TraceAttempt `json:"attempts,omitempty"`
	Result    string         `json:"result,omitempty"` // answer, alias, no data, no such name, referral, or an error
	Next      string         `json:"next,omitempty"`   // the zone of a referral, the target of an alias
	TTL       uint32         `json:"ttl,omitempty"`
	Security  string         `json:"security,omitempty"` // of a trust and of a verdict
	Code      *uint16        `json:"code,omitempty"`     // of a verdict: the extended error
	Reason    string         `json:"reason,omitempty"`   // of a verdict
	Proof     string         `json:"proof,omitempty"`    // what a verdict rests on
	DS        []TraceKey     `json:"ds,omitempty"`
	Keys      []TraceKey     `json:"keys,omitempty"`
	SignedBy  uint16         `json:"signed_by,omitempty"` // the tag of the key that signed the keys
	Inner     *Trace         `json:"inner,omitempty"`
}

// TraceAttempt is one query and what came of it.
type TraceAttempt struct {
	Server    string  `json:"server"`
	Transport string  `json:"transport"` // udp, tcp or tls
	EDNS      bool    `json:"edns"`
	MixedCase bool    `json:"mixed_case"`
	Seconds   float64 `json:"seconds"`
	Result    string  `json:"result"` // the response code, or an error
	Bytes     int     `json:"bytes,omitempty"`
}

// TraceKey names a key, or what a DS record says of one.
type TraceKey struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	Digest    uint8  `json:"digest,omitempty"` // of a DS record
	Flags     uint16 `json:"flags,omitempty"`  // of a key
}

// TraceSpent is what a question cost, and what was left of its bounds; Left is absent where names are forwarded.
type TraceSpent struct {
	Packets int        `json:"packets"`
	Left    *TraceLeft `json:"left,omitempty"`
}

// TraceLeft is what was left of each bound.
type TraceLeft struct {
	Packets           int `json:"packets"`
	Targets           int `json:"targets"`
	TargetFailures    int `json:"target_failures"`
	Referrals         int `json:"referrals"`
	Signatures        int `json:"signatures"`
	SignatureFailures int `json:"signature_failures"`
	Hashes            int `json:"hashes"` // blocks of 64 octets, for NSEC3
}

// ServersAnswer is the answer of GET /v1/servers.
type ServersAnswer struct {
	Delegation *DelegationAnswer `json:"delegation,omitempty"` // of the name that was asked for, if one is known
	Slowest    []ServerAnswer    `json:"slowest"`
	Busiest    []ServerAnswer    `json:"busiest"`
	Upstreams  []ServerAnswer    `json:"upstreams"`
}

// DelegationAnswer is a zone and its servers, as they are known now.
type DelegationAnswer struct {
	Zone      string             `json:"zone"`
	Parent    string             `json:"parent,omitempty"`
	TTL       uint32             `json:"ttl,omitempty"`
	Stub      bool               `json:"stub,omitempty"`      // the configuration names its servers
	Forwarded bool               `json:"forwarded,omitempty"` // the servers are other resolvers
	Signed    bool               `json:"signed"`              // the parent has DS records of it
	Servers   []NameServerAnswer `json:"servers"`
}

// NameServerAnswer is a name server of a zone.
type NameServerAnswer struct {
	Name      string         `json:"name"`
	Addresses []ServerAnswer `json:"addresses"`
}

// ServerAnswer is what is known of a server at one address.
type ServerAnswer struct {
	Address     string  `json:"address"`
	Known       bool    `json:"known"` // it was asked lately
	Up          bool    `json:"up"`
	RTT         float64 `json:"rtt_seconds,omitempty"`
	EDNS        bool    `json:"edns"`
	KeepsCase   bool    `json:"keeps_case"`
	Lame        bool    `json:"lame,omitempty"` // it knew nothing of the zone
	UnderWay    int     `json:"under_way,omitempty"`
	Queries     uint64  `json:"queries"`
	TCP         uint64  `json:"tcp"`
	Replies     uint64  `json:"replies"`
	Timeouts    uint64  `json:"timeouts"`
	Unreachable uint64  `json:"unreachable"`
	ServFail    uint64  `json:"servfail"`
	Refusals    uint64  `json:"refusals"`
	Rejected    uint64  `json:"rejected"`
}

// AnchorsAnswer is the answer of GET /v1/anchors.
type AnchorsAnswer struct {
	Validates bool             `json:"validates"`
	Anchors   []AnchorAnswer   `json:"anchors"`
	Negative  []NegativeAnswer `json:"negative"`
}

// AnchorAnswer is the trust anchors of a zone.
type AnchorAnswer struct {
	Zone      string            `json:"zone"`
	Following bool              `json:"following"`      // roll-overs are followed (RFC 5011)
	Next      *time.Time        `json:"next,omitempty"` // when the zone's keys are looked at again
	Gone      bool              `json:"gone,omitempty"` // the zone has revoked all of them
	DS        []TraceKey        `json:"ds"`             // configured
	Keys      []AnchorKeyAnswer `json:"keys"`
}

// AnchorKeyAnswer is a key that is followed, and its state.
type AnchorKeyAnswer struct {
	TraceKey
	State string     `json:"state"` // pending, valid, missing, revoked or removed
	Since time.Time  `json:"since"`
	Seen  *time.Time `json:"seen,omitempty"` // when the zone last showed it
}

// NegativeAnswer is a name at and below which nothing is validated.
type NegativeAnswer struct {
	Name  string     `json:"name"`
	Until *time.Time `json:"until,omitempty"` // absent: until somebody takes it out
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request) {
	q, err := parseTruthQuestion(r.URL.Query())
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := s.config.Rooms.Truth.Resolve(r.Context(), q)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	answer.Answer, answer.Authority, answer.Additional = listOf(answer.Answer), listOf(answer.Authority), listOf(answer.Additional)
	reply(w, http.StatusOK, answer)
}

func parseTruthQuestion(v url.Values) (q TruthQuestion, err error) {
	if v.Get("name") == "" {
		return q, errors.New("name is missing: what is to be resolved?")
	}
	if q.Name, err = dnsname.Parse(v.Get("name")); err != nil {
		return q, err
	}
	q.Name, q.Type = q.Name.Canonical(), v.Get("type")
	for key, into := range map[string]*bool{"trace": &q.Trace, "dnssec": &q.DNSSEC, "no_validation": &q.NoValidation} {
		if *into, err = parseFlag(v.Get(key)); err != nil {
			return q, errors.New(key + " is neither true nor false")
		}
	}
	return q, nil
}

// Bounds of a list of servers.
const (
	serversDefault = 10
	serversMax     = 1000
)

func (s *Server) zoneServers(w http.ResponseWriter, r *http.Request) {
	name, most, err := parseServers(r.URL.Query())
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer := s.config.Rooms.Truth.Servers(name, most)
	answer.Slowest, answer.Busiest, answer.Upstreams = listOf(answer.Slowest), listOf(answer.Busiest), listOf(answer.Upstreams)
	reply(w, http.StatusOK, answer)
}

func parseServers(v url.Values) (name dnsname.Name, most int, err error) {
	if text := v.Get("name"); text != "" {
		if name, err = dnsname.Parse(text); err != nil {
			return name, 0, err
		}
		name = name.Canonical()
	}
	most = serversDefault
	if text := v.Get("limit"); text != "" {
		if most, err = strconv.Atoi(text); err != nil || most < 1 || most > serversMax {
			return name, 0, errors.New("limit: want 1 to " + strconv.Itoa(serversMax))
		}
	}
	return name, most, nil
}

func (s *Server) anchors(w http.ResponseWriter, _ *http.Request) {
	answer := s.config.Rooms.Truth.Anchors()
	answer.Anchors, answer.Negative = listOf(answer.Anchors), listOf(answer.Negative)
	reply(w, http.StatusOK, answer)
}
