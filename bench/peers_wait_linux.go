package main

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// waitSockets waits until a socket is ready, or the time is over, which is kept to some ten microseconds.
func waitSockets(fds []unix.PollFd, limit time.Duration) error {
	ts := unix.NsecToTimespec(int64(limit))
	if _, err := unix.Ppoll(fds, &ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}
