package wire_test

import (
	"testing"

	"github.com/miekg/dns"

	"cenote/wire"
)

// TestTypesAreReadAsWritten: every type is read as it is written, and no name is another one than everybody's.
func TestTypesAreReadAsWritten(t *testing.T) {
	for n := range 1 << 16 {
		text := string(wire.AppendType(nil, uint16(n)))
		if got, err := wire.ParseType(text); err != nil || got != uint16(n) {
			t.Fatalf("%s is read as %d, %v, want %d", text, got, err, n)
		}
		if name := wire.TypeMnemonic(uint16(n)); name != "" && dns.StringToType[name] != uint16(n) {
			t.Errorf("%d is called %s", n, name)
		}
	}
	for text, want := range map[string]uint16{"aaaa": 28, "https": 65, "type65": 65, "28": 28} {
		if got, err := wire.ParseType(text); err != nil || got != want {
			t.Errorf("%s is read as %d, %v, want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "TYPE", "TYPE65536", "-1", "BOGUS", "A A"} {
		if got, err := wire.ParseType(bad); err == nil {
			t.Errorf("%q is read as %d", bad, got)
		}
	}
}
