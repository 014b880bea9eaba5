package blocklist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"cenote/pace"

	"golang.org/x/sys/unix"
)

// giveWay lets every thread of this process, the child, run while nothing else wants the processor; in a hurry, a small part of the time beside
// others. That is a thread's, and one that is started inherits it: whoever was started by a thread before its turn is found by looking again.
func giveWay(hurry bool) error {
	var faults []error
	done := make(map[string]bool)
	for {
		tasks, err := filepath.Glob("/proc/self/task/*")
		if err != nil || len(tasks) == 0 {
			return unix.Setpriority(unix.PRIO_PROCESS, 0, childNice)
		}
		tasks = slices.DeleteFunc(tasks, func(task string) bool { return done[task] })
		if len(tasks) == 0 {
			return errors.Join(faults...)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err == nil {
				err = giveWayThread(tid, hurry)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) { // that has ended
				faults = append(faults, err)
			}
			done[task] = true
		}
	}
}

func giveWayThread(tid int, hurry bool) error {
	if !hurry {
		if err := pace.WhenIdle(tid); err == nil {
			return nil
		}
	}
	return pace.GiveWay(tid, childNice)
}

// watch ends a child that waits for a processor nearly all the time, until leave is called, which waits for the end of the watch.
func (c *child) watch(ctx context.Context, pid int, end context.CancelCauseFunc) (leave func()) {
	ctx, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(c.config.Patience)
		defer tick.Stop()
		for last := (processorTime{}); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now, err := processorTimeOf(pid)
			if err != nil {
				return // there is nothing to go by
			}
			if now.since(last).starved(c.config.Patience) {
				end(errStarved)
				return
			}
			last = now
		}
	})
	return func() {
		stop()
		ended.Wait()
	}
}

// processorTime is how long the threads of a process have run, and how long they were ready to and waited for a processor.
type processorTime struct{ ran, waited time.Duration }

func (t processorTime) since(last processorTime) processorTime {
	return processorTime{t.ran - last.ran, t.waited - last.waited}
}

// starved reports whether t, of a time span, is that of a process which hardly ever ran because others did. One that sleeps, or waits for a
// disk, is none.
func (t processorTime) starved(span time.Duration) bool {
	const most = 90 // per cent
	return t.waited >= span*most/100 && t.ran <= span*(100-most)/100
}

// processorTimeOf adds up the threads that a process has (Linux: scheduler/sched-stats, /proc/<pid>/schedstat, in nanoseconds).
func processorTimeOf(pid int) (sum processorTime, err error) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if len(files) == 0 {
		return sum, fmt.Errorf("process %d has ended, or its system does not tell", pid)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // that thread has ended
		}
		fields := bytes.Fields(text)
		if len(fields) < 2 {
			return sum, fmt.Errorf("%s holds %q, want two numbers", file, text)
		}
		ran, errRan := strconv.ParseInt(string(fields[0]), 10, 64)
		waited, errWaited := strconv.ParseInt(string(fields[1]), 10, 64)
		if err := errors.Join(errRan, errWaited); err != nil {
			return sum, err
		}
		sum.ran += time.Duration(ran)
		sum.waited += time.Duration(waited)
	}
	return sum, nil
}
