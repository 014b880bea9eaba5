package main

import (
	"testing"

	"cenote/blocklist"
)

func TestEveryReasonHasAHint(t *testing.T) {
	for r := blocklist.ReasonNone + 1; r <= blocklist.ReasonHeld; r++ {
		if hint(r) == "" {
			t.Errorf("%s has no hint", r)
		}
	}
}
