package config

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"cenote/dnsname"
)

// SharedKey is a secret shared with another name server, by which the two sign what they send each other (TSIG, RFC 8945).
type SharedKey struct {
	// Name is what both servers call the key.
	Name dnsname.Name `yaml:"name" required:"true" example:"transfer.corp.example"`
	// Algorithm is how it signs, the same on both.
	Algorithm KeyAlgorithm `yaml:"algorithm" default:"hmac-sha256"`
	// SecretFile is the file that holds the secret in base64, as `tsig-keygen` and `keymgr -t` print it, in one line. It is read again at a reload. Whoever can
	// read it can sign.
	SecretFile Path `yaml:"secret_file" required:"true" example:"/etc/cenote/transfer.key"`
}

// secretMin is the fewest octets that the secret of a key may have.
const secretMin = 16

// Secret reads the secret of SecretFile.
func (k SharedKey) Secret() ([]byte, error) {
	text, err := readSecret(k.SecretFile)
	if err != nil {
		return nil, err
	}
	var found []byte
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(line)
		switch {
		case err != nil && strings.HasPrefix(line, "key "):
			return nil, fmt.Errorf("%s:%d: this is the whole key, as tsig-keygen writes it; the file holds its secret alone, the text in quotes behind `secret`", k.SecretFile, i+1)
		case err != nil:
			return nil, fmt.Errorf("%s:%d: the secret is not base64", k.SecretFile, i+1)
		case found != nil:
			return nil, fmt.Errorf("%s:%d: a second secret; a key has one", k.SecretFile, i+1)
		case len(secret) < secretMin:
			return nil, fmt.Errorf("%s:%d: the secret has %d octets; %d are the fewest", k.SecretFile, i+1, len(secret), secretMin)
		}
		found = secret
	}
	if found == nil {
		return nil, fmt.Errorf("%s holds no secret", k.SecretFile)
	}
	return found, nil
}

// checkKeyNames wants names to be those of keys.
func (c *Config) checkKeyNames(r *reader, at string, names []dnsname.Name) {
	for i, name := range names {
		c.checkKeyName(r, fmt.Sprintf("%s[%d]", at, i), name)
	}
}

// checkKeyName wants a key that is named to be there; none need be named.
func (c *Config) checkKeyName(r *reader, at string, name dnsname.Name) {
	if !slices.ContainsFunc(c.Keys, func(k SharedKey) bool { return k.Name.Canonical() == name.Canonical() }) && !name.IsZero() {
		r.fault(r.at(at), "no key is named "+quoted(name.String()), "describe it under keys, with its algorithm and secret_file")
	}
}

// checkKeys wants keys to have names of their own.
func (c *Config) checkKeys(r *reader) {
	names := map[dnsname.Name]int{}
	for i, k := range c.Keys {
		name := k.Name.Canonical()
		first, twice := names[name]
		if twice && !name.IsZero() {
			r.fault(r.at(fmt.Sprintf("keys[%d].name", i)), "two keys are named "+quoted(k.Name.String()), fmt.Sprintf("the other is on line %d", r.at(fmt.Sprintf("keys[%d].name", first)).Line))
			continue
		}
		names[name] = i
	}
}
