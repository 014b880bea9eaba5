package dnsserver

import (
	"encoding/binary"
	"math"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"
	"cenote/wire"
)

// reply is step 5: it writes the message that the draft and the source call for into q.Out.
func (w *worker) reply(q *Query) Verdict {
	if q.draft.form == formNone {
		q.source.kind = querylog.SourcePolicy
		w.drop(dropPolicy)
		return Dropped
	}
	q.dress()
	w.cutLate(q)
	return w.compose(q)
}

// compose writes the message that the draft, as it is, calls for.
func (w *worker) compose(q *Query) Verdict {
	m := writer{buf: q.Out[:0], limit: q.room()}
	if !m.begin(q) {
		w.drop(dropRoom)
		return Dropped
	}
	m.body(w, q)
	if m.full {
		m.truncate(q)
	}
	m.finish(q)
	var ok bool
	if q.Reply, ok = q.sign(m.buf, w.now(q)); !ok {
		w.drop(dropRoom)
		return Dropped
	}
	w.counters.reply(q)
	return Replied
}

// dress settles the extended error of the reply.
func (q *Query) dress() {
	if q.draft.form == formTruth && q.source.kind != querylog.SourceLocal {
		q.draft.ede = q.source.ede
	}
	if q.draft.form == formPolicy || q.draft.form == formEmpty && q.decision.Matched() && EffectOf(&q.decision, q.Transport) != EffectTruth {
		z := q.zone()
		q.draft.ede, q.draft.refer, q.draft.text = z.EDE, z.EDEText, z.Message
		q.source.kind = querylog.SourcePolicy
	}
	if q.settings.HideEDE {
		q.draft.ede = policy.EDENone
	}
}

// zone is the policy zone of the rule that decides.
func (q *Query) zone() *policy.Zone { return &q.policy.Zones()[q.decision.Winner.Zone] }

// limit is how long the reply may be: over UDP what the client takes, at least 512 octets and at most what we are set to send (RFC 6891
// section 6.2.5).
func (q *Query) limit() int {
	n := min(len(q.Out), wire.MessageMax)
	if q.Transport != policy.TransportUDP {
		return n
	}
	size := wire.UDPMin
	if q.msg.OPT.Present {
		size = min(max(int(q.msg.OPT.UDPSize), wire.UDPMin), q.settings.UDPSize)
	}
	return min(n, size)
}

// room is how long the reply may be without its OPT and TSIG records.
func (q *Query) room() int { return q.limit() - q.optLen() - q.signatureLen() }

// writer lays out a reply from front to back. What does not fit sets full and is left out.
type writer struct {
	buf     []byte
	limit   int // of buf, with room for the OPT record kept free
	counts  [3]int
	flags   uint16
	full    bool
	owner   [dnsname.WireMax]byte // room for the owner of one record
	scratch [scratchMax]byte      // room for the data of one record
}

// scratchMax holds two names and the numbers of a SOA; longer data, of types that hold no name, are rare enough to go elsewhere.
const scratchMax = 2*dnsname.WireMax + 20

// opcodeMask are the header's bits that hold the opcode.
const opcodeMask = 0x7800

// begin writes the header's place and the question as the client wrote it, in its letter case (draft-vixie-dnsext-dns0x20).
func (m *writer) begin(q *Query) bool {
	question := q.msg.Question
	if q.draft.form == formHeader {
		question = nil
	}
	if wire.HeaderLen+len(question) > m.limit {
		return false
	}
	m.buf = append(m.buf, make([]byte, wire.HeaderLen)...)
	m.buf = append(m.buf, question...)
	return true
}

// body writes the records, and sets the draft's response code.
func (m *writer) body(w *worker, q *Query) {
	switch q.draft.form {
	case formTruth:
		m.truth(q)
	case formPolicy:
		m.policy(w, q)
	case formEmpty, formHeader, formNone:
	}
}

// truth writes what the source found.
func (m *writer) truth(q *Query) {
	s := &q.source
	switch {
	case s.kind == querylog.SourceLocal:
		q.draft.rcode = m.local(q)
		if s.local.kind != localMinimal {
			m.flags |= wire.FlagAA
		}
	case s.msg == nil:
		q.draft.rcode = s.rcode
	default:
		if q.draft.rcode = wire.Rcode(s.msg); q.deniedCompactly() {
			q.draft.rcode, s.compact = wire.RcodeNXDomain, true
		}
		if q.draft.rcode != wire.RcodeServFail {
			m.message(q)
		}
	}
}

// message copies the source's message as a whole: its question is as long as the client's, so that every offset in it stays right.
func (m *writer) message(q *Query) {
	msg, question := q.source.msg, len(m.buf)
	for i := range m.counts {
		m.counts[i] = wire.Count(msg, 1+i)
	}
	if q.source.kind == querylog.SourceZone {
		m.flags |= wire.Flags(msg) & wire.FlagAA
		m.full = wire.Flags(msg)&wire.FlagTC != 0
	}
	if q.msg.OPT.DO || q.msg.Flags&wire.FlagAD != 0 { // RFC 6840 section 5.8
		m.flags |= wire.Flags(msg) & wire.FlagAD
	}
	if m.full || len(msg) > m.limit {
		m.full = true
		return
	}
	m.buf = append(m.buf, msg[question:]...)
	if m.counts[wire.SectionAdditional] > 0 && q.policy != nil && !q.chase.wanted && !q.decision.Matched() {
		m.withhold(q)
	}
}

// truncate takes all records back and says so by TC: half an RRset helps nobody, and whoever wants the rest comes over TCP.
func (m *writer) truncate(q *Query) {
	m.withdraw(q)
	m.flags |= wire.FlagTC
}

// withdraw takes all records back.
func (m *writer) withdraw(q *Query) {
	m.buf = m.buf[:wire.HeaderLen+len(q.msg.Question)]
	m.counts = [3]int{}
}

// withoutRecords takes all records but the OPT pseudo-record back from a whole reply, which it changes, and says so by TC (RFC 2181 section 9). It
// returns nil where there is nothing to take back, and for a reply that is signed.
func withoutRecords(reply []byte) []byte {
	w, err := wire.Records(reply)
	if err != nil {
		return nil
	}
	from, others := 0, 0
	var opt []byte
	for w.Next() {
		if from == 0 {
			from = w.NameOff
		}
		switch w.Type {
		case wire.TypeTSIG:
			return nil // nobody would believe what is left
		case wire.TypeOPT:
			opt = reply[w.NameOff : w.DataOff+w.DataLen]
		default:
			others++
		}
	}
	if w.Err != nil || others == 0 {
		return nil
	}
	wire.SetFlags(reply, wire.Flags(reply)|wire.FlagTC)
	for section := range 3 {
		wire.SetCount(reply, 1+section, 0)
	}
	if opt != nil {
		wire.SetCount(reply, 3, 1)
	}
	return append(reply[:from], opt...)
}

// answer writes a record of the query name.
func (m *writer) answer(rtype, class uint16, ttl uint32, rdata []byte) {
	owner := pointerTo(0)
	m.record(wire.SectionAnswer, owner[:], rtype, class, ttl, rdata)
}

func (m *writer) record(section int, owner []byte, rtype, class uint16, ttl uint32, rdata []byte) {
	if m.full || len(m.buf)+len(owner)+10+len(rdata) > m.limit {
		m.full = true
		return
	}
	m.buf = wire.AppendRecord(m.buf, owner, rtype, class, ttl, rdata)
	m.counts[section]++
}

// finish writes the OPT record, if the query has one (RFC 6891 section 6.1.1), and the header.
func (m *writer) finish(q *Query) {
	if q.msg.OPT.Present {
		m.limit += q.optLen()
		m.opt(q)
	}
	flags := wire.FlagQR | m.flags | q.draft.flags | uint16(q.draft.rcode&15) |
		q.msg.Flags&(opcodeMask|wire.FlagRD|wire.FlagCD)
	wire.SetID(m.buf, q.msg.ID)
	wire.SetFlags(m.buf, flags)
	if q.draft.form != formHeader {
		wire.SetCount(m.buf, 0, 1)
	}
	for i, n := range m.counts {
		wire.SetCount(m.buf, 1+i, n)
	}
}

// optLen is how long the OPT record will be. With the longest name and every option it leaves room in the 512 octets that any client
// takes.
func (q *Query) optLen() int {
	if !q.msg.OPT.Present {
		return 0
	}
	n := wire.OPTLen
	if q.draft.cookie != cookieNone {
		n += 4 + cookieLen
	}
	if q.msg.OPT.NSID && q.settings.Identity.NSID != "" {
		n += 4 + len(q.settings.Identity.NSID)
	}
	if q.keepsAlive() {
		n += 4 + 2
	}
	if q.draft.ede != policy.EDENone {
		n += 4 + 2
		n += q.textLen()
	}
	return n
}

// keepsAlive reports whether the client is told for how long its connection is kept: each that speaks EDNS and comes by TCP (RFC 7828 section 3.3.2).
func (q *Query) keepsAlive() bool {
	return q.settings.KeepAlive && q.Idle > 0 && q.Transport == policy.TransportTCP
}

// opt writes the OPT record in place: its options' length is known only at the end.
func (m *writer) opt(q *Query) {
	m.buf = wire.AppendOPT(m.buf, uint16(q.settings.UDPSize), q.draft.rcode, q.msg.OPT.DO, nil)
	start := len(m.buf)
	if q.source.compact && q.draft.form == formTruth {
		wire.SetCO(m.buf[start-wire.OPTLen:])
	}
	if q.draft.cookie != cookieNone {
		m.buf = append(m.buf, 0, wire.OptionCookie, 0, cookieLen)
		m.buf = q.settings.cookies.appendTo(m.buf, q.msg.OPT.Cookie, q.draft.cookie, q.Peer.Addr(), q.Time)
	}
	if id := q.settings.Identity.NSID; q.msg.OPT.NSID && id != "" {
		m.buf = append(append(m.buf, 0, wire.OptionNSID, 0, byte(len(id))), id...)
	}
	if q.keepsAlive() {
		m.buf = append(m.buf, 0, wire.OptionKeepAlive, 0, 2)
		m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(min(q.Idle/(100*time.Millisecond), math.MaxUint16)))
	}
	if q.draft.ede != policy.EDENone {
		m.ede(q)
	}
	m.pad(q)
	binary.BigEndian.PutUint16(m.buf[start-2:], uint16(len(m.buf)-start))
	m.counts[wire.SectionAdditional]++
}

// paddingBlock is what the length of a padded reply is a multiple of (RFC 8467 section 4.1).
const paddingBlock = 468

// pad fills the reply up, so that its length tells nobody on the way which name it is about: where the query is padded, and comes encrypted (RFC 7830 section 4). In the clear it
// would only make replies larger than their queries. Where the longest message is too short for that there is less of it.
func (m *writer) pad(q *Query) {
	if !q.msg.OPT.Padding || q.Transport != policy.TransportTLS {
		return
	}
	size := len(m.buf) + 4 + q.signatureLen()
	n := min((paddingBlock-size%paddingBlock)%paddingBlock, q.limit()-size)
	if n < 0 {
		return
	}
	var zeros [paddingBlock]byte
	m.buf = wire.AppendOption(m.buf, wire.OptionPadding, zeros[:n])
}

func (m *writer) ede(q *Query) {
	m.buf = append(m.buf, 0, wire.OptionEDE, 0, 2)
	size := len(m.buf) - 1
	m.buf = binary.BigEndian.AppendUint16(m.buf, q.draft.ede)
	m.buf = append(m.buf, q.draft.text...)
	if q.draft.refer {
		if q.draft.text != "" {
			m.buf = append(m.buf, ' ')
		}
		r := q.reference(&q.decision.Winner)
		m.buf = policy.AppendReference(m.buf, &r)
	}
	m.buf[size] += byte(q.textLen())
}

// textLen is how long the text of the extended error is.
func (q *Query) textLen() int {
	n := len(q.draft.text)
	if q.draft.refer {
		if n > 0 {
			n++
		}
		n += policy.ReferenceLen
	}
	return n
}

// replyFailure answers SERVFAIL after a fault of our own: the question, and of EDNS what every reply has. It looks at nothing that the path made
// of the query but its cookie, without which a client that knows ours would throw the reply away (RFC 7873 section 5.3).
func (w *worker) replyFailure(q *Query) Verdict {
	if len(q.In) < wire.HeaderLen || wire.Flags(q.In)&wire.FlagQR != 0 {
		return Dropped
	}
	q.source.kind = querylog.SourceNone
	q.draft = draft{flags: wire.FlagRA, cookie: q.draft.cookie}
	q.turnAway(wire.RcodeServFail, policy.EDENone)
	return w.compose(q)
}
