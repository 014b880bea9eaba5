package querylog

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"
)

// Mode says which queries are written down.
type Mode uint8

// The modes. ModeSampled keeps every match and, of the other queries, one in so many at random.
const (
	ModeOff Mode = iota
	ModeMatches
	ModeSampled
	ModeAll
)

// String names the mode as the configuration does.
func (m Mode) String() string {
	switch m {
	case ModeOff:
		return "off"
	case ModeMatches:
		return "matches"
	case ModeSampled:
		return "sampled"
	case ModeAll:
		return "all"
	}
	return "unknown"
}

// Compression is how finished files are packed.
type Compression uint8

// The compressions.
const (
	CompressionNone Compression = iota
	CompressionGzip
	CompressionZstd
)

// String names the compression as the configuration does.
func (c Compression) String() string {
	switch c {
	case CompressionNone:
		return "none"
	case CompressionGzip:
		return "gzip"
	case CompressionZstd:
		return "zstd"
	}
	return "unknown"
}

// suffix is what the name of a packed file ends in.
func (c Compression) suffix() string {
	switch c {
	case CompressionNone:
	case CompressionGzip:
		return ".gz"
	case CompressionZstd:
		return ".zst"
	}
	return ""
}

// Rotate says when a new file is begun and how many finished ones stay.
type Rotate struct {
	// Size begins a new file before the current one grows past it, in octets. 0, the default, sets no bound. Example: 256 << 20.
	Size int64
	// Age begins a new file when the current one is as old. 0, the default, sets no bound. Example: 24 * time.Hour.
	Age time.Duration
	// Keep is how many finished files stay; older ones are removed. 0, the default, keeps none. Example: 14.
	Keep int
}

// Config is what a Log needs.
type Config struct {
	// Mode says which queries are written down. Default ModeOff.
	Mode Mode
	// Sample is used with ModeSampled: of the queries that no rule matched, one in Sample is kept. Default 100.
	Sample int
	// Path is the file that is written. Its directory is made if it is missing. Needed unless Mode is ModeOff. Example:
	// /var/log/cenote/queries.jsonl.
	Path string
	// Rotate says when a new file is begun. The default never begins one.
	Rotate Rotate
	// Compression packs finished files. Default CompressionNone.
	Compression Compression
	// Ring is how many records each producer's ring holds. Default 8192.
	Ring int
	// Queue is how many records the queue holds that all others share. Default: as Ring.
	Queue int
	// Names says what a rule is called. Without it lines lack zone, feed, family and threat. Update does not change it.
	Names Names
	// Log is told when the file cannot be written, when it can again, and when records are lost. Default slog.Default().
	Log *slog.Logger
	// Now is the clock for the age of files. Default time.Now.
	Now func() time.Time
}

// sampleDefault and ringDefault are used where a Config says nothing.
const (
	sampleDefault = 100
	ringDefault   = 8192
)

// settle fills in the defaults and says what is wrong.
func (c Config) settle() (Config, error) {
	if c.Sample <= 0 {
		c.Sample = sampleDefault
	}
	if c.Ring <= 0 {
		c.Ring = ringDefault
	}
	if c.Queue <= 0 {
		c.Queue = c.Ring
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, c.check()
}

func (c *Config) check() error {
	switch {
	case c.Mode > ModeAll:
		return fmt.Errorf("query log: there is no mode %d", c.Mode)
	case c.Compression > CompressionZstd:
		return fmt.Errorf("query log: there is no compression %d", c.Compression)
	case c.Sample > math.MaxUint32:
		return fmt.Errorf("query log: one query in %d cannot be sampled; the bound is %d", c.Sample, uint32(math.MaxUint32))
	case c.Rotate.Size < 0, c.Rotate.Age < 0, c.Rotate.Keep < 0:
		return errors.New("query log: size, age and number of files cannot be negative")
	case c.Mode != ModeOff && (c.Path == "" || filepath.Base(c.Path) == "." || filepath.Base(c.Path) == "/"):
		return fmt.Errorf("query log: mode %s needs the path of a file, not %q", c.Mode, c.Path)
	}
	return nil
}
