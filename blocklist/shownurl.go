package blocklist

import (
	"net/url"
	"path"
	"regexp"
	"strings"
)

// ShownURL is a URL as people and logs may see it: scheme, host, and the last element of the path unless that could be a key. Publishers of lists put
// keys into the user, the path and the query.
func ShownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "(a URL that cannot be read)"
	}
	shown := shownHost(u)
	last := path.Base(u.Path)
	switch dir := path.Dir(u.Path); {
	case last == "." || last == "/":
		return shown + "/"
	case couldBeKey(last):
		return shown + "/…"
	case dir == "/" || dir == ".":
		return shown + "/" + shownName(last)
	}
	return shown + "/…/" + shownName(last)
}

// shownHost is the part of a URL that never holds a key.
func shownHost(u *url.URL) string { return u.Scheme + "://" + u.Host }

// shownName is the last element of a path, which comes from a configuration, not longer than a line.
func shownName(name string) string { return printable([]byte(name), listNameMax) }

// keyRunMax is the longest run of letters and digits, both in it, that is taken for a word and not for a key.
const keyRunMax = 15

// couldBeKey reports whether an element of a path looks like a key: a long run of letters and digits mixed, or a UUID.
func couldBeKey(name string) bool {
	if uuidForm.MatchString(name) {
		return true
	}
	for _, run := range alphanumericRuns.FindAllString(name, -1) {
		if len(run) > keyRunMax && strings.ContainsAny(run, "0123456789") {
			return true
		}
	}
	return len(name) > listNameMax
}

var (
	uuidForm         = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	alphanumericRuns = regexp.MustCompile(`[A-Za-z0-9]+`)
	otherThanName    = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
)

// listNameMax is how many octets the name of a fetched list has.
const listNameMax = 80

// listName is the name of the file for the list of a URL: the last element of the path, whose ending tells a format and which of maltrail is the
// family. What could be a key is left out.
func listName(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "list"
	}
	name := strings.TrimLeft(otherThanName.ReplaceAllString(path.Base(u.Path), "_"), ".")
	if name == "" || name == "_" || couldBeKey(name) {
		return "list" + endingOf(name)
	}
	return name
}

// endingOf is the ending of a name that is left out, if it is short enough to be one.
func endingOf(name string) string {
	if ending := path.Ext(name); len(ending) <= len(".wildcard") && !couldBeKey(ending) {
		return ending
	}
	return ""
}
