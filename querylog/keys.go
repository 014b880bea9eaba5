package querylog

import (
	"sync"

	"cenote/dnsname"
)

// keyNames are the names of the keys that queries were signed with, numbered so that a Record, which has no pointers, can hold one. Names are never taken
// away: a key that a reload removes may still be in records that wait.
type keyNames struct {
	mu      sync.RWMutex
	numbers map[dnsname.Name]uint16 // guarded by mu
	names   []dnsname.Name          // guarded by mu; by number less one
}

// keysMax is how many names are numbered. Keys beyond it are written as none.
const keysMax = 1<<16 - 1

// number is the number of a name, which it gets with the first question for it; 0 for the zero name.
func (k *keyNames) number(name dnsname.Name) uint16 {
	if name.IsZero() {
		return 0
	}
	k.mu.RLock()
	n, ok := k.numbers[name]
	k.mu.RUnlock()
	if ok {
		return n
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n, ok := k.numbers[name]; ok || len(k.names) == keysMax {
		return n
	}
	if k.numbers == nil {
		k.numbers = map[dnsname.Name]uint16{}
	}
	k.names = append(k.names, name)
	k.numbers[name] = uint16(len(k.names))
	return k.numbers[name]
}

// name is the name with a number, zero if there is none.
func (k *keyNames) name(n uint16) dnsname.Name {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if n == 0 || int(n) > len(k.names) {
		return ""
	}
	return k.names[n-1]
}
