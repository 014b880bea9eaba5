package pace_test

import (
	"net"
	"runtime"
	"testing"

	"cenote/pace"
)

// reader is a goroutine that waits for datagrams.
type reader struct {
	to  net.Conn
	got chan struct{}
}

func newReader(t *testing.T) *reader {
	t.Helper()
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	to, err := net.Dial("udp4", in.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	r := &reader{to, make(chan struct{}, 1)}
	go func() {
		for b := make([]byte, 16); ; r.got <- struct{}{} {
			if _, err := in.Read(b); err != nil {
				return
			}
		}
	}()
	return r
}

// TestTurnIsEverybodys: a goroutine that never waits but gives turns lets one that is ready go on within one, and within two one for which something came in
// the network meanwhile: the first in which it is woken, and the next if that was the last of what the poller knew. The system may have taken the processor
// from the reader's thread before it waits, so that a few of many rounds tell nothing.
func TestTurnIsEverybodys(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // nobody else looks at the network
	turn := pace.NewTurn()
	defer turn.Close()
	r := newReader(t)
	const rounds = 50
	unseen, unready := 0, 0
	for range rounds {
		turn.Give() // the reader waits
		if _, err := r.to.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		turn.Give()
		turn.Give()
		unseen += missed(r.got)
		ready := make(chan struct{}, 1)
		go func() { ready <- struct{}{} }()
		turn.Give()
		unready += missed(ready)
	}
	if unseen > rounds/2 {
		t.Errorf("what came for another goroutine was not looked at %d times of %d", unseen, rounds)
	}
	if unready > rounds/2 {
		t.Errorf("a goroutine that was ready had no turn %d times of %d", unready, rounds)
	}
}

// missed takes what was to be there by now, and is 1 if it was not.
func missed(got <-chan struct{}) int {
	select {
	case <-got:
		return 0
	default:
		<-got
		return 1
	}
}

// TestTurnEndsWhereNobodyIsReady: it needs nobody else to come back, and allocates nothing.
func TestTurnEndsWhereNobodyIsReady(t *testing.T) {
	turn := pace.NewTurn()
	defer turn.Close()
	turn.Give()
	if n := testing.AllocsPerRun(1000, turn.Give); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
}

// TestTurnThatIsClosedRests: a turn that cannot be had from the poller is a short rest.
func TestTurnThatIsClosedRests(t *testing.T) {
	turn := pace.NewTurn()
	turn.Close()
	turn.Give()
}

// BenchmarkTurn is one turn where nobody is ready.
func BenchmarkTurn(b *testing.B) {
	turn := pace.NewTurn()
	defer turn.Close()
	for b.Loop() {
		turn.Give()
	}
}
