package sighting

// Indicator is what a feed says of a listed name, as the ledger keeps it. Zone, Feed, Kind, Name and Family are its
// identity: they stay the same when the policy is compiled anew. The rest is where it was read when it was first seen.
type Indicator struct {
	Name       string `json:"indicator"`           // the listed name, in presentation form; empty where a client's matches are counted by family only
	Zone       string `json:"zone"`                // the policy zone that matched
	Feed       string `json:"feed"`                // the feed that lists the name
	Family     string `json:"family"`              // the malware family, empty if the feed has none
	Threat     string `json:"threat"`              // the threat type, empty if the feed has none
	Kind       string `json:"kind"`                // exact, below, subtree; family for a count by family
	File       string `json:"file,omitempty"`      // the file of the feed, and
	Line       int    `json:"line,omitempty"`      // the line in it; 0 if unknown
	Reference  string `json:"reference,omitempty"` // what the feed gives as its source
	Rule       string `json:"rule,omitempty"`      // the rule as the feed writes it
	Confidence int    `json:"confidence"`          // 0 to 100; -1 if the feed does not say
}

// Catalog tells what an event's rule stands for. Its method is called by several of the Store's goroutines, and may
// read files: no query waits for it.
type Catalog interface {
	// Indicator resolves e.Zone, e.Set, e.Member and the last e.Labels labels of e.Name in the policy of that
	// generation. Nothing else of e need be set. Of one member of a set, only File, Line, Reference and Rule may
	// differ from name to name. An error means that the generation is gone or the entry cannot be read; the match is then
	// recorded under what the event itself tells.
	Indicator(generation uint64, e *Event) (Indicator, error)
}
