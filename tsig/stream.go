package tsig

import (
	"hash"
	"time"

	"cenote/wire"
)

// unsignedMax is how many messages of a stream may follow each other without a signature (RFC 8945 section 5.3.1).
const unsignedMax = 99

// StreamSigner signs the messages of one reply, such as a transfer: the first as any reply, and each other with the MAC of the one before it.
type StreamSigner struct {
	key *Key
	mac []byte // of the message before; of the request at first
	any bool   // a message has been signed
}

// NewStreamSigner signs replies to a request that had requestMAC.
func NewStreamSigner(key *Key, requestMAC []byte) *StreamSigner {
	return &StreamSigner{key: key, mac: append([]byte(nil), requestMAC...)}
}

// Sign appends a signature to the next message. Room is as in Sign.
func (w *StreamSigner) Sign(msg []byte, now time.Time) []byte {
	if !w.any {
		w.any = true
		msg, w.mac = Sign(msg, w.key, now, w.mac)
		return msg
	}
	s := Signature{Key: w.key, Name: w.key.Name, algorithm: w.key.Algorithm.Name(), id: wire.ID(msg), Len: len(msg), Time: now, Fudge: Fudge}
	h := w.key.Algorithm.new(w.key.Secret)
	digestMAC(h, w.mac)
	h.Write(msg)
	s.digestTimers(h)
	s.MAC = h.Sum(nil)
	w.mac = s.MAC
	return s.appendRecord(msg)
}

// StreamVerifier verifies the messages of one reply to a signed request (RFC 8945 section 5.3.1). The first is signed, and up to 99 in a row may then have no
// signature. What is in a message without one may be believed only once Next has found the next signature right, or the reply is at its end and Done is
// FaultNone.
type StreamVerifier struct {
	key      *Key
	request  []byte    // the MAC of the request
	sum      hash.Hash // of what the next signature is of; nil before the first message
	unsigned int       // messages since the last signature
	fault    Fault     // the first one; it stays
}

// NewStreamVerifier verifies replies to the request that key signed with requestMAC.
func NewStreamVerifier(key *Key, requestMAC []byte) *StreamVerifier {
	return &StreamVerifier{key: key, request: append([]byte(nil), requestMAC...)}
}

// Next takes the next message. It returns what its record says, if it has one, and how many octets it has without. After a fault every call
// returns that fault.
func (v *StreamVerifier) Next(msg []byte, now time.Time) (Signature, Fault) {
	if v.fault != FaultNone {
		return Signature{}, v.fault
	}
	var s Signature
	s, v.fault = v.next(msg, now)
	return s, v.fault
}

func (v *StreamVerifier) next(msg []byte, now time.Time) (Signature, Fault) {
	if v.sum == nil {
		s, fault := v.key.Verify(msg, now, v.request)
		if fault == FaultNone {
			v.sum = v.key.Algorithm.new(v.key.Secret)
			v.restart(s.MAC)
		}
		return s, fault
	}
	s, fault := read(msg)
	switch {
	case fault == FaultAbsent:
		if v.unsigned++; v.unsigned > unsignedMax {
			return s, FaultUnsigned
		}
		v.sum.Write(msg)
		return Signature{Len: len(msg)}, FaultNone
	case fault != FaultNone:
		return s, fault
	case s.Name != v.key.Name || s.algorithm != v.key.Algorithm.Name():
		return s, FaultKey
	}
	s.Key = v.key
	s.digestSigned(v.sum, msg)
	s.digestTimers(v.sum)
	fault = s.judge(v.sum.Sum(nil), now)
	v.restart(s.MAC)
	return s, fault
}

// restart begins what the next signature is of, with the MAC of this one.
func (v *StreamVerifier) restart(mac []byte) {
	v.sum.Reset()
	digestMAC(v.sum, mac)
	v.unsigned = 0
}

// Done is FaultNone if the last message was signed, as it must be, and all signatures were right.
func (v *StreamVerifier) Done() Fault {
	switch {
	case v.fault != FaultNone:
		return v.fault
	case v.sum == nil:
		return FaultAbsent
	case v.unsigned > 0:
		return FaultUnsigned
	}
	return FaultNone
}

// Settled reports whether all that has come is covered by a signature that was right.
func (v *StreamVerifier) Settled() bool { return v.Done() == FaultNone }
