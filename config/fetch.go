package config

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path"
	"reflect"
	"strings"
	"syscall"
)

// checkFetch looks at how feeds are fetched.
func (c *Config) checkFetch(r *reader) {
	for i := range c.Feeds {
		f, key := &c.Feeds[i], fmt.Sprintf("feeds[%d]", i)
		c.checkTransferred(r, f, key)
		if f.URL == "" {
			checkNotFetched(r, f, key)
			continue
		}
		checkTransport(r, f, key)
		checkCollection(r, f, key)
		checkMISPFeed(r, f, key)
		if f.MinisignKey != "" && !isMinisignKey(f.MinisignKey) {
			r.fault(r.at(key+".minisign_key"), "not a public key of minisign", "it is the second line of the publisher's .pub file: 56 characters that begin with RW")
		}
		for j, p := range f.AllowPrivate {
			if p.Bits() == 0 {
				r.warn(r.at(fmt.Sprintf("%s.allow_private[%d]", key, j)), p.String()+" lets the server of the list lead this one to every address", "name the network of the server")
			}
		}
		for _, other := range c.Feeds[:i] {
			if f.URL == other.URL {
				r.warn(r.at(key+".url"), fmt.Sprintf("the feeds %s and %s fetch the same URL", quoted(other.Name), quoted(f.Name)), "one feed can be held by several zones")
			}
		}
	}
}

// checkNotFetched finds keys that say how to fetch what is not fetched.
func checkNotFetched(r *reader, f *Feed, key string) {
	usual := reflect.New(reflect.TypeFor[Feed]()).Elem()
	setDefaults(usual)
	given := reflect.ValueOf(*f)
	for _, k := range fields(given.Type()) {
		if k.key == "timeout" && len(f.Primaries) > 0 {
			continue
		}
		if k.owner == reflect.TypeFor[Fetching]() && !reflect.DeepEqual(given.FieldByIndex(k.index).Interface(), usual.FieldByIndex(k.index).Interface()) && !r.lost(key+".url") {
			r.fault(r.at(key+"."+k.key), "the feed has no url, so nothing is fetched", "remove the key, or write url in place of path")
		}
	}
}

// checkTransferred looks at a policy zone that is taken from primaries.
func (c *Config) checkTransferred(r *reader, f *Feed, key string) {
	if _, written := r.places[key+".primaries"]; written && len(f.Primaries) == 0 && !r.lost(key+".primaries") {
		r.fault(r.at(key+".primaries"), "the list is empty, so the zone comes from nowhere", "such as primaries: [192.0.2.54]")
	}
	if len(f.Primaries) == 0 {
		if len(f.NotifyFrom) > 0 && !r.lost(key+".primaries") {
			r.fault(r.at(key+".notify_from"), "the feed is taken from no primary, so there is nothing to hear", "name its primaries, or leave out notify_from")
		}
		return
	}
	c.checkPrimaryServers(r, key, f.Primaries)
	if f.Zone.IsZero() && !r.lost(key+".zone") {
		r.fault(r.at(key+".primaries"), "the feed does not say which zone is taken from them", "such as zone: rpz.example")
	}
	if f.Format != FormatAuto && f.Format != FormatRPZ {
		r.fault(r.at(key+".format"), "what is taken from primaries is a policy zone (RPZ)", "remove the key")
	}
	if f.Files != "" {
		r.fault(r.at(key+".files"), "there are no files to choose from", "remove the key")
	}
}

// checkCollection looks at how a collection of TAXII is followed.
func checkCollection(r *reader, f *Feed, key string) {
	usual := reflect.New(reflect.TypeFor[Feed]()).Elem()
	setDefaults(usual)
	switch {
	case !f.TAXII && f.Resync != usual.Interface().(Feed).Resync:
		r.fault(r.at(key+".resync"), "the feed is no collection of TAXII, so it is always read whole", "remove the key, or add taxii: true")
	case !f.TAXII:
		return
	}
	if u, err := url.Parse(string(f.URL)); f.TAXII && err == nil && !isCollection(u.Path) {
		r.fault(r.at(key+".url"), "the URL is not that of a collection of TAXII", "it ends in /collections/ and the collection's id; the server's list of them, "+
			"under its API root, tells the id")
	}
	if f.TAXII && f.Format != FormatAuto && f.Format != FormatSTIX {
		r.fault(r.at(key+".format"), "a collection of TAXII holds STIX", "remove the key")
	}
	if f.TAXII && f.MinisignKey != "" {
		r.fault(r.at(key+".minisign_key"), "a collection of TAXII has no signature beside it", "remove the key; fetch over https")
	}
}

// checkMISPFeed looks at how the directory of a MISP feed is followed.
func checkMISPFeed(r *reader, f *Feed, key string) {
	if !f.MISPFeed {
		return
	}
	if f.TAXII {
		r.fault(r.at(key+".misp_feed"), "a collection of TAXII is no MISP feed", "remove one of the two keys")
	}
	if f.Format != FormatAuto && f.Format != FormatMISP {
		r.fault(r.at(key+".format"), "a MISP feed holds events of MISP", "remove the key")
	}
	if f.MinisignKey != "" {
		r.fault(r.at(key+".minisign_key"), "a MISP feed has no signature beside it", "remove the key; fetch over https")
	}
}

// isCollection reports whether a path is that of a collection of TAXII or of its objects.
func isCollection(p string) bool {
	return path.Base(path.Dir(strings.TrimSuffix(strings.TrimRight(p, "/"), "/objects"))) == "collections"
}

// checkTransport warns of what others can read or change on the way.
func checkTransport(r *reader, f *Feed, key string) {
	u, err := url.Parse(string(f.URL))
	if err != nil || u.Scheme != "http" || isLoopback(u.Hostname()) {
		return
	}
	if f.AuthHeaderFile != "" || u.User != nil {
		r.warn(r.at(key+".url"), "what proves who asks can be read by everybody on the way", "fetch over https")
	}
	if f.MinisignKey == "" {
		r.warn(r.at(key+".url"), "the list can be changed by everybody on the way", "fetch over https, or set minisign_key if the publisher signs")
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// isMinisignKey looks at the form of a key: Ed, the number of the key, and 32 octets.
func isMinisignKey(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(b) == 42 && strings.HasPrefix(string(b), "Ed")
}

// checkFetchFiles looks at the files that fetches need. They are read at each fetch, so one that is missing may still come.
func (c *Config) checkFetchFiles(r *reader) {
	for i, f := range c.Feeds {
		for _, file := range []struct {
			key    string
			path   Path
			secret bool
		}{{"auth_header_file", f.AuthHeaderFile, true}, {"ca_file", f.CAFile, false}} {
			if file.path == "" {
				continue
			}
			at := r.at(fmt.Sprintf("feeds[%d].%s", i, file.key))
			opened, err := os.OpenFile(string(file.path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				r.warn(at, fmt.Sprintf("the feed %s cannot be fetched now: %v", quoted(f.Name), err), "it is read at each fetch; until then what was fetched last is served")
				continue
			}
			info, err := opened.Stat()
			_ = opened.Close()
			if err == nil && file.secret && info.Mode().Perm()&0o004 != 0 {
				r.warn(at, fmt.Sprintf("%s can be read by everybody on this host", file.path), "chmod o-r "+string(file.path))
			}
		}
	}
}
