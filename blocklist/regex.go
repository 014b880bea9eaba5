package blocklist

import (
	"regexp"
	"slices"
	"strings"

	"cenote/policy"
)

// parseRegex reads a line of a list of regular expressions: one, which may stand anywhere in a name.
func parseRegex(f *file, line []byte) {
	if line[0] == '#' {
		return
	}
	f.begin()
	f.listRegex(string(line), line)
}

// listRegex hands the row that begin returned to the sink under a regular expression, unless names could not be found by it.
func (f *file) listRegex(text string, line []byte) {
	if f.report.Triggers.Pattern == policy.PatternsMax {
		f.refuse(ReasonTooManyPatterns, line)
		return
	}
	key, ok := policy.AppendPatternKey(nil, text)
	pattern, err := policy.NewPattern(text)
	if !ok || f.row.Exception || err != nil {
		f.refuse(ReasonRegex, line)
		return
	}
	if !f.config.AllowSuffixes && matchesEverybody(pattern) {
		f.refuse(ReasonPublicSuffix, line)
		return
	}
	v := f.guardedPattern(text, pattern)
	if v.why != ReasonNone {
		f.refuseBy(f.row.Line, v, line)
		return
	}
	if v.name != "" {
		f.note(&v, line)
	}
	f.serveKey(key, policy.TriggerPattern, policy.KindExact)
}

// strangers are names that nobody lists: a pattern that matches one of them matches all that is under a suffix.
var strangers = func() (names [][]byte) {
	for _, suffix := range []string{"com", "net", "org", "info", "biz", "io", "de", "fr", "nl", "eu", "ru", "cn", "jp", "br", "in", "uk", "co.uk", "com.br", "com.au", "co.jp", "gov", "edu"} {
		names = append(names, []byte("q7zk4w."+suffix), []byte("www.q7zk4w."+suffix))
	}
	return names
}()

// matchesEverybody reports whether a pattern says nothing but a suffix, or less.
func matchesEverybody(p *policy.Pattern) bool {
	return slices.ContainsFunc(strangers, p.Matches)
}

// listInnerWildcard lists an address pattern of a content blocker with a "*" in it: "||" begins at a label, "|" at the name, "^" and "|" end it.
func (f *file) listInnerWildcard(rule, line []byte) {
	text, begins := string(rule), ""
	switch {
	case strings.HasPrefix(text, "||"):
		text, begins = text[2:], `(^|\.)`
	case strings.HasPrefix(text, "|"):
		text, begins = text[1:], "^"
	}
	ends := ""
	if cut := strings.TrimRight(text, "^|"); cut != text {
		text, ends = cut, "$"
	}
	if strings.ContainsAny(text, "/:^|?=&") {
		f.refuse(ReasonNotADNSRule, line)
		return
	}
	parts := strings.Split(strings.ToLower(text), "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	f.listRegex(begins+strings.Join(parts, ".*")+ends, line)
}
