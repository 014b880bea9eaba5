package config

import (
	"reflect"
	"slices"
	"strings"
)

// A field is one key of the file, as the struct tags describe it.
type field struct {
	index    []int        // in the struct, through those embedded in it; see reflect.Value.FieldByIndex
	owner    reflect.Type // the struct that has the comment
	key      string       // in the file
	goName   string       // in the struct, where the comment stands
	typ      reflect.Type // of the value
	fallback string       // YAML text of the value without the key; "" for none
	example  string       // YAML text
	min, max string       // YAML text of the bounds of a number
	port     string       // of an address that says none
	pattern  string       // that a text must match
	either   string       // a name that keys share of which exactly one must be there
	root     bool         // a name may be the root
	required bool
	short    bool // the value may stand alone in place of the mapping
	restart  bool // a change needs a restart
}

// fields are the keys of a struct, in its order. Those of a struct that is embedded in it stand in its place.
func fields(t reflect.Type) []field {
	out := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous {
			for _, f := range fields(sf.Type) {
				f.index = append([]int{i}, f.index...)
				out = append(out, f)
			}
			continue
		}
		out = append(out, field{
			index: []int{i}, owner: t, key: sf.Tag.Get("yaml"), goName: sf.Name, typ: sf.Type,
			fallback: sf.Tag.Get("default"), example: sf.Tag.Get("example"),
			min: sf.Tag.Get("min"), max: sf.Tag.Get("max"), port: sf.Tag.Get("port"), pattern: sf.Tag.Get("pattern"),
			either: sf.Tag.Get("either"), root: sf.Tag.Get("root") != "",
			required: sf.Tag.Get("required") != "", short: sf.Tag.Get("short") != "", restart: sf.Tag.Get("reload") == "restart",
		})
	}
	return out
}

// isMapping reports whether a value of the type is a mapping in the file.
func isMapping(t reflect.Type) bool {
	_, scalar := scalarOf(t)
	return t.Kind() == reflect.Struct && !scalar
}

// element is the field of one element of a list.
func (f field) element() field {
	f.typ = f.typ.Elem()
	f.fallback, f.either, f.required = "", "", false
	return f
}

// shortField is the field whose value may stand in place of the whole mapping.
func shortField(all []field) (field, bool) {
	i := slices.IndexFunc(all, func(f field) bool { return f.short })
	if i < 0 {
		return field{}, false
	}
	return all[i], true
}

func keysOf(all []field) []string {
	keys := make([]string, len(all))
	for i, f := range all {
		keys[i] = f.key
	}
	return keys
}

// whereKey finds the mappings that know a key, as feeds[] or policy.sinkhole, for the hint on a key that stands in the wrong one.
func whereKey(t reflect.Type, prefix, key string) []string {
	var found []string
	for _, f := range fields(t) {
		path := strings.TrimPrefix(prefix+"."+f.key, ".")
		if f.key == key {
			found = append(found, path)
		}
		inner := f.typ
		if inner.Kind() == reflect.Slice {
			inner, path = inner.Elem(), path+"[]"
		}
		if isMapping(inner) {
			found = append(found, whereKey(inner, path, key)...)
		}
	}
	return found
}
