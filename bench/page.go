package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// The page keeps what stands outside of these lines; each part has its own two.
const (
	pageBegin = "<!-- Written by go run ./bench (%s); do not edit by hand. -->"
	pageEnd   = "<!-- End of what go run ./bench writes (%s). -->"
)

// writePage puts text between the two lines of a part of the page, which it makes if it is not there.
func writePage(path, part, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(replaceBetween(string(old), part, text)), 0o644)
}

func replaceBetween(page, part, text string) string {
	begin, end := fmt.Sprintf(pageBegin, part), fmt.Sprintf(pageEnd, part)
	section := begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end
	before, rest, found := strings.Cut(page, begin)
	if !found {
		return strings.TrimSpace(strings.TrimSpace(page)+"\n\n"+section) + "\n"
	}
	_, after, _ := strings.Cut(rest, end)
	return before + section + after
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// thousands writes a rate as 312,345.
func thousands(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func cores() int { return runtime.NumCPU() }

// commit is the short name of the commit, with a plus if files differ from it.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
