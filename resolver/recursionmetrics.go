package resolver

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// rootward is the metrics of names that are looked for from the root down.
type rootward struct {
	questions, packets, referrals, delegations, servers, trusts, signatures, hashes, slow, inferred, told, scopedHits, scoped *prometheus.Desc
}

func newRootward() rootward {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cenote_resolver_"+name, help, labels, nil)
	}
	return rootward{
		questions: desc("questions_total", "Questions whose answer was looked for from the root down, by what came of them and the number of the extended error. Look when bogus or failed rises: the number says why, and cenote resolve --trace shows it for a name.", "outcome", "ede"),
		packets: desc("packets_total", "Queries sent to servers of zones, by what for and transport. Look when address rises: delegations without addresses cost most. Far more of them than of asked_total says that somebody's zones make work.",
			"purpose", "transport"),
		referrals:   desc("referrals_total", "Steps down from a zone to one that it delegates."),
		delegations: desc("delegations", "Delegations that are kept."),
		servers:     desc("servers", "Servers of zones of which it is kept how they answer."),
		trusts:      desc("trusts", "Names of which it is kept whether they lie in a signed zone."),
		signatures:  desc("signatures_total", "Signatures verified. The processor's time goes there; look when it rises faster than the questions."),
		hashes:      desc("hashes_total", "Blocks of 64 octets hashed for NSEC3: a name has one and one for each iteration, more if it or the salt is long. Look when it rises faster than the questions."),
		inferred:    desc("inferred_total", "Questions answered without a query: by what a zone has proved before (proof, RFC 8198), or below a name that is not there (absent, recursion.nothing_below).", "by"),
		told:        desc("subnet_queries_total", "Queries that told the servers of a zone the network of a client (recursion.subnets)."),
		scopedHits:  desc("subnet_hits_total", "Questions answered by what is kept for the client's network."),
		scoped:      desc("subnet_answers", "Answers that are kept for some networks of clients alone."),
		slow:        desc("slow_questions_total", "Questions that took longer than resolver.slow. The log has some of them."),
	}
}

func (m *rootward) all() []*prometheus.Desc {
	return []*prometheus.Desc{m.questions, m.packets, m.referrals, m.delegations, m.servers, m.trusts, m.signatures, m.hashes, m.slow, m.inferred, m.told, m.scopedHits, m.scoped}
}

// collect gives only those questions that there were: most extended errors never come. Names that are forwarded have none of this but slow ones.
func (m *rootward) collect(ch chan<- prometheus.Metric, r *Resolver) {
	c := &r.counts
	counter(ch, m.slow, c.slow.Load())
	if r.state.Load().config.Recursion == nil {
		return
	}
	for end := range endings {
		for code := range edeKinds {
			if n := c.questions[end][code].Load(); n > 0 || code == edeKinds-1 {
				counter(ch, m.questions, n, end.String(), edeLabel(code))
			}
		}
	}
	for p := range purposes {
		for i, transport := range [transports]string{"udp", "tcp", "tls"} {
			counter(ch, m.packets, c.packets[p][i].Load(), p.String(), transport)
		}
	}
	counter(ch, m.referrals, c.referrals.Load())
	counter(ch, m.signatures, c.signatures.Load())
	counter(ch, m.hashes, c.hashes.Load())
	counter(ch, m.inferred, c.inferred.Load(), "proof")
	counter(ch, m.inferred, c.belowAbsent.Load(), "absent")
	counter(ch, m.told, c.subnetsTold.Load())
	counter(ch, m.scopedHits, c.scopedHits.Load())
	gauge(ch, m.scoped, float64(r.scoped.len()))
	gauge(ch, m.delegations, float64(r.cuts.len()))
	gauge(ch, m.servers, float64(r.authorities.len()))
	gauge(ch, m.trusts, float64(r.trusts.len()))
}

// edeLabel is the label for an extended error: the last stands for all that are not told apart, and for none.
func edeLabel(code int) string {
	if code == edeKinds-1 {
		return "none"
	}
	return strconv.Itoa(code)
}
