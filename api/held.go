package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"cenote/blocklist"
)

// Reviewer knows the rows that wait for an operator, and takes decisions about them.
type Reviewer interface {
	// Held lists the rows and the decisions that a filter lets through. An error says that it asks for what there is not.
	Held(HeldFilter) (HeldAnswer, error)
	// Decide stores a decision and puts it in force. The answer says what came of the feeds, also beside an error.
	Decide(context.Context, blocklist.Decision) (blocklist.DecideReport, error)
}

// HeldFilter chooses rows and decisions. Fields that are empty let all through.
type HeldFilter struct {
	Feed, Name string
	Reason     string // of rows
	State      string // of rows
}

// HeldAnswer is the answer of GET /v1/held.
type HeldAnswer struct {
	Held      []blocklist.Held     `json:"held"`
	Unlisted  int                  `json:"unlisted,omitempty"` // further rows, of feeds that have more than are listed; no filter counts here
	Decisions []blocklist.Decision `json:"decisions"`
}

// DecideRequest is the body of POST /v1/held.
type DecideRequest struct {
	// Verdict is release, refuse or forget. Name is a name, address or network. Feed may be empty: then all feeds are meant that hold the name.
	Verdict string `json:"verdict"`
	Name    string `json:"name"`
	Feed    string `json:"feed,omitempty"`
	Why     string `json:"why"`
	// Who is for whom somebody asks, if that is another than the user who does.
	Who string `json:"who,omitempty"`
}

// decision is the request as the publisher takes it.
func (q *DecideRequest) decision(ctx context.Context) (blocklist.Decision, error) {
	out := blocklist.Decision{Feed: q.Feed, Name: q.Name, Verdict: blocklist.Verdict(q.Verdict), Why: q.Why, Who: who(ctx, q.Who)}
	switch q.Verdict {
	case "release", "refuse":
	case "forget":
		out.Verdict = blocklist.VerdictForget
	default:
		return out, fmt.Errorf("unknown verdict %q; there are release, refuse and forget", q.Verdict)
	}
	return out, nil
}

func (s *Server) held(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	filter := HeldFilter{Feed: v.Get("feed"), Reason: v.Get("reason"), State: v.Get("state")}
	if text := v.Get("name"); text != "" {
		var err error
		if filter.Name, err = blocklist.DecisionName(text); err != nil {
			failWith(w, http.StatusBadRequest, err, nil)
			return
		}
	}
	err := errors.Join(oneOf("reason", filter.Reason, heldReasons()), oneOf("state", filter.State, heldStates()))
	var answer HeldAnswer
	if err == nil {
		answer, err = s.config.Rooms.Reviewer.Held(filter)
	}
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer.Held, answer.Decisions = listOf(answer.Held), listOf(answer.Decisions)
	reply(w, http.StatusOK, answer)
}

// heldReasons are the reasons for which rows are held.
func heldReasons() []string {
	return []string{blocklist.ReasonHeldPopular.String(), blocklist.ReasonHeld.String(), blocklist.ReasonHeldNetwork.String()}
}

// heldStates are the states of rows that are listed.
func heldStates() []string {
	return []string{string(blocklist.StateHeld), string(blocklist.StateLogOnly), string(blocklist.StateServed)}
}

func (s *Server) decide(w http.ResponseWriter, r *http.Request) {
	var request DecideRequest
	from := json.NewDecoder(r.Body)
	from.DisallowUnknownFields()
	if err := from.Decode(&request); err != nil {
		failWith(w, http.StatusBadRequest, errors.New("the body is not a decision: "+err.Error()), nil)
		return
	}
	decision, err := request.decision(r.Context())
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := s.config.Rooms.Reviewer.Decide(r.Context(), decision)
	answer.Decisions, answer.Reload.Feeds = listOf(answer.Decisions), listOf(answer.Reload.Feeds)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, answer)
		return
	}
	reply(w, http.StatusOK, answer)
}
