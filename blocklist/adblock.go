package blocklist

import (
	"bytes"

	"cenote/policy"
)

// parseAdblock reads a line of a list for content blockers. Of its many rules those about whole hosts are DNS rules: "||name^" (the name and
// all below it), "||*.name^" (below it), "|name^" and a bare name (itself), each with "@@" before it as an exception. Rules about parts of
// a page, about who asks or about what is answered are counted as ReasonNotADNSRule. "/…/" is a regular
// expression, a "*" within a name stands for anything, and "$dnsrewrite=" gives the host an answer of its own.
func parseAdblock(f *file, line []byte) {
	if isAdblockComment(line) {
		return
	}
	rule, exception := bytes.CutPrefix(line, []byte("@@"))
	if pattern, value, ok := cutRewrite(rule); ok && !exception {
		f.listRewrite(pattern, value, line)
		return
	}
	rule, plain := cutModifiers(rule)
	switch {
	case !plain, len(rule) == 0, isCosmetic(line):
		f.refuse(ReasonNotADNSRule, line)
	case len(rule) > 1 && rule[0] == '/' && rule[len(rule)-1] == '/':
		f.begin().Exception = exception
		f.listRegex(string(rule[1:len(rule)-1]), line)
	case looksHosts(rule) == evidenceRow && !exception:
		parseHosts(f, rule)
	case bytes.IndexByte(bytes.TrimPrefix(rule, []byte("||*.")), '*') >= 0:
		f.begin().Exception = exception
		f.listInnerWildcard(rule, line)
	default:
		f.listPattern(rule, line, exception)
	}
}

// isAdblockComment reports whether a line is a remark, or the head line in brackets.
func isAdblockComment(line []byte) bool {
	last := line[len(line)-1]
	return line[0] == '!' || line[0] == '[' && last == ']' || line[0] == '#' && (len(line) == 1 || line[1] == ' ')
}

// listPattern lists the host that an address pattern stands for, if it stands for a host.
func (f *file) listPattern(rule, line []byte, exception bool) {
	name, kind := hostOfPattern(rule)
	if name == nil {
		f.refuse(ReasonNotADNSRule, line)
		return
	}
	f.begin().Exception = exception
	f.list(name, f.matchOr(kind))
}

func hostOfPattern(rule []byte) (name []byte, kind policy.Kind) {
	kind = policy.KindExact
	anchored := true
	switch {
	case bytes.HasPrefix(rule, []byte("||*.")):
		rule, kind = rule[4:], policy.KindBelow
	case bytes.HasPrefix(rule, []byte("||")):
		rule, kind = rule[2:], policy.KindSubtree
	case bytes.HasPrefix(rule, []byte("|")):
		rule = rule[1:]
	default:
		anchored = false
	}
	name = bytes.TrimSuffix(bytes.TrimSuffix(rule, []byte("|")), []byte("^"))
	if !anchored && len(name) != len(rule) {
		return nil, kind // "name^" is found anywhere in an address
	}
	return name, kind
}

// cutModifiers cuts "$modifier,…" off a rule. Plain reports whether what is left means the same to a DNS server: $important, $all and
// $document speak of the whole host; everything else narrows the rule, or is not about hosts.
func cutModifiers(rule []byte) (pattern []byte, plain bool) {
	i := bytes.IndexByte(rule, '$')
	if i < 0 || rule[0] == '/' {
		return rule, true
	}
	for modifier := range bytes.SplitSeq(rule[i+1:], []byte(",")) {
		if !isPlainModifier(trim(modifier)) {
			return rule[:i], false
		}
	}
	return rule[:i], true
}

// isPlainModifier reports whether a modifier means nothing to a DNS server.
func isPlainModifier(m []byte) bool {
	switch string(m) {
	case "important", "all", "document", "doc":
		return true
	}
	return false
}

// listRewrite lists a host with an answer of its own ("$dnsrewrite").
func (f *file) listRewrite(pattern []byte, value string, line []byte) {
	action, data, ok := dnsRewrite(value)
	name, kind := hostOfPattern(pattern)
	if !ok || name == nil || bytes.IndexByte(name, '*') >= 0 {
		f.refuse(ReasonNotADNSRule, line)
		return
	}
	row := f.begin()
	row.Action, row.Data = action, data
	f.list(name, f.matchOr(kind))
}

// isCosmetic reports whether a rule hides elements of a page.
func isCosmetic(line []byte) bool {
	i := bytes.IndexByte(line, '#')
	if i < 0 || i+1 >= len(line) {
		return false
	}
	return bytes.IndexByte([]byte("#@?$%"), line[i+1]) >= 0
}

func looksAdblock(line []byte) evidence {
	rule, _ := bytes.CutPrefix(line, []byte("@@"))
	switch {
	case bytes.HasPrefix(line, []byte("[Adblock")), bytes.HasPrefix(line, []byte("[uBlock")):
		return evidenceSignature
	case bytes.HasPrefix(rule, []byte("||")), isCosmetic(line) && !isCommentLine(line):
		return evidenceRow
	}
	return evidenceNone
}
