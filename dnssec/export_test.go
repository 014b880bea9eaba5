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
