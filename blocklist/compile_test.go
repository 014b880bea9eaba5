package blocklist_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
	"cenote/nameindex"
)

// compileJob is a job of one feed in a new directory.
func compileJob(t testing.TB, content string) blocklist.CompileConfig {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	write(t, path, content)
	must(t, os.MkdirAll(filepath.Join(dir, "policy"), 0o755))
	return blocklist.CompileConfig{Dir: dir, Generation: 1, Feeds: []blocklist.CompileFeed{{
		FeedConfig: blocklist.FeedConfig{Name: "f", Path: path, Format: "hosts"}, ShrinkMax: 0.5, Read: true, Serve: true,
	}}}
}

// TestFeedThatChangesWhileItIsReadIsReadAgain changes a feed when a part of it has been read.
func TestFeedThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	next := manyHosts("new", 60_000)
	for _, tc := range []struct {
		name   string
		times  int // how often it changes
		change func(path string) error
		want   string // of the failure; "" if it is read in the end
	}{
		{"replaced", 1, func(path string) error {
			return errors.Join(os.WriteFile(path+".new", []byte(next), 0o644), os.Rename(path+".new", path))
		}, ""},
		{"written in place", 1, func(path string) error { return os.WriteFile(path, []byte(next), 0o644) }, ""},
		{"replaced again and again", 100, func(path string) error {
			return errors.Join(os.WriteFile(path+".new", []byte(next), 0o644), os.Rename(path+".new", path))
		}, "changed while it was read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			job := compileJob(t, manyHosts("old", 120_000))
			times := 0
			job.Progress = func(p blocklist.Progress) {
				if p.Done > 0 && p.Stage == blocklist.StageRead && times < tc.times {
					times++
					must(t, tc.change(job.Feeds[0].Path))
				}
			}
			report, err := blocklist.Compile(t.Context(), job)
			must(t, err)
			f := report.Feeds[0]
			switch {
			case tc.want == "" && (f.Failure != nil || f.Report.Names != 60_000 || !report.Compiled):
				t.Errorf("result = %+v, want the 60,000 new names", f)
			case tc.want != "" && (f.Failure == nil || !strings.Contains(f.Failure.Text, tc.want) || !f.Failure.Transient || report.Compiled):
				t.Errorf("failure = %+v, want a transient one with %q", f.Failure, tc.want)
			}
		})
	}
}

func TestCompileStops(t *testing.T) {
	job := compileJob(t, manyHosts("v", 200_000))
	ctx, cancel := context.WithCancel(t.Context())
	job.Progress = func(p blocklist.Progress) {
		if p.Done > 0 {
			cancel()
		}
	}
	if _, err := blocklist.Compile(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if left := leftovers(t, job.Dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// leftovers lists temporary files and indexes.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{"policy/*", "feeds/*/.tmp-*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		must(t, err)
		left = append(left, found...)
	}
	return left
}

func TestCompileOnlyReadsWhatNoZoneHolds(t *testing.T) {
	job := compileJob(t, "0.0.0.0 a.example\n")
	job.Feeds[0].Serve = false
	report, err := blocklist.Compile(t.Context(), job)
	if err != nil || report.Compiled || report.Feeds[0].Copy != 1 || len(leftovers(t, job.Dir)) > 0 {
		t.Errorf("report = %+v, %v; want a copy and no index", report, err)
	}
	job.Generation, job.Feeds[0].Serve, job.Feeds[0].Read, job.Feeds[0].Kept, job.Merge = 2, true, false, 1, true
	report, err = blocklist.Compile(t.Context(), job)
	must(t, err)
	index, err := nameindex.Open(filepath.Join(job.Dir, "policy", "2.index"), nameindex.OpenOptions{})
	if err != nil || index.Len() != 1 || report.Names != 1 {
		t.Errorf("report = %+v, %v; want an index with the name", report, err)
	}
}

func TestCompileWithADamagedCopy(t *testing.T) {
	job := compileJob(t, "0.0.0.0 a.example\n")
	_, err := blocklist.Compile(t.Context(), job)
	must(t, err)
	damage(t, filepath.Join(job.Dir, "feeds", "f", "1.rows"), 200) // in the first block
	job.Generation, job.Feeds[0].Read, job.Feeds[0].Kept, job.Merge = 2, false, 1, true
	report, err := blocklist.Compile(t.Context(), job)
	if err != nil || report.Names != 1 || report.Feeds[0].Copy != 2 {
		t.Errorf("with the source at hand: %+v, %v; want it read into a new copy", report, err)
	}
	must(t, os.Remove(job.Feeds[0].Path))
	job.Generation, job.Feeds[0].Read = 3, false
	if _, err := blocklist.Compile(t.Context(), job); !errors.Is(err, blocklist.ErrRowsDamaged) || !strings.Contains(err.Error(), `"f"`) {
		t.Errorf("without the source: %v, want ErrRowsDamaged of feed f", err)
	}
}

func TestUnchangedFeedReplacesADamagedCopy(t *testing.T) {
	job := compileJob(t, "0.0.0.0 a.example\n")
	_, err := blocklist.Compile(t.Context(), job)
	must(t, err)
	damage(t, filepath.Join(job.Dir, "feeds", "f", "1.rows"), 200)
	job.Generation, job.Feeds[0].Kept = 2, 1
	report, err := blocklist.Compile(t.Context(), job)
	if err != nil || report.Feeds[0].Outcome != blocklist.OutcomeRead {
		t.Errorf("report = %+v, %v; want a new copy although nothing has changed", report, err)
	}
}
