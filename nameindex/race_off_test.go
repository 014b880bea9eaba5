//go:build !race

package nameindex_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
