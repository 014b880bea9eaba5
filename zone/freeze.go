package zone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cenote/dnsname"
)

// frozenDir is where it is kept which zones are frozen, below the directory of journals: a journal of each, with the state of one that has a master file.
const frozenDir = "frozen"

// Freeze keeps a zone as it is, or lets it change again: its file is not read, what would be installed is refused, and it does not expire. It outlasts a restart.
func (k *Keeper) Freeze(apex dnsname.Name, frozen bool) error {
	if err := k.freeze(apex, frozen); err != nil || frozen {
		return err
	}
	k.mu.Lock()
	ask := k.thawed
	k.mu.Unlock()
	if ask != nil {
		ask(apex.Canonical())
	}
	return nil
}

// isFrozen reports whether a zone is frozen.
func (k *Keeper) isFrozen(apex dnsname.Name) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.named(apex)
	return z != nil && z.status.Frozen
}

func (k *Keeper) freeze(apex dnsname.Name, frozen bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.claim(apex)
	if z == nil {
		return fmt.Errorf("%w: %s", ErrUnknown, apex)
	}
	if z.status.Frozen == frozen {
		return nil
	}
	var err error
	if k.apart(z, func(next *kept) { err = k.recordFrozen(next, frozen) }); err != nil {
		return fmt.Errorf("writing down that %s is frozen or thawed: %w", apex, err)
	}
	k.state.Lock()
	defer k.state.Unlock()
	z.status.Frozen = frozen
	if z.held && !frozen {
		z.held, z.status.Fault, z.status.Since = false, "", time.Time{}
		z.status.State = z.stands()
	}
	if grace := k.now().Add(lookGrace); !frozen && !z.status.Expires.IsZero() && z.status.Expires.Before(grace) {
		z.status.Expires = grace // until its primaries have been asked
	}
	k.log.Info("zone frozen or thawed", "zone", z.status.Name, "frozen", frozen)
	return nil
}

func (k *Keeper) frozenPath(s *Source) string {
	return filepath.Join(k.dir, frozenDir, filepath.Base(k.journalOf(s)))
}

// recordFrozen writes down that a zone is frozen, with its state, unsigned, if no journal has it, or takes that away.
func (k *Keeper) recordFrozen(z *kept, frozen bool) error {
	if k.dir == "" {
		return nil
	}
	j := &journal{path: k.frozenPath(&z.source)}
	if !frozen {
		return j.remove()
	}
	if err := os.MkdirAll(filepath.Dir(j.path), 0o750); err != nil {
		return err
	}
	state, durable := z.present(), z.source.Path != "" && z.updated == nil
	if state == nil {
		state, durable = &Zone{apex: z.source.Name}, false
	}
	var err error
	behind(int64(len(state.data)), func() { err = j.rewrite(nil, state, durable) })
	return err
}

// refreeze finds out whether a zone that is new to the keeper was frozen before the server was started, and serves it as it was then.
func (k *Keeper) refreeze(z *kept) {
	if k.dir == "" {
		return
	}
	path := k.frozenPath(&z.source)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return
	}
	z.status.Frozen = true
	k.log.Info("zone is frozen, as it was before the start", "zone", z.source.Name.String())
	if z.source.Path == "" {
		return // its journal has its state
	}
	state := z.updated
	if state == nil {
		_, had, err := openJournal(path, z.source.Name)
		if state = had.zone; err != nil {
			k.journalFault(z, err)
		}
	}
	if z.unread = state != nil; z.unread {
		k.note(z, 0, k.take(z, state))
	}
}
