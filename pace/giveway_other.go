//go:build !linux

package pace

// giveWay does nothing on systems where the priority of one thread cannot be set.
func giveWay() {}
