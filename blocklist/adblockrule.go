package blocklist

import (
	"bytes"
	"slices"
)

// adblockRule is one rule of a list for content blockers. Its slices are parts of the line.
type adblockRule struct {
	pattern   []byte
	modifiers [][]byte // but for $badfilter
	exception bool     // "@@"
	cancels   bool     // $badfilter: the rule with the same text is void
	important bool     // it goes before exceptions
	rewrite   []byte   // the value of $dnsrewrite; nil for none
	outside   []byte   // the names of $denyallow; nil for none
	why       Reason   // why it cannot be served
}

// parseAdblockRule reads a rule. What it does not know makes a rule that is not served, since it could narrow it.
func parseAdblockRule(line []byte) (r adblockRule) {
	rest, exception := bytes.CutPrefix(line, []byte("@@"))
	r.exception = exception
	if isCosmetic(line) {
		r.why = ReasonNotADNSRule
	}
	pattern, modifiers, found := cutAdblockModifiers(rest)
	r.pattern = pattern
	if found {
		for modifier := range bytes.SplitSeq(modifiers, []byte(",")) {
			r.modify(trim(modifier))
		}
	}
	switch {
	case len(r.pattern) == 0, r.exception && (r.rewrite != nil || r.outside != nil), r.rewrite != nil && r.outside != nil:
		r.refuse(ReasonNotADNSRule)
	case r.outside != nil && bytes.IndexByte(bytes.TrimPrefix(r.pattern, []byte("||*.")), '*') >= 0, r.outside != nil && r.pattern[0] == '/':
		r.refuse(ReasonNotADNSRule) // everything but those names
	}
	return r
}

// cutAdblockModifiers cuts "$modifier,…" off a rule. In a regular expression a "$" is its own.
func cutAdblockModifiers(rule []byte) (pattern, modifiers []byte, found bool) {
	if len(rule) == 0 || rule[0] != '/' {
		return bytes.Cut(rule, []byte("$"))
	}
	if i := bytes.LastIndex(rule, []byte("/$")); i > 0 && rule[len(rule)-1] != '/' {
		return rule[:i+1], rule[i+2:], true
	}
	return rule, nil, false
}

// modify takes one modifier. $all and $document speak of the whole host, as a DNS rule does.
func (r *adblockRule) modify(m []byte) {
	name, value, valued := bytes.Cut(m, []byte("="))
	if string(m) == "badfilter" {
		r.cancels = true
		return
	}
	r.modifiers = append(r.modifiers, m)
	switch string(name) {
	case "important", "all", "document", "doc":
		r.important = r.important || string(name) == "important"
		if valued {
			r.refuse(ReasonNotADNSRule)
		}
	case "dnsrewrite":
		if r.rewrite = value; !valued {
			r.rewrite = []byte{}
		}
	case "denyallow":
		if r.outside = value; len(value) == 0 {
			r.refuse(ReasonNotADNSRule)
		}
	case "client", "ctag":
		r.refuse(ReasonSomeClients)
	case "dnstype":
		r.refuse(ReasonSomeTypes)
	default:
		r.why = ReasonNotADNSRule
	}
}

// refuse sets why the rule is not served, unless it is known.
func (r *adblockRule) refuse(why Reason) {
	if r.why == ReasonNone {
		r.why = why
	}
}

// sum is the same for rules of the same text, in whatever order their modifiers stand, with or without $badfilter.
func (r *adblockRule) sum() stixID {
	parts := slices.Clone(r.modifiers)
	slices.SortFunc(parts, bytes.Compare)
	text := append([]byte{byte('0' + boolByte(r.exception))}, r.pattern...)
	for _, m := range parts {
		text = append(append(text, '\n'), m...)
	}
	return idOf(string(text))
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
