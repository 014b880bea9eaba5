//go:build !linux

package pace

import (
	"errors"
	"time"
)

// Ran is an error on systems that do not tell it so.
func Ran(pid int) (time.Duration, error) { return 0, errors.ErrUnsupported }
