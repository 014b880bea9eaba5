//go:build race

package blocklist_test

// raceEnabled says that the race detector is on: it makes reading ten times as slow and needs memory of its own.
const raceEnabled = true
