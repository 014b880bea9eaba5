package config

import (
	"net/netip"
	"time"

	"cenote/dnsname"
)

// Feed is one list of names and addresses.
type Feed struct {
	// Name names the feed in zones, metrics, logs and sightings. It stays the same when the path changes.
	Name string `yaml:"name" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"malware"`
	// Path is the file, directory or archive (.gz, .tar.gz, .zip) that is read. It is watched: a change is served within
	// seconds, however it is made. In a container mount the directory that holds it, not the file. A feed has either it,
	// or `url`, or `primaries`.
	Path Path `yaml:"path" either:"source" shown:"true" example:"/etc/cenote/feeds/malware.hosts"`
	// URL is where the list is fetched from, over HTTPS or HTTP, in place of a path. It is asked whether the list has changed (ETag,
	// If-Modified-Since); what was fetched last is served until another list came whole. Its user, path and query, which may hold a key, are shown
	// nowhere but for the last part of the path; it lies in this file, so let nobody read that.
	URL URL `yaml:"url" either:"source" example:"https://lists.example/malware.hosts"`
	Fetching
	// Primaries are the servers that a policy zone (RPZ) is taken from, in place of a path: the first that has an answer counts. They are asked as often as the
	// SOA record of the zone says, and when they tell that it has changed (NOTIFY), for what has changed (IXFR) or for all of it (AXFR). `zone` is its name. What
	// was taken last is served, also at a start without them, and shown as stale once none has confirmed it for as long as its SOA record lets it be (expire).
	Primaries []Primary `yaml:"primaries" either:"source"`
	// NotifyFrom are further networks from which it is heard that the zone has changed at a primary, beside the primaries as they are named and whoever signs by
	// the key of one.
	NotifyFrom []netip.Prefix `yaml:"notify_from" example:"[192.0.2.55/32]"`
	// Format is how the rows are written; `auto` looks at the first rows. `stix` is bundles of STIX 2.0 and 2.1, `misp` the directory of a MISP feed or its
	// events, `json` objects with keys like the columns of a CSV, as exports of ThreatFox, URLhaus, Feodo Tracker and Spamhaus DROP are.
	Format Format `yaml:"format" default:"auto" example:"hosts"`
	// Match is how far a listed name reaches: `exact` is the name alone, `subtree` the name and everything below it, `below`
	// only what is below. `default` keeps the tradition of the format: a hosts file lists single names, an adblock list subtrees.
	Match Match `yaml:"match" default:"default" example:"subtree"`
	// Files chooses the files of a directory or archive by their names. Without the key it is *.txt for maltrail, *.json for misp, else
	// every file that is not hidden.
	Files string `yaml:"files" example:"\"*.hosts\""`
	// Zone is the apex of an RPZ file that does not say it itself, and of a zone that is taken from `primaries`.
	Zone dnsname.Name `yaml:"zone" example:"rpz.example"`
	// Addresses is what the addresses are for that a list holds: with `answers` an answer that holds one matches, with `nameservers` every name whose
	// name servers have one; `ignore` counts them and no more. A policy zone (RPZ) says it itself, row by row.
	Addresses Addresses `yaml:"addresses" default:"answers" example:"ignore"`
	// Lenient reads the address rules of a policy zone (RPZ) also where they are not spelled as the draft demands, but can mean one thing only: with
	// bits beyond the prefix, with IPv6 cut in another way, without a prefix length.
	Lenient bool `yaml:"lenient" default:"false"`
	// Compromised is what becomes of rows about sites that belong to somebody else and were broken into, where a list says which those are
	// (`is_compromised` of ThreatFox, the type `compromised` of STIX): DNS can stop such a site as a whole only. `log-only` records who asks and changes no
	// answer, `serve` does what the zone does with all other rows, `nxdomain`, `nodata` and `tcp-only` do that.
	Compromised Compromised `yaml:"compromised" default:"log-only" example:"nodata"`
	// Family names the malware family of every row that does not say its own.
	Family string `yaml:"family" example:"lummac2"`
	// Threat names the kind of threat of every row that does not say its own.
	Threat string `yaml:"threat" example:"c2"`
	// Confidence is how sure the source is of its rows, from 1 to 100, for rows that do not say; 0 is unknown.
	Confidence int `yaml:"confidence" default:"0" min:"0" max:"100" example:"80"`
	// Expire is how long a row without an end of its own is served, from its own date or else from the file's last change; 0 is for
	// ever.
	Expire time.Duration `yaml:"expire" default:"0s" min:"0s" example:"30d"`
	// AllAttributes serves also those attributes of MISP events that their publisher does not mean for detection (without `to_ids`), such as names that
	// malware merely looks up. Sources of attacks (`ip-src`) need the mark in any case.
	AllAttributes bool `yaml:"all_attributes" default:"false"`
	// Columns names the columns of a CSV feed, or the keys of a JSON feed.
	Columns Columns `yaml:"columns"`
	Guards
	// Limits bound what is fetched, and what is read from the path.
	Limits FeedLimits `yaml:"limits"`
}

// Fetching is how a feed's list is fetched. Its keys stand among those of the feed.
type Fetching struct {
	// Interval is how long after a fetch of the `url` the next one begins, give or take a tenth. After one that failed it is tried again within seconds,
	// then at doubling pauses up to this or an hour. `cenote reload` fetches at once.
	Interval time.Duration `yaml:"interval" default:"1h" min:"1m" max:"4w"`
	// Timeout is how long one fetch of the `url` may take in all, or one transfer from `primaries`.
	Timeout time.Duration `yaml:"timeout" default:"5m" min:"1s" max:"1d"`
	// AuthHeaderFile is a file with one line that is sent with each request, such as `Auth-Key: xyz` or `Authorization: Bearer xyz`, to the server of
	// the `url` and to no other that it redirects to. It is read at each fetch.
	AuthHeaderFile Path `yaml:"auth_header_file" example:"/etc/cenote/secrets/abuse-ch"`
	// CAFile holds the certificates, as PEM, that may vouch for the server of the `url` in place of those that the host trusts.
	CAFile Path `yaml:"ca_file" example:"/etc/cenote/lists-ca.pem"`
	// AllowPrivate are networks that a fetch may reach although they are not of the public internet: loopback, private, link-local and the like.
	// Otherwise neither the `url` nor a redirect leads there, whatever a name's address becomes.
	AllowPrivate []netip.Prefix `yaml:"allow_private" example:"[10.0.7.0/24]"`
	// TAXII has the `url` be that of a collection of TAXII 2.1, `https://taxii.example/api/collections/ID/`. What is new is asked for page by page from where the
	// last fetch ended, and joined with what is known to one bundle of STIX; of each object the newest version counts, and what is revoked or has
	// expired leaves. A fetch that does not get all pages changes nothing. What the URL asks for itself goes before what is asked for otherwise:
	// `?match[type]=indicator` does without the malware and the reports that indicators refer to.
	TAXII bool `yaml:"taxii" default:"false" example:"true"`
	// MISPFeed has the `url` be that of the directory of a MISP feed, `https://misp.example/feed/`. Its manifest.json is asked for, and those events of which it tells
	// another time than before; events that it names no more leave. A fetch that does not get all of them changes nothing. The first fetch of a large feed may take
	// longer than the usual `timeout`.
	MISPFeed bool `yaml:"misp_feed" default:"false" example:"true"`
	// Resync is how long after a collection of TAXII was read whole it is read whole again, which finds what its server removed without a word. It is also
	// read whole where the server does not tell the time of its last object, or does not take it.
	Resync time.Duration `yaml:"resync" default:"1w" min:"1h" max:"52w" example:"1d"`
	// MinisignKey is the publisher's public key of minisign. With it a list is taken only if the signature that lies beside it, under the same URL with
	// .minisig behind the path, is of this key and of this list.
	MinisignKey string `yaml:"minisign_key" example:"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"`
}

// Guards are what keeps a feed's list from doing harm. Its keys stand among those of the feed.
type Guards struct {
	// AllowPrivateSuffix serves rows that equal a name under which anybody can have a name, such as a hosting service's or a
	// dynamic DNS provider's. Such rows are held otherwise, since they stop every customer of that service.
	AllowPrivateSuffix bool `yaml:"allow_private_suffix" default:"false"`
	// AllowPublicSuffix serves rows that hold a whole top-level domain or public suffix, such as an RPZ feed that closes one, or all names by `*`. Such rows are
	// refused otherwise.
	AllowPublicSuffix bool `yaml:"allow_public_suffix" default:"false"`
	// AllowEmpty takes a feed without a row for what it is, such as an allow list that may be empty. Otherwise its last good list stays.
	AllowEmpty bool `yaml:"allow_empty" default:"false"`
	// AllowOlder takes a policy zone (RPZ) whose serial went back (RFC 1982). Otherwise its last good zone stays, since an older one mostly comes from a
	// publisher's mirror that lags behind.
	AllowOlder bool `yaml:"allow_older" default:"false"`
	// AllowHTML reads a feed that looks like a web page as if it were a list: those of its lines that are rows are served. Otherwise its last
	// good list stays, since a page is mostly a log-in or an error of the publisher.
	AllowHTML bool `yaml:"allow_html" default:"false"`
	// ShrinkMax is the largest share of its names that the feed may lose in one change. A larger loss keeps the last good list
	// until `cenote reload --force`; 100% accepts everything but an empty list.
	ShrinkMax Percent `yaml:"shrink_max" default:"50%" min:"0%" max:"100%" example:"80%"`
	// GrowMax is the largest share by which the feed may grow in one change, if it has more than 50000 names then. A larger growth keeps the last good list
	// until `cenote reload --force`.
	GrowMax Growth `yaml:"grow_max" default:"1000%" min:"0%" max:"1000000%" example:"300%"`
	// ErrorMax is the largest share of the rows of a feed of more than 100 that may be unreadable; rows about something that is no use here do not count.
	// Above it the feed is read in the wrong way or damaged, and its last good list stays.
	ErrorMax Percent `yaml:"error_max" default:"50%" min:"0%" max:"100%" example:"5%"`
	// AllowProtected serves rows that stop what `policy.protect` protects, such as a policy zone (RPZ) of your own that means it.
	AllowProtected bool `yaml:"allow_protected" default:"false"`
	// AllowPopular serves rows whose names are popular, for a feed that you vouch for.
	AllowPopular bool `yaml:"allow_popular" default:"false"`
}

// Columns names the columns of a CSV feed by their headers, or the keys of a JSON feed's records; they are compared without regard to case and blanks. An
// empty one is looked for under its usual names.
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
	// Size is how much the files may have as they are stored, and how much is fetched; of a transfer, how many octets its messages may have, and its
	// records with their names in full, which messages shorten.
	Size Size `yaml:"size" default:"256MiB" min:"1KiB" max:"64GiB"`
	// Unpacked is how much they may have after unpacking.
	Unpacked Size `yaml:"unpacked" default:"2GiB" min:"1KiB" max:"256GiB"`
	// Rows is how many rows are read, good or bad, and how many records a transfer may have.
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
	// Cores is how many cores the child uses at once; 0 is all of `processors`, or without those half of the server's.
	Cores int `yaml:"cores" default:"0" min:"0" max:"1024"`
	// Processors are the numbers of the processors that the child may run on. Empty: those of the server. Where the server is kept on some processors
	// (taskset, CPUAffinity), others here leave the server's own to queries.
	Processors []int `yaml:"processors" min:"0" max:"8191" example:"[1]"`
	// Memory is how much memory the child aims to stay under.
	Memory Size `yaml:"memory" default:"2GiB" min:"64MiB" max:"1TiB"`
	// SuffixList is a Public Suffix List to use in place of the one that is built in, for the rows that name a suffix.
	SuffixList Path `yaml:"suffix_list" example:"/usr/share/publicsuffix/public_suffix_list.dat"`
	// Mapped uses the compiled list where it lies on the disk, through the system's cache of files, in place of reading it into the server's own memory.
	// The system can then take that memory when others need it, and a look-up, and with it all that the server does, may have to wait for the disk. A
	// disk that fails to give back what was taken ends the server. It takes effect with the next list that is compiled.
	Mapped bool `yaml:"mapped" default:"false"`
	// History is how many copies of each feed are kept, that which is served among them: what `cenote feeds diff` compares, and `cenote feeds rollback`
	// goes back to.
	History int `yaml:"history" default:"3" min:"1" max:"1000"`
	// HistorySize is how much the copies of one feed may take on the disk beside that which is served; the oldest goes first. With 0 there are none.
	HistorySize Size `yaml:"history_size" default:"1GiB" min:"0" max:"1TiB"`
	// Timeout is how long one compilation may take. A child that takes longer is ended, and the last good policy stays.
	Timeout time.Duration `yaml:"timeout" default:"10m" min:"1s" max:"1d"`
}
