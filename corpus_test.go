package cenote_test

import (
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/blocklist"
)

// TestFuzzTargetsKeepACorpus holds that every fuzz target begins with inputs that once led somewhere new, and that every format of feeds
// has a target.
func TestFuzzTargetsKeepACorpus(t *testing.T) {
	targets := fuzzTargets(t)
	if len(targets) < 20 {
		t.Errorf("%d fuzz targets were found; there are more than that", len(targets))
	}
	for _, target := range targets {
		dir, name, _ := strings.Cut(target, " ")
		inputs, err := filepath.Glob(filepath.Join(dir, "testdata", "fuzz", name, "*"))
		if err != nil || len(inputs) == 0 {
			t.Errorf("%s: %s has no corpus under testdata/fuzz (%v)", dir, name, err)
		}
	}
	for _, f := range blocklist.Formats() {
		mine := func(target string) bool { return strings.EqualFold(target, "blocklist Fuzz"+f.Name) }
		if !slices.ContainsFunc(targets, mine) {
			t.Errorf("the format %s has no fuzz target", f.Name)
		}
	}
}

// fuzzTargets are all of them, as "directory FuzzName".
func fuzzTargets(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		for _, decl := range s.tree.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				out = append(out, s.dir+" "+fn.Name.Name)
			}
		}
	}
	return out
}
