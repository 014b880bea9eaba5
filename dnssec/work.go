package dnssec

import "time"

// Bounds of what a check looks at. They leave room for a zone in the middle of a change of keys and algorithms, and for nothing that grows with
// what a hostile zone sends.
const (
	SignaturesMax  = 30      // verifications for one query
	FailuresMax    = 8       // of these, those that may fail
	HashesMax      = 1 << 15 // blocks of blockLen octets hashed for NSEC3, for one query
	TriedPerSetMax = 4       // signatures of one set that are tried
	KeysPerTagMax  = 2       // keys of one tag and algorithm that a signature is tried with
	KeysMax        = 64      // keys of a zone
	DSMax          = 8       // DS records that are looked at, and keys for which they stand
	digestsMax     = 16      // digests of keys that are compared with DS records
	DenialsMax     = 10      // NSEC or NSEC3 records that one Denial uses
	IterationsMax  = 50      // of NSEC3; a zone with more is insecure (RFC 9276 section 3.2)
	RangeSetMax    = 2048    // octets of an NSEC or NSEC3 set that Ranges keeps
)

// Sizes of RSA keys that are used. Others are not supported: what is smaller is weak, what is larger costs too much.
const (
	RSABitsMin     = 1024
	RSABitsMax     = 4096
	RSAExponentMax = 1<<31 - 1
)

// A clock, ours or the signer's, may be wrong by one of skewShare parts of a signature's life, and by no more than SkewMax.
const (
	skewShare = 10
	SkewMax   = time.Hour
)

// Work is what is left of the work that one client query may cause; all checks for the query share one. The zero value has nothing left.
type Work struct {
	Signatures int // verifications
	Failures   int // verifications that fail
	Hashes     int // blocks hashed for NSEC3: the work of a name grows with its length, the iterations and the salt

	// GiveWay is called, if it is set, before each verification and each name hashed, so that others may have the processor between two of
	// them. If it returns false, nothing is left.
	GiveWay func() bool

	refused bool
}

// NewWork returns the work of a new query.
func NewWork() *Work {
	return &Work{Signatures: SignaturesMax, Failures: FailuresMax, Hashes: HashesMax}
}

// Spent reports whether a check was cut short because nothing was left. Its verdict then says more of the query than of the data.
func (w *Work) Spent() bool { return w.refused }

// signature takes one verification; false if there is none left.
func (w *Work) signature() bool {
	if w.Signatures <= 0 || w.Failures <= 0 || !w.giveWay() {
		w.refused = true
		return false
	}
	w.Signatures--
	return true
}

// hash takes the hash of a name of that many blocks; false if so many are not left.
func (w *Work) hash(blocks int) bool {
	if w.Hashes < blocks || !w.giveWay() {
		w.refused = true
		return false
	}
	w.Hashes -= blocks
	return true
}

func (w *Work) giveWay() bool { return w.GiveWay == nil || w.GiveWay() }

func tooMuchWork() Verdict { return bogus(CodeBogus, "too much work") }
