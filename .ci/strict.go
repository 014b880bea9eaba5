//go:build ignore

// Strict runs `go test` with the arguments it is given and fails if a test was skipped. It prints what failed as it comes, then the
// tests that were skipped, with their reasons, those that took longest, and at the end the lines that `go test` prints.
//
//	go run .ci/strict.go -timeout 15m ./...
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// An event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// A run gathers what was printed by each test until it is known whether it is wanted.
type run struct {
	output   map[string][]string // by package and test
	packages []string            // the lines of go test, one a package
	skipped  []string
	passed   int
	failed   int
	longest  []event // tests that are no part of another
}

// shown is how many of the tests that took longest are told.
const shown = 25

func main() {
	r := &run{output: map[string][]string{}}
	err := r.test(os.Args[1:])
	fmt.Printf("\n%d tests passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	for _, s := range r.skipped {
		fmt.Println("SKIPPED " + s)
	}
	if len(r.skipped) > 0 {
		fmt.Println("in strict mode every test must run")
	}
	r.tell()
	fmt.Print(strings.Join(r.packages, ""))
	if err != nil || r.failed > 0 || len(r.skipped) > 0 {
		fmt.Println("FAIL")
		os.Exit(1)
	}
}

// tell prints which tests took longest, those that wait for others of their package included.
func (r *run) tell() {
	slices.SortFunc(r.longest, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range r.longest[:min(shown, len(r.longest))] {
		fmt.Printf("%7.1f s  %s %s\n", e.Elapsed, e.Package, e.Test)
	}
}

func (r *run) test(args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text()) // not an event: the go command's own word
			continue
		}
		r.take(e)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return cmd.Wait()
}

func (r *run) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		r.keep(e, key)
	case "pass":
		r.count(e, &r.passed)
		if e.Test != "" && !strings.Contains(e.Test, "/") {
			r.longest = append(r.longest, e)
		}
		delete(r.output, key)
	case "fail":
		r.count(e, &r.failed)
		r.show(e)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, key+reason(r.output[key]))
		}
		delete(r.output, key)
	}
}

// keep keeps a line of a test until it is known how the test ends, and the lines of packages until the end.
func (r *run) keep(e event, key string) {
	switch {
	case e.Test != "":
		r.output[key] = append(r.output[key], e.Output)
	case strings.Contains(e.Output, "\t"+e.Package):
		r.packages = append(r.packages, e.Output)
	case strings.TrimSpace(e.Output) != "PASS":
		fmt.Print(e.Output)
	}
}

// show prints what a failed test said; of a package that failed, also what tests said that never ended, as in a panic.
func (r *run) show(e event) {
	for key, lines := range r.output {
		if key == e.Package+" "+e.Test || e.Test == "" && strings.HasPrefix(key, e.Package+" ") {
			fmt.Print(strings.Join(lines, ""))
			delete(r.output, key)
		}
	}
}

// count counts tests, not packages.
func (r *run) count(e event, n *int) {
	if e.Test != "" {
		*n++
	}
}

// reason is what the test said before it was skipped.
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return ": " + line
		}
	}
	return ""
}
