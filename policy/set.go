package policy

// EncodeSet returns the stored form of a set of members. It is canonical: the order of members and repetitions do not matter.
func EncodeSet(members []Member) []byte { return nil }

// DecodeSet reads what EncodeSet wrote: the members in their canonical order, which Hit.Member counts.
func DecodeSet(b []byte) ([]Member, error) { return nil, nil }
