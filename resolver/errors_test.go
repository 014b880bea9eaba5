package resolver_test

import (
	"testing"

	"cenote/resolver"
)

// TestSilenceIsToldWhateverAnotherServerSaid: where a server was silent until the time was over, that is told (EDE 22), and what another one said is in the reason.
func TestSilenceIsToldWhateverAnotherServerSaid(t *testing.T) {
	for _, said := range []error{resolver.ErrChain, resolver.ErrMalformed, resolver.ErrUnrelated, resolver.ErrTooMany, resolver.ErrReferral, resolver.ErrRcode, resolver.ErrTimeout} {
		if got := resolver.LateCode(said); got != 22 {
			t.Errorf("%v: got extended error %d, want 22", said, got)
		}
	}
}
