package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestProfileIsWritten: what the command writes is a profile that the tools read.
func TestProfileIsWritten(t *testing.T) {
	dir := t.TempDir()
	startServer(t, dir, "state: "+dir+"/state\nlisten: [{address: 127.0.0.1:0}]\n")
	conf, file := filepath.Join(dir, "cenote.yaml"), filepath.Join(dir, "heap.pprof")
	ask := func(args ...string) (int, string, string) {
		var out, errOut strings.Builder
		status := run(append([]string{"profile", "--config", conf}, args...), strings.NewReader(""), &out, &errOut)
		return status, out.String(), errOut.String()
	}
	status, out, errOut := ask("--kind", "heap", "--output", file)
	if status != 0 || !strings.Contains(out, "go tool pprof -top "+file) {
		t.Fatalf("status %d, %q, %q", status, out, errOut)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := profile.ParseData(b); err != nil || len(p.Sample) == 0 {
		t.Errorf("the file is no profile: %v", err)
	}
	if status, out, errOut = ask("--kind", "goroutine", "--output", "-"); status != 0 {
		t.Errorf("to standard output: status %d, %q", status, errOut)
	} else if p, err := profile.ParseData([]byte(out)); err != nil || !strings.Contains(p.String(), "(*server).run") {
		t.Errorf("standard output is no profile of the server: %v", err)
	}
	for _, args := range [][]string{{"--seconds", "0"}, {"--seconds", "301"}, {"--kind", "moon"}, {"--kind", "heap", "--output", filepath.Join(dir, "none", "x")}} {
		if status, _, errOut := ask(args...); status == 0 || errOut == "" {
			t.Errorf("%q: status %d, %q; want a refusal", args, status, errOut)
		}
	}
}
