package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"cenote/wire"
)

// witness asks, beside the load and one after the other, for names whose answers do not change when the list does, and looks at what the answers say:
// the load generator only counts them.
type witness struct {
	ask           func(name string) []byte // nil: no answer, or SERVFAIL
	listed, clean []string
	asked         int
	wrong         int    // answers that are not those of the name
	silent        int    // no answer in time
	first         string // the first name that got a wrong answer
}

// The pace of a witness, and how many names of each kind it has.
const (
	witnessPause = 2 * time.Millisecond
	witnessNames = 1000
)

// newWitness has names that every version of the list holds, and names that none does.
func (r *rig) newWitness() (w *witness, err error) {
	w = &witness{ask: func(name string) []byte { return ask(cenoteAddr, name) }}
	if w.listed, err = firstNames(filepath.Join(r.dir, "q.blocked"), witnessNames); err != nil {
		return nil, err
	}
	w.clean, err = firstNames(filepath.Join(r.dir, "q.clean"), witnessNames)
	return w, err
}

// watch asks until ctx ends.
func (w *witness) watch(ctx context.Context) {
	for ctx.Err() == nil {
		w.look(w.listed[w.asked/2%len(w.listed)], sinkAddr[:])
		w.look(w.clean[w.asked/2%len(w.clean)], truthAddr[:])
		time.Sleep(witnessPause)
	}
}

// look asks for one name, whose answer has an address in it and no other.
func (w *witness) look(name string, address []byte) {
	w.asked++
	switch reply := w.ask(name); {
	case reply == nil:
		w.silent++
	case wire.Count(reply, 1) != 1 || !bytes.Contains(reply, address):
		if w.wrong++; w.first == "" {
			w.first = name
		}
	}
}

// text is what the page says of it.
func (w *witness) text() string {
	said := fmt.Sprintf("of %s answers looked at one by one %d wrong, %d late", thousands(float64(w.asked)), w.wrong, w.silent)
	if w.wrong > 0 {
		said += " (the first wrong one for " + w.first + ")"
	}
	return said
}
