package dnsserver

import (
	"sync"

	"cenote/dnsname"
)

// updateWaits are the updates that wait to be made. The zero value has none; methods may be called by many at once.
type updateWaits struct {
	mu    sync.Mutex
	open  int
	byKey map[dnsname.Name]int
}

// enter takes a place for an update of a key, which leave gives back, or reports that it gets none: a key that has as many places as are free gets no more, so
// that no key takes those of the others. Alone it has half of all, and where several send as many as they can each has as much as is left.
func (u *updateWaits) enter(key dnsname.Name) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if free := updatesMax - u.open; u.byKey[key] >= free {
		return false
	}
	if u.byKey == nil {
		u.byKey = map[dnsname.Name]int{}
	}
	u.open++
	u.byKey[key]++
	return true
}

func (u *updateWaits) leave(key dnsname.Name) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open--
	if u.byKey[key]--; u.byKey[key] == 0 {
		delete(u.byKey, key)
	}
}
