package tsig_test

import (
	"bytes"
	"testing"

	"cenote/tsig"
)

// FuzzVerify reads arbitrary octets: no panic, nothing is changed, nobody without the secret gets past it, and what is said in reply is a message.
func FuzzVerify(f *testing.F) {
	key := testKey(tsig.HMACSHA256)
	request, mac := tsig.Sign(question(), &key, day, nil)
	f.Add(request)
	f.Add(question())
	for _, v := range vectors(f) {
		f.Add(v.messages[0])
	}
	ks := keysOf(f, key)
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		s, fault := ks.Verify(msg, day, nil)
		if !bytes.Equal(msg, before) {
			t.Fatal("the message was changed")
		}
		if fault == tsig.FaultNone && !bytes.Equal(s.MAC, mac) {
			t.Fatalf("signed without the secret: %x", msg)
		}
		if s.Len > len(msg) {
			t.Fatalf("%d octets of %d without the record", s.Len, len(msg))
		}
		reply := tsig.SignReply(question(), &s, fault, day)
		if _, verdict := key.Verify(reply, day, s.MAC); verdict == tsig.FaultFormat {
			t.Fatalf("the reply to %v: %v: %x", fault, verdict, reply)
		}
	})
}

// FuzzStreamVerifier reads arbitrary octets as the second message of a transfer: what has no signature settles nothing, and a fault stays.
func FuzzStreamVerifier(f *testing.F) {
	key := testKey(tsig.HMACSHA256)
	_, mac := tsig.Sign(question(), &key, day, nil)
	f.Add(question())
	signer := tsig.NewStreamSigner(&key, mac)
	first := signer.Sign(question(), day)
	second := signer.Sign(question(), day)
	f.Add(second)
	f.Add(first)
	f.Fuzz(func(t *testing.T, msg []byte) {
		v := tsig.NewStreamVerifier(&key, mac)
		if _, fault := v.Next(first, day); fault != tsig.FaultNone || !v.Settled() {
			t.Fatal(fault)
		}
		s, fault := v.Next(msg, day)
		switch {
		case s.Len > len(msg):
			t.Fatalf("%d octets of %d without the record", s.Len, len(msg))
		case v.Settled() && !bytes.Equal(s.MAC, second[len(second)-6-len(s.MAC):len(second)-6]):
			t.Fatalf("settled without the secret: %x", msg)
		case fault != tsig.FaultNone && v.Done() != fault:
			t.Fatalf("%v, and then %v", fault, v.Done())
		}
	})
}
