package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cenote/dnsname"
)

// textMax is how many octets a text may have.
const textMax = 4096

// A scalar is a type whose values are written as one word.
type scalar struct {
	name    string // in the reference
	form    string // how it is written, for hints
	json    string // type in the JSON schema
	pattern string // of the text, for the JSON schema
	parse   func(text string, f field) (any, error)
}

// scalarOf is how a type is read, and false for lists and mappings.
func scalarOf(t reflect.Type) (scalar, bool) {
	if e, ok := reflect.Zero(t).Interface().(enum); ok {
		return enumScalar(t, e.values()), true
	}
	switch reflect.Zero(t).Interface().(type) {
	case bool:
		return scalar{name: "true or false", form: "true or false", json: "boolean", parse: parseBool}, true
	case int:
		return scalar{name: "whole number", form: "a whole number, such as 100", json: "integer", parse: parseInt}, true
	case string:
		return scalar{name: "text", form: `text; put it in quotes`, json: "string", parse: parseText}, true
	case Path:
		return scalar{name: "path", form: "a path, such as /etc/cenote/feeds", json: "string", parse: parsePath}, true
	}
	return unitScalar(t)
}

// unitScalar is how the types with a unit or a form of their own are read.
func unitScalar(t reflect.Type) (scalar, bool) {
	switch reflect.Zero(t).Interface().(type) {
	case time.Duration:
		return scalar{"time span", "a number with its unit, such as 300ms, 10s, 5m, 12h, 7d or 2w", "string", `^(0|[0-9.]+(ns|us|µs|ms|s|m|h|d|w))+$`, plain(ParseDuration)}, true
	case Size:
		return scalar{"size", "a number with its unit, such as 64KiB, 512MiB or 2GiB", "string", `^[0-9.]+ *([KMGTP]i?)?B$`, plain(ParseSize)}, true
	case Percent:
		return scalar{"share", "a share, such as 50%", "string", `^[0-9.]+ *%$`, plain(ParsePercent)}, true
	case Growth:
		return scalar{"growth", "a growth in percent, such as 300%", "string", `^[0-9.]+ *%$`, plain(ParseGrowth)}, true
	case Rate:
		return scalar{"rate", "a number by the second, minute or hour, such as 200/s, 30/m or 10/h", "string", `^[0-9.]+ */[smh]$`, plain(ParseRate)}, true
	case Clock:
		return scalar{"time of day", "a time of day, such as 08:30", "string", `^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$`, plain(ParseClock)}, true
	case Mode:
		return scalar{name: "permission", form: "a permission in octal, such as 0660", json: "integer", parse: plain(ParseMode)}, true
	}
	return networkScalar(t)
}

// networkScalar is how addresses, networks, URLs and domain names are read.
func networkScalar(t reflect.Type) (scalar, bool) {
	switch reflect.Zero(t).Interface().(type) {
	case netip.Addr:
		return scalar{name: "address", form: "an IP address, such as 192.0.2.53 or 2001:db8::53", json: "string", parse: parseAddr}, true
	case netip.AddrPort:
		return scalar{name: "address and port", form: "an IP address with a port, such as 192.0.2.1:53 or [2001:db8::1]:53", json: "string", parse: parseAddrPort}, true
	case netip.Prefix:
		return scalar{name: "network", form: "a network, such as 192.0.2.0/24 or 2001:db8::/32", json: "string", parse: parsePrefix}, true
	case URL:
		return scalar{name: "URL", form: "a URL, such as https://lists.example/malware.hosts", json: "string", pattern: "^https?://[^/?#]", parse: parseURL}, true
	case dnsname.Name:
		return scalar{name: "domain name", form: "a domain name, such as www.example", json: "string", parse: parseName}, true
	}
	return scalar{}, false
}

// enumScalar reads one of a closed set of words.
func enumScalar(t reflect.Type, values []string) scalar {
	quotedValues := make([]string, len(values))
	for i, v := range values {
		quotedValues[i] = regexp.QuoteMeta(v)
	}
	parse := func(text string, _ field) (any, error) {
		for _, v := range values {
			if v == text {
				return reflect.ValueOf(text).Convert(t).Interface(), nil
			}
		}
		return nil, &wordError{text, values}
	}
	return scalar{"one of " + strings.Join(values, ", "), "one of " + strings.Join(values, ", "), "string",
		"^(" + strings.Join(quotedValues, "|") + ")$", parse}
}

// wordError is a word that is none of an enum's.
type wordError struct {
	word   string
	values []string
}

// Error quotes the word.
func (e *wordError) Error() string { return "unknown word " + quoted(e.word) }

// hintError is an error that knows the next move.
type hintError struct{ text, hint string }

// Error leaves the hint out, which is shown on a line of its own.
func (e *hintError) Error() string { return e.text }

// plain makes a parser of one that needs nothing but the text.
func plain[T any](parse func(string) (T, error)) func(string, field) (any, error) {
	return func(text string, _ field) (any, error) {
		v, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s is not %s", quoted(text), article(kindOf[T]()))
		}
		return v, nil
	}
}

func kindOf[T any]() string {
	s, _ := scalarOf(reflect.TypeFor[T]())
	return s.name
}

func parseBool(text string, _ field) (any, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("%s is neither true nor false", quoted(text))
}

func parseInt(text string, _ field) (any, error) {
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil {
		return nil, fmt.Errorf("%s is not a whole number", quoted(text))
	}
	return n, nil
}

func parseText(text string, f field) (any, error) {
	if len(text) > textMax {
		return nil, fmt.Errorf("the text has %d octets; %d is the most", len(text), textMax)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return nil, fmt.Errorf("%s holds a character that cannot be shown", quoted(text))
		}
	}
	if f.pattern != "" && text != "" && !regexp.MustCompile(f.pattern).MatchString(text) {
		return nil, &hintError{quoted(text) + " cannot be used here", patternHint(f)}
	}
	return text, nil
}

// namePattern is that of names which operators give to things.
const namePattern = "^[a-z0-9][a-z0-9._-]{0,62}$"

// patternHint says what a text should look like.
func patternHint(f field) string {
	if f.pattern == namePattern {
		return "use small letters, digits, ., _ and -, beginning with a letter or digit, at most 63"
	}
	return "such as " + f.key + ": " + f.example
}

func parsePath(text string, f field) (any, error) {
	if text == "" {
		return nil, fmt.Errorf("the path is empty")
	}
	if _, err := parseText(text, f); err != nil {
		return nil, err
	}
	return Path(text), nil
}

func parseAddr(text string, _ field) (any, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not an IP address", quoted(text))
	}
	return a.Unmap(), nil
}

// parseAddrPort adds the usual port where there is none.
func parseAddrPort(text string, f field) (any, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
	}
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && f.port != "" {
		port, err := strconv.ParseUint(f.port, 10, 16)
		return netip.AddrPortFrom(a.Unmap(), uint16(port)), err
	}
	if rest, found := strings.CutPrefix(text, ":"); found {
		return nil, &hintError{quoted(text) + " has no address", "write 0.0.0.0:" + rest + " for every IPv4 address, [::]:" + rest + " for every IPv6 one"}
	}
	return nil, fmt.Errorf("%s is not an IP address with a port", quoted(text))
}

// parsePrefix takes an address for the network of itself alone.
func parsePrefix(text string, _ field) (any, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return nil, fmt.Errorf("%s is not a network", quoted(text))
	}
	if m := p.Masked(); m != p {
		return nil, &hintError{fmt.Sprintf("%s has bits set beyond its %d", quoted(text), p.Bits()), "did you mean " + quoted(m.String()) + "?"}
	}
	return p, nil
}

func parseName(text string, f field) (any, error) {
	n, err := dnsname.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a domain name: %w", quoted(text), err)
	}
	if n.IsRoot() && !f.root {
		return nil, fmt.Errorf("the root cannot be used here")
	}
	return n.Canonical(), nil
}

// outside reports on which side of the field's bounds a value lies: -1 below, +1 above, 0 inside.
func (f field) outside(v any) int {
	s, _ := scalarOf(f.typ)
	number := magnitude(v)
	if f.min != "" {
		if low, err := s.parse(f.min, f); err == nil && number < magnitude(low) {
			return -1
		}
	}
	if f.max != "" {
		if high, err := s.parse(f.max, f); err == nil && cmp.Compare(number, magnitude(high)) > 0 {
			return +1
		}
	}
	return 0
}

// magnitude is a value with a bound as a number.
func magnitude(v any) float64 {
	switch n := v.(type) {
	case int:
		return float64(n)
	case time.Duration:
		return float64(n)
	case Size:
		return float64(n)
	case Percent:
		return float64(n)
	case Growth:
		return float64(n)
	case Rate:
		return float64(n)
	}
	return 0
}
