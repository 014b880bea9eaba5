package tsig_test

import (
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
	"cenote/wire"
)

// TestSumIsOfWhatWasSigned holds that a message which somebody else sends again, with all different that no signature is of, has the sum that it had, and that
// one which is signed again has another.
func TestSumIsOfWhatWasSigned(t *testing.T) {
	key, at := &tsig.Key{Name: dnsname.MustParse("key.example").Canonical(), Algorithm: tsig.HMACSHA256, Secret: make([]byte, 32)}, time.Unix(1700000000, 0)
	keys, err := tsig.NewKeys(*key)
	if err != nil {
		t.Fatal(err)
	}
	plain := append(make([]byte, wire.HeaderLen, 512), "\x07example\x00\x00\x06\x00\x01"...)
	wire.SetID(plain, 7)
	wire.SetCount(plain, 0, 1)
	sum := func(msg []byte) [32]byte {
		t.Helper()
		s, fault := keys.Verify(msg, at, nil)
		if fault != tsig.FaultNone {
			t.Fatal(fault)
		}
		return s.Sum(msg)
	}
	signed, _ := tsig.Sign(append([]byte(nil), plain...), key, at, nil)
	want := sum(signed)
	for what, change := range map[string]func(msg []byte) []byte{
		"another id":   func(msg []byte) []byte { wire.SetID(msg, 8); return msg },
		"another case": func(msg []byte) []byte { msg[len(plain)+1] ^= 0x20; return msg },
		"a name that is compressed": func(msg []byte) []byte {
			out := append(append(msg[:len(plain):len(plain)], 3, 'k', 'e', 'y', 0xc0, wire.HeaderLen), msg[len(plain)+len(key.Name):]...)
			return out
		},
	} {
		if got := sum(change(append([]byte(nil), signed...))); got != want {
			t.Errorf("%s: another sum", what)
		}
	}
	if again, _ := tsig.Sign(append([]byte(nil), plain...), key, at.Add(time.Second), nil); sum(again) == want {
		t.Error("what is signed again has the same sum")
	}
}
