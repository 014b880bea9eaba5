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
	Resolve   bool         // the network is asked for what Name has
	Time      time.Time    // the zero value is now
}

// Explanation is the answer of GET /v1/explain: what the policy decides, with where each candidate stands in its feed.
type Explanation struct {
	policy.Explanation
	// Places are where the candidates were read, in the order in which Zones lists them, then Chain, then Unheld.
	Places []Place `json:"places"`
	// Held are the rows of the name that wait for an operator, in any feed, and Decisions what was decided of it.
	Held      []blocklist.Held     `json:"held,omitempty"`
	Decisions []blocklist.Decision `json:"decisions,omitempty"`
	// Answers are the addresses that the name has, or is taken to have.
	Answers []netip.Addr `json:"answers,omitempty"`
	// Compiled is when the policy was made.
	Compiled time.Time `json:"compiled,omitzero"`
}

// Place is where a feed lists a name.
type Place struct {
	Feed      string    `json:"feed"`
	Listed    string    `json:"listed"`
	File      string    `json:"file,omitempty"`
	Line      int       `json:"line,omitempty"`
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
	if text := values.Get("time"); text != "" {
		if q.Time, err = time.Parse(time.RFC3339, text); err != nil {
			return q, fmt.Errorf("time: %w (it is written as 2006-01-02T15:04:05Z)", err)
		}
	}
	if text := values.Get("resolve"); text != "" {
		if q.Resolve, err = strconv.ParseBool(text); err != nil {
			return q, fmt.Errorf("resolve: %w", err)
		}
	}
	return q, nil
}

// addressOf reads an address; no text is none.
func addressOf(text, key string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, fmt.Errorf("%s: %w", key, err)
	}
	return addr.Unmap(), nil
}
