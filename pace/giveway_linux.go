package pace

import "golang.org/x/sys/unix"

// giveWay makes the caller's thread give way: it has a nice value, and as SCHED_BATCH it interrupts no other (sched(7)). A kernel that refuses
// leaves it as it is.
func giveWay() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: niceness}, 0)
}
