package blocklist

import (
	"maps"
	"slices"
)

// formerMax is how many feeds are remembered that have left the configuration.
const formerMax = 1000

// Former returns the names of feeds that once had a copy and are not configured any more, those that left last at the end; at most 1000. Who asks for
// what was recorded of one is not mistaken.
func (p *Publisher) Former() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.state.Former)
}

// former adds to known, the feeds that had left before, those that had a copy and are not among the configured ones. None is there twice.
func former(known []string, copies map[string]uint64, configured []string) []string {
	left := slices.DeleteFunc(slices.Sorted(maps.Keys(copies)), func(feed string) bool { return slices.Contains(known, feed) })
	out := slices.DeleteFunc(slices.Concat(known, left), func(feed string) bool { return slices.Contains(configured, feed) })
	return out[max(len(out)-formerMax, 0):]
}
