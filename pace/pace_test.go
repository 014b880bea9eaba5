package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cenote/pace"
)

// TestWorkIsFollowedByRest: time that is spent working is followed by a rest, and little work by none.
func TestWorkIsFollowedByRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pace
		p.Look()
		rests := 0
		for range 100 {
			time.Sleep(50 * time.Microsecond) // the work
			before := time.Now()
			p.Look()
			if time.Since(before) > 0 {
				rests++
			}
		}
		if rests != 25 {
			t.Errorf("%d rests in 5 ms of work, want 25", rests)
		}
	})
}
