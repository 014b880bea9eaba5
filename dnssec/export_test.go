package dnssec

import (
	"time"

	"cenote/dnsname"
)

// CheckWithKey checks a set with one key, as if it were all that a trusted zone had.
func CheckWithKey(zone, dnskey []byte, s *Set, now time.Time) Verdict {
	z := &Zone{name: dnsname.Name(zone), keys: parseKeys([][]byte{dnskey})}
	return z.Check(s, now, NewWork()).Verdict
}

// DigestsMax is the bound of digests that one DNSKEY set costs.
const DigestsMax = digestsMax

// DigestsDone is how many digests it costs to find out which keys DS records stand for.
func DigestsDone(zone []byte, ds [][]byte, keys *Set) int {
	usable, _ := usableDS(ds)
	a := dsAnchors{zone: dnsname.Name(zone), ds: usable}
	entryKeys(a.zone, parseKeys(keys.RData), &a)
	return a.digests
}

// Base32Hex writes a hash as owner names have it.
func Base32Hex(b []byte) string { return base32hex.EncodeToString(b) }

// HashBlocks is how many blocks are hashed for a name.
var HashBlocks = hashBlocks
