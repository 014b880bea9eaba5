package nameindex

import (
	"iter"

	"cenote/dnsname"
)

// Match is one listed name that a query name equals or lies below.
type Match struct {
	Set    uint32 // see Index.Set
	Labels uint8  // of the listed name: it is the last Labels labels of the query name
}

// Sizes says how large the parts of a file are, in octets.
type Sizes struct {
	Names    int64 // names with the directory that finds them
	Sets     int64 // payloads of the sets
	Manifest int64
	Total    int64 // the whole file, with header, checksums and footer
}

// Index is an open file. It is immutable.
type Index struct {
	file []byte
}

// Walk finds every listed name that name equals or lies below and writes them to out, the one with the fewest labels first. It returns
// how many there are, at most len(out). name is canonical and in wire form. Walk allocates nothing.
func (x *Index) Walk(name []byte, out []Match) int { return 0 }

// Len returns the number of listed names.
func (x *Index) Len() int { return 0 }

// Sets returns the number of sets; their ids are 0 to Sets()-1, the set of the most names first.
func (x *Index) Sets() int { return 0 }

// Set returns the payload of a set as a part of the file, which must not be changed.
func (x *Index) Set(id uint32) []byte { return nil }

// Manifest returns what was stored beside the names, as a part of the file, which must not be changed.
func (x *Index) Manifest() []byte { return nil }

// Sizes returns how large the parts of the file are.
func (x *Index) Sizes() Sizes { return Sizes{} }

// All yields every listed name with its set, in the order of the file.
func (x *Index) All() iter.Seq2[dnsname.Name, uint32] {
	return func(func(dnsname.Name, uint32) bool) {}
}
