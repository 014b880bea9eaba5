package blocklist

import (
	"bytes"

	"cenote/policy"
)

// parseDnsmasq reads a line of a dnsmasq configuration. address=/name/ and server=/name/ (local= is the same) without a real target list
// the name and all below it; server=/name/# sends it to the usual servers and so is an exception. Several names may share a line.
func parseDnsmasq(f *file, line []byte) {
	row, comment := cutComment(line, '#')
	if len(row) == 0 || row[0] == ';' {
		return
	}
	option, value, _ := bytes.Cut(row, []byte("="))
	value = trim(value)
	switch string(trim(option)) {
	case "address":
		f.listSlashed(value, row, comment, addressVerdict)
	case "server", "local":
		f.listSlashed(value, row, comment, serverVerdict)
	case "conf-file", "conf-dir", "servers-file", "addn-hosts", "hostsdir":
		f.refuse(ReasonInclude, line)
	default:
		f.refuse(ReasonNotADNSRule, line)
	}
}

// dnsmasqVerdict is what the target of a row says about its names.
type dnsmasqVerdict uint8

const (
	dnsmasqOther dnsmasqVerdict = iota // it gives them a real address or server
	dnsmasqLists
	dnsmasqExempts
)

// addressVerdict judges what follows the names of an address option: nothing and "#" block, as do addresses that go nowhere.
func addressVerdict(target []byte) dnsmasqVerdict {
	if len(target) == 0 || string(target) == "#" || nowhere(target) {
		return dnsmasqLists
	}
	return dnsmasqOther
}

// serverVerdict judges what follows the names of a server option: no server blocks, "#" is the usual ones.
func serverVerdict(target []byte) dnsmasqVerdict {
	switch {
	case len(target) == 0:
		return dnsmasqLists
	case string(target) == "#":
		return dnsmasqExempts
	}
	return dnsmasqOther
}

// listSlashed lists the names of "/name/name/target".
func (f *file) listSlashed(value, row, comment []byte, judge func(target []byte) dnsmasqVerdict) {
	last := bytes.LastIndexByte(value, '/')
	if last <= 0 || value[0] != '/' {
		f.refuse(ReasonNotADNSRule, row)
		return
	}
	verdict := judge(trim(value[last+1:]))
	if verdict == dnsmasqOther {
		f.refuse(ReasonNotADNSRule, row)
		return
	}
	for name := range bytes.SplitSeq(value[1:last], []byte("/")) {
		f.begin().Comment = f.text(comment)
		f.row.Exception = verdict == dnsmasqExempts
		f.listDnsmasqName(trim(name), row)
	}
}

func (f *file) listDnsmasqName(name, row []byte) {
	switch {
	case string(name) == "#": // every name
		f.refuse(ReasonRoot, row)
	case bytes.HasPrefix(name, []byte("*.")):
		f.list(name[2:], f.matchOr(policy.KindBelow))
	default:
		f.list(bytes.TrimPrefix(name, []byte(".")), f.match())
	}
}

func looksDnsmasq(line []byte) evidence {
	for _, option := range []string{"address=/", "server=/", "local=/"} {
		if bytes.HasPrefix(line, []byte(option)) {
			return evidenceRow
		}
	}
	return evidenceNone
}
