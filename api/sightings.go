package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"cenote/sighting"
)

// parseFilter reads the parameters of GET /v1/sightings: client (address or prefix), zone, feed, family, indicator, since and until (RFC 3339, or a
// duration before now), enforced (true or false), hours, limit, cursor.
func parseFilter(r *http.Request) (sighting.Filter, error) {
	v := r.URL.Query()
	f := sighting.Filter{Zone: v.Get("zone"), Feed: v.Get("feed"), Family: v.Get("family"), Indicator: v.Get("indicator"), Cursor: v.Get("cursor")}
	now := time.Now()
	for _, parse := range []func() error{
		func() (err error) { f.Client, err = ParseClient(v.Get("client")); return err },
		func() (err error) { f.Since, err = ParseTime(v.Get("since"), now); return err },
		func() (err error) { f.Until, err = ParseTime(v.Get("until"), now); return err },
		func() (err error) { f.Hours, err = parseFlag(v.Get("hours")); return err },
		func() (err error) { f.Limit, err = parseLimit(v.Get("limit")); return err },
		func() (err error) { f.Enforcement, err = parseEnforcement(v); return err },
	} {
		if err := parse(); err != nil {
			return f, err
		}
	}
	return f, nil
}

// ParseClient reads an address or a prefix; "" is every client.
func ParseClient(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("client %q: want an address or a prefix, such as 192.0.2.7 or 192.0.2.0/24", text)
	}
	return p.Masked(), nil
}

// ParseTime reads a time as RFC 3339 writes it, a date, or how long before now it was, such as 36h or 7d; "" is the zero time.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return t, nil
		}
	}
	if n := len(text) - 1; text[n] == 'd' {
		if days, err := strconv.ParseUint(text[:n], 10, 16); err == nil {
			return now.AddDate(0, 0, -int(days)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("time %q: want 2026-01-31, 2026-01-31T12:00:00Z, or a time before now such as 36h or 7d", text)
}

func parseLimit(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("limit %q: want a number", text)
	}
	return int(n), nil
}

func parseEnforcement(v url.Values) (sighting.Enforcement, error) {
	if v.Get("enforced") == "" {
		return sighting.AnyEnforcement, nil
	}
	enforced, err := strconv.ParseBool(v.Get("enforced"))
	switch {
	case err != nil:
		return sighting.AnyEnforcement, fmt.Errorf("enforced %q: want true or false", v.Get("enforced"))
	case enforced:
		return sighting.EnforcedOnly, nil
	}
	return sighting.ObservedOnly, nil
}
