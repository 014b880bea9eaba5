package pace

import (
	"os"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// networkWaits asks the kernel for what Go's scheduler would find if it looked at the network now: the descriptor by which it waits for all others
// (epoll(7)) is itself one that can be asked. No goroutine that is started already is counted, and no clock.
func networkWaits() bool {
	asked := pollers() // a copy, for the kernel writes in it
	if asked.n == 0 {
		return true
	}
	var never unix.Timespec
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&asked.fds)), uintptr(asked.n), uintptr(unsafe.Pointer(&never)), 0, 0, 0)
	return errno != 0 || n > 0
}

// pollersMax is of how many epoll descriptors it is known that somebody waits there. Go has one; a library may have its own.
const pollersMax = 4

type pollerSet struct {
	fds [pollersMax]unix.PollFd
	n   int
}

// pollers are found once: Go keeps its own for as long as the process lives. Without /proc there are none.
var pollers = sync.OnceValue(func() (p pollerSet) {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return p
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if to, err := os.Readlink(dir + "/" + e.Name()); err == nil && to == "anon_inode:[eventpoll]" && p.n < pollersMax {
			p.fds[p.n] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
			p.n++
		}
	}
	return p
})
