package pace_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"cenote/pace"

	"golang.org/x/sys/unix"
)

// niceOf is the nice value of a thread of this process.
func niceOf(tid int) (int, error) {
	ceiling, err := unix.Getpriority(unix.PRIO_PROCESS, tid) // the system call has it as 20 - nice
	return 20 - ceiling, err
}

// TestBehindGivesWay: the work has a thread of its own with less of the processor than others, whose results come back, and which serves nobody
// afterwards.
func TestBehindGivesWay(t *testing.T) {
	ordinary, err := niceOf(0)
	if err != nil {
		t.Fatal(err)
	}
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.GOMAXPROCS(0)
	type seen struct {
		tid, nice, processors int
		attr                  *unix.SchedAttr
	}
	failure := errors.New("of the work")
	var got seen
	err = pace.Behind(func() error {
		nice, err := niceOf(0)
		attr, attrErr := unix.SchedGetAttr(0, 0)
		got = seen{unix.Gettid(), nice, runtime.GOMAXPROCS(0), attr}
		return errors.Join(err, attrErr, failure)
	})
	if !errors.Is(err, failure) {
		t.Errorf("the error is %v, want that of the work", err)
	}
	if want := max(ordinary, 10); got.nice != want {
		t.Errorf("the work had nice value %d, want %d", got.nice, want)
	}
	if got.attr.Policy != unix.SCHED_BATCH {
		t.Errorf("the work had scheduling policy %d, want SCHED_BATCH", got.attr.Policy)
	}
	// Linux before 6.12 has one slice for all, and tells none.
	if got.attr.Runtime != 100_000 && own.Runtime != 0 {
		t.Errorf("the work had a slice of %d ns, want 100 us (others: %d)", got.attr.Runtime, own.Runtime)
	}
	if now := runtime.GOMAXPROCS(0); got.processors != before+1 || now != before {
		t.Errorf("Go had %d processors before the work, %d beside it and %d after it, want one more beside it", before, got.processors, now)
	}
	if got.tid == unix.Getpid() {
		return // the first thread of a process cannot end before it; Go lets it sleep for good
	}
	gone := fmt.Sprintf("/proc/self/task/%d", got.tid)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(gone); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("thread %d is still there", got.tid)
		}
	}
}

// TestLend: what holds a processor has one more beside it, on the thread where it was, and its result comes back.
func TestLend(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, thread, failure := runtime.GOMAXPROCS(0), unix.Gettid(), errors.New("of the call")
	err := pace.Lend(func() error {
		if now := runtime.GOMAXPROCS(0); now != before+1 || unix.Gettid() != thread {
			t.Errorf("Go has %d processors on thread %d, want %d on %d", now, unix.Gettid(), before+1, thread)
		}
		return failure
	})
	if now := runtime.GOMAXPROCS(0); !errors.Is(err, failure) || now != before {
		t.Errorf("afterwards Go has %d processors, want %d; error %v", now, before, err)
	}
}
