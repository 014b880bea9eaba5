package dnssec_test

import (
	"fmt"
	"math/rand"
	"testing"
)

// octets makes choices out of octets, one of each, so that a fuzzer that changes an octet changes one choice. Once they are used up it always chooses the
// first. It is a rand.Source.
type octets struct{ rest []byte }

// Int63 puts the octet where rand.Rand looks for a small number.
func (o *octets) Int63() int64 {
	if len(o.rest) == 0 {
		return 0
	}
	b := o.rest[0]
	o.rest = o.rest[1:]
	return int64(b) << 32
}

// Seed does nothing.
func (o *octets) Seed(int64) {}

// askedEach is how many questions one input asks at most.
const askedEach = 40

// FuzzVerdict holds the verdict against what the signer of a zone knows: honest answers are Secure, and whoever can only replay and change what was signed makes nothing
// Secure that is not true, nothing Insecure but what opt-out leaves open, and no signed delegation look unsigned. One part of the input makes the zone and one below it, the
// other says what is asked and what a forger does.
func FuzzVerdict(f *testing.F) {
	for kind := range worldKinds() {
		for seed := range int64(4) {
			r := rand.New(rand.NewSource(seed))
			zone, lies := make([]byte, 120), make([]byte, 400)
			r.Read(zone)
			r.Read(lies)
			f.Add(byte(kind), zone, lies)
		}
	}
	key := fixedSigner("example.")
	f.Fuzz(func(t *testing.T, kind byte, zone, lies []byte) {
		kinds := worldKinds()
		made, told := rand.New(&octets{zone}), &octets{lies}
		lines := randomLines(made)
		w := newWorld(t, key, "example.", kinds[int(kind)%len(kinds)], lines)
		forger := newForger(t, made, w)
		forger.r = rand.New(told)
		about := fmt.Sprintf("%v:\n%s", kinds[int(kind)%len(kinds)], lines)
		for n := 0; n < askedEach && len(told.rest) > 0; n++ {
			q, qtype := randomQuestion(forger.r, w.apex)
			forger.tell(q, qtype, about)
			w.holdTruth(t, q, qtype, about)
			forger.cut(q, n%2 == 0, about)
		}
	})
}
