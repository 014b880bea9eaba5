package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cenote/querylog"
)

// replay reads query logs, one line after the other.
type replay struct {
	replayed
	in    io.Reader // standard input
	drawn *progress
	take  func(*querylog.Line)
	done  int64 // octets of the files, as they are stored
	of    int64 // 0: not known
}

// replayed is what was found in query logs beside queries.
type replayed struct {
	Files      int    `json:"files"`
	Lines      int    `json:"lines"`
	Queries    int    `json:"queries"`
	NotAsked   int    `json:"not_asked"` // queries that no policy is asked about: refused, malformed, of other classes
	Events     int    `json:"events"`    // lines that are no queries
	Lost       uint64 `json:"lost"`      // records that the log says it dropped
	Unreadable int    `json:"unreadable"`
	First      string `json:"first_unreadable,omitempty"` // file, line and what is wrong
}

// files reads the files in their order. A file that ends in an error does not keep the others from being read.
func (r *replay) files(ctx context.Context, paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			r.of = 0
			break
		}
		r.of += info.Size()
	}
	var failed []error
	for _, path := range paths {
		if err := r.file(ctx, path); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// errStopped says that somebody has had enough.
var errStopped = errors.New("stopped")

func (r *replay) file(ctx context.Context, path string) error {
	in, name, err := r.open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	unpacked, err := querylog.Unpack(&counted{in, &r.done})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = unpacked.Close() }()
	r.Files++
	lines := querylog.NewReader(unpacked)
	err = r.lines(ctx, lines, name)
	r.Lines += lines.Lines()
	if err != nil {
		return fmt.Errorf("%s:%d: %w", name, lines.Lines(), err)
	}
	return nil
}

// open opens a log. What may keep its reader waiting is read beside it, so that it can stop.
func (r *replay) open(ctx context.Context, path string) (in io.ReadCloser, name string, err error) {
	if path == "-" {
		return io.NopCloser(newImpatient(ctx, r.in)), "standard input", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return io.NopCloser(newImpatient(ctx, f)), path, nil
	}
	return f, path, nil
}

// linesPerLook is after how many lines a replay looks whether it is to stop.
const linesPerLook = 4096

func (r *replay) lines(ctx context.Context, lines *querylog.Reader, name string) error {
	var l querylog.Line
	for n := 0; ; n++ {
		if n%linesPerLook == 0 {
			if ctx.Err() != nil {
				return errStopped
			}
			r.drawn.draw("replay (MiB)", int(r.done>>20), int(r.of>>20), "MiB")
		}
		switch err := lines.Next(&l); {
		case err == nil:
			r.line(&l)
		case errors.Is(err, io.EOF):
			return nil
		case r.unreadable(err, name):
		default:
			return err
		}
	}
}

// unreadable counts an error that is about one line.
func (r *replay) unreadable(err error, name string) bool {
	bad, ok := errors.AsType[*querylog.LineError](err)
	if !ok {
		return false
	}
	if r.Unreadable++; r.Unreadable == 1 {
		r.First = fmt.Sprintf("%s:%d: %v", name, bad.Line, bad.Err)
	}
	return true
}

func (r *replay) line(l *querylog.Line) {
	switch {
	case l.Event != "":
		r.Events++
		r.Lost += l.Lost
	case !l.Asked:
		r.Queries++
		r.NotAsked++
	default:
		r.Queries++
		r.take(l)
	}
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *int64
}

// Read reads and counts.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.n += int64(n)
	return n, err
}

// impatient reads what may never come, until its context ends. What reads beside it ends with its source.
type impatient struct {
	ctx    context.Context
	pieces chan piece
	rest   piece
}

type piece struct {
	b   []byte
	err error
}

// impatientPiece is how much is read at once, in octets.
const impatientPiece = 256 << 10

func newImpatient(ctx context.Context, in io.Reader) *impatient {
	i := &impatient{ctx: ctx, pieces: make(chan piece, 2)}
	go i.read(in)
	return i
}

func (i *impatient) read(in io.Reader) {
	for {
		b := make([]byte, impatientPiece)
		n, err := in.Read(b)
		select {
		case i.pieces <- piece{b[:n], err}:
		case <-i.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Read returns what has come; the end of the context is an error.
func (i *impatient) Read(b []byte) (int, error) {
	for len(i.rest.b) == 0 {
		if i.rest.err != nil {
			return 0, i.rest.err
		}
		select {
		case i.rest = <-i.pieces:
		case <-i.ctx.Done():
			return 0, errStopped
		}
	}
	n := copy(b, i.rest.b)
	i.rest.b = i.rest.b[n:]
	return n, nil
}

// topList writes the names of a top list, rank,name or name a line, into a file of dir, each in the line in which it stood.
func topList(path, dir string, number int) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	in, err := querylog.Unpack(f)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(filepath.Join(dir, fmt.Sprintf("top-%d.domains", number)))
	if err != nil {
		return "", err
	}
	return out.Name(), errors.Join(writeTop(out, in), out.Close())
}

func writeTop(to io.Writer, from io.Reader) error {
	lines := bufio.NewScanner(from)
	out := bufio.NewWriter(to)
	for lines.Scan() {
		_, _ = out.Write(topName(lines.Bytes())) // Flush tells
		_ = out.WriteByte('\n')
	}
	return errors.Join(lines.Err(), out.Flush())
}

// topName is the name in a line of a top list: the second field behind a number, otherwise the first. A heading gives none.
func topName(line []byte) []byte {
	first, rest, more := bytes.Cut(bytes.TrimSpace(line), []byte(","))
	first = bytes.Trim(first, `" `)
	if name, _, _ := bytes.Cut(rest, []byte(",")); more && len(bytes.Trim(first, "0123456789")) == 0 {
		first = bytes.Trim(name, `" `)
	}
	if !bytes.Contains(first, []byte(".")) {
		return nil
	}
	return first
}
