//go:build !linux

package pace

// turnPoller is for systems whose poller cannot be told something by ourselves.
type turnPoller struct{}

func newTurnPoller() turnPoller { return turnPoller{} }

func (*turnPoller) wait() bool { return false }

func (*turnPoller) close() {}
