package zone

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// Pin is the SHA-256 of a server's public key as its certificate has it (SubjectPublicKeyInfo; RFC 7858 section 4.2).
type Pin [sha256.Size]byte

// ErrPin is that a server's key is none of those that are pinned.
var ErrPin = errors.New("its key is not pinned")

// ParsePin reads a pin in base64.
func ParsePin(text string) (p Pin, err error) {
	octets, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(octets) != len(p) {
		return p, fmt.Errorf("%.50q is not the base64 of a SHA-256", text)
	}
	return Pin(octets), nil
}

// String is the pin in base64.
func (p Pin) String() string { return base64.StdEncoding.EncodeToString(p[:]) }

// pinned makes a TLS configuration that wants the key of the server's certificate to be one of some. If it names no server, that is all that it wants: not
// who vouches for the certificate, nor for which name and until when.
func pinned(c *tls.Config, pins []Pin) *tls.Config {
	c = c.Clone()
	c.InsecureSkipVerify = c.ServerName == "" // the key is looked at below, and nothing but the key
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fmt.Errorf("%w: it has no certificate", ErrPin)
		}
		has := Pin(sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo))
		if !slices.Contains(pins, has) {
			return fmt.Errorf("%w: %s", ErrPin, has)
		}
		return nil
	}
	return c
}
