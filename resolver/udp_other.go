//go:build !linux

package resolver

import "syscall"

// ignorePathMTU does nothing where the kernel has no such option.
func ignorePathMTU(string, string, syscall.RawConn) error { return nil }
