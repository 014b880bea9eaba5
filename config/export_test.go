package config

import (
	"reflect"
)

// Key is one key of the file, for the reference.
type Key struct {
	Name, GoName               string
	Owner                      string // the struct that has the comment
	Type                       reflect.Type
	Default, Example, Min, Max string
	Pattern                    string
	Required, Short, Restart   bool
	Either                     string // a name that keys share of which exactly one must be there
	Shown                      bool   // in the example though it has no default
}

// Keys are the keys of a struct of the configuration.
func Keys(t reflect.Type) []Key {
	var out []Key
	for _, f := range fields(t) {
		out = append(out, Key{f.key, f.goName, f.owner.Name(), f.typ, f.fallback, f.example, f.min, f.max, f.pattern, f.required, f.short, f.restart, f.either, t.FieldByIndex(f.index).Tag.Get("shown") != ""})
	}
	return out
}

// Word is how a type is written that is one word in the file.
type Word struct {
	Name, JSON, Pattern string
	Values              []string
}

// WordOf is how a type is written, and false for lists and mappings.
func WordOf(t reflect.Type) (Word, bool) {
	s, ok := scalarOf(t)
	w := Word{Name: s.name, JSON: s.json, Pattern: s.pattern}
	if e, isEnum := reflect.Zero(t).Interface().(enum); isEnum {
		w.Values = e.values()
	}
	return w, ok
}

// IsMapping reports whether a value of the type is a mapping in the file.
func IsMapping(t reflect.Type) bool { return isMapping(t) }

// CheckTag reads the YAML text of a tag as the value of a key.
func CheckTag(t reflect.Type, goName, text string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &hintError{text: p.(string)}
		}
	}()
	for _, f := range fields(t) {
		if f.goName == goName {
			setText(reflect.New(f.typ).Elem(), f, text)
		}
	}
	return nil
}

// DefaultYAML is the embedded configuration as text.
func DefaultYAML() []byte { return defaultYAML() }

// StateDir is where the server keeps its state without being told.
func StateDir(env func(string) string, root bool) (Path, error) { return stateDir(env, root) }

// The bounds of a file.
const (
	FileMax    = fileMax
	DepthMax   = depthMax
	AnchorsMax = anchorsMax
	FaultsMax  = faultsMax
	ListMax    = listMax
)
