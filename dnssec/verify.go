package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"

	"github.com/cloudflare/circl/sign/ed448"
)

// message is what was signed, and its digest once one was needed.
type message struct {
	data   []byte
	digest []byte
}

// verify reports whether value is the signature of a message by a key that is fit.
func verify(k *key, m *message, value []byte) bool {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		hash, digest := m.hash(k.algorithm)
		return rsa.VerifyPKCS1v15(public, hash, digest, value) == nil
	case *ecdsa.PublicKey:
		_, digest := m.hash(k.algorithm)
		return verifyECDSA(public, digest, value)
	case ed25519.PublicKey:
		return ed25519.Verify(public, m.data, value)
	case ed448.PublicKey:
		return ed448.Verify(public, m.data, value, "")
	}
	return false
}

// verifyECDSA reads the two numbers of a signature, each as long as the curve's order (RFC 6605 section 4).
func verifyECDSA(public *ecdsa.PublicKey, digest, value []byte) bool {
	n := (public.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*n {
		return false
	}
	return ecdsa.Verify(public, digest, new(big.Int).SetBytes(value[:n]), new(big.Int).SetBytes(value[n:]))
}

// hash returns the digest that an algorithm signs. All keys that one signature is tried with have its algorithm.
func (m *message) hash(algorithm uint8) (crypto.Hash, []byte) {
	kind := crypto.SHA256
	switch algorithm {
	case RSASHA512:
		kind = crypto.SHA512
	case ECDSAP384:
		kind = crypto.SHA384
	}
	if m.digest == nil {
		m.digest = digestOf(kind, m.data)
	}
	return kind, m.digest
}

func digestOf(kind crypto.Hash, data []byte) []byte {
	switch kind {
	case crypto.SHA384:
		sum := sha512.Sum384(data)
		return sum[:]
	case crypto.SHA512:
		sum := sha512.Sum512(data)
		return sum[:]
	}
	sum := sha256.Sum256(data)
	return sum[:]
}
