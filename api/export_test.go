package api

import (
	"net/http"
	"time"
)

// BoundWrites is boundWrites.
func BoundWrites(limit time.Duration, next http.Handler) http.Handler {
	return boundWrites(limit, next)
}
