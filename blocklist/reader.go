package blocklist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// reader is the reading of one feed. One goroutine uses it.
type reader struct {
	config FeedConfig
	limits Limits
	format *format // nil until detected
	sink   Sink
	shown  int // how many faults of each reason the sink is shown
	guard  *suffixes
	review *review
	names  *nameParser
	lines  *lineReader
	budget budget
	report Report
	row    Indicator         // reused for every row
	texts  map[string]string // comments and references that came before
	failed error             // ends the reading: the sink's error or a limit
	done   func() error      // says whether the caller has given up
	now    time.Time         // when the reading began

	marks *lineMarks // of the lines of the feed's only file; nil: nobody asks
	only  lineSet    // the lines that are read, where part says so; the others are known
	part  bool
	plain int               // plain rows of the present line, see lineMarks
	visit func(*file) error // looks at the lines of a file in place of the format; nil: they are read
}

// textsMax is how many different comments and references are kept as one string each; more of them cost memory, not correctness.
const textsMax = 4096

func newReader(c FeedConfig, s Sink) (*reader, error) {
	protect, err := newProtection(&c.Protect)
	if err != nil {
		return nil, err
	}
	return newProtectedReader(c, s, protect)
}

// newProtectedReader is newReader with what is protected, which may be nil.
func newProtectedReader(c FeedConfig, s Sink, protect *protection) (*reader, error) {
	guard, err := newSuffixes(c.SuffixList)
	if err != nil {
		return nil, err
	}
	return newGuardedReader(c, s, guard, protect)
}

func newGuardedReader(c FeedConfig, s Sink, guard *suffixes, protect *protection) (*reader, error) {
	r := &reader{
		config: c, limits: c.Limits.orDefault(), sink: s, shown: FaultsMax, guard: guard, review: newReview(&c, protect),
		names: newNameParser(), lines: newLineReader(), texts: map[string]string{},
	}
	r.report.Faults = map[Reason]*FaultCount{}
	if c.Confidence > 100 {
		return nil, fmt.Errorf("confidence %d is over 100", c.Confidence)
	}
	if _, err := path.Match(c.Files, ""); err != nil {
		return nil, fmt.Errorf("files %q: %w", c.Files, err)
	}
	if c.Format != "" {
		f, err := formatByName(c.Format)
		if err != nil {
			return nil, err
		}
		r.setFormat(f)
	}
	return r, nil
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.SourceBytes == 0 {
		l.SourceBytes = d.SourceBytes
	}
	if l.ContentBytes == 0 {
		l.ContentBytes = d.ContentBytes
	}
	if l.Files == 0 {
		l.Files = d.Files
	}
	if l.Rows == 0 {
		l.Rows = d.Rows
	}
	return l
}

func (r *reader) setFormat(f *format) {
	r.format = f
	r.report.Format = f.name
	r.report.ClosestEncloser = f.closestEncloser
}

func (r *reader) read(ctx context.Context) error {
	r.prepare(ctx)
	err := r.readSource(r.config.Path)
	r.report.Bytes = r.limits.ContentBytes - r.budget.content
	if err != nil {
		return err
	}
	return r.checkWhole()
}

func (r *reader) prepare(ctx context.Context) {
	r.done, r.now = ctx.Err, time.Now()
	r.budget = budget{source: r.limits.SourceBytes, stream: r.limits.ContentBytes, content: r.limits.ContentBytes}
}

// checkWhole guards against a feed that says nothing, or of which too much cannot be read.
func (r *reader) checkWhole() error {
	if r.report.Live > 0 || r.config.AllowEmpty {
		return r.checkErrors()
	}
	return &SourceError{File: r.config.source(), Err: ErrEmpty, Next: r.whyEmpty() + "; " + r.ifMeant("allow_empty")}
}

// checkErrors guards against a feed that is read in the wrong way, or was damaged on its way.
func (r *reader) checkErrors() error {
	unreadable := 0
	for reason, c := range r.report.Faults {
		if reason.unreadable() {
			unreadable += c.Count
		}
	}
	most := max(r.config.ErrorMax, 0)
	if r.config.ErrorMax == 0 || r.report.Parsed <= errorLeast || float64(unreadable) <= most*float64(r.report.Parsed) {
		return nil
	}
	return &SourceError{File: r.config.source(), Err: ErrBroken, Next: fmt.Sprintf("%d of %d rows, more than %.0f%%; %s; %s",
		unreadable, r.report.Parsed, most*100, r.whyBroken(), r.ifMeant("error_max"))}
}

// whyBroken is the reason of most rows that cannot be read.
func (r *reader) whyBroken() string {
	most := r.mostFaults(Reason.unreadable)
	return fmt.Sprintf("first %s; look whether the format %s is right", most.First, r.format.name)
}

// ifMeant is how to take a feed that a guard keeps back.
func (r *reader) ifMeant(setting string) string {
	return fmt.Sprintf("to take it as it is run `cenote reload --force %s` or set %s on the feed", r.config.Name, setting)
}

func (r *reader) whyEmpty() string {
	most := r.mostFaults(func(Reason) bool { return true })
	if most == nil && r.report.Skipped > 0 {
		return fmt.Sprintf("it has no rows, only %d entries that are none", r.report.Skipped)
	}
	if most == nil || r.format == nil {
		return "it has no rows: look whether the download was cut off"
	}
	return fmt.Sprintf("none of its %d rows read as %s is usable, first %s; look whether the format is right", r.report.Parsed, r.format.name, most.First)
}

// mostFaults are those of the most frequent of some reasons; nil for none.
func (r *reader) mostFaults(of func(Reason) bool) (most *FaultCount) {
	for reason := range reasonEnd {
		if c := r.report.Faults[reason]; c != nil && of(reason) && (most == nil || c.Count > most.Count) {
			most = c
		}
	}
	return most
}

// file is one file of the feed while it is read.
type file struct {
	*reader
	name     string    // as the operator knows it
	base     string    // its last element, without the ending of a compression
	modified time.Time // the zero time where nobody knows
	start    Indicator // what each row begins with
}

// readFile reads one file to its end in the feed's format, which it detects if need be. A file without a row tells no format and is skipped.
func (r *reader) readFile(f *file, body io.Reader) error {
	f.reader = r
	if err := r.done(); err != nil {
		return err
	}
	r.report.Files++
	if r.report.Files > r.limits.Files {
		return &SourceError{File: f.name, Err: ErrTooManyFiles, Next: "raise limits.files, or select by files"}
	}
	r.lines.reset(body)
	head, err := r.lines.peek()
	if err != nil {
		return r.readError(f, err)
	}
	r.lines.skipMark()
	if err := r.checkText(f.name, head); err != nil {
		return err
	}
	if r.format == nil {
		if err := r.detect(f, head); err != nil || r.format == nil {
			return err
		}
	}
	f.start = r.rowStart(f)
	if !r.format.alone || r.report.Files > 1 {
		r.marks.giveUp()
	}
	read := r.format.read
	if r.visit != nil {
		read = r.visit
	}
	if err := read(f); err != nil {
		return r.readError(f, err)
	}
	r.report.Lines += r.lines.number
	return nil
}

// readError gives an error of the source the file's name; those that have one keep it.
func (r *reader) readError(f *file, err error) error {
	_, named := errors.AsType[*SourceError](err)
	_, onDisk := errors.AsType[*fs.PathError](err)
	switch {
	case err == r.failed, named, onDisk, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &SourceError{File: f.name, Err: ErrTruncated, Next: "fetch it again"}
	case errors.Is(err, ErrTooLarge):
		return &SourceError{File: f.name, Err: err, Next: "raise limits.content_bytes if it is meant to be so large"}
	}
	return &SourceError{File: f.name, Err: fmt.Errorf("%w: %w", ErrArchive, err), Next: "fetch it again"}
}

func (r *reader) rowStart(f *file) Indicator {
	start := Indicator{Family: r.config.Family, Threat: r.config.Threat, Confidence: r.config.confidence(), File: f.name}
	if r.config.TTL > 0 && !f.modified.IsZero() {
		start.Expiry = f.modified.Add(r.config.TTL)
	}
	return start
}

// next returns the next line of the file, as it is but for its end. io.EOF ends the file; any other error ends the reading.
func (f *file) next() ([]byte, error) {
	for {
		if f.failed != nil {
			return nil, f.failed
		}
		if f.part {
			if err := f.lines.skip(f.only.gap(f.lines.number)); err != nil {
				return nil, err
			}
		}
		line, err := f.lines.next()
		if f.part || f.lines.number&0xfff == 0 {
			f.fail(f.done())
		}
		switch tooLong := err == errLineTooLong; {
		case err != nil && !tooLong:
			return line, err
		case !f.part:
			f.marks.add(line)
		}
		if err == nil {
			return line, nil
		}
		f.refuse(ReasonLineTooLong, line)
	}
}

// fail ends the reading with err, if err is one.
func (r *reader) fail(err error) {
	if r.failed == nil {
		r.failed = err
	}
}

// byLine makes the reading of a file out of the reading of a line. Lines come without blanks at their ends, and empty ones do not come.
func byLine(parse func(*file, []byte)) func(*file) error {
	return func(f *file) error {
		for {
			line, err := f.next()
			if err == io.EOF {
				return f.failed
			}
			if err != nil {
				return err
			}
			if line = trim(line); len(line) == 0 {
				continue
			}
			f.plain = 0
			said := f.report.Parsed + f.report.Skipped
			parse(f, line)
			if f.plain == 1 && f.report.Parsed+f.report.Skipped == said+1 {
				f.marks.setPlain(f.lines.number)
			}
		}
	}
}

// begin returns the row to fill: what holds for the whole feed is in it, and the line.
func (f *file) begin() *Indicator {
	f.row = f.start
	f.row.Line = f.lines.number
	return &f.row
}

// match returns how far the feed's names reach: as configured, or else as the format's tradition has it.
func (r *reader) match() policy.Kind { return r.matchOr(r.format.kind) }

// matchOr is match for a row whose syntax has a tradition of its own.
func (r *reader) matchOr(tradition policy.Kind) policy.Kind {
	switch r.config.Match {
	case MatchExact:
		return policy.KindExact
	case MatchSubtree:
		return policy.KindSubtree
	case MatchBelow:
		return policy.KindBelow
	case MatchDefault:
	}
	return tradition
}

// list hands the row that begin returned to the sink under the host name in text, or refuses it.
func (f *file) list(text []byte, kind policy.Kind) {
	name, labels, why := f.names.host(text)
	switch why {
	case ReasonNone:
		f.serve(name, labels, kind, text)
	case ReasonIPAddress:
		f.listAddress(text)
	default:
		f.refuse(why, text)
	}
}

// serve hands the row that begin returned to the sink under a canonical name, unless the guards refuse it; text is the row for that case.
func (f *file) serve(name []byte, labels int, kind policy.Kind, text []byte) {
	v := f.guarded(name, labels, kind)
	if v.why != ReasonNone {
		f.refuseBy(f.row.Line, v, text)
		return
	}
	f.count()
	f.report.Live++
	if v.name != "" {
		f.note(&v, text)
	} else if f.row.Comment == "" && f.row.Reference == "" && f.row.Data == nil && f.row.Expiry.IsZero() {
		f.plain++
	}
	f.row.Name, f.row.Kind = dnsname.Name(name), kind
	f.fail(f.sink.Indicator(&f.row))
}

// suffixed returns why the name of a row takes in too many names, or ReasonNone.
func (r *reader) suffixed(name []byte, labels int, kind policy.Kind) Reason {
	switch why := r.guard.check(name, labels); {
	case why == ReasonHeld && r.config.AllowPrivateSuffixes, why == ReasonHeld && r.config.AllowSuffixes:
		return ReasonNone
	case r.config.AllowSuffixes && (why == ReasonTLD || why == ReasonPublicSuffix || why == ReasonRoot && kind == policy.KindBelow):
		return ReasonNone // that of the root is `*` in a policy zone: all but what else it lists
	default:
		return why
	}
}

// refuse counts the present line, or the part of it in text, as a row that is not served.
func (f *file) refuse(why Reason, text []byte) { f.refuseAt(f.lines.number, why, text) }

func (f *file) refuseAt(line int, why Reason, text []byte) {
	f.refuseBy(line, verdict{why: why}, text)
}

// refuseBy is refuseAt with what a guard says.
func (f *file) refuseBy(line int, v verdict, text []byte) {
	f.count()
	why, held := v.why, v.why.Held()
	if held {
		f.report.Held++
	} else {
		f.report.Refused++
	}
	c := f.report.Faults[why]
	if c == nil {
		c = &FaultCount{}
		f.report.Faults[why] = c
	}
	c.Count++
	showHeld := held && len(f.report.HeldRows) < HeldMax
	showGuarded := !held && v.name != "" && why != ReasonDecided && len(f.report.GuardedRows) < GuardedMax
	if c.Count > f.shown && !showHeld && !showGuarded {
		return
	}
	fault := Fault{File: f.name, Line: line, Reason: why, Text: printable(bytes.TrimSpace(text), faultTextMax), By: v.by}
	if c.Count == 1 {
		c.First = fault
	}
	if showHeld {
		f.report.HeldRows = append(f.report.HeldRows, HeldRow{Fault: fault, Name: v.name, State: StateHeld})
	}
	if showGuarded {
		f.report.GuardedRows = append(f.report.GuardedRows, HeldRow{Fault: fault, Name: v.name, State: StateRefused})
	}
	if c.Count <= f.shown {
		f.sink.Fault(fault)
	}
}

// skip counts a row that every such file has and nobody means.
func (f *file) skip() { f.report.Skipped++ }

// count counts one row that says something.
func (f *file) count() {
	if f.report.Parsed++; f.report.Parsed > f.limits.Rows {
		f.fail(&SourceError{File: f.name, Err: ErrTooManyRows, Next: "raise limits.rows if it is meant to be so large"})
	}
}

// text keeps at most CommentMax octets of a foreign text; the same text is kept once.
func (r *reader) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := r.texts[string(b)]; ok {
		return s
	}
	s := printable(b, CommentMax)
	if len(r.texts) < textsMax && len(b) <= CommentMax {
		r.texts[string(b)] = s
	}
	return s
}
