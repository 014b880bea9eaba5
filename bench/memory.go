package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what a process has of the machine's memory, in octets.
type memory struct {
	rss  float64
	peak float64 // since the process began, or since forgetPeak
}

const mib = 1 << 20

// memory reads how much the server has now, and had at most. What it was not given by the kernel yet, such as the empty part of its cache, is
// not in it, and neither is the child that compiles.
func (c *cenote) memory() (memory, error) {
	b, err := os.ReadFile(c.proc("status"))
	if err != nil {
		return memory{}, err
	}
	return parseStatus(string(b))
}

// forgetPeak makes the kernel count the peak from now on.
func (c *cenote) forgetPeak() error {
	const forget = "5" // proc(5), clear_refs
	return os.WriteFile(c.proc("clear_refs"), []byte(forget), 0)
}

func (c *cenote) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", c.cmd.Process.Pid, file) }

// parseStatus reads /proc/PID/status.
func parseStatus(text string) (m memory, err error) {
	found := 0
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		var field *float64
		switch key {
		case "VmRSS":
			field = &m.rss
		case "VmHWM":
			field = &m.peak
		default:
			continue
		}
		number := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB"))
		if *field, err = strconv.ParseFloat(number, 64); err != nil {
			return m, fmt.Errorf("%s of a process: %w", key, err)
		}
		*field *= 1024
		found++
	}
	if found < 2 {
		return m, fmt.Errorf("the kernel tells no VmRSS and VmHWM of the process: has it ended?")
	}
	return m, nil
}

// cacheCost is what answers took that came into the cache between two readings of the metrics, in octets.
type cacheCost struct {
	answers  float64
	used     float64 // by the cache's own count
	resident float64 // by what the process grew
}

func cacheCostBetween(before, after map[string]float64) cacheCost {
	diff := func(name string) float64 { return after[name] - before[name] }
	return cacheCost{diff("cenote_rrcache_entries"), diff("cenote_rrcache_used_bytes"), diff("process_resident_memory_bytes")}
}

// each is the cost of one answer. Without answers there is none.
func (c *cacheCost) each() (used, resident float64) {
	if !(c.answers > 0) {
		return 0, 0
	}
	return c.used / c.answers, c.resident / c.answers
}
