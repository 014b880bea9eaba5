package dnssec

import (
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Checked is what came of the check of a set.
type Checked struct {
	Verdict
	Wildcard bool   // made from a wildcard: that the next closer name does not exist is still to be proved, by Denial.Expanded
	Encloser []byte // then: the closest encloser, a suffix of the set's name
	TTL      uint32 // for how long the set may be kept, from now on (RFC 4035 section 5.3.3); 0 if it is not Secure
}

// Check verifies a set that the zone should have signed. One good signature is enough (RFC 6840 section 5.11).
func (z *Zone) Check(s *Set, now time.Time, w *Work) Checked {
	name := dnsname.Name(s.Name)
	switch {
	case !wellFormed(s.Name) || !within(name, z.name):
		return Checked{Verdict: bogus(CodeBogus, "the set is not in the zone %s", z.name)}
	case s.Type == wire.TypeDS && name == z.name:
		return Checked{Verdict: bogus(CodeBogus, "the DS set of %s is not signed by its parent", z.name)}
	}
	v := newVerifier(z.name, z.keys, s, now, w)
	if !v.run() {
		return Checked{Verdict: v.fault}
	}
	c := Checked{Verdict: secure(), TTL: v.ttl()}
	if v.sig.labels < signedLabels(name) {
		c.Wildcard, c.Encloser = true, []byte(name.Suffix(v.sig.labels))
	}
	return c
}

// verifier looks for one good signature of a set.
type verifier struct {
	zone dnsname.Name
	keys []key
	set  *Set
	name dnsname.Name
	now  time.Time
	work *Work

	canonical [][]byte
	tried     int

	sig signature // the good one
	key *key      // that made it

	fault Verdict // the fault that says most, if there is no good one
	rank  int     // of the fault: how much it says
}

// Ranks of faults: a signature that is wrong says more than one that is old, and that says more than one that nobody here can judge.
const (
	rankAbsent = iota
	rankForeign
	rankNoKey
	rankUnfit
	rankTime
	rankWrong
	rankWork
)

func newVerifier(zone dnsname.Name, keys []key, s *Set, now time.Time, w *Work) *verifier {
	return &verifier{
		zone: zone, keys: keys, set: s, name: dnsname.Name(s.Name), now: now, work: w,
		fault: bogus(CodeNoSignature, "there is no signature"),
	}
}

// run tries the signatures in turn. After it, sig and key or fault are set.
func (v *verifier) run() bool {
	for _, raw := range v.set.Sigs {
		sig, ok := parseSignature(raw)
		if !ok {
			v.note(rankForeign, CodeNoSignature, "the signature is malformed")
			continue
		}
		if v.belongs(&sig) && v.current(&sig) && v.tryKeys(&sig) {
			return true
		}
		if v.rank == rankWork {
			return false
		}
	}
	return false
}

// note keeps a fault if it says more than what is known.
func (v *verifier) note(rank int, code uint16, format string, args ...any) {
	if rank > v.rank {
		v.rank, v.fault = rank, bogus(code, format, args...)
	}
}

// belongs reports whether a signature is one for this set by this zone (RFC 4035 section 5.3.1). That it must have as many labels as the zone
// keeps a wildcard of a parent from being taken for one of the zone.
func (v *verifier) belongs(sig *signature) bool {
	switch {
	case sig.covers != v.set.Type:
		v.note(rankForeign, CodeNoSignature, "the signature is for another type")
	case sig.signer != v.zone:
		v.note(rankForeign, CodeNoSignature, "the signer %s is not the zone %s", sig.signer, v.zone)
	case sig.labels > signedLabels(v.name) || sig.labels < v.zone.Labels():
		v.note(rankForeign, CodeBogus, "the signature by key %d has %d labels, which cannot be", sig.tag, sig.labels)
	case !AlgorithmSupported(sig.algorithm):
		v.note(rankForeign, CodeNoSignature, "no signature has an algorithm that is supported (it is %d)", sig.algorithm)
	default:
		return true
	}
	return false
}

// current reports whether a signature is valid now. Its times are serial numbers (RFC 4034 section 3.1.5).
func (v *verifier) current(sig *signature) bool {
	now := uint32(v.now.Unix())
	life := int64(int32(sig.expiration - sig.inception))
	skew := skewOf(life)
	switch {
	case life < 0:
		v.note(rankTime, CodeBogus, "the signature by key %d expires before it begins", sig.tag)
	case int64(int32(sig.expiration-now)) < -skew:
		v.note(rankTime, CodeExpired, "the signature by key %d expired %s", sig.tag, v.date(sig.expiration))
	case int64(int32(now-sig.inception)) < -skew:
		v.note(rankTime, CodeNotYetValid, "the signature by key %d is not valid before %s", sig.tag, v.date(sig.inception))
	default:
		return true
	}
	return false
}

// skewOf is by how many seconds our clock or the signer's may be wrong: a tenth of the signature's life, and no more than SkewMax.
func skewOf(life int64) int64 { return max(0, min(life/skewShare, int64(SkewMax/time.Second))) }

// date is the time, near now, that a serial number stands for.
func (v *verifier) date(serial uint32) string {
	return v.now.Add(time.Duration(int32(serial-uint32(v.now.Unix()))) * time.Second).UTC().Format(time.RFC3339)
}

// tryKeys tries the keys with a signature's tag and algorithm.
func (v *verifier) tryKeys(sig *signature) bool {
	var m *message
	keys := 0
	for i := range v.keys {
		k := &v.keys[i]
		if k.tag != sig.tag || k.algorithm != sig.algorithm {
			continue
		}
		if k.fitness != fit {
			v.noteUnfit(k)
			continue
		}
		if m == nil {
			if v.tried == TriedPerSetMax {
				v.note(rankWork, CodeBogus, "%d signatures are wrong, and no more are tried", v.tried)
				return false
			}
			v.tried++
			m = v.message(sig)
		}
		if keys++; keys > KeysPerTagMax {
			break
		}
		if v.try(k, m, sig) {
			return true
		}
		if v.rank == rankWork {
			return false
		}
	}
	if keys == 0 {
		v.note(rankNoKey, CodeNoKey, "the zone %s has no key %d of algorithm %d", v.zone, sig.tag, sig.algorithm)
	}
	return false
}

// try makes one verification.
func (v *verifier) try(k *key, m *message, sig *signature) bool {
	if !v.work.signature() {
		v.rank, v.fault = rankWork, tooMuchWork()
		return false
	}
	if verify(k, m, sig.value) {
		v.sig, v.key = *sig, k
		return true
	}
	v.work.Failures--
	v.note(rankWrong, CodeBogus, "the signature by key %d is wrong", sig.tag)
	return false
}

// noteUnfit says why a key that would be the right one may not be used.
func (v *verifier) noteUnfit(k *key) {
	switch k.fitness {
	case noZoneKey:
		v.note(rankUnfit, CodeNoZoneKey, "key %d is not a zone key", k.tag)
	case revoked:
		v.note(rankUnfit, CodeBogus, "key %d is revoked", k.tag)
	case otherProtocol:
		v.note(rankUnfit, CodeBogus, "key %d is for another protocol", k.tag)
	case unsupported:
		v.note(rankUnfit, CodeAlgorithm, "key %d has a size that is not supported", k.tag)
	case malformed:
		v.note(rankUnfit, CodeBogus, "key %d is malformed", k.tag)
	case fit:
	}
}

// message is what the signer signed (RFC 4034 section 3.1.8.1): the start of the RRSIG, then the records in canonical form under their
// original TTL and owner, which is a wildcard if the signature has fewer labels than the name.
func (v *verifier) message(sig *signature) *message {
	if v.canonical == nil {
		v.canonical = canonicalSet(v.set.Type, v.set.RData)
	}
	owner := v.name
	if sig.labels < signedLabels(owner) {
		owner = "\x01*" + owner.Suffix(sig.labels) // is no longer than the name, of which it replaces a label at least
	}
	return &message{data: appendCanonical(sig.signed, []byte(owner), v.set.Type, v.set.Class, sig.ttl, v.canonical)}
}

// ttl is for how long the set may be kept: no longer than it says, than its signer says, and than the signature is valid (RFC 4035 section
// 5.3.3). What is valid only by the skew is not kept.
func (v *verifier) ttl() uint32 {
	left := max(0, int64(int32(v.sig.expiration-uint32(v.now.Unix()))))
	return uint32(min(int64(v.set.TTL), int64(v.sig.ttl), left))
}
