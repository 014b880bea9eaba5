package cenote_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew instead of comparing it")

// A metric is one description in the code.
type metric struct {
	room, name, help string
	labels           []string
}

// TestMetricsReference holds docs/metrics.md equal to the descriptions in the code. With -update it writes the page.
func TestMetricsReference(t *testing.T) {
	want := metricsPage(metrics(t))
	if *update {
		if err := os.WriteFile("docs/metrics.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/metrics.md does not say what the code says; run make docs (-want +got):\n%s", diff)
	}
}

// TestMetricsAreWellNamed holds the form of names, and that every help is a sentence.
func TestMetricsAreWellNamed(t *testing.T) {
	seen := map[string]bool{}
	form := regexp.MustCompile(`^cenote_[a-z]+(_[a-z0-9]+)+$`)
	for _, m := range metrics(t) {
		switch {
		case seen[m.name]:
			t.Errorf("%s is described twice", m.name)
		case !form.MatchString(m.name):
			t.Errorf("%s is not cenote_ROOM_WHAT_UNIT", m.name)
		case !strings.HasSuffix(m.help, ".") || len(m.help) < 15:
			t.Errorf("%s: the help is no sentence: %q", m.name, m.help)
		}
		seen[m.name] = true
	}
}

// metrics are the descriptions in the code. A room writes them in one of three forms, each with name, help and labels as they stand: a call
// of prometheus.NewDesc, or of a function of its own around it, with the whole name; a call of a function of its own that puts the
// prefix in front; or options with the keys Name and Help.
func metrics(t *testing.T) []metric {
	t.Helper()
	var out []metric
	rooms := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		helpers := descHelpers(s.tree)
		ast.Inspect(s.tree, func(n ast.Node) bool {
			m, ok := readDescription(n, helpers)
			if ok {
				m.room = s.dir
				rooms[s.dir]++
				out = append(out, m)
			}
			return true
		})
	}
	for _, s := range sources(t) {
		if !s.test && rooms[s.dir] == 0 && slices.Contains(imports(s), "github.com/prometheus/client_golang/prometheus") && hasDesc(s.tree) {
			t.Errorf("%s makes descriptions in a form that is not understood here", s.path)
		}
	}
	slices.SortFunc(out, func(a, b metric) int { return slices.Compare([]string{a.room, a.name}, []string{b.room, b.name}) })
	return out
}

// descHelpers are the functions of a file that make a description, with the prefix that each puts in front of the name. NewDesc itself
// has none.
func descHelpers(file *ast.File) map[string]string {
	helpers := map[string]string{"NewDesc": ""}
	take := func(name string, body *ast.BlockStmt) {
		if body == nil {
			return
		}
		ast.Inspect(body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || calledName(call) != "NewDesc" || len(call.Args) == 0 {
				return true
			}
			if sum, ok := call.Args[0].(*ast.BinaryExpr); ok {
				if prefix, ok := text(sum.X); ok {
					helpers[name] = prefix
				}
			}
			return true
		})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch node := n.(type) {
		case *ast.FuncDecl:
			take(node.Name.Name, node.Body)
		case *ast.AssignStmt:
			if f, ok := node.Rhs[0].(*ast.FuncLit); ok && len(node.Lhs) == 1 {
				if name, ok := node.Lhs[0].(*ast.Ident); ok {
					take(name.Name, f.Body)
				}
			}
		}
		return true
	})
	return helpers
}

func hasDesc(file *ast.File) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		found = found || ok && slices.Contains([]string{"NewDesc", "NewCounterVec", "NewGaugeVec", "NewHistogramVec", "NewCounter", "NewGauge"}, calledName(call))
		return !found
	})
	return found
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// readDescription reads any of the three forms.
func readDescription(n ast.Node, helpers map[string]string) (metric, bool) {
	switch node := n.(type) {
	case *ast.CallExpr:
		m, ok := readMetric(node, helpers[calledName(node)])
		return m, ok && strings.HasPrefix(m.name, "cenote_")
	case *ast.CompositeLit:
		var m metric
		for _, e := range node.Elts {
			pair, ok := e.(*ast.KeyValueExpr)
			if !ok {
				return metric{}, false
			}
			key, _ := pair.Key.(*ast.Ident)
			value, isText := text(pair.Value)
			switch {
			case key != nil && key.Name == "Name" && isText:
				m.name = value
			case key != nil && key.Name == "Help" && isText:
				m.help = value
			}
		}
		return m, strings.HasPrefix(m.name, "cenote_") && m.help != ""
	}
	return metric{}, false
}

// readMetric reads name, help and labels of a call where they are written out.
func readMetric(call *ast.CallExpr, prefix string) (metric, bool) {
	if len(call.Args) < 2 {
		return metric{}, false
	}
	name, ok := text(call.Args[0])
	help, alsoOK := text(call.Args[1])
	if !ok || !alsoOK {
		return metric{}, false
	}
	m := metric{name: prefix + name, help: help}
	for _, arg := range call.Args[2:] {
		if list, ok := arg.(*ast.CompositeLit); ok {
			for _, e := range list.Elts {
				if label, ok := text(e); ok {
					m.labels = append(m.labels, label)
				}
			}
		} else if label, ok := text(arg); ok {
			m.labels = append(m.labels, label)
		}
	}
	return m, true
}

// text is a string as it stands in the code, pieces joined by + included.
func text(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		if x.Kind == token.STRING {
			s, err := strconv.Unquote(x.Value)
			return s, err == nil
		}
	case *ast.BinaryExpr:
		a, aOK := text(x.X)
		b, bOK := text(x.Y)
		return a + b, aOK && bOK
	}
	return "", false
}

func metricsPage(all []metric) string {
	var b strings.Builder
	b.WriteString(`# Metrics

Written by ` + "`make docs`" + ` from the descriptions in the code; do not edit. They are at /metrics in the form of Prometheus. A name that ends in _total
is a counter since the start; the others are what is now, in the unit at their end. Label values are fixed words, or names from the configuration.
`)
	room := ""
	for _, m := range all {
		if m.room != room {
			room = m.room
			fmt.Fprintf(&b, "\n## %s\n\n| metric | labels | what, and when to look |\n|---|---|---|\n", room)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.name, strings.Join(m.labels, ", "), strings.ReplaceAll(m.help, "|", `\|`))
	}
	return b.String()
}
