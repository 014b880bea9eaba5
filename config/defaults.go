package config

import (
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml/parser"
)

// setDefaults gives every key of a value what it has without being written.
func setDefaults(v reflect.Value) {
	if !isMapping(v.Type()) {
		return
	}
	for _, f := range fields(v.Type()) {
		if f.fallback != "" {
			setText(v.FieldByIndex(f.index), f, f.fallback)
			continue
		}
		setDefaults(v.FieldByIndex(f.index))
	}
}

// setText reads the YAML text of a struct tag. Tags are ours: one that cannot be read is a mistake in this package, and every test of
// it would show it.
func setText(v reflect.Value, f field, text string) {
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil || len(file.Docs) != 1 {
		panic(fmt.Sprintf("config: the tag of %s cannot be read: %q: %v", f.key, text, err))
	}
	r := newReader("tag of "+f.key, text)
	r.value(file.Docs[0].Body, v, f, f.key)
	if len(r.faults) > 0 {
		panic("config: " + r.faults.Error())
	}
}
