package blocklist

import (
	"bytes"
	"io"

	"cenote/policy"
)

// readUnbound reads the local zones of an unbound configuration. A local-zone whose type withholds the truth lists its name and all below it; one
// whose type lets names through is an exception. A local-data lists its own name if its address goes nowhere; inside a redirect zone it
// only says where that zone points.
func readUnbound(f *file) error {
	u := unbound{file: f}
	for {
		line, err := f.next()
		if err == io.EOF {
			return f.failed
		}
		if err != nil {
			return err
		}
		if row, comment := cutComment(trim(line), '#'); len(row) > 0 {
			u.parse(row, comment)
		}
	}
}

type unbound struct {
	*file
	redirect []byte // the name of the last redirect zone, as it was written
}

func (u *unbound) parse(row, comment []byte) {
	keyword, value, found := bytes.Cut(row, []byte(":"))
	if !found {
		u.refuse(ReasonSyntax, row)
		return
	}
	u.begin().Comment = u.text(comment)
	switch string(trim(keyword)) {
	case "server":
		u.skip()
	case "local-zone":
		u.zone(value, row)
	case "local-data":
		u.data(value, row)
	case "include", "include-toplevel":
		u.refuse(ReasonInclude, row)
	default:
		u.refuse(ReasonNotADNSRule, row)
	}
}

func (u *unbound) zone(value, row []byte) {
	name, rest := unquote(value)
	kind, _ := unquote(rest)
	switch string(kind) {
	case "redirect", "inform_redirect":
		u.redirect = append(u.redirect[:0], name...)
		u.list(name, u.match())
	case "always_nxdomain", "always_nodata", "always_null", "always_refuse", "always_deny", "refuse", "deny", "static", "inform_deny":
		u.list(name, u.match())
	case "transparent", "typetransparent", "always_transparent", "inform", "ipset":
		u.row.Exception = true
		u.list(name, u.match())
	case "nodefault", "noview", "block_a":
		u.refuse(ReasonNotADNSRule, row)
	default:
		u.refuse(ReasonSyntax, row)
	}
}

func (u *unbound) data(value, row []byte) {
	record, _ := unquote(value)
	name, rest := field(record)
	if len(u.redirect) > 0 && bytes.Equal(bytes.TrimSuffix(name, []byte(".")), bytes.TrimSuffix(u.redirect, []byte("."))) {
		u.skip()
		return
	}
	if !dataGoesNowhere(rest) {
		u.refuse(ReasonNotADNSRule, row)
		return
	}
	u.list(name, u.matchOr(policy.KindExact))
}

// dataGoesNowhere judges "[TTL] [IN] TYPE ADDRESS".
func dataGoesNowhere(rest []byte) bool {
	var word []byte
	for len(rest) > 0 {
		word, rest = field(rest)
		if equalFold(word, "a") || equalFold(word, "aaaa") {
			return nowhere(rest)
		}
		if !equalFold(word, "in") && !allDigits(word) {
			return false
		}
	}
	return false
}

// unquote takes the first word of a value, which may stand in quotes of either kind.
func unquote(value []byte) (word, rest []byte) {
	value = trim(value)
	if len(value) > 0 && (value[0] == '"' || value[0] == '\'') {
		if end := bytes.IndexByte(value[1:], value[0]); end >= 0 {
			return trim(value[1 : 1+end]), trim(value[2+end:])
		}
		return nil, nil
	}
	return field(value)
}

func looksUnbound(line []byte) evidence {
	for _, keyword := range []string{"local-zone:", "local-data:", "server:"} {
		if bytes.HasPrefix(line, []byte(keyword)) {
			return evidenceRow
		}
	}
	return evidenceNone
}
