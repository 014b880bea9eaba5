package policy

// String names the trigger as metrics, logs and explain show it.
func (t Trigger) String() string {
	switch t {
	case TriggerNone:
		return "none"
	case TriggerClientIP:
		return "client-ip"
	case TriggerQNAME:
		return "qname"
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
