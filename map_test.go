package cenote_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows is the map of ARCHITECTURE.md: which packages of ours a package may import. A package that is not here has no place yet.
func arrows() map[string][]string {
	return map[string][]string{
		"crew":      {},
		"directory": {},
		"dnsname":   {},
		"hugepage":  {},
		"pace":      {},
		"prefetch":  {},
		"radix":     {},
		"spelling":  {},
		"ring":      {"hugepage"},
		"wire":      {"dnsname"},
		"tsig":      {"dnsname", "wire"},
		"nameindex": {"dnsname", "hugepage", "prefetch", "radix"},
		"policy":    {"nameindex", "dnsname", "wire"},
		"rrcache":   {"hugepage", "dnsname", "wire"},
		"dnssec":    {"dnsname", "wire"},
		"zone":      {"dnssec", "tsig", "pace", "dnsname", "wire", "prefetch", "directory"},
		"resolver":  {"rrcache", "dnssec", "wire", "crew", "pace", "dnsname"},
		"blocklist": {"policy", "nameindex", "pace", "dnsname", "wire", "radix", "spelling", "directory"},
		"sighting":  {"ring", "pace", "prefetch", "dnsname", "policy", "directory"},
		"querylog":  {"ring", "dnsname", "policy", "wire"},
		"forecast":  {"policy", "dnsname"},
		"rpz":       {"policy", "nameindex", "dnsname", "wire"},
		"dnsserver": {"policy", "zone", "rrcache", "tsig", "wire", "crew", "pace", "dnsname", "ring", "sighting", "querylog"},
		"api":       {"blocklist", "zone", "sighting", "policy", "dnsname", "wire", "spelling"},
		"config":    {"dnsname", "spelling"},
		"dnstest":   {"dnsname"},
		"bench":     {"dnsname", "pace", "wire"},
		"cmd/cenote": {"dnsname", "ring", "pace", "prefetch", "radix", "wire", "nameindex", "policy", "rrcache", "dnssec", "zone", "resolver", "blocklist", "sighting", "querylog",
			"forecast", "rpz", "tsig", "dnsserver", "api", "config", "spelling"},
	}
}

// modules says who may import a module that would otherwise spread through the house.
func modules() map[string][]string {
	return map[string][]string{
		"aead.dev/minisign":                     {"blocklist"},
		"github.com/cloudflare/circl":           {"dnssec"},
		"github.com/miekg/dns":                  {"dnsserver", "resolver", "blocklist/rpz.go", "zone/master.go", "dnstest"},
		"go.etcd.io/bbolt":                      {"sighting"},
		"github.com/fsnotify/fsnotify":          {"directory"},
		"github.com/goccy/go-yaml":              {"config"},
		"github.com/alecthomas/kong":            {"cmd/cenote"},
		"github.com/weppos/publicsuffix-go":     {"blocklist"},
		"github.com/rogpeppe/go-internal":       {},
		"pgregory.net/rapid":                    {},
		"go.uber.org/goleak":                    {},
		"github.com/google/go-cmp":              {},
		"github.com/santhosh-tekuri/jsonschema": {},
	}
}

// A source is one Go file of the module.
type source struct {
	path string // such as dnsserver/answer.go
	dir  string // such as dnsserver; . for the root
	test bool
	tree *ast.File
}

// sources are all Go files of the module. They are read as they lie there, so that files left out by build tags count too.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{path, filepath.ToSlash(filepath.Dir(path)), strings.HasSuffix(path, "_test.go"), tree})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMap holds the map: every package has its place, and imports point down.
func TestMap(t *testing.T) {
	allowed := arrows()
	for _, s := range sources(t) {
		if s.dir == "." && s.test {
			continue
		}
		down, known := allowed[s.dir]
		if !known {
			t.Errorf("%s: the package %s has no place on the map; see ARCHITECTURE.md and map_test.go", s.path, s.dir)
			continue
		}
		for _, path := range imports(s) {
			checkArrow(t, s, path, down)
			checkModule(t, s, path)
		}
	}
}

func checkArrow(t *testing.T, s source, path string, down []string) {
	t.Helper()
	ours, isOurs := strings.CutPrefix(path, "cenote/")
	if !isOurs || s.test {
		return
	}
	if !slices.Contains(down, ours) {
		t.Errorf("%s imports %s, and the map has no such arrow (%s may import %v)", s.path, ours, s.dir, down)
	}
}

func checkModule(t *testing.T, s source, path string) {
	t.Helper()
	if s.test {
		return
	}
	for module, who := range modules() {
		if path != module && !strings.HasPrefix(path, module+"/") {
			continue
		}
		if !slices.Contains(who, s.dir) && !slices.Contains(who, s.path) {
			t.Errorf("%s imports %s, which only %v may", s.path, path, who)
		}
	}
}

func imports(s source) []string {
	out := make([]string, len(s.tree.Imports))
	for i, spec := range s.tree.Imports {
		out[i] = strings.Trim(spec.Path.Value, `"`)
	}
	return out
}

// TestPurePackages holds that some packages are values in, values out: no clock, no goroutine, no file, no socket, no log.
func TestPurePackages(t *testing.T) {
	pure := []string{"dnsname", "wire", "tsig", "policy", "forecast", "rpz", "dnssec"}
	banned := []string{"os", "io/fs", "net", "net/http", "log", "log/slog", "syscall", "math/rand", "math/rand/v2", "os/exec"}
	for _, s := range sources(t) {
		if s.test || !slices.Contains(pure, s.dir) {
			continue
		}
		for _, path := range imports(s) {
			if slices.Contains(banned, path) {
				t.Errorf("%s imports %s; %s is pure", s.path, path, s.dir)
			}
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch node := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine; %s is pure", s.path, s.dir)
			case *ast.SelectorExpr:
				if x, ok := node.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "Tick"}, node.Sel.Name) {
					t.Errorf("%s looks at the clock (time.%s); %s is pure", s.path, node.Sel.Name, s.dir)
				}
			}
			return true
		})
	}
}

// TestNoInit holds that nothing happens before main: a value is made by whoever needs it.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has a func init", s.path)
			}
		}
	}
}
