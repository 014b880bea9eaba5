package blocklist

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readMISP reads events of MISP: one a file, as a feed's directory has them, or many, as an export has. Its rows are the attributes of events and of their
// objects. An event's tags may come after its attributes, so that these wait for the end of the event.
func readMISP(f *file) error {
	e := &events{document: newDocument(f)}
	return e.read(e.value)
}

// isEvents reports whether a document begins like an event or an export of them.
func isEvents(s jsonShape) bool {
	return slices.Contains(s.outer, "event") || !s.array && slices.Contains(s.outer, "response")
}

// events are those of a file.
type events struct {
	*document
	event mispEvent // the present one
}

// mispEvent is what an event says of its attributes.
type mispEvent struct {
	title, uuid string
	tags        []string
	waiting     []mispRow
}

// mispRow is an attribute that waits for the end of its event.
type mispRow struct {
	line      int
	attribute mispAttribute
}

type mispAttribute struct {
	Type      jsonText  `json:"type"`
	Value     jsonText  `json:"value"`
	ToIDs     jsonFlag  `json:"to_ids"`
	Deleted   jsonFlag  `json:"deleted"`
	Comment   jsonText  `json:"comment"`
	Timestamp jsonText  `json:"timestamp"` // seconds since 1970
	LastSeen  jsonText  `json:"last_seen"`
	Tag       []mispTag `json:"Tag"`
}

type mispTag struct {
	Name jsonText `json:"name"`
}

type mispObject struct {
	Deleted   jsonFlag        `json:"deleted"`
	Attribute []mispAttribute `json:"Attribute"`
}

type mispGalaxy struct {
	Clusters []struct {
		Tag jsonText `json:"tag_name"`
	} `json:"GalaxyCluster"`
}

// holdersMax is how many objects and arrays may lie around an event: a response, its array, its entry.
const holdersMax = 4

func (e *events) value(token json.Token) error { return e.holder(token, 0) }

// holder takes what holds events: an object with one, an array, or the response of an export. Its first token was taken.
func (e *events) holder(token json.Token, depth int) error {
	switch {
	case depth > holdersMax:
	case token == json.Delim('['):
		return e.values(func() error {
			inner, err := e.token()
			if err != nil {
				return err
			}
			return e.holder(inner, depth+1)
		})
	case token == json.Delim('{'):
		return e.keys(func(key string) error {
			inner, err := e.token()
			if err != nil {
				return err
			}
			return e.under(key, inner, depth)
		})
	}
	return e.rest(token)
}

func (e *events) under(key string, token json.Token, depth int) error {
	switch {
	case key == "Event" && token == json.Delim('{'):
		return e.take()
	case key == "response":
		return e.holder(token, depth+1)
	}
	return e.rest(token)
}

// take takes an event whose beginning was taken.
func (e *events) take() error {
	e.event, e.held = mispEvent{}, 0
	if err := e.keys(e.part); err != nil {
		return err
	}
	end := e.lines.number
	for i := range e.event.waiting {
		e.serveAttribute(&e.event.waiting[i])
	}
	e.lines.number = end
	return e.failed
}

// part takes what stands under a key of the event.
func (e *events) part(key string) error {
	var err error
	switch key {
	case "Attribute":
		_, err = e.array(e.attribute)
		return err
	case "Object":
		_, err = e.array(e.object)
		return err
	}
	if err = e.next(); err != nil {
		return err
	}
	switch key {
	case "info":
		e.event.title = plainText(e.raw)
	case "uuid":
		e.event.uuid = plainText(e.raw)
	case "Tag":
		var tags []mispTag
		e.into(&tags)
		e.event.tags = append(e.event.tags, namesOf(tags)...)
	case "Galaxy":
		e.galaxies()
	}
	return nil
}

// galaxies takes the words of vocabularies, which most events have among their tags too.
func (e *events) galaxies() {
	var list []mispGalaxy
	e.into(&list)
	for _, galaxy := range list {
		for _, cluster := range galaxy.Clusters {
			e.event.tags = append(e.event.tags, string(cluster.Tag))
		}
	}
}

func namesOf(tags []mispTag) (names []string) {
	for _, t := range tags {
		names = append(names, string(t.Name))
	}
	return names
}

func (e *events) attribute() error {
	if err := e.next(); err != nil {
		return err
	}
	var a mispAttribute
	e.into(&a)
	e.add(&a)
	return e.failed
}

// object takes the attributes of an object, such as a name and the address that it had.
func (e *events) object() error {
	if err := e.next(); err != nil {
		return err
	}
	var o mispObject
	e.into(&o)
	for i := range o.Attribute {
		a := &o.Attribute[i]
		a.Deleted = a.Deleted || o.Deleted
		e.add(a)
	}
	return e.failed
}

// add lets an attribute wait for the end of the event if it can be served.
func (e *events) add(a *mispAttribute) {
	switch {
	case bool(a.Deleted):
		e.skip()
	case len(a.observed()) == 0:
		e.refuse(ReasonOtherType, []byte(a.Value))
	case !e.detects(a):
		e.refuse(ReasonNotForDetection, []byte(a.Value))
	default:
		e.hold(len(a.Value) + len(a.Comment) + 4*entrySize)
		e.event.waiting = append(e.event.waiting, mispRow{line: e.lines.number, attribute: *a})
	}
}

// detects reports whether an attribute is meant for detection. Where an attack came from is nothing that a client asks for, unless the publisher says so.
func (e *events) detects(a *mispAttribute) bool {
	return bool(a.ToIDs) || e.config.AllAttributes && a.Type != "ip-src" && a.Type != "ip-src|port"
}

// observed is what an attribute lists. Of a pair both count: they are marked for detection together.
func (a *mispAttribute) observed() []observed {
	first, second, _ := strings.Cut(string(a.Value), "|")
	switch a.Type {
	case "domain", "hostname", "hostname|port":
		return []observed{{kind: observableName, text: first}}
	case "domain|ip":
		return []observed{{kind: observableName, text: first}, {kind: observableAddress, text: second}}
	case "ip-dst", "ip-src", "ip-dst|port", "ip-src|port":
		return []observed{{kind: observableAddress, text: first}}
	case "url":
		return []observed{{kind: observableLink, text: string(a.Value)}}
	}
	return nil
}

// serveAttribute hands an attribute on, now that its event is known.
func (e *events) serveAttribute(in *mispRow) {
	e.lines.number = in.line
	a, row := &in.attribute, e.begin()
	tags := namesOf(a.Tag)
	setText(&row.Family, e.text([]byte(firstText(familyOfTags(tags), familyOfTags(e.event.tags), plainFamily(e.event.tags, e.event.title)))))
	setText(&row.Threat, e.text([]byte(firstText(threatOfTags(tags), threatOfTags(e.event.tags)))))
	if from, ok := a.date(); ok && e.config.TTL > 0 {
		row.Expiry = from.Add(e.config.TTL)
	}
	row.Reference = e.text([]byte(remark(e.event.title, e.event.uuid)))
	row.Comment = e.text([]byte(remark(firstText(tlpOfTags(tags), tlpOfTags(e.event.tags)), string(a.Comment))))
	for _, seen := range a.observed() {
		e.listObserved(seen)
	}
}

// date is when the attribute was last seen, or else when it was last changed.
func (a *mispAttribute) date() (time.Time, bool) {
	if at, ok := readTime([]byte(a.LastSeen)); ok {
		return at, true
	}
	seconds, err := strconv.ParseInt(string(a.Timestamp), 10, 64)
	return time.Unix(seconds, 0).UTC(), err == nil && seconds > 0 && seconds < 1<<40
}
