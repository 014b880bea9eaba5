//go:build !race

package sighting_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
