package dnssec

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// keyDigest is an element of IANA's file of trust anchors (RFC 9718 section 2.1). Older files have no PublicKey and Flags.
type keyDigest struct {
	From      string `xml:"validFrom,attr"`
	Until     string `xml:"validUntil,attr"`
	KeyTag    string
	Algorithm string
	Type      string `xml:"DigestType"`
	Digest    string
	PublicKey string
	Flags     string
}

// readAnchorXML reads IANA's file of trust anchors.
func readAnchorXML(file string, text []byte) (records []AnchorRecord, faults []error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	var zone []byte
	for len(faults) < anchorFaultsMax {
		token, err := d.Token()
		line, _ := d.InputPos()
		if errors.Is(err, io.EOF) {
			return records, faults
		}
		start, _ := token.(xml.StartElement)
		var rec AnchorRecord
		switch {
		case err != nil:
			return nil, append(faults, fmt.Errorf("%s:%d: %w", file, line, err))
		case start.Name.Local == "Zone":
			zone, err = zoneElement(d, &start)
		case start.Name.Local == "KeyDigest":
			if rec, err = digestElement(d, &start, zone); err == nil {
				rec.Line = line
				records = append(records, rec)
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", file, line, err))
		}
	}
	return nil, faults
}

func zoneElement(d *xml.Decoder, start *xml.StartElement) ([]byte, error) {
	var text string
	if err := d.DecodeElement(&text, start); err != nil {
		return nil, err
	}
	name, err := dnsname.Parse(strings.TrimSpace(text))
	return []byte(name.Canonical()), err
}

func digestElement(d *xml.Decoder, start *xml.StartElement, zone []byte) (AnchorRecord, error) {
	var k keyDigest
	if err := d.DecodeElement(&k, start); err != nil {
		return AnchorRecord{}, err
	}
	if len(zone) == 0 {
		return AnchorRecord{}, errors.New("there is no Zone before the KeyDigest")
	}
	return k.record(zone)
}

// record makes a DS record of the element, whose key, if it has one, must be the one that the digest stands for.
func (k *keyDigest) record(zone []byte) (rec AnchorRecord, err error) {
	trim := strings.TrimSpace
	rec = AnchorRecord{Zone: zone, Type: wire.TypeDS}
	if rec.RData, err = readDS(append([]string{trim(k.KeyTag), trim(k.Algorithm), trim(k.Type)}, strings.Fields(k.Digest)...)); err != nil {
		return rec, err
	}
	if rec.From, err = xmlTime(k.From); err != nil {
		return rec, err
	}
	if rec.Until, err = xmlTime(k.Until); err != nil {
		return rec, err
	}
	return rec, k.matches(zone, rec.RData)
}

func xmlTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, s)
}

// matches checks the key of the element against its digest.
func (k *keyDigest) matches(zone, ds []byte) error {
	if strings.TrimSpace(k.PublicKey) == "" {
		return nil
	}
	rdata, err := readKey(append([]string{strings.TrimSpace(k.Flags), "3", strconv.Itoa(int(ds[2]))}, strings.Fields(k.PublicKey)...))
	if err != nil {
		return err
	}
	if digest := DSDigest(ds[3], zone, rdata); digest != nil && !bytes.Equal(digest, ds[dsFixed:]) {
		return errors.New("the digest is not that of the public key")
	}
	return nil
}
