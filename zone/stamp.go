package zone

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// stamp is the state of a file from the outside. Size and time of modification alone would miss a file that was replaced by one as long and as old.
type stamp struct {
	dev, inode uint64
	changed    int64 // the time of change (ctime), in nanoseconds
	size       int64
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.IsDir() {
		return stamp{}, fmt.Errorf("%s: no file", path)
	}
	return stamp{uint64(st.Dev), st.Ino, time.Unix(st.Ctim.Unix()).UnixNano(), info.Size()}, nil
}

// errMoving is that a file changed under the reader's hands.
var errMoving = errors.New("the file changed while it was read; it is read again when it rests")

// cutLooks is how often a file that may be cut is seen unchanged before it is read: with the default of Poll, for ten seconds.
const cutLooks = 20

// isCut reports whether a file does not end with the end of a line, as one does that is not written to its end. It cannot know of one that pauses between
// two lines: a file is replaced whole by a rename.
func isCut(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	end, err := f.Seek(-1, io.SeekEnd)
	var last [1]byte
	if err == nil {
		_, err = f.ReadAt(last[:], end)
	}
	return err == nil && last[0] != '\n'
}
