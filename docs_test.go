package cenote_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cenote/config"
)

// A page is one Markdown file of the repository.
type page struct{ path, text string }

func pages(t *testing.T) []page {
	t.Helper()
	var out []page
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".md") {
			return nil
		}
		b, err := os.ReadFile(path)
		out = append(out, page{filepath.ToSlash(path), string(b)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pageNamed(t *testing.T, name string) page {
	t.Helper()
	all := pages(t)
	i := slices.IndexFunc(all, func(p page) bool { return p.path == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return all[i]
}

// TestEveryPackageIsDescribed holds that ARCHITECTURE.md has a paragraph for every package, and that every package has a doc.go which
// says where to start.
func TestEveryPackageIsDescribed(t *testing.T) {
	text := pageNamed(t, "ARCHITECTURE.md").text
	for dir := range arrows() {
		if !strings.Contains(text, "\n**`"+dir+"`** ") {
			t.Errorf("ARCHITECTURE.md has no paragraph that begins with **`%s`**", dir)
		}
	}
	docs := map[string]string{}
	for _, s := range sources(t) {
		if filepath.Base(s.path) == "doc.go" && s.tree.Doc != nil {
			docs[s.dir] = strings.Join(strings.Fields(s.tree.Doc.Text()), " ")
		}
	}
	for dir := range arrows() {
		switch doc := docs[dir]; {
		case doc == "":
			t.Errorf("%s has no doc.go with a comment", dir)
		case !strings.Contains(strings.ToLower(doc), "start reading"):
			t.Errorf("%s/doc.go does not say where to start reading", dir)
		}
	}
}

// TestMapIsWritten holds that the table of ARCHITECTURE.md is the table of map_test.go.
func TestMapIsWritten(t *testing.T) {
	text := pageNamed(t, "ARCHITECTURE.md").text
	for dir, down := range arrows() {
		if dir == "cmd/cenote" {
			continue
		}
		may := "-"
		if len(down) > 0 {
			may = strings.Join(down, ", ")
		}
		if row := fmt.Sprintf("| `%s` | %s |", dir, may); !strings.Contains(text, row) {
			t.Errorf("ARCHITECTURE.md lacks the row %s", row)
		}
	}
}

// TestPathsExist holds that a path which a page names is there. Paths are what stands in backticks or in a link and begins with a
// directory of ours or is a file of the root.
func TestPathsExist(t *testing.T) {
	tops := topLevel(t)
	for _, p := range pages(t) {
		for _, path := range namedPaths(p, tops) {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s, which is not there", p.path, path)
			}
		}
	}
}

func topLevel(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func namedPaths(p page, tops []string) []string {
	var out []string
	for _, m := range regexp.MustCompile("`([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]*)*)`").FindAllStringSubmatch(withoutFences(p.text), -1) {
		first, _, nested := strings.Cut(m[1], "/")
		if nested && slices.Contains(tops, first) || strings.HasSuffix(m[1], ".md") && !nested {
			out = append(out, strings.TrimSuffix(m[1], "/"))
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(withoutFences(p.text), -1) {
		out = append(out, filepath.Join(filepath.Dir(p.path), m[1]))
	}
	return out
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func withoutFences(text string) string { return fence.ReplaceAllString(text, "") }

// TestLayoutIsTrue holds that the tree drawn in ARCHITECTURE.md shows what is there.
func TestLayoutIsTrue(t *testing.T) {
	text := pageNamed(t, "ARCHITECTURE.md").text
	drawn := regexp.MustCompile(`(?m)^([a-z/]+)/ +\S`).FindAllStringSubmatch(text, -1)
	if len(drawn) < len(arrows()) {
		t.Errorf("ARCHITECTURE.md draws %d directories, and there are %d packages", len(drawn), len(arrows()))
	}
	for _, m := range drawn {
		if info, err := os.Stat(m[1]); err != nil || !info.IsDir() {
			t.Errorf("ARCHITECTURE.md draws the directory %s, which is not there", m[1])
		}
	}
}

// TestYAMLBlocksLoad holds that whoever copies a block of YAML from a page has a configuration.
func TestYAMLBlocksLoad(t *testing.T) {
	for _, p := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			if m[1] != "yaml" {
				continue
			}
			if _, _, err := config.Parse("/etc/cenote/cenote.yaml", []byte(m[2])); err != nil {
				t.Errorf("%s: a block of YAML does not load:\n%v", p.path, err)
			}
		}
	}
}

// TestNamedTestsExist holds that a test which a page names is there.
func TestNamedTestsExist(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		for _, decl := range s.tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && s.test {
				there[f.Name.Name] = true
			}
		}
	}
	for _, p := range pages(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(p.text, -1) {
			if !there[m[1]] {
				t.Errorf("%s names the test %s, which is not there", p.path, m[1])
			}
		}
	}
}

// TestInvariantsAreHeld holds that every invariant of ARCHITECTURE.md names a test.
func TestInvariantsAreHeld(t *testing.T) {
	_, after, found := strings.Cut(pageNamed(t, "ARCHITECTURE.md").text, "\n## Invariants\n")
	if !found {
		t.Fatal("ARCHITECTURE.md has no section of invariants")
	}
	section, _, _ := strings.Cut(after, "\n## ")
	items := regexp.MustCompile(`(?m)^\d+\. `).Split(section, -1)[1:]
	for i, item := range items {
		if !regexp.MustCompile("`(Test|Fuzz)[A-Z]").MatchString(item) {
			t.Errorf("invariant %d names no test", i+1)
		}
	}
	if len(items) != 12 {
		t.Errorf("got %d invariants, want 12", len(items))
	}
}

// TestExportedNamesAreDescribed holds that every exported name has a comment.
func TestExportedNamesAreDescribed(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, decl := range s.tree.Decls {
			for _, name := range undescribed(decl) {
				t.Errorf("%s: %s has no comment", s.path, name)
			}
		}
	}
}

func undescribed(decl ast.Decl) []string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc.Text() == "" && (d.Recv == nil || exportedReceiver(d)) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		return undescribedSpecs(d)
	}
	return nil
}

func exportedReceiver(d *ast.FuncDecl) bool {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

// undescribedSpecs finds types, variables and constants without a comment of their own, beside them, or on their group.
func undescribedSpecs(d *ast.GenDecl) []string {
	var out []string
	for _, spec := range d.Specs {
		switch sp := spec.(type) {
		case *ast.TypeSpec:
			if sp.Name.IsExported() && sp.Doc.Text() == "" && d.Doc.Text() == "" {
				out = append(out, sp.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range sp.Names {
				if n.IsExported() && d.Tok != token.IMPORT && sp.Doc.Text()+sp.Comment.Text()+d.Doc.Text() == "" {
					out = append(out, n.Name)
				}
			}
		}
	}
	return out
}

// TestReadmeShowsTheDefault holds that what the README tells a newcomer to ask is listed, and that the answer which it shows is the one.
func TestReadmeShowsTheDefault(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	text := pageNamed(t, "README.md").text
	ask := regexp.MustCompile(`dig @(\S+) -p (\d+) (\S+)`).FindStringSubmatch(text)
	if ask == nil {
		t.Fatal("README.md shows no dig")
	}
	if got, want := ask[1]+":"+ask[2], c.Listen[0].Address.String(); got != want {
		t.Errorf("README.md asks %s, the default listens on %s", got, want)
	}
	if !strings.Contains(string(config.Starter()), "\n"+ask[3]+"\n") {
		t.Errorf("README.md asks for %s, which the starter feed does not list", ask[3])
	}
	zone := c.Policy.Zones[0]
	answer := fmt.Sprintf("%s. %d IN\tA\t%s", ask[3], int(zone.TTL.Seconds()), zone.Sinkhole.IPv4[0])
	code, _ := zone.EDE.Code()
	for _, line := range []string{answer, fmt.Sprintf("EDE: %d", code)} {
		if !strings.Contains(text, line) {
			t.Errorf("README.md does not show %q", line)
		}
	}
}

// TestCommandsExist holds that a command which a page names is one of the binary's, and that the README names them all.
func TestCommandsExist(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		if s.dir != "cmd/cenote" || s.test {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "commandLine" {
				for _, f := range spec.Type.(*ast.StructType).Fields.List {
					there[strings.ToLower(f.Names[0].Name)] = true
				}
			}
			return true
		})
	}
	readme := pageNamed(t, "README.md").text
	for command := range there {
		if !strings.Contains(readme, "| `cenote "+command) {
			t.Errorf("the table of README.md has no row for cenote %s", command)
		}
	}
	for _, p := range pages(t) {
		for _, m := range regexp.MustCompile("(?:`|bin/)cenote ([a-z]+)\\b").FindAllStringSubmatch(p.text, -1) {
			if !there[m[1]] {
				t.Errorf("%s names the command cenote %s, which is not there", p.path, m[1])
			}
		}
	}
}

// TestEveryKeyIsUsed holds that no key of the configuration is dead: the binary, or config itself for those it settles, reads each field.
func TestEveryKeyIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || s.dir != "cmd/cenote" && s.path != "config/settle.go" && s.path != "config/secret.go" {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				used[sel.Sel.Name] = true
			}
			return true
		})
	}
	eachField(reflect.TypeFor[config.Config](), "", func(path, field string) {
		if !used[field] {
			t.Errorf("nobody reads the key %s (field %s)", path, field)
		}
	})
}

func eachField(typ reflect.Type, path string, visit func(path, field string)) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous { // its keys stand in the place of it
			eachField(f.Type, path, visit)
			continue
		}
		p := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
		visit(p, f.Name)
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && strings.HasSuffix(inner.PkgPath(), "/config") {
			eachField(inner, p, visit)
		}
	}
}
