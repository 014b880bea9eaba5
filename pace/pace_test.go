package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cenote/pace"
)

// TestWorkIsFollowedByRest: time that is spent working is followed by a rest, and little work by none.
func TestWorkIsFollowedByRest(t *testing.T) {
	for work, want := range map[time.Duration]int{0: 25, 50 * time.Microsecond: 100, time.Millisecond: 5} {
		synctest.Test(t, func(t *testing.T) {
			p := pace.Pace{Work: work}
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
			if rests != want {
				t.Errorf("%d rests in 5 ms of work, where each is to come after %v, want %d", rests, work, want)
			}
		})
	}
}
