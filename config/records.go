package config

import "time"

// Sightings is the ledger of which client asked for which listed name, when, and how often.
type Sightings struct {
	// Retention is how long sightings are kept, in whole days; older days are dropped whole.
	Retention time.Duration `yaml:"retention" default:"90d" min:"2d" max:"520w"`
	// Stream is a file to which the first sighting of each client and family is appended, a line of JSON each. Empty writes none.
	Stream Path `yaml:"stream" example:"/var/log/cenote/first-sightings.jsonl"`
	// StreamMax is how large the stream may grow before it is renamed to the same name with .1 behind, over an older one.
	StreamMax Size `yaml:"stream_max" default:"64MiB" min:"64KiB" max:"1TiB"`
	// IndicatorsMax is how many different indicators are kept of one client on one day. Above it they are counted by family.
	IndicatorsMax int `yaml:"indicators_max" default:"1000" min:"10" max:"1000000"`
	// Ring is how many matches of one worker wait to be written down, and as many of everything else together. Above it they are
	// counted by client network, feed and family.
	Ring int `yaml:"ring" default:"16384" min:"256" max:"1048576"`
	// PairsMax is how many pairs of client and indicator wait in memory for their day file, about 110 octets each. Above it they are lost,
	// and the loss is shown.
	PairsMax int `yaml:"pairs_max" default:"4000000" min:"10000" max:"1000000000"`
	// BatchPairs is how many of them are written to a day file at a time. The ledger takes memory to find them by, about 16 octets each, for two
	// batches when it starts.
	BatchPairs int `yaml:"batch_pairs" default:"1048576" min:"1000" max:"10000000"`
	// QueueMax is how much waits for the journal when the disk does not take it. Above it matches are lost, and the loss is shown.
	QueueMax Size `yaml:"queue_max" default:"64MiB" min:"64KiB" max:"64GiB"`
	// JournalKeep is how long written journals are kept as raw evidence.
	JournalKeep time.Duration `yaml:"journal_keep" default:"3d" min:"1m" max:"520w"`
	// JournalMax is how much disk the journals may take together. Above it the oldest are removed first.
	JournalMax Size `yaml:"journal_max" default:"1GiB" min:"1MiB" max:"1PiB"`
}

// QueryLog writes one line of JSON a query.
type QueryLog struct {
	// Mode chooses the queries: `off`, `matches` (those that a rule saw), `sampled` (matches and a share of the rest), `all`.
	Mode LogMode `yaml:"mode" default:"off" example:"matches"`
	// Path is the file that is written. Without the key it is querylog/queries.jsonl in the state directory.
	Path Path `yaml:"path" example:"/var/log/cenote/queries.jsonl"`
	// Sample is the share of the queries without a match that is written in mode `sampled`.
	Sample Percent `yaml:"sample" default:"1%" min:"0%" max:"100%"`
	// Rotate says when a new file is begun.
	Rotate Rotate `yaml:"rotate"`
	// Compress compresses finished files.
	Compress Compression `yaml:"compress" default:"zstd"`
	// Ring is how many records of one worker wait to be written, and as many of everything else together. Above it they are counted and
	// lost; no query waits.
	Ring int `yaml:"ring" default:"8192" min:"256" max:"1048576"`
}

// Rotate says when a new log file is begun and how many old ones stay.
type Rotate struct {
	// Size begins a new file when the current one has reached it.
	Size Size `yaml:"size" default:"256MiB" min:"64KiB" max:"1TiB"`
	// Age begins a new file when the current one is as old.
	Age time.Duration `yaml:"age" default:"1d" min:"1m" max:"52w"`
	// Keep is how many finished files stay; the oldest are removed.
	Keep int `yaml:"keep" default:"14" min:"0" max:"100000"`
}
