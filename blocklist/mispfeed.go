package blocklist

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"cenote/pace"
)

// Bounds of one run through the directory of a MISP feed.
const (
	mispManifestMax = 32 << 20 // octets of the manifest
	mispEventMax    = 16 << 20 // octets of one event
	mispEventsMax   = 100_000  // events
)

// mispManifest is the file of a MISP feed that names its events.
const mispManifest = "manifest.json"

// feedDirectory is the directory of a MISP feed, by its URL or by that of its manifest.
func feedDirectory(u *url.URL) *url.URL {
	out := *u
	out.Path = directoryPath(u.Path)
	if u.RawPath != "" {
		out.RawPath = directoryPath(u.RawPath)
	}
	return &out
}

func directoryPath(p string) string {
	return strings.TrimRight(strings.TrimSuffix(p, mispManifest), "/") + "/"
}

// beside is the URL of a file of the directory, whose name needs no escapes.
func (d *download) beside(name string) *url.URL {
	u := *d.directory
	u.Path += name
	if u.RawPath != "" {
		u.RawPath += name
	}
	return &u
}

// events asks for the manifest of a MISP feed, and for those events of which it tells another time than before, and makes one file of all. It has the run
// whole, or nothing. The file is nil where the manifest is what is known.
func (d *download) events(ctx context.Context, known fetchedState, list *fetchedList) (fetchedState, *os.File, error) {
	run := &mispRun{download: d, left: d.limits.SourceBytes, unpacked: d.limits.SourceBytes}
	got, err := run.manifest(ctx, known)
	if err != nil || run.times == nil {
		return got, nil, err
	}
	f, err := list.create()
	if err != nil {
		return got, nil, err
	}
	if err = run.gather(ctx, known, list, f, &got); err != nil {
		discard(f)
		return got, nil, err
	}
	return got, f, nil
}

// mispRun goes through the directory of a feed.
type mispRun struct {
	*download
	left, unpacked int64             // octets that may still come
	times          map[string]string // of the events, by their UUID: when they were last changed; nil: the manifest is what is known
}

// manifest asks what events there are.
func (r *mispRun) manifest(ctx context.Context, known fetchedState) (fetchedState, error) {
	res, err := r.get(ctx, r.beside(mispManifest), known)
	if err != nil {
		return fetchedState{}, err
	}
	defer res.Body.Close()
	got := fetchedState{Fetched: time.Now().UTC(), ETag: validator(res, "ETag"), LastModified: lastModified(res)}
	switch {
	case res.StatusCode == http.StatusNotModified && known.ETag+known.LastModified != "":
		known.Fetched = got.Fetched
		return known, nil
	case res.StatusCode != http.StatusOK:
		e := statusError(res)
		if res.StatusCode == http.StatusNotFound {
			e.text += "; look whether the url is that of the directory with the feed's manifest.json"
		}
		return got, e
	}
	var events map[string]struct {
		Timestamp jsonText `json:"timestamp"`
	}
	if err := r.read(res, mispManifestMax, &events); err != nil {
		return got, err
	}
	if len(events) > mispEventsMax {
		return got, &fetchError{outcome: FetchTooLarge, text: fmt.Sprintf("the manifest names more than %d events", mispEventsMax)}
	}
	r.times = map[string]string{}
	for uuid, e := range events {
		if !isUUID(uuid) {
			return got, errManifest
		}
		r.times[uuid] = string(e.Timestamp)
	}
	return got, nil
}

// errManifest is the fault of what is no manifest.
var errManifest = &fetchError{outcome: FetchIncomplete, text: "what the server sends is not the manifest of a MISP feed"}

// isUUID reports whether text is a UUID as events have it, which makes the name of a file and nothing more.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return true
}

// read reads the body of an answer of so many octets at most as JSON, behind whatever answers queries.
func (r *mispRun) read(res *http.Response, most int64, to any) error {
	had := r.left
	defer func() { r.bytes += had - r.left }()
	return pace.Behind(func() error {
		body, err := decoded(res, &metered{res.Body, &r.left})
		if err != nil {
			return err
		}
		b, err := io.ReadAll(&metered{&metered{body, &r.unpacked}, &most})
		if err != nil {
			return err
		}
		if json.Unmarshal(b, to) != nil {
			return &fetchError{outcome: FetchIncomplete, text: "what the server sends is no JSON of a MISP feed"}
		}
		return nil
	})
}

// gather writes all events into f: those that are known as they were, and the others as the server gives them.
func (r *mispRun) gather(ctx context.Context, known fetchedState, list *fetchedList, f *os.File, got *fetchedState) error {
	kept := keptEvents{}
	if known.SHA256 != "" {
		var err error
		if kept, err = openEvents(list.path); err != nil {
			list.trusted = false // the next run looks, and begins from nothing
			return err
		}
		defer kept.file.Close()
	}
	w := newListWriter(f, r.limits.SourceBytes, "[\n", "]\n", mispEventsMax)
	for _, uuid := range slices.Sorted(maps.Keys(r.times)) {
		line, err := kept.line(uuid, r.times[uuid])
		if line == nil && err == nil {
			line, err = r.event(ctx, uuid)
		}
		if err == nil {
			err = w.object(line)
		}
		if err != nil {
			return err
		}
	}
	return w.end(got)
}

// keptEvent is an event as it lies in the file, a line each. Readers of events look at nothing but what is under "Event".
type keptEvent struct {
	UUID      string          `json:"uuid"`
	Timestamp string          `json:"timestamp"` // as the manifest had it
	Event     json.RawMessage `json:"Event"`
}

// event asks for one event.
func (r *mispRun) event(ctx context.Context, uuid string) ([]byte, error) {
	res, err := r.get(ctx, r.beside(uuid+".json"), fetchedState{})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		e := statusError(res)
		e.text = "of the event " + uuid + " " + e.text
		return nil, e
	}
	one := keptEvent{}
	if err := r.read(res, mispEventMax, &one); err != nil {
		return nil, err
	}
	if len(one.Event) == 0 || one.Event[0] != '{' {
		return nil, &fetchError{outcome: FetchIncomplete, text: "what the server sends as the event " + uuid + " is none"}
	}
	one.UUID, one.Timestamp = uuid, r.times[uuid]
	var line bytes.Buffer
	to := json.NewEncoder(&line)
	to.SetEscapeHTML(false)
	err = to.Encode(one) // which makes one line of it
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), err
}

// keptEvents are those of the file of before.
type keptEvents struct {
	file   *os.File
	places map[string]keptPlace // by UUID
}

// keptPlace is where the line of an event lies.
type keptPlace struct {
	timestamp string
	at        int64
	octets    int
}

// errEventsDamaged says that the file of before is not as it was written.
var errEventsDamaged = errors.New("the stored events are damaged; they are read anew")

func openEvents(path string) (keptEvents, error) {
	f, err := os.Open(path)
	if err != nil {
		return keptEvents{}, err
	}
	out := keptEvents{f, map[string]keptPlace{}}
	err = pace.Behind(out.find)
	if err != nil {
		f.Close()
	}
	return out, err
}

// find notes where which event lies.
func (k *keptEvents) find() error {
	in, at := bufio.NewReaderSize(k.file, copySize), int64(0)
	for {
		line, err := in.ReadBytes('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return nil
		case err != nil:
			return errEventsDamaged
		}
		if text := bytes.TrimSuffix(line[:len(line)-1], []byte(",")); len(text) > 1 { // not the brackets
			var one keptEvent
			if json.Unmarshal(text, &one) != nil {
				return errEventsDamaged
			}
			k.places[one.UUID] = keptPlace{one.Timestamp, at, len(text)}
		}
		at += int64(len(line))
	}
}

// line returns the line of an event that has not changed; nil if there is none.
func (k *keptEvents) line(uuid, timestamp string) ([]byte, error) {
	place, ok := k.places[uuid]
	if !ok || timestamp == "" || place.timestamp != timestamp {
		return nil, nil
	}
	line := make([]byte, place.octets)
	_, err := k.file.ReadAt(line, place.at)
	return line, err
}
