package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// completionConfig has names to offer, and a fault: the file may be in the middle of being edited.
const completionConfig = `
keys: [{name: branch.example, secret_file: nowhere}]
zones: [{name: corp.example, file: corp}, {name: taken.example, primaries: [{address: 192.0.2.1}]}]
feeds: [{name: block, path: b}, {name: other, path: o, form: hosts}]
policy:
  zones: [{name: main, feeds: [block]}]
  views: [{name: kids, zones: [{name: own, feeds: [other]}]}]
`

// TestCompletion presses the tabulator: a shell asks the program itself what may come next.
func TestCompletion(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "cenote.yaml")
	if err := os.WriteFile(conf, []byte(completionConfig), 0o600); err != nil {
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
	for line, want := range map[string]string{
		"cenote reload ":                         "block corp.example other",
		"cenote reload ot":                       "other",
		"cenote reload block ":                   "corp.example other", // not what is there already
		"cenote reload --force block ot":         "other",
		"cenote reload --force co":               "corp.example",
		"cenote reload other --json block ":      "corp.example",
		"cenote forecast bl":                     "block",
		"cenote forecast default":                "default.pgo",
		"cenote forecast --log x block default":  "default.pgo",
		"cenote export rpz --feed ot":            "other",
		"cenote feeds diff block ":               "", // copies, which the configuration does not know
		"cenote keys roll corp.example ":         "",
		"cenote feeds diff ":                     "block other",
		"cenote feeds history o":                 "other",
		"cenote held --feed ":                    "block other",
		"cenote sightings --feed ":               "block other",
		"cenote sightings --zone ":               "kids/own main",
		"cenote export rpz --view ":              "kids",
		"cenote explain --key ":                  "branch.example",
		"cenote zones freeze ":                   "corp.example taken.example",
		"cenote keys roll ":                      "corp.example taken.example",
		"cenote reload -c " + conf + " ":         "block corp.example other",
		"cenote reload --config " + conf + " ot": "other",
		"cenote reload --config=" + conf + " ot": "other",
	} {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), "CENOTE_TEST_AS_CENOTE=1", "COMP_LINE="+line, "COMP_POINT="+strconv.Itoa(len(line)))
		if !strings.Contains(line, conf) {
			cmd.Env = append(cmd.Env, "CENOTE_CONFIG="+conf)
		}
		out, err := cmd.Output()
		words := slices.DeleteFunc(strings.Fields(string(out)), func(w string) bool { return strings.HasPrefix(w, "-") })
		slices.Sort(words)
		if got := strings.Join(words, " "); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q, of the configuration", line, got, err, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out, errOut strings.Builder
		if status := run([]string{"completion", "-c", shell}, strings.NewReader(""), &out, &errOut); status != 0 || !strings.Contains(out.String(), "cenote") {
			t.Errorf("%s: status %d, %q, %q", shell, status, out.String(), errOut.String())
		}
	}
}
