package config

import (
	"net/netip"
	"time"

	"cenote/dnsname"
)

// Listen is one address on which DNS is served.
type Listen struct {
	// Address is the IP address and port to serve on. Without a port it is 53. The wildcards 0.0.0.0 and [::] serve
	// every address of the host, and a reply leaves from the address that was asked.
	Address netip.AddrPort `yaml:"address" port:"53" required:"true" short:"true" example:"192.0.2.1:53"`
	// UDP serves DNS over UDP on the address.
	UDP bool `yaml:"udp" default:"true"`
	// TCP serves DNS over TCP on the address. Clients need it for answers that do not fit a datagram.
	TCP bool `yaml:"tcp" default:"true"`
	// TLS has the address serve DNS over TLS (RFC 7858) in place of UDP and TCP; clients look for it at port 853. Zones are sent over it too (RFC 9103), to
	// secondaries that speak TLS 1.3.
	TLS ListenTLS `yaml:"tls"`
}

// ListenTLS is the certificate of an address. Its files are followed: new ones are served within three seconds of a change, and while they are wrong the
// certificate before is.
type ListenTLS struct {
	// Cert is a file with the certificate, as PEM, and behind it those that vouch for it.
	Cert Path `yaml:"cert" example:"/etc/cenote/dns.example.pem"`
	// Key is a file with its private key, as PEM. Whoever can read it can pass for this server.
	Key Path `yaml:"key" example:"/etc/cenote/dns.example.key"`
}

// Encrypted reports whether the address serves DNS over TLS, and nothing else.
func (l Listen) Encrypted() bool { return l.TLS != ListenTLS{} }

// Datagrams reports whether the address serves UDP.
func (l Listen) Datagrams() bool { return l.UDP && !l.Encrypted() }

// Access says who may ask. Addresses are those of the sender of the packet.
type Access struct {
	// Allow are the networks that may ask. The default is the loopback, private, shared (RFC 6598) and link-local ranges.
	Allow []netip.Prefix `yaml:"allow" default:"[127.0.0.0/8, '::1/128', 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16, 'fc00::/7', 'fe80::/10']" example:"[127.0.0.0/8, 198.51.100.0/24, '2001:db8::/32']"`
	// Deny are networks inside Allow that may not ask. The longest prefix decides.
	Deny []netip.Prefix `yaml:"deny" example:"[198.51.100.128/25]"`
	// Refuse is what everybody else gets: `refused` is an answer with RCODE REFUSED, `drop` is no answer,
	// and no connection. A few connections of theirs at a time are refused so, for tcp.read each; they take no place under tcp.connections.
	Refuse Refusal `yaml:"refuse" default:"refused"`
}

// RateLimit bounds the queries over UDP of one client network. Over the rate, every second reply is an empty one with TC
// set, so that a client with a real address comes back over TCP; the rest get nothing. TCP clients and those with a valid
// cookie are not limited.
type RateLimit struct {
	// Enabled turns the limit on.
	Enabled bool `yaml:"enabled" default:"true"`
	// Queries is the lasting rate of one client network.
	Queries Rate `yaml:"queries" default:"500/s" min:"1/m" max:"1000000/s" example:"100/s"`
	// Burst is how many queries a network that was quiet may send at once.
	Burst int `yaml:"burst" default:"1000" min:"1" max:"1000000"`
	// IPv4Prefix is how many bits of an IPv4 address make a client network.
	IPv4Prefix int `yaml:"ipv4_prefix" default:"32" min:"8" max:"32" example:"24"`
	// IPv6Prefix is how many bits of an IPv6 address make a client network.
	IPv6Prefix int `yaml:"ipv6_prefix" default:"56" min:"16" max:"128" example:"64"`
	// Slip is which share of the queries over the rate gets a truncated reply: 1 is every one, 2 every second, 0 none.
	Slip int `yaml:"slip" default:"2" min:"0" max:"100"`
	// Networks is how many client networks are tracked at a time, eight octets each.
	Networks int `yaml:"networks" default:"65536" min:"1024" max:"16777216"`
	// Exempt are networks without a limit, for instance a mail relay or another resolver.
	Exempt []netip.Prefix `yaml:"exempt" default:"[127.0.0.0/8, '::1/128']" example:"[198.51.100.25/32]"`
}

// Cookies are DNS cookies (RFC 7873 and 9018).
type Cookies struct {
	// Enabled answers a client's cookie with ours.
	Enabled bool `yaml:"enabled" default:"true"`
	// SecretFile holds secrets of 16 octets, each as 32 hexadecimal digits on a line of its own. Servers that answer for one address
	// share them: the first makes cookies, all are accepted. A reload reads it again. Without the file the server makes its own secret, which a
	// restart changes.
	SecretFile Path `yaml:"secret_file" example:"/etc/cenote/cookie.secret"`
	// Rotate is how long a secret that the server made itself is used; the one before stays valid for as long again.
	Rotate time.Duration `yaml:"rotate" default:"1d" min:"1h" max:"4w"`
}

// LocalZones are names that are answered here and never asked upstream. Policy comes first: a listed name below one of them
// is answered by its rule, and recorded.
type LocalZones struct {
	// SpecialUse answers the names that must not leak: private reverse zones (RFC 6303), localhost, invalid and test
	// (RFC 6761), onion (RFC 7686) and home.arpa (RFC 8375).
	SpecialUse bool `yaml:"special_use" default:"true"`
	// ResolverARPA denies resolver.arpa (RFC 9462), so that clients do not move to an encrypted resolver found through it.
	ResolverARPA bool `yaml:"resolver_arpa" default:"true"`
	// UseApplicationDNS denies use-application-dns.net, which tells browsers to keep the network's resolver.
	UseApplicationDNS bool `yaml:"use_application_dns" default:"true"`
	// PrivateRelay denies the names by which a device finds a relay that takes its queries past this server. The user is told by
	// the device; make sure that your network's terms cover it.
	PrivateRelay bool `yaml:"private_relay" default:"false"`
	// MinimalANY answers questions of type ANY with one word, a record of type HINFO, in place of all that there is of a name (RFC 8482), which mostly those
	// ask for who want large answers sent to somebody else.
	MinimalANY bool `yaml:"minimal_any" default:"true"`
	// Deny are further names that, with everything below them, do not exist here.
	Deny []dnsname.Name `yaml:"deny" example:"[doh.example, relay.example]"`
	// Except are names of the special-use kind that your network serves itself, such as its private reverse zones; they are asked
	// upstream.
	Except []dnsname.Name `yaml:"except" example:"[10.in-addr.arpa]"`
	// Identity is what id.server and hostname.bind (class CH) tell. Empty refuses the question.
	Identity string `yaml:"identity" example:"resolver-1"`
	// NSID is what clients are told that ask by the EDNS option of that name (RFC 5001), to tell servers behind one address apart. At most 32 octets; empty
	// tells them nothing.
	NSID string `yaml:"nsid" example:"resolver-1"`
	// Version is what version.bind and version.server (class CH) tell. Empty refuses the question.
	Version string `yaml:"version" example:"cenote"`
}

// TCP bounds the connections of clients (RFC 7766).
type TCP struct {
	// Connections is how many connections are open at once. Above it the one that was idle longest is closed.
	Connections int `yaml:"connections" default:"4096" min:"1" max:"1000000"`
	// PerClient is how many of them one client network (see rate_limit.ipv4_prefix) may hold.
	PerClient int `yaml:"per_client" default:"64" min:"1" max:"100000"`
	// Pipeline is how many queries of one connection are worked on at once; further ones wait in the socket.
	Pipeline int `yaml:"pipeline" default:"64" min:"1" max:"4096"`
	// Idle is how long a connection without a query stays open.
	Idle time.Duration `yaml:"idle" default:"10s" min:"100ms" max:"10m"`
	// KeepAlive tells clients with EDNS how long that is (RFC 7828).
	KeepAlive bool `yaml:"keepalive" default:"true"`
	// Read is how long a client may take to send one query once it has begun.
	Read time.Duration `yaml:"read" default:"3s" min:"100ms" max:"1m"`
	// Write is how long a client may take to accept one reply.
	Write time.Duration `yaml:"write" default:"3s" min:"100ms" max:"1m"`
}

// Limits bound the work of the server as a whole.
type Limits struct {
	// Workers is how many workers read UDP, each with a socket of its own; 0 is one a core.
	Workers int `yaml:"workers" reload:"restart" default:"0" min:"0" max:"1024"`
	// Steering is how the kernel chooses the worker for a UDP query: by chance, or by the core on which the query came in, which leaves cores
	// no lock to share where the network card spreads queries over as many cores as there are workers.
	Steering Steering `yaml:"steering" reload:"restart" default:"random"`
	// Waiting is how many queries wait for an upstream at once. Above it clients get SERVFAIL at once.
	Waiting int `yaml:"waiting" default:"10000" min:"1" max:"1000000"`
	// Transfers is how many transfers of zones (`zones[].allow_transfer`) are sent at once; one client network gets a quarter of them, but at least one. Further
	// ones get SERVFAIL, and secondaries come again.
	Transfers int `yaml:"transfers" default:"10" min:"1" max:"1000"`
	// UDPSize is the largest UDP reply, in octets; a larger answer is truncated and the client comes back over TCP.
	UDPSize int `yaml:"udp_size" default:"1232" min:"512" max:"4096"`
	// ReceiveBuffer is the kernel's buffer of each UDP socket, in which bursts wait.
	ReceiveBuffer Size `yaml:"receive_buffer" default:"4MiB" min:"64KiB" max:"1GiB"`
	// Shutdown is how long queries that are being answered may take after SIGTERM.
	Shutdown time.Duration `yaml:"shutdown" default:"5s" min:"0s" max:"5m"`
}
