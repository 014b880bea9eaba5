package pace

import (
	"time"

	"golang.org/x/sys/unix"
)

// Ran is the processor time that a process has used, with that of threads that have ended, exact to the nanosecond.
func Ran(pid int) (time.Duration, error) {
	const scheduled = 2 // of the clocks of a process, the one that counts all its time; clock_getcpuclockid(3) makes the number so
	var ts unix.Timespec
	err := unix.ClockGettime(^int32(pid)<<3|scheduled, &ts)
	return time.Duration(ts.Nano()), err
}
