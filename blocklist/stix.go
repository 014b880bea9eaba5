package blocklist

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/policy"
)

// readSTIX reads bundles of STIX 2.0 and 2.1, and what a TAXII server answers. Its rows are indicators. What the other objects say of them (which malware an
// indicator indicates, in which report it stands, who may see it) may come later, so that the rows wait for the end of the file.
func readSTIX(f *file) error {
	b := &bundle{document: newDocument(f), families: map[stixID]string{}, indicates: map[stixID]stixID{}, reports: map[stixID]*stixReport{},
		markings: standardMarkings(), withdrawn: map[stixID]bool{}}
	if err := b.read(b.value); err != nil {
		return err
	}
	end := b.lines.number
	for i := range b.waiting {
		b.serveIndicator(&b.waiting[i])
	}
	b.lines.number = end
	return b.failed
}

// isBundle reports whether a document begins like a bundle.
func isBundle(s jsonShape) bool { return !s.array && slices.Contains(s.outer, "objects") }

// stixID is the beginning of a hash of an object's id, which is longer.
type stixID [16]byte

func idOf(id string) (out stixID) {
	sum := sha256.Sum256([]byte(id))
	copy(out[:], sum[:])
	return out
}

// bundle is what a file's objects say, as far as it matters for indicators.
type bundle struct {
	*document
	families  map[stixID]string      // the names of malware
	indicates map[stixID]stixID      // the malware that an indicator indicates, the first that is named
	reports   map[stixID]*stixReport // the report that an object stands in, the first
	markings  map[stixID]string      // how far an object may be shown
	withdrawn map[stixID]bool        // indicators of which a version is revoked
	waiting   []stixIndicator
}

// stixIndicator is an indicator that waits for the end.
type stixIndicator struct {
	line     int
	id       stixID
	idText   string
	seen     []observed // what alone is enough, and can be served
	row      stixRow
	markings []stixID
}

// stixRow is what an indicator says beside its names.
type stixRow struct {
	family, threat, link, name, tlp string
	confidence                      uint8
	expiry                          time.Time
	compromised                     bool
}

// stixReport is what a report says of the indicators in it.
type stixReport struct {
	name, link, family string
	malware            []stixID // at most two: what is about several says of no indicator which it belongs to
}

// stixObject has the fields of all types that matter.
type stixObject struct {
	Type               jsonText        `json:"type"`
	ID                 jsonText        `json:"id"`
	Name               jsonText        `json:"name"`
	Revoked            jsonFlag        `json:"revoked"`
	Pattern            jsonText        `json:"pattern"`
	PatternType        jsonText        `json:"pattern_type"`
	ValidFrom          jsonText        `json:"valid_from"`
	ValidUntil         jsonText        `json:"valid_until"`
	Confidence         jsonText        `json:"confidence"`
	Labels             jsonTexts       `json:"labels"`          // of 2.0; of 2.1, tags
	IndicatorTypes     jsonTexts       `json:"indicator_types"` // of 2.1
	ObjectMarkings     jsonTexts       `json:"object_marking_refs"`
	ObjectRefs         jsonTexts       `json:"object_refs"`
	ExternalReferences []stixReference `json:"external_references"`
	RelationshipType   jsonText        `json:"relationship_type"`
	SourceRef          jsonText        `json:"source_ref"`
	TargetRef          jsonText        `json:"target_ref"`
	DefinitionType     jsonText        `json:"definition_type"`
	Definition         struct {
		TLP jsonText `json:"tlp"`
	} `json:"definition"`
}

type stixReference struct {
	Source jsonText `json:"source_name"`
	URL    jsonText `json:"url"`
	ID     jsonText `json:"external_id"`
}

// value takes one value of the file, whose first token was taken.
func (b *bundle) value(token json.Token) error {
	if token != json.Delim('{') {
		return b.rest(token)
	}
	return b.keys(func(key string) error {
		if key != "objects" {
			return b.next()
		}
		_, err := b.array(b.object)
		return err
	})
}

// object takes one object of the bundle.
func (b *bundle) object() error {
	if err := b.next(); err != nil {
		return err
	}
	var o stixObject
	b.into(&o)
	if o.Type == "indicator" {
		b.indicator(&o)
		return b.failed
	}
	b.skip()
	if o.Revoked {
		return nil
	}
	switch o.Type {
	case "malware":
		b.hold(entrySize)
		b.families[idOf(string(o.ID))] = b.kept(o.Name)
	case "relationship":
		b.relationship(&o)
	case "report":
		b.report(&o)
	case "marking-definition":
		if tlp := o.tlp(); tlp != "" {
			b.hold(entrySize)
			b.markings[idOf(string(o.ID))] = b.kept(jsonText(tlp))
		}
	}
	return b.failed
}

// kept is a text that stays until the end.
func (b *bundle) kept(t jsonText) string {
	s := b.text([]byte(t))
	b.hold(len(s))
	return s
}

// entrySize is about what one entry of a map or list takes beside its text.
const entrySize = 64

func (b *bundle) relationship(o *stixObject) {
	source, target := idOf(string(o.SourceRef)), idOf(string(o.TargetRef))
	if o.RelationshipType != "indicates" || !strings.HasPrefix(string(o.TargetRef), "malware--") {
		return
	}
	if _, have := b.indicates[source]; !have {
		b.hold(entrySize)
		b.indicates[source] = target
	}
}

func (b *bundle) report(o *stixObject) {
	r := &stixReport{name: b.kept(o.Name), link: b.kept(jsonText(o.reference())), family: b.kept(jsonText(familyOfTags(o.Labels)))}
	for _, ref := range o.ObjectRefs {
		id := idOf(ref)
		if strings.HasPrefix(ref, "malware--") && len(r.malware) < 2 && !slices.Contains(r.malware, id) {
			r.malware = append(r.malware, id)
		}
		if strings.HasPrefix(ref, "indicator--") && b.reports[id] == nil {
			b.hold(entrySize)
			b.reports[id] = r
		}
	}
}

// indicator takes an indicator: what of it cannot be served is counted at once, the rest waits.
func (b *bundle) indicator(o *stixObject) {
	if why := b.whyNotServed(o); why != ReasonNone {
		if why == ReasonWithdrawn {
			b.hold(entrySize)
			b.withdrawn[idOf(string(o.ID))] = true
		}
		b.refuse(why, o.shown())
		return
	}
	in := stixIndicator{line: b.lines.number, id: idOf(string(o.ID)), idText: printable([]byte(o.ID), CommentMax)}
	text := o.shown()
	for _, seen := range parsePattern(string(o.Pattern)) {
		if seen.why != ReasonNone {
			b.refuse(seen.why, text)
			continue
		}
		b.hold(len(seen.text) + entrySize)
		in.seen = append(in.seen, seen)
	}
	if len(in.seen) == 0 {
		return
	}
	in.row = b.rowOf(o)
	for _, ref := range o.ObjectMarkings {
		b.hold(entrySize)
		in.markings = append(in.markings, idOf(ref))
	}
	b.hold(4*entrySize + len(in.idText))
	b.waiting = append(b.waiting, in)
}

// shown is as much of the pattern as a fault shows.
func (o *stixObject) shown() []byte { return []byte(o.Pattern[:min(len(o.Pattern), faultTextMax+1)]) }

// validAhead is how far the date from which an indicator holds may lie ahead: clocks and zones of time differ.
const validAhead = 24 * time.Hour

// whyNotServed returns why an indicator must not be served, whatever its pattern asks for.
func (b *bundle) whyNotServed(o *stixObject) Reason {
	from, dated := readTime([]byte(o.ValidFrom))
	switch {
	case bool(o.Revoked), slices.Contains(o.types(), "benign"):
		return ReasonWithdrawn
	case dated && from.Sub(b.now) > validAhead:
		return ReasonNotYetValid
	case o.PatternType != "" && o.PatternType != "stix":
		return ReasonOtherType
	}
	return ReasonNone
}

// types are the kinds of threat, where either version has them.
func (o *stixObject) types() []string {
	if len(o.IndicatorTypes) > 0 {
		return o.IndicatorTypes
	}
	return o.Labels
}

// threatOf is the first kind of threat, unless tags say it more closely.
func threatOf(types, labels []string) string {
	if threat := threatOfTags(labels); threat != "" {
		return threat
	}
	for _, t := range types {
		if !strings.ContainsAny(t, ":=") {
			return t
		}
	}
	return ""
}

func (b *bundle) rowOf(o *stixObject) stixRow {
	row := stixRow{family: b.kept(jsonText(familyOfTags(o.Labels))), link: b.kept(jsonText(o.reference())), name: b.kept(o.Name),
		tlp: b.kept(jsonText(tlpOfTags(o.Labels))), confidence: policy.ConfidenceUnknown}
	types := o.types()
	row.threat, row.compromised = b.kept(jsonText(threatOf(types, o.Labels))), slices.Contains(types, "compromised")
	if n, err := strconv.Atoi(string(o.Confidence)); err == nil && n >= 0 && n <= 100 {
		row.confidence = uint8(n)
	}
	from, dated := readTime([]byte(o.ValidFrom))
	if b.config.TTL > 0 && dated {
		row.expiry = from.Add(b.config.TTL)
	}
	if until, ok := readTime([]byte(o.ValidUntil)); ok {
		row.expiry = until
	}
	return row
}

// reference is where an object comes from: the first link, or else the first source that is named.
func (o *stixObject) reference() string {
	for _, ref := range o.ExternalReferences {
		if ref.URL != "" {
			return string(ref.URL)
		}
	}
	for _, ref := range o.ExternalReferences {
		if ref.Source != "" {
			return strings.TrimSpace(string(ref.Source + " " + ref.ID))
		}
	}
	return ""
}

// serveIndicator hands an indicator on, now that all is known about it.
func (b *bundle) serveIndicator(in *stixIndicator) {
	b.lines.number = in.line
	if b.withdrawn[in.id] {
		b.refuse(ReasonWithdrawn, []byte(in.seen[0].text))
		return
	}
	row, report := b.begin(), b.reports[in.id]
	if report == nil {
		report = &stixReport{}
	}
	setText(&row.Family, b.familyOf(in, report))
	setText(&row.Threat, in.row.threat)
	if in.row.confidence != policy.ConfidenceUnknown {
		row.Confidence = in.row.confidence
	}
	if !in.row.expiry.IsZero() {
		row.Expiry = in.row.expiry
	}
	if in.row.compromised {
		row.Action = b.config.Compromised.action()
	}
	row.Reference = firstText(in.row.link, report.link, in.idText)
	name := in.row.name
	if name == in.seen[0].text {
		name = "" // it says nothing new
	}
	row.Comment = b.text([]byte(remark(b.tlpOf(in), name, report.name)))
	for _, seen := range in.seen {
		b.listObserved(seen)
	}
}

// familyOf is what an indicator indicates; or the family of its own tags; or that of its report, if that is about one alone.
func (b *bundle) familyOf(in *stixIndicator, report *stixReport) string {
	if malware, ok := b.indicates[in.id]; ok && b.families[malware] != "" {
		return b.families[malware]
	}
	of := firstText(in.row.family, report.family)
	if of == "" && len(report.malware) == 1 {
		return b.families[report.malware[0]]
	}
	return of
}

func (b *bundle) tlpOf(in *stixIndicator) string {
	for _, id := range in.markings {
		if tlp := b.markings[id]; tlp != "" {
			return tlp
		}
	}
	return in.row.tlp
}

// listObserved hands the row that begin returned to the sink under what was seen.
func (f *file) listObserved(seen observed) {
	switch text := trim([]byte(seen.text)); seen.kind {
	case observableName:
		f.listSeen(text)
	case observableAddress:
		f.listAddress(text)
	case observableLink:
		f.listLink(text, f.match())
	case observableBelow:
		f.list(text, f.matchOr(policy.KindBelow))
	case observablePattern:
		f.listRegex(seen.text, text)
	case observableOther, observableDetail:
		f.refuse(ReasonOtherType, text)
	}
}

// tlp is the level of the Traffic Light Protocol that a marking sets; each version and producer writes it in another field.
func (o *stixObject) tlp() string {
	if o.Definition.TLP != "" {
		return "TLP:" + strings.ToUpper(string(o.Definition.TLP))
	}
	for _, t := range []jsonText{o.DefinitionType, o.Name} {
		if level := strings.ToUpper(string(t)); strings.HasPrefix(level, "TLP:") {
			return level
		}
	}
	return ""
}

// standardMarkings are those that the standards define; bundles need not hold them.
func standardMarkings() map[stixID]string {
	markings := map[stixID]string{}
	for marking, level := range map[string]string{
		"613f2e26-407d-48c7-9eca-b8e91df99dc9": "WHITE",
		"34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
		"f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
		"5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
		"94868c89-83c2-464b-929b-a1a8aa3c8487": "CLEAR", // of TLP 2.0, as are those below
		"bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "GREEN",
		"55d920b0-5e8b-4f79-9ee9-91f868d9b421": "AMBER",
		"939a9414-2ddd-4d32-a0cd-375ea402b003": "AMBER+STRICT",
		"e828b379-4e03-4974-9ac4-e53a884c97c1": "RED",
	} {
		markings[idOf("marking-definition--"+marking)] = "TLP:" + level
	}
	return markings
}

// setText sets a text of a row, unless there is none.
func setText(at *string, text string) {
	if text != "" {
		*at = text
	}
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// remark joins the texts that are not empty, each once.
func remark(texts ...string) string {
	var parts []string
	for _, t := range texts {
		if t != "" && !slices.Contains(parts, t) {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, "; ")
}
