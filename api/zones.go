package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// Zones tells about the zones that are served with authority.
type Zones interface {
	// Status is how each of them stands.
	Status() []zone.Status
	// Difference compares two versions of a zone; nil stands for the one that is served as to, and for the one before to as from.
	Difference(apex dnsname.Name, from, to *uint32) (*zone.Difference, error)
	// State is a zone as it comes, or as it is served, signed.
	State(apex dnsname.Name, signed bool) (*zone.Zone, error)
	// Freeze keeps a zone as it is, or lets it change again.
	Freeze(apex dnsname.Name, frozen bool) error
	// Keys are those of the zones that are signed here.
	Keys() []zone.ZoneKeys
	// RollKeys begins to roll the keys of a zone, those of one role or all.
	RollKeys(apex dnsname.Name, role zone.Role) error
	// MarkDS says that the zone above has the DS record of a key, or has it no more.
	MarkDS(apex dnsname.Name, tag uint16, seen bool) error
}

// KeysAnswer is the answer of GET /v1/keys.
type KeysAnswer struct {
	Zones []zone.ZoneKeys `json:"zones"`
}

// RollRequest is the body of POST /v1/keys/roll.
type RollRequest struct {
	Zone string    `json:"zone"`
	Role zone.Role `json:"role,omitempty"` // csk, ksk or zsk; none stands for all
}

// DSRequest is the body of POST /v1/keys/ds: what somebody knows of the zone above.
type DSRequest struct {
	Zone string `json:"zone"`
	Tag  uint16 `json:"tag"`
	Seen bool   `json:"seen"` // whether the DS record is there, or gone
}

// Transfers asks the primaries of a zone.
type Transfers interface {
	// Transfer asks at once, and returns what came of it. force takes a serial that goes back, and a catalog that has lost most of its zones.
	Transfer(ctx context.Context, apex dnsname.Name, force bool) error
}

// TransferRequest is the body of POST /v1/zones/transfer.
type TransferRequest struct {
	Zone  string `json:"zone"`
	Force bool   `json:"force,omitempty"` // take a serial that goes back, and a catalog that has lost most of its zones
}

// ZonesAnswer is the answer of GET /v1/zones.
type ZonesAnswer struct {
	Zones []zone.Status `json:"zones"`
}

// FreezeRequest is the body of POST /v1/zones/freeze.
type FreezeRequest struct {
	Zone   string `json:"zone"`
	Frozen bool   `json:"frozen"` // false thaws it
}

func (s *Server) zones(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, ZonesAnswer{Zones: listOf(s.config.Rooms.Zones.Status())})
}

func (s *Server) zoneDiff(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	apex, err := dnsname.Parse(values.Get("zone"))
	from, fromErr := parseSerial(values.Get("from"))
	to, toErr := parseSerial(values.Get("to"))
	if err = errors.Join(err, fromErr, toErr); err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	answer, err := s.config.Rooms.Zones.Difference(apex, from, to)
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	reply(w, http.StatusOK, answer)
}

// dumpZone writes a zone as a master file.
func (s *Server) dumpZone(w http.ResponseWriter, r *http.Request) {
	apex, err := dnsname.Parse(r.FormValue("zone"))
	if err != nil {
		failWith(w, http.StatusBadRequest, fmt.Errorf("the parameter zone: %w", err), nil)
		return
	}
	z, err := s.config.Rooms.Zones.State(apex, r.FormValue("signed") == "true")
	if err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	w.Header().Set("Content-Type", "text/dns")
	w.Header().Set("Cache-Control", "no-store")
	if z.WriteMaster(w) != nil {
		panic(http.ErrAbortHandler) // so that the client does not take a part for the whole
	}
}

// parseSerial reads a serial; none is nil.
func parseSerial(text string) (*uint32, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%q is not a serial", text)
	}
	serial := uint32(n)
	return &serial, nil
}

func (s *Server) freeze(w http.ResponseWriter, r *http.Request) {
	var request FreezeRequest
	err := decodeBody(r, &request)
	apex, nameErr := dnsname.Parse(request.Zone)
	if err = errors.Join(err, nameErr); err != nil {
		failWith(w, http.StatusBadRequest, fmt.Errorf("the body does not say which zone to freeze or thaw: %w", err), nil)
		return
	}
	if err := s.config.Rooms.Zones.Freeze(apex, request.Frozen); err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	s.zones(w, r)
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
	err = s.config.Rooms.Transfers.Transfer(ctx, apex, request.Force)
	switch {
	case errors.Is(err, zone.ErrUnknown):
		failWith(w, http.StatusNotFound, err, nil)
	case err != nil:
		failWith(w, http.StatusBadGateway, err, nil)
	default:
		s.zones(w, r)
	}
}

func (s *Server) keys(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, KeysAnswer{Zones: listOf(s.config.Rooms.Zones.Keys())})
}

func (s *Server) rollKeys(w http.ResponseWriter, r *http.Request) {
	var request RollRequest
	err := decodeBody(r, &request)
	s.changeKeys(w, request.Zone, err, func(apex dnsname.Name) error { return s.config.Rooms.Zones.RollKeys(apex, request.Role) })
}

func (s *Server) markDS(w http.ResponseWriter, r *http.Request) {
	var request DSRequest
	err := decodeBody(r, &request)
	s.changeKeys(w, request.Zone, err, func(apex dnsname.Name) error { return s.config.Rooms.Zones.MarkDS(apex, request.Tag, request.Seen) })
}

// changeKeys does something with the keys of a zone, and answers with what they are then.
func (s *Server) changeKeys(w http.ResponseWriter, name string, err error, change func(dnsname.Name) error) {
	apex, nameErr := dnsname.Parse(name)
	if err = errors.Join(err, nameErr); err != nil {
		failWith(w, http.StatusBadRequest, fmt.Errorf("the body is not a request about keys: %w", err), nil)
		return
	}
	if err := change(apex.Canonical()); err != nil {
		failWith(w, http.StatusUnprocessableEntity, err, nil)
		return
	}
	s.keys(w, nil)
}
