package blocklist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"time"
)

// Fetch says from where the list of a feed is fetched, and how. The zero value fetches nothing: the feed lies at its Path.
type Fetch struct {
	// URL is of http or https. Keys in it (user, path, query) are shown nowhere: see ShownURL. Default: "". Example:
	// "https://lists.example/malware.hosts".
	URL string
	// Transfer takes a policy zone from other name servers in place of a URL. Default: none.
	Transfer Transfer
	// Interval is how long after one fetch the next begins, give or take a tenth. Default: 1h. Example: 10m.
	Interval time.Duration
	// Timeout bounds one fetch, from the look-up of the server's name to the last octet. Default: 5m. Example: 1m.
	Timeout time.Duration
	// AuthHeaderFile holds one line that is sent with each request, to the server of URL alone. It is read at each fetch. Default: "", none.
	// Example: "/etc/cenote/secrets/abuse-ch", which holds "Auth-Key: xyz".
	AuthHeaderFile string
	// CAFile holds the certificates, as PEM, that may vouch for the server in place of those of the system. Default: "". Example:
	// "/etc/cenote/lists-ca.pem".
	CAFile string
	// AllowPrivate are networks that a fetch may reach although they are not public. Default: none. Example: ["192.168.7.0/24"].
	AllowPrivate []netip.Prefix
	// TAXII has URL be that of a collection of TAXII 2.1, whose objects become a bundle of STIX. Default: false. Example: true.
	TAXII bool
	// MISP has URL be that of the directory of a MISP feed, whose events become one file. Default: false. Example: true.
	MISP bool
	// Resync is how long after a collection was read whole it is read whole again; in between only what is new is asked for. Default: 168h. Example: 24h.
	Resync time.Duration
	// MinisignKey is the public key of minisign with which each list must be signed, in URL with ".minisig" behind its path. Default: "", none need
	// be. Example: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".
	MinisignKey string
}

// Defaults of Fetch.
const (
	fetchIntervalDefault = time.Hour
	fetchTimeoutDefault  = 5 * time.Minute
	fetchResyncDefault   = 7 * 24 * time.Hour
)

// Check looks at all that can be known without asking the server. Its error names no key.
func (f *Fetch) Check() error {
	if f.Transfer.on() {
		return f.checkTransfer()
	}
	switch {
	case f.Interval < 0 || f.Timeout < 0 || f.Resync < 0:
		return errors.New("the interval, the timeout or the pause between full reads is below zero")
	case f.TAXII && f.MinisignKey != "":
		return errors.New("a collection of TAXII has no signature beside it")
	case f.MISP && (f.TAXII || f.MinisignKey != ""):
		return errors.New("the directory of a MISP feed is no collection of TAXII, and has no signature beside it")
	}
	if _, err := parseURL(f.URL); err != nil {
		return err
	}
	_, err := newDownload(f, Limits{}.orDefault())
	return err
}

// checkStatic is Check without a look at files, which may come later.
func (f *Fetch) checkStatic() error {
	plain := *f
	plain.AuthHeaderFile, plain.CAFile = "", ""
	return plain.Check()
}

// parseURL reads the address of a list. What is wrong is said without the text, which may hold a key.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("its url cannot be read")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("its url is neither of https nor of http")
	case u.Hostname() == "":
		return nil, errors.New("its url names no host")
	}
	return u, nil
}

// withDefaults has every field set that has a default.
func (f Fetch) withDefaults() Fetch {
	if f.Interval == 0 {
		f.Interval = fetchIntervalDefault
	}
	if f.Timeout == 0 {
		f.Timeout = fetchTimeoutDefault
	}
	if f.Resync == 0 {
		f.Resync = fetchResyncDefault
	}
	return f
}

// on reports whether anything is fetched.
func (f *Fetch) on() bool { return f.URL != "" || f.Transfer.on() }

// listName is the name of the file of the list.
func (f *Fetch) listName() string {
	switch {
	case f.TAXII:
		return "collection.stix"
	case f.MISP:
		return "events.json"
	case f.Transfer.on():
		return "zone.rpz"
	}
	return listName(f.URL)
}

func (f *Fetch) same(g *Fetch) bool { return reflect.DeepEqual(*f, *g) }

// fingerprint tells lists of one place, and under one key, from others.
func (f *Fetch) fingerprint() string {
	place := f.URL + "\n" + f.MinisignKey
	if f.TAXII {
		place += "\ntaxii"
	}
	if f.MISP {
		place += "\nmisp"
	}
	if f.Transfer.on() {
		place += "\nzone " + f.Transfer.Zone.Canonical().String()
	}
	sum := sha256.Sum256([]byte(place))
	return hex.EncodeToString(sum[:16])
}

// String shows no key.
func (f Fetch) String() string {
	if f.Transfer.on() {
		return f.Transfer.shown()
	}
	return ShownURL(f.URL)
}

// GoString shows no key either.
func (f Fetch) GoString() string { return fmt.Sprintf("blocklist.Fetch{%s}", f) }

// Located returns feeds as a Publisher with the state directory dir has them: one that is fetched has the path of the list that was fetched last.
func Located(dir string, feeds []Feed) []Feed {
	out := make([]Feed, len(feeds))
	for i, f := range feeds {
		if f.Fetch.on() {
			f.Fetch = f.Fetch.withDefaults()
			f.Path, f.Shown = layout{dir}.fetchedPath(f.Name, f.Fetch.listName()), f.Fetch.String()
			switch {
			case f.Fetch.TAXII:
				f.Format = "stix"
			case f.Fetch.MISP:
				f.Format = "misp"
			case f.Fetch.Transfer.on():
				f.Format, f.Zone = "rpz", f.Fetch.Transfer.Zone.Canonical().String()
			}
		}
		out[i] = f
	}
	return out
}
