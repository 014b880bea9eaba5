package dnsserver

import (
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/tsig"
)

// signature is what came of the TSIG record of a query. The zero value is that of one that has none, or was not looked at yet.
type signature struct {
	record tsig.Signature
	fault  tsig.Fault // FaultNone with record.Key set: it is right
	known  bool       // it was looked at
}

// Key is the key that the query was signed with, nil without a signature or with a wrong one. It is known from the time on that the query was found to be
// none of ours to turn away.
func (q *Query) Key() *tsig.Key {
	if q.signature.fault != tsig.FaultNone {
		return nil
	}
	return q.signature.record.Key
}

// keyName is the name of Key, zero without one.
func (q *Query) keyName() dnsname.Name {
	if key := q.Key(); key != nil {
		return key.Name
	}
	return ""
}

// verify looks at the signature of a query, once. It reports false if that is wrong: then the query is turned away as RFC 8945 section 5.2 wants, and
// nobody learns what would have been said to it.
func (w *worker) verify(q *Query) bool {
	s := &q.signature
	if !q.msg.TSIG {
		return true
	}
	if !s.known {
		s.known = true
		if s.record, s.fault = q.settings.Keys.Verify(q.In, q.Time, nil); s.fault == tsig.FaultNone && q.updates && !s.record.Within(q.Time, tsig.Fudge) {
			s.fault = tsig.FaultTime // for no longer is it remembered that the update was made
		}
		w.counters.signatures[s.fault].Add(1)
	}
	if s.fault == tsig.FaultNone {
		return true
	}
	rcode, _ := s.fault.Rcode()
	q.turnAway(rcode, policy.EDENone)
	return false
}

// signatureLen is how much room the signature of the reply needs: that of the key, or of a record that tells the fault.
func (q *Query) signatureLen() int {
	s := &q.signature
	switch s.fault {
	case tsig.FaultNone:
		if s.record.Key != nil {
			return s.record.Key.Room()
		}
	case tsig.FaultTime:
		return s.record.Key.Room()
	case tsig.FaultKey, tsig.FaultSignature: // the record of the query without its MAC, and with names that are not compressed
		return len(s.record.Name) + len(q.In) - s.record.Len
	case tsig.FaultAbsent, tsig.FaultFormat, tsig.FaultTruncation, tsig.FaultUnsigned:
	}
	return 0
}

// sign appends to a whole reply what the signature of the query asks for (RFC 8945 section 5.3). It must fit into Out: without room for it the client could
// not believe the reply, and gets none.
func (q *Query) sign(reply []byte, now time.Time) (signed []byte, ok bool) {
	s := &q.signature
	if !s.known || s.fault == tsig.FaultNone && s.record.Key == nil {
		return reply, true
	}
	signed = tsig.SignReply(reply, &s.record, s.fault, now)
	return signed, len(signed) <= len(q.Out) && len(signed) <= q.limit()
}

// keep makes the signature independent of the buffer that the query came in.
func (s *signature) keep() { s.record = s.record.Clone() }
