package blocklist

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// rewriteTTL is that of the records that $dnsrewrite makes, in seconds. The policy zone caps it.
const rewriteTTL = 300

// dnsRewrite reads what "$dnsrewrite=" says: a response code, an address, a name, or all of "code;type;value". It reports false for what a policy has no
// action for.
func dnsRewrite(value string) (policy.Action, *policy.LocalData, bool) {
	switch strings.ToUpper(value) {
	case "NXDOMAIN", "NXDOMAIN;;":
		return policy.ActionNXDOMAIN, nil, true
	case "NOERROR", "NOERROR;;":
		return policy.ActionNODATA, nil, true
	case "", "REFUSED", "SERVFAIL":
		return policy.ActionDefault, nil, false
	}
	code, rest, long := strings.Cut(value, ";")
	if !long {
		return rewriteShort(value)
	}
	rtype, data, _ := strings.Cut(rest, ";")
	if !strings.EqualFold(code, "NOERROR") {
		return policy.ActionDefault, nil, false
	}
	return rewriteTo(strings.ToUpper(rtype), data)
}

// rewriteShort reads an address or a name alone.
func rewriteShort(value string) (policy.Action, *policy.LocalData, bool) {
	if addr, err := netip.ParseAddr(value); err == nil && addr.Is4() {
		return rewriteTo("A", value)
	} else if err == nil {
		return rewriteTo("AAAA", value)
	}
	return rewriteTo("CNAME", value)
}

// rewriteTo makes local data of a type and its value.
func rewriteTo(rtype, value string) (policy.Action, *policy.LocalData, bool) {
	var number uint16
	var data []byte
	switch rtype {
	case "A", "AAAA":
		addr, err := netip.ParseAddr(value)
		if number = wire.TypeAAAA; rtype == "A" {
			number = wire.TypeA
		}
		if err != nil || addr.Is4() != (rtype == "A") || addr.Zone() != "" {
			return policy.ActionDefault, nil, false
		}
		data = addr.AsSlice()
	case "CNAME":
		name, err := dnsname.Parse(value)
		if err != nil || name.Labels() < 2 {
			return policy.ActionDefault, nil, false
		}
		number, data = wire.TypeCNAME, []byte(name.Canonical())
	case "TXT":
		if len(value) > 255 {
			return policy.ActionDefault, nil, false
		}
		number, data = wire.TypeTXT, append([]byte{byte(len(value))}, value...)
	case "MX":
		preference, host, _ := strings.Cut(value, " ")
		n, err := strconv.ParseUint(preference, 10, 16)
		name, err2 := dnsname.Parse(host)
		if err != nil || err2 != nil {
			return policy.ActionDefault, nil, false
		}
		number, data = wire.TypeMX, append(binary.BigEndian.AppendUint16(nil, uint16(n)), name.Canonical()...)
	default:
		return policy.ActionDefault, nil, false
	}
	return policy.ActionLocalData, &policy.LocalData{RRsets: []policy.RRset{{Type: number, TTL: rewriteTTL, RData: [][]byte{data}}}}, true
}
