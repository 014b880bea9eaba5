package blocklist

import (
	"errors"
	"net/netip"
	"unicode/utf8"

	"cenote/dnsname"

	"golang.org/x/net/idna"
)

// nameParser turns the host names of list formats into canonical wire form. The result lives in the parser until its next call.
type nameParser struct {
	wire    [dnsname.WireMax + 1]byte
	profile *idna.Profile
}

func newNameParser() *nameParser {
	// The mapping of browsers and resolvers (UTS 46, not transitional), but with the underscore that so many listed names have.
	return &nameParser{profile: idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))}
}

// host reads a name as list formats write it: letters, digits, hyphens and underscores, one optional final dot, and anything that
// IDNA maps to that. ReasonNone means that name is good.
func (p *nameParser) host(text []byte) (name []byte, labels int, why Reason) {
	name, labels, ok := p.ascii(text)
	if ok {
		return name, labels, ReasonNone
	}
	if why = whyNot(text); why == ReasonBadEncoding {
		return p.unicode(text)
	}
	return nil, 0, why
}

// ascii is the road nearly every row takes.
func (p *nameParser) ascii(text []byte) (name []byte, labels int, ok bool) {
	if len(text) == 1 && text[0] == '.' {
		p.wire[0] = 0
		return p.wire[:1], 0, true
	}
	if n := len(text); n > 0 && text[n-1] == '.' {
		text = text[:n-1]
	}
	if len(text) == 0 || len(text) > dnsname.WireMax-2 {
		return nil, 0, false
	}
	label := 0 // where the length of the present label stands
	for i, c := range text {
		switch {
		case c-'a' < 26, c-'0' < 10, c == '-', c == '_':
		case c-'A' < 26:
			c |= 0x20
		case c != '.' || i == label || i-label > dnsname.LabelMax:
			return nil, 0, false
		default:
			p.wire[label] = byte(i - label)
			label = i + 1
			labels++
			continue
		}
		p.wire[i+1] = c
	}
	last := len(text) - label
	if last == 0 || last > dnsname.LabelMax || allDigits(text[label:]) { // no top-level domain is a number, RFC 3696 section 2
		return nil, 0, false
	}
	p.wire[label], p.wire[len(text)+1] = byte(last), 0
	return p.wire[:len(text)+2], labels + 1, true
}

// unicodeMax is more octets than a name of 255 octets can have in UTF-8; it bounds the work of mapping.
const unicodeMax = 4 * dnsname.WireMax

func (p *nameParser) unicode(text []byte) (name []byte, labels int, why Reason) {
	switch {
	case len(text) > unicodeMax:
		return nil, 0, ReasonTooLong
	case !utf8.Valid(text):
		return nil, 0, ReasonBadEncoding
	}
	mapped, err := p.profile.ToASCII(string(text))
	if err != nil {
		return nil, 0, ReasonBadEncoding
	}
	name, labels, ok := p.ascii([]byte(mapped))
	if !ok {
		return nil, 0, whyNot([]byte(mapped))
	}
	return name, labels, ReasonNone
}

// whyNot tells what a text is that is no host name; it costs more than reading one, and is asked for dirty rows only.
func whyNot(text []byte) Reason {
	switch shape := shapeOf(text); {
	case shape.high:
		return ReasonBadEncoding
	case isAddress(text):
		return ReasonIPAddress
	case shape.scheme:
		return ReasonURL
	case shape.pattern:
		return ReasonRegex
	case shape.slash:
		return ReasonURL
	case shape.other:
		return ReasonNotADomain
	}
	_, err := dnsname.Parse(string(text))
	if errors.Is(err, dnsname.ErrNameLong) || errors.Is(err, dnsname.ErrLabelLong) {
		return ReasonTooLong
	}
	return ReasonNotADomain
}

// textShape says which octets a text has that no host name has.
type textShape struct{ high, scheme, pattern, slash, other bool }

func shapeOf(text []byte) (s textShape) {
	for i, c := range text {
		switch c {
		case '/':
			s.slash = true
			s.scheme = s.scheme || i > 1 && text[i-1] == '/' && text[i-2] == ':'
		case '*', '?', '[', ']', '(', ')', '{', '}', '^', '$', '+', '|', '\\':
			s.pattern = true
		default:
			s.high = s.high || c >= utf8.RuneSelf
			s.other = s.other || !isHostOctet(c) && c != '.'
		}
	}
	return s
}

func isHostOctet(c byte) bool {
	return c-'a' < 26 || c-'A' < 26 || c-'0' < 10 || c == '-' || c == '_'
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return len(b) > 0
}

// isAddress reports whether text is an IP address or a prefix, with or without a port.
func isAddress(text []byte) bool {
	switch string(text) {
	case "0.0.0.0", "127.0.0.1": // nearly every row of a hosts file
		return true
	}
	if len(text) == 0 || len(text) > 64 {
		return false
	}
	s := string(text)
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(s)
	return err == nil
}
