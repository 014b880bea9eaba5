package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"time"

	"cenote/dnsname"
)

// SecretLen is how many octets the secret of a key has that signs: the number of ECDSA P-256 (RFC 6605 section 6.1), or the seed of Ed25519 (RFC 8080
// section 6).
const SecretLen = 32

// ErrSecret is a secret that is no key of its algorithm.
var ErrSecret = errors.New("the secret is no key of its algorithm")

// SigningKey is a key that signs, with its DNSKEY record. It never changes, and may be used by many at once.
type SigningKey struct {
	dnskey    []byte
	tag       uint16
	algorithm uint8
	ecdsa     *ecdsa.PrivateKey  // or
	ed25519   ed25519.PrivateKey // by the algorithm
}

// SigningSupported reports whether zones can be signed with an algorithm: those of RFC 8624 section 3.1 that are recommended for it, and nothing older.
func SigningSupported(algorithm uint8) bool { return algorithm == ECDSAP256 || algorithm == Ed25519 }

// NewSigningKey makes a key of a secret of SecretLen octets, which the caller has drawn at random or read. flags are those of the DNSKEY record. Of 2^32
// random secrets for ECDSA one is no key: then, and for what has another length, err wraps ErrSecret.
func NewSigningKey(algorithm uint8, flags uint16, secret []byte) (*SigningKey, error) {
	if len(secret) != SecretLen {
		return nil, fmt.Errorf("%w: it has %d octets, and must have %d", ErrSecret, len(secret), SecretLen)
	}
	s := &SigningKey{algorithm: algorithm, dnskey: []byte{byte(flags >> 8), byte(flags), 3, algorithm}}
	switch algorithm {
	case ECDSAP256:
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSecret, err)
		}
		public, err := private.PublicKey.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSecret, err)
		}
		s.ecdsa, s.dnskey = private, append(s.dnskey, public[1:]...) // without the octet that says that it is not compressed
	case Ed25519:
		s.ed25519 = ed25519.NewKeyFromSeed(secret)
		s.dnskey = append(s.dnskey, s.ed25519.Public().(ed25519.PublicKey)...)
	default:
		return nil, fmt.Errorf("%w: zones are not signed with algorithm %d", ErrSecret, algorithm)
	}
	s.tag = KeyTag(s.dnskey)
	return s, nil
}

// DNSKEY is the RDATA of the key's record. It must not be changed.
func (s *SigningKey) DNSKEY() []byte { return s.dnskey }

// Tag is the tag of the key.
func (s *SigningKey) Tag() uint16 { return s.tag }

// Algorithm is that of the key.
func (s *SigningKey) Algorithm() uint8 { return s.algorithm }

// Sign returns the RDATA of an RRSIG record for a set of the zone, valid from inception to expiration, in whole seconds. The same arguments always make the
// same signature (RFC 6979, RFC 8032), so that whoever signs again what has not changed makes no new record.
func (s *SigningKey) Sign(zone dnsname.Name, set *Set, inception, expiration time.Time) ([]byte, error) {
	head := make([]byte, 0, rrsigFixed+len(zone)+64)
	head = binary.BigEndian.AppendUint16(head, set.Type)
	head = append(head, s.algorithm, byte(signedLabels(dnsname.Name(set.Name))))
	head = binary.BigEndian.AppendUint32(head, set.TTL)
	head = binary.BigEndian.AppendUint32(head, uint32(expiration.Unix()))
	head = binary.BigEndian.AppendUint32(head, uint32(inception.Unix()))
	head = binary.BigEndian.AppendUint16(head, s.tag)
	head = append(head, zone...)
	data := appendCanonical(append([]byte(nil), head...), set.Name, set.Type, set.Class, set.TTL, canonicalSet(set.Type, set.RData))
	value, err := s.sign(data)
	if err != nil {
		return nil, fmt.Errorf("signing with key %d: %w", s.tag, err)
	}
	return append(head, value...), nil
}

func (s *SigningKey) sign(data []byte) ([]byte, error) {
	if s.ed25519 != nil {
		return ed25519.Sign(s.ed25519, data), nil
	}
	der, err := s.ecdsa.Sign(nil, digestOf(crypto.SHA256, data), crypto.SHA256) // without random octets it is RFC 6979
	if err != nil {
		return nil, err
	}
	return plainECDSA(der)
}

// plainECDSA turns a signature of P-256 from ASN.1, where numbers have as many octets as they need, into the form of RFC 6605 section 4: 32 octets each.
func plainECDSA(der []byte) ([]byte, error) {
	out := make([]byte, 64)
	rest := der
	if len(rest) < 2 || int(rest[1]) != len(rest)-2 {
		return nil, errors.New("the signature is malformed")
	}
	rest = rest[2:]
	for _, to := range [][]byte{out[:32], out[32:]} {
		if len(rest) < 2 || int(rest[1]) > len(rest)-2 {
			return nil, errors.New("the signature is malformed")
		}
		n := new(big.Int).SetBytes(rest[2 : 2+int(rest[1])])
		if n.BitLen() > 256 {
			return nil, errors.New("the signature is malformed")
		}
		n.FillBytes(to)
		rest = rest[2+int(rest[1]):]
	}
	return out, nil
}

// DS returns the RDATA of a DS or CDS record for a key, nil if the type of digest is not supported. name is canonical.
func DS(kind uint8, name dnsname.Name, dnskey []byte) []byte {
	digest := DSDigest(kind, []byte(name), dnskey)
	if digest == nil || len(dnskey) <= dnskeyFixed {
		return nil
	}
	head := binary.BigEndian.AppendUint16(nil, KeyTag(dnskey))
	return append(append(head, dnskey[3], kind), digest...)
}

// DeleteCDS is the RDATA of the CDS record that asks the parent to remove the DS records (RFC 8078 section 4).
func DeleteCDS() []byte { return []byte{0, 0, 0, 0, 0} }

// DeleteCDNSKEY is the RDATA of the CDNSKEY record that stands beside DeleteCDS.
func DeleteCDNSKEY() []byte { return []byte{0, 0, 3, 0, 0} }
