package dnsserver

import (
	"bytes"
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"
	"cenote/rrcache"
	"cenote/wire"
	"cenote/zone"
)

// Verdict is what answer made of a Query.
type Verdict uint8

// The verdicts.
const (
	Replied     Verdict = iota // send Query.Reply
	Dropped                    // send nothing
	NeedNetwork                // copy the Query, call resolve, then answer again
)

// Query is one question on its way through the six steps. The transport owns it, fills the upper part and may use it for the
// next packet as soon as the reply is sent: nothing of it is kept anywhere else.
type Query struct {
	// Filled by the transport for every packet, which Begin announces.
	In        []byte         // the message
	Out       []byte         // room for the reply, as large as the transport allows; its length counts
	Time      time.Time      // when the packet came
	Peer      netip.AddrPort // who sent it
	Client    netip.AddrPort // who asked: the Peer unless a listed forwarder says otherwise. IPv4 is never in IPv6 form
	Local     netip.AddrPort // the address asked
	Transport policy.Transport
	Idle      time.Duration // how long the connection is kept without a query; 0 if there is none, or nothing is to be said of that

	// Reply is the message to send after Replied: a part of Out.
	Reply []byte

	step      step
	settings  *settings
	policy    *policy.Policy // nil before the first is published
	zones     *zone.Set      // nil if there are none
	outside   bool           // the access list does not admit the client, but that of a zone does: it is told of that zone and of nothing else
	elsewhere bool           // a zone of ours holds the name, and leaves it to the world
	weak      bool           // by the transport: it is encrypted, and not as transfers want it
	transfer  *transfer      // to be sent in place of Reply; nil for none
	updates   bool           // it is an UPDATE message
	pending   bool           // and its changes are to be made
	notice    bool           // it is a NOTIFY message
	alias     alias
	msg       wire.Query // parts of In
	signature signature
	request   policy.Request
	decision  policy.Decision
	answer    policy.Answer
	path      pathState
	chase     chase
	source    source
	draft     draft
	name      [dnsname.WireMax]byte // the query name, canonical; request.Name is a part of it
}

// step is where answer goes on. The zero value is the start.
type step uint8

const (
	stepAdmit  step = iota // nothing is known of the query yet
	stepSource             // decided; what it takes to answer is to be found
	stepReply              // all is known
	stepRecord             // the reply is made
)

// source is step 3's outcome: the truth about one name, and how it was come by.
type source struct {
	key      rrcache.Key
	buf      []byte // room for msg, kept from query to query
	msg      []byte // as rrcache.Cache.Get gives it; nil if there is none
	local    localAnswer
	kind     querylog.Source
	rcode    int    // of the reply if there is neither msg nor a local answer
	ede      uint16 // policy.EDENone: none
	asked    bool   // the network was asked for key, or may not be: there is no asking twice
	done     bool   // step 3 is over
	clean    bool   // found clean under the present policy: no check needed
	slow     bool   // the query waited for the network
	late     bool   // the answer to the question was past its time
	failed   bool   // nobody had an answer, of which nothing is known to be wrong
	deadEnd  bool   // msg is a failure behind aliases that are true; see isDeadEnd
	referral bool   // msg names servers that know more, and answers nothing
	compact  bool   // msg is told to somebody who knows compact denial, and is of a zone that denies so (RFC 9824 section 5.1)
}

// draft is the reply as the steps agree on it, before it is written.
type draft struct {
	form   form
	rcode  int    // extended; of formEmpty and formHeader, then what was written
	flags  uint16 // to be set beside those that every reply has
	ede    uint16 // policy.EDENone: none
	refer  bool   // the text of the extended error is a reference to the rule
	text   string // and this before it
	cookie cookieState
}

// form is how the reply is written.
type form uint8

const (
	formEmpty  form = iota // header, question and OPT only
	formHeader             // header alone: what came cannot be read any further
	formTruth              // what the source said
	formPolicy             // what the winning rule says
	formNone               // no reply
)

// chase is the way from the query name along the CNAME records of the answer to the names that rules matched, and from a rule's own
// CNAME to its target.
type chase struct {
	chain     []byte // for each stage: TTL in four octets, name in wire form, canonical
	stages    int    // in chain
	linked    []byte // names of SVCB records that rules matched: the number of the record in two octets, name in wire form, canonical
	target    [dnsname.WireMax]byte
	targetLen int
	wanted    bool // step 3 looks for target's data
}

// Begin makes q ready for a new packet. It keeps the buffers, and what the transport filled.
func (q *Query) Begin() {
	q.Reply, q.step, q.settings, q.policy = nil, stepAdmit, nil, nil
	q.msg, q.request, q.decision, q.answer = wire.Query{}, policy.Request{}, policy.Decision{}, policy.Answer{}
	q.path = pathState{}
	if q.signature.known {
		q.signature = signature{}
	}
	q.zones, q.outside, q.elsewhere, q.transfer, q.notice = nil, false, false, nil, false
	q.updates, q.pending = false, false
	q.alias.wanted, q.alias.msg = false, q.alias.msg[:0]
	q.source = source{buf: q.source.buf, ede: policy.EDENone}
	q.draft = draft{ede: policy.EDENone, flags: wire.FlagRA}
	q.chase.chain, q.chase.stages, q.chase.targetLen, q.chase.wanted = q.chase.chain[:0], 0, 0, false
	q.chase.linked = q.chase.linked[:0]
}

// copyTo makes to the same query with bytes of its own, for the goroutine that waits for the network. The transport gives it its
// Out; its other buffers are reused. q itself is free for the next packet.
func (q *Query) copyTo(to *Query) {
	in, out, buf, chain, linked, alias := to.In, to.Out, to.source.buf, to.chase.chain, to.chase.linked, to.alias.msg
	*to = *q
	to.In = append(in[:0], q.In...)
	to.Out, to.Reply = out, nil
	to.source.buf = buf
	if q.source.key.Name != nil {
		to.source.key.Name = to.wantedName()
	}
	if q.source.msg != nil {
		to.source.buf = append(buf[:0], q.source.msg...)
		to.source.msg = to.source.buf
		to.source.buf = to.source.buf[:cap(to.source.buf)]
	}
	to.chase.chain = append(chain[:0], q.chase.chain...)
	to.chase.linked = append(linked[:0], q.chase.linked...)
	to.alias.msg = append(alias[:0], q.alias.msg...)
	to.request.Name = to.name[:len(q.request.Name)]
	to.read()
	to.signature.keep()
}

// release makes q fit for a pool: it lets go of the policy, and of buffers that an unusually large message made grow.
func (q *Query) release() {
	q.Begin()
	if cap(q.source.buf) > bufferKept {
		q.source.buf = nil
	}
	if cap(q.In) > bufferKept {
		q.In = nil
	}
}

// bufferKept is the largest buffer that a pooled Query keeps, in octets.
const bufferKept = 4096

// room returns the buffer that an answer is written to.
func (s *source) room() []byte {
	if s.buf == nil {
		s.buf = make([]byte, bufferKept)
	}
	return s.buf
}

// fill takes what the network said. q.source is then done; an error leaves it without a message.
func (s *source) fill(r Resolved, err error) {
	s.asked, s.slow, s.kind, s.ede = true, true, querylog.SourceResolver, r.EDE
	if err == nil && !answers(r.Msg, &s.key) {
		err = errBug
	}
	if err != nil {
		s.rcode, s.ede = wire.RcodeServFail, edeOf(err)
		if s.msg, s.deadEnd = nil, isDeadEnd(r.Msg) && answers(r.Msg, &s.key); !s.deadEnd {
			s.failed = !isVerdict(s.ede)
			return
		}
	}
	s.msg = r.Msg
	if cap(r.Msg) > cap(s.buf) {
		s.buf = r.Msg[:cap(r.Msg)]
	}
	if r.Stale {
		s.stale()
	}
}

// isDeadEnd reports whether msg is a failure behind aliases that are true: the policy has a say about each of them.
func isDeadEnd(msg []byte) bool {
	return len(msg) >= wire.HeaderLen && wire.Rcode(msg) == wire.RcodeServFail && wire.Count(msg, 1) > 0
}

// answers reports whether msg has the question of key, and no other, at its start: offsets in it then hold in the reply too.
func answers(msg []byte, key *rrcache.Key) bool {
	return len(msg) >= wire.HeaderLen+len(key.Name)+4 && wire.Count(msg, 0) == 1 && bytes.HasPrefix(msg[wire.HeaderLen:], key.Name)
}

// stale notes that msg is past its time.
func (s *source) stale() {
	s.kind, s.late = querylog.SourceStale, true
	switch {
	case s.ede != policy.EDENone:
	case wire.Rcode(s.msg) == wire.RcodeNXDomain:
		s.ede = edeStaleNXDomain
	default:
		s.ede = edeStale
	}
}

// retarget makes s ready to look for another name.
func (s *source) retarget() {
	*s = source{buf: s.buf, ede: policy.EDENone, slow: s.slow, late: s.late}
}

// wantedName is the name that step 3 looks for.
func (q *Query) wantedName() []byte {
	switch {
	case q.chase.wanted:
		return q.chase.target[:q.chase.targetLen]
	case q.alias.wanted:
		return q.alias.name()
	}
	return q.name[:len(q.request.Name)]
}

// wantedKey is what step 3 looks for: the question, or the target of a rule's CNAME, which the rule wants whole.
func (q *Query) wantedKey(c *rrcache.Cache) *rrcache.Key {
	q.source.key = rrcache.Key{Name: q.request.Name, Type: q.request.Type, Class: q.request.Class, DO: q.request.DO, CD: q.msg.Flags&wire.FlagCD != 0 && !q.settings.Unchecked}
	switch {
	case q.chase.wanted:
		q.source.key = rrcache.Key{Name: q.chase.target[:q.chase.targetLen], Type: q.request.Type, Class: q.request.Class, DO: q.request.DO}
	case q.alias.wanted:
		q.source.key.Name = q.alias.name()
	}
	q.source.key.Group = c.Source(q.source.key.Name, q.source.key.Type)
	return &q.source.key
}

// asker is the client's address with as many bits as it lets others be told: all of them, unless it says fewer (RFC 7871 section 7.1.2). Not valid if it wants nobody to be
// told, or says it in a way that cannot be read. What it says of its address itself does not count: it may be anybody's.
func (q *Query) asker() netip.Prefix {
	client := q.Client.Addr()
	bits := client.BitLen()
	if o := q.msg.OPT.ECS; o != nil {
		if len(o) < ecsHead || o[2] == 0 {
			return netip.Prefix{}
		}
		bits = min(bits, int(o[2]))
	}
	return netip.PrefixFrom(client, bits)
}

// ecsHead is the part of an ECS option before the address: family, source prefix length, scope prefix length (RFC 7871 section 6).
const ecsHead = 4
