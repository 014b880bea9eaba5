package zone_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cenote/zone"
)

// TestOtherZonesDoNotWaitForALoad holds that while a zone is read, is new and read for the first time, or is given by somebody who takes long, other zones are changed, asked for and told of, and get their own loads.
func TestOtherZonesDoNotWaitForALoad(t *testing.T) {
	for _, tc := range []struct {
		name string
		// begin has a zone be worked on, z0 or a new one, until end is called.
		begin func(t *testing.T, u *updatable, done chan<- error) (end func())
	}{
		{"a file that has changed", func(t *testing.T, u *updatable, done chan<- error) func() {
			end := slowFile(t, u.conf.Sources[0].Path)
			go func() {
				_, err := u.Reload(false)
				done <- err
			}()
			return end
		}},
		{"a zone that is new", func(t *testing.T, u *updatable, done chan<- error) func() {
			added := zone.Source{Name: canonical("new.example"), Path: filepath.Join(t.TempDir(), "new")}
			end := slowFile(t, added.Path)
			go func() { done <- u.Update(append(u.conf.Sources, added)) }()
			return end
		}},
		{"a version that is made", func(t *testing.T, u *updatable, done chan<- error) func() {
			end := make(chan struct{})
			go func() {
				done <- u.Edit(canonical("z0.example"), func(present *zone.Zone) (*zone.Zone, error) { <-end; return present, nil })
			}()
			return func() { close(end) }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, done := newSeveral(t, 3), make(chan error, 1)
			end := tc.begin(t, u, done)
			awaitTrue(t, "the work is under way", u.Working)
			others := make(chan error, 1)
			go func() { others <- u.useOthers() }()
			select {
			case err := <-others:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(30 * time.Second):
				t.Error("others wait")
			}
			select {
			case err := <-done:
				t.Errorf("the work has ended already: %v", err)
			default:
			}
			end()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if rcode := u.change(1, "last"); rcode != 0 {
				t.Errorf("afterwards: RCODE %d", rcode)
			}
		})
	}
}

// slowFile puts a pipe in the place of a file, which is read until end is called.
func slowFile(t *testing.T, path string) (end func()) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, []byte(updatableText), 0); err != nil {
			t.Error(err)
		}
	}
}

// useOthers does with the second zone all that there is to do with one, and fails where anything of that does.
func (u *updatable) useOthers() error {
	apex := canonical("z1.example")
	if rcode := u.change(1, "while"); rcode != 0 {
		return fmt.Errorf("RCODE %d", rcode)
	}
	file := u.conf.Sources[1].Path
	if err := os.WriteFile(file+".new", []byte(strings.Replace(updatableText, "host 5", "host 100", 1)), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	u.Look()
	u.Look()
	z, err := u.State(apex, true)
	switch {
	case err != nil:
		return err
	case z.Serial() != 100:
		return fmt.Errorf("a file that has changed is not read: serial %d", z.Serial())
	case len(u.Status()) != 3:
		return fmt.Errorf("%d zones", len(u.Status()))
	}
	return errors.Join(u.Freeze(apex, true), u.Freeze(apex, false), u.Edit(apex, func(present *zone.Zone) (*zone.Zone, error) { return present, nil }))
}

// TestOthersDoNotWaitForALargeZone holds that looks at files go on while a large zone is read or signed, that one such is worked on at a time, and that the next has its turn then.
func TestOthersDoNotWaitForALargeZone(t *testing.T) {
	u, end := newSeveral(t, 3), make(chan struct{})
	if !u.InTurn(canonical("z0.example"), zone.LargeSize, func() { <-end }) {
		t.Fatal("a large zone has no turn")
	}
	awaitTrue(t, "the work is under way", u.Working)
	if u.InTurn(canonical("z2.example"), zone.LargeSize, func() { t.Error("a second large zone is worked on") }) {
		t.Error("a second large zone has its turn")
	}
	others := make(chan error, 1)
	go func() { others <- u.useOthers() }()
	select {
	case err := <-others:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("others wait")
	}
	close(end)
	u.WaitForLarge()
	done := false
	if !u.InTurn(canonical("z2.example"), zone.LargeSize, func() { done = true }) {
		t.Error("the second large zone has no turn after the first")
	}
	if u.WaitForLarge(); !done || u.change(0, "last") != 0 {
		t.Errorf("afterwards: the second was worked on: %v", done)
	}
}

// TestLargeZoneIsFollowed beside the looks: its file is read when it has changed, and its signatures are made again.
func TestLargeZoneIsFollowed(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	path, rest := k.config.Sources[0].Path, strings.Repeat("; a comment that makes the file a large one\n", zone.LargeSize/40)
	write(t, path, sample+rest+"big A 192.0.2.99\n")
	for end := time.Now().Add(time.Minute); !strings.Contains(dump(t, k.zone()), "big.example."); {
		k.Look()
		if k.WaitForLarge(); time.Now().After(end) {
			t.Fatal("the file is not read")
		}
	}
	if k.zone().Records() == 0 || !k.Status()[0].Signed {
		t.Errorf("it is %+v", k.Status()[0])
	}
}
