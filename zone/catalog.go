package zone

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cenote/dnsname"
	"cenote/wire"
)

// ErrCatalog is that a catalog is broken, so that nothing of it counts (RFC 9432 section 5.1).
var ErrCatalog = errors.New("the catalog is broken")

// CatalogMember is a zone that a catalog lists (RFC 9432 section 4.1).
type CatalogMember struct {
	// ID is the label of its node. Another one than before says that nothing counts that is kept of the zone (section 5.4). In MakeCatalog an empty one stands
	// for a hash of the name.
	ID string
	// Name is the apex of the zone, canonical.
	Name dnsname.Name
	// Groups are the values of its group property, sorted (section 4.3.2).
	Groups []string
	// Owner is the catalog that lists it from now on (coo, section 4.3.1), canonical; "" if none is named.
	Owner dnsname.Name
}

// Names of a catalog below its apex.
const (
	catalogVersion = "version"
	catalogZones   = "zones"
	catalogGroup   = "group"
	catalogOwner   = "coo"
)

// Times of a catalog that is made here, in seconds. It never becomes too old: consumers keep what it has listed anyway.
const (
	catalogRefresh = 300
	catalogRetry   = 60
	catalogExpire  = 1<<31 - 2
)

// catalogInvalid stands where a zone has a server, and a catalog needs none (RFC 9432 section 4).
const catalogInvalid = "\x07invalid\x00"

// MakeCatalog makes the zone that lists members, no two of the same name.
func MakeCatalog(apex dnsname.Name, serial uint32, members []CatalogMember) (*Zone, error) {
	apex = apex.Canonical()
	soa := []byte(catalogInvalid + catalogInvalid)
	for _, n := range [...]uint32{serial, catalogRefresh, catalogRetry, catalogExpire, 0} {
		soa = binary.BigEndian.AppendUint32(soa, n)
	}
	records := []Record{{Owner: apex, Type: wire.TypeSOA, Data: soa}, {Owner: apex, Type: wire.TypeNS, Data: []byte(catalogInvalid)}}
	version, err := apex.Child(catalogVersion)
	if err != nil {
		return nil, err
	}
	records = append(records, Record{Owner: version, Type: wire.TypeTXT, Data: []byte("\x012")})
	zones, err := apex.Child(catalogZones)
	for i := range members {
		if err == nil {
			records, err = members[i].append(records, zones)
		}
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(records, func(a, b Record) int { return dnsname.Compare(a.Owner, b.Owner) })
	return Build(apex, slices.Values(records))
}

// append appends the records of a member.
func (m *CatalogMember) append(records []Record, zones dnsname.Name) ([]Record, error) {
	node, err := zones.Child(cmp.Or(m.ID, memberID(m.Name)))
	if err != nil {
		return nil, err
	}
	node = node.Canonical()
	records = append(records, Record{Owner: node, Type: wire.TypePTR, Data: []byte(m.Name)})
	if !m.Owner.IsZero() {
		coo, err := node.Child(catalogOwner)
		if err != nil {
			return nil, err
		}
		records = append(records, Record{Owner: coo, Type: wire.TypePTR, Data: []byte(m.Owner)})
	}
	for _, g := range m.Groups {
		group, err := node.Child(catalogGroup)
		if err != nil || len(g) > 255 {
			return nil, errors.Join(err, fmt.Errorf("the group %.40q of %s cannot be written", g, m.Name))
		}
		records = append(records, Record{Owner: group, Type: wire.TypeTXT, Data: append([]byte{byte(len(g))}, g...)})
	}
	return records, nil
}

// memberID is the label of a member that is listed here: always the same for a name.
func memberID(name dnsname.Name) string {
	hash := sha256.Sum256([]byte(name.Canonical()))
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(hash[:20]))
}

// ReadCatalog reads which zones a catalog lists, by name, at most so many. What it does not know in a catalog it passes over (RFC 9432 section 4.2); an error
// wraps ErrCatalog and says why nothing of it counts.
func ReadCatalog(z *Zone, most int) ([]CatalogMember, error) {
	r := catalogReader{most: most, ids: map[string]int{}, names: map[dnsname.Name]bool{}}
	for n := node(0); int(n) < len(z.data); {
		w := z.sets(n)
		labels := labelsOf(z.prefix(n))
		for w.next() {
			if err := r.set(labels, &w.set); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrCatalog, err)
			}
		}
		n = node(w.at)
	}
	if !r.versioned {
		return nil, fmt.Errorf("%w: it has no version", ErrCatalog)
	}
	for i := range r.members {
		slices.Sort(r.members[i].Groups)
	}
	slices.SortFunc(r.members, func(a, b CatalogMember) int { return dnsname.Compare(a.Name, b.Name) })
	return r.members, nil
}

// catalogReader reads the names of a catalog in canonical order: a member comes before its properties.
type catalogReader struct {
	most      int
	versioned bool
	members   []CatalogMember
	ids       map[string]int // where in members
	names     map[dnsname.Name]bool
}

// labelsOf splits a name without its apex, as far as a catalog's names go; longer ones give four.
func labelsOf(prefix []byte) (labels []string) {
	for len(prefix) > 0 && len(labels) < 4 {
		n := 1 + int(prefix[0])
		labels, prefix = append(labels, string(prefix[1:n])), prefix[n:]
	}
	return labels
}

// set takes one set of the node with these labels below the apex.
func (r *catalogReader) set(labels []string, s *set) error {
	n := len(labels)
	switch {
	case s.count == 0:
	case n == 1 && labels[0] == catalogVersion && s.rtype == wire.TypeTXT:
		return r.version(s)
	case n == 2 && labels[1] == catalogZones && s.rtype == wire.TypePTR:
		return r.member(labels[0], s)
	case n == 3 && labels[2] == catalogZones:
		if at, listed := r.ids[labels[1]]; listed {
			return r.members[at].property(labels[0], s)
		}
	}
	return nil
}

// version wants the one version that is known (RFC 9432 section 4.2.1).
func (r *catalogReader) version(s *set) error {
	if s.count > 1 {
		return fmt.Errorf("it has %d versions", s.count)
	}
	if text := textData(s.first()); text != "2" {
		return fmt.Errorf("its version is %.40q, and 2 alone is known", text)
	}
	r.versioned = true
	return nil
}

// member takes a zone that is listed.
func (r *catalogReader) member(id string, s *set) error {
	if s.count > 1 {
		return fmt.Errorf("the node %.80q lists %d zones, and not one", id, s.count)
	}
	name, err := dnsname.FromWire(s.first())
	if err != nil {
		return fmt.Errorf("the node %.80q lists no name: %w", id, err)
	}
	name = name.Canonical()
	if r.names[name] {
		return fmt.Errorf("it lists %s twice", name)
	}
	if len(r.members) == r.most {
		return fmt.Errorf("it lists more than %d zones", r.most)
	}
	r.names[name], r.ids[id] = true, len(r.members)
	r.members = append(r.members, CatalogMember{ID: id, Name: name})
	return nil
}

// property takes a set below a member's node.
func (m *CatalogMember) property(label string, s *set) error {
	switch {
	case label == catalogOwner && s.rtype == wire.TypePTR:
		if s.count > 1 {
			return fmt.Errorf("it names %d owners of %s, and not one", s.count, m.Name)
		}
		owner, err := dnsname.FromWire(s.first())
		if err != nil {
			return fmt.Errorf("the owner of %s is no name: %w", m.Name, err)
		}
		m.Owner = owner.Canonical()
	case label == catalogGroup && s.rtype == wire.TypeTXT:
		rest := s.records
		for range s.count {
			var data []byte
			data, rest = cutRecord(rest)
			m.Groups = append(m.Groups, textData(data))
		}
	}
	return nil
}

// textData is the text of a TXT record, its strings one after the other.
func textData(data []byte) string {
	var b strings.Builder
	for len(data) > 0 {
		n := min(1+int(data[0]), len(data))
		b.Write(data[1:n])
		data = data[n:]
	}
	return b.String()
}
