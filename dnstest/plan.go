package dnstest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// plan is the text of a tree as it was read: what the tree is to be.
type plan struct {
	block   block
	zones   []*zonePlan
	names   map[dnsname.Name][]netip.Addr // the addresses of each server name
	addrs   []netip.Addr                  // of all servers
	faults  map[netip.Addr]faults
	extras  map[netip.Addr][]extra
	closed  map[netip.Addr]closed
	signing []*signFault
}

// zonePlan is one zone of a text.
type zonePlan struct {
	apex    dnsname.Name
	servers []dnsname.Name
	records []dns.RR
	ttl     uint32
	signing *signing // nil if the zone is not signed
}

// extra is a record that a server adds to its replies about a name, as one that poisons does.
type extra struct {
	key     dnsname.Name // as for faults
	section string
	rr      dns.RR
}

// closed says which sockets a server does not have.
type closed struct{ all, tcp bool }

// block is the part of 127.0.0.0/8 that a tree has for itself: the second and third octet of its addresses.
type block [2]byte

// addr reads an address: "@N" stands for address N of the block.
func (b block) addr(word string) (netip.Addr, error) {
	if number, ok := strings.CutPrefix(word, "@"); ok {
		n, err := strconv.ParseUint(number, 10, 8)
		if err != nil || n == 0 || n == 255 {
			return netip.Addr{}, fmt.Errorf("address %q is not @1 to @254", word)
		}
		return netip.AddrFrom4([4]byte{127, b[0], b[1], byte(n)}), nil
	}
	addr, err := netip.ParseAddr(word)
	if err == nil && !addr.IsLoopback() {
		err = fmt.Errorf("server address %s is not of this machine", addr)
	}
	return addr, err
}

// readPlan reads the text of a tree: see the comment of the package.
func readPlan(text string, b block) (*plan, error) {
	p := &plan{block: b, names: map[dnsname.Name][]netip.Addr{}, faults: map[netip.Addr]faults{}, extras: map[netip.Addr][]extra{},
		closed: map[netip.Addr]closed{}}
	lines := strings.Split(text, "\n")
	for _, read := range []func(string) error{p.readZoneLine, p.readOtherLine} { // faults may name servers of zones further down
		for i, line := range lines {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == ';' {
				continue
			}
			if err := read(line); err != nil {
				return nil, fmt.Errorf("line %d, %q: %w", i+1, line, err)
			}
		}
	}
	return p, p.check()
}

// check finds what only the whole text shows.
func (p *plan) check() error {
	for _, z := range p.zones {
		for _, server := range z.servers {
			if len(p.names[server]) == 0 {
				return fmt.Errorf("zone %s: server %s has no address", z.apex, server)
			}
		}
	}
	return nil
}

// hasZone reports whether a name is that of a zone, or, if below is true, lies in one.
func (p *plan) hasZone(name dnsname.Name, below bool) bool {
	return slices.ContainsFunc(p.zones, func(z *zonePlan) bool { return z.apex == name || below && name.IsBelow(z.apex) })
}

func (p *plan) readZoneLine(line string) error {
	words := strings.Fields(line)
	switch {
	case line[0] == '!' || line[0] == '+':
		return nil
	case words[0] == "zone":
		return p.readZone(fields(line)[1:])
	case len(p.zones) == 0:
		return fmt.Errorf("a record before the first zone")
	default:
		return p.zones[len(p.zones)-1].readRecord(line, p.block)
	}
}

// readZone reads "NAME server SERVER ADDRESS…[, SERVER ADDRESS…] [WORD…]".
func (p *plan) readZone(words []string) error {
	if len(words) < 3 || words[1] != "server" {
		return fmt.Errorf("a zone is: zone NAME server SERVER ADDRESS…")
	}
	apex, err := parseName(words[0])
	if err != nil {
		return err
	}
	z := &zonePlan{apex: apex, ttl: 300}
	p.zones = append(p.zones, z)
	rest := words[2:]
	for len(rest) > 0 && rest[0] != "sign" && !strings.Contains(rest[0], "=") {
		if err := p.readServer(z, strings.TrimSuffix(rest[0], ",")); err != nil {
			return err
		}
		rest = rest[1:]
	}
	return z.readOptions(rest)
}

// readServer takes a word of a zone's list of servers: a name, or an address of the name before it.
func (p *plan) readServer(z *zonePlan, word string) error {
	addr, err := p.block.addr(word)
	if err != nil && (word[0] == '@' || addr.IsValid()) {
		return err
	}
	if err == nil && len(z.servers) == 0 {
		return fmt.Errorf("address %s has no server name before it", word)
	}
	if err == nil {
		last := z.servers[len(z.servers)-1]
		p.names[last] = addNew(p.names[last], addr)
		p.addrs = addNew(p.addrs, addr)
		return nil
	}
	name, err := parseName(word)
	z.servers = addNew(z.servers, name)
	return err
}

func (z *zonePlan) readOptions(words []string) error {
	for len(words) > 0 && words[0] != "sign" {
		value, ok := strings.CutPrefix(words[0], "ttl=")
		ttl, err := strconv.ParseUint(value, 10, 31)
		if !ok || err != nil {
			return fmt.Errorf("unknown word %q", words[0])
		}
		z.ttl, words = uint32(ttl), words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	var err error
	z.signing, err = readSigning(words[1:])
	return err
}

// readRecord adds a record in the form of a master file (RFC 1035 section 5.1), whose origin is the zone's name. "@N" as a word of its own is
// an address of the tree.
func (z *zonePlan) readRecord(line string, b block) error {
	words := strings.Fields(line)
	for _, word := range words {
		if len(word) > 1 && word[0] == '@' {
			addr, err := b.addr(word)
			if err != nil {
				return err
			}
			line = strings.Replace(line, word, addr.String(), 1)
		}
	}
	rr, err := parseRecord(line, fqdn(z.apex), z.ttl)
	if err != nil {
		return err
	}
	name, err := parseName(rr.Header().Name)
	switch {
	case err != nil:
		return err
	case name != z.apex && !name.IsBelow(z.apex):
		return fmt.Errorf("%s is not in the zone %s", name, z.apex)
	case z.signing != nil && strings.HasPrefix(name.FirstLabel(), "*") && name.FirstLabel() != "*":
		return fmt.Errorf("a label that begins with * cannot be signed here") // dns.RRSIG.Sign takes it for a wildcard
	case z.signing != nil && fqdn(name) == "*.":
		return fmt.Errorf("a wildcard of the root cannot be signed here") // dns.RRSIG.Sign makes a name with an empty label
	}
	z.records = append(z.records, rr)
	return nil
}

// parseRecord reads one record through a zone parser that opens no files, for dns.NewRR would follow $INCLUDE.
func parseRecord(line, origin string, ttl uint32) (dns.RR, error) {
	if line[0] == '$' {
		return nil, fmt.Errorf("directives are not read")
	}
	p := dns.NewZoneParser(strings.NewReader(line+"\n"), origin, "")
	p.SetDefaultTTL(ttl)
	rr, ok := p.Next()
	if !ok {
		return nil, fmt.Errorf("no record: %w", p.Err())
	}
	words := fields(line)[1:]
	for len(words) > 0 && !strings.EqualFold(words[0], dns.TypeToString[rr.Header().Rrtype]) {
		words = words[1:]
	}
	if len(words) == 1 {
		return nil, fmt.Errorf("no record: it has no data") // which the parser takes for a dynamic update
	}
	return rr, nil
}

// readOtherLine reads what is about servers and signatures, once all zones are known.
func (p *plan) readOtherLine(line string) error {
	words := fields(line[1:])
	switch {
	case line[0] == '+':
		return p.readExtra(words)
	case line[0] != '!':
		return nil
	case len(words) < 3:
		return fmt.Errorf("a fault is a server, a name and at least one word")
	case words[0] == "sign":
		return p.readSignFault(words[1:])
	}
	addrs, err := p.find(words[0])
	if err != nil {
		return err
	}
	if words[1] == "*" && len(words) == 3 && (words[2] == "dead" || words[2] == "notcp") {
		for _, addr := range addrs {
			p.closed[addr] = closed{all: words[2] == "dead", tcp: words[2] == "notcp"}
		}
		return nil
	}
	return p.readFault(addrs, words[1], words[2:])
}

func (p *plan) readSignFault(words []string) error {
	f, err := readSignFault(words)
	switch {
	case err != nil:
		return err
	case !p.hasZone(f.name, true):
		return fmt.Errorf("no zone has %s", f.name)
	case f.ofZone() && !p.hasZone(f.name, false):
		return fmt.Errorf("%s is about a zone, and %s is none", f.kind, f.name)
	}
	p.signing = append(p.signing, f)
	return nil
}

func (p *plan) readFault(addrs []netip.Addr, name string, words []string) error {
	key, err := faultKey(name)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		f := &Fault{}
		for _, word := range words {
			if err := f.setTree(word); err != nil {
				return err
			}
		}
		if refer, err := parseName(f.Refer); f.Refer != "" && (err != nil || !p.hasZone(refer, false)) {
			return fmt.Errorf("no zone %q", f.Refer)
		}
		if p.faults[addr] == nil {
			p.faults[addr] = faults{}
		}
		p.faults[addr][key] = append(p.faults[addr][key], f)
	}
	return nil
}

// readExtra reads "SERVER NAME SECTION RECORD", where names are absolute.
func (p *plan) readExtra(words []string) error {
	if len(words) < 5 || !slices.Contains([]string{"answer", "authority", "additional"}, words[2]) {
		return fmt.Errorf("an extra record is: + SERVER NAME answer|authority|additional RECORD")
	}
	addrs, err := p.find(words[0])
	if err != nil {
		return err
	}
	key, err := faultKey(words[1])
	if err != nil {
		return err
	}
	z := &zonePlan{apex: dnsname.Root, ttl: 300}
	if err := z.readRecord(strings.Join(words[3:], " "), p.block); err != nil {
		return err
	}
	for _, addr := range addrs {
		p.extras[addr] = append(p.extras[addr], extra{key, words[2], z.records[0]})
	}
	return nil
}

// find returns the servers that a word means: all for "*", those of an address or a server name, or of a list of these with commas.
func (p *plan) find(list string) ([]netip.Addr, error) {
	if list == "*" {
		return p.addrs, nil
	}
	var out []netip.Addr
	for word := range strings.SplitSeq(list, ",") {
		if addr, err := p.block.addr(word); err == nil && slices.Contains(p.addrs, addr) {
			out = append(out, addr)
			continue
		}
		name, err := parseName(word)
		if err != nil || len(p.names[name]) == 0 {
			return nil, fmt.Errorf("no server %q", word)
		}
		out = append(out, p.names[name]...)
	}
	return out, nil
}

// fields are the words of a line up to a comment.
func fields(line string) []string {
	words := strings.Fields(line)
	if i := slices.IndexFunc(words, func(w string) bool { return w[0] == ';' }); i >= 0 {
		words = words[:i]
	}
	return words
}

// parseName reads a name as canonical.
func parseName(s string) (dnsname.Name, error) {
	n, err := dnsname.Parse(s)
	return n.Canonical(), err
}

// fqdn is a name as miekg/dns writes it, with the final dot.
func fqdn(n dnsname.Name) string {
	if n.IsRoot() {
		return "."
	}
	return n.String() + "."
}

func addNew[T comparable](list []T, item T) []T {
	if slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}
