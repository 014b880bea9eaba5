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
func giveWay(hurry bool, processors []int) error {
	var faults []error
	done := make(map[int]bool)
	for {
		tasks := slices.DeleteFunc(ownThreads(), func(tid int) bool { return done[tid] })
		if len(tasks) == 0 && len(done) == 0 {
			return unix.Setpriority(unix.PRIO_PROCESS, 0, childNice)
		}
		if len(tasks) == 0 {
			return errors.Join(faults...)
		}
		for _, tid := range tasks {
			if err := errors.Join(giveWayThread(tid, hurry), stayOn(tid, processors)); err != nil && !errors.Is(err, unix.ESRCH) { // that has ended
				faults = append(faults, err)
			}
			done[tid] = true
		}
	}
}

// threadsNear is how far behind the number of the process those of its first threads are looked for.
const threadsNear = 4096

// ownThreads are the numbers of the threads of this process. They are asked for one by one, and found in /proc only where that does not find all: a look
// there leaves entries in the system's cache of names, and a system (Linux 6.18, and others before) whose threads of low priority have just ended takes
// those away one beside the other. While they wait for a processor, whoever waits for the end of the process spins on that very processor, up to minutes.
func ownThreads() (found []int) {
	pid := os.Getpid()
	count := threadCount()
	for tid := pid; tid < pid+threadsNear && len(found) < count; tid++ {
		if unix.Tgkill(pid, tid, 0) == nil {
			found = append(found, tid)
		}
	}
	if len(found) == count && count > 0 {
		return found
	}
	found = nil
	tasks, _ := filepath.Glob("/proc/self/task/*") // the pattern is right
	for _, task := range tasks {
		if tid, err := strconv.Atoi(filepath.Base(task)); err == nil {
			found = append(found, tid)
		}
	}
	return found
}

// threadCount is how many threads this process has; 0 where the system does not tell.
func threadCount() int {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range bytes.Lines(text) {
		if number, ok := bytes.CutPrefix(line, []byte("Threads:")); ok {
			n, _ := strconv.Atoi(string(bytes.TrimSpace(number)))
			return n
		}
	}
	return 0
}

// stayOn keeps a thread on some processors; none are all.
func stayOn(tid int, processors []int) error {
	if len(processors) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, number := range processors {
		set.Set(number)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("processors %v: %w", processors, err)
	}
	return nil
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
		w := starvation{pid: pid, span: c.config.Patience}
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			switch starved, err := w.look(); {
			case err != nil:
				return // there is nothing to go by
			case starved:
				end(errStarved)
				return
			}
		}
	})
	return func() {
		stop()
		ended.Wait()
	}
}

// starvation sees whether a process waits for a processor nearly all the time.
type starvation struct {
	pid  int
	span time.Duration // between two looks
	ran  time.Duration
	last processorTime // when it had hardly run the last time
}

// look reports whether the process starved in the last span. Only of one that hardly ran are the threads looked at, to tell whether they waited or
// slept: see ownThreads for what such a look costs in the end.
func (s *starvation) look() (bool, error) {
	ran, err := pace.Ran(s.pid)
	if err != nil {
		return false, err
	}
	little := ran-s.ran <= s.span*(100-starvedShare)/100
	s.ran = ran
	if !little {
		return false, nil
	}
	now, err := processorTimeOf(s.pid)
	if err != nil {
		return false, err
	}
	starved := now.since(s.last).starved(s.span)
	s.last = now
	return starved, nil
}

// starvedShare is which part of the time a process waits that starves, in per cent.
const starvedShare = 90

// processorTime is how long the threads of a process have run, and how long they were ready to and waited for a processor.
type processorTime struct{ ran, waited time.Duration }

func (t processorTime) since(last processorTime) processorTime {
	return processorTime{t.ran - last.ran, t.waited - last.waited}
}

// starved reports whether t, of a time span, is that of a process which hardly ever ran because others did. One that sleeps, or waits for a
// disk, is none.
func (t processorTime) starved(span time.Duration) bool {
	return t.waited >= span*starvedShare/100 && t.ran <= span*(100-starvedShare)/100
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
