package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// Question is what GET /v1/explain is asked: a name, and optionally for whom; or the reference from the text of an extended error.
type Question struct {
	Name      dnsname.Name // canonical; zero where Reference is given
	Reference string
	Client    netip.Addr // the zero value where it does not matter
}

// Explanation is the answer of GET /v1/explain: what the policy decides, with where each candidate stands in its feed.
type Explanation struct {
	policy.Explanation
	// Places are where the candidates were read, in the order in which Zones lists them, then Unheld.
	Places []Place `json:"places"`
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
var errQuestion = errors.New("explain needs either name or reference")

func parseQuestion(r *http.Request) (Question, error) {
	values := r.URL.Query()
	q := Question{Reference: values.Get("reference")}
	name := values.Get("name")
	if (name == "") == (q.Reference == "") {
		return q, errQuestion
	}
	if name != "" {
		n, err := dnsname.Parse(name)
		if err != nil {
			return q, err
		}
		q.Name = n.Canonical()
	}
	if text := values.Get("client"); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return q, fmt.Errorf("client: %w", err)
		}
		q.Client = addr.Unmap()
	}
	return q, nil
}
