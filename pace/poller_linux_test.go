package pace_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"cenote/pace"
)

// TestNetworkIsLookedAt: what has come for a goroutine that waits for it is seen before the scheduler has found it, and no longer afterwards.
func TestNetworkIsLookedAt(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that nobody else looks at the network while this goroutine has the only processor
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := net.DialUDP("udp4", nil, in.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	got := make(chan struct{})
	go func() {
		for b := make([]byte, 16); ; got <- struct{}{} {
			if _, err := in.Read(b); err != nil {
				close(got)
				return
			}
		}
	}()
	seen, unseen := 0, 0
	for deadline := time.Now().Add(30 * time.Second); seen == 0 || unseen == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("what had come was seen %d times, and that nothing had %d times", seen, unseen)
		}
		time.Sleep(time.Millisecond) // the other goroutine waits
		if !pace.NetworkWaits() {
			unseen++
		}
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if pace.NetworkWaits() {
			seen++
		}
		<-got
	}
}
