package blocklist

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"cenote/policy"
)

// format is one way to write a feed.
type format struct {
	name            string
	endings         string      // of file names, blank separated; they decide only where the content does not
	kind            policy.Kind // what a name means if neither row nor configuration says it
	tradition       string      // why it means that
	closestEncloser bool        // an RPZ source: the draft's wildcard rule holds
	files           string      // which files of a directory or archive are meant, if the configuration does not say
	leaves          string      // a file of a directory or archive that belongs to the format and has no rows
	alone           bool        // each line says by itself what it lists: nothing that is said of one depends on others
	looks           func(line []byte) evidence
	shape           func(jsonShape) bool // of a format that is JSON, in place of looks
	read            func(*file) error
}

// evidence is how strongly a line speaks for a format.
type evidence int

const (
	evidenceNone      evidence = 0
	evidenceRow       evidence = 1       // it could be a row of it
	evidenceSignature evidence = 1 << 20 // nothing else has such lines
)

// formats is the table of formats. A row that several of them could have counts for the first.
func formats() []*format {
	return []*format{
		{name: "rpz", endings: ".rpz .zone .db", kind: policy.KindExact, closestEncloser: true, looks: looksRPZ, read: readRPZ,
			tradition: "as the draft says: a name is itself, *.name is what lies below it"},
		{name: "maltrail", kind: policy.KindSubtree, files: "*.txt", looks: looksMaltrail, read: byTrail,
			tradition: "a trail is the name and all below it; the file's name is the family"},
		{name: "adblock", endings: ".adblock .adguard", kind: policy.KindSubtree, looks: looksAdblock, read: readAdblock,
			tradition: "||name^ is the name and all below it; a bare name is itself"},
		{name: "dnsmasq", endings: ".dnsmasq", kind: policy.KindSubtree, alone: true, looks: looksDnsmasq, read: byLine(parseDnsmasq),
			tradition: "an option names the name and all below it"},
		{name: "unbound", endings: ".unbound .conf", kind: policy.KindSubtree, looks: looksUnbound, read: readUnbound,
			tradition: "a local-zone is the name and all below it; a local-data is itself"},
		{name: "csv", endings: ".csv", kind: policy.KindExact, looks: looksCSV, read: readCSV,
			tradition: "an indicator is the name that was seen"},
		{name: "hosts", endings: ".hosts", kind: policy.KindExact, alone: true, looks: looksHosts, read: byLine(parseHosts),
			tradition: "a hosts file has no way to speak of the names below"},
		{name: "addresses", endings: ".ip .ips .netset .ipset", kind: policy.KindExact, looks: looksAddresses, read: byLine(parseAddresses),
			tradition: "an address or a prefix, whichever name's answer holds it"},
		{name: "stix", endings: ".stix .stix2", kind: policy.KindExact, shape: isBundle, read: readSTIX,
			tradition: "a pattern compares with the name that was seen"},
		{name: "misp", kind: policy.KindExact, files: "*.json", leaves: "manifest.json", shape: isEvents, read: readMISP,
			tradition: "an attribute is the name that was seen"},
		{name: "json", endings: ".jsonl .ndjson", kind: policy.KindExact, shape: isRecords, read: readJSON,
			tradition: "an indicator is the name that was seen"},
		{name: "wildcard", endings: ".wildcard", kind: policy.KindSubtree, alone: true, looks: looksWildcard, read: byLine(parseWildcard),
			tradition: "*.name is the name and all below it, as the publishers of such lists mean it; match: below reads it strictly"},
		{name: "regex", endings: ".regex", kind: policy.KindExact, looks: func([]byte) evidence { return evidenceNone }, read: byLine(parseRegex),
			tradition: "a regular expression (RE2) that is looked for anywhere in a name; it needs three letters in a row that every name has which it matches"},
		{name: "domains", endings: ".domains .list .txt", kind: policy.KindExact, alone: true, looks: looksDomains, read: byLine(parseDomains),
			tradition: "a plain list says no more than its names, so that one wrong row costs one name and not a whole site; " +
				"set match: subtree for a list of names that their owners hold for malice"},
	}
}

// FormatInfo is what an operator needs to know of a format.
type FormatInfo struct {
	Name      string
	Kind      policy.Kind // what a name means by default
	Tradition string      // and why
}

// Formats lists the formats that ReadFeed knows.
func Formats() []FormatInfo {
	var list []FormatInfo
	for _, f := range formats() {
		list = append(list, FormatInfo{Name: f.name, Kind: f.kind, Tradition: f.tradition})
	}
	return list
}

func formatByName(name string) (*format, error) {
	var known []string
	for _, f := range formats() {
		if f.name == name {
			return f, nil
		}
		known = append(known, f.name)
	}
	return nil, fmt.Errorf("unknown format %q; known are %s", name, strings.Join(known, ", "))
}

// checkText refuses a file that is no text of rows at all, by how it begins.
func (r *reader) checkText(name string, head []byte) error {
	body := textOf(head)
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return &SourceError{File: name, Err: ErrBinary, Next: "it is UTF-16: convert it to UTF-8"}
	case bytes.IndexByte(head, 0) >= 0, bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return &SourceError{File: name, Err: ErrBinary, Next: "an archive must not hold another one; in a directory, select the feed's files by files"}
	case looksHTML(body) && !r.config.AllowHTML:
		return &SourceError{File: name, Err: ErrHTML,
			Next: "the publisher answered with a page, perhaps a log-in or an error: look into it and fetch again; " + r.ifMeant("allow_html")}
	case r.format != nil && r.format.shape != nil:
		return nil
	case looksJSON(body) && (r.format != nil || formatOfJSON(body) == nil):
		return &SourceError{File: name, Err: ErrJSON, Next: nextForJSON}
	}
	return nil
}

const nextForJSON = "it may be an error of the publisher's: look into it; of JSON, STIX bundles, MISP events, exports of abuse.ch and Spamhaus and lists of " +
	"records are read; set format to json and columns.name to the key that holds the names if it has others"

// formatOfJSON returns the format of a document by how it begins; nil if no format has that shape.
func formatOfJSON(head []byte) *format {
	shape := shapeOfJSON(head)
	for _, f := range formats() {
		if f.shape != nil && f.shape(shape) {
			return f
		}
	}
	return nil
}

// textOf is the beginning of a file without its mark and blanks.
func textOf(head []byte) []byte { return trim(bytes.TrimPrefix(head, []byte(byteOrderMark))) }

func looksHTML(body []byte) bool { return bytes.HasPrefix(body, []byte("<")) }

// looksJSON tells an object or an array from the head line of an adblock list and from an IPv6 address in brackets.
func looksJSON(body []byte) bool {
	if len(body) == 0 || body[0] != '{' && body[0] != '[' {
		return false
	}
	rest := trim(body[1:])
	return len(rest) == 0 || bytes.IndexByte([]byte(`{["]}`), rest[0]) >= 0
}

// detect settles the feed's format by the beginning of its first file that has rows. Content decides, by what most lines look like; the
// file's name decides where there are only comments. A page that may be read, and has no rows of any format, is a file without rows.
func (r *reader) detect(f *file, head []byte) error {
	if body := textOf(head); looksJSON(body) {
		r.setFormat(formatOfJSON(body)) // checkText has let it pass
		return nil
	}
	list := formats()
	votes, rows := countVotes(list, wholeLines(head))
	best := 0
	for i := range votes {
		if votes[i] > votes[best] {
			best = i
		}
	}
	switch {
	case votes[best] >= evidenceSignature, votes[best] > 0 && 2*int(votes[best]) >= rows:
		r.setFormat(list[best])
	case rows == 0:
		r.setFormatByEnding(list, f.base)
	case looksHTML(textOf(head)): // checkText has let it pass
	default:
		return &SourceError{File: f.name, Err: ErrUnknownFormat, Next: "set format to one of " + formatNames(list) + ", or select the feed's files by files"}
	}
	return nil
}

// wholeLines drops the last line of a sample that was cut.
func wholeLines(head []byte) []byte {
	if len(head) < LineMax {
		return head
	}
	return head[:bytes.LastIndexByte(head, '\n')+1]
}

// countVotes asks the formats about each line, in the order of the table: the first that could have written it gets the vote. Rows are the
// lines that are neither empty nor remarks.
func countVotes(list []*format, head []byte) (votes []evidence, rows int) {
	votes = make([]evidence, len(list))
	head = bytes.TrimPrefix(head, []byte(byteOrderMark))
	for line := range bytes.Lines(head) {
		if line = trim(line); len(line) == 0 {
			continue
		}
		if !isCommentLine(line) {
			rows++
		}
		for i, f := range list {
			if f.looks == nil {
				continue
			}
			if e := f.looks(line); e != evidenceNone {
				votes[i] += e
				break
			}
		}
	}
	return votes, rows
}

func isCommentLine(line []byte) bool { return bytes.IndexByte([]byte("#!;"), line[0]) >= 0 }

func (r *reader) setFormatByEnding(list []*format, base string) {
	ending := strings.ToLower(path.Ext(base))
	for _, f := range list {
		for known := range strings.FieldsSeq(f.endings) {
			if known == ending {
				r.setFormat(f)
				return
			}
		}
	}
}

func formatNames(list []*format) string {
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// selects reports whether a file of a directory or archive, by its base name, belongs to the feed.
func (r *reader) selects(base string) bool {
	pattern := r.config.Files
	if pattern == "" && r.format != nil {
		pattern = r.format.files
	}
	if strings.HasPrefix(base, ".") {
		return false
	}
	if r.format != nil && base == r.format.leaves {
		return false
	}
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, base)
	return ok && err == nil
}
