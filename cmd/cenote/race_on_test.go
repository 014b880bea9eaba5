//go:build race

package main

// raceEnabled says that the race detector is on: it makes work on many octets ten times as slow.
const raceEnabled = true
