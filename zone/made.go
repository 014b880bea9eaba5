package zone

import (
	"fmt"
	"iter"
	"slices"

	"cenote/dnsname"
)

// Build makes a zone of records that somebody here made: in canonical order of their names, all below the apex, which comes first and has one SOA record.
// Nothing else is checked. The data of a record need only last until the next name.
func Build(apex dnsname.Name, records iter.Seq[Record]) (*Zone, error) {
	b, all := newBuilder(apex.Canonical()), 0
	var name []Record
	for r := range records {
		if len(name) > 0 && name[0].Owner != r.Owner {
			if err := b.addNext(name, r.Owner); err != nil {
				return nil, err
			}
			name = name[:0]
		}
		name = append(name, r)
		all++
	}
	if len(name) > 0 {
		if err := b.addNext(name, ""); err != nil {
			return nil, err
		}
	}
	if len(b.nodes) == 0 {
		return nil, fmt.Errorf("zone %s has no records", apex)
	}
	b.z.data = slices.Clip(b.z.data)
	z := b.finish(all)
	if z.soa.count != 1 {
		return nil, fmt.Errorf("zone %s has %d SOA records", apex, z.soa.count)
	}
	return z, nil
}

// addNext adds the records of one name, unless it is out of place; the next name is none at the end.
func (b *builder) addNext(records []Record, next dnsname.Name) error {
	owner := records[0].Owner
	if first := len(b.nodes) == 0; first != (owner == b.z.apex) || !first && !owner.IsBelow(b.z.apex) || next != "" && dnsname.Compare(owner, next) >= 0 {
		return fmt.Errorf("%s is out of place in zone %s", owner, b.z.apex)
	}
	sort(records)
	return b.add(slices.CompactFunc(records, isDouble))
}
