package tsig_test

import (
	"encoding/base64"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"
	"cenote/tsig"
	"cenote/wire"
)

// TestPeersJudgeSignatures: dig and kdig sign what is right here, take what was signed here, and see what is wrong.
func TestPeersJudgeSignatures(t *testing.T) {
	for _, name := range []string{"dig", "kdig"} {
		program := dnstest.Program(t, name)
		for _, algorithm := range []tsig.Algorithm{tsig.HMACSHA256, tsig.HMACSHA384, tsig.HMACSHA512} {
			t.Run(name+"/"+algorithm.String(), func(t *testing.T) {
				key := testKey(algorithm)
				judge(t, program, key, false, "status: NOERROR", "NOERROR")
				judge(t, program, key, true, "BADSIG", "")
			})
		}
	}
}

// judge has a program ask a server that knows key, with the same secret or a wrong one, and looks for one of two texts in what it prints.
func judge(t *testing.T, program string, key tsig.Key, wrong bool, want, record string) {
	t.Helper()
	seen := make(chan tsig.Fault, 10)
	port := serveSigned(t, keysOf(t, key), seen)
	secret := key.Secret
	if wrong {
		secret = []byte("this is another secret, you see.")
	}
	out, err := exec.Command(program, "@127.0.0.1", "-p", port, "-y", key.Algorithm.String()+":"+key.Name.String()+":"+base64.StdEncoding.EncodeToString(secret),
		"corp.example", "SOA", "+time=20").CombinedOutput()
	text := string(out)
	if len(seen) == 0 {
		t.Fatalf("%s asked nothing, exited with %v and said:\n%s", program, err, text)
	}
	fault := <-seen
	if (fault == tsig.FaultNone) == wrong || !wrong && err != nil {
		t.Errorf("%v; it exits with %v and says:\n%s", fault, err, text)
	}
	for _, bad := range []string{"ouldn't verify", "erification fail", "TSIG error", "bad signature"} {
		if !wrong && strings.Contains(text, bad) {
			t.Errorf("it says:\n%s", text)
		}
	}
	if !strings.Contains(text, want) || record != "" && !strings.Contains(text, record) {
		t.Errorf("it does not say %q:\n%s", want, text)
	}
}

// serveSigned answers the first datagram as a server does that knows keys, and returns the port.
func serveSigned(t *testing.T, keys *tsig.Keys, seen chan<- tsig.Fault) (port string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		var buf [wire.MessageMax]byte
		for {
			n, from, err := c.ReadFrom(buf[:])
			if err != nil {
				return
			}
			now := time.Now()
			s, fault := keys.Verify(buf[:n], now, nil)
			seen <- fault
			if s.Len == 0 {
				continue
			}
			var q wire.Query
			q.Parse(buf[:n])
			reply := make([]byte, wire.HeaderLen, 512)
			copy(reply, buf[:2])
			rcode, _ := fault.Rcode()
			wire.SetFlags(reply, wire.FlagQR|wire.FlagAA|uint16(rcode))
			wire.SetCount(reply, 0, 1)
			_, _ = c.WriteTo(tsig.SignReply(append(reply, q.Question...), &s, fault, now), from)
		}
	}()
	_, port, _ = net.SplitHostPort(c.LocalAddr().String())
	return port
}
