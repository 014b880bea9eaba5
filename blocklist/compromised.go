package blocklist

import (
	"fmt"

	"cenote/policy"
)

// Compromised is what becomes of the rows of a feed about sites that belong to somebody else and were broken into (is_compromised of ThreatFox, the
// indicator type "compromised" of STIX): an answer is about the whole of the victim's site, not about the page that does harm.
type Compromised uint8

// What becomes of them.
const (
	CompromisedRecorded Compromised = iota // recorded, and no answer is changed
	CompromisedServed                      // what becomes of all other rows
	CompromisedNXDOMAIN
	CompromisedNODATA
	CompromisedTCPOnly
)

var compromisedNames = [...]string{"log-only", "serve", "nxdomain", "nodata", "tcp-only"}

// String names it as the configuration does.
func (c Compromised) String() string {
	if int(c) < len(compromisedNames) {
		return compromisedNames[c]
	}
	return fmt.Sprintf("compromised-%d", uint8(c))
}

// MarshalText writes it as the configuration does.
func (c Compromised) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads it as the configuration writes it; the empty text is CompromisedRecorded.
func (c *Compromised) UnmarshalText(text []byte) error {
	*c = CompromisedRecorded
	for i, name := range compromisedNames {
		if name == string(text) {
			*c = Compromised(i)
			return nil
		}
	}
	if len(text) == 0 {
		return nil
	}
	return fmt.Errorf("unknown use of compromised sites %q: use log-only, serve, nxdomain, nodata or tcp-only", text)
}

// action is what such a row does.
func (c Compromised) action() policy.Action {
	switch c {
	case CompromisedServed:
		return policy.ActionDefault
	case CompromisedNXDOMAIN:
		return policy.ActionNXDOMAIN
	case CompromisedNODATA:
		return policy.ActionNODATA
	case CompromisedTCPOnly:
		return policy.ActionTCPOnly
	case CompromisedRecorded:
	}
	return policy.ActionDisabled
}
