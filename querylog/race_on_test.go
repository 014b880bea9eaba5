//go:build race

package querylog_test

// raceEnabled says that the race detector is on: it makes work on much data ten times as slow.
const raceEnabled = true
