package blocklist

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Bounds of the lists of protected and popular names.
const (
	protectListMax    = 64 << 20  // octets of one file
	protectEntriesMax = 5_000_000 // names and networks of all of them
	protectListsMax   = 1000      // files
)

// lists adds the files of protected names and networks.
func (b *protectionBuilder) lists(c *Protection) error {
	if n := len(c.files()); n > protectListsMax {
		return fmt.Errorf("%d lists of protected and popular names are more than %d", n, protectListsMax)
	}
	for _, path := range c.Lists {
		b.source(filepath.Base(path))
		if err := b.list(path, b.protectLine, b.protectEntry); err != nil {
			return &SourceError{File: path, Err: fmt.Errorf("%w: %w", ErrProtected, err)}
		}
	}
	return nil
}

// populars adds the files of popular names.
func (b *protectionBuilder) populars(c *Protection) error {
	for _, path := range c.Popular.Lists {
		b.source(filepath.Base(path))
		if err := b.list(path, b.popularLine, b.popularEntry); err != nil {
			return &SourceError{File: path, Err: fmt.Errorf("%w: %w", ErrPopular, err)}
		}
	}
	return nil
}

// list reads a file, line by line or entry by entry of its JSON, and wants something in it: a guard that an empty file could take away would be none.
func (b *protectionBuilder) list(path string, line func(*listLine) error, entry func(string)) error {
	body, err := readList(path)
	if err != nil {
		return err
	}
	before := b.entries
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	if trimmed := trim(body); len(trimmed) > 0 && trimmed[0] == '{' {
		err = b.warninglist(trimmed, entry)
	} else {
		err = b.lines(body, line)
	}
	switch {
	case err != nil:
		return err
	case b.entries > protectEntriesMax:
		return fmt.Errorf("with it there are more than %d names and networks", protectEntriesMax)
	case b.entries == before:
		return fmt.Errorf("it holds nothing that can be used; look whether it is the right file")
	}
	return nil
}

// readList reads a file whole.
func readList(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold us up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > protectListMax {
		return nil, fmt.Errorf("it is not a file of at most %d octets", protectListMax)
	}
	return io.ReadAll(io.LimitReader(f, protectListMax))
}

// warninglist reads a warninglist of MISP.
func (b *protectionBuilder) warninglist(body []byte, entry func(string)) error {
	var list struct {
		Type string   `json:"type"`
		List []string `json:"list"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("it begins like a warninglist of MISP and is none: %w", err)
	}
	switch list.Type {
	case "string", "hostname", "cidr":
	default:
		return fmt.Errorf("it is a warninglist of type %q, and those of type string, hostname and cidr are taken: "+
			"a part of a text or a pattern would protect names that nobody listed; remove it, or write the names that are meant into a file, one a line",
			printable([]byte(list.Type), faultTextMax))
	}
	for _, text := range list.List {
		entry(text)
	}
	return nil
}

// listLine is a line of a list, without blanks at its ends. Lines that are empty or remarks do not come.
type listLine struct {
	number int
	text   []byte
}

func (b *protectionBuilder) lines(body []byte, take func(*listLine) error) error {
	l := listLine{}
	for len(body) > 0 {
		l.number++
		l.text, body, _ = bytes.Cut(body, []byte("\n"))
		if l.text = trim(l.text); len(l.text) == 0 || l.text[0] == '#' {
			continue
		}
		if err := take(&l); err != nil {
			return err
		}
	}
	return nil
}

// protectLine takes a name or a network, and perhaps a remark behind it, after "#" or ";".
func (b *protectionBuilder) protectLine(l *listLine) error {
	text := l.text
	if i := bytes.IndexAny(text, "#;"); i >= 0 {
		text = trim(text[:i])
	}
	if !b.protectText(string(text)) {
		return fmt.Errorf("line %d is neither a name nor a network: %s", l.number, printable(l.text, faultTextMax))
	}
	return nil
}

// protectEntry takes an entry of a warninglist. Many have hashes and addresses of pages beside names, which say nothing here.
func (b *protectionBuilder) protectEntry(text string) { b.protectText(text) }

func (b *protectionBuilder) protectText(text string) bool {
	if prefix, ok := parseAddress([]byte(text)); ok {
		b.entries++
		b.networks.add(prefix, b.lastSource())
		return true
	}
	return b.protect(text)
}

// popularLine takes a name, with a rank before or behind it. The first line may be a header; what else is no name is left out: such lists are made of
// what is asked for, which is not always a name that a feed can have.
func (b *protectionBuilder) popularLine(l *listLine) error {
	rank, name := 0, []byte(nil)
	for rest := l.text; len(rest) > 0; {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte(","))
		field = bytes.Trim(field, "\" \t")
		if n, err := strconv.ParseUint(string(field), 10, 32); err == nil {
			rank = cmp.Or(rank, int(n))
		} else if name == nil {
			name = field
		}
	}
	if l.number == 1 && rank == 0 && bytes.IndexByte(name, '.') < 0 {
		return nil
	}
	b.addPopular(name, rank)
	return nil
}

// popularEntry takes a name of a warninglist, which has no ranks.
func (b *protectionBuilder) popularEntry(text string) { b.addPopular([]byte(text), 0) }

// addPopular adds a name unless its rank is too far down. Of several ranks it has the best.
func (b *protectionBuilder) addPopular(text []byte, rank int) {
	name, _, why := b.parser.host(text)
	if why != ReasonNone {
		return
	}
	b.entries++
	if b.hold > 0 && rank > b.hold {
		return
	}
	if had, ok := b.popular[string(name)]; ok && had.rank <= uint32(rank) {
		return
	}
	b.popular[string(name)] = popularName{uint32(rank), b.lastSource()}
}
