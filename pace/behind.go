package pace

import (
	"runtime"
	"sync"
)

// Behind runs f on a thread of its own that gives way to those which answer queries, and waits for its end. It is for work of many
// milliseconds with calls of the system, beside which a Pace alone does not help: Go's scheduler takes a processor back from a thread
// that waits for the disk only after 10 ms, and to the system all threads of a process are equal. So Go gets one processor (GOMAXPROCS)
// more meanwhile.
func Behind(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()   // for good: the thread must not serve others afterwards, and ends with its goroutine
		_ = GiveWay(0, niceness) // a thread that is refused works all the same
		addProcessors(1)
		err := f()
		addProcessors(-1)
		done <- err
	}()
	return <-done
}

// Lend runs f where it is, with one processor more for Go meanwhile: for a call of the system that keeps the one it has, as the start of a process does until that
// runs a program of its own.
func Lend(f func() error) error {
	addProcessors(1)
	defer addProcessors(-1)
	return f()
}

// niceness is the nice value of a thread of Behind: to one of ordinary priority that wants the processor too it leaves nine tenths.
const niceness = 10

// processors guards GOMAXPROCS.
var processors sync.Mutex

func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}
