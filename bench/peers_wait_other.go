//go:build !linux

package main

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// waitSockets waits until a socket is ready, or the time is over, in whole milliseconds.
func waitSockets(fds []unix.PollFd, limit time.Duration) error {
	if _, err := unix.Poll(fds, int(limit/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}
