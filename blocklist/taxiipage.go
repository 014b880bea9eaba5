package blocklist

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// taxiiPage is what a page (an envelope of TAXII 2.1) says beside its objects.
type taxiiPage struct {
	more    bool
	next    string   // the word by which the next one is asked for
	last    string   // when its last object was added, of the header of the answer
	objects int      // how many it had
	sum     [16]byte // of them
}

// errTAXIIPage is the fault of what is no page.
var errTAXIIPage = &fetchError{outcome: FetchIncomplete, text: "what the server sends is no page of TAXII 2.1"}

// readTAXIIPage hands on the objects of a page one after the other, as they come; raw lives until object returns.
func readTAXIIPage(src io.Reader, object func(raw []byte) error) (taxiiPage, error) {
	lines := &brokenLines{src: src, line: 1}
	r := &pageReader{src: lines, dec: json.NewDecoder(lines), object: object, sum: sha256.New()}
	err := r.read()
	copy(r.page.sum[:], r.sum.Sum(nil))
	return r.page, pageFault(err)
}

// pageFault says what is wrong with a page without a word of it.
func pageFault(err error) error {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	switch {
	case err == errValueTooLong, err == errBlanks:
		return &fetchError{outcome: FetchTooLarge, text: err.Error()}
	case syntax:
		return errTAXIIPage
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// pageReader is a page while it is read.
type pageReader struct {
	src    *brokenLines
	dec    *json.Decoder
	raw    json.RawMessage
	object func(raw []byte) error
	sum    hash.Hash
	page   taxiiPage
}

// read takes the one object that the body is.
func (r *pageReader) read() error {
	if err := r.mark('{'); err != nil {
		return err
	}
	for r.dec.More() {
		key, err := r.token()
		if err != nil {
			return err
		}
		if err := r.value(fmt.Sprint(key)); err != nil {
			return err
		}
	}
	if err := r.mark('}'); err != nil {
		return err
	}
	if _, err := r.token(); err != io.EOF {
		return errors.Join(errTAXIIPage, err)
	}
	return nil
}

// token is the next token.
func (r *pageReader) token() (json.Token, error) {
	r.step()
	return r.dec.Token()
}

// step notes where the next value begins, so that its size is bounded.
func (r *pageReader) step() {
	r.src.mark = r.dec.InputOffset()
	r.src.lineAt(r.src.mark)
}

// mark takes a bracket.
func (r *pageReader) mark(want json.Delim) error {
	token, err := r.token()
	if err == nil && token != want {
		return errTAXIIPage
	}
	return err
}

// next takes a value whole.
func (r *pageReader) next() error {
	r.step()
	return r.dec.Decode(&r.raw)
}

func (r *pageReader) value(key string) error {
	if key == "objects" {
		return r.objects()
	}
	if err := r.next(); err != nil {
		return err
	}
	switch key {
	case "more":
		r.page.more = string(r.raw) == "true"
	case "next":
		r.page.next = plainText(r.raw)
	}
	return nil
}

// objects takes the objects of a page, which may be null.
func (r *pageReader) objects() error {
	token, err := r.token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return errTAXIIPage
	}
	for r.dec.More() {
		if err := r.next(); err != nil {
			return err
		}
		r.page.objects++
		r.sum.Write(r.raw)
		if err := r.object(r.raw); err != nil {
			return err
		}
	}
	return r.mark(']')
}
