package zone

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
)

// Bounds of what is read of keys.
const (
	keyFileMax  = 1 << 16 // octets of a key's file, or of the state of a zone's signing
	keyTagTries = 64      // secrets that are drawn for a key whose tag no other has
)

// keyStore is the directory in which a zone's keys are: each in the two files that BIND has for a key, so that others can read them, and the state of signing
// in state.json. Nobody but the owner may read any of it.
type keyStore struct {
	dir  string
	apex dnsname.Name
}

// signingState is what a zone's signing must not forget.
type signingState struct {
	FileSerial uint32     `json:"file_serial"` // of the zone as it came
	Serial     uint32     `json:"serial"`      // of the signed zone
	Content    string     `json:"content"`     // the digest of all but the serial, in hexadecimal; "" while the zone is served without signatures
	Keys       []*zoneKey `json:"keys"`
}

// newKeyStore names the directory of a zone.
func newKeyStore(dir string, apex dnsname.Name) keyStore {
	return keyStore{filepath.Join(dir, fileName(apex)), apex}
}

// fileName is a zone's name as the name of a file: what could lead elsewhere is written in hexadecimal.
func fileName(apex dnsname.Name) string {
	if apex.IsRoot() {
		return "@"
	}
	var out strings.Builder
	for _, c := range []byte(apex.String()) {
		if c == '.' || c == '-' || c == '_' || c-'0' < 10 || c-'a' < 26 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02x", c)
		}
	}
	return out.String()
}

// load reads the state and the keys. Where there is none yet, the state is empty.
func (s keyStore) load() (*signingState, error) {
	text, err := readSmall(filepath.Join(s.dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return &signingState{}, nil
	}
	state := &signingState{}
	if err == nil {
		state, err = parseState(text)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state of signing: %w; restore it from a copy, or move %s away and have the parent's DS records changed to those of the new keys", err, s.dir)
	}
	for _, k := range state.Keys {
		if err := s.loadKey(k); err != nil {
			return nil, err
		}
	}
	return state, nil
}

// parseState reads the state of signing, without the secrets of its keys.
func parseState(text []byte) (*signingState, error) {
	state := &signingState{}
	if err := json.Unmarshal(text, state); err != nil {
		return nil, err
	}
	for i, k := range state.Keys {
		switch {
		case k == nil:
			return nil, fmt.Errorf("key %d is none", i+1)
		case k.Role != RoleCSK && k.Role != RoleKSK && k.Role != RoleZSK:
			return nil, fmt.Errorf("key %d has the role %.20q; it can be csk, ksk or zsk", i+1, k.Role)
		}
	}
	return state, nil
}

// loadKey reads the secret of a key.
func (s keyStore) loadKey(k *zoneKey) error {
	if k.File != filepath.Base(k.File) {
		return fmt.Errorf("the state of signing in %s names a key outside of it", s.dir)
	}
	path := filepath.Join(s.dir, k.File+".private")
	text, err := readSmall(path)
	if err != nil {
		return fmt.Errorf("reading a key: %w; restore it from a copy", err)
	}
	if err := k.take(text); err != nil {
		return fmt.Errorf("reading the key %s: %w", path, err)
	}
	return nil
}

// take takes the secret from the text of a key's file.
func (k *zoneKey) take(text []byte) error {
	algorithm, secret, err := parsePrivate(text)
	if err != nil {
		return err
	}
	signer, err := dnssec.NewSigningKey(algorithm, k.Role.flags(), secret)
	switch {
	case err != nil:
		return err
	case signer.Tag() != k.Tag || algorithm != k.Algorithm:
		return fmt.Errorf("it is key %d of algorithm %d; the state of signing says %d and %d", signer.Tag(), algorithm, k.Tag, k.Algorithm)
	}
	k.signer = signer
	return nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, keyFileMax+1))
	if err == nil && len(text) > keyFileMax {
		err = fmt.Errorf("%s: larger than %d octets", path, keyFileMax)
	}
	return text, err
}

// parsePrivate reads BIND's format of private keys, of which the algorithm and the secret count here.
func parsePrivate(text []byte) (algorithm uint8, secret []byte, err error) {
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Private-key-format":
			if !strings.HasPrefix(value, "v1.") {
				return 0, nil, fmt.Errorf("the format is %.20q; it can be v1.3", value)
			}
		case "Algorithm":
			number, _, _ := strings.Cut(value, " ")
			n, err := strconv.ParseUint(number, 10, 8)
			if err != nil {
				return 0, nil, fmt.Errorf("the algorithm is no number")
			}
			algorithm = uint8(n)
		case "PrivateKey":
			if secret, err = base64.StdEncoding.DecodeString(value); err != nil {
				return 0, nil, errors.New("the secret is not in base64")
			}
		}
	}
	return algorithm, secret, nil
}

// generate makes a key whose tag is none of those taken, and writes its files.
func (s keyStore) generate(role Role, algorithm uint8, taken []*zoneKey, now time.Time) (*zoneKey, error) {
	for range keyTagTries {
		var secret [dnssec.SecretLen]byte
		rand.Read(secret[:])
		signer, err := dnssec.NewSigningKey(algorithm, role.flags(), secret[:])
		if err != nil || slices.ContainsFunc(taken, func(k *zoneKey) bool { return k.Tag == signer.Tag() }) {
			continue
		}
		k := &zoneKey{Role: role, Algorithm: algorithm, Tag: signer.Tag(), signer: signer,
			File: fmt.Sprintf("K%s.+%03d+%05d", strings.TrimSuffix(fileName(s.apex), "@"), algorithm, signer.Tag())}
		return k, s.writeKey(k, secret[:], now)
	}
	return nil, fmt.Errorf("no key of algorithm %d could be made", algorithm)
}

// writeKey writes the two files of a key.
func (s keyStore) writeKey(k *zoneKey, secret []byte, now time.Time) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	private := fmt.Sprintf("Private-key-format: v1.3\nAlgorithm: %d (%s)\nPrivateKey: %s\nCreated: %s\n",
		k.Algorithm, signingName(k.Algorithm), base64.StdEncoding.EncodeToString(secret), now.UTC().Format("20060102150405"))
	if err := writeWhole(filepath.Join(s.dir, k.File+".private"), []byte(private)); err != nil {
		return err
	}
	dnskey := k.signer.DNSKEY()
	public := fmt.Sprintf("; %s of %s, key %d\n%s %d IN DNSKEY %d 3 %d %s\n", strings.ToUpper(string(k.Role)), s.apex, k.Tag,
		textOf(s.apex), keyTTL, k.Role.flags(), k.Algorithm, base64.StdEncoding.EncodeToString(dnskey[4:]))
	return writeWhole(filepath.Join(s.dir, k.File+".key"), []byte(public))
}

// save keeps the state, and removes the files of keys that are forgotten.
func (s keyStore) save(state *signingState) error {
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := writeWhole(filepath.Join(s.dir, "state.json"), append(text, '\n')); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		name, isKey := strings.CutSuffix(e.Name(), ".private")
		if !isKey {
			name, isKey = strings.CutSuffix(e.Name(), ".key")
		}
		if isKey && !slices.ContainsFunc(state.Keys, func(k *zoneKey) bool { return k.File == name }) {
			os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
	return err
}

// leave notes in the state, if there is one, that the zone is served without signatures.
func (s keyStore) leave() error {
	text, err := readSmall(filepath.Join(s.dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	state, err := parseState(text)
	if err != nil || state.Content == "" {
		return err
	}
	state.Content = ""
	return s.save(state)
}

// writeWhole writes a file that only its owner may read, so that there is the old one or the new one at any time.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// KeyStatus is how a key stands, for people.
type KeyStatus struct {
	Role      Role      `json:"role"`
	Tag       uint16    `json:"tag"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	File      string    `json:"file"`             // without .key and .private
	DNSKEY    string    `json:"dnskey"`           // the record
	DS        string    `json:"ds,omitempty"`     // the record for the zone above
	Wanted    bool      `json:"ds_wanted"`        // the zone above should have it now
	Created   time.Time `json:"created"`          //
	Publish   time.Time `json:"publish"`          // among the zone's keys from then on
	Activate  time.Time `json:"activate"`         // signs from then on
	Submit    time.Time `json:"submit,omitzero"`  // its DS record is wanted from then on
	Seen      time.Time `json:"ds_seen,omitzero"` // and was first seen
	Retire    time.Time `json:"retire,omitzero"`  // the successor takes over
	Gone      time.Time `json:"ds_gone,omitzero"` // the DS record was seen to be gone
	Remove    time.Time `json:"remove,omitzero"`  // no more among the zone's keys
}

// status tells of a key.
func (s keyStore) status(k *zoneKey, now time.Time) KeyStatus {
	dnskey := k.signer.DNSKEY()
	out := KeyStatus{Role: k.Role, Tag: k.Tag, Algorithm: signingName(k.Algorithm), State: k.state(now), File: filepath.Join(s.dir, k.File),
		DNSKEY: fmt.Sprintf("%s %d IN DNSKEY %d 3 %d %s", textOf(s.apex), keyTTL, k.Role.flags(), k.Algorithm, base64.StdEncoding.EncodeToString(dnskey[4:])),
		Wanted: k.submitted(now), Created: k.Created, Publish: k.Publish, Activate: k.Activate, Submit: k.Submit, Seen: k.Seen, Retire: k.Retire, Gone: k.Gone, Remove: k.Remove}
	if k.Role.signsKeys() {
		ds := dnssec.DS(dnssec.DigestSHA256, s.apex, dnskey)
		out.DS = fmt.Sprintf("%s IN DS %d %d %d %s", textOf(s.apex), k.Tag, k.Algorithm, ds[3], strings.ToUpper(hex.EncodeToString(ds[4:])))
	}
	return out
}
