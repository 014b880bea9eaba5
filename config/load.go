package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Parse reads a configuration and checks it. It touches no file: relative paths are taken from the directory of name. A file
// with anything wrong gives Faults, which are all of them.
func Parse(name string, b []byte) (*Config, Warnings, error) {
	c, r := parse(name, b)
	return r.result(c)
}

// Load reads the configuration file at path, checks it, and settles what depends on the host, which are the paths that it leaves out.
func Load(path string) (*Config, Warnings, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, r := parse(absolute, b)
	if len(r.faults) == 0 {
		if err := c.settle(); err != nil {
			return nil, r.warnings, fmt.Errorf("%s: %w", path, err)
		}
	}
	if r.sound() {
		found := len(r.faults)
		c.checkFiles(r)
		r.checked(found)
	}
	return r.result(c)
}

// Sketch is what can be read of a configuration file, whatever is wrong with it and with what it names: enough to offer its names to somebody who types. It is
// empty where nothing can be read.
func Sketch(path string) *Config {
	b, err := readFile(path)
	if err != nil {
		return new(Config)
	}
	c, _ := parse(path, b)
	return c
}

// parse reads and checks a configuration. What is wrong is in the reader.
func parse(name string, b []byte) (*Config, *reader) {
	c, r := read(name, b)
	if r.sound() {
		found := len(r.faults)
		c.inherit()
		c.resolvePaths(filepath.Dir(name))
		c.check(r)
		r.checked(found)
	}
	return c, r
}

// result is the configuration, or the faults that keep it from being used.
func (r *reader) result(c *Config) (*Config, Warnings, error) {
	if len(r.faults) > 0 {
		return nil, r.warnings, r.faults
	}
	return c, r.warnings, nil
}

// readFile reads no more than a configuration may have, whatever the path leads to.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, fileMax+1))
}

func newReader(name, text string) *reader {
	return &reader{
		file: name, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"),
		anchors: map[string]ast.Node{}, places: map[string]Place{}, keys: map[reflect.Type][]field{}, unread: map[string]bool{},
	}
}

// read makes a Config of the text. What is wrong is in the reader.
func read(name string, b []byte) (*Config, *reader) {
	c := &Config{}
	v := reflect.ValueOf(c).Elem()
	setDefaults(v)
	if len(b) > fileMax {
		r := newReader(name, "")
		r.fault(Place{File: name}, fmt.Sprintf("the file is larger than %d octets", fileMax), "is it a feed? feeds are named under feeds: by their path")
		return c, r
	}
	text := string(bytes.TrimPrefix(b, []byte("\ufeff")))
	r := newReader(name, text)
	body := r.tree(text)
	if body != nil {
		r.mapping(body, v, "")
	}
	return c, r
}

// tree is the tree of the text, or nil where there is none: a fault, or an empty file.
func (r *reader) tree(text string) (body ast.Node) {
	if at := foreign(text); at >= 0 {
		r.fault(r.placeAt(text, at), "the file is not text in UTF-8", "is it another file? an editor saves this one as UTF-8")
		return nil
	}
	// The library is made for trusted files; whatever it stumbles over in this one is a fault of the file.
	defer func() {
		if p := recover(); p != nil {
			body = nil
			r.fault(Place{File: r.file}, "the file cannot be read as YAML", "take out what is unusual in it, half by half")
		}
	}()
	tokens := lexer.Tokenize(text)
	if t := tooDeep(tokens); t != nil {
		r.fault(r.placeOf(t, ""), fmt.Sprintf("more than %d values lie inside each other", depthMax), "no key needs so many; docs/config.md shows their form")
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntaxFault(err)
		return nil
	}
	return r.body(file)
}

// foreign is where the first octet stands that no text in UTF-8 has, -1 if there is none.
func foreign(text string) int {
	for i, c := range text {
		if _, n := utf8.DecodeRuneInString(text[i:]); c == 0 || c == utf8.RuneError && n == 1 {
			return i
		}
	}
	return -1
}

// syntaxFault notes what the YAML parser says.
func (r *reader) syntaxFault(err error) {
	var at *token.Token
	text := err.Error()
	if e, ok := errors.AsType[yaml.Error](err); ok {
		at, text = e.GetToken(), e.GetMessage()
	}
	hint := "the fault may also lie above this place: look for a bracket or quote without its other half, and for a blank too many or too few"
	if strings.Contains(text, `'	'`) {
		hint = "YAML is indented with blanks, never with tabs"
	}
	r.fault(r.placeOf(at, ""), "not YAML: "+printable([]rune(withoutKeys(text))), hint)
}

// body is the one document of the file.
func (r *reader) body(file *ast.File) ast.Node {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			r.fault(r.place(doc.Body, ""), "the file holds a second document", "keep everything before the line ---")
			break
		}
		body = doc.Body
	}
	if body == nil {
		return nil
	}
	finder := &anchorFinder{found: r.anchors}
	ast.Walk(finder, body)
	if finder.over {
		r.fault(r.place(body, ""), fmt.Sprintf("the file names more than %d values with &", anchorsMax), "write the values out")
		return nil
	}
	return r.resolve(body, "")
}
