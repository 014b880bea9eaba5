//go:build !linux

package pace

// GiveWay does nothing on systems where the priority of one thread cannot be set.
func GiveWay(thread, nice int) error { return nil }

// WhenIdle does nothing where GiveWay does not.
func WhenIdle(thread int) error { return nil }
