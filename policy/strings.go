package policy

import "fmt"

// String names the trigger as metrics, logs and explain show it.
func (t Trigger) String() string {
	switch t {
	case TriggerNone:
		return "none"
	case TriggerClientIP:
		return "client-ip"
	case TriggerQNAME:
		return "qname"
	case TriggerPattern:
		return "pattern"
	case TriggerIP:
		return "ip"
	case TriggerNSDNAME:
		return "nsdname"
	case TriggerNSIP:
		return "nsip"
	}
	return "unknown"
}

// String names the action as the configuration does.
func (a Action) String() string {
	switch a {
	case ActionDefault:
		return "default"
	case ActionSinkhole:
		return "sinkhole"
	case ActionNXDOMAIN:
		return "nxdomain"
	case ActionNODATA:
		return "nodata"
	case ActionPassthru:
		return "passthru"
	case ActionDrop:
		return "drop"
	case ActionTCPOnly:
		return "tcp-only"
	case ActionLocalData:
		return "local-data"
	case ActionDisabled:
		return "disabled"
	}
	return "unknown"
}

// String names the kind as feeds and explain do.
func (k Kind) String() string {
	switch k {
	case KindExact:
		return "exact"
	case KindBelow:
		return "below"
	case KindSubtree:
		return "subtree"
	case KindENT:
		return "empty-non-terminal"
	}
	return "unknown"
}

// String names the transport as sightings and the query log do.
func (t Transport) String() string {
	switch t {
	case TransportUDP:
		return "udp"
	case TransportTCP:
		return "tcp"
	case TransportTLS:
		return "tls"
	case TransportHTTPS:
		return "https"
	case TransportQUIC:
		return "quic"
	}
	return "unknown"
}

// MarshalText lets triggers be values in JSON.
func (t Trigger) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalText lets actions be values in JSON.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalText lets kinds be values in JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText lets statuses be values in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText lets clauses be values in JSON.
func (c Clause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Trigger) UnmarshalText(text []byte) (err error) {
	*t, err = parse(TriggerNone, TriggerNSIP, text)
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (a *Action) UnmarshalText(text []byte) (err error) {
	*a, err = parse(ActionDefault, ActionDisabled, text)
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = parse(KindExact, KindENT, text)
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(text []byte) (err error) {
	*s, err = parse(StatusWins, statusEnd-1, text)
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (c *Clause) UnmarshalText(text []byte) (err error) {
	*c, err = parse(ClauseNone, clauseEnd-1, text)
	return err
}

// UnmarshalText reads a transport as String writes it.
func (t *Transport) UnmarshalText(text []byte) (err error) {
	*t, err = parse(TransportUDP, TransportQUIC, text)
	return err
}

// parse returns the value from first to last whose String is text.
func parse[E interface {
	~uint8
	fmt.Stringer
}](first, last E, text []byte) (E, error) {
	for v := first; v <= last; v++ {
		if v.String() == string(text) {
			return v, nil
		}
	}
	return first, fmt.Errorf("unknown value %q", text)
}
