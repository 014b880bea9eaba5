//go:build !amd64 && !arm64

package prefetch

import "unsafe"

// line does nothing: there is no instruction for it here.
func line(unsafe.Pointer) {}
