package resolver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"

	"github.com/miekg/dns"
)

// rootCopy is the root zone as a file has it, which is looked into in place of asking servers of the root (RFC 8806).
type rootCopy struct {
	path    string
	changed time.Time // of the file
	expires time.Time // from then on servers are asked (RFC 8806 section 2: the SOA says for how long)
	serial  uint32
	names   []dnsname.Name // that have records, in canonical order
	sets    map[dnsname.Name][]*rrset
}

// rootFile is the file with the copy of the root zone, as it is read from time to time.
type rootFile struct {
	copy    atomic.Pointer[rootCopy] // what it held when it was last sound; nil before that
	look    chan struct{}            // one place: look at the file again
	loading sync.Mutex               // held while it is read
	fault   string                   // what was wrong with it when it was last read; guarded by loading
}

// Bounds of a copy of the root zone.
const (
	rootCopyOctets = 64 << 20
	rootCopySets   = 1_000_000
	rootCopyTick   = 30 * time.Second // how often the file is looked at
)

const typeZONEMD = 63

// readRootCopy reads a zone file. Directives are refused: the file comes from elsewhere, and may not have others read.
func readRootCopy(path string) (*rootCopy, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, rootCopyOctets+1))
	if err != nil {
		return nil, err
	}
	if len(text) > rootCopyOctets {
		return nil, fmt.Errorf("%s has more than %d octets", path, rootCopyOctets)
	}
	c := &rootCopy{path: path, changed: info.ModTime(), sets: map[dnsname.Name][]*rrset{}}
	if err := c.read(text); err != nil {
		return nil, err
	}
	return c, c.finish()
}

func (c *rootCopy) read(text []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if bytes.HasPrefix(lines.Bytes(), []byte("$")) && !bytes.HasPrefix(lines.Bytes(), []byte("$TTL")) && !bytes.HasPrefix(lines.Bytes(), []byte("$ORIGIN")) {
			return fmt.Errorf("%s:%d: directive %q is not read", c.path, n, bytes.Fields(lines.Bytes())[0])
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	p := dns.NewZoneParser(bytes.NewReader(text), ".", c.path)
	sets := 0
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if sets++; sets > rootCopySets {
			return fmt.Errorf("%s has more than %d records", c.path, rootCopySets)
		}
		if err := c.add(rr); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	return p.Err()
}

// add takes one record.
func (c *rootCopy) add(rr dns.RR) error {
	room := make([]byte, dns.Len(rr)+dnsname.WireMax)
	n, err := dns.PackRR(rr, room, 0, nil, false)
	if err != nil {
		return err
	}
	owner, err := dnsname.FromWire(room)
	if err != nil {
		return err
	}
	data := room[len(owner)+10 : n]
	owner = owner.Canonical()
	h := rr.Header()
	if sig, ok := rr.(*dns.RRSIG); ok {
		s := c.set(owner, sig.TypeCovered)
		s.sigs, s.sigTTL = append(s.sigs, data), h.Ttl
		return nil
	}
	s := c.set(owner, h.Rrtype)
	s.rdata, s.ttl = append(s.rdata, data), h.Ttl
	return nil
}

// set returns the set of a name and type, which it makes if there is none.
func (c *rootCopy) set(name dnsname.Name, rtype uint16) *rrset {
	if s := c.find(name, rtype); s != nil {
		return s
	}
	s := &rrset{name: name, rtype: rtype}
	c.sets[name] = append(c.sets[name], s)
	return s
}

func (c *rootCopy) find(name dnsname.Name, rtype uint16) *rrset {
	for _, s := range c.sets[name] {
		if s.rtype == rtype {
			return s
		}
	}
	return nil
}

// finish sorts the names and reads how long the copy holds.
func (c *rootCopy) finish() error {
	soa := c.find(dnsname.Root, wire.TypeSOA)
	if soa == nil || len(soa.rdata) != 1 || c.find(dnsname.Root, wire.TypeNS) == nil {
		return fmt.Errorf("%s has no SOA or no NS record of the root: it is no root zone", c.path)
	}
	numbers := soa.rdata[0][len(soa.rdata[0])-20:]
	c.serial = binary.BigEndian.Uint32(numbers)
	c.expires = c.changed.Add(time.Duration(binary.BigEndian.Uint32(numbers[12:])) * time.Second)
	for name, sets := range c.sets {
		c.names = append(c.names, name)
		slices.SortFunc(sets, func(a, b *rrset) int { return int(a.rtype) - int(b.rtype) })
		c.sets[name] = slices.DeleteFunc(sets, func(s *rrset) bool { return len(s.rdata) == 0 })
	}
	slices.SortFunc(c.names, dnsname.Compare)
	return nil
}

// What may be wrong with a copy of the root zone.
var (
	errCopyDigest = errors.New("the digest (ZONEMD) is of another zone")
	errCopyBare   = errors.New("it has no digest (ZONEMD) that can be checked")
)

// verify checks the whole zone by its digest (RFC 8976), and the digest by the keys that are trusted. Without anchors the digest alone is
// checked, if there is one.
func (c *rootCopy) verify(keys *keyring, now time.Time) error {
	zonemd := c.find(dnsname.Root, typeZONEMD)
	if keys != nil {
		if err := c.verifySigned(keys, zonemd, now); err != nil {
			return err
		}
	} else if zonemd == nil {
		return nil
	}
	digests := dnssec.ReadZONEMD(zonemd.rdata, c.serial)
	if len(digests) == 0 {
		return errCopyBare
	}
	for _, d := range digests {
		sum, err := c.digest(d.Hash)
		if err != nil {
			return err
		}
		if bytes.Equal(sum, d.Digest) {
			return nil
		}
	}
	return errCopyDigest
}

// verifySigned checks that SOA and digest are signed by keys that are trusted.
func (c *rootCopy) verifySigned(keys *keyring, zonemd *rrset, now time.Time) error {
	set := c.find(dnsname.Root, wire.TypeDNSKEY)
	if set == nil || zonemd == nil {
		return errCopyBare
	}
	work := dnssec.NewWork()
	zone, v := keys.check(dnsname.Root, set.proof(wire.ClassIN), now, work)
	if v.Status != dnssec.Secure {
		return fmt.Errorf("its keys are not trusted: %s", v.Text)
	}
	for _, s := range []*rrset{c.find(dnsname.Root, wire.TypeSOA), zonemd} {
		if checked := zone.Check(s.proof(wire.ClassIN), now, work); checked.Status != dnssec.Secure {
			return fmt.Errorf("its SOA or digest does not stand up to validation: %s", checked.Text)
		}
	}
	return nil
}

func (c *rootCopy) digest(kind uint8) ([]byte, error) {
	d, err := dnssec.NewZoneDigest([]byte(dnsname.Root), kind)
	if err != nil {
		return nil, err
	}
	for _, name := range c.names {
		for _, s := range c.sets[name] {
			if err := d.Add(s.proof(wire.ClassIN)); err != nil {
				return nil, err
			}
		}
	}
	return d.Sum(), nil
}

// answer is what a server of the root would say.
func (c *rootCopy) answer(name dnsname.Name, qtype uint16) *response {
	r := &response{aa: true}
	tld := name.Suffix(1)
	switch ns := c.find(tld, wire.TypeNS); {
	case name.IsRoot():
		c.own(r, name, qtype)
	case ns == nil:
		r.rcode = wire.RcodeNXDomain
		star, _ := dnsname.Root.Child("*")
		c.deny(r, c.before(name), c.before(star))
	case qtype == wire.TypeDS && name == tld:
		c.own(r, name, qtype)
	default:
		c.refer(r, ns)
	}
	return r
}

// own answers from the records of a name.
func (c *rootCopy) own(r *response, name dnsname.Name, qtype uint16) {
	for _, s := range c.sets[name] {
		if s.rtype == qtype || qtype == wire.TypeANY {
			r.take(s, wire.SectionAnswer)
		}
	}
	if len(r.sets) == 0 {
		c.deny(r, name)
	}
}

// refer answers with a delegation, and what the root says of its keys.
func (c *rootCopy) refer(r *response, ns *rrset) {
	r.aa = false
	r.take(ns, wire.SectionAuthority)
	for _, rtype := range []uint16{wire.TypeDS, wire.TypeNSEC} {
		if s := c.find(ns.name, rtype); s != nil {
			r.take(s, wire.SectionAuthority)
			break
		}
	}
	for _, data := range ns.rdata {
		server, ok := targetName(data)
		for _, rtype := range []uint16{wire.TypeA, wire.TypeAAAA} {
			if s := c.find(server, rtype); ok && s != nil {
				r.take(s, wire.SectionAdditional)
			}
		}
	}
}

// deny adds the SOA and the NSEC records of some names.
func (c *rootCopy) deny(r *response, names ...dnsname.Name) {
	r.take(c.find(dnsname.Root, wire.TypeSOA), wire.SectionAuthority)
	for i, name := range names {
		if s := c.find(name, wire.TypeNSEC); s != nil && !slices.Contains(names[:i], name) {
			r.take(s, wire.SectionAuthority)
		}
	}
}

// before returns the last name before one that is not there, of those with an NSEC record: addresses of servers have none.
func (c *rootCopy) before(name dnsname.Name) dnsname.Name {
	i, _ := slices.BinarySearchFunc(c.names, name, dnsname.Compare)
	for i--; i > 0; i-- {
		if c.find(c.names[i], wire.TypeNSEC) != nil {
			return c.names[i]
		}
	}
	return dnsname.Root
}

// take adds a copy of a set, since whoever reads it may lower its TTL.
func (r *response) take(s *rrset, section int) {
	own := *s
	own.section = section
	r.sets = append(r.sets, &own)
}

// fromCopy answers a question to the root from the copy, if there is one that holds.
func (it *iteration) fromCopy(z *cut, name dnsname.Name, qtype uint16) (outcome, bool) {
	c := it.r.copyOfRoot(it.s)
	if c == nil || !z.zone.IsRoot() || z.recurse || it.f.q.class != wire.ClassIN {
		return outcome{}, false
	}
	got := outcome{ede: EDENone, zone: z, said: c.answer(name, qtype)}
	got.found, got.err = got.said.classify(z.zone, name, qtype)
	if got.err == nil {
		it.note(Step{Kind: StepCached, Name: name, Type: qtype, Zone: z.zone, Result: got.found.kind.String() + ", by the copy of the root zone"})
	}
	return got, true
}

// copyOfRoot returns the copy of the root zone that holds now, nil for none.
func (r *Resolver) copyOfRoot(s *state) *rootCopy {
	if s.config.Recursion.RootZone == "" {
		return nil
	}
	c := r.root.copy.Load()
	if c == nil || c.path != s.config.Recursion.RootZone || !r.now().Before(c.expires) {
		return nil
	}
	return c
}

// watchRoot reads the copy of the root zone when its file changes, until ctx ends.
func (r *Resolver) watchRoot(ctx context.Context) {
	tick := time.NewTicker(rootCopyTick)
	defer tick.Stop()
	for {
		r.loadRoot()
		select {
		case <-tick.C:
		case <-r.root.look:
		case <-ctx.Done():
			return
		}
	}
}

// loadRoot reads the copy of the root zone if its file is another than the one that was read. One that cannot be read or does not stand up
// leaves the one before in force, and is told of once.
func (r *Resolver) loadRoot() {
	r.root.loading.Lock()
	defer r.root.loading.Unlock()
	s := r.state.Load()
	if s.config.Recursion == nil || s.config.Recursion.RootZone == "" {
		return
	}
	path := s.config.Recursion.RootZone
	known := r.root.copy.Load()
	info, err := os.Stat(path)
	if err == nil && known != nil && known.path == path && known.changed.Equal(info.ModTime()) {
		return
	}
	var c *rootCopy
	if err == nil {
		c, err = readRootCopy(path)
	}
	if err == nil {
		err = c.verify(s.keys, r.validationTime(s.config.Recursion))
	}
	if err != nil {
		if said := path + err.Error(); said != r.root.fault {
			r.log.Warn("the copy of the root zone is not used; servers of the root are asked, or the copy before", "file", path, "err", err)
			r.root.fault = said
		}
		return
	}
	r.root.fault = ""
	r.root.copy.Store(c)
	r.log.Info("copy of the root zone read", "file", path, "serial", c.serial, "names", len(c.names), "expires", c.expires)
}
