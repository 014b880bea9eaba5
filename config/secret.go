package config

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// secretFileMax is how much of a file with a secret is read, in octets.
const secretFileMax = 4096

// Read returns the secrets of SecretFile, none without one.
func (c Cookies) Read() ([][16]byte, error) {
	text, err := readSecret(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("cookies.secret_file: %w", err)
	}
	var secrets [][16]byte
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var secret [16]byte
		if n, err := hex.Decode(secret[:], []byte(line[:min(len(line), 32)])); err != nil || n != 16 || len(line) != 32 {
			return nil, fmt.Errorf("cookies.secret_file: %s:%d: a secret is 32 hexadecimal digits", c.SecretFile, i+1)
		}
		secrets = append(secrets, secret)
	}
	if c.SecretFile != "" && len(secrets) == 0 {
		return nil, fmt.Errorf("cookies.secret_file: %s holds no secret; a secret is 32 hexadecimal digits", c.SecretFile)
	}
	return secrets, nil
}

// tokenMin is how many characters a token has at least, so that it cannot be guessed.
const tokenMin = 16

// Token returns the bearer token of TokenFile, "" without one.
func (a API) Token() (string, error) {
	text, err := readSecret(a.TokenFile)
	if err != nil {
		return "", fmt.Errorf("api.token_file: %w", err)
	}
	token := strings.TrimSpace(text)
	if a.TokenFile != "" && (len(token) < tokenMin || strings.ContainsAny(token, " \t\r\n")) {
		return "", fmt.Errorf("api.token_file: %s does not hold one word of at least %d characters", a.TokenFile, tokenMin)
	}
	return token, nil
}

// readSecret is the text of a small file, "" without a path.
func readSecret(path Path) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(string(path))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, secretFileMax))
	return string(b), err
}
