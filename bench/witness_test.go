package main

import (
	"testing"

	"cenote/wire"
)

// TestWitnessSeesWrongAnswers: an address that is not the name's, an answer without one, and silence are told apart.
func TestWitnessSeesWrongAnswers(t *testing.T) {
	addresses := map[string][]byte{"listed.example": sinkAddr[:], "clean.example": truthAddr[:], "empty.example": nil}
	w := &witness{ask: func(name string) []byte {
		address, known := addresses[name]
		if !known {
			return nil
		}
		return answerOf(t, name, address)
	}}
	w.look("listed.example", sinkAddr[:])
	w.look("clean.example", truthAddr[:])
	if w.asked != 2 || w.wrong != 0 || w.silent != 0 {
		t.Fatalf("right answers: got %+v", w)
	}
	w.look("clean.example", sinkAddr[:])
	w.look("listed.example", truthAddr[:])
	w.look("empty.example", truthAddr[:])
	w.look("nobody.example", truthAddr[:])
	if w.asked != 6 || w.wrong != 3 || w.silent != 1 || w.first != "clean.example" {
		t.Errorf("got %+v, want 3 wrong, the first for clean.example, and 1 silent", w)
	}
}

// answerOf makes the reply of a server that has one address, or none, for a name.
func answerOf(t *testing.T, name string, address []byte) []byte {
	reply, err := encodeQuery(name, wire.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	wire.SetFlags(reply, wire.FlagQR)
	if address != nil {
		reply = wire.AppendRecord(reply, []byte{0xc0, wire.HeaderLen}, wire.TypeA, wire.ClassIN, 1, address)
		wire.SetCount(reply, 1, 1)
	}
	return reply
}
