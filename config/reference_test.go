package config_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cenote/config"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the reference anew instead of comparing it")

// TestReference holds docs/config.md, the example file and the JSON schema equal to the Go comments and tags. With -update it
// writes them.
func TestReference(t *testing.T) {
	ref := newReference(t)
	schema, err := json.MarshalIndent(ref.schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"config.md":           ref.markdown(),
		"cenote.example.yaml": ref.example(),
		"config.schema.json":  string(schema) + "\n",
	} {
		path := filepath.Join("..", "docs", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("docs/%s does not say what the code says; run make docs (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	ref := newReference(t)
	ref.each(func(owner reflect.Type, path string, k config.Key) {
		doc := ref.docs[k.Owner+"."+k.GoName]
		switch {
		case doc == "":
			t.Errorf("%s.%s (%s) has no comment", k.Owner, k.GoName, path)
		case !strings.HasPrefix(doc, k.GoName+" ") || !strings.HasSuffix(doc, "."):
			t.Errorf("%s.%s: the comment is no sentence about it: %q", k.Owner, k.GoName, doc)
		case k.Name == "":
			t.Errorf("%s.%s has no yaml tag", k.Owner, k.GoName)
		}
		word, isWord := config.WordOf(k.Type)
		if isWord && k.Default == "" && k.Example == "" {
			t.Errorf("%s has neither default nor example", path)
		}
		if isWord && (word.Name == "whole number" || word.Name == "time span" || word.Name == "size") && k.Min == "" {
			t.Errorf("%s is a %s without a least value", path, word.Name)
		}
		for _, text := range []string{k.Default, k.Example} {
			if text == "" {
				continue
			}
			if err := config.CheckTag(owner, k.GoName, text); err != nil {
				t.Errorf("%s: the tag %q cannot be read: %v", path, text, err)
			}
		}
	})
}

func TestExampleLoads(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "cenote.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, warnings, err := config.Parse("/etc/cenote/cenote.yaml", b)
	if err != nil {
		t.Errorf("the example has faults:\n%v", err)
	}
	for _, w := range warnings {
		t.Errorf("the example has a warning:\n%v", w)
	}
}

func TestSchemaTakesWhatTheReaderTakes(t *testing.T) {
	ref := newReference(t)
	schema := compileSchema(t, ref.schema())
	example := []byte(ref.example())
	for name, tc := range map[string]struct {
		yaml []byte
		want bool
	}{
		"embedded default":    {config.DefaultYAML(), true},
		"example":             {example, true},
		"short forms":         {[]byte("listen: [192.0.2.1]\nupstreams: [192.0.2.53, '[2001:db8::53]:53']\n"), true},
		"list without values": {[]byte("feeds:\nupstreams:\n"), true},
		"unknown key":         {[]byte("listn: []\n"), false},
		"unknown inner key":   {[]byte("cache: {ttl: 5s}\n"), false},
		"missing key":         {[]byte("feeds: [{path: x}]\n"), false},
		"neither of two keys": {[]byte("feeds: [{name: a}]\n"), false},
		"both of two keys":    {[]byte("feeds: [{name: a, path: x, url: 'https://lists.example/x'}]\n"), false},
		"one of two keys":     {[]byte("feeds: [{name: a, url: 'https://lists.example/x'}]\n"), true},
		"unknown word":        {[]byte("access: {refuse: no}\n"), false},
		"number without unit": {[]byte("cache: {size: 5}\n"), false},
		"too little":          {[]byte("rate_limit: {burst: 0}\n"), false},
		"not a list":          {[]byte("feeds: {}\n"), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, schema, tc.yaml)
			if got := err == nil; got != tc.want {
				t.Errorf("schema takes it: got %v, want %v: %v", got, tc.want, err)
			}
			_, _, err = config.Parse("/etc/cenote/cenote.yaml", tc.yaml)
			if got := err == nil; got != tc.want {
				t.Errorf("reader takes it: got %v, want %v: %v", got, tc.want, err)
			}
		})
	}
}

func compileSchema(t *testing.T, schema any) *jsonschema.Schema {
	t.Helper()
	b, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func validate(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	b, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

// A reference knows the comments of the package: of a struct under its name, of a field under Struct.Field.
type reference struct{ docs map[string]string }

func newReference(t *testing.T) *reference {
	t.Helper()
	ref := &reference{docs: map[string]string{}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ref.take(file)
	}
	return ref
}

func (ref *reference) take(file *ast.File) {
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			ts := spec.(*ast.TypeSpec)
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			ref.docs[ts.Name.Name] = oneLine(gen.Doc.Text())
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					ref.docs[ts.Name.Name+"."+n.Name] = oneLine(f.Doc.Text())
				}
			}
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// each visits every key, with the struct that holds it.
func (ref *reference) each(visit func(owner reflect.Type, path string, k config.Key)) {
	ref.eachOf(reflect.TypeFor[config.Config](), "", visit)
}

func (ref *reference) eachOf(t reflect.Type, path string, visit func(reflect.Type, string, config.Key)) {
	for _, k := range config.Keys(t) {
		p := strings.TrimPrefix(path+"."+k.Name, ".")
		visit(t, p, k)
		if inner, list := element(k.Type); config.IsMapping(inner) {
			ref.eachOf(inner, p+list, visit)
		}
	}
}

// element is the type of the elements of a list, or the type itself.
func element(t reflect.Type) (inner reflect.Type, mark string) {
	if t.Kind() == reflect.Slice {
		return t.Elem(), "[]"
	}
	return t, ""
}

// comment is what the code says of a key, in the words of the file: the Go name at its beginning gives way to the key.
func (ref *reference) comment(owner reflect.Type, k config.Key) string {
	rest := strings.TrimPrefix(ref.docs[k.Owner+"."+k.GoName], k.GoName)
	return "`" + k.Name + "`" + rest
}

// facts are the type, default and bounds of a key.
func facts(k config.Key) string {
	inner, list := element(k.Type)
	var out []string
	if word, ok := config.WordOf(inner); ok {
		out = append(out, word.Name)
		if list != "" {
			out[0] = "list: " + word.Name
		}
	} else if list != "" {
		out = append(out, "list of mappings")
	}
	for _, fact := range []struct{ name, text string }{{"default", k.Default}, {"least", k.Min}, {"most", k.Max}, {"example", k.Example}} {
		if fact.text != "" {
			out = append(out, fact.name+" `"+fact.text+"`")
		}
	}
	if k.Required {
		out = append(out, "required")
	}
	if k.Restart {
		out = append(out, "a change needs a restart")
	}
	return strings.Join(out, "; ")
}

// markdown is docs/config.md.
func (ref *reference) markdown() string {
	var b strings.Builder
	b.WriteString(`# The configuration file

Written by ` + "`make docs`" + ` from the comments in config/; do not edit. [cenote.example.yaml](cenote.example.yaml) holds every key,
[config.schema.json](config.schema.json) is for editors, and ` + "`cenote check --config FILE`" + ` finds every fault of a file at once.

The file is YAML. A key that is not listed here is a fault, and so is one that is there twice. Relative paths are taken from the directory
of the file. ` + "`cenote reload`" + ` and SIGHUP bring a changed file into effect, all of it or, where it has a fault, nothing of it. What
needs a new socket, worker or directory takes effect at the next restart; such keys say so, and a reload that changes one tells their names.

How values are written: time spans as ` + "`300ms`, `10s`, `12h`, `7d`, `2w`" + `; sizes as ` + "`64KiB`, `512MiB`" + `; shares as ` +
		"`50%`" + `; rates as ` + "`200/s`, `30/m`" + `; networks as ` + "`192.0.2.0/24`" + ` or one address; addresses with a port as ` +
		"`192.0.2.1:53`, `[2001:db8::1]:53`" + `.

## Top level
`)
	ref.section(&b, reflect.TypeFor[config.Config](), "")
	return b.String()
}

func (ref *reference) section(b *strings.Builder, t reflect.Type, path string) {
	b.WriteString("\n")
	for _, k := range config.Keys(t) {
		text := facts(k)
		if text != "" {
			text = " (" + text + ")"
		}
		fmt.Fprintf(b, "- %s%s\n", ref.comment(t, k), text)
	}
	for _, k := range config.Keys(t) {
		inner, list := element(k.Type)
		if !config.IsMapping(inner) {
			continue
		}
		p := strings.TrimPrefix(path+"."+k.Name, ".") + list
		fmt.Fprintf(b, "\n## %s\n\n`%s`%s\n", p, p, strings.TrimPrefix(ref.docs[inner.Name()], inner.Name()))
		if short := shortKey(inner); short != "" {
			fmt.Fprintf(b, "The value of `%s` alone may stand for the mapping.\n", short)
		}
		ref.section(b, inner, p)
	}
}

func shortKey(t reflect.Type) string {
	for _, k := range config.Keys(t) {
		if k.Short {
			return k.Name
		}
	}
	return ""
}

// example is docs/cenote.example.yaml: every key with its default, or else its example; keys that most do without are commented out.
func (ref *reference) example() string {
	var b strings.Builder
	b.WriteString("# Every key of Cenote's configuration, with its default where it has one. Written by `make docs` from the code;\n" +
		"# docs/config.md explains how values are written. A file of your own needs only what differs.\n")
	ref.exampleOf(&b, reflect.TypeFor[config.Config](), "", "")
	return b.String()
}

func (ref *reference) exampleOf(b *strings.Builder, t reflect.Type, indent, first string) {
	for i, k := range config.Keys(t) {
		lead := indent
		if i == 0 && first != "" {
			lead = first
		}
		inner, list := element(k.Type)
		if indent == "" {
			b.WriteString("\n")
		}
		if i > 0 || first == "" {
			writeComment(b, indent, ref.comment(t, k))
		}
		switch {
		case !config.IsMapping(inner):
			fmt.Fprintf(b, "%s%s: %s\n", mark(lead, k), k.Name, exampleText(k))
		case list != "" && k.Either != "" && !k.Shown:
			var sub strings.Builder
			ref.exampleOf(&sub, inner, indent+"    ", indent+"  - ")
			fmt.Fprintf(b, "%s# %s:\n%s", lead, k.Name, commentedOut(sub.String(), indent))
		case list != "":
			fmt.Fprintf(b, "%s%s:\n", lead, k.Name)
			ref.exampleOf(b, inner, indent+"    ", indent+"  - ")
		case k.Either != "" && !k.Shown:
			var sub strings.Builder
			ref.exampleOf(&sub, inner, indent+"  ", "")
			fmt.Fprintf(b, "%s# %s:\n%s", lead, k.Name, commentedOut(sub.String(), indent))
		default:
			fmt.Fprintf(b, "%s%s:\n", lead, k.Name)
			ref.exampleOf(b, inner, indent+"  ", "")
		}
	}
}

// commentedOut puts a mark before every line that is none.
func commentedOut(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if rest := strings.TrimPrefix(line, indent); !strings.HasPrefix(strings.TrimSpace(rest), "#") {
			line = indent + "# " + rest
		}
		b.WriteString(line)
	}
	return b.String()
}

func exampleText(k config.Key) string {
	if k.Default != "" {
		return k.Default
	}
	return k.Example
}

// mark comments out what has no default and is not needed.
func mark(lead string, k config.Key) string {
	if k.Default == "" && !k.Required && !k.Shown {
		return lead + "# "
	}
	return lead
}

func writeComment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(strings.ReplaceAll(text, "`", "")) {
		if len(line)+1+len(word) > 120 {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// schema is docs/config.schema.json.
func (ref *reference) schema() map[string]any {
	s := ref.objectSchema(reflect.TypeFor[config.Config]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Configuration of Cenote"
	return s
}

func (ref *reference) objectSchema(t reflect.Type) map[string]any {
	properties := map[string]any{}
	required, either := []string{}, []any{}
	for _, k := range config.Keys(t) {
		s := ref.valueSchema(k.Type, k)
		s["description"] = ref.comment(t, k)
		if v, ok := jsonValue(k.Default); ok {
			s["default"] = v
		}
		properties[k.Name] = s
		if k.Required {
			required = append(required, k.Name)
		}
		if k.Either != "" {
			either = append(either, map[string]any{"required": []string{k.Name}})
		}
	}
	s := map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
		s["type"] = "object"
	}
	if len(either) > 0 {
		s["oneOf"] = either
	}
	return s
}

func (ref *reference) valueSchema(t reflect.Type, k config.Key) map[string]any {
	if t.Kind() == reflect.Slice {
		s := map[string]any{"type": []string{"array", "null"}, "items": ref.valueSchema(t.Elem(), k)}
		if k.Required {
			s["type"], s["minItems"] = "array", 1
		}
		return s
	}
	word, ok := config.WordOf(t)
	if !ok {
		return ref.mappingSchema(t)
	}
	s := map[string]any{"type": word.JSON}
	switch {
	case word.Values != nil:
		s["enum"] = word.Values
	case word.Pattern != "":
		s["pattern"] = word.Pattern
	case k.Pattern != "":
		s["pattern"] = k.Pattern
	}
	if word.JSON == "integer" && k.Min != "" {
		s["minimum"], s["maximum"] = json.Number(k.Min), json.Number(k.Max)
	}
	return s
}

func (ref *reference) mappingSchema(t reflect.Type) map[string]any {
	object := ref.objectSchema(t)
	for _, k := range config.Keys(t) {
		if k.Short {
			return map[string]any{"oneOf": []any{ref.valueSchema(k.Type, k), object}}
		}
	}
	return object
}

func jsonValue(text string) (any, bool) {
	if text == "" {
		return nil, false
	}
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, false
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, false
	}
	return v, true
}
