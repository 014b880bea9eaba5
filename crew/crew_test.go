package crew_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/crew"

	"go.uber.org/goleak"
)

func TestTasksAreDone(t *testing.T) {
	defer goleak.VerifyNone(t)
	var c crew.Crew
	var done atomic.Int32
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 1000 {
				c.Go(func() { done.Add(1) })
			}
		})
	}
	asking.Wait()
	c.End()
	if n := done.Load(); n != 8000 {
		t.Errorf("%d of 8000 tasks were done when End returned", n)
	}
}

// TestTasksWaitForNobody: a task begins while all others are held up.
func TestTasksWaitForNobody(t *testing.T) {
	defer goleak.VerifyNone(t)
	var c crew.Crew
	hold := make(chan struct{})
	var begun sync.WaitGroup
	for range 1000 {
		begun.Add(1)
		c.Go(func() { begun.Done(); <-hold })
	}
	begun.Wait()
	close(hold)
	c.End()
}

// TestGoroutinesStay: tasks that follow one another need one goroutine.
func TestGoroutinesStay(t *testing.T) {
	defer goleak.VerifyNone(t)
	var c crew.Crew
	defer c.End()
	before := runtime.NumGoroutine()
	for range 100 {
		done := make(chan struct{})
		c.Go(func() { close(done) })
		<-done
		for deadline := time.Now().Add(time.Minute); c.Resting() == 0; {
			if time.Now().After(deadline) {
				t.Fatal("the goroutine did not stay")
			}
			runtime.Gosched()
		}
	}
	if n := runtime.NumGoroutine() - before; n > 1 { // less, if one of another test has ended meanwhile
		t.Errorf("%d goroutines for tasks one after the other, want 1", n)
	}
}

// TestRestIsBounded: of many goroutines that are done at once some end.
func TestRestIsBounded(t *testing.T) {
	defer goleak.VerifyNone(t)
	var c crew.Crew
	defer c.End()
	before := runtime.NumGoroutine()
	hold := make(chan struct{})
	for range 2 * crew.RestMax {
		c.Go(func() { <-hold })
	}
	close(hold)
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine()-before > crew.RestMax || c.Resting() < crew.RestMax; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d that rest are left, want %d", runtime.NumGoroutine()-before, c.Resting(), crew.RestMax)
		}
		time.Sleep(time.Millisecond)
	}
}
