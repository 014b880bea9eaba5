package api

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// Question is what GET /v1/explain is asked: a name, and optionally for whom and with which answer; or an address; or the reference from the text of
// an extended error.
type Question struct {
	Name      dnsname.Name // canonical; zero where Reference or Address is given
	Address   netip.Addr   // what is answered, or a name server has
	Server    dnsname.Name // a name server on the way; only a reference leads to one
	Reference string
	Client    netip.Addr   // the zero value where it does not matter
	Answers   []netip.Addr // addresses that Name is taken to have
	Type      uint16       // that is asked for; 0 is A
	Transport policy.Transport
	Key       dnsname.Name   // canonical, of the key by which the question is signed; zero is none
	Listener  netip.AddrPort // the address of this server that is asked; the zero value is none that a view names
	NoRD      bool           // the client asks for no recursion
	DO        bool           // it asks for signatures
	Resolve   bool           // the network is asked for what Name has
	Time      time.Time      // the zero value is now
}

// Explanation is the answer of GET /v1/explain: what the policy decides, with where each candidate stands in its feed.
type Explanation struct {
	policy.Explanation
	// Places are where the candidates were read, in the order in which Zones lists them, then Chain, then Unheld.
	Places []Place `json:"places"`
	// Held are the rows of the name that wait for an operator, in any feed, and Decisions what was decided of it.
	Held      []blocklist.Held     `json:"held,omitempty"`
	Decisions []blocklist.Decision `json:"decisions,omitempty"`
	// Refused are rows of the name that guards refuse for it, in any feed, as far as they are listed.
	Refused []blocklist.Held `json:"refused,omitempty"`
	// Effect is what the decision makes of the reply: "truth", "policy" (what the rule says), "truncated", "no-reply", or "failure" where not all name
	// servers are known and policy.ns_required wants them, or not all feeds are loaded and policy.servfail_until_ready wants them.
	Effect string `json:"effect,omitempty"`
	// Without is why there was no answer to look at, where one was looked for, and Partial that not all name servers on the way are known.
	Without string `json:"without,omitempty"`
	Partial bool   `json:"partial,omitempty"`
	// Lacks are the feeds that might decide and of which nothing has been loaded yet.
	Lacks []string `json:"lacks,omitempty"`
	// Answers are the addresses that the name has, or is taken to have.
	Answers []netip.Addr `json:"answers,omitempty"`
	// Compiled is when the policy was made.
	Compiled time.Time `json:"compiled,omitzero"`
}

// Place is where a feed lists a name.
type Place struct {
	Feed      string    `json:"feed"`
	Listed    string    `json:"listed"`
	Source    string    `json:"source,omitempty"` // of the feed: its path, or its URL without keys
	Copy      uint64    `json:"copy,omitempty"`   // the number of the kept copy that the row is in; see `cenote feeds history`
	File      string    `json:"file,omitempty"`
	Line      int       `json:"line,omitempty"`
	Serial    uint32    `json:"serial,omitempty"`    // of the policy zone (RPZ) that was read
	Reference string    `json:"reference,omitempty"` // what the feed gives as its source
	Comment   string    `json:"comment,omitempty"`
	Added     time.Time `json:"added,omitzero"`    // when this server first read the row
	Expires   time.Time `json:"expires,omitzero"`  // when the row ends
	Missing   string    `json:"missing,omitempty"` // why the place is not known
}

// errQuestion says what explain needs.
var errQuestion = errors.New("explain needs one of name, address and reference")

// ParseQuestion reads a Question from the parameters of GET /v1/explain.
func ParseQuestion(values url.Values) (q Question, err error) {
	q.Reference = values.Get("reference")
	given := 0
	for _, key := range []string{"name", "address", "reference"} {
		if values.Get(key) != "" {
			given++
		}
	}
	if given != 1 {
		return q, errQuestion
	}
	if name := values.Get("name"); name != "" {
		n, err := dnsname.Parse(name)
		if err != nil {
			return q, err
		}
		q.Name = n.Canonical()
	}
	if q.Address, err = addressOf(values.Get("address"), "address"); err != nil {
		return q, err
	}
	if q.Client, err = addressOf(values.Get("client"), "client"); err != nil {
		return q, err
	}
	for _, text := range values["answer"] {
		addr, err := addressOf(text, "answer")
		if err != nil {
			return q, err
		}
		q.Answers = append(q.Answers, addr)
	}
	if err := q.parseWay(values); err != nil {
		return q, err
	}
	if text := values.Get("time"); text != "" {
		if q.Time, err = time.Parse(time.RFC3339, text); err != nil {
			return q, fmt.Errorf("time: %w (it is written as 2006-01-02T15:04:05Z)", err)
		}
	}
	q.Resolve, err = boolOf(values, "resolve", false)
	return q, err
}

// parseWay reads how the question is asked.
func (q *Question) parseWay(values url.Values) (err error) {
	if text := values.Get("type"); text != "" {
		if q.Type, err = wire.ParseType(text); err != nil {
			return fmt.Errorf("type: %w", err)
		}
	}
	if text := values.Get("transport"); text != "" {
		if err := q.Transport.UnmarshalText([]byte(text)); err != nil || q.Transport > policy.TransportTLS {
			return fmt.Errorf("transport %q: nothing is served by it (there are udp, tcp and tls)", text)
		}
	}
	if text := values.Get("key"); text != "" {
		key, err := dnsname.Parse(text)
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		q.Key = key.Canonical()
	}
	if q.Listener, err = listenerOf(values.Get("listener")); err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	rd, err := boolOf(values, "rd", true)
	if err != nil {
		return err
	}
	q.NoRD = !rd
	q.DO, err = boolOf(values, "do", false)
	return err
}

// portDNS is the port of a listener that is given without one.
const portDNS = 53

// listenerOf reads an address with or without a port; no text is none.
func listenerOf(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), portDNS), nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return at, fmt.Errorf("%q is no address, with or without a port, such as 192.0.2.1 or [2001:db8::1]:53", text)
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// boolOf reads a parameter that is true or false.
func boolOf(values url.Values, key string, without bool) (bool, error) {
	text := values.Get(key)
	if text == "" {
		return without, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", key, err)
	}
	return v, nil
}

// addressOf reads an address; no text is none.
func addressOf(text, key string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, fmt.Errorf("%s: %q is no address: write one such as 192.0.2.7 or 2001:db8::7", key, text)
	}
	return addr.Unmap(), nil
}
