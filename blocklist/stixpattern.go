package blocklist

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a STIX pattern.
const (
	patternMax      = 1 << 20 // octets
	patternDepthMax = 16      // brackets within brackets
)

// parsePattern reads a STIX pattern (version 2.1, section 9) as the observations of which each alone is enough: comparisons with a value, joined by OR.
// Whatever is more than that is one observation with the reason why it cannot be served.
func parsePattern(text string) []observed {
	if len(text) > patternMax {
		return []observed{{why: ReasonLineTooLong}}
	}
	p := &pattern{rest: text}
	p.next()
	list, ok := p.observations(0)
	if !ok || p.token != "" {
		return []observed{{why: ReasonSyntax}}
	}
	return list
}

// observed is one thing that a pattern asks for.
type observed struct {
	why  Reason // why it cannot be served; ReasonNone for what can
	kind observable
	text string // the value
}

// observable is what a value is.
type observable uint8

const (
	observableOther  observable = iota // nothing that the DNS knows
	observableDetail                   // says more of an address that the same pattern names: its kind, its port
	observableName
	observableAddress
	observableLink
	observableBelow   // the name that all are below which the pattern is about
	observablePattern // a regular expression of names
)

// observableOf tells what the path of an object leads to.
func observableOf(path string) observable {
	switch path {
	case "domain-name:value", "hostname:value", "x-opencti-hostname:value", "network-traffic:dst_ref.value":
		return observableName
	case "ipv4-addr:value", "ipv6-addr:value":
		return observableAddress
	case "url:value":
		return observableLink
	case "network-traffic:dst_ref.type", "network-traffic:dst_port", "network-traffic:protocols[*]":
		return observableDetail
	}
	return observableOther
}

// pattern is a STIX pattern while it is read.
type pattern struct {
	rest  string
	token string // the next one: a mark, a word, or a quoted value with its first quote; "" at the end
	bad   bool   // what comes next is no token
}

// observations reads what stands outside of the brackets.
func (p *pattern) observations(depth int) (list []observed, ok bool) {
	return p.joined(depth, p.observation, "AND", "FOLLOWEDBY")
}

func (p *pattern) observation(depth int) (list []observed, ok bool) {
	switch {
	case depth > patternDepthMax:
		return nil, false
	case p.take("["):
		if list, ok = p.comparisons(depth + 1); !ok || !p.take("]") {
			return nil, false
		}
	case p.take("("):
		if list, ok = p.observations(depth + 1); !ok || !p.take(")") {
			return nil, false
		}
	default:
		return nil, false
	}
	return p.qualified(list)
}

// qualified reads how often and when something must be seen: "REPEATS 5 TIMES", "WITHIN 60 SECONDS", "START t'…' STOP t'…'". One query is not enough
// for that.
func (p *pattern) qualified(list []observed) ([]observed, bool) {
	for {
		words := 2
		switch {
		case p.isWord("START"):
			words = 3
		case !p.isWord("REPEATS") && !p.isWord("WITHIN"):
			return list, true
		}
		list = []observed{{why: ReasonCombination}}
		for p.next(); words > 0; words-- {
			if _, ok := p.value(); !ok {
				return nil, false
			}
		}
	}
}

// comparisons reads what stands in brackets.
func (p *pattern) comparisons(depth int) (list []observed, ok bool) {
	return p.joined(depth, p.comparison, "AND")
}

// joined reads terms with OR and with the words that bind them together, which go before OR.
func (p *pattern) joined(depth int, term func(int) ([]observed, bool), together ...string) (list []observed, ok bool) {
	for {
		one, ok := term(depth)
		for ok && p.takeWord(together...) {
			var more []observed
			if more, ok = term(depth); ok {
				one = bothOf(one, more)
			}
		}
		if !ok {
			return nil, false
		}
		list = append(list, one...)
		if !p.takeWord("OR") {
			return list, true
		}
	}
}

// bothOf is what must be seen together. A detail adds nothing that an answer could show.
func bothOf(a, b []observed) []observed {
	switch {
	case len(a) == 1 && a[0].kind == observableDetail:
		return b
	case len(b) == 1 && b[0].kind == observableDetail:
		return a
	}
	return []observed{{why: ReasonCombination}}
}

// comparison reads "path = 'value'", "path IN ('value', …)" or an expression in parentheses.
func (p *pattern) comparison(depth int) (list []observed, ok bool) {
	if depth > patternDepthMax {
		return nil, false
	}
	if p.take("(") {
		list, ok = p.comparisons(depth + 1)
		return list, ok && p.take(")")
	}
	kind := observableOf(p.token)
	if p.bad || strings.IndexByte(p.token, ':') <= 0 || p.token[0] == '\'' {
		return nil, false
	}
	p.next()
	negated := p.takeWord("NOT")
	op, ok := p.operator()
	if !ok {
		return nil, false
	}
	values, ok := p.operands(op)
	if !ok {
		return nil, false
	}
	if negated {
		op = comparisonOther
	}
	return listObserved(kind, op, values), true
}

// listObserved makes an observation of each value. A detail, and what cannot be served, is one.
func listObserved(kind observable, op comparison, values []string) (list []observed) {
	switch {
	case kind == observableDetail:
		return []observed{{why: ReasonOtherType, kind: kind}}
	case kind == observableOther:
		return []observed{{why: ReasonOtherType}}
	}
	for _, v := range values {
		list = append(list, observedBy(kind, op, v))
	}
	if !slices.ContainsFunc(list, func(o observed) bool { return o.why == ReasonNone }) {
		list = list[:1]
	}
	return list
}

// observedBy is what one comparison with a value looks for.
func observedBy(kind observable, op comparison, value string) observed {
	switch op {
	case comparisonEqual:
		return observed{kind: kind, text: value}
	case comparisonLike:
		if kind == observableName {
			return observedLike(value)
		}
	case comparisonMatches:
		if kind == observableName && isASCII(value) {
			return observed{kind: observablePattern, text: value}
		}
	case comparisonOther:
		return observed{why: ReasonNotADNSRule, text: value}
	}
	return observed{why: ReasonRegex, text: value}
}

// observedLike is what LIKE looks for among names: "%" stands for any text, "_" for any character, and all else for itself.
func observedLike(value string) observed {
	const wild = "%_"
	rest, below := strings.CutPrefix(value, "%.")
	switch {
	case !isASCII(value):
		return observed{why: ReasonRegex, text: value}
	case !strings.ContainsAny(value, wild):
		return observed{kind: observableName, text: value}
	case below && !strings.ContainsAny(rest, wild):
		return observed{kind: observableBelow, text: rest}
	}
	var text strings.Builder
	for i, part := range strings.Split(value, "%") {
		if i > 0 {
			text.WriteString(".*")
		}
		text.WriteString(strings.ReplaceAll(regexp.QuoteMeta(part), "_", "."))
	}
	return observed{kind: observablePattern, text: "^" + text.String() + "$"}
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// comparison is how a pattern compares with a value.
type comparison uint8

const (
	comparisonEqual comparison = iota
	comparisonLike
	comparisonMatches
	comparisonOther // no list can say it
)

// operator reads an operator.
func (p *pattern) operator() (op comparison, ok bool) {
	switch {
	case p.take("="), p.take("=="), p.takeWord("IN"), p.takeWord("ISSUBSET"):
		return comparisonEqual, true
	case p.takeWord("LIKE"):
		return comparisonLike, true
	case p.takeWord("MATCHES"):
		return comparisonMatches, true
	case p.take("!="), p.take("<>"), p.take("<"), p.take(">"), p.take("<="), p.take(">="), p.takeWord("ISSUPERSET"):
		return comparisonOther, true
	}
	return comparisonOther, false
}

// operands reads one value, or several in parentheses.
func (p *pattern) operands(op comparison) (values []string, ok bool) {
	if !p.take("(") {
		v, ok := p.valueOf(op)
		return []string{v}, ok
	}
	for {
		v, ok := p.valueOf(op)
		if !ok {
			return nil, false
		}
		values = append(values, v)
		if !p.take(",") {
			return values, p.take(")")
		}
	}
}

// valueOf is value for an operator. In a regular expression a backslash is one, unless it stands before a quote or a backslash: many publishers write \. where
// the grammar wants \\. and without it a dot would match everything.
func (p *pattern) valueOf(op comparison) (text string, ok bool) {
	if quoted := p.token; op == comparisonMatches && !p.bad && quoted != "" && quoted[0] == '\'' {
		p.next()
		return strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(quoted[1 : len(quoted)-1]), true
	}
	return p.value()
}

// value reads a quoted value, or a number or another word that no name is.
func (p *pattern) value() (text string, ok bool) {
	if p.bad || p.token == "" || strings.ContainsAny(p.token[:1], "[](),=<>!") {
		return "", false
	}
	text = p.token
	if text[0] == '\'' {
		text = unquoted(text)
	}
	p.next()
	return text, true
}

// unquoted takes the quotes off a value; what follows a backslash stands for itself.
func unquoted(quoted string) string {
	text := quoted[1 : len(quoted)-1]
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		out = append(out, text[i])
	}
	return string(out)
}

func (p *pattern) isWord(word string) bool { return !p.bad && strings.EqualFold(p.token, word) }

// take goes on if the next token is the mark.
func (p *pattern) take(mark string) bool {
	if p.bad || p.token != mark {
		return false
	}
	p.next()
	return true
}

// takeWord goes on if the next token is one of the words.
func (p *pattern) takeWord(words ...string) bool {
	for _, word := range words {
		if p.isWord(word) {
			p.next()
			return true
		}
	}
	return false
}

// next reads the next token.
func (p *pattern) next() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	size, ok := tokenSize(p.rest)
	p.token, p.rest, p.bad = p.rest[:size], p.rest[size:], !ok
}

// tokenSize is the length of the token with which a text begins; false for a value whose quote is not closed.
func tokenSize(text string) (size int, ok bool) {
	switch {
	case text == "":
		return 0, true
	case text[0] == '\'':
		return quotedSize(text)
	case strings.IndexByte("[](),", text[0]) >= 0:
		return 1, true
	}
	if n := len(text) - len(strings.TrimLeft(text, "=<>!")); n > 0 {
		return n, true
	}
	return wordSize(text)
}

// wordSize is the length of a word or path. A path has quotes and brackets of its own: file:hashes.'SHA-256', a:b_refs[*].value.
func wordSize(text string) (size int, ok bool) {
	isPath := false
	for size < len(text) {
		n := 1
		switch c := text[size]; {
		case c == '\'':
			if n, ok = quotedSize(text[size:]); !ok {
				return len(text), false
			}
		case c == '[' && isPath:
			if n = strings.IndexByte(text[size:], ']') + 1; n == 0 {
				return len(text), false
			}
		case strings.IndexByte(" \t\r\n[](),=<>!", c) >= 0:
			return size, true
		case c == ':':
			isPath = true
		}
		size += n
	}
	return size, true
}

// quotedSize is the length of a value with its quotes.
func quotedSize(text string) (size int, ok bool) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '\'':
			return i + 1, true
		}
	}
	return len(text), false
}
