package crew

import "sync"

// restMax is how many goroutines of a crew wait for the next task. Those beyond end with their task.
const restMax = 512

// Crew runs tasks, each at once and on a goroutine of its own. The zero value is ready.
type Crew struct {
	running sync.WaitGroup

	mu      sync.Mutex // guards the rest
	resting []*worker  // the one that worked last is at the end
	ended   bool
}

// worker is a goroutine. Who takes it out of the list of those that rest sends it a task, or closes the channel.
type worker struct{ next chan func() }

// Go runs a task and does not wait for it. It may not be called once End has been, unless by a task.
func (c *Crew) Go(task func()) {
	if w := c.take(); w != nil {
		w.next <- task
		return
	}
	c.running.Go(func() { c.work(task) })
}

func (c *Crew) take() *worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.resting) - 1
	if n < 0 {
		return nil
	}
	w := c.resting[n]
	c.resting = c.resting[:n]
	return w
}

// work runs one task after the other, as long as there is a place to rest between them.
func (c *Crew) work(task func()) {
	w := &worker{next: make(chan func(), 1)}
	for more := true; more; {
		task()
		task = nil // whatever it holds is free
		if !c.rest(w) {
			return
		}
		task, more = <-w.next
	}
}

func (c *Crew) rest(w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.resting) >= restMax {
		return false
	}
	c.resting = append(c.resting, w)
	return true
}

// End waits until all tasks are done and no goroutine is left.
func (c *Crew) End() {
	c.mu.Lock()
	c.ended = true
	for _, w := range c.resting {
		close(w.next)
	}
	c.resting = nil
	c.mu.Unlock()
	c.running.Wait()
}
