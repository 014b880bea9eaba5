package blocklist

import (
	"errors"
	"io"
	"strings"

	"aead.dev/minisign"
)

// listKey is the public key with which lists are signed (minisign, https://jedisct1.github.io/minisign).
type listKey struct{ minisign.PublicKey }

// Bounds of signatures.
const (
	signatureMax  = 16 << 10 // octets of a signature with its comments
	legacyListMax = 16 << 20 // octets of a list whose signature is not of its hash: such a list is verified in memory
)

var (
	errMinisignKey = errors.New("its minisign_key is not a public key of minisign, which begins with RW and has 56 characters")
	errSignature   = errors.New("the signature beside the list is not one of minisign")
	errWrongKey    = errors.New("the list is signed with another key than minisign_key")
	errForged      = errors.New("the list is not what was signed")
	errLegacyList  = errors.New("the list is too large for a signature that is not of its hash; ask the publisher to sign with `minisign -SH`")
)

// parseListKey reads a key; "" is none.
func parseListKey(text string) (*listKey, error) {
	if text == "" {
		return nil, nil
	}
	var k listKey
	if err := k.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
		return nil, errMinisignKey
	}
	return &k, nil
}

// verify reports what is wrong with a list of size octets and its signature, or nil.
func (k *listKey) verify(list io.Reader, size int64, signature []byte) error {
	var s minisign.Signature
	switch err := s.UnmarshalText(signature); {
	case err != nil:
		return errSignature
	case s.KeyID != k.ID():
		return errWrongKey
	case s.Algorithm == minisign.HashEdDSA:
		return k.verifyHashed(list, signature)
	case size > legacyListMax:
		return errLegacyList
	}
	body, err := io.ReadAll(list)
	if err != nil {
		return err
	}
	return forgedUnless(minisign.Verify(k.PublicKey, body, signature))
}

func (k *listKey) verifyHashed(list io.Reader, signature []byte) error {
	hashing := minisign.NewReader(list)
	if _, err := io.Copy(io.Discard, hashing); err != nil {
		return err
	}
	return forgedUnless(hashing.Verify(k.PublicKey, signature))
}

func forgedUnless(good bool) error {
	if !good {
		return errForged
	}
	return nil
}
