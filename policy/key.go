package policy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cenote/dnsname"
)

// A key is what a rule lists, as the index of names holds it. That of a QNAME trigger is the listed name, canonical and in wire form. Those of the
// other triggers are the owner names that a policy zone has for them, relative to its apex (RPZ draft section 4), with the last label in upper
// case: no canonical name ends so, and no query name can be taken for one.

// realm is the last label of the keys of one trigger, with its length octet and the root's.
type realm string

const (
	realmClientIP realm = "\x0dRPZ-CLIENT-IP\x00"
	realmIP       realm = "\x06RPZ-IP\x00"
	realmNSDNAME  realm = "\x0bRPZ-NSDNAME\x00"
	realmNSIP     realm = "\x08RPZ-NSIP\x00"
)

func (t Trigger) realm() realm {
	switch t {
	case TriggerClientIP:
		return realmClientIP
	case TriggerIP:
		return realmIP
	case TriggerNSDNAME:
		return realmNSDNAME
	case TriggerNSIP:
		return realmNSIP
	case TriggerPattern:
		return realmPattern
	case TriggerNone, TriggerQNAME:
	}
	return ""
}

// ByAddress reports whether rules of the trigger list addresses.
func (t Trigger) ByAddress() bool {
	return t == TriggerClientIP || t == TriggerIP || t == TriggerNSIP
}

// TriggerOf returns the trigger of the rules under a key.
func TriggerOf(key []byte) Trigger {
	last := key[lastLabel(key):]
	for _, t := range []Trigger{TriggerClientIP, TriggerPattern, TriggerIP, TriggerNSDNAME, TriggerNSIP} {
		if string(last) == string(t.realm()) {
			return t
		}
	}
	return TriggerQNAME
}

// lastLabel returns where the last label of a name in wire form begins, with its length octet.
func lastLabel(name []byte) (at int) {
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		at = i
	}
	return at
}

// AppendNameKey appends the key of an NSDNAME trigger that lists name, canonical and in wire form, to dst. It reports false if there is none,
// because the name has no room for the last label.
func AppendNameKey(dst, name []byte) ([]byte, bool) {
	if len(name)-1+len(realmNSDNAME) > dnsname.WireMax {
		return dst, false
	}
	return append(append(dst, name[:len(name)-1]...), realmNSDNAME...), true
}

// AppendPrefixKey appends the key of a trigger by address to dst: prefix length, then the parts of the address, the least significant first,
// "zz" in the place of the longest run of zero words of an IPv6 address, the first of several (RPZ draft section 4.1.1, RFC 5952 section 4.2).
// The prefix is masked.
func AppendPrefixKey(dst []byte, t Trigger, p netip.Prefix) []byte {
	return append(appendPrefix(dst, p), t.realm()...)
}

// appendPrefix appends the labels of a key before the last one.
func appendPrefix(dst []byte, p netip.Prefix) []byte {
	if !p.Addr().Is4() {
		return appendPrefixV6(dst, p.Bits(), wordsV6(p.Addr()))
	}
	dst = appendLabel(dst, strconv.AppendInt(nil, int64(p.Bits()), 10))
	b := p.Addr().As4()
	for i := range b {
		dst = appendLabel(dst, strconv.AppendUint(nil, uint64(b[len(b)-1-i]), 10))
	}
	return dst
}

// appendPrefixV6 appends the labels of a prefix with words in the order of the address.
func appendPrefixV6(dst []byte, bits int, words []string) []byte {
	dst = appendLabel(dst, strconv.AppendInt(nil, int64(bits), 10))
	for i := range words {
		dst = appendLabel(dst, []byte(words[len(words)-1-i]))
	}
	return dst
}

// PrefixSpellings are all labels that ParsePrefix reads strictly as p, which is masked, in wire form without anything behind them; those of keys come first. There
// are two where the zeros of an IPv6 address are single words, since the first of them may be "zz" (RFC 5952 section 4.2.2 forbids it, and the draft does not); else one.
func PrefixSpellings(p netip.Prefix) [][]byte {
	out := [][]byte{appendPrefix(nil, p)}
	if words, ok := shortenedV6(p.Addr()); ok {
		out = append(out, appendPrefixV6(nil, p.Bits(), words))
	}
	return out
}

// shortenedV6 are the words of an IPv6 address whose zeros are single words, the first of them as "zz". It reports false for other addresses.
func shortenedV6(addr netip.Addr) ([]string, bool) {
	if addr.Is4() {
		return nil, false
	}
	first, longest := longestZeros(addr.As16())
	if longest != 1 {
		return nil, false
	}
	words := wordsV6(addr)
	words[first] = "zz"
	return words, true
}

func appendLabel(dst, label []byte) []byte {
	return append(append(dst, byte(len(label))), label...)
}

// wordsV6 are the words of an address as keys have them, in the order of the address.
func wordsV6(addr netip.Addr) (words []string) {
	b := addr.As16()
	first, longest := longestZeros(b)
	for i := 0; i < 8; i++ {
		if i == first && longest > 1 {
			words = append(words, "zz")
			i += longest - 1
			continue
		}
		words = append(words, strconv.FormatUint(uint64(binary.BigEndian.Uint16(b[2*i:])), 16))
	}
	return words
}

// longestZeros finds the longest run of zero words, the first of several.
func longestZeros(b [16]byte) (first, longest int) {
	first = -1
	for i, run := 0, 0; i < 8; i++ {
		if b[2*i] != 0 || b[2*i+1] != 0 {
			run = 0
			continue
		}
		if run++; run > longest {
			first, longest = i-run+1, run
		}
	}
	return first, longest
}

// ErrPrefix is the fault of labels that are no address and prefix length.
var ErrPrefix = errors.New("not an address and prefix length of a policy zone")

// ParsePrefix reads the labels before "rpz-ip" and the like, in wire form without anything behind them. Strict is as the draft's section 4.1.1 wants
// it: no leading zeros, no bits beyond the prefix, and for IPv6 the only spelling that there is. Otherwise it takes whatever can mean but one
// thing: bits beyond the prefix are cleared, words of IPv6 may be written in any way, and four numbers without a prefix length are one address.
func ParsePrefix(labels []byte, strict bool) (netip.Prefix, error) {
	words := splitLabels(labels)
	if !strict && len(words) == 4 && !slices.Contains(words, "zz") {
		words = append([]string{"32"}, words...)
	}
	if len(words) < 2 {
		return netip.Prefix{}, ErrPrefix
	}
	bits, ok := decimal(words[0], 128)
	if !ok || bits == 0 {
		return netip.Prefix{}, ErrPrefix
	}
	slices.Reverse(words[1:])
	var addr netip.Addr
	if len(words) == 5 && !slices.Contains(words[1:], "zz") {
		addr, ok = addressV4(words[1:])
	} else {
		addr, ok = addressV6(words[1:], strict)
	}
	if !ok || bits > addr.BitLen() {
		return netip.Prefix{}, ErrPrefix
	}
	p := netip.PrefixFrom(addr, bits)
	if p != p.Masked() && strict {
		return netip.Prefix{}, ErrPrefix
	}
	return p.Masked(), nil
}

func splitLabels(labels []byte) (words []string) {
	for i := 0; i < len(labels); i += 1 + int(labels[i]) {
		words = append(words, string(labels[i+1:i+1+int(labels[i])]))
	}
	return words
}

// decimal reads a number without leading zeros.
func decimal(s string, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= most && strconv.Itoa(n) == s
}

func addressV4(words []string) (netip.Addr, bool) {
	var b [4]byte
	for i, w := range words {
		n, ok := decimal(w, 255)
		if !ok {
			return netip.Addr{}, false
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), true
}

// addressV6 reads words in the order of the address; strict demands that they are its only proper spelling.
func addressV6(words []string, strict bool) (netip.Addr, bool) {
	text := strings.Join(words, ":")
	text = strings.Replace(text, "zz", "", 1)
	if text == "" {
		text = ":"
	}
	if strings.HasPrefix(text, ":") {
		text = ":" + text
	}
	if strings.HasSuffix(text, ":") {
		text += ":"
	}
	text = strings.ReplaceAll(text, ":::", "::")
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() || addr.Zone() != "" || strings.Contains(text, ".") {
		return netip.Addr{}, false
	}
	return addr, !strict || spelledWell(addr, words)
}

// spelledWell compares words with the proper spelling; a single zero word may be written either way, see PrefixSpellings.
func spelledWell(addr netip.Addr, words []string) bool {
	short, ok := shortenedV6(addr)
	return slices.Equal(words, wordsV6(addr)) || ok && slices.Equal(words, short)
}

// KeyPrefix reads the address and prefix length of a key. It reports false for the keys of names, and for what AppendPrefixKey never makes.
func KeyPrefix(key []byte) (netip.Prefix, bool) {
	if !TriggerOf(key).ByAddress() {
		return netip.Prefix{}, false
	}
	p, err := ParsePrefix(key[:lastLabel(key)], true)
	return p, err == nil
}

// KeyText writes what a key lists as people do: a name, an address, or a prefix.
func KeyText(key []byte) string {
	switch t := TriggerOf(key); {
	case t.ByAddress():
		if p, ok := KeyPrefix(key); ok {
			return prefixText(p)
		}
	case t == TriggerPattern:
		return PatternText(patternText(key))
	case t == TriggerNSDNAME:
		return text(append(bytes.Clone(key[:lastLabel(key)]), 0))
	}
	return text(key)
}

// printable writes a text so that no terminal takes a part of it for a command.
func printable(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\\`, `\`), `\"`, `"`)
}

func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
