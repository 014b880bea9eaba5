package dnssec

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"math/big"

	"github.com/cloudflare/circl/sign/ed448"
)

// Algorithms that are verified (RFC 8624 section 3.1). A zone that has others alone is insecure.
const (
	RSASHA256 = 8
	RSASHA512 = 10
	ECDSAP256 = 13
	ECDSAP384 = 14
	Ed25519   = 15
	Ed448     = 16
)

// Flags of a DNSKEY record.
const (
	FlagZone   = 1 << 8 // RFC 4034 section 2.1.1
	FlagRevoke = 1 << 7 // RFC 5011 section 2.1
	FlagSEP    = 1      // RFC 4034 section 2.1.1
)

// AlgorithmSupported reports whether signatures of an algorithm can be verified.
func AlgorithmSupported(algorithm uint8) bool {
	switch algorithm {
	case RSASHA256, RSASHA512, ECDSAP256, ECDSAP384, Ed25519, Ed448:
		return true
	}
	return false
}

// KeyTag returns the tag of a DNSKEY record (RFC 4034 appendix B).
func KeyTag(rdata []byte) uint16 {
	if len(rdata) > 6 && rdata[3] == 1 { // RSA/MD5, appendix B.1
		return binary.BigEndian.Uint16(rdata[len(rdata)-3:])
	}
	var sum uint32
	for i, b := range rdata {
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16)
}

// fitness is what a key is good for.
type fitness uint8

const (
	fit           fitness = iota
	noZoneKey             // the zone flag is missing
	revoked               // RFC 5011
	otherProtocol         // not 3
	unsupported           // an algorithm, size or exponent that is not verified here
	malformed             // no key of its algorithm
)

// a key is a DNSKEY record.
type key struct {
	rdata     []byte
	flags     uint16
	algorithm uint8
	tag       uint16
	fitness   fitness
	public    any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or ed448.PublicKey, if fit
}

const dnskeyFixed = 4 // octets of DNSKEY RDATA before the key

// parseKey reads DNSKEY RDATA; false if it is too short to be one.
func parseKey(rdata []byte) (key, bool) {
	if len(rdata) <= dnskeyFixed {
		return key{}, false
	}
	k := key{rdata: bytes.Clone(rdata), flags: binary.BigEndian.Uint16(rdata), algorithm: rdata[3], tag: KeyTag(rdata)}
	switch {
	case k.flags&FlagZone == 0:
		k.fitness = noZoneKey
	case rdata[2] != 3:
		k.fitness = otherProtocol
	case k.flags&FlagRevoke != 0:
		k.fitness = revoked
	default:
		k.public, k.fitness = parsePublic(k.algorithm, k.rdata[dnskeyFixed:])
	}
	return k, true
}

// parseKeys reads the DNSKEY records of a set, at most KeysMax of them.
func parseKeys(rdata [][]byte) []key {
	var keys []key
	for _, r := range rdata {
		if len(keys) == KeysMax {
			break
		}
		if k, ok := parseKey(r); ok {
			keys = append(keys, k)
		}
	}
	return keys
}

func parsePublic(algorithm uint8, b []byte) (any, fitness) {
	switch algorithm {
	case RSASHA256, RSASHA512:
		return parseRSA(b)
	case ECDSAP256:
		return parseECDSA(elliptic.P256(), b)
	case ECDSAP384:
		return parseECDSA(elliptic.P384(), b)
	case Ed25519:
		if len(b) == ed25519.PublicKeySize {
			return ed25519.PublicKey(b), fit
		}
	case Ed448:
		if len(b) == ed448.PublicKeySize {
			return ed448.PublicKey(b), fit
		}
	default:
		return nil, unsupported
	}
	return nil, malformed
}

// parseRSA reads a key by RFC 3110 section 2. Sizes that crypto/rsa refuses, or that cost too much, are unsupported: whoever signed with such
// a key did nothing wrong.
func parseRSA(b []byte) (any, fitness) {
	n := int(b[0])
	b = b[1:]
	if n == 0 && len(b) >= 2 {
		n = int(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if n == 0 || n >= len(b) {
		return nil, malformed
	}
	exponent, modulus := bytes.TrimLeft(b[:n], "\x00"), bytes.TrimLeft(b[n:], "\x00")
	if len(exponent) > 4 || len(modulus) > RSABitsMax/8 {
		return nil, unsupported
	}
	var e uint64
	for _, c := range exponent {
		e = e<<8 | uint64(c)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e)}
	switch bits := key.N.BitLen(); {
	case e > RSAExponentMax || bits < RSABitsMin || bits > RSABitsMax:
		return nil, unsupported
	case e < 3 || e&1 == 0 || key.N.Bit(0) == 0:
		return nil, malformed
	}
	return key, fit
}

// parseECDSA reads a key by RFC 6605 section 4.
func parseECDSA(curve elliptic.Curve, b []byte) (any, fitness) {
	key, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, b...))
	if err != nil {
		return nil, malformed
	}
	return key, fit
}
