package blocklist

import "cenote/dnsname"

// Registrants tells whose a name is, as far as a Public Suffix List knows: the suffixes of registries, and those of companies that let names below theirs.
// Its methods may be called by many at once.
type Registrants struct{ suffixes *suffixes }

// NewRegistrants takes the list from a file, or the one compiled in if that is "". It takes a few ms and about 2 MB.
func NewRegistrants(file string) (*Registrants, error) {
	s, err := newSuffixes(file)
	if err != nil {
		return nil, err
	}
	return &Registrants{s}, nil
}

// Of returns the name at or above a canonical one that somebody has registered: what is one label longer than the closest public suffix, such as example.co.uk. A suffix of a company is that
// company's. ok is false for the root, for top-level domains and for suffixes of registries, which are everybody's. A name that a wildcard alone makes a suffix ("*.ck") is its own: the list
// knows nothing of it, not even whether there is such a registry, and it may be anybody's.
func (r *Registrants) Of(name dnsname.Name) (owner dnsname.Name, ok bool) {
	labels := name.Labels()
	for n := min(labels, r.suffixes.labelsMax); n > 1; n-- {
		at := name.Suffix(n)
		switch r.suffixes.check([]byte(at), n) {
		case ReasonPublicSuffix:
			if n == labels {
				return name, !r.suffixes.names([]byte(at))
			}
			return name.Suffix(n + 1), true
		case ReasonHeld:
			return name.Suffix(min(n+1, labels)), true
		case ReasonNone:
			if own, _ := r.suffixes.of([]byte(at)); own&suffixException != 0 {
				return at, true
			}
		}
	}
	if labels < 2 {
		return "", false
	}
	return name.Suffix(2), true
}
