package config

import (
	"time"

	"cenote/dnsname"
)

// Feed is one list of names.
type Feed struct {
	// Name names the feed in zones, metrics, logs and sightings. It stays the same when the path changes.
	Name string `yaml:"name" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"malware"`
	// Path is the file, directory or archive (.gz, .tar.gz, .zip) that is read. It is watched: a change is served within
	// seconds, however it is made. In a container mount the directory that holds it, not the file.
	Path Path `yaml:"path" required:"true" example:"/etc/cenote/feeds/malware.hosts"`
	// Format is how the rows are written; `auto` looks at the first rows.
	Format Format `yaml:"format" default:"auto" example:"hosts"`
	// Match is how far a listed name reaches: `exact` is the name alone, `subtree` the name and everything below it, `below`
	// only what is below. `default` keeps the tradition of the format: a hosts file lists single names, an adblock list subtrees.
	Match Match `yaml:"match" default:"default" example:"subtree"`
	// Files chooses the files of a directory or archive by their names. Without the key it is *.txt for maltrail, else every file that
	// is not hidden.
	Files string `yaml:"files" example:"\"*.hosts\""`
	// Zone is the apex of an RPZ file that does not say it itself.
	Zone dnsname.Name `yaml:"zone" example:"rpz.example"`
	// Family names the malware family of every row that does not say its own.
	Family string `yaml:"family" example:"lummac2"`
	// Threat names the kind of threat of every row that does not say its own.
	Threat string `yaml:"threat" example:"c2"`
	// Confidence is how sure the source is of its rows, from 1 to 100, for rows that do not say; 0 is unknown.
	Confidence int `yaml:"confidence" default:"0" min:"0" max:"100" example:"80"`
	// Expire is how long a row without an end of its own is served, from its own date or else from the file's last change; 0 is for
	// ever.
	Expire time.Duration `yaml:"expire" default:"0s" min:"0s" example:"30d"`
	// Columns names the columns of a CSV feed.
	Columns Columns `yaml:"columns"`
	// AllowPrivateSuffix serves rows that equal a name under which anybody can have a name, such as a hosting service's or a
	// dynamic DNS provider's. Such rows are held otherwise, since they stop every customer of that service.
	AllowPrivateSuffix bool `yaml:"allow_private_suffix" default:"false"`
	// AllowPublicSuffix serves rows that hold a whole top-level domain or public suffix, such as an RPZ feed that closes one. Such rows are
	// refused otherwise.
	AllowPublicSuffix bool `yaml:"allow_public_suffix" default:"false"`
	// AllowEmpty takes a feed without a row for what it is, such as an allow list that may be empty. Otherwise its last good list stays.
	AllowEmpty bool `yaml:"allow_empty" default:"false"`
	// AllowHTML reads a feed that looks like a web page as if it were a list: those of its lines that are rows are served. Otherwise its last
	// good list stays, since a page is mostly a log-in or an error of the publisher.
	AllowHTML bool `yaml:"allow_html" default:"false"`
	// ShrinkMax is the largest share of its names that the feed may lose in one change. A larger loss keeps the last good list
	// until `cenote reload --force`; 100% accepts everything but an empty list.
	ShrinkMax Percent `yaml:"shrink_max" default:"50%" min:"0%" max:"100%" example:"80%"`
	// Limits bound what is read from the path.
	Limits FeedLimits `yaml:"limits"`
}

// Columns names the columns of a CSV feed by their headers, which are compared without regard to case and blanks. An empty
// one is looked for under its usual headers.
type Columns struct {
	// Name is the column of the domain name.
	Name string `yaml:"name" example:"domain"`
	// Family is the column of the malware family.
	Family string `yaml:"family" example:"malware"`
	// Threat is the column of the kind of threat.
	Threat string `yaml:"threat" example:"threat_type"`
	// Type is the column that says what Name is; rows that are no domain are counted.
	Type string `yaml:"type" example:"ioc_type"`
	// Confidence is the column of the confidence, a number from 0 to 100.
	Confidence string `yaml:"confidence" example:"confidence_level"`
	// Date is the column of the day on which the row was listed, from which the feed's expire counts.
	Date string `yaml:"date" example:"first_seen"`
	// Expire is the column of the date after which the row is void.
	Expire string `yaml:"expire" example:"valid_until"`
	// Reference is the column of the report or link that the row rests on.
	Reference string `yaml:"reference" example:"reference"`
	// Comment is the column of a remark for people.
	Comment string `yaml:"comment" example:"comment"`
}

// FeedLimits bound what is read of one feed. A feed over a limit is not served; its last good list stays.
type FeedLimits struct {
	// Size is how much the files may have as they are stored.
	Size Size `yaml:"size" default:"256MiB" min:"1KiB" max:"64GiB"`
	// Unpacked is how much they may have after unpacking.
	Unpacked Size `yaml:"unpacked" default:"2GiB" min:"1KiB" max:"256GiB"`
	// Rows is how many rows are read, good or bad.
	Rows int `yaml:"rows" default:"20000000" min:"1" max:"1000000000"`
	// Files is how many files of a directory or archive are read.
	Files int `yaml:"files" default:"20000" min:"1" max:"1000000"`
}

// Compile says how feeds are watched and turned into the served policy. The work is done by a child process that runs while nothing else in its
// container or service wants the processor, so that no query waits for it; if that is never so, beside it with the priority of nice 19.
type Compile struct {
	// Poll is how often the paths of the feeds are looked at. Notices of the kernel come sooner where there are any. At most 2s keep the
	// promise to follow a change within 3s.
	Poll time.Duration `yaml:"poll" default:"1s" min:"100ms" max:"1h"`
	// Debounce is how long a path must stay as it is before it is read, so that no half-written list is.
	Debounce time.Duration `yaml:"debounce" default:"200ms" min:"10ms" max:"1m"`
	// PollOnly does without the kernel's notices, for feeds on a network file system.
	PollOnly bool `yaml:"poll_only" default:"false"`
	// Cores is how many cores the child uses at once; 0 is half of them.
	Cores int `yaml:"cores" default:"0" min:"0" max:"1024"`
	// Memory is how much memory the child aims to stay under.
	Memory Size `yaml:"memory" default:"2GiB" min:"64MiB" max:"1TiB"`
	// SuffixList is a Public Suffix List to use in place of the one that is built in, for the rows that name a suffix.
	SuffixList Path `yaml:"suffix_list" example:"/usr/share/publicsuffix/public_suffix_list.dat"`
	// Timeout is how long one compilation may take. A child that takes longer is ended, and the last good policy stays.
	Timeout time.Duration `yaml:"timeout" default:"10m" min:"1s" max:"1d"`
}
