package blocklist

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// bundleMerge makes one bundle of the one before and of objects that came since. Of each object the newest version counts, and what is revoked or has expired
// leaves. Objects wait in a file; of each that counts only its place is in memory. It has no use for what readSTIX passes over.
type bundleMerge struct {
	spool  *os.File
	size   int64
	newest map[stixID]spooledObject
	now    time.Time
	line   bytes.Buffer
}

// spooledObject is one version of an object.
type spooledObject struct {
	version int64 // microseconds since 1970
	at      int64 // in the spool
	octets  int
	gone    bool // it leaves the bundle
}

func newBundleMerge(spool *os.File, now time.Time) *bundleMerge {
	return &bundleMerge{spool: spool, newest: map[stixID]spooledObject{}, now: now}
}

// none reports whether nothing has come.
func (m *bundleMerge) none() bool { return len(m.newest) == 0 }

// taxiiObject is what a merge must know of an object.
type taxiiObject struct {
	Type             jsonText `json:"type"`
	ID               jsonText `json:"id"`
	Created          jsonText `json:"created"`
	Modified         jsonText `json:"modified"`
	Revoked          jsonFlag `json:"revoked"`
	ValidUntil       jsonText `json:"valid_until"`
	RelationshipType jsonText `json:"relationship_type"`
	TargetRef        jsonText `json:"target_ref"`
}

// matters reports whether an object says something of indicators.
func (o *taxiiObject) matters() bool {
	if o.ID == "" || !slices.Contains(strings.Split(taxiiTypes, ","), string(o.Type)) {
		return false
	}
	return o.Type != "relationship" || o.RelationshipType == "indicates" && strings.HasPrefix(string(o.TargetRef), "malware--")
}

// version is when this version of the object was made. Markings have no more than one.
func (o *taxiiObject) version() int64 {
	for _, text := range []jsonText{o.Modified, o.Created} {
		if at, ok := readTime([]byte(text)); ok {
			return at.UnixMicro()
		}
	}
	return 0
}

// gone reports whether an object is not to be served any more.
func (o *taxiiObject) gone(now time.Time) bool {
	until, ends := readTime([]byte(o.ValidUntil))
	return bool(o.Revoked) || o.Type == "indicator" && ends && !until.After(now)
}

// add takes an object as it came.
func (m *bundleMerge) add(raw []byte) error {
	var o taxiiObject
	_ = json.Unmarshal(raw, &o) // what is of another type than it should be stays empty
	if !o.matters() {
		return nil
	}
	id, one := idOf(string(o.ID)), spooledObject{version: o.version(), at: m.size, gone: o.gone(m.now)}
	had, known := m.newest[id]
	switch {
	case known && had.version > one.version:
		return nil
	case !known && len(m.newest) == taxiiObjectsMax:
		return &fetchError{outcome: FetchTooLarge, text: fmt.Sprintf("the collection has more than %d objects that say something of indicators", taxiiObjectsMax)}
	}
	if !one.gone {
		m.line.Reset()
		if err := json.Compact(&m.line, raw); err != nil {
			return err
		}
		n, err := m.spool.Write(m.line.Bytes())
		if err != nil {
			return err
		}
		one.octets = n
		m.size += int64(n)
	}
	m.newest[id] = one
	return nil
}

// errBundleDamaged says that the bundle of before is not as it was written.
var errBundleDamaged = errors.New("the stored collection is damaged; it is read anew")

// write writes the bundle, an object a line, and notes its size, sum and objects. old is the one before; nil for none.
func (m *bundleMerge) write(f *os.File, old *os.File, most int64, got *fetchedState) error {
	w := newListWriter(f, most, bundleHead, bundleEnd, taxiiObjectsMax)
	if old != nil {
		if err := m.keep(w, old); err != nil {
			return err
		}
	}
	came := slices.SortedFunc(maps.Values(m.newest), func(a, b spooledObject) int { return cmp.Compare(a.at, b.at) })
	for _, one := range came {
		if one.gone {
			continue
		}
		line := make([]byte, one.octets)
		if _, err := m.spool.ReadAt(line, one.at); err != nil {
			return err
		}
		if err := w.object(line); err != nil {
			return err
		}
	}
	return w.end(got)
}

// keep writes those objects of the bundle of before that still hold, and takes those away from what came that are older than what is known.
func (m *bundleMerge) keep(w *listWriter, old *os.File) error {
	in := bufio.NewReaderSize(old, copySize)
	head, err := in.ReadString('\n')
	if err != nil || head != bundleHead {
		return errBundleDamaged
	}
	for {
		line, err := in.ReadBytes('\n')
		switch {
		case err == nil && string(line) == bundleEnd:
			return nil
		case err != nil:
			return errBundleDamaged
		}
		line = bytes.TrimSuffix(line[:len(line)-1], []byte(","))
		var o taxiiObject
		if json.Unmarshal(line, &o) != nil {
			return errBundleDamaged
		}
		if !m.holds(&o) {
			continue
		}
		if err := w.object(line); err != nil {
			return err
		}
	}
}

// holds reports whether an object of the bundle of before stays in it.
func (m *bundleMerge) holds(o *taxiiObject) bool {
	id := idOf(string(o.ID))
	came, ok := m.newest[id]
	switch {
	case ok && came.version >= o.version():
		return false
	case ok:
		delete(m.newest, id)
	}
	return !o.gone(m.now)
}

// The first and the last line of a bundle as it is kept. A bundle has an id of its own that nobody refers to.
const (
	bundleHead = `{"type":"bundle","id":"bundle--c3a1f6a0-5b5e-4c57-9d3e-6f0f7a1c2e84","objects":[` + "\n"
	bundleEnd  = "]}\n"
)

// listWriter writes a list of objects, a line each, between a first and a last line.
type listWriter struct {
	to         *bufio.Writer
	sum        interface{ Sum([]byte) []byte }
	size       int64
	most       int64
	last       string
	objects    int
	objectsMax int
}

func newListWriter(f io.Writer, most int64, first, last string, objectsMax int) *listWriter {
	h := sha256.New()
	w := &listWriter{to: bufio.NewWriterSize(io.MultiWriter(f, h), copySize), sum: h, most: most, last: last, objectsMax: objectsMax}
	w.text(first)
	return w
}

// text writes to the buffer, whose error comes with its flush.
func (w *listWriter) text(s string) {
	n, _ := w.to.WriteString(s)
	w.size += int64(n)
}

func (w *listWriter) object(line []byte) error {
	if w.objects == w.objectsMax || w.size+int64(len(line)+len(w.last)+2) > w.most {
		return ErrTooLarge
	}
	if w.objects > 0 {
		w.text(",\n")
	}
	w.objects++
	n, err := w.to.Write(line)
	w.size += int64(n)
	return err
}

func (w *listWriter) end(got *fetchedState) error {
	if w.objects > 0 {
		w.text("\n")
	}
	w.text(w.last)
	got.Size, got.SHA256, got.Objects = w.size, "", w.objects
	if err := w.to.Flush(); err != nil {
		return err
	}
	got.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	return nil
}
