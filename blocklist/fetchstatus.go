package blocklist

import (
	"fmt"
	"sync"
	"time"
)

// FetchOutcome is what came of a fetch.
type FetchOutcome uint8

// The outcomes. All but the first two are failures, after which the list that was fetched last stays.
const (
	FetchNew           FetchOutcome = iota // there is another list
	FetchUnchanged                         // the list is as it was
	FetchUnreachable                       // no such name, no connection, no trust in the certificate
	FetchRefused                           // an address or a redirect that we do not follow
	FetchStatusCode                        // the server has answered, but not with the list
	FetchTooLarge                          // more octets than the feed may have
	FetchTimedOut                          // not done within the feed's timeout
	FetchIncomplete                        // cut off, or not to be read
	FetchUnsigned                          // the signature is missing or wrong
	FetchMisconfigured                     // the feed's own files or settings
	FetchNotStored                         // the disk
	FetchOlder                             // the serial of a policy zone goes back
	fetchOutcomes
)

var fetchOutcomeNames = [fetchOutcomes]string{
	"new", "unchanged", "unreachable", "refused", "status", "too-large", "timed-out", "incomplete", "unsigned", "misconfigured", "not-stored", "older",
}

// String is the word in metrics.
func (o FetchOutcome) String() string {
	if o < fetchOutcomes {
		return fetchOutcomeNames[o]
	}
	return fmt.Sprintf("outcome-%d", uint8(o))
}

// FetchStatus is how the fetching of a feed stands.
type FetchStatus struct {
	// LastAttempt is when a fetch began last, LastSuccess when the server last gave the list, or said that it has not changed, also before a restart.
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	// NextAttempt is when the next one begins, unless a reload asks for it before.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Failures counts those since the last success, Error is why the last of them failed, ErrorSince when the first did.
	Failures   int       `json:"failures"`
	Error      string    `json:"error,omitempty"`
	ErrorSince time.Time `json:"error_since,omitzero"`
	// Bytes is how large the list is that was fetched last.
	Bytes int64 `json:"bytes"`
	// Collection is how a collection of TAXII stands; nil for a list.
	Collection *CollectionStatus `json:"collection,omitempty"`
	// Zone is how a policy zone that is taken from primaries stands; nil for a list.
	Zone *ZoneStatus `json:"zone,omitempty"`
}

// CollectionStatus is how far a collection of TAXII was followed.
type CollectionStatus struct {
	// Objects is how many of it are kept.
	Objects int `json:"objects"`
	// AddedAfter is the time, by the server's clock, from which new objects are asked for; zero where the next fetch reads all.
	AddedAfter time.Time `json:"added_after,omitzero"`
	// Resynced is when all of it was read last.
	Resynced time.Time `json:"resynced,omitzero"`
}

// collection is how the collection of a state stands; nil if it is of a list.
func (s *fetchedState) collection() *CollectionStatus {
	if s.Resynced.IsZero() {
		return nil
	}
	after, _ := cursorTime(s.AddedAfter)
	return &CollectionStatus{Objects: s.Objects, AddedAfter: after, Resynced: s.Resynced}
}

// fetchRecord is what is known and counted of the fetches of one feed, whatever its settings.
type fetchRecord struct {
	mu     sync.Mutex // guards what follows
	status FetchStatus
	counts [fetchOutcomes]uint64
	octets uint64

	whole, differences uint64 // transfers of a policy zone: all of it, or what has changed
}

func (r *fetchRecord) now() FetchStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// resume takes over what a former run left.
func (r *fetchRecord) resume(state fetchedState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.LastSuccess, r.status.Bytes, r.status.Collection, r.status.Zone = state.Fetched, state.Size, state.collection(), state.Zone
}

// schedule notes when the next fetch begins.
func (r *fetchRecord) schedule(next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.NextAttempt = next
}

// success notes a fetch that went well, and after how many failures.
func (r *fetchRecord) success(outcome FetchOutcome, began time.Time, state fetchedState) (failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failures = r.status.Failures
	r.counts[outcome]++
	r.status = FetchStatus{LastAttempt: began, LastSuccess: state.Fetched, Bytes: state.Size, Collection: state.collection(), Zone: state.Zone}
	return failures
}

// failure notes one that did not, and tells how many there are in a row, and whether this one is news.
func (r *fetchRecord) failure(outcome FetchOutcome, began time.Time, text string) (failures int, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[outcome]++
	news = r.status.Error != text
	if r.status.Failures++; r.status.Failures == 1 {
		r.status.ErrorSince = began
	}
	r.status.LastAttempt, r.status.Error = began, text
	return r.status.Failures, news
}

// transferred counts a look at primaries that went well.
func (r *fetchRecord) transferred(v *ZoneVersion) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.octets += uint64(v.Octets)
	switch {
	case v.Octets == 0:
	case v.Differences > 0:
		r.differences++
	default:
		r.whole++
	}
}

// received counts octets as they came.
func (r *fetchRecord) received(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.octets += uint64(n)
}
