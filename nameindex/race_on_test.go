//go:build race

package nameindex_test

// raceEnabled says that the race detector is on: it makes work on much data ten times as slow.
const raceEnabled = true
