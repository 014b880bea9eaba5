package zone

import (
	"fmt"
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
