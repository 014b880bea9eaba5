package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// Path is a file or directory. A relative one in a file is taken from that file's directory.
type Path string

// Size is an amount of memory or disk in octets.
type Size int64

// Percent is a share, from 0 to 100.
type Percent float64

// Growth is how much more there may be, in percent of what there was.
type Growth float64

// Rate is a number of events a second.
type Rate float64

// Clock is a time of day in minutes since midnight; 24:00 is the end of the day.
type Clock int16

// minutesPerDay is the last Clock.
const minutesPerDay = 24 * 60

// ParseClock reads a time of day, such as 08:30.
func ParseClock(s string) (Clock, error) {
	hours, minutes, ok := strings.Cut(s, ":")
	h, err := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	at := Clock(60*h + m)
	if !ok || len(hours) != 2 || len(minutes) != 2 || err != nil || err2 != nil || m > 59 || at > minutesPerDay {
		return 0, fmt.Errorf("%q is not a time of day", s)
	}
	return at, nil
}

// String is the time as it is written.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// Mode is a file permission.
type Mode fs.FileMode

type unit[T any] struct {
	suffix string
	factor T
}

// sizeUnits are those of IEC 80000-13; the ones of 1000 are taken too, since disks are sold by them.
func sizeUnits() []unit[int64] {
	return []unit[int64]{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}, {"B", 1},
	}
}

// ParseSize reads a size with its unit, such as 512MiB.
func ParseSize(s string) (Size, error) {
	for _, u := range sizeUnits() {
		number, found := strings.CutSuffix(s, u.suffix)
		if !found {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(f >= 0) || f*float64(u.factor) >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is not a size", s)
		}
		return Size(f * float64(u.factor)), nil
	}
	return 0, fmt.Errorf("%q is not a size with its unit", s)
}

// String is the size in the largest unit that divides it.
func (s Size) String() string {
	units := sizeUnits()[:5]
	for i := len(units) - 1; i >= 0; i-- {
		if f := Size(units[i].factor); s >= f && s%f == 0 {
			return strconv.FormatInt(int64(s/f), 10) + units[i].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParsePercent reads a share, such as 12.5%.
func ParsePercent(s string) (Percent, error) {
	number, found := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !found || err != nil || !(f >= 0 && f <= 100) {
		return 0, fmt.Errorf("%q is not a share from 0%% to 100%%", s)
	}
	return Percent(f), nil
}

// String is the share with its sign.
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// Share is the percentage as a number from 0 to 1.
func (p Percent) Share() float64 { return float64(p) / 100 }

// growthMax is above every growth that a bound can be meant for.
const growthMax = 1e8

// ParseGrowth reads a growth, such as 300%.
func ParseGrowth(s string) (Growth, error) {
	number, found := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !found || err != nil || !(f >= 0 && f <= growthMax) {
		return 0, fmt.Errorf("%q is not a growth in percent", s)
	}
	return Growth(f), nil
}

// String is the growth with its sign.
func (g Growth) String() string { return strconv.FormatFloat(float64(g), 'f', -1, 64) + "%" }

// Share is the growth as a number; 1 is as much again.
func (g Growth) Share() float64 { return float64(g) / 100 }

// ParseRate reads a rate, such as 200/s or 30/m.
func ParseRate(s string) (Rate, error) {
	number, per, found := strings.Cut(s, "/")
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[per]
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !found || seconds == 0 || err != nil || !(f >= 0) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is not a rate", s)
	}
	return Rate(f / seconds), nil
}

// String is the rate by the second, or by the hour where it is less than one a second.
func (r Rate) String() string {
	if r < 1 && r > 0 {
		return strconv.FormatFloat(math.Round(float64(r)*3600), 'f', -1, 64) + "/h"
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
}

// ParseMode reads a permission in octal, such as 0660.
func ParseMode(s string) (Mode, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not a permission in octal", s)
	}
	return Mode(n), nil
}

// String is the permission in octal.
func (m Mode) String() string { return fmt.Sprintf("0%o", uint32(m)) }

var errDuration = errors.New("not a time span with its unit")

// ParseDuration reads a time span as the time package does, with d (24 hours) and w (7 days) as further units: 1w2d12h.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	var whole time.Duration
	rest := s
	for _, u := range []unit[time.Duration]{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, u.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/u.factor) || whole > math.MaxInt64-time.Duration(n)*u.factor {
			return 0, errDuration
		}
		whole += time.Duration(n) * u.factor
		rest = after
	}
	if rest == "" && s != "" {
		return whole, nil
	}
	part, err := time.ParseDuration(rest)
	if err != nil || part < 0 || whole > math.MaxInt64-part {
		return 0, errDuration
	}
	return whole + part, nil
}

// FormatDuration writes a time span as ParseDuration reads it, in its largest whole units: 2w, 36h as 1d12h.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if days := d / (24 * time.Hour); days > 0 {
		if days%7 == 0 {
			fmt.Fprintf(&b, "%dw", days/7)
		} else {
			fmt.Fprintf(&b, "%dd", days)
		}
		d %= 24 * time.Hour
	}
	if d > 0 {
		b.WriteString(trimZeroUnits(d.String()))
	}
	return b.String()
}

func trimZeroUnits(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
