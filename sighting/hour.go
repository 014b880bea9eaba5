package sighting

import "time"

// Times inside the ledger are microseconds: an hour since the epoch and an offset in it, which fits in 32 bits.
const (
	hourMicros  = uint64(time.Hour / time.Microsecond)
	hoursPerDay = 24
)

// split cuts a time in nanoseconds since the epoch into its hour and the microseconds in it.
func split(ns int64) (hour, at uint32) {
	us := uint64(max(ns, 0)) / 1000
	return uint32(us / hourMicros), uint32(us % hourMicros)
}

// joinTime is the inverse of split, to the microsecond.
func joinTime(hour, at uint32) time.Time {
	return time.UnixMicro(int64(uint64(hour)*hourMicros + uint64(at))).UTC()
}

func hourOf(t time.Time) uint32 {
	h, _ := split(t.UnixNano())
	return h
}

func hourTime(hour uint32) time.Time { return joinTime(hour, 0) }

// dayName is how the file of a day is called: the UTC date.
func dayName(day uint32) string { return hourTime(day * hoursPerDay).Format(time.DateOnly) }

func parseDay(s string) (day uint32, ok bool) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Unix() < 0 {
		return 0, false
	}
	return hourOf(t) / hoursPerDay, true
}
