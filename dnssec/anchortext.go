package dnssec

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"
)

const anchorHead = `; Trust anchors of the zone below, which follow its roll-overs (RFC 5011). The server writes this file, and reads it when it
; starts; stop it before you change something here. To begin anew from the configured trust anchors, remove the file.
`

const anchorColumns = `; key STATE SINCE LAST-SEEN FLAGS PROTOCOL ALGORITHM KEY
`

// MarshalText writes the anchors in a form that an operator can read: a line a key, with comments behind semicolons. It keeps whole seconds.
func (a *Anchors) MarshalText() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(anchorHead)
	fmt.Fprintf(&b, "zone %s\n", absolute(dnsname.Name(a.Zone)))
	fmt.Fprintf(&b, "next %s ; when the zone is asked again\n", formatTime(a.Next))
	fmt.Fprintf(&b, "retry %s ; pause after a failure\n", a.retry.Truncate(time.Second))
	for _, ds := range a.DS {
		if len(ds) > dsFixed {
			fmt.Fprintf(&b, "ds %d %d %d %X\n", uint16(ds[0])<<8|uint16(ds[1]), ds[2], ds[3], ds[dsFixed:])
		}
	}
	b.WriteString(anchorColumns)
	for i := range a.Keys {
		k := &a.Keys[i]
		fmt.Fprintf(&b, "key %s %s %s %s ; key tag %d%s\n", k.State, formatTime(k.Since), formatTime(k.Seen), presentKey(k.Key), k.Tag(), k.remark())
	}
	return b.Bytes(), nil
}

// remark says what an operator may want to know of the state.
func (k *Anchor) remark() string {
	switch k.State {
	case AnchorAddPend:
		return ", trusted from " + formatTime(k.Since.Add(AddHoldDown)) + " on if the zone shows it until then"
	case AnchorRevoked, AnchorRemoved:
		return ", never trusted again"
	case AnchorStart, AnchorValid, AnchorMissing:
	}
	return ""
}

func absolute(n dnsname.Name) string {
	if n.IsRoot() {
		return "."
	}
	return n.String() + "."
}

// presentKey is DNSKEY RDATA in presentation form.
func presentKey(k []byte) string {
	return fmt.Sprintf("%d %d %d %s", uint16(k[0])<<8|uint16(k[1]), k[2], k[3], base64.StdEncoding.EncodeToString(k[dnskeyFixed:]))
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func readTime(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if year := t.UTC().Year(); err == nil && (year < 1970 || year > 9000) {
		err = fmt.Errorf("time %s is out of range", s)
	}
	return t, err
}

// UnmarshalText reads what MarshalText writes. An error names the line, and changes nothing.
func (a *Anchors) UnmarshalText(text []byte) error {
	if len(text) > anchorTextMax {
		return fmt.Errorf("text has more than %d octets", anchorTextMax)
	}
	var out Anchors
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, ";")
		if fields := strings.Fields(line); len(fields) > 0 {
			if err := out.readLine(fields[0], fields[1:]); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
		}
	}
	if out.Zone == nil {
		return errors.New("there is no line that begins with zone")
	}
	*a = out
	return nil
}

func (a *Anchors) readLine(word string, rest []string) (err error) {
	switch {
	case word == "zone" && len(rest) == 1 && a.Zone == nil:
		name, err := dnsname.Parse(rest[0])
		a.Zone = []byte(name.Canonical())
		return err
	case word == "next" && len(rest) == 1:
		a.Next, err = readTime(rest[0])
	case word == "retry" && len(rest) == 1:
		if a.retry, err = time.ParseDuration(rest[0]); err == nil && (a.retry < 0 || a.retry > RetryMax) {
			err = fmt.Errorf("pause %s is not between 0 and %s", rest[0], RetryMax)
		}
	case word == "ds" && len(a.DS) < AnchorsMax:
		var ds []byte
		if ds, err = readDS(rest); err == nil {
			a.DS = append(a.DS, ds)
		}
	case word == "key" && len(rest) > 3 && len(a.Keys) < AnchorsMax+RemovedMax:
		return a.readKey(rest)
	default:
		err = fmt.Errorf("%q is no line of this file, or one too many", word)
	}
	return err
}

func (a *Anchors) readKey(fields []string) (err error) {
	var k Anchor
	for k.State = AnchorAddPend; k.State.String() != fields[0]; k.State++ {
		if k.State == AnchorRemoved {
			return fmt.Errorf("unknown state %q", fields[0])
		}
	}
	if k.Since, err = readTime(fields[1]); err != nil {
		return err
	}
	if k.Seen, err = readTime(fields[2]); err != nil {
		return err
	}
	if k.Key, err = readKey(fields[3:]); err != nil {
		return err
	}
	if k.Key[1]&FlagRevoke != 0 {
		return errors.New("the key has the flag that revokes it; the state says so here")
	}
	if a.find(k.Key) != nil {
		return errors.New("the key is there twice")
	}
	a.Keys = append(a.Keys, k)
	return nil
}

// readNumbers reads decimal fields of so many bits each.
func readNumbers(fields []string, bits ...int) ([]uint64, error) {
	if len(fields) <= len(bits) {
		return nil, errors.New("fields are missing")
	}
	out := make([]uint64, len(bits))
	for i, b := range bits {
		n, err := strconv.ParseUint(fields[i], 10, b)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of %d bits", fields[i], b)
		}
		out[i] = n
	}
	return out, nil
}

// readDS reads the RDATA of a DS record in presentation form (RFC 4034 section 5.3). A digest of a known type must have its length.
func readDS(fields []string) ([]byte, error) {
	n, err := readNumbers(fields, 16, 8, 8)
	if err != nil {
		return nil, err
	}
	digest, err := hex.DecodeString(strings.Join(fields[3:], ""))
	if err != nil {
		return nil, errors.New("the digest is not hexadecimal")
	}
	if want := DSDigest(uint8(n[2]), []byte{0}, nil); len(digest) == 0 || want != nil && len(want) != len(digest) {
		return nil, fmt.Errorf("a digest of type %d does not have %d octets", n[2], len(digest))
	}
	return append([]byte{byte(n[0] >> 8), byte(n[0]), byte(n[1]), byte(n[2])}, digest...), nil
}

// readKey reads the RDATA of a DNSKEY record in presentation form (RFC 4034 section 2.2), which must be one that may be trusted.
func readKey(fields []string) ([]byte, error) {
	n, err := readNumbers(fields, 16, 8, 8)
	if err != nil {
		return nil, err
	}
	public, err := base64.StdEncoding.Strict().DecodeString(strings.Join(fields[3:], ""))
	if err != nil || len(public) == 0 {
		return nil, errors.New("the key is not base64")
	}
	rdata := append([]byte{byte(n[0] >> 8), byte(n[0]), byte(n[1]), byte(n[2])}, public...)
	switch {
	case n[0]&FlagZone == 0:
		return nil, errors.New("the key is not a zone key: its flags lack 256")
	case n[1] != 3:
		return nil, errors.New("the protocol of the key is not 3")
	}
	if _, f := parsePublic(uint8(n[2]), public); f == malformed {
		return nil, fmt.Errorf("this is no key of algorithm %d", n[2])
	}
	return rdata, nil
}
