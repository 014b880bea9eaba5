package pace

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// slice is how long a thread that gives way goes on when another one wakes up meanwhile: the shortest there is.
const slice = 100 * time.Microsecond

// GiveWay makes a thread of this process give way to those of ordinary priority: it has the nice value, as SCHED_BATCH it interrupts no
// other, and its slice is short (sched_setattr(2); Linux before 6.12 has one slice for all). Thread 0 is the caller's. Threads that it
// starts later inherit all that. One that has a higher nice value keeps it. Where a kernel or container refuses the rest it gets the nice
// value alone.
func GiveWay(thread, nice int) error {
	if reversed, err := unix.Getpriority(unix.PRIO_PROCESS, thread); err == nil {
		nice = max(nice, 20-reversed) // getpriority(2): the system call has 20 - nice
	}
	err := unix.SchedSetAttr(thread, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: int32(nice), Runtime: uint64(slice.Nanoseconds()),
	}, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		err = unix.Setpriority(unix.PRIO_PROCESS, thread, nice)
	}
	return err
}

// WhenIdle makes a thread of this process run while no other wants the processor: as SCHED_IDLE (sched(7)). One of
// ordinary priority, of the same control group, that wakes up takes the processor from it at once. Where nothing else rests it gets three thousandths of the time, and
// without privileges it cannot be made a thread of another kind again. Thread 0 is the caller's. Threads that it starts later inherit that.
func WhenIdle(thread int) error {
	return errors.Join(
		unix.SchedSetAttr(thread, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0),
		unix.Setpriority(unix.PRIO_PROCESS, thread, 19)) // not what counts for such a thread, but what is shown
}
