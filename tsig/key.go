package tsig

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"strings"

	"cenote/dnsname"
)

// Algorithm is how a key signs. The zero value is none.
type Algorithm uint8

// The algorithms (RFC 8945 section 6). Those by MD5 and SHA-1 are not known here.
const (
	HMACSHA256 Algorithm = 1 + iota
	HMACSHA384
	HMACSHA512
)

// ErrAlgorithm is that an algorithm is not known here.
var ErrAlgorithm = errors.New("the algorithm is none of hmac-sha256, hmac-sha384 and hmac-sha512")

// ParseAlgorithm reads an algorithm as String writes it, in any letter case.
func ParseAlgorithm(text string) (Algorithm, error) {
	for a := HMACSHA256; a <= HMACSHA512; a++ {
		if strings.EqualFold(text, a.String()) {
			return a, nil
		}
	}
	return 0, ErrAlgorithm
}

// String is the name of the algorithm without its final dot.
func (a Algorithm) String() string {
	switch a {
	case HMACSHA256:
		return "hmac-sha256"
	case HMACSHA384:
		return "hmac-sha384"
	case HMACSHA512:
		return "hmac-sha512"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// Name is the algorithm as it stands in a record, canonical.
func (a Algorithm) Name() dnsname.Name { return dnsname.MustParse(a.String()) }

// Size is the length of a whole MAC in octets.
func (a Algorithm) Size() int {
	switch a {
	case HMACSHA256:
		return sha256.Size
	case HMACSHA384:
		return sha512.Size384
	case HMACSHA512:
		return sha512.Size
	}
	return 0
}

// macMin is the shortest MAC that is accepted in octets (RFC 8945 section 5.2.2.1).
func (a Algorithm) macMin() int { return max(10, a.Size()/2) }

func (a Algorithm) new(secret []byte) hash.Hash {
	switch a {
	case HMACSHA256:
		return hmac.New(sha256.New, secret)
	case HMACSHA384:
		return hmac.New(sha512.New384, secret)
	case HMACSHA512:
		return hmac.New(sha512.New, secret)
	}
	panic("tsig: a key of " + a.String())
}

// SecretMin is the shortest secret that a key may have, in octets.
const SecretMin = 16

// Key is a secret that two servers share, under a name that both know it by. What prints or logs a Key sees no secret.
type Key struct {
	Name      dnsname.Name // canonical
	Algorithm Algorithm
	Secret    []byte // at least SecretMin octets
}

// String tells the name and the algorithm, and nothing of the secret.
func (k Key) String() string { return k.Name.String() + " (" + k.Algorithm.String() + ")" }

// Same reports whether two keys are one: both nil, or the same in name, algorithm and secret.
func (k *Key) Same(o *Key) bool {
	if k == nil || o == nil {
		return k == o
	}
	return k.Name == o.Name && k.Algorithm == o.Algorithm && bytes.Equal(k.Secret, o.Secret)
}

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }

// MarshalText is String, for JSON and for logs.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Room is how many octets the record of a signature by k has at most.
func (k *Key) Room() int {
	return len(k.Name) + recordFixed + len(k.Algorithm.Name()) + k.Algorithm.Size() + timeLen
}

// Keys are those that a server knows, by name.
type Keys struct{ byName map[dnsname.Name]*Key }

// NewKeys checks keys and keeps them.
func NewKeys(keys ...Key) (*Keys, error) {
	out := &Keys{byName: make(map[dnsname.Name]*Key, len(keys))}
	for _, k := range keys {
		k.Name = k.Name.Canonical()
		switch {
		case k.Name.IsZero():
			return nil, errors.New("a key has no name")
		case k.Algorithm.Size() == 0:
			return nil, fmt.Errorf("key %s: %w", k.Name, ErrAlgorithm)
		case len(k.Secret) < SecretMin:
			return nil, fmt.Errorf("key %s: its secret has %d octets; it needs %d, and %d are good", k.Name, len(k.Secret), SecretMin, k.Algorithm.Size())
		case out.byName[k.Name] != nil:
			return nil, fmt.Errorf("key %s is there twice", k.Name)
		}
		out.byName[k.Name] = &k
	}
	return out, nil
}

// Find is the key with a name in any letter case, nil without one. A nil Keys has none.
func (ks *Keys) Find(name dnsname.Name) *Key {
	if ks == nil {
		return nil
	}
	return ks.byName[name.Canonical()]
}
