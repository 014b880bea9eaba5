package cenote_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestLimitsAreTrue holds the table of bounds: a key has the default that the table says, a constant the value, and the metric that
// counts what was turned away exists.
func TestLimitsAreTrue(t *testing.T) {
	keys, constants := keyDefaults(t), constants(t)
	metricsText := pageNamed(t, "docs/metrics.md").text
	rows := regexp.MustCompile("(?m)^\\| [^|]+ \\| ([^|]*) \\| `([^`|]+)` \\| ([^|]*) \\|$").FindAllStringSubmatch(pageNamed(t, "docs/limits.md").text, -1)
	if len(rows) < 40 {
		t.Errorf("docs/limits.md has %d rows that can be read; there are more bounds than that", len(rows))
	}
	for _, row := range rows {
		value, name, counted := strings.Trim(row[1], "`"), row[2], row[3]
		want, isKey := keys[name]
		if !isKey {
			var isConstant bool
			if want, isConstant = constants[name]; !isConstant {
				t.Errorf("docs/limits.md: %s is neither a key of the configuration nor a constant", name)
				continue
			}
		}
		if value != want {
			t.Errorf("docs/limits.md: %s: the table says %s, the code %s", name, value, want)
		}
		for _, m := range regexp.MustCompile("`(cenote_[a-z0-9_]+)").FindAllStringSubmatch(counted, -1) {
			if !strings.Contains(metricsText, "| "+m[1]+" |") {
				t.Errorf("docs/limits.md: %s: there is no metric %s", name, m[1])
			}
		}
	}
}

// keyDefaults are the defaults of the configuration, by key, as the schema has them.
func keyDefaults(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("docs/config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	if err := decoder.Decode(&schema); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	gatherDefaults(out, "", schema)
	return out
}

func gatherDefaults(out map[string]string, path string, schema map[string]any) {
	if options, ok := schema["oneOf"].([]any); ok {
		for _, o := range options {
			gatherDefaults(out, path, o.(map[string]any))
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		gatherDefaults(out, path+"[]", items)
	}
	properties, _ := schema["properties"].(map[string]any)
	for key, value := range properties {
		inner := value.(map[string]any)
		p := strings.TrimPrefix(path+"."+key, ".")
		if def, ok := inner["default"]; ok {
			out[p] = fmt.Sprint(def)
		}
		gatherDefaults(out, p, inner)
	}
}

// constants are the named constants of all packages, as package.name, with their value as it is written.
func constants(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, decl := range s.tree.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				gatherConstants(out, s.tree.Name.Name, d)
			}
		}
	}
	return out
}

func gatherConstants(out map[string]string, pkg string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		vs := spec.(*ast.ValueSpec)
		for i, name := range vs.Names {
			if i < len(vs.Values) {
				var b strings.Builder
				if printer.Fprint(&b, token.NewFileSet(), vs.Values[i]) == nil {
					out[pkg+"."+name.Name] = b.String()
				}
			}
		}
	}
}
