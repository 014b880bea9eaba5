package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cenote/blocklist"
	"cenote/config"
)

// filedClock is the clock of this machine, shifted by as many seconds as a file says. Who writes the file can let time pass.
type filedClock struct {
	path  string
	mu    sync.Mutex
	read  time.Time
	shift time.Duration
}

// filedClockAge is how long what was read counts.
const filedClockAge = 4 * time.Millisecond

func (c *filedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.read) < filedClockAge {
		return now.Add(c.shift)
	}
	if text, err := os.ReadFile(c.path); err == nil {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			c.read, c.shift = now, time.Duration(seconds)*time.Second
		}
	}
	return now.Add(c.shift)
}

// serveByFile is `cenote serve` with its clock in a file: the very server, with another clock.
func serveByFile(clock, path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	conf, _, err := config.Load(path)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, settings := newLogger(conf, os.Stderr)
	o := options{
		path: path, log: log, logSettings: settings, now: (&filedClock{path: clock}).now,
		compiler: []string{"/usr/bin/env", "CENOTE_TEST_AS_CENOTE=1", self, "compile", "--child"},
	}
	if err := publishBefore(ctx, conf, o); err != nil {
		return err
	}
	s, err := newServer(conf, o)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// publishBefore has the policy of the feeds stored before the first socket is bound, so that the first query meets it.
func publishBefore(ctx context.Context, conf *config.Config, o options) error {
	if len(conf.Feeds) == 0 {
		return nil
	}
	s := &server{options: o, catalog: newCatalog(o.log)}
	defer s.close()
	for _, open := range []func(*config.Config) error{s.openState, s.openPublisher} {
		if err := open(conf); err != nil {
			return err
		}
	}
	_, err := s.publisher.Reload(ctx, blocklist.ReloadOptions{})
	return err
}

// exitStatus says what was wrong, if anything was.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
