package config

import (
	"fmt"
	"strings"
	"unicode"
)

// Place is where in a file something was found.
type Place struct {
	File    string `json:"file"`
	Line    int    `json:"line"`    // from 1; 0 where the file has no such place
	Column  int    `json:"column"`  // from 1, in characters
	Key     string `json:"key"`     // such as feeds[2].path; empty where the fault is that of the whole file
	Excerpt string `json:"excerpt"` // the line, with what a terminal could take for a command escaped
	Caret   int    `json:"caret"`   // characters of Excerpt before the place
}

// Fault is one thing wrong with a file. A file with a fault is not used.
type Fault struct {
	Place
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"` // the next move
}

// Warning is one thing that is allowed and probably not meant.
type Warning struct {
	Place
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Faults are all that is wrong with a file, in its order. As an error it prints them all.
type Faults []Fault

// Warnings are all that is doubtful in a file, in its order.
type Warnings []Warning

// Error prints every fault with its place, its line of the file and a hint.
func (f Faults) Error() string {
	blocks := make([]string, len(f))
	for i := range f {
		blocks[i] = f[i].String()
	}
	return strings.Join(blocks, "\n")
}

// String prints the fault as file:line:column: key: text, with the line, a caret and the hint below.
func (f Fault) String() string { return show(f.Place, "", f.Text, f.Hint) }

// String prints the warning as a fault is printed, marked as a warning.
func (w Warning) String() string { return show(w.Place, "warning: ", w.Text, w.Hint) }

// show prints `file:line:column: mark key: text`, and below it the excerpt, a caret and the hint.
func show(p Place, mark, text, hint string) string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + mark)
	if key := shownKey(p.Key); key != "" && !strings.HasPrefix(text, key+": ") {
		b.WriteString(key + ": ")
	}
	b.WriteString(text)
	if p.Excerpt != "" {
		fmt.Fprintf(&b, "\n    %s\n    %s^", p.Excerpt, strings.Repeat(" ", p.Caret))
	}
	if hint != "" {
		b.WriteString("\n    hint: " + hint)
	}
	return b.String()
}

// shownKey is a key as a message shows it: whole, escaped, and not longer than a line.
func shownKey(key string) string {
	runes := []rune(key)
	if len(runes) > excerptMax {
		return printable(runes[:excerptMax]) + "…"
	}
	return printable(runes)
}

// excerptMax is how many characters of a line an excerpt shows.
const excerptMax = 120

// excerpt cuts a line to what a terminal shows around the column, without keys, and tells how many characters lie before the column.
func excerpt(line string, column int) (text string, caret int) {
	runes := []rune(withoutKeys(line))
	at := min(max(column-1, 0), len(runes))
	from := 0
	if at > excerptMax-20 {
		from = at - excerptMax/2
	}
	to := min(len(runes), from+excerptMax)
	before, after := printable(runes[from:at]), printable(runes[at:to])
	if from > 0 {
		before = "…" + before
	}
	if to < len(runes) {
		after += "…"
	}
	return before + after, len([]rune(before))
}

// printable escapes what a terminal could take for a command.
func printable(runes []rune) string {
	var b strings.Builder
	for _, r := range runes {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// quoted is text from a file as a message shows it: escaped, and not longer than a line.
func quoted(s string) string {
	runes := []rune(withoutKeys(s))
	if len(runes) > 60 {
		return `"` + printable(runes[:60]) + `…"`
	}
	return `"` + printable(runes) + `"`
}
