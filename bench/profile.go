package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/pprof/profile"
)

// profileSeconds is how long each load is profiled.
const profileSeconds = 8

// profileLoads warms the server up for the loads, and then takes one profile while they run in turn, each for the same time.
func (r *rig) profileLoads(ctx context.Context) error {
	loads, logged, misses := bySetup(r.kinds())
	if s := *r.setup; len(loads) == 0 { // which no server bears that is set up for others
		if loads = logged; len(loads) > 0 {
			s.logAll = true
		} else {
			loads, s.recurses = misses, true
		}
		if err := r.restart(ctx, &s); err != nil {
			return err
		}
	}
	for _, k := range loads {
		fmt.Println("warming:", k.name)
		k.clients = r.clientsOf(k)
		if err := r.warm(ctx, k); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	seconds := strconv.Itoa(profileSeconds * len(loads))
	taken := filepath.Join(r.dir, "cpu.pprof")
	p := prepare(ctx, r.server.binary, "profile", "--config", r.server.config, "--seconds", seconds, "--output", taken)
	if err := launch(p); err != nil {
		return err
	}
	for range profileSeconds { // a second of each in turn, so that none has the first or the last word
		for _, k := range loads {
			o, err := r.blast(ctx, k.file, load{server: cenoteAddr, clients: r.clientsOf(k), seconds: 1, window: r.window})
			if err == nil {
				err = o.check()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
		}
	}
	if err := p.Wait(); err != nil {
		return fmt.Errorf("taking the profile: %w", err)
	}
	return copyProfile(taken, r.profile)
}

// copyProfile copies a profile without what is true of this machine and moment only.
func copyProfile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	p, err := profile.ParseData(b)
	if err != nil {
		return fmt.Errorf("reading the profile: %w", err)
	}
	for _, m := range p.Mapping {
		m.File, m.BuildID = "cenote", ""
	}
	p.TimeNanos = 0
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

// clientsOf is from how many addresses a load comes.
func (r *rig) clientsOf(k kind) int {
	if k.clients == 0 {
		return r.options.clients
	}
	return k.clients
}
