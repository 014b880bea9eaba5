//go:build !race

package querylog_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
