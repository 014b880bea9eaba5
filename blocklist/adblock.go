package blocklist

import (
	"bytes"

	"cenote/policy"
)

// readAdblock reads a list for content blockers. Of its many rules those about whole hosts are DNS rules: "||name^" (the name and
// all below it), "||*.name^" (below it), "|name^" and a bare name (itself), each with "@@" before it as an exception. "/…/" is a regular
// expression, a "*" within a name stands for anything, "$dnsrewrite=" gives the host an answer of its own, "$denyallow=" takes names below the host
// out. Rules about parts of a page or about what is answered are counted as ReasonNotADNSRule, those for some clients or types by a
// reason of their own. A rule may stand anywhere in the file that cancels another one ("$badfilter") or goes before an exception ("$important"), so
// that the lines wait for the end of the file.
func readAdblock(f *file) error {
	l := &adblockList{file: f, cancelled: map[stixID]bool{}, important: adblockNames{}, exceptions: adblockNames{}}
	if err := l.read(); err != nil {
		return err
	}
	end := f.lines.number
	for n, line := range l.lines() {
		f.lines.number = n
		l.rule(line)
		if n&0xfff == 0 {
			f.fail(f.done())
		}
		if f.failed != nil {
			return f.failed
		}
	}
	f.lines.number = end
	return f.failed
}

// rule lists what a line says.
func (l *adblockList) rule(line []byte) {
	r, f := parseAdblockRule(line), l.file
	switch {
	case r.cancels:
		f.skip()
	case len(l.cancelled) > 0 && l.cancelled[r.sum()]:
		f.refuse(ReasonWithdrawn, line)
	case r.why != ReasonNone:
		f.refuse(r.why, line)
	case r.rewrite != nil:
		f.listRewrite(r.pattern, string(r.rewrite), line)
	case len(r.pattern) > 1 && r.pattern[0] == '/' && r.pattern[len(r.pattern)-1] == '/':
		f.begin().Exception = r.exception
		f.listRegex(string(r.pattern[1:len(r.pattern)-1]), line)
	case looksHosts(r.pattern) == evidenceRow && !r.exception:
		parseHosts(f, r.pattern)
	case bytes.IndexByte(bytes.TrimPrefix(r.pattern, []byte("||*.")), '*') >= 0:
		f.begin().Exception = r.exception
		f.listInnerWildcard(r.pattern, line)
	default:
		l.host(&r, line)
	}
}

// host lists the host that an address pattern stands for, if it stands for a host.
func (l *adblockList) host(r *adblockRule, line []byte) {
	f := l.file
	name, kind := hostOfPattern(r.pattern)
	if name == nil {
		f.refuse(ReasonNotADNSRule, line)
		return
	}
	kind = f.matchOr(kind)
	if l.overruled(r, name, kind) {
		f.refuse(ReasonOverruled, line)
		return
	}
	var outside [][]byte
	if r.outside != nil {
		var ok bool
		if outside, ok = f.namesBelow(name, kind, r.outside); !ok {
			f.refuse(ReasonNotADNSRule, line)
			return
		}
	}
	f.begin().Exception = r.exception
	live := f.report.Live
	f.list(name, kind)
	if f.report.Live == live {
		return
	}
	for _, name := range outside {
		f.begin().Exception = true
		f.list(name, policy.KindSubtree)
	}
}

// isAdblockComment reports whether a line is a remark, or the head line in brackets.
func isAdblockComment(line []byte) bool {
	last := line[len(line)-1]
	return line[0] == '!' || line[0] == '[' && last == ']' || line[0] == '#' && (len(line) == 1 || line[1] == ' ')
}

// hostOfPattern is the host that an address pattern stands for; nil if it stands for none.
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
