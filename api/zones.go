package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// Zones tells about the zones that are served with authority.
type Zones interface {
	// Status is how each of them stands.
	Status() []zone.Status
}

// Transfers asks the primaries of a zone.
type Transfers interface {
	// Transfer asks at once, and returns what came of it.
	Transfer(ctx context.Context, apex dnsname.Name) error
}

// TransferRequest is the body of POST /v1/zones/transfer.
type TransferRequest struct {
	Zone string `json:"zone"`
}

// ZonesAnswer is the answer of GET /v1/zones.
type ZonesAnswer struct {
	Zones []zone.Status `json:"zones"`
}

func (s *Server) zones(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, ZonesAnswer{Zones: listOf(s.config.Rooms.Zones.Status())})
}

// transferTime is the longest that a client of the API waits for a transfer, which goes on without it.
const transferTime = 10 * time.Minute

func (s *Server) transfer(w http.ResponseWriter, r *http.Request) {
	var request TransferRequest
	err := decodeBody(r, &request)
	var apex dnsname.Name
	if err == nil {
		apex, err = dnsname.Parse(request.Zone)
	}
	if err != nil {
		failWith(w, http.StatusBadRequest, fmt.Errorf("the body is not a request for a transfer: %w", err), nil)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(transferTime + time.Minute))
	ctx, cancel := context.WithTimeout(r.Context(), transferTime)
	defer cancel()
	err = s.config.Rooms.Transfers.Transfer(ctx, apex)
	switch {
	case errors.Is(err, zone.ErrUnknown):
		failWith(w, http.StatusNotFound, err, nil)
	case err != nil:
		failWith(w, http.StatusBadGateway, err, nil)
	default:
		s.zones(w, r)
	}
}
