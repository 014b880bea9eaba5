package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cenote/pace"
)

// rests is how often a goroutine rests in 5 ms of work.
func rests(t *testing.T, work time.Duration) (n int) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.Pace{Work: work}
		p.Look()
		for range 100 {
			time.Sleep(50 * time.Microsecond) // the work
			before := time.Now()
			p.Look()
			if time.Since(before) > 0 {
				n++
			}
		}
	})
	return n
}

// TestWorkIsFollowedByRest: time that is spent working is followed by a rest if somebody waits, and little work by none.
func TestWorkIsFollowedByRest(t *testing.T) {
	pace.Waiting(t, true)
	for work, want := range map[time.Duration]int{0: 25, 50 * time.Microsecond: 100, time.Millisecond: 5} {
		if n := rests(t, work); n != want {
			t.Errorf("%d rests in 5 ms of work, where each is to come after %v, want %d", n, work, want)
		}
	}
}

// TestNobodyRestsForNobody: where nothing has come, work goes on.
func TestNobodyRestsForNobody(t *testing.T) {
	pace.Waiting(t, false)
	if n := rests(t, 0); n != 0 {
		t.Errorf("%d rests, though nobody waited", n)
	}
}
