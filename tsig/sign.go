package tsig

import (
	"time"

	"cenote/wire"
)

// Sign appends the signature of msg by key to it, and returns the message and the MAC. msg is complete, begins with its header, and has Room left below
// what its transport carries. requestMAC is nil for a request, and for a reply the MAC of the request.
func Sign(msg []byte, key *Key, now time.Time, requestMAC []byte) (signed, mac []byte) {
	s := Signature{Key: key, Time: now, Fudge: Fudge}
	return s.sign(msg, requestMAC)
}

// sign completes s and appends it to msg.
func (s *Signature) sign(msg, requestMAC []byte) (signed, mac []byte) {
	s.Name, s.algorithm, s.id, s.Len = s.Key.Name, s.Key.Algorithm.Name(), wire.ID(msg), len(msg)
	h := s.Key.Algorithm.new(s.Key.Secret)
	if requestMAC != nil {
		digestMAC(h, requestMAC)
	}
	h.Write(msg)
	s.digestVariables(h)
	s.MAC = h.Sum(nil)
	return s.appendRecord(msg), s.MAC
}

// SignReply appends to reply what the request's signature asks for (RFC 8945 sections 5.2 and 5.3): a signature if it was good; if its time alone was wrong, a
// signature with that time and the one of this clock; a record without a MAC if the key is not known or the MAC was wrong; nothing in the other cases.
// The caller has set the RCODE, which Fault.Rcode gives.
func SignReply(reply []byte, request *Signature, fault Fault, now time.Time) []byte {
	_, code := fault.Rcode()
	switch fault {
	case FaultNone:
		reply, _ = Sign(reply, request.Key, now, request.MAC)
	case FaultTime:
		s := Signature{Key: request.Key, Time: request.Time, Fudge: request.Fudge, Code: code, other: appendTime(nil, now)}
		reply, _ = s.sign(reply, request.MAC)
	case FaultKey, FaultSignature:
		s := Signature{Name: request.Name, algorithm: request.algorithm, Time: request.Time, Fudge: request.Fudge, Code: code, id: wire.ID(reply)}
		reply = s.appendRecord(reply)
	case FaultAbsent, FaultFormat, FaultTruncation, FaultUnsigned:
	}
	return reply
}
