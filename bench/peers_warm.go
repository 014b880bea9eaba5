package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// warmMax is how long a peer may take to be asked every question of a load twice.
const warmMax = 5 * time.Minute

// warmContender asks for all that the load will ask for, so that what can be cached is, and finds the window at which a contender is at its best.
func (m *match) warmContender(ctx context.Context, c *contender) error {
	c.window = m.window
	if c == &m.cenote {
		if err := m.warm(ctx, m.kind.kind); err != nil {
			return err
		}
	} else if err := m.warmPeer(ctx); err != nil {
		return err
	}
	if m.kind.tcp {
		return m.warmTCP(ctx, c)
	}
	return m.chooseWindow(ctx, c)
}

// warmPeer asks a peer for every question of the file at least twice. It has no ledger, so who asks is all the same.
func (m *match) warmPeer(ctx context.Context) error {
	if m.kind.miss {
		_, err := m.blast(ctx, m.kind.file, load{server: m.peer.addr, clients: m.kind.clients, seconds: 1, window: 32})
		return err
	}
	questions, err := countLines(filepath.Join(m.dir, m.kind.file))
	if err != nil {
		return err
	}
	deadline := time.Now().Add(warmMax)
	for asked := uint64(0); asked < 2*questions+20_000; {
		o, err := m.blast(ctx, m.kind.file, load{server: m.peer.addr, clients: m.kind.clients, seconds: 1, window: 32})
		switch {
		case err != nil:
			return err
		case o.Got == 0:
			return errors.New("warming: it answers nothing")
		case time.Now().After(deadline):
			return fmt.Errorf("warming: %d of %d queries answered within %v", asked, 2*questions, warmMax)
		}
		asked += o.Got
	}
	return nil
}

// warmTCP asks over TCP too, since some keep other answers for that, and sees that each of the 10,000 names was asked for.
func (m *match) warmTCP(ctx context.Context, c *contender) error {
	questions, err := countLines(filepath.Join(m.dir, m.kind.file))
	if err != nil {
		return err
	}
	deadline := time.Now().Add(warmMax)
	for asked := uint64(0); asked < 2*questions; {
		o, err := m.blastContender(ctx, c, 1, 0)
		asked += o.Got
		if err != nil && (o.Got == 0 || time.Now().After(deadline)) {
			return err
		}
	}
	return nil
}

// chooseWindow keeps that of two windows at which a contender answers more queries and loses none that count.
func (m *match) chooseWindow(ctx context.Context, c *contender) error {
	best, rate := 0, 0.0
	var failed error
	for _, window := range [...]int{m.window, max(m.window/4, 1)} {
		c.window = window
		o, err := m.blastContender(ctx, c, m.seconds, 0)
		if err != nil {
			failed = errors.Join(failed, err)
		} else if o.QPS > rate {
			best, rate = window, o.QPS
		}
	}
	if best == 0 {
		return failed
	}
	c.window = best
	return nil
}
