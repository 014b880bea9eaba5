//go:build !race

package blocklist_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
