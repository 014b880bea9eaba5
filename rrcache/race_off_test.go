//go:build !race

package rrcache_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
