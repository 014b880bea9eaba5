package config

import (
	"net/netip"
	"time"
)

// Upstream is one resolver that names are forwarded to.
type Upstream struct {
	// Address is the IP address and port of the resolver. Without a port it is 53.
	Address netip.AddrPort `yaml:"address" port:"53" required:"true" short:"true" example:"192.0.2.53:53"`
	// Trusted believes the upstream when it says that an answer is validated (AD): it validates, and nobody can forge on the way to it.
	Trusted bool `yaml:"trusted" default:"false"`
	// TLS is the name in the certificate of the resolver, which is then asked by TLS alone (mostly at port 853), and not at all if its certificate is not
	// for that name.
	TLS string `yaml:"tls" pattern:"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.]?)+$" example:"dns.example"`
}

// Resolver says how upstreams are asked.
type Resolver struct {
	// HostUpstreams uses the name servers of /etc/resolv.conf where `upstreams` is empty.
	HostUpstreams bool `yaml:"host_upstreams" default:"false"`
	// Timeout is how long one try may take before the question is sent again, to another upstream if there is one. One that is known to
	// be quick gets less.
	Timeout time.Duration `yaml:"timeout" default:"800ms" min:"50ms" max:"30s"`
	// Total is how long a question may take in all. After it the client gets SERVFAIL, and after 5s in any case; a question that may take
	// longer goes on for those who ask next.
	Total time.Duration `yaml:"total" default:"5s" min:"100ms" max:"1m"`
	// StaleWait is how long a client waits before it gets an answer past its time, if there is one. 0 gives it at once, while a new one is
	// asked for.
	StaleWait time.Duration `yaml:"stale_wait" default:"1800ms" min:"0s" max:"1m"`
	// Tries is how often a question is sent, to all upstreams together.
	Tries int `yaml:"tries" default:"4" min:"1" max:"16"`
	// RandomCase sends names in random letter case, which an answer must repeat; it makes forged answers harder. Upstreams that do not
	// keep the case are found out by themselves.
	RandomCase bool `yaml:"random_case" default:"true"`
	// Outstanding is how many different questions are asked at a time. Above it clients get SERVFAIL.
	Outstanding int `yaml:"outstanding" default:"4096" min:"1" max:"100000"`
	// Idle is how long a TCP connection to an upstream is kept for the next question.
	Idle time.Duration `yaml:"idle" default:"10s" min:"100ms" max:"10m"`
	// CAFile holds the certificates, as PEM, that may vouch for upstreams asked by TLS in place of those that the host trusts.
	CAFile Path `yaml:"ca_file" example:"/etc/cenote/resolvers-ca.pem"`
	// Relearn is how long it is believed that an upstream does not keep letter case or does not speak EDNS.
	Relearn time.Duration `yaml:"relearn" default:"10m" min:"1s" max:"1d"`
	// Slow has questions that took longer written into the log, with what they cost: name, type, time, queries sent, the server asked last and the
	// reason, at most ten a second. 0 turns it off; names of clients' questions are then in no log but the query log.
	Slow time.Duration `yaml:"slow" default:"0s" min:"0s" max:"1m" example:"2s"`
	// Notes are texts that queries to some servers carry, as an EDNS option, for operators of those servers who want to know who asks. Of the networks that an
	// address is in, the smallest counts.
	Notes []Note `yaml:"notes"`
	// Probe says how an upstream that is down is tried again.
	Probe Probe `yaml:"probe"`
	// Limits bound what is open and what waits.
	Limits ResolverLimits `yaml:"limits"`
}

// Note is a text that queries to the servers in a network carry.
type Note struct {
	// Servers is the network.
	Servers netip.Prefix `yaml:"servers" required:"true" shown:"true" example:"198.51.100.0/24"`
	// Text is what they are told.
	Text string `yaml:"text" required:"true" pattern:"^.{1,128}$" shown:"true" example:"customer 4711"`
	// Option is the code of the EDNS option; 65001 is the first of those for local use (RFC 6891).
	Option int `yaml:"option" default:"65001" min:"1" max:"65535"`
}

// Probe says how an upstream that is down is tried again. The pause between two tries doubles.
type Probe struct {
	// First is the first pause.
	First time.Duration `yaml:"first" default:"1s" min:"100ms" max:"1h"`
	// Longest is the longest pause.
	Longest time.Duration `yaml:"longest" default:"1m" min:"100ms" max:"1h"`
}

// ResolverLimits bound what is open and what waits.
type ResolverLimits struct {
	// Waiters is how many clients may wait for one question.
	Waiters int `yaml:"waiters" default:"1024" min:"1" max:"1000000"`
	// PerUpstream is how many tries may be under way at one upstream.
	PerUpstream int `yaml:"per_upstream" default:"2048" min:"1" max:"65535"`
	// Sockets is how many UDP sockets may be open, each for one try.
	Sockets int `yaml:"sockets" default:"4096" min:"1" max:"65535"`
	// Connections is how many TCP connections may be open to one upstream.
	Connections int `yaml:"connections" default:"32" min:"1" max:"10000"`
	// NearMisses is how many packets that are not the reply are ignored before the question is asked again over TCP.
	NearMisses int `yaml:"near_misses" default:"8" min:"1" max:"1000"`
	// Prefetches is how many questions are asked ahead at a time.
	Prefetches int `yaml:"prefetches" default:"16" min:"1" max:"10000"`
	// PrefetchQueue is how many more may wait for that. Above it an answer is fetched when it is asked for.
	PrefetchQueue int `yaml:"prefetch_queue" default:"256" min:"1" max:"100000"`
}

// Cache keeps answers of upstreams in memory.
type Cache struct {
	// Size is how much memory the answers may take. A reload that makes it smaller drops what does not fit, least asked for first.
	Size Size `yaml:"size" default:"256MiB" min:"1MiB" max:"1TiB"`
	// TTLMin keeps answers at least so long.
	TTLMin time.Duration `yaml:"ttl_min" default:"0s" min:"0s" max:"1h"`
	// TTLMax keeps answers at most so long.
	TTLMax time.Duration `yaml:"ttl_max" default:"1d" min:"1s" max:"1w"`
	// NegativeTTLMin keeps answers that a name or type does not exist at least so long; `ttl_min` counts for them too.
	NegativeTTLMin time.Duration `yaml:"negative_ttl_min" default:"0s" min:"0s" max:"1h"`
	// NegativeTTLMax keeps answers that a name or type does not exist at most so long (RFC 2308).
	NegativeTTLMax time.Duration `yaml:"negative_ttl_max" default:"1h" min:"1s" max:"1d"`
	// FailureTTL is how long it is remembered that no upstream had an answer (RFC 9520), so that a dead name is not asked for again and
	// again. That no upstream could be reached says nothing about a name and is not remembered for it.
	FailureTTL time.Duration `yaml:"failure_ttl" default:"2s" min:"1s" max:"5s"`
	// AnswerMax is the longest answer that is kept.
	AnswerMax Size `yaml:"answer_max" default:"16KiB" min:"512B" max:"16KiB"`
	// Keep writes the answers into the state directory when the server stops, and reads them when it starts, in the background. They age meanwhile. What
	// was answered by others than are asked now, or under other trust anchors, is not read.
	Keep bool `yaml:"keep" default:"false"`
	// Stale says what happens to answers past their time.
	Stale Stale `yaml:"stale"`
	// Prefetch refreshes an answer that is asked for in the last part of its life. 0% turns it off.
	Prefetch Percent `yaml:"prefetch" default:"10%" min:"0%" max:"50%"`
}

// Stale is serving answers past their time when no upstream answers (RFC 8767).
type Stale struct {
	// Max is how long past its time an answer may be served; 0 turns it off.
	Max time.Duration `yaml:"max" default:"1d" min:"0s" max:"1w"`
	// TTL is what a stale answer says of its life.
	TTL time.Duration `yaml:"ttl" default:"30s" min:"1s" max:"1h"`
	// Hold is for how long a stale answer is given at once after asking upstreams for it has failed.
	Hold time.Duration `yaml:"hold" default:"30s" min:"1s" max:"1h"`
}
