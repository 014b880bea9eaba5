package dnssec_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/miekg/dns"
)

// cases is how many random zones a test looks at: a slice, or as many as CENOTE_CASES says.
func cases(t *testing.T, few int) int {
	s := os.Getenv("CENOTE_CASES")
	if s == "" {
		return few
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("CENOTE_CASES: %v", err)
	}
	return n
}

func worldKinds() []worldKind {
	return []worldKind{{}, {nsec3: true}, {nsec3: true, salt: "aabb", rounds: 3}, {nsec3: true, optOut: true, salt: "cc", rounds: 1}}
}

// eachWorld calls check with random zones of each kind.
func eachWorld(t *testing.T, few int, check func(t *testing.T, r *rand.Rand, w *world, lines string)) {
	key := ecSigner(t, "example.", 257)
	for seed := range cases(t, few) {
		for _, kind := range worldKinds() {
			r := rand.New(rand.NewSource(int64(seed)))
			lines := randomLines(r)
			w := newWorld(t, key, "example.", kind, lines)
			check(t, r, w, fmt.Sprintf("seed %d, %v:\n%s", seed, kind, lines))
			if t.Failed() {
				return
			}
		}
	}
}

// TestTrueAnswersAreSecure holds that the answer of an honest server, with no more proofs than it needs, is Secure; where the proof runs under
// opt-out, Insecure.
func TestTrueAnswersAreSecure(t *testing.T) {
	seen := map[string]int{}
	eachWorld(t, 15, func(t *testing.T, r *rand.Rand, w *world, about string) {
		for range 60 {
			q, qtype := randomQuestion(r, w.apex)
			seen[w.holdTruth(t, q, qtype, about)]++
		}
	})
	for _, kind := range []string{"data secure", "alias secure", "no data secure", "name error secure", "name error insecure", "no data insecure"} {
		if seen[kind] == 0 {
			t.Errorf("no question was one of the kind %q (%v)", kind, seen)
		}
	}
}

// holdTruth fails where the answer of an honest server is not Secure, nor Insecure by opt-out. It says what kind of answer was called what; nothing where the zone has no answer
// of its own.
func (w *world) holdTruth(t testing.TB, q dnsname.Name, qtype uint16, about string) string {
	reply, ok := w.honest(q, qtype)
	if !ok || q == w.apex && qtype == dns.TypeDS || w.unprovable(q) {
		return ""
	}
	got := w.judge(q, qtype, reply)
	if got.Status != dnssec.Secure && !(got.Status == dnssec.Insecure && w.optOut && !w.inChainAs(q)) {
		t.Fatalf("%s\n%s %d (%v): %v", about, text(q), qtype, reply.claim(qtype), got)
	}
	return fmt.Sprint(reply.claim(qtype).kind, " ", got.Status)
}

// inChainAs reports whether a name that exists has a record of the chain of its own.
func (w *world) inChainAs(n dnsname.Name) bool { return w.exists[n] && w.inChain(n) }

// TestNoFalseAnswerIsSecure holds that whoever can only replay and change what the zone and a zone below it with the same key have signed,
// makes nothing Secure that is not true, and nothing Insecure but what opt-out leaves open.
func TestNoFalseAnswerIsSecure(t *testing.T) {
	lies, secure := 0, 0
	eachWorld(t, 6, func(t *testing.T, r *rand.Rand, w *world, about string) {
		f := newForger(t, r, w)
		for range 500 {
			q, qtype := randomQuestion(r, w.apex)
			lie, believed := f.tell(q, qtype, about)
			if lie {
				lies++
			}
			if believed {
				secure++
			}
		}
	})
	if lies < 1000 || secure < 100 {
		t.Errorf("%d lies were told and %d truths; the test is too easy", lies, secure)
	}
}

// tell says something about a question, and fails where that is believed and not true. It reports whether it was a lie, and whether it was believed.
func (f *forger) tell(q dnsname.Name, qtype uint16, about string) (lie, believed bool) {
	w := f.w
	reply := f.reply(q, qtype)
	got, said := w.judge(q, qtype, reply), reply.claim(qtype)
	is, _ := w.truth(q, qtype)
	if q == w.apex && qtype == dns.TypeDS {
		is = claim{kind: "of the parent"}
	}
	if got.Status == dnssec.Secure && said != is {
		f.t.Fatalf("%s\n%s %d: %v is believed, and it is %v; proofs:%s", about, text(q), qtype, said, is, w.show(reply.proofs))
	}
	if got.Status == dnssec.Insecure && !w.leftOpen(q) {
		f.t.Fatalf("%s\n%s %d: %v is taken for insecure (%v), and it is %v", about, text(q), qtype, said, got, is)
	}
	return said != is, got.Status == dnssec.Secure
}

// TestNoSignedDelegationLooksUnsigned holds that nobody strips a DS set, whatever he replays, and that what Unsigned says of a cut is true.
func TestNoSignedDelegationLooksUnsigned(t *testing.T) {
	seen := map[dnssec.Cut]int{}
	eachWorld(t, 6, func(t *testing.T, r *rand.Rand, w *world, about string) {
		f := newForger(t, r, w)
		for i := range 400 {
			q, _ := randomQuestion(r, w.apex)
			seen[f.cut(q, i%2 == 0, about)]++
		}
	})
	for c := dnssec.CutUnknown; c <= dnssec.CutAbsent; c++ {
		if seen[c] == 0 {
			t.Errorf("no name was %v (%v)", c, seen)
		}
	}
}

// cut has Unsigned look at a name, with the proofs of an honest server or with some that the forger likes, and fails where what it says is wrong.
func (f *forger) cut(q dnsname.Name, honest bool, about string) dnssec.Cut {
	w, proofs := f.w, f.proofs()
	at, how := w.above(q)
	if honest && how != "dname" && (how == "" || at == q) {
		proofs = w.prove(q)
	}
	work := &dnssec.Work{Signatures: 100, Failures: 100, Hashes: dnssec.HashesMax}
	cut, v := dnssec.NewDenial([]byte(w.apex), w.secure(proofs, work), work).Unsigned([]byte(q))
	if wrong := w.wrongCut(q, cut, v); wrong != "" {
		f.t.Fatalf("%s\n%s: %s (%v, %v); proofs:%s", about, text(q), wrong, cut, v, w.show(proofs))
	}
	return cut
}

// wrongCut says what is wrong with what Unsigned made of a name.
func (w *world) wrongCut(q dnsname.Name, cut dnssec.Cut, v dnssec.Verdict) string {
	at, how := w.above(q)
	switch {
	case v.Status == dnssec.Bogus && cut == dnssec.CutUnknown:
	case v.Status == dnssec.Insecure:
		if cut != dnssec.CutDelegation || !w.leftOpen(q) {
			return "it is not left open by opt-out"
		}
	case v.Status != dnssec.Secure:
		return "there is no such status"
	case cut == dnssec.CutDelegation && (how != "cut" || at != q || w.sets[q][dns.TypeDS] != nil):
		return "it is no delegation without DS"
	case cut == dnssec.CutNone && (q == w.apex || !w.exists[q] || how != ""):
		return "it does not exist, or is a delegation"
	case cut == dnssec.CutAbsent && (w.exists[q] || how != ""):
		return "it exists, or is below something"
	case cut == dnssec.CutUnknown:
		return "it cannot be secure and unknown"
	}
	return ""
}

// leftOpen reports whether opt-out leaves open what is at a name: it has no record of the chain, nor is it in the zone by a cut or DNAME that has.
func (w *world) leftOpen(q dnsname.Name) bool {
	if !w.optOut || w.inChainAs(q) {
		return false
	}
	at, how := w.above(q)
	return how == "" || how == "cut" && !w.inChain(at)
}

func (w *world) show(sets []*dnssec.Set) string {
	var b bytes.Buffer
	for _, s := range sets {
		fmt.Fprintf(&b, "\n  %s %d %q", text(dnsname.Name(s.Name)), s.Type, s.RData)
	}
	return b.String()
}

// forger has all that was ever signed in reach, and no key.
type forger struct {
	t     testing.TB
	r     *rand.Rand
	w     *world
	links []*dnssec.Set // of the chains of the zone and of one below it
	sets  []*dnssec.Set // of both
}

func newForger(t testing.TB, r *rand.Rand, w *world) *forger {
	f := &forger{t: t, r: r, w: w}
	below := newWorld(t, w.key, "a.example.", worldKind{nsec3: w.hash != "", salt: w.salt, rounds: w.rounds}, randomLines(r))
	for _, one := range []*world{w, below} {
		f.links = append(f.links, one.chain...)
		for _, n := range slices.SortedFunc(maps.Keys(one.signed), dnsname.Compare) {
			for _, rtype := range slices.Sorted(maps.Keys(one.signed[n])) {
				f.sets = append(f.sets, one.signed[n][rtype])
			}
		}
	}
	return f
}

// proofs are some records of the chains, now and then one of them under another name, changed or without its signature.
func (f *forger) proofs() []*dnssec.Set {
	out := make([]*dnssec.Set, f.r.Intn(9))
	for i := range out {
		out[i] = f.links[f.r.Intn(len(f.links))]
		if f.r.Intn(12) == 0 {
			out[i] = f.spoil(out[i])
		}
	}
	return out
}

// spoil changes something in a set.
func (f *forger) spoil(s *dnssec.Set) *dnssec.Set {
	c := clone(s)
	switch f.r.Intn(5) {
	case 0:
		c.Name, _ = f.name()
	case 1:
		data := c.RData[f.r.Intn(len(c.RData))]
		data[f.r.Intn(len(data))] ^= 1 << f.r.Intn(8)
	case 2:
		sig := c.Sigs[0]
		sig[f.r.Intn(len(sig))] ^= 1 << f.r.Intn(8)
	case 3:
		c.RData = c.RData[1:]
	case 4:
		c.Sigs = nil
	}
	return c
}

func (f *forger) name() ([]byte, uint16) {
	n, qtype := randomQuestion(f.r, f.w.apex)
	return []byte(n), qtype
}

// reply is a lie, or the truth with something changed, or what others have signed under the name that was asked for.
func (f *forger) reply(q dnsname.Name, qtype uint16) reply {
	honest, ok := f.w.honest(q, qtype)
	if ok && f.r.Intn(3) == 0 {
		return f.change(honest)
	}
	out := reply{nx: f.r.Intn(2) == 0, proofs: f.proofs()}
	if f.r.Intn(2) == 0 {
		s := *f.sets[f.r.Intn(len(f.sets))]
		s.Name = []byte(q)
		if f.r.Intn(2) == 0 {
			s.Type = qtype
		}
		out.answer = &s
	}
	return out
}

// change changes one thing in a true reply.
func (f *forger) change(r reply) reply {
	switch f.r.Intn(5) {
	case 0:
		r.nx = !r.nx
	case 1:
		if r.answer != nil {
			r.answer = f.spoil(r.answer)
		}
	case 2:
		r.answer = nil
	case 3:
		r.proofs = f.proofs()
	case 4:
		if len(r.proofs) > 0 {
			r.proofs = slices.Delete(slices.Clone(r.proofs), 0, 1)
		}
	}
	return r
}

// TestRangesInferWhatIsTrue holds that ranges from any part of a chain answer nothing but the truth, and from the whole chain everything negative.
func TestRangesInferWhatIsTrue(t *testing.T) {
	inferred := 0
	eachWorld(t, 8, func(t *testing.T, r *rand.Rand, w *world, about string) {
		for _, share := range []int{1, 2} {
			ranges := dnssec.NewRanges([]byte(w.apex), 1000)
			for _, s := range w.chain {
				if r.Intn(share) == 0 && ranges.Add(s, s.TTL, noon) == w.optOut {
					t.Fatalf("%s\nAdd of %q with opt-out %v", about, s.Name, w.optOut)
				}
			}
			for range 100 {
				q, qtype := randomQuestion(r, w.apex)
				is, _ := w.truth(q, qtype)
				got, sets := ranges.Answer([]byte(q), qtype, noon, dnssec.NewWork())
				kind := map[dnssec.Inference]string{dnssec.NameError: "name error", dnssec.NoData: "no data"}[got]
				negative := is.data == "" && is.kind != "cut" && is.kind != "dname" && !(q == w.apex && qtype == dns.TypeDS)
				if got != dnssec.Unknown && kind != is.kind {
					t.Fatalf("%s\n%s %d: inferred %v, and it is %v", about, text(q), qtype, got, is)
				}
				if got == dnssec.Unknown && share == 1 && negative && !w.optOut {
					t.Fatalf("%s\n%s %d: nothing is inferred, and it is %v", about, text(q), qtype, is)
				}
				if got == dnssec.Unknown {
					continue
				}
				inferred++
				for _, s := range sets {
					w.checked[s] = true // they are copies of what is
				}
				if v := w.judge(q, qtype, reply{nx: got == dnssec.NameError, proofs: sets}); v.Status != dnssec.Secure {
					t.Fatalf("%s\n%s %d: the proof of %v is %v:%s", about, text(q), qtype, got, v, w.show(sets))
				}
			}
		}
	})
	if inferred < 1000 {
		t.Errorf("%d answers were inferred; the test is too easy", inferred)
	}
}

// TestRangesExpandWhatIsNotThere holds that ranges prove of a name that the wildcard below one of its ancestors stands for it only if that is so, and from the whole chain
// whenever it is.
func TestRangesExpandWhatIsNotThere(t *testing.T) {
	expanded := 0
	eachWorld(t, 8, func(t *testing.T, r *rand.Rand, w *world, about string) {
		for _, share := range []int{1, 2} {
			ranges := dnssec.NewRanges([]byte(w.apex), 1000)
			for _, s := range w.chain {
				if r.Intn(share) == 0 {
					ranges.Add(s, s.TTL, noon)
				}
			}
			for range 100 {
				q, _ := randomQuestion(r, w.apex)
				closest := q
				for !w.exists[closest] {
					closest = closest.Parent()
				}
				_, how := w.above(q)
				for labels := q.Labels() - 1; labels >= w.apex.Labels(); labels-- {
					encloser := q.Suffix(labels)
					if _, hidden := w.above(encloser); !w.exists[encloser] || hidden != "" || w.sets[encloser][dns.TypeDNAME] != nil {
						continue // no wildcard is below it that could have been found Secure
					}
					sets := ranges.Expanded([]byte(q), []byte(encloser), noon, dnssec.NewWork())
					is := encloser == closest && q != closest && how == ""
					if sets != nil && !is {
						t.Fatalf("%s\n%s is said to be below %s alone, where %s is, %s", about, text(q), text(encloser), text(closest), how)
					}
					if sets == nil && is && share == 1 && !w.optOut {
						t.Fatalf("%s\n%s: nothing proves that the wildcard below %s stands for it", about, text(q), text(encloser))
					}
					if sets != nil {
						expanded++
					}
				}
			}
		}
	})
	if expanded < 1000 {
		t.Errorf("%d names were proved to have no closer encloser; the test is too easy", expanded)
	}
}
