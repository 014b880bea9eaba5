package spelling_test

import (
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
