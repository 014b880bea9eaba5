package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"cenote/spelling"

	"github.com/goccy/go-yaml/ast"
)

// The bounds of one file, so that no file can cost more than its reading.
const (
	fileMax    = 8 << 20 // octets
	depthMax   = 32      // brackets, dashes and tags that open inside each other
	anchorsMax = 100     // names for parts of the file
	nodesMax   = 400_000 // values read, those reached through aliases counted each time
	listMax    = 10_000  // elements of one list
	faultsMax  = 100     // faults reported
	aliasesMax = 8       // names and tags before one value
)

// A reader walks the tree of one file beside the structs. It goes on after a fault, so that all are found.
type reader struct {
	file     string
	lines    []string
	anchors  map[string]ast.Node
	places   map[string]Place         // of the values, by key
	keys     map[reflect.Type][]field // of the structs that were met
	unread   map[string]bool          // keys whose value is not known, since it could not be read or stands under an unknown key
	faults   Faults
	warnings Warnings
	nodes    int  // values read so far
	merging  int  // mappings that are being merged into each other
	over     bool // a bound was passed; the rest is not read
}

// mapping reads a mapping into a struct.
func (r *reader) mapping(n ast.Node, v reflect.Value, path string) {
	entries, ok := r.entries(n, path)
	if !ok {
		return
	}
	all := r.fields(v.Type())
	seen := map[string]bool{}
	for _, e := range entries {
		i := slices.IndexFunc(all, func(f field) bool { return f.key == e.key })
		if i < 0 {
			r.unknownKey(e, all, path)
			continue
		}
		seen[e.key] = true
		r.value(e.value, v.FieldByIndex(all[i].index), all[i], join(path, e.key))
	}
	for _, f := range all {
		if f.required && !seen[f.key] {
			r.fault(r.place(n, join(path, f.key)), "the key is missing", "such as "+f.key+": "+f.example)
		}
	}
	r.eitherOne(n, all, entries, path)
}

// fields are the keys of a struct, which lists of many elements ask for again and again.
func (r *reader) fields(t reflect.Type) []field {
	all, known := r.keys[t]
	if !known {
		all = fields(t)
		r.keys[t] = all
	}
	return all
}

// eitherOne holds that of keys which exclude each other one is there.
func (r *reader) eitherOne(n ast.Node, all []field, entries []entry, path string) {
	for _, f := range all {
		if f.either == "" {
			continue
		}
		group := slices.DeleteFunc(slices.Clone(all), func(g field) bool { return g.either != f.either })
		if group[0].key != f.key {
			continue
		}
		keys := strings.Join(keysOf(group[:len(group)-1]), ", ") + " and " + group[len(group)-1].key
		there := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !slices.Contains(keysOf(group), e.key) })
		misspelt := slices.ContainsFunc(group, func(g field) bool { return r.unread[join(path, g.key)] })
		switch {
		case len(there) == 0 && !misspelt:
			r.fault(r.place(n, path), "one of the keys "+keys+" is missing", "such as "+f.key+": "+f.example)
		case len(there) > 1:
			r.fault(r.place(there[1].node, join(path, there[1].key)), "of the keys "+keys+" only one can be there", "remove one of them")
		}
	}
}

func (r *reader) unknownKey(e entry, all []field, path string) {
	hint := ""
	if _, err := netip.ParseAddr(e.key); err == nil { // within braces YAML takes 192.0.2.1:53 for a key and its value
		hint = "put the address with its port in quotes"
	} else if near := spelling.Nearest(e.key, keysOf(all)); near != "" {
		r.unread[join(path, near)] = true
	} else if found := whereKey(reflect.TypeFor[Config](), "", e.key); len(found) > 0 {
		hint = "there is " + strings.Join(found[:min(3, len(found))], ", ")
	}
	if hint == "" {
		hint = cmp.Or(spelling.Hint(e.key, keysOf(all)), "the keys are described in docs/config.md")
	}
	r.fault(r.place(e.node, join(path, e.key)), "unknown key", hint)
}

// value reads a value of any type.
func (r *reader) value(n ast.Node, v reflect.Value, f field, path string) {
	place := r.place(n, path)
	n = r.resolve(n, path)
	if n == nil || r.over {
		return
	}
	if _, seen := r.places[path]; !seen {
		r.places[path] = place
	}
	_, scalar := scalarOf(f.typ)
	switch {
	case n.Type() == ast.NullType:
		// A list or mapping with nothing below it, as when all its lines are commented out, is a key that is not there.
		if scalar || f.required {
			r.fault(place, "the key has no value", "write one, or remove the key")
		}
	case scalar:
		r.scalar(n, v, f, place)
	case v.Kind() == reflect.Slice:
		r.sequence(n, v, f, path)
	default:
		r.structure(n, v, path)
	}
}

// structure reads a struct from a mapping, or from the one value that may stand for it.
func (r *reader) structure(n ast.Node, v reflect.Value, path string) {
	if short, ok := shortField(r.fields(v.Type())); ok && isScalarNode(n) {
		r.value(n, v.FieldByIndex(short.index), short, join(path, short.key))
		return
	}
	r.mapping(n, v, path)
}

func (r *reader) sequence(n ast.Node, v reflect.Value, f field, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(r.place(n, path), "not a list", "begin each element with a dash on a line of its own, or write "+f.key+": [ … ]")
		return
	}
	if len(seq.Values) > listMax {
		r.fault(r.place(n, path), fmt.Sprintf("the list has %d elements; %d is the most", len(seq.Values), listMax), longHint(path))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	fresh := reflect.New(v.Type().Elem()).Elem()
	setDefaults(fresh)
	for i, item := range seq.Values {
		v.Index(i).Set(fresh)
		r.value(item, v.Index(i), f.element(), fmt.Sprintf("%s[%d]", path, i))
	}
	if f.required && len(seq.Values) == 0 {
		r.fault(r.place(n, path), "the list is empty", "such as "+f.key+": "+f.example)
	}
}

// longHint says what can be done about a list that is too long.
func longHint(path string) string {
	switch path {
	case "zones":
		return "further zones can come by a catalog, which lists up to a hundred thousand: docs/catalogs.md"
	case "keys":
		return "one key may serve many zones"
	}
	return "names to act on belong into a feed; networks can be written as larger ones"
}

func (r *reader) scalar(n ast.Node, v reflect.Value, f field, place Place) {
	s, _ := scalarOf(f.typ)
	text, ok := scalarText(n, f.typ)
	if !ok {
		hint := "write " + s.form
		if _, mapped := n.(ast.MapNode); mapped {
			hint += "; in braces and brackets, what has a colon stands in quotes"
		}
		r.fault(place, fmt.Sprintf("%s is not %s", quoted(n.GetToken().Value), article(s.name)), hint)
		return
	}
	got, err := s.parse(text, f)
	if err != nil {
		if v.Kind() == reflect.String {
			v.SetString(text) // so that what refers to it by name is not at fault as well
		}
		r.fault(place, err.Error(), hintOf(err, s))
		return
	}
	if text == "" && f.required {
		r.fault(place, "the text is empty", "such as "+f.key+": "+f.example)
	}
	switch f.outside(got) {
	case -1:
		r.fault(place, quoted(text)+" is too little", fmt.Sprintf("the least is %s", f.min))
	case +1:
		r.fault(place, quoted(text)+" is too much", fmt.Sprintf("the most is %s", f.max))
	default:
		v.Set(reflect.ValueOf(got))
	}
}

func article(name string) string {
	switch {
	case name == "text", strings.HasPrefix(name, "true"), strings.HasPrefix(name, "one of"):
		return name
	case strings.HasPrefix(name, "address"):
		return "an " + name
	}
	return "a " + name
}

func hintOf(err error, s scalar) string {
	if e, ok := errors.AsType[*hintError](err); ok {
		return e.hint
	}
	if e, ok := errors.AsType[*wordError](err); ok {
		return cmp.Or(spelling.Hint(e.word, e.values), "write "+s.form)
	}
	return "write " + s.form
}

// scalarText is the text of a node that may be read as the type: numbers and words are taken as they stand, but a text must not be
// something that YAML reads as a number or as true and false, since another reader would.
func scalarText(n ast.Node, t reflect.Type) (string, bool) {
	switch node := n.(type) {
	case *ast.StringNode:
		return node.Value, t.Kind() != reflect.Bool && t.Kind() != reflect.Int
	case *ast.LiteralNode:
		return strings.TrimSuffix(node.Value.Value, "\n"), t.Kind() == reflect.String
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, t.Kind() != reflect.String
	case *ast.BoolNode:
		return n.GetToken().Value, t.Kind() == reflect.Bool
	}
	return "", false
}

func isScalarNode(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return true
	}
	return false
}

// fault notes something wrong, up to a number that a person can read.
func (r *reader) fault(p Place, text, hint string) {
	if len(r.faults) < faultsMax {
		r.faults = append(r.faults, Fault{r.shown(p), text, hint})
	}
}

func (r *reader) warn(p Place, text, hint string) {
	if len(r.warnings) < faultsMax {
		r.warnings = append(r.warnings, Warning{r.shown(p), text, hint})
	}
}

// sound reports whether the file was read to its end, so that its keys can be looked at together. It notes which could not be read.
func (r *reader) sound() bool {
	for _, f := range r.faults {
		r.unread[f.Key] = true
	}
	return !r.over && !r.unread[""]
}

// lost reports whether the value of a key, or of one around it, is not known. What refers to it is then not at fault.
func (r *reader) lost(key string) bool {
	for k := key; k != ""; k = parentKey(k) {
		if r.unread[k] {
			return true
		}
	}
	return false
}

// lostWithin is lost, also for the keys inside the key.
func (r *reader) lostWithin(key string) bool {
	for k := range r.unread {
		if rest, inside := strings.CutPrefix(k, key); inside && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return r.lost(key)
}

// checked puts the faults that the checks found behind those of the reading, without those of a value that could not be read
// anyway, and all in the order of the file.
func (r *reader) checked(read int) {
	faults := r.faults[:read:read]
	for _, f := range r.faults[read:] {
		if !slices.ContainsFunc(r.faults[:read], func(o Fault) bool { return o.Key == f.Key || strings.HasPrefix(o.Key, f.Key) }) {
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	r.faults = faults
}

// at is the place of a key: its own if the file has it, else that of the nearest key around it.
func (r *reader) at(key string) Place {
	for k := key; ; k = parentKey(k) {
		if p, ok := r.places[k]; ok {
			p.Key = key
			return p
		}
		if k == "" {
			return Place{File: r.file, Key: key}
		}
	}
}

func parentKey(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
