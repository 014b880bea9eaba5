package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// An entry is one key of a mapping with its value.
type entry struct {
	key   string
	node  ast.Node // of the key
	value ast.Node
}

// entries are the keys of a mapping, those it merges in (<<) last and only where it does not have them itself. A key that is
// there twice is a fault.
func (r *reader) entries(n ast.Node, path string) ([]entry, bool) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.fault(r.place(n, path), wantMapping(path), "write each key on a line of its own, as key: value")
		return nil, false
	}
	out := make([]entry, 0, len(m.Values))
	seen := map[string]ast.Node{}
	var merged []ast.Node
	for _, mv := range m.Values {
		if mv.Key.IsMergeKey() {
			merged = append(merged, mv.Value)
			continue
		}
		e := entry{keyText(mv.Key), mv.Key, mv.Value}
		if first, twice := seen[e.key]; twice {
			r.fault(r.place(e.node, join(path, e.key)), "the key is here twice",
				fmt.Sprintf("the first is on line %d; keep one", first.GetToken().Position.Line))
			continue
		}
		seen[e.key] = e.node
		out = append(out, e)
	}
	for _, source := range merged {
		out = r.merge(out, seen, source, path)
	}
	return out, true
}

func wantMapping(path string) string {
	if path == "" {
		return "the file is not a mapping of keys to values"
	}
	return "not a mapping of keys to values"
}

// merge adds the entries of a merged mapping, or of each of a list of them, that are not there yet.
func (r *reader) merge(out []entry, seen map[string]ast.Node, source ast.Node, path string) []entry {
	r.merging++
	defer func() { r.merging-- }()
	if r.merging > depthMax {
		r.fault(r.place(source, path), "the merged mappings lead in a circle, or further than one can follow", "write the keys out")
		r.over = true
	}
	n := r.resolve(source, path)
	if n == nil || r.over {
		return out
	}
	if seq, ok := n.(*ast.SequenceNode); ok {
		for _, item := range seq.Values {
			out = r.merge(out, seen, item, path)
		}
		return out
	}
	entries, _ := r.entries(n, path)
	for _, e := range entries {
		if _, there := seen[e.key]; !there {
			seen[e.key] = e.node
			out = append(out, e)
		}
	}
	return out
}

func keyText(n ast.MapKeyNode) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.GetToken().Value
}

// resolve is the value itself, behind anchors and aliases; nil where it has none or a bound is passed.
func (r *reader) resolve(n ast.Node, path string) ast.Node {
	for range aliasesMax {
		if r.nodes++; r.nodes > nodesMax {
			if !r.over {
				r.over = true
				r.fault(r.place(n, path), fmt.Sprintf("the file has more than %d values", nodesMax), "aliases count each time they are used")
			}
			return nil
		}
		switch node := n.(type) {
		case *ast.AnchorNode:
			n = node.Value
		case *ast.AliasNode:
			target, ok := r.anchors[node.Value.GetToken().Value]
			if !ok {
				r.fault(r.place(n, path), "nothing is named "+quoted(node.Value.GetToken().Value), "name a value with &name before *name uses it")
				return nil
			}
			n = target
		case *ast.TagNode:
			r.fault(r.place(n, path), "tags such as "+quoted(node.GetToken().Value)+" are not used here", "remove the tag")
			return nil
		case nil:
			return nil
		default:
			return n
		}
	}
	r.fault(r.place(n, path), "the names of a value lead further than one can follow", "write the value out")
	return nil
}

// anchorFinder collects the named values of a file.
type anchorFinder struct {
	found map[string]ast.Node
	over  bool
}

// Visit implements ast.Visitor.
func (f *anchorFinder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		if len(f.found) >= anchorsMax {
			f.over = true
			return nil
		}
		f.found[a.Name.GetToken().Value] = a.Value
	}
	return f
}

// place is where a node stands.
func (r *reader) place(n ast.Node, key string) Place {
	return r.placeOf(firstToken(n), key)
}

func (r *reader) placeOf(t *token.Token, key string) Place {
	p := Place{File: r.file, Key: key}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

// placeAt is where an octet of the text stands.
func (r *reader) placeAt(text string, at int) Place {
	before := text[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return Place{File: r.file, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(before[start:])}
}

// shown is a place as people see it, with its line.
func (r *reader) shown(p Place) Place {
	p.Key = withoutKeys(p.Key)
	if p.Line >= 1 && p.Line <= len(r.lines) {
		p.Excerpt, p.Caret = excerpt(r.lines[p.Line-1], p.Column)
	}
	return p
}

// firstToken is where a person would say that a node begins: a block mapping's own token is the colon after its first key.
func firstToken(n ast.Node) *token.Token {
	switch node := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if !node.IsFlowStyle && len(node.Values) > 0 {
			return node.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return node.Key.GetToken()
	}
	return n.GetToken()
}

// tooDeep finds the token at which more openings lie inside each other than depthMax. It is asked before the tree is built, which
// is recursive. Block mappings need no count: each level costs a column on every line, and a file is at most fileMax long.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, row := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			row++
		case token.StringType:
			if t.PreviousType() != token.AnchorType {
				row = 0
			}
		default:
			row = 0
		}
		if flow+row > depthMax {
			return t
		}
	}
	return nil
}
