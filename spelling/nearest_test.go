package spelling_test

import (
	"strconv"
	"strings"
	"testing"

	"cenote/spelling"
)

func TestNearest(t *testing.T) {
	words := []string{"sinkhole", "nxdomain", "nodata", "passthru", "drop", "tcp-only", "error"}
	for word, want := range map[string]string{
		"sinkole": "sinkhole", "NXDOMAIN": "nxdomain", "passthrough": "passthru", "tcp_only": "tcp-only", "dorp": "drop", "block": "", "err": "error", "": "",
	} {
		if got := spelling.Nearest(word, words); got != want {
			t.Errorf("Nearest(%q): got %q, want %q", word, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	words := []string{"udp", "tcp", "tls"}
	for word, want := range map[string]string{"tpc": `did you mean "tcp"?`, "carrier pigeon": "known here: tcp, tls, udp"} {
		if got := spelling.Hint(word, words); got != want {
			t.Errorf("Hint(%q): got %q, want %q", word, got, want)
		}
	}
	if got := spelling.Hint("carrier pigeon", nil); got != "" {
		t.Errorf("of no words: got %q", got)
	}
}

func TestKnown(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, "feed-"+strconv.Itoa(i))
	}
	for name, c := range map[string]struct {
		known []string
		want  string
	}{
		"none":    {nil, "there is none here"},
		"few":     {[]string{"b", "a"}, "known here: a, b"},
		"feed-x1": {[]string{"feed-1"}, `did you mean "feed-1"? known here: feed-1`},
	} {
		if got := spelling.Known(name, c.known); got != c.want {
			t.Errorf("Known(%q): got %q, want %q", name, got, c.want)
		}
	}
	if got := spelling.Known("block", many); !strings.HasPrefix(got, "100 are known here, such as feed-0, feed-1, feed-10, ") || len(strings.Split(got, ", ")) != 31 {
		t.Errorf("of many: %q", got)
	}
}
