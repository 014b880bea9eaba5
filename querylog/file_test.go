package querylog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/querylog"
)

// finishedOf lists the finished files of path.
func finishedOf(t testing.TB, path string) []string {
	t.Helper()
	names, err := querylog.Finished(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Join(filepath.Dir(path), names[i])
	}
	return names
}

func TestRotationBySize(t *testing.T) {
	for _, tc := range []struct {
		form   querylog.Compression
		suffix string
	}{{querylog.CompressionNone, ".jsonl"}, {querylog.CompressionGzip, ".jsonl.gz"}, {querylog.CompressionZstd, ".jsonl.zst"}} {
		t.Run(tc.form.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "q.jsonl")
			clock := newClock() // stands still: names must differ all the same
			l := newLog(t, querylog.Config{
				Mode: querylog.ModeAll, Path: path, Rotate: querylog.Rotate{Size: 4096, Keep: 100}, Compression: tc.form, Now: clock.now,
			})
			stop := run(t, l)
			const n = 200
			var want []string
			for i := range n {
				want = append(want, fmt.Sprintf("n%d.example", i))
				put(l, query(want[i]))
			}
			eventually(t, "all is written", func() bool { return l.Counts().Written == n })
			eventually(t, "finished files are packed", func() bool {
				files := finishedOf(t, path)
				return uint64(len(files)) == l.Counts().Rotations && !slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, tc.suffix) })
			})
			stop()
			files := finishedOf(t, path)
			if len(files) < 10 {
				t.Errorf("finished files: got %d want at least 10 of %d lines", len(files), n)
			}
			got, _ := written(t, append(files, path)...)
			if !slices.Equal(got, want) {
				t.Errorf("lines: got %d %v..., want %d in their order", len(got), got[:min(3, len(got))], n)
			}
			for _, f := range append(files, path) {
				if size := len(unpacked(t, f)); size > 4096 || size < 2048 && f != path {
					t.Errorf("%s: got %d octets, want at most 4096 and most of them", f, size)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
				t.Errorf("temporary files: got %v want none", left)
			}
		})
	}
}

func TestKeep(t *testing.T) {
	for _, keep := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "q.jsonl")
			foreign := filepath.Join(filepath.Dir(path), "q-20260101T000000.jsonl")
			if err := os.WriteFile(foreign, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Rotate: querylog.Rotate{Size: 2048, Keep: keep}, Compression: querylog.CompressionZstd})
			run(t, l)
			for i := range 100 {
				put(l, query(fmt.Sprintf("n%d.example", i)))
			}
			eventually(t, "all is written", func() bool { return l.Counts().Written == 100 })
			eventually(t, "old files are removed", func() bool {
				files := finishedOf(t, path)
				return len(files) == keep && !slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, ".zst") })
			})
			if files := finishedOf(t, path); keep > 0 {
				last, _ := written(t, files[keep-1])
				now, _ := written(t, path)
				if want := 100 - len(now) - 1; last[len(last)-1] != fmt.Sprintf("n%d.example", want) {
					t.Errorf("newest finished file ends with %s, want n%d.example", last[len(last)-1], want)
				}
			}
			if _, err := os.Stat(foreign); err != nil {
				t.Errorf("a file that only resembles a finished one: %v", err)
			}
		})
	}
}

func TestRotationByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	clock := newClock()
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Rotate: querylog.Rotate{Age: time.Hour, Keep: 9}, Now: clock.now})
	run(t, l)
	put(l, query("www.example"))
	eventually(t, "the line is written", func() bool { return l.Counts().Written == 1 })
	clock.advance(time.Hour + time.Second)
	eventually(t, "the file is put aside though no query comes", func() bool { return len(finishedOf(t, path)) == 1 })
	if got, want := filepath.Base(finishedOf(t, path)[0]), "q-20260102T160406.000000Z.jsonl"; got != want {
		t.Errorf("name: got %s want %s", got, want)
	}
	clock.advance(3 * time.Hour)
	put(l, query("www.example"))
	eventually(t, "the line is written", func() bool { return l.Counts().Written == 2 })
	if got := l.Counts().Rotations; got != 1 {
		t.Errorf("rotations: got %d want 1: an empty file has no age", got)
	}
}

// TestAgeOutlivesTheProcess holds that a file is as old as its first line, whoever wrote that.
func TestAgeOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	clock := newClock()
	c := querylog.Config{Mode: querylog.ModeAll, Path: path, Rotate: querylog.Rotate{Age: time.Hour, Keep: 9}, Now: clock.now}
	l := newLog(t, c)
	put(l, query("old.example"))
	run(t, l)()
	clock.advance(61 * time.Minute)
	l = newLog(t, c)
	put(l, query("new.example"))
	run(t, l)()
	if got, _ := written(t, path); len(got) != 1 || got[0] != "new.example" || len(finishedOf(t, path)) != 1 {
		t.Errorf("lines: got %v and %v, want new.example in a new file", got, finishedOf(t, path))
	}
}

func TestExternalRotation(t *testing.T) {
	for name, rotate := range map[string]func(path string) error{
		"renamed":   func(path string) error { return os.Rename(path, path+".1") },
		"removed":   os.Remove,
		"replaced":  func(path string) error { return os.Rename(path+".new", path) },
		"truncated": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "q.jsonl")
			if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path})
			run(t, l)
			put(l, query("before.example"))
			eventually(t, "the first line is written", func() bool { return lines(t, path) == 1 })
			if err := rotate(path); err != nil {
				t.Fatal(err)
			}
			eventually(t, "an empty file is there", func() bool { info, err := os.Stat(path); return err == nil && info.Size() == 0 })
			put(l, query("after.example"))
			eventually(t, "the second line is written", func() bool { return lines(t, path) == 1 })
			if got, _ := written(t, path); len(got) != 1 || got[0] != "after.example" {
				t.Errorf("lines: got %v want after.example", got)
			}
		})
	}
}

// TestTornLine holds that what the end of power left of a line does not spoil the next, and that a file which is not ours loses nothing.
func TestTornLine(t *testing.T) {
	whole := `{"time":"2026-01-02T15:04:05.000000Z","name":"old.example"}` + "\n"
	for name, tc := range map[string]struct{ before, want string }{
		"nothing":       {"", ""},
		"whole":         {whole, whole},
		"torn":          {whole + whole[:30], whole},
		"torn early":    {whole + `{"ti`, whole},
		"only torn":     {whole[:30], ""},
		"foreign":       {"precious", "precious\n"},
		"foreign, long": {whole + strings.Repeat("x", 100_000), whole + strings.Repeat("x", 100_000) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "q.jsonl")
			if err := os.WriteFile(path, []byte(tc.before), 0o600); err != nil {
				t.Fatal(err)
			}
			l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path})
			put(l, query("www.example"))
			run(t, l)()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rest, ok := strings.CutPrefix(string(b), tc.want)
			if !ok || strings.Count(rest, "\n") != 1 || !strings.HasPrefix(rest, querylog.LineStart) {
				t.Errorf("file: got %.200q want %.100q and a line", b, tc.want)
			}
		})
	}
}

// TestPackingIsTakenUp holds that what an earlier process left undone is done: a file not packed, one half packed, one packed whose source is
// still there.
func TestPackingIsTakenUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "q.jsonl")
	const one, two, three = "q-20260101T000000.000000Z.jsonl", "q-20260101T000001.000000Z.jsonl", "q-20260101T000002.000000Z.jsonl"
	for name, text := range map[string]string{
		one: "{}\n", two: "{}\n", "." + two + ".zst.tmp": "half", three: "{}\n", three + ".gz": "packed", ".other.tmp": "not ours",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Rotate: querylog.Rotate{Keep: 3}, Compression: querylog.CompressionZstd})
	run(t, l)
	want := []string{filepath.Join(dir, one+".zst"), filepath.Join(dir, two+".zst"), filepath.Join(dir, three+".gz")}
	eventually(t, "all is packed", func() bool { return slices.Equal(finishedOf(t, path), want) })
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(hidden) != 1 || filepath.Base(hidden[0]) != ".other.tmp" {
		t.Errorf("hidden files: got %v want only .other.tmp", hidden)
	}
	if got := string(unpacked(t, want[1])); got != "{}\n" {
		t.Errorf("packed file holds %q", got)
	}
}
