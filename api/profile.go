package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// profileKinds are the profiles that can be taken: cpu says where the processor's time goes, heap what holds memory, allocs what was allocated
// since the start, goroutine what everything waits for.
func profileKinds() []string { return []string{profileCPU, "heap", "allocs", "goroutine"} }

const profileCPU = "cpu"

// profileSeconds is the length of a CPU profile, in seconds, unless another is asked for.
const profileSeconds = 10

// ProfileSecondsMax bounds the length of a CPU profile, in seconds.
const ProfileSecondsMax = 300

// profile answers with a profile in the form of pprof. Only the socket has it: whoever may write to the socket may have a profile taken, which
// costs queries a little.
func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	kind, length, err := parseProfile(r)
	if err != nil {
		failWith(w, http.StatusBadRequest, err, nil)
		return
	}
	var taken bytes.Buffer
	if kind == profileCPU {
		err = profileTime(&taken, length, r.Context().Done())
	} else {
		err = pprof.Lookup(kind).WriteTo(&taken, 0)
	}
	if err != nil {
		failWith(w, http.StatusServiceUnavailable, err, nil)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = taken.WriteTo(w) // a client that has gone needs no answer
}

func parseProfile(r *http.Request) (kind string, length time.Duration, err error) {
	kind, seconds := profileCPU, profileSeconds
	if text := r.FormValue("kind"); text != "" {
		kind = text
	}
	if kinds := profileKinds(); !slices.Contains(kinds, kind) {
		return "", 0, fmt.Errorf("kind %q is no profile; have one of %s", kind, strings.Join(kinds, ", "))
	}
	if text := r.FormValue("seconds"); text != "" {
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 1 || seconds > ProfileSecondsMax {
			return "", 0, fmt.Errorf("seconds %q: want 1 to %d", text, ProfileSecondsMax)
		}
	}
	return kind, time.Duration(seconds) * time.Second, nil
}

// profileTime takes a profile of the processor's time until length has passed, or nobody waits for it any more. There can be one at a time.
func profileTime(to *bytes.Buffer, length time.Duration, gone <-chan struct{}) error {
	if err := pprof.StartCPUProfile(to); err != nil {
		return errors.New("another CPU profile is being taken: try again after it")
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(length):
	case <-gone:
	}
	return nil
}
