package zone

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"cenote/dnsname"
)

// Where the state of catalogs lies, below the directory of journals.
const (
	memberDir  = "members"  // the journals of members
	catalogDir = "catalogs" // the catalogs as they were when they were last good
)

// journalOf is where the journal of a zone lies. That of a member is named for its node in the catalog too: with another one nothing is found.
func (k *Keeper) journalOf(s *Source) string {
	if s.Catalog.IsZero() {
		return journalPath(k.dir, s.Name)
	}
	node := sha256.Sum256([]byte(s.Member))
	plain := strings.TrimSuffix(journalPath(filepath.Join(k.dir, memberDir), s.Name), journalSuffix)
	return plain + "=" + hex.EncodeToString(node[:8]) + journalSuffix
}

// sweepMembers removes what is kept of members that are no zones any more.
func (k *Keeper) sweepMembers() {
	if k.dir == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	wanted := map[string]bool{}
	for _, z := range k.zones {
		wanted[filepath.Base(k.journalOf(&z.source))] = true
	}
	removed := 0
	for _, name := range []string{memberDir, frozenDir} {
		removed += k.sweep(filepath.Join(k.dir, name), wanted)
	}
	if removed > 0 {
		k.log.Info("removed what was kept of zones that no catalog lists any more", "files", removed)
	}
}

// sweep removes the files of a directory that belong to members and are not wanted.
func (k *Keeper) sweep(dir string, wanted map[string]bool) (removed int) {
	files, _ := os.ReadDir(dir) // without one there are none
	for _, f := range files {
		if wanted[f.Name()] || strings.LastIndexByte(f.Name(), '=') < 1 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			k.log.Error("what is kept of a zone that no catalog lists any more cannot be removed", "err", err)
			continue
		}
		removed++
	}
	return removed
}

// forgetMember removes what is kept of one that is no zone any more.
func (k *Keeper) forgetMember(s *Source) {
	if k.dir == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, path := range []string{k.journalOf(s), k.frozenPath(s)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			k.log.Error("what is kept of a zone that no catalog lists any more cannot be removed", "err", err)
		}
	}
}

// goodCatalog is a catalog as it was when it was last good, which outlives a restart.
type goodCatalog struct{ journal *journal }

// openCatalog finds the state of a catalog; nil without one.
func (k *Keeper) openCatalog(apex dnsname.Name) (goodCatalog, *Zone) {
	if k.dir == "" {
		return goodCatalog{}, nil
	}
	dir := filepath.Join(k.dir, catalogDir)
	err := errors.Join(os.MkdirAll(dir, 0o750), os.MkdirAll(filepath.Join(k.dir, memberDir), 0o750))
	if err != nil {
		k.log.Error("the state of a catalog cannot be kept", "zone", apex.String(), "err", err)
		return goodCatalog{}, nil
	}
	j, had, err := openJournal(journalPath(dir, apex), apex)
	if err != nil {
		k.journalFaults.Add(1)
		k.log.Error("the state of a catalog cannot be read", "zone", apex.String(), "err", err)
	}
	return goodCatalog{j}, had.zone
}

// keep writes a catalog down that is good.
func (g goodCatalog) keep(z *Zone) error {
	if g.journal == nil {
		return nil
	}
	return g.journal.rewrite(nil, z, true)
}
