package pace

// NetworkWaits is networkWaits.
var NetworkWaits = networkWaits

// Waiting has Look find that somebody waits, or that nobody does, until the test ends.
func Waiting(t interface{ Cleanup(func()) }, somebody bool) {
	before := someoneWaits
	someoneWaits = func() bool { return somebody }
	t.Cleanup(func() { someoneWaits = before })
}

// SyncElsewhere is syncElsewhere.
var SyncElsewhere = syncElsewhere
