package resolver

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"cenote/dnsname"
)

// hintsMax bounds a file of hints, in lines.
const hintsMax = 10_000

// ReadHints reads the servers of the root from lines as zone files have them (named.root): ". TTL NS SERVER" and "SERVER TTL A ADDRESS". TTL and class may
// be missing, comments begin with ";". Errors have path and line.
func ReadHints(text io.Reader, path string) ([]Hint, error) {
	h := hintReader{addrs: map[dnsname.Name][]netip.Addr{}}
	lines := bufio.NewScanner(text)
	for n := 1; lines.Scan(); n++ {
		if n > hintsMax {
			return nil, fmt.Errorf("%s:%d: more lines than any list of root servers has", path, n)
		}
		if err := h.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h.hints(path)
}

type hintReader struct {
	servers []dnsname.Name
	addrs   map[dnsname.Name][]netip.Addr
}

func (h *hintReader) line(text string) error {
	text, _, _ = strings.Cut(text, ";")
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	if len(words) < 3 {
		return fmt.Errorf("%q is no record: want NAME TTL TYPE DATA", text)
	}
	owner, err := dnsname.Parse(words[0])
	if err != nil {
		return err
	}
	rtype, data := strings.ToUpper(words[len(words)-2]), words[len(words)-1]
	switch rtype {
	case "NS":
		server, err := dnsname.Parse(data)
		if err != nil || !owner.IsRoot() {
			return fmt.Errorf("%q: want a server of the root", text)
		}
		h.servers = append(h.servers, server.Canonical())
	case "A", "AAAA":
		addr, err := netip.ParseAddr(data)
		if err != nil || addr.Is4() != (rtype == "A") {
			return fmt.Errorf("%q is no address of that type", data)
		}
		h.addrs[owner.Canonical()] = append(h.addrs[owner.Canonical()], addr)
	default:
		return fmt.Errorf("a record of type %s: want NS, A and AAAA alone", rtype)
	}
	return nil
}

func (h *hintReader) hints(path string) ([]Hint, error) {
	var hints []Hint
	for _, name := range h.servers {
		if addrs := h.addrs[name]; len(addrs) > 0 {
			hints = append(hints, Hint{Name: name, Addrs: addrs})
		}
	}
	if len(hints) == 0 {
		return nil, fmt.Errorf("%s: no server of the root with an address; want lines as in https://www.internic.net/domain/named.root", path)
	}
	return hints, nil
}
