package api

import (
	"encoding/json"
	"net/http"
)

// Problem is the body of every answer above 399.
type Problem struct {
	Message string `json:"error"`            // what went wrong and the next move
	Status  int    `json:"status"`           // the HTTP status
	Detail  any    `json:"detail,omitempty"` // what the room reports beside it
}

// Error returns the message as the command line shows it.
func (p *Problem) Error() string { return p.Message }

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone needs no answer
}

func fail(w http.ResponseWriter, status int, message string) {
	reply(w, status, &Problem{Message: message, Status: status})
}

func failWith(w http.ResponseWriter, status int, err error, detail any) {
	reply(w, status, &Problem{Message: err.Error(), Status: status, Detail: detail})
}
