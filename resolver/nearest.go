package resolver

import (
	"reflect"

	"cenote/dnsname"
)

// nearest finds the closest of some zones at or above a name, by their places in a list. It is made once and never changed.
type nearest map[dnsname.Name]int

// nearestOf makes one of a list; of two entries for one zone the first counts.
func nearestOf[T any](all []T, zone func(*T) dnsname.Name) nearest {
	n := make(nearest, len(all))
	for i := range all {
		if _, twice := n[zone(&all[i])]; !twice {
			n[zone(&all[i])] = i
		}
	}
	return n
}

// at returns the place of the closest zone, -1 for none. The name is canonical.
func (n nearest) at(name dnsname.Name) int {
	for len(n) > 0 {
		if i, ok := n[name]; ok {
			return i
		}
		if name.IsRoot() {
			break
		}
		name = name.Parent()
	}
	return -1
}

// unchanged tells of each entry of a list where the same one is in another list, -1 for nowhere. An entry is compared with those of its own zone alone, so
// that the work grows with the lists and not with their product: there may be thousands of each.
func unchanged[T any](now, before []T, zone func(*T) dnsname.Name, same func(a, b *T) bool) []int {
	places := placesOf(before, zone)
	out := make([]int, len(now))
	for i := range now {
		out[i] = -1
		for _, j := range places[zone(&now[i])] {
			if same(&now[i], &before[j]) {
				out[i] = j
				break
			}
		}
	}
	return out
}

// placesOf are the places of a list at which each zone is.
func placesOf[T any](all []T, zone func(*T) dnsname.Name) map[dnsname.Name][]int {
	places := make(map[dnsname.Name][]int, len(all))
	for i := range all {
		places[zone(&all[i])] = append(places[zone(&all[i])], i)
	}
	return places
}

// same compares all that there is of two entries.
func same[T any](a, b *T) bool { return reflect.DeepEqual(a, b) }

// The zones of entries.
func zoneOfForward(f *Forward) dnsname.Name         { return f.Zone }
func zoneOfStub(s *Stub) dnsname.Name               { return s.Zone }
func zoneOfNegative(n *NegativeAnchor) dnsname.Name { return n.Name }
