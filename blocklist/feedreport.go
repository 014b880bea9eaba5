package blocklist

import (
	"fmt"
	"time"
)

// FeedReport is what the kept copy of a feed knows about itself. Always
// Parsed = Live + Refused + Held + Duplicates.Count + Crowded.Count.
type FeedReport struct {
	// Report is that of ReadFeed, but for Live, which here is without Duplicates and Crowded: the entries that are served.
	Report
	// Names is how many different names the live entries have.
	Names int `json:"names"`
	// EmptyNonTerminals is how many names were added for an RPZ source because others lie below them; they are not in Live.
	EmptyNonTerminals int `json:"empty_non_terminals,omitempty"`
	// Duplicates are the rows that repeat name, kind and family of an earlier one. Its latest expiry is kept.
	Duplicates FaultCount `json:"duplicates"`
	// Crowded are the rows that a name had above membersMax of one feed.
	Crowded FaultCount `json:"crowded"`
	// FamilyEntries counts live entries by family, "" for those without. Only the first familiesListedMax families that the feed
	// names are listed; the entries of the others are in FamilyEntriesUnlisted.
	FamilyEntries         map[string]int `json:"family_entries,omitempty"`
	FamilyEntriesUnlisted int            `json:"family_entries_unlisted,omitempty"`
	// LabelsDropped counts rows whose family or threat was left out because the feed has more than labelsMax different ones.
	LabelsDropped int `json:"labels_dropped,omitempty"`
	// Source is the state of the source that was read.
	Source SourceState `json:"source"`
}

// SourceState is which state of a source a kept copy was made from.
type SourceState struct {
	Stamp       Stamp     `json:"stamp"`
	Fingerprint string    `json:"fingerprint"` // of the feed's configuration and of the version of the rows file
	Read        time.Time `json:"read"`
	Shown       string    `json:"shown,omitempty"` // what the source is called for people: its path, or its URL without keys
	Ahead       bool      `json:"ahead,omitempty"` // the copy is of a newer version of a policy zone than the list with the stamp, which will follow
}

// reconcile returns an error unless every parsed row is accounted for.
func (r *FeedReport) reconcile() error {
	sum := r.Live + r.Refused + r.Held + r.Duplicates.Count + r.Crowded.Count
	faults := 0
	for _, f := range r.Faults {
		faults += f.Count
	}
	if sum != r.Parsed || faults != r.Refused+r.Held {
		return fmt.Errorf("rows do not add up: parsed %d, live %d, refused %d, held %d, duplicates %d, crowded %d, faults by reason %d",
			r.Parsed, r.Live, r.Refused, r.Held, r.Duplicates.Count, r.Crowded.Count, faults)
	}
	return nil
}
