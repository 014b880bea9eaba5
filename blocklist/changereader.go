package blocklist

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"cenote/dnsname"
	"cenote/policy"
)

// A difference between two versions of a policy zone is read by what reads a whole zone: once the records that the names which it touches had, and once those that
// they have, each as a small zone with the apex of its version. What the first gives must be what the copy of the feed says of those names, and is taken out of its report; what the
// second gives takes its place. So no guard and no rule of reading is there twice, and what is not as it should be is seen, and has the zone read whole.

// errWhole says that a change cannot be taken over by itself: the source is read whole.
var errWhole = errors.New("the zone is read whole")

// changeReader reads what a difference changes.
type changeReader struct {
	config   FeedConfig
	before   *Rows
	change   *ZoneChange
	apex     dnsname.Name
	suffixes *suffixes
	protect  *protection
	source   SourceState
	buf      []byte                    // of blocks of before
	found    map[dnsname.Name][]rawRow // what before says of names that were looked for

	steps int // names that were looked at below others
}

// stepsMax is how many names are looked at to find out whether there is still something below others.
const stepsMax = 20_000

// zonePart is what reading some names of a zone gave.
type zonePart struct {
	report FeedReport
	groups map[dnsname.Name][]rawRow // by key
	faults map[string]bool           // the texts of all faults
}

// partSink notes the faults of a part.
type partSink struct {
	*rowsWriter
	part *zonePart
}

// Fault implements Sink.
func (s partSink) Fault(f Fault) { s.part.faults[f.Text] = true }

// layer writes the copy that follows, as a layer, and notes the names of which it says something else.
func (c *changeReader) layer(ctx context.Context, l layout, number uint64, changes *rowsChanges) error {
	if c.config.Lenient {
		return fmt.Errorf("%w: who spells an address otherwise cannot be looked up", errWhole)
	}
	owners := c.owners()
	old := newRowsGatherer(l.feedDir(c.config.Name), 0, nil)
	defer old.close()
	t := &c.before.tables
	old.families, old.threats, old.files = newLabelTable(labelsMax, t.Families...), newLabelTable(labelsMax, t.Threats...), newLabelTable(filesMax, t.Files...)
	was, err := c.read(ctx, old, c.text(owners, false))
	if err != nil {
		return err
	}
	w, err := newLayerWriter(l.feedDir(c.config.Name), c.before)
	if err != nil {
		return err
	}
	defer w.close()
	is, err := c.read(ctx, w.rowsWriter, c.text(owners, true))
	if err != nil {
		return err
	}
	is.report.since(c.before, c.source.Read)
	report, err := c.before.report.exchanged(&was.report, &is.report, was.faults)
	if err != nil {
		return err
	}
	report.Source = c.source
	if err := c.check(report); err != nil {
		return err
	}
	changed, err := c.changed(was, is, report)
	if err != nil {
		return err
	}
	for i := range changed {
		changes.note(changed[i].name, changed[i].is)
	}
	return w.finish(l.rows(c.config.Name, number), number, report, changed)
}

// check looks at the report of the copy as the reading of a whole zone does.
func (c *changeReader) check(report *FeedReport) error {
	format, err := formatByName("rpz")
	if err != nil {
		return err
	}
	r := reader{config: c.config, limits: c.config.Limits.orDefault(), format: format, report: report.Report}
	switch err := r.checkWhole(); {
	case err != nil:
		return fmt.Errorf("%w: %w", errWhole, err)
	case report.Parsed > r.limits.Rows, report.Bytes > min(r.limits.ContentBytes, r.limits.SourceBytes):
		return fmt.Errorf("%w: it has %d rows and %d octets", errWhole, report.Parsed, report.Bytes)
	}
	return nil
}

// owners are the names that are read: those that the difference touches, and with each all others whose rules have the same key: that which lists the same name with an
// asterisk, or without it, and those that spell the same address otherwise. The apex is left out.
func (c *changeReader) owners() (all []dnsname.Name) {
	for _, owner := range c.change.Owners {
		base := owner
		if owner.FirstLabel() == "*" {
			base = owner.Parent()
		}
		if base != c.apex && base.FirstLabel() != "*" {
			all = append(all, base)
		}
		if base != c.apex || base != owner {
			if wild := dnsname.Name("\x01*") + base; len(wild) <= dnsname.WireMax {
				all = append(all, wild)
			}
		}
		all = append(all, c.spellings(owner)...)
	}
	slices.SortFunc(all, dnsname.Compare)
	return slices.Compact(all)
}

// spellings are the owners of rules about the address that an owner lists, itself among them; none if it lists none.
func (c *changeReader) spellings(owner dnsname.Name) (all []dnsname.Name) {
	labels := []byte(owner[:len(owner)-len(c.apex)])
	if len(labels) == 0 {
		return nil
	}
	last := lastLabel(append(bytes.Clone(labels), 0))
	labels = labels[:len(labels)-len(last)-1]
	if !triggerOf(string(last)).ByAddress() {
		return nil
	}
	prefix, err := policy.ParsePrefix(labels, true)
	if err != nil {
		return nil // it is refused; spellings that only a lenient feed reads are not read here, see planChange
	}
	rest := owner[len(labels):]
	for _, s := range policy.PrefixSpellings(prefix) {
		if len(s)+len(rest) <= dnsname.WireMax {
			all = append(all, dnsname.Name(s)+rest)
		}
	}
	return all
}

// text is a zone of some names, in the version before the difference or after it.
func (c *changeReader) text(owners []dnsname.Name, after bool) []byte {
	text := c.change.Append(nil, c.apex, after)
	for _, owner := range owners {
		text = c.change.Append(text, owner, after)
	}
	return text
}

// read reads the text of a zone into a writer.
func (c *changeReader) read(ctx context.Context, w *rowsWriter, text []byte) (*zonePart, error) {
	p := &zonePart{groups: map[dnsname.Name][]rawRow{}, faults: map[string]bool{}}
	r, err := newGuardedReader(c.config, partSink{w, p}, c.suffixes, c.protect)
	if err != nil {
		return nil, err
	}
	format, err := formatByName("rpz")
	if err != nil {
		return nil, err
	}
	r.setFormat(format)
	r.shown = math.MaxInt
	r.prepare(ctx)
	if err := r.readFile(&file{name: c.before.tables.Files[0]}, bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("%w: %w", errWhole, err)
	}
	r.report.Bytes = int64(len(text))
	p.report = FeedReport{Report: r.report, LabelsDropped: w.dropped}
	return p, p.group(w)
}

// group takes the rows of a writer.
func (p *zonePart) group(w *rowsWriter) error {
	rows, err := w.sorter.finish()
	if err != nil {
		return err
	}
	m := &rowsMaker{writer: w, report: &p.report}
	p.report.FamilyEntries = map[string]int{}
	end := func() {
		if group := m.group(); len(group) > 0 {
			p.groups[dnsname.Name(m.name)] = slices.Clone(group)
			for i := range group {
				p.report.FamilyEntries[w.families.texts[group[i].Family]]++
			}
		}
		m.rows = m.rows[:0]
	}
	for {
		r, err := rows.next()
		if err != nil {
			end()
			p.report.Live -= p.report.Duplicates.Count + p.report.Crowded.Count
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if !bytes.Equal(r.name, m.name) {
			end()
			m.name = append(m.name[:0], r.name...)
		}
		d := rowBytes{b: r.row}
		row := d.row()
		row.Line = 0
		m.take(row)
	}
}

// changed are the names of which the copies say different things, in the order of rows files. It counts empty non-terminals in the report.
func (c *changeReader) changed(was, is *zonePart, report *FeedReport) ([]changedRows, error) {
	if err := c.foresee(was, is); err != nil {
		return nil, err
	}
	var out []changedRows
	note := func(name dnsname.Name, rows []rawRow) error {
		before, err := c.find(name)
		if err != nil {
			return err
		}
		if (was.groups[name] != nil || is.groups[name] != nil) && !slices.EqualFunc(ownRows(before), was.groups[name], saysAsMuch) {
			return fmt.Errorf("%w: of %s the copy does not say what the version before did", errWhole, name)
		}
		report.EmptyNonTerminals += empties(rows) - empties(before)
		if len(before)+len(rows) > 0 && !sameRows(before, rows) {
			out = append(out, changedRows{changedName{nameHash([]byte(name)), []byte(name)}, before, rows})
		}
		return nil
	}
	empty, err := c.empty(was, is)
	if err != nil {
		return nil, err
	}
	for name, rows := range is.groups {
		if err := note(name, rows); err != nil {
			return nil, err
		}
	}
	for name, needs := range empty {
		var rows []rawRow
		if needs {
			rows = []rawRow{{Kind: policy.KindENT, Confidence: policy.ConfidenceUnknown}}
		}
		if err := note(name, rows); err != nil {
			return nil, err
		}
	}
	for name := range was.groups {
		if _, known := empty[name]; !known && is.groups[name] == nil {
			if err := note(name, nil); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(out, func(a, b changedRows) int { return compareNames(a.changedName, b.changedName) })
	return out, nil
}

// empty tells of names without rows of their own whether they are empty non-terminals after the change: of those that have lost their rows, and of the names above those
// that have changed.
func (c *changeReader) empty(was, is *zonePart) (map[dnsname.Name]bool, error) {
	out := map[dnsname.Name]bool{} // and whether something lies below, if that is known already
	for name := range is.groups {
		if was.groups[name] == nil {
			c.above(name, func(above dnsname.Name) { out[above] = true })
		}
	}
	for name := range was.groups {
		if is.groups[name] == nil && !name.IsRoot() && !policy.TriggerOf([]byte(name)).ByAddress() {
			out[name] = out[name] || false
			c.above(name, func(above dnsname.Name) { out[above] = out[above] || false })
		}
	}
	for name := range is.groups { // which Kept leaves out
		c.above(name, func(above dnsname.Name) {
			if _, asked := out[above]; asked {
				out[above] = true
			}
		})
	}
	names := make([]dnsname.Name, 0, len(out))
	for name := range out {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b dnsname.Name) int { return cmp.Compare(b.Labels(), a.Labels()) }) // what lies below a name lies below those above it
	for _, name := range names {
		own, err := c.served(name, is, was)
		if err != nil {
			return nil, err
		}
		if own {
			delete(out, name) // as it is among is, or does not change
			c.above(name, func(above dnsname.Name) {
				if _, asked := out[above]; asked {
					out[above] = true
				}
			})
			continue
		}
		if out[name] {
			continue
		}
		if out[name], err = c.hasBelow(name, was, is); err != nil {
			return nil, err
		}
		if out[name] {
			c.above(name, func(above dnsname.Name) {
				if _, asked := out[above]; asked {
					out[above] = true
				}
			})
		}
	}
	return out, nil
}

// above visits the names above one, up to the apex, which are empty non-terminals if nothing else; of an address there are none.
func (c *changeReader) above(name dnsname.Name, visit func(dnsname.Name)) {
	if policy.TriggerOf([]byte(name)).ByAddress() {
		return
	}
	for name = name.Parent(); !name.IsRoot(); name = name.Parent() {
		visit(name)
	}
}

// served reports whether a name has rows of its own after the change.
func (c *changeReader) served(name dnsname.Name, is, was *zonePart) (bool, error) {
	if is.groups[name] != nil || was.groups[name] != nil {
		return is.groups[name] != nil, nil
	}
	rows, err := c.find(name)
	return len(ownRows(rows)) > 0, err
}

// foresee finds what the copy before says of the names that parts have, and of those above them, in the order of the copy: so each of its blocks is read once.
func (c *changeReader) foresee(parts ...*zonePart) error {
	names := map[dnsname.Name]bool{}
	for _, p := range parts {
		for name := range p.groups {
			names[name] = true
			c.above(name, func(above dnsname.Name) { names[above] = true })
		}
	}
	all := make([]changedName, 0, len(names))
	for name := range names {
		all = append(all, changedName{nameHash([]byte(name)), []byte(name)})
	}
	slices.SortFunc(all, compareNames)
	seeker := c.before.seeker()
	for i := range all {
		rows, err := seeker.find(all[i].name, all[i].hash)
		if err != nil {
			return err
		}
		c.found[dnsname.Name(all[i].name)] = slices.Clone(rows)
	}
	return nil
}

// find returns what the copy before says of a name.
func (c *changeReader) find(name dnsname.Name) ([]rawRow, error) {
	if rows, known := c.found[name]; known {
		return rows, nil
	}
	wire := []byte(name)
	rows, err := c.before.find(wire, nameHash(wire), &c.buf)
	if err != nil {
		return nil, err
	}
	rows = slices.Clone(rows)
	c.found[name] = rows
	return rows, nil
}

// hasBelow reports whether a name that the difference leaves as it is has rows, and lies below one.
func (c *changeReader) hasBelow(name dnsname.Name, was, is *zonePart) (found bool, err error) {
	c.change.Kept(c.ownerOf(name), func(owner []byte) bool {
		if c.steps++; c.steps > stepsMax {
			err = fmt.Errorf("%w: too much lies below %s that is not served", errWhole, name)
			return false
		}
		key, ok := c.keyOf(dnsname.Name(owner))
		if ok && key.IsBelow(name) {
			found, err = c.served(key, is, was)
		}
		return !found && err == nil
	})
	return found, err
}

// ownerOf is the owner of the rules of a key.
func (c *changeReader) ownerOf(key dnsname.Name) dnsname.Name {
	labels := key[:len(key)-1]
	if policy.TriggerOf([]byte(key)) == policy.TriggerNSDNAME {
		labels = labels[:len(labels)-len(lastLabel([]byte(key)))-1] + nsdnameLabel
	}
	return labels + c.apex
}

// nsdnameLabel is the last label of owners of NSDNAME triggers below the apex.
const nsdnameLabel = "\x0brpz-nsdname"

// keyOf is the key of an owner, if that is of a trigger by name.
func (c *changeReader) keyOf(owner dnsname.Name) (dnsname.Name, bool) {
	labels := owner[:len(owner)-len(c.apex)]
	if len(labels) > 2 && labels[0] == 1 && labels[1] == '*' {
		labels = labels[2:]
	}
	key := labels + "\x00"
	last := lastLabel([]byte(key))
	switch {
	case !bytes.HasPrefix(last, []byte("rpz-")):
		return key, true
	case triggerOf(string(last)) != policy.TriggerNSDNAME:
		return "", false
	}
	full, ok := policy.AppendNameKey(nil, []byte(labels[:len(labels)-len(nsdnameLabel)]+"\x00"))
	return dnsname.Name(full), ok
}

// ownRows are rows without empty non-terminals.
func ownRows(rows []rawRow) []rawRow {
	if len(rows) == 1 && rows[0].Kind == policy.KindENT {
		return nil
	}
	return rows
}

// empties is how many of the rows of one name are empty non-terminals.
func empties(rows []rawRow) int { return len(rows) - len(ownRows(rows)) }

// sameRows reports whether rows of a name before and after a change, of one numbering of texts, say the same. Rows with texts of their own are not compared.
func sameRows(before, after []rawRow) bool {
	return slices.EqualFunc(before, after, func(a, b rawRow) bool {
		return saysAsMuch(a, b) && a.Data == 0 && a.Reference == 0 && a.Comment == 0
	})
}

// saysAsMuch reports whether two rows of one numbering of texts differ in no more than where they stand, and in texts of their own.
func saysAsMuch(a, b rawRow) bool {
	for _, r := range []*rawRow{&a, &b} {
		r.Line, r.File, r.Added = 0, 0, 0
		r.Data, r.Reference, r.Comment = min(r.Data, 1), min(r.Reference, 1), min(r.Comment, 1)
	}
	return a == b
}
