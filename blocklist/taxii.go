package blocklist

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"cenote/pace"
)

// Bounds of one run through a collection.
const (
	taxiiPageObjects = 1000      // objects that a page is asked for
	taxiiPagesMax    = 10_000    // pages
	taxiiObjectsMax  = 1_000_000 // objects that are kept
	taxiiEmptyMax    = 16        // pages without an object in a row
	taxiiNextMax     = 4 << 10   // octets of the word by which the next page is asked for
	taxiiAheadMax    = 24 * time.Hour
)

// taxiiMedia is the type of what a server of TAXII 2.1 answers.
const taxiiMedia = "application/taxii+json"

// taxiiTypes are the objects that say something of indicators (see readSTIX). Others are not asked for.
const taxiiTypes = "indicator,malware,relationship,report,marking-definition"

// collectionURL is where the objects of a collection are, by the URL of either.
func collectionURL(u *url.URL) (*url.URL, error) {
	out := *u
	out.Path = objectsPath(u.Path)
	if path.Base(path.Join(objectsPath(u.EscapedPath()), "../..")) != "collections" {
		return nil, errors.New("its url is not that of a collection of TAXII 2.1, which ends in /collections/ and the collection's id")
	}
	if u.RawPath != "" {
		out.RawPath = objectsPath(u.RawPath)
	}
	return &out, nil
}

func objectsPath(p string) string {
	return strings.TrimSuffix(strings.TrimRight(p, "/"), "/objects") + "/objects/"
}

// collection asks for the objects of a collection that are new since the last time, and makes one bundle of what is known and them. It has the run whole, or
// nothing. The file is nil where nothing is new.
func (d *download) collection(ctx context.Context, known fetchedState, resync time.Duration, list *fetchedList) (fetchedState, *os.File, error) {
	now := time.Now().UTC()
	run := &taxiiRun{download: d, url: d.objects, left: d.limits.SourceBytes, unpacked: d.limits.SourceBytes, now: now}
	if !known.resyncDue(now, resync) {
		run.since = known.AddedAfter
	}
	err := run.receive(ctx, list)
	if err == errCursorRefused {
		run.since = ""
		err = run.receive(ctx, list)
	}
	defer run.close()
	if err != nil {
		return fetchedState{}, nil, err
	}
	return run.take(known, list)
}

// resyncDue reports whether the whole collection is to be read: nothing of it is known, or the last time is too long ago, or in the future.
func (s *fetchedState) resyncDue(now time.Time, resync time.Duration) bool {
	age := now.Sub(s.Resynced)
	return s.SHA256 == "" || s.AddedAfter == "" || age < 0 || age >= resync
}

// errCursorRefused says that a server does not take the time from which we asked for objects.
var errCursorRefused = errors.New("the server does not take the time from which objects were asked for")

// taxiiRun goes through the pages of a collection.
type taxiiRun struct {
	*download
	url            *url.URL // of the objects
	left, unpacked int64    // octets that may still come
	now            time.Time
	since          string // the time after which objects were added; "": all
	cursor         string // the latest time that the server told; "": none
	lost           bool   // what the server told is no time to go on from
	merge          *bundleMerge
	seen           map[[16]byte]bool // sums of pages
	empty          int               // pages without an object in a row
}

// receive takes all pages.
func (r *taxiiRun) receive(ctx context.Context, list *fetchedList) error {
	r.close()
	spool, err := list.create()
	if err != nil {
		return err
	}
	os.Remove(spool.Name()) // it lives as long as it is open
	r.merge, r.seen = newBundleMerge(spool, r.now), map[[16]byte]bool{}
	r.cursor, r.lost, r.empty = r.since, false, 0
	since, next := r.since, ""
	for range taxiiPagesMax {
		p, err := r.page(ctx, r.ask(since, next))
		if err == nil {
			err = r.note(p)
		}
		if err != nil || !p.more {
			return err
		}
		if since, next, err = following(since, p); err != nil {
			return err
		}
	}
	return &fetchError{outcome: FetchTooLarge, text: fmt.Sprintf("the collection has more than %d pages", taxiiPagesMax)}
}

// close gives back what the run had on the disk.
func (r *taxiiRun) close() {
	if r.merge != nil {
		r.merge.spool.Close()
	}
}

// ask is the URL of a page. What the configured URL asks for itself goes before what we would ask for.
func (r *taxiiRun) ask(since, next string) *url.URL {
	u := *r.url
	q := u.Query()
	for key, value := range map[string]string{"limit": strconv.Itoa(taxiiPageObjects), "match[type]": taxiiTypes} {
		if !q.Has(key) {
			q.Set(key, value)
		}
	}
	if since != "" {
		q.Set("added_after", since)
	}
	if next != "" {
		q.Set("next", next)
	}
	u.RawQuery = q.Encode()
	return &u
}

// page takes one page, behind whatever answers queries.
func (r *taxiiRun) page(ctx context.Context, u *url.URL) (taxiiPage, error) {
	res, err := r.get(ctx, u, fetchedState{})
	if err != nil {
		return taxiiPage{}, err
	}
	defer res.Body.Close()
	if err := r.checkAnswer(res); err != nil {
		return taxiiPage{}, err
	}
	var p taxiiPage
	err = pace.Behind(func() (err error) {
		p, err = r.read(res)
		return err
	})
	p.last = res.Header.Get("X-TAXII-Date-Added-Last")
	return p, err
}

// checkAnswer looks whether an answer is a page. A server that does not take our time on the first page is asked for the whole.
func (r *taxiiRun) checkAnswer(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusOK:
		return checkMedia(res.Header.Get("Content-Type"))
	case http.StatusBadRequest, http.StatusGone, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity:
		if r.since != "" && len(r.seen) == 0 && r.empty == 0 {
			return errCursorRefused
		}
	}
	e := statusError(res)
	switch res.StatusCode {
	case http.StatusNotFound:
		e.text += "; look whether the url is that of a collection"
	case http.StatusNotAcceptable, http.StatusUnsupportedMediaType:
		e.text += "; it does not speak TAXII 2.1"
	}
	return e
}

// checkMedia wants an answer to be of TAXII 2.1. Other versions have other pages.
func checkMedia(text string) error {
	media, params, err := mime.ParseMediaType(text)
	switch version := params["version"]; {
	case media == "text/html":
		return &fetchError{outcome: FetchIncomplete, text: "the server answers with a web page, perhaps a log-in, and not as TAXII 2.1"}
	case err != nil, media != taxiiMedia, version != "" && version != "2.1":
		return &fetchError{outcome: FetchIncomplete, text: "the server answers with something other than TAXII 2.1 (Content-Type)"}
	}
	return nil
}

// read reads the body of a page.
func (r *taxiiRun) read(res *http.Response) (taxiiPage, error) {
	had := r.left
	defer func() { r.bytes += had - r.left }()
	body, err := decoded(res, &metered{res.Body, &r.left})
	if err != nil {
		return taxiiPage{}, err
	}
	return readTAXIIPage(&metered{body, &r.unpacked}, r.merge.add)
}

// note keeps the time that a page ends with, and finds out servers that lead us in circles.
func (r *taxiiRun) note(p taxiiPage) error {
	if p.objects == 0 {
		if r.empty++; p.more && r.empty >= taxiiEmptyMax {
			return &fetchError{outcome: FetchIncomplete, text: fmt.Sprintf("the server has sent %d pages without an object, and says that there are more", r.empty)}
		}
		return nil
	}
	r.empty = 0
	if r.seen[p.sum] {
		return &fetchError{outcome: FetchIncomplete, text: "the server sends the same page again and again"}
	}
	r.seen[p.sum] = true
	r.moveCursor(p.last)
	return nil
}

// moveCursor takes the time at which the last object of a page was added, by the server's clock. One that lies before what is known (its clock was set back) or far
// ahead (nothing new would come for long) is no time to go on from, nor is none.
func (r *taxiiRun) moveCursor(last string) {
	at, ok := cursorTime(last)
	if !ok || at.Sub(r.now) > taxiiAheadMax {
		r.lost = true
		return
	}
	had, known := cursorTime(r.cursor)
	switch {
	case !known || at.After(had):
		r.cursor = last
	case at.Before(had) && r.cursor == r.since:
		r.lost = true
	}
}

// cursorTime reads a time as TAXII writes it.
func cursorTime(text string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil && len(text) <= len("2006-01-02T15:04:05.999999999+00:00")
}

// following is how to ask for the page behind p: by the server's word, or by the time at which the last object of p was added.
func following(since string, p taxiiPage) (newSince, next string, err error) {
	if len(p.next) > taxiiNextMax {
		return "", "", &fetchError{outcome: FetchIncomplete, text: fmt.Sprintf("the word for the next page has more than %d octets", taxiiNextMax)}
	}
	if p.next != "" {
		return since, p.next, nil
	}
	before, _ := cursorTime(since)
	if at, ok := cursorTime(p.last); !ok || !at.After(before) {
		return "", "", &fetchError{outcome: FetchIncomplete, text: "the server says that there is more, and not how to ask for it"}
	}
	return p.last, "", nil
}

// take makes the bundle of a run that is whole.
func (r *taxiiRun) take(known fetchedState, list *fetchedList) (fetchedState, *os.File, error) {
	got := fetchedState{Fetched: r.now, AddedAfter: r.cursor, Resynced: r.now}
	if r.lost {
		got.AddedAfter = ""
	}
	if r.since != "" {
		got.Resynced = known.Resynced
		if r.merge.none() {
			got.Size, got.SHA256, got.Objects = known.Size, known.SHA256, known.Objects
			return got, nil, nil
		}
	}
	f, err := list.create()
	if err != nil {
		return got, nil, err
	}
	err = pace.Behind(func() error { return r.bundle(f, list, &got) })
	if err != nil {
		discard(f)
		return got, nil, err
	}
	return got, f, nil
}

// bundle writes what is known, if it was gone on from, and what has come, to f.
func (r *taxiiRun) bundle(f *os.File, list *fetchedList, got *fetchedState) error {
	var old *os.File
	if r.since != "" {
		var err error
		if old, err = os.Open(list.path); err != nil {
			return err
		}
		defer old.Close()
	}
	err := r.merge.write(f, old, r.limits.SourceBytes, got)
	if err == errBundleDamaged {
		list.trusted = false // the next run looks, and begins from nothing
	}
	return err
}
