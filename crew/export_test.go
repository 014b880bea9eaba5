package crew

// RestMax is how many goroutines of a crew wait for the next task.
const RestMax = restMax

// Resting returns how many goroutines wait for a task.
func (c *Crew) Resting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.resting)
}
