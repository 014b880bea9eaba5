package tsig

import (
	"crypto/hmac"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// The codes of faults in a record (RFC 8945 section 3). The RCODE beside all of them is NOTAUTH.
const (
	CodeSignature  = 16 // BADSIG
	CodeKey        = 17 // BADKEY
	CodeTime       = 18 // BADTIME
	CodeTruncation = 22 // BADTRUNC
)

// CodeText is what a code is called, "" for those that are not faults of signatures.
func CodeText(code uint16) string {
	switch code {
	case CodeSignature:
		return "BADSIG"
	case CodeKey:
		return "BADKEY"
	case CodeTime:
		return "BADTIME"
	case CodeTruncation:
		return "BADTRUNC"
	}
	return ""
}

// Fault is why a message is not taken for signed. FaultNone is that it is.
type Fault uint8

// The faults.
const (
	FaultNone       Fault = iota
	FaultAbsent           // there is no TSIG record
	FaultFormat           // the record has no form, or its place is not the last: FORMERR
	FaultKey              // the key, or its algorithm, is not known: BADKEY
	FaultSignature        // the MAC is another: BADSIG
	FaultTime             // it is right, and too old or too new: BADTIME
	FaultTruncation       // the MAC is shorter than is safe: FORMERR
	FaultUnsigned         // in a stream: more messages without a signature than may be, or none at its end
)

// String says the fault as an operator may read it.
func (f Fault) String() string {
	switch f {
	case FaultNone:
		return "signed"
	case FaultAbsent:
		return "there is no signature"
	case FaultFormat:
		return "the TSIG record is malformed"
	case FaultKey:
		return "the key is not known, or has another algorithm"
	case FaultSignature:
		return "the signature is wrong"
	case FaultTime:
		return "the signature's time is not now"
	case FaultTruncation:
		return "the signature is cut too short"
	case FaultUnsigned:
		return "too many messages without a signature"
	}
	return "unknown fault"
}

// Error makes a Fault an error. FaultNone is none: look at it first.
func (f Fault) Error() string { return f.String() }

// Rcode is what a request with this fault is answered with, and code what the TSIG record of that reply says.
func (f Fault) Rcode() (rcode int, code uint16) {
	switch f {
	case FaultNone:
		return wire.RcodeSuccess, 0
	case FaultFormat, FaultTruncation:
		return wire.RcodeFormErr, 0
	case FaultKey:
		return wire.RcodeNotAuth, CodeKey
	case FaultSignature:
		return wire.RcodeNotAuth, CodeSignature
	case FaultTime:
		return wire.RcodeNotAuth, CodeTime
	case FaultAbsent, FaultUnsigned:
	}
	return wire.RcodeRefused, 0
}

// Verify reads the signature of msg and checks it: the key is one of ks, the MAC is right, and now is within the fudge of its time (RFC 8945 section 5.2, in
// that order). requestMAC is nil for a request, and for a reply the MAC of the request.
//
// What was read of the record is returned with every fault but FaultAbsent and FaultFormat, for SignReply. Only after FaultNone, and after FaultTime for
// the record alone, is it true.
func (ks *Keys) Verify(msg []byte, now time.Time, requestMAC []byte) (Signature, Fault) {
	s, fault := read(msg)
	if fault != FaultNone {
		return s, fault
	}
	key := ks.Find(s.Name)
	if key == nil || key.Algorithm.Name() != s.algorithm {
		return s, FaultKey
	}
	s.Key = key
	h := key.Algorithm.new(key.Secret)
	if requestMAC != nil {
		digestMAC(h, requestMAC)
	}
	s.digestSigned(h, msg)
	s.digestVariables(h)
	return s, s.judge(h.Sum(nil), now)
}

// Verify is that of Keys where one key alone will do: for replies to a request that it signed.
func (k *Key) Verify(msg []byte, now time.Time, requestMAC []byte) (Signature, Fault) {
	return (&Keys{byName: map[dnsname.Name]*Key{k.Name: k}}).Verify(msg, now, requestMAC)
}

// Within reports whether a message was signed so close to now, whatever it says about that itself.
func (s *Signature) Within(now time.Time, fudge time.Duration) bool {
	return now.Truncate(time.Second).Sub(s.Time).Abs() <= fudge
}

// judge compares the MAC with the one that it should be, and the time with now.
func (s *Signature) judge(want []byte, now time.Time) Fault {
	switch n := len(s.MAC); {
	case n == 0:
		return FaultSignature // of a reply that tells of a fault and could not be signed
	case n > len(want):
		return FaultFormat
	case n < s.Key.Algorithm.macMin():
		return FaultTruncation
	case !hmac.Equal(s.MAC, want[:n]):
		return FaultSignature
	}
	if !s.Within(now, s.Fudge) {
		return FaultTime
	}
	return FaultNone
}
