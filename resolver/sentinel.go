package resolver

import (
	"errors"
	"strconv"
	"strings"

	"cenote/dnsname"
	"cenote/wire"
)

// errSentinel is what a question about the trust anchors of the root is answered with, where the answer is no (RFC 8509).
var errSentinel = errors.New("the trust anchors of the root are others than the name says")

// The first labels by which somebody asks which keys of the root are trusted, before the five digits of a key tag.
const (
	sentinelIs  = "root-key-sentinel-is-ta-"
	sentinelNot = "root-key-sentinel-not-ta-"
)

// sentinel fails a validated answer whose name says of the trust anchors of the root what is not so (RFC 8509 section 2.1). So everybody can find out
// whether a roll-over of the root's key has come to this resolver.
func (it *iteration) sentinel(q *question) error {
	if q.qtype != wire.TypeA && q.qtype != wire.TypeAAAA || it.s.keys == nil {
		return nil
	}
	tag, wanted, ok := sentinelTag(q.name)
	if !ok || it.s.keys.trusts(dnsname.Root, tag) == wanted {
		return nil
	}
	return errSentinel
}

// sentinelTag reads the first label of a canonical name: the key tag in it, and whether the name says that it is trusted.
func sentinelTag(name string) (tag uint16, wanted, ok bool) {
	label := name[1 : 1+int(name[0])]
	digits, wanted := strings.CutPrefix(label, sentinelIs)
	if !wanted {
		if digits, ok = strings.CutPrefix(label, sentinelNot); !ok {
			return 0, false, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), wanted, err == nil && len(digits) == 5
}

// trusts reports whether a key of a zone with that tag is an anchor.
func (k *keyring) trusts(zone dnsname.Name, tag uint16) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.all[zone]
	return a != nil && a.Trusts(tag)
}
