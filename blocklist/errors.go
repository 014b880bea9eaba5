package blocklist

import (
	"errors"
	"fmt"
)

// What can be wrong with a feed as a whole. ReadFeed's errors wrap one of them in a *SourceError; each means that the last good copy stays.
var (
	ErrEmpty         = errors.New("it holds no rule that can be served")
	ErrHTML          = errors.New("it is a web page")
	ErrJSON          = errors.New("it is JSON of a shape that no format here has")
	ErrBadJSON       = errors.New("it is no sound JSON")
	ErrBinary        = errors.New("it is not text")
	ErrUnknownFormat = errors.New("its format cannot be told")
	ErrTruncated     = errors.New("it ends too early")
	ErrArchive       = errors.New("the archive is damaged")
	ErrTooLarge      = errors.New("it is larger than the limit")
	ErrTooManyFiles  = errors.New("it has more files than the limit")
	ErrTooManyRows   = errors.New("it has more rows than the limit")
	ErrChanged       = errors.New("it changed while it was read")
	ErrNoColumn      = errors.New("no column holds names")
	ErrZone          = errors.New("it is not a policy zone")
	ErrNoFile        = errors.New("no file of it matches")
	ErrBroken        = errors.New("too many of its rows cannot be read")
	ErrProtected     = errors.New("the list of protected names cannot be used")
	ErrPopular       = errors.New("the list of popular names cannot be used")
)

// SourceError says which file cannot be taken, why, and what an operator can do about it.
type SourceError struct {
	File string
	Err  error  // one of the Err values of this package, or wraps one
	Next string // the next move
}

// Error has the file, what is wrong with it and the next move.
func (e *SourceError) Error() string {
	if e.Next == "" {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s: %v; %s", e.File, e.Err, e.Next)
}

// Unwrap returns what is wrong.
func (e *SourceError) Unwrap() error { return e.Err }
