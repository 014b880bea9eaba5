package blocklist

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// readJSON reads records that are objects of JSON: in one array, one a line, or in arrays under the keys of an object, as exports and answers of
// abuse.ch have them. What a record holds is found by its keys, which are those of the columns of a table.
func readJSON(f *file) error {
	r := &records{document: newDocument(f), table: table{file: f, fields: make([][]byte, roleEnd)}}
	r.table.columns, r.keyNames = ownColumns(), r.table.columnNames()
	if err := r.read(r.value); err != nil {
		return err
	}
	if r.first != nil && !r.table.ready {
		return r.table.noColumn(r.first)
	}
	return nil
}

// records is a table without a header. Its columns are the roles.
type records struct {
	*document
	table    table
	keyNames [roleEnd][]string
	own      map[string]json.RawMessage // what the present record holds, by key in lower case
	first    []byte                     // the first record that has no indicator
}

func ownColumns() (columns [roleEnd]int) {
	for r := range roleEnd {
		columns[r] = int(r)
	}
	return columns
}

// value takes one value of the file, whose first token was taken.
func (r *records) value(token json.Token) error {
	switch token {
	case json.Delim('['):
		return r.values(r.record)
	case json.Delim('{'):
		return r.object()
	}
	return nil
}

// object takes an object that holds records, or is one. What a record holds under other keys than the known ones is nobody's concern: an object in
// it may name hosts that are none of the feed's.
func (r *records) object() error {
	r.own = map[string]json.RawMessage{}
	line, holds := r.src.lineAt(r.dec.InputOffset()), false
	err := r.keys(func(key string) error {
		if holdsRecords(key) {
			is, err := r.array(r.record)
			holds = holds || is
			return err
		}
		if err := r.next(); err != nil {
			return err
		}
		r.keep(r.own, key, r.raw)
		return nil
	})
	if err == nil && !holds && len(r.own) > 0 {
		text, _ := json.Marshal(r.own)
		r.lines.number = line
		r.take(text)
	}
	return err
}

// keep adds a value of a record, unless there are too many or it is too long to be one that counts.
func (r *records) keep(own map[string]json.RawMessage, key string, raw []byte) {
	if len(own) < fieldsMax && len(raw) <= LineMax {
		own[strings.ToLower(key)] = slices.Clone(raw)
	}
}

// holdsRecords reports whether what stands under a key is an array of records: the number of an entry, or a word for many.
func holdsRecords(key string) bool {
	switch key {
	case "data", "urls", "results", "indicators", "iocs", "items", "records", "entries":
		return true
	}
	return allDigits([]byte(key))
}

// record takes one value of an array.
func (r *records) record() error {
	if err := r.next(); err != nil {
		return err
	}
	var own map[string]json.RawMessage
	r.into(&own)
	r.own = make(map[string]json.RawMessage, len(own))
	for _, key := range slices.Sorted(maps.Keys(own)) {
		r.keep(r.own, key, own[key])
	}
	r.take(r.raw)
	return r.failed
}

// take hands the present record on; text is how it is written.
func (r *records) take(text []byte) {
	for at := range roleEnd {
		r.table.fields[at] = r.field(at)
	}
	switch {
	case len(r.table.fields[roleIndicator]) > 0:
		r.table.ready = true
		r.table.entry(text)
	case string(r.table.fields[roleType]) == "metadata": // the last line of Spamhaus DROP
		r.skip()
	default:
		if r.first == nil {
			r.first = bytes.Clone(text[:min(len(text), faultTextMax+1)])
		}
		r.refuse(ReasonSyntax, text)
	}
}

// field is what the present record says in a role: under the first key that says anything.
func (r *records) field(at role) []byte {
	for _, name := range r.keyNames[at] {
		if raw := r.own[name]; len(raw) > 0 {
			var text jsonText
			_ = text.UnmarshalJSON(raw)
			if text != "" && text != "None" {
				return trim([]byte(text))
			}
		}
	}
	return nil
}

// isRecords reports whether a document begins like one of records.
func isRecords(s jsonShape) bool {
	return areColumns(s.outer) || slices.ContainsFunc(s.outer, holdsRecords) && areColumns(s.inner)
}

// areColumns reports whether keys are those of a record: one that holds names, and another that is known.
func areColumns(keys []string) bool {
	known := 0
	usual := usualColumns()
	for at := range usual {
		if slices.ContainsFunc(usual[at], func(name string) bool { return slices.Contains(keys, name) }) {
			known++
		} else if role(at) == roleIndicator {
			return false
		}
	}
	return known > 1
}
