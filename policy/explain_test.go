package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"cenote/dnsname"
	"cenote/policy"
)

// TestExplanationsEqualWhatIsServed: whoever asks for whatever, in whatever way, the explanation has the winner that is served and marks as recorded what is:
// all types of questions, transports, addresses asked, questions without recursion and for signatures, in views and in zones that mind them.
func TestExplanationsEqualWhatIsServed(t *testing.T) {
	seen := map[string]int{}
	worlds(t, 23, func(t *testing.T, r *rand.Rand, w *world) (cases int) {
		for range 5 + r.IntN(25) {
			w.add(randomTriggerRule(r, w))
		}
		w.countTriggers()
		p := w.policyOfViews(t, r)
		for range 75 { // a world costs more than its questions
			s := randomScene(r)
			s.qtype = pick(r, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeHTTPS, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeCNAME, dns.TypeANY)
			s.addServices(r)
			q, a := s.ask(t, expiryHour+r.Int64N(5)-2)
			q.RD, q.DO = r.IntN(3) > 0, r.IntN(2) == 0
			q.Transport, q.Local = pick(r, policy.TransportUDP, policy.TransportTCP), netip.MustParseAddrPort(pick(r, "192.0.2.53:53", "192.0.2.54:53", "192.0.2.54:54"))
			if r.IntN(6) == 0 {
				a.Msg = nil
			}
			d := p.CheckAnswer(q, a, p.CheckQuery(q))
			e := p.Explain(q, a)
			checkSceneExplanation(t, w, &s, &d, &e)
			note(seen, q, &d, &e)
			cases++
		}
		return cases
	})
	t.Log(seen)
	for _, want := range []string{"target qname", "target pattern", "target recorded", "hint", "spared", "clause answered-early", "view ", "view ways", "view doors"} {
		if seen[want] == 0 {
			t.Errorf("nothing of the kind %q was drawn", want)
		}
	}
}

// policyOfViews makes a policy of the world's zones in which some mind how a question comes, by default and in views.
func (w *world) policyOfViews(t *testing.T, r *rand.Rand) *policy.Policy {
	t.Helper()
	zones := func() []policy.Zone {
		out := append([]policy.Zone{}, w.zones...)
		for i := range out {
			out[i].RecursiveOnly, out[i].KeepSigned = r.IntN(3) == 0, r.IntN(3) == 0
		}
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out[r.IntN(len(out)):]
	}
	p, err := policy.New(policy.Config{
		Zones: zones(), Index: w.index(t), AnswerEarly: r.IntN(2) == 0, WaitRecurse: r.IntN(4) == 0,
		Views: []policy.View{
			{Name: "ways", Transports: []policy.Transport{policy.TransportTCP}, Zones: zones(), Canary: pick(r, 0, 0.5)},
			{Name: "doors", Listeners: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.54:0")}, Zones: zones(), Shadow: r.IntN(2) == 0},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// addServices adds what else an answer may have at its end: records of services, of which some lead on, and a signature.
func (s *scene) addServices(r *rand.Rand) {
	owner := s.stages[len(s.stages)-1].name
	if s.qtype == dns.TypeHTTPS || s.qtype == dns.TypeSVCB {
		for range r.IntN(4) {
			target := pick(r, randomName(r, 5).String()+".", ".", randomName(r, 3).String()+".")
			record := fmt.Sprintf("%s. %s %d %s", owner, dns.TypeToString[s.qtype], r.IntN(3), target)
			if r.IntN(2) == 0 {
				record = fmt.Sprintf("%s. %s %d %s ipv4hint=%s ipv6hint=%s", owner, dns.TypeToString[s.qtype], 1+r.IntN(3), target,
					pick(r, "192.0.2.1", "192.0.2.9"), pick(r, "2001:db8::1", "2001:db8::1:1"))
			}
			s.more = append(s.more, record)
		}
	}
	if r.IntN(2) == 0 {
		s.more = append(s.more, owner.String()+". RRSIG A 13 2 300 20300101000000 20200101000000 1 example. AAAA")
	}
}

// note counts what kinds of cases were drawn.
func note(seen map[string]int, q *policy.Request, d *policy.Decision, e *policy.Explanation) {
	seen["view "+e.View]++
	seen["clause "+e.Clause.String()]++
	if d.Winner.Link != 0 {
		seen["target "+d.Winner.Trigger.String()]++
	}
	for _, h := range d.Recorded() {
		if h.Link != 0 {
			seen["target recorded"]++
		}
	}
	if d.Winner.Trigger == policy.TriggerIP && (q.Type == dns.TypeHTTPS || q.Type == dns.TypeSVCB) {
		seen["hint"]++
	}
	for _, z := range e.Zones {
		for _, c := range z.Candidates {
			if c.Status == policy.StatusSpared {
				seen["spared"]++
			}
		}
	}
}

// TestExplainLooksAtTargets: the names that records of services lead to are steps of their own, and their addresses are among those that are answered.
func TestExplainLooksAtTargets(t *testing.T) {
	w := state(t, "zone block: one\nfeed one: subtree bad.example, exact far.example")
	key := policy.AppendPrefixKey(nil, policy.TriggerIP, netip.MustParsePrefix("192.0.2.0/24"))
	w.add(rule{name: dnsname.Name(key), member: policy.Member{Confidence: policy.ConfidenceUnknown}})
	w.countTriggers()
	p := w.policy(t)
	for _, tc := range []struct {
		name    string
		records []string
		winner  string
		targets []string
		ips     int
	}{
		{"service", []string{"www.example. HTTPS 1 . alpn=h2", "www.example. HTTPS 2 x.bad.example."}, "bad.example", []string{"1 record 2 x.bad.example"}, 0},
		{"alias", []string{"www.example. HTTPS 0 far.example."}, "far.example", []string{"1 record 1 far.example"}, 0},
		{"behind a CNAME", []string{"www.example. CNAME b.example.", "b.example. HTTPS 1 far.example."}, "far.example", []string{"2 record 2 far.example"}, 0},
		{"two targets", []string{"www.example. HTTPS 1 far.example.", "www.example. HTTPS 2 bad.example."}, "far.example",
			[]string{"1 record 1 far.example", "1 record 2 bad.example"}, 0},
		{"hint", []string{"www.example. HTTPS 1 far.example. ipv4hint=192.0.2.7"}, "192.0.2.0/24", []string{"1 record 1 far.example"}, 1},
		{"nothing listed", []string{"www.example. HTTPS 1 good.example."}, "", nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := ask(dnsname.MustParse("www.example"), 1)
			q.Type = dns.TypeHTTPS
			e := p.Explain(q, &policy.Answer{Msg: answer(t, "www.example", true, tc.records...)})
			winner := ""
			if e.Winner != nil {
				winner = e.Winner.Listed
			}
			var targets []string
			for _, g := range e.Chain {
				if g.Record > 0 {
					targets = append(targets, fmt.Sprintf("%d record %d %s", g.Stage, g.Record, g.Name))
				}
			}
			ips := 0
			for _, z := range e.Zones {
				for _, c := range z.Candidates {
					if c.Trigger == policy.TriggerIP {
						ips++
					}
				}
			}
			if winner != tc.winner || fmt.Sprint(targets) != fmt.Sprint(tc.targets) || ips != tc.ips {
				t.Errorf("winner %q, targets %q, %d addresses; want %q, %q, %d", winner, targets, ips, tc.winner, tc.targets, tc.ips)
			}
		})
	}
}
