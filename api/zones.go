package api

import (
	"net/http"

	"cenote/zone"
)

// Zones tells about the zones that are served with authority.
type Zones interface {
	// Status is how each of them stands.
	Status() []zone.Status
}

// ZonesAnswer is the answer of GET /v1/zones.
type ZonesAnswer struct {
	Zones []zone.Status `json:"zones"`
}

func (s *Server) zones(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, ZonesAnswer{Zones: listOf(s.config.Rooms.Zones.Status())})
}
