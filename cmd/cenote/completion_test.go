package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestCompletion presses the tabulator: a shell asks the program itself what may come next.
func TestCompletion(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"cenote sig":                "sightings",
		"cenote rel":                "reload",
		"cenote pro":                "profile",
		"cenote explain --cl":       "--client",
		"cenote sightings ":         "export",
		"cenote sightings list --f": "--family",
		"cenote sightings --f":      "--family", // those of list, which is the default
		"cenote sightings --json ":  "erase",
		"cenote feeds ":             "rollback",
		"cenote feeds --j":          "--json", // those of list, which is the default
		"cenote feeds diff --l":     "--limit",
		"cenote forecast --t":       "--top",
		"cenote resolve --t":        "--trace",
		"cenote cache ":             "flush",
		"cenote cache flush --s":    "--subtree",
		"cenote zones ":             "freeze",
		"cenote zones --j":          "--json", // those of list, which is the default
		"cenote zones diff --j":     "--json",
		"cenote held --state ":      "held",
		"cenote completion ":        "fish",
		"cenote anc":                "anchors",
	} {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), "CENOTE_TEST_AS_CENOTE=1", "COMP_LINE="+line, "COMP_POINT="+strconv.Itoa(len(line)))
		out, err := cmd.Output()
		if strings.Contains("\n"+string(out), "\n\n") {
			t.Errorf("%q: got %q, an empty word among them", line, out)
		}
		if words := strings.Fields(string(out)); err != nil || !strings.Contains(" "+strings.Join(words, " ")+" ", " "+want+" ") {
			t.Errorf("%q: got %q, %v; want %s among them", line, words, err, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out, errOut strings.Builder
		if status := run([]string{"completion", "-c", shell}, strings.NewReader(""), &out, &errOut); status != 0 || !strings.Contains(out.String(), "cenote") {
			t.Errorf("%s: status %d, %q, %q", shell, status, out.String(), errOut.String())
		}
	}
}
