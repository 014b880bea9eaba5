package zone

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	k.changing.Lock() // so that no zone comes meanwhile; the others do not wait
	defer k.changing.Unlock()
	wanted, removed := k.journalNames(), 0
	for _, name := range []string{memberDir, frozenDir} {
		removed += k.sweep(filepath.Join(k.dir, name), wanted)
	}
	if removed > 0 {
		k.log.Info("removed what was kept of zones that no catalog lists any more", "files", removed)
	}
}

// journalNames are the names of the journals of zones.
func (k *Keeper) journalNames() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make(map[string]bool, len(k.zones))
	for _, z := range k.zones {
		out[filepath.Base(k.journalOf(&z.source))] = true
	}
	return out
}

// sweep removes the files of a directory that belong to members and are not wanted.
func (k *Keeper) sweep(dir string, wanted map[string]bool) (removed int) {
	files, _ := os.ReadDir(dir) // without one there are none
	for _, f := range files {
		if wanted[journalOfFile(f.Name())] || strings.LastIndexByte(f.Name(), '=') < 1 {
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
	k.changing.Lock()
	defer k.changing.Unlock()
	for _, path := range []string{k.journalOf(s), k.frozenPath(s)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			k.log.Error("what is kept of a zone that no catalog lists any more cannot be removed", "err", err)
		}
	}
}

// ownersName is the file that says which catalog has a zone that several list: a line of each, the zone and the catalog.
const ownersName = "owners"

// ownerFile is that file.
type ownerFile struct{ path, text string }

// openOwners reads which catalog had a zone that several list. Lines that are none are passed over.
func (k *Keeper) openOwners() (ownerFile, map[dnsname.Name]dnsname.Name, error) {
	if k.dir == "" {
		return ownerFile{}, nil, nil
	}
	f := ownerFile{path: filepath.Join(k.dir, catalogDir, ownersName)}
	text, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return f, nil, nil
	}
	if err != nil {
		return f, nil, err
	}
	f.text = string(text)
	out := map[dnsname.Name]dnsname.Name{}
	for line := range strings.Lines(f.text) {
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		name, err := dnsname.Parse(words[0])
		catalog, err2 := dnsname.Parse(words[1])
		if err == nil && err2 == nil {
			out[name.Canonical()] = catalog.Canonical()
		}
	}
	return f, out, nil
}

// keep writes it down, if that is another word than before.
func (f *ownerFile) keep(owners map[dnsname.Name]dnsname.Name) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		fmt.Fprintf(&text, "%s %s\n", name, owners[name])
	}
	if f.path == "" || text.String() == f.text {
		return nil
	}
	if err := replaceSynced(f.path, []byte(text.String())); err != nil {
		return err
	}
	f.text = text.String()
	return nil
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
