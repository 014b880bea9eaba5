package policy

// Explanation says what a policy decides about a name, and why.
type Explanation struct {
	Name       string            `json:"name"`
	Generation uint64            `json:"generation"`
	Winner     *Candidate        `json:"winner"` // nil: nothing decides, the truth is answered
	Clause     Clause            `json:"clause"` // why the winner won
	Zones      []ZoneExplanation `json:"zones"`  // those that hold the name, in order of precedence
	Unheld     []Candidate       `json:"unheld,omitempty"`
}

// ZoneExplanation is what one zone says about a name.
type ZoneExplanation struct {
	Zone       string      `json:"zone"`
	Position   int         `json:"position"` // in the order of zones, from 1
	LogOnly    bool        `json:"log_only,omitempty"`
	Observe    bool        `json:"observe,omitempty"`
	Candidates []Candidate `json:"candidates"` // in order of precedence
}

// Candidate is one member of a set that a name or one above it is listed with.
type Candidate struct {
	Zone       string  `json:"zone,omitempty"`
	Feed       string  `json:"feed"`
	FeedNumber uint16  `json:"feed_number"` // index into Manifest.Feeds
	Family     string  `json:"family,omitempty"`
	Threat     string  `json:"threat,omitempty"`
	Kind       Kind    `json:"kind"`
	Trigger    Trigger `json:"trigger"`
	Listed     string  `json:"listed"` // the listed name, escaped
	ListedName []byte  `json:"-"`      // the same in wire form
	Labels     uint8   `json:"labels"`
	Action     Action  `json:"action"`
	Exception  bool    `json:"exception,omitempty"`
	Status     Status  `json:"status"`
}

// Status is what became of a Candidate.
type Status uint8

// Clause is the clause of precedence that decided.
type Clause uint8
