package resolver

import (
	"runtime"
	"sync"
)

// walkStep is how many entries of a map are looked at before others have it.
const walkStep = 256

// walk looks at each entry of a map that mu guards, for which look may delete entries. It lets others have mu after each step, so that nobody waits for a walk over all that is known: of what
// they put meanwhile some is looked at, and what they delete no more. The caller does not hold mu.
func walk[K comparable, V any](mu sync.Locker, all map[K]V, look func(K, V)) {
	mu.Lock()
	defer mu.Unlock()
	n := 0
	for key, value := range all {
		look(key, value)
		if n++; n%walkStep == 0 {
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
		}
	}
}
