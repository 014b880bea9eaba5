package config

import (
	"fmt"
	"reflect"
)

// Change is one key in which two configurations differ.
type Change struct {
	Key     string `json:"key"` // such as feeds[malware].path
	Old     string `json:"old"`
	New     string `json:"new"`
	Restart bool   `json:"restart"` // only a restart brings it into effect
}

// String is the change as a log shows it.
func (c Change) String() string { return fmt.Sprintf("%s: %s -> %s", c.Key, c.Old, c.New) }

// Diff tells in which keys two configurations differ, and which of these only a restart brings into effect. Elements that
// have a name are compared with those of the same name.
func Diff(old, new *Config) []Change {
	var d differ
	d.structs("", reflect.ValueOf(*old), reflect.ValueOf(*new), false)
	return d.changes
}

// NeedsRestart are the changes that a reload cannot bring into effect.
func NeedsRestart(changes []Change) []Change {
	var out []Change
	for _, c := range changes {
		if c.Restart {
			out = append(out, c)
		}
	}
	return out
}

type differ struct{ changes []Change }

func (d *differ) structs(path string, old, new reflect.Value, restart bool) {
	for _, f := range fields(old.Type()) {
		d.values(join(path, f.key), old.FieldByIndex(f.index), new.FieldByIndex(f.index), restart || f.restart)
	}
}

func (d *differ) values(path string, old, new reflect.Value, restart bool) {
	switch {
	case reflect.DeepEqual(old.Interface(), new.Interface()):
	case isMapping(old.Type()):
		d.structs(path, old, new, restart)
	case isNamedList(old.Type()) && sameOrder(old, new):
		for i := range old.Len() {
			d.structs(fmt.Sprintf("%s[%s]", path, nameOf(old.Index(i))), old.Index(i), new.Index(i), restart)
		}
	default:
		d.changes = append(d.changes, Change{path, text(old), text(new), restart})
	}
}

func isNamedList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && isMapping(t.Elem()) && t.Elem().NumField() > 0 && t.Elem().Field(0).Name == "Name"
}

// sameOrder reports whether two lists have the same names in the same order; if not, the list as a whole has changed, since the
// order of zones decides.
func sameOrder(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if nameOf(a.Index(i)) != nameOf(b.Index(i)) {
			return false
		}
	}
	return true
}

func nameOf(v reflect.Value) string { return v.Field(0).String() }

// text is a value as a person compares it: of things with a name, the names.
func text(v reflect.Value) string {
	if !isNamedList(v.Type()) {
		return fmt.Sprint(v.Interface())
	}
	names := make([]string, v.Len())
	for i := range names {
		names[i] = nameOf(v.Index(i))
	}
	return fmt.Sprint(names)
}
