package sighting

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// quarantine is the directory of damaged files that were put aside, for whoever wants to find out why. They hold evidence like the others, and are
// dropped with it.
const quarantine = "quarantine"

// quarantined is a file in the quarantine.
type quarantined struct {
	path  string
	since time.Time
}

// setAside renames a damaged file into the quarantine.
func (s *Store) setAside(path string) {
	s.counters.damaged.Add(1)
	name := fmt.Sprintf("%s.%d", filepath.Base(path), s.now().UnixNano())
	if err := os.Rename(path, filepath.Join(s.config.Dir, quarantine, name)); err != nil {
		s.log.Error("damaged file cannot be put aside", "file", path, "error", err)
	}
}

// listQuarantine lists the files of the quarantine. What somebody else put there is left alone.
func listQuarantine(dir string) ([]quarantined, error) {
	names, err := os.ReadDir(filepath.Join(dir, quarantine))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing damaged files of sightings: %w", err)
	}
	var out []quarantined
	for _, n := range names {
		_, suffix, _ := strings.Cut(n.Name(), daySuffix+".")
		if ns, err := strconv.ParseInt(suffix, 10, 64); err == nil {
			out = append(out, quarantined{filepath.Join(dir, quarantine, n.Name()), time.Unix(0, ns)})
		}
	}
	return out, nil
}

// pruneQuarantine drops the files that were put aside longer ago than sightings are kept.
func (s *Store) pruneQuarantine(now time.Time) {
	all, err := listQuarantine(s.config.Dir)
	if err != nil {
		s.log.Warn("damaged files of sightings are not dropped", "error", err)
	}
	oldest := now.Add(-time.Duration(s.live.Load().RetentionDays+1) * 24 * time.Hour)
	for _, q := range all {
		if !q.since.Before(oldest) {
			continue
		}
		if err := os.Remove(q.path); err != nil {
			s.log.Error("damaged file of sightings cannot be dropped", "file", q.path, "error", err)
			continue
		}
		s.log.Info("damaged file of sightings dropped", "file", q.path)
	}
}
