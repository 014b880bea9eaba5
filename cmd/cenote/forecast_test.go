package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// logLine is a line of the query log.
func logLine(client, name string) string {
	return fmt.Sprintf(`{"time":"2026-01-02T15:04:05.000000Z","client":"%s","name":"%s","type":"A","flags":"rd","source":"cache","generation":1}`+"\n", client, name)
}

// forecastDir has a list with evil.example and what else a test writes.
func forecastDir(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	files["list.domains"] = "evil.example\nother.example\n"
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// foretell runs the command and returns what it printed as JSON. Whatever came of it, it leaves nothing behind.
func foretell(t *testing.T, ctx context.Context, in io.Reader, args ...string) (answer forecastAnswer, status int, said string) {
	t.Helper()
	var out, errOut strings.Builder
	status = runContext(ctx, append([]string{"forecast", "--json"}, args...), streams{in, &out, &errOut})
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if out.Len() > 0 {
		if err := json.Unmarshal([]byte(out.String()), &answer); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	}
	return answer, status, errOut.String()
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstdOf(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

func TestForecastReadsEveryFormOfLog(t *testing.T) {
	evil, fine := logLine("192.0.2.1", "Evil.example"), logLine("192.0.2.2", "fine.example")
	dir := forecastDir(t, map[string]string{
		"a.jsonl": evil + "no line\n" + fine + `{"time":"2026-01-02T15:04:05.000000Z","event":"dropped","records":12}` + "\n",
		"b.gz":    zipped(t, evil+evil), "c.zst": zstdOf(t, fine+evil), "d.other": "nothing\n",
	})
	refused := strings.Replace(evil, `"cache"`, `"none"`, 1)
	a, status, said := foretell(t, t.Context(), strings.NewReader(evil+refused), filepath.Join(dir, "list.domains"), "--log", filepath.Join(dir, "[abc].*"),
		"--log", "-")
	l := a.Log
	if status != 0 || a.Matched.Queries != 5 || l.Files != 4 || l.Queries != 8 || a.Queries != 7 || l.NotAsked != 1 || l.Lines != 10 {
		t.Errorf("status %d, %+v, matched %+v; %s", status, l, a.Matched, said)
	}
	if l.Unreadable != 1 || !strings.HasSuffix(strings.SplitN(l.First, ": ", 2)[0], "a.jsonl:2") || l.Events != 1 || l.Lost != 12 || len(a.Notes) != 2 {
		t.Errorf("what is no query: %+v, notes %q", l, a.Notes)
	}
	if a.Partial != "" || a.Read.Live != 2 || a.Rows.Never != 1 || a.Names[0].Line != 1 {
		t.Errorf("%+v", a)
	}
}

// TestForecastOfATornLog: what could be read is counted, and nobody takes it for all.
func TestForecastOfATornLog(t *testing.T) {
	evil := logLine("192.0.2.1", "evil.example")
	whole := zipped(t, strings.Repeat(evil, 100_000))
	dir := forecastDir(t, map[string]string{"a.gz": whole[:len(whole)/2], "b.jsonl": evil})
	list := filepath.Join(dir, "list.domains")
	a, status, said := foretell(t, t.Context(), nil, list, "--log", filepath.Join(dir, "a.gz"), filepath.Join(dir, "b.jsonl"))
	if status != 1 || !strings.Contains(a.Partial, "a.gz") || !strings.Contains(said, "not all was read") || a.Matched.Queries < 1000 || a.Log.Files != 2 {
		t.Errorf("status %d, partial %q, %+v, said %q", status, a.Partial, a.Matched, said)
	}
}

// TestForecastThatIsStopped prints what it has, as a part, also where its input would keep it waiting for ever.
func TestForecastThatIsStopped(t *testing.T) {
	dir := forecastDir(t, map[string]string{})
	in, out := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	evil := logLine("192.0.2.1", "evil.example")
	go func() {
		for range 1000 {
			_, _ = io.WriteString(out, evil)
		}
		stop()
	}()
	a, status, said := foretell(t, ctx, in, filepath.Join(dir, "list.domains"), "--log", "-")
	_ = out.Close()
	if status != 1 || !strings.Contains(a.Partial, "stopped") || !strings.Contains(said, "not all was read") {
		t.Errorf("status %d, partial %q, said %q", status, a.Partial, said)
	}
	a, status, said = foretell(t, ctx, nil, filepath.Join(dir, "list.domains"), "--log", "-")
	if status != 1 || a.Feed != "" || !strings.Contains(said, "nothing was counted") {
		t.Errorf("stopped before it began: status %d, %+v, said %q", status, a, said)
	}
}

func TestForecastRefuses(t *testing.T) {
	dir := forecastDir(t, map[string]string{"empty.list": "", "l.jsonl": logLine("192.0.2.1", "evil.example"), "page.html": "<!DOCTYPE html>\n<html></html>\n"})
	path := func(name string) string { return filepath.Join(dir, name) }
	for want, args := range map[string][]string{
		"missing flags: --log":  {path("list.domains")},
		"no such file":          {path("list.domains"), "--log", path("nothing*.jsonl")},
		"unknown match":         {path("list.domains"), "--log", path("l.jsonl"), "--match", "all"},
		"web page":              {path("page.html"), "--log", path("l.jsonl")},
		"empty.list cannot be":  {path("list.domains"), "--log", path("l.jsonl"), "--top", path("empty.list")},
		"reading the top list":  {path("list.domains"), "--log", path("l.jsonl"), "--top", path("none.csv")},
		"allow.csv cannot be":   {path("list.domains"), "--log", path("l.jsonl"), "--allow", path("allow.csv")},
		"list.domains cannot b": {path("list.domains"), "--log", path("l.jsonl"), "--format", "zone"},
	} {
		_, status, said := foretell(t, t.Context(), nil, args...)
		if status == 0 || !strings.Contains(said, want) {
			t.Errorf("%q: status %d, said %q; want %q", args, status, said, want)
		}
	}
}

// TestForecastOfAnAllowedZone: what stands in an RPZ file only because other names lie below it is not a name of it.
func TestForecastOfAnAllowedZone(t *testing.T) {
	dir := forecastDir(t, map[string]string{
		"allow.rpz": "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nwww.evil.example CNAME rpz-passthru.\nother.example CNAME rpz-passthru.\n",
		"l.jsonl":   logLine("192.0.2.1", "other.example") + logLine("192.0.2.1", "evil.example"),
	})
	a, status, said := foretell(t, t.Context(), nil, filepath.Join(dir, "list.domains"), "--log", filepath.Join(dir, "l.jsonl"), "--allow", filepath.Join(dir, "allow.rpz"))
	if status != 0 || len(a.Lists) != 1 || a.Lists[0].Stopped != 1 || a.Lists[0].First[0].Name != "other.example" || a.Matched.Allow != 1 {
		t.Errorf("status %d, lists %+v, matched %+v; %s", status, a.Lists, a.Matched, said)
	}
}

func TestTopNames(t *testing.T) {
	for line, want := range map[string]string{
		"1,a.example": "a.example", "17, a.example,com": "a.example", `"1","a.example"`: "a.example", "a.example": "a.example", "a.example,5": "a.example",
		"rank,domain": "", "": "", "5": "", "1,": "",
	} {
		if got := string(topName([]byte(line))); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
