package config

import (
	"net/url"
	"regexp"
	"strings"
)

// URL is the address of a list. It may hold a key in its user, path or query, so that String shows scheme and host alone; convert it to get
// the whole.
type URL string

// String is the URL without what could be a key.
func (u URL) String() string { return withoutKeys(string(u)) }

// parseURL takes what can be fetched. Its errors do not quote the text.
func parseURL(text string, f field) (any, error) {
	if _, err := parseText(text, field{}); err != nil {
		return nil, &hintError{"the text is too long, or holds a character that cannot be shown", urlHint}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Opaque != "", strings.Contains(text, " "):
		return nil, &hintError{"the URL cannot be read", urlHint + "; characters other than those of a URL are written as %20"}
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &hintError{"the URL does not begin with https:// or http://", urlHint}
	case u.Hostname() == "":
		return nil, &hintError{"the URL names no host", urlHint}
	}
	return URL(text), nil
}

const urlHint = "write it as https://lists.example/malware.hosts"

var (
	// urlInText is a URL in a line of a file or message: to the closing quote, else to the next blank.
	urlInText = regexp.MustCompile(`"[a-zA-Z][a-zA-Z0-9+.-]*:/[^"]*|'[a-zA-Z][a-zA-Z0-9+.-]*:/[^']*|[a-zA-Z][a-zA-Z0-9+.-]*:/\S*`)
	// urlOfKey is what the key url has, also where it is no URL.
	urlOfKey = regexp.MustCompile(`(\burl["']?[ \t]*:[ \t]*)("[^"]*|'[^']*|[^ \t,}]\S*)`)
	// urlHost is the part of a URL that is shown: the scheme, any user, and the host.
	urlHost = regexp.MustCompile(`^["']?[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#\s]*@)?[^/?#@\s"']*`)
)

// withoutKeys is a text in which URLs show scheme and host alone. Every other character of them is an asterisk, so that the places of all others stay.
func withoutKeys(text string) string {
	if !strings.Contains(text, ":") {
		return text
	}
	text = urlInText.ReplaceAllStringFunc(text, maskURL)
	return urlOfKey.ReplaceAllStringFunc(text, func(found string) string {
		parts := urlOfKey.FindStringSubmatch(found)
		return parts[1] + maskURL(parts[2])
	})
}

// maskURL masks one URL, or what stands in the place of one. A text that is masked already stays as it is.
func maskURL(found string) string {
	shown := urlHost.FindString(found)
	scheme, host, _ := strings.Cut(shown, "://")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return scheme + "://" + asterisks(host[:at]) + host[at:] + asterisks(found[len(shown):])
	}
	return shown + asterisks(found[len(shown):])
}

func asterisks(text string) string { return strings.Repeat("*", len([]rune(text))) }
