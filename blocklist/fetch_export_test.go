package blocklist

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"time"
)

// Doors for the tests of fetching.

// CheckAddress is the guard's word about an address that a fetch would dial.
func CheckAddress(a netip.Addr, allowed ...netip.Prefix) error {
	return newDialGuard(allowed).check(a)
}

// ReloadSlowly is Reload for somebody who is held up by between after the fetches.
func (p *Publisher) ReloadSlowly(ctx context.Context, o ReloadOptions, between func()) (ReloadReport, error) {
	began, before := time.Now(), p.number()
	o.unfetched = p.fetches.now(ctx, o.Feeds, o.FetchWait)
	between()
	return p.reload(ctx, o, began, before)
}

// LookRests are how long the primaries of a zone are left alone after each of some looks, which begin so long after the end of the one before, and take so long. The first brings the zone.
func LookRests(looks [][2]time.Duration) (rests []time.Duration) {
	var r lookRest
	now := time.Unix(0, 0)
	for i, l := range looks {
		began := now.Add(l[0])
		now = began.Add(l[1])
		r.look(began, now, i == 0)
		rests = append(rests, r.until.Sub(now))
	}
	return rests
}

// ListName is listName.
func ListName(text string) string { return listName(text) }

// ReadAuthHeader is readAuthHeader.
func ReadAuthHeader(path string) (name, value string, err error) {
	h, err := readAuthHeader(path)
	return h.name, h.value, err
}

// Redirected is redirected.
func Redirected(from, location string) (string, error) {
	u, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	to, err := redirected(u, location)
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// SameServer is sameServer.
func SameServer(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && sameServer(u, v)
}

// RetryAfter is retryAfter.
func RetryAfter(text string, now time.Time) time.Duration { return retryAfter(text, now) }

// Backoff is backoff.
func Backoff(failures int, interval time.Duration) time.Duration { return backoff(failures, interval) }

// Jittered is jittered.
func Jittered(d time.Duration, share, random float64) time.Duration {
	return jittered(d, share, random)
}

// Bounds of fetches.
const (
	FetchesMax    = fetchesMax
	RedirectsMax  = redirectsMax
	LegacyListMax = legacyListMax
	RetryAfterMax = retryAfterMax
)

// CollectionURL is collectionURL, "" for what is none.
func CollectionURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	if u, err = collectionURL(u); err != nil {
		return ""
	}
	return u.String()
}

// MergeTAXIIPage makes a bundle of a page, and another one of that bundle and the same page.
func MergeTAXIIPage(dir string, body []byte) (bundle []byte, objects int, err error) {
	var old *os.File
	for range 2 {
		files := [2]*os.File{}
		for i := range files {
			if files[i], err = os.CreateTemp(dir, ""); err != nil {
				return nil, 0, err
			}
			defer files[i].Close()
			os.Remove(files[i].Name())
		}
		m := newBundleMerge(files[0], time.Now())
		if _, err = readTAXIIPage(bytes.NewReader(body), m.add); err != nil {
			return nil, 0, err
		}
		var state fetchedState
		if err = m.write(files[1], old, 1<<30, &state); err != nil {
			return nil, 0, fmt.Errorf("merging: %w", err)
		}
		objects, old = state.Objects, files[1]
		if _, err = old.Seek(0, io.SeekStart); err != nil {
			return nil, 0, err
		}
		if bundle, err = io.ReadAll(old); err != nil {
			return nil, 0, err
		}
		if _, err = old.Seek(0, io.SeekStart); err != nil {
			return nil, 0, err
		}
	}
	return bundle, objects, nil
}
