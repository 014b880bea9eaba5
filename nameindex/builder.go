package nameindex

import "errors"

// Reasons for which a Builder refuses names or a file. Its errors wrap one of them.
var (
	ErrName      = errors.New("name is not canonical or not well formed")
	ErrDuplicate = errors.New("name was added twice")
	ErrSet       = errors.New("set does not exist")
	ErrFull      = errors.New("index is full")
)

// BuildOptions are what a Builder can be told beforehand.
type BuildOptions struct {
	// Names is how many names are expected; a wrong guess costs only time. Default: 0. Example: 1_000_000.
	Names int
}

// Stats is what WriteFile wrote.
type Stats struct {
	Names   int
	Sets    int
	Buckets int
	Longest int // names in the fullest bucket
	Reseeds int // how often a bucket was too full and all names were spread anew
	Sizes   Sizes
}

// Builder collects names and writes them to a file.
type Builder struct {
	sets map[string]uint32
}

// NewBuilder returns an empty Builder.
func NewBuilder(o BuildOptions) *Builder { return &Builder{sets: map[string]uint32{}} }

// AddSet returns the id that Add takes for payload; equal payloads have one id. Ids in the file differ: see Index.Sets.
func (b *Builder) AddSet(payload []byte) uint32 { return 0 }

// Add lists name, which is canonical and in wire form with its root octet, with the given set. Adding a name twice is an error of WriteFile.
func (b *Builder) Add(name []byte, set uint32) error { return nil }

// WriteFile writes the index to path: to a temporary file in the same directory first, which is synced and then renamed. Whatever
// happens, path holds either what it held before or the whole new index.
func (b *Builder) WriteFile(path string, manifest []byte) (Stats, error) { return Stats{}, nil }
