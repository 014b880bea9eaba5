package main

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// allPeers are the peers, each tuned for one core: the caches hold every name of the loads, what is no part of answering is off, and
// the limits that guard a server on the open network are out of the way. Those with -log write a line for each match, as a
// server that records has to (dnsmasq can only write every query); they say something where all queries match.
func allPeers() []peer {
	hits := []string{"hits"}
	unbound := peer{name: "unbound", pkg: "unbound", program: "unbound", list: "unbound.conf", file: "peer.conf", config: unboundText,
		args: []string{"-d", "-c", "${dir}/peer.conf"}, stub: true, vars: map[string]string{"modules": "iterator", "log": "", "local": `include: "${list}"`, "rpz": ""}}
	named := peer{name: "named", pkg: "bind9", program: "named", list: "rpz.zone", file: "peer.conf", config: namedText,
		args: []string{"-f", "-n", "1", "-c", "${dir}/peer.conf"}, vars: map[string]string{"log": "no", "channel": "null"}}
	dnsmasq := peer{name: "dnsmasq", pkg: "dnsmasq-base", program: "dnsmasq", list: "dnsmasq.servers", file: "peer.conf", config: dnsmasqText,
		args: []string{"-k", "-C", "${dir}/peer.conf"}, vars: map[string]string{"log": "log-facility=-"}}
	return []peer{
		unbound,
		unbound.with("unbound-rpz", "rpz.zone", nil, map[string]string{"modules": "respip iterator", "local": "", "rpz": unboundZone}),
		unbound.with("unbound-log", unbound.list, hits, map[string]string{"log": "logfile: \"${dir}/log\"\n  log-local-actions: yes"}),
		named,
		named.with("named-log", named.list, hits, map[string]string{"log": "yes", "channel": "matches"}),
		{name: "pdns-recursor", pkg: "pdns-recursor", program: "pdns_recursor", list: "rpz.zone", file: "recursor.conf", config: recursorText,
			more: map[string]string{"policy.lua": "rpzFile(\"${list}\", {policyName=\"bench\"})\n"}, args: []string{"--config-dir=${dir}"}},
		{name: "knot-resolver", pkg: "knot-resolver", program: "kresd", list: "rpz.zone", file: "peer.conf", config: kresdText,
			args: []string{"-n", "-c", "${dir}/peer.conf", "${dir}"}},
		{name: "dnsdist", pkg: "dnsdist", program: "dnsdist", list: "domains.txt", file: "peer.conf", config: dnsdistText,
			args: []string{"--supervised", "--disable-syslog", "-C", "${dir}/peer.conf"}},
		dnsmasq,
		dnsmasq.with("dnsmasq-log", dnsmasq.list, hits, map[string]string{"log": "log-queries=extra\nlog-async=100\nlog-facility=${dir}/log"}),
		{name: "nsd", pkg: "nsd", program: "nsd", list: "nsd.zone", file: "peer.conf", config: nsdText, args: []string{"-d", "-c", "${dir}/peer.conf"}, scale: true},
	}
}

// with is the peer under another name, with other words in its configuration.
func (p peer) with(name, list string, loads []string, vars map[string]string) peer {
	p.name, p.list, p.loads, p.stub, p.vars = name, list, loads, false, maps.Clone(p.vars)
	maps.Copy(p.vars, vars)
	return p
}

// place is what a configuration has to know of the machine.
type place struct {
	dir      string // the peer's own
	lists    string // where the lists are
	upstream string // address and port
}

// expand puts what the place says, and the peer's own words, into a text.
func (p *peer) expand(text string, at place) string {
	host, upPort, _ := net.SplitHostPort(at.upstream)
	words := map[string]string{"dir": at.dir, "list": filepath.Join(at.lists, p.list), "addr": peerAddr, "port": strconv.Itoa(port), "up": host, "up_port": upPort}
	return os.Expand(text, func(key string) string {
		if text, ok := p.vars[key]; ok {
			return os.Expand(text, func(key string) string { return words[key] })
		}
		return words[key]
	})
}

// files are all files of the peer, by name.
func (p *peer) files(at place) map[string]string {
	out := map[string]string{p.file: p.expand(p.config, at)}
	for name, text := range p.more {
		out[name] = p.expand(text, at)
	}
	return out
}

const unboundText = `server:
  interface: ${addr}@${port}
  access-control: 127.0.0.0/8 allow
  num-threads: 1
  directory: "${dir}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  do-ip6: no
  do-not-query-localhost: no
  module-config: "${modules}"
  minimal-responses: yes
  so-rcvbuf: 4m
  so-sndbuf: 4m
  msg-cache-size: 256m
  rrset-cache-size: 512m
  msg-cache-slabs: 1
  rrset-cache-slabs: 1
  infra-cache-slabs: 1
  key-cache-slabs: 1
  outgoing-range: 8192
  num-queries-per-thread: 4096
  incoming-num-tcp: 1024
  ${log}
  ${local}
remote-control:
  control-enable: no
${rpz}
forward-zone:
  name: "."
  forward-addr: ${up}@${up_port}
stub-zone:
  name: "` + missZone + `"
  stub-addr: ${up}@${up_port}
`

const unboundZone = `rpz:
  name: "bench.rpz"
  zonefile: "${list}"
`

const namedText = `options {
  directory "${dir}";
  listen-on port ${port} { ${addr}; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  managed-keys-directory "${dir}";
  recursion yes;
  allow-query { 127.0.0.0/8; };
  forward only;
  forwarders port ${up_port} { ${up}; };
  dnssec-validation no;
  minimal-responses yes;
  empty-zones-enable no;
  zone-statistics no;
  querylog no;
  notify no;
  max-cache-size 768m;
  recursive-clients 100000;
  clients-per-query 0;
  max-clients-per-query 0;
  tcp-clients 1024;
  response-policy { zone "bench" log ${log}; } qname-wait-recurse no break-dnssec yes;
};
controls { };
logging {
  channel matches { file "${dir}/log"; print-time yes; severity info; buffered yes; };
  category default { default_stderr; };
  category rpz { ${channel}; };
};
zone "bench" { type primary; file "${list}"; masterfile-format text; };
`

const recursorText = `local-address=${addr}
local-port=${port}
allow-from=127.0.0.0/8
dont-query=
forward-zones-recurse=.=${up}:${up_port}
lua-config-file=${dir}/policy.lua
socket-dir=${dir}
threads=1
distributor-threads=0
pdns-distributes-queries=no
dnssec=off
daemon=no
write-pid=no
disable-syslog=yes
loglevel=3
quiet=yes
security-poll-suffix=
max-cache-entries=2000000
max-packetcache-entries=1000000
max-mthreads=4096
max-tcp-clients=1024
server-down-max-fails=0
nothing-below-nxdomain=no
`

const kresdText = `net.ipv6 = false
net.listen('${addr}', ${port}, { kind = 'dns' })
cache.open(768 * MB, 'lmdb://${dir}/cache')
trust_anchors.remove('.')
for _, name in ipairs({ 'ta_update', 'ta_signal_query', 'priming', 'detect_time_skew', 'detect_time_jump', 'refuse_nord' }) do
  modules.unload(name)
end
policy.add(policy.rpz(policy.DENY, '${list}', false))
policy.add(policy.all(policy.STUB('${up}@${up_port}')))
`

const dnsdistText = `setLocal('${addr}:${port}', { reusePort = true })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
setMaxUDPOutstanding(65535)
newServer({ address = '${up}:${up_port}', checkName = 'up.example.', mustResolve = false })
getPool(''):setCache(newPacketCache(2000000, { maxTTL = 86400, numberOfShards = 1, dontAge = true }))
local listed = newSuffixMatchNode()
for name in io.lines('${list}') do
  listed:add(newDNSName(name))
end
addAction(SuffixMatchNodeRule(listed, true), SpoofAction('192.0.2.53'))
`

const dnsmasqText = `port=${port}
listen-address=${addr}
bind-interfaces
user=root
pid-file=${dir}/pid
no-resolv
no-hosts
server=${up}#${up_port}
servers-file=${list}
cache-size=100000
cache-rr=ANY
dns-forward-max=4096
${log}
`

// nsdText serves the names of the list as a zone that writeNSDZone makes.
const nsdText = `server:
  server-count: 1
  ip-address: ${addr}
  port: ${port}
  username: ""
  chroot: ""
  zonesdir: "${dir}"
  database: ""
  pidfile: "${dir}/pid"
  xfrdfile: "${dir}/xfrd.state"
  zonelistfile: "${dir}/zone.list"
  receive-buffer-size: 4194304
  send-buffer-size: 4194304
  rrl-ratelimit: 0
  minimal-responses: yes
  tcp-count: 1024
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "${list}"
`
