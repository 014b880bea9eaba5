package dnstest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Network is a network of a test's own, that nobody else is in and that leads nowhere: all addresses and ports of loopback are free in it.
// OwnNetwork makes one.
type Network struct {
	tb    testing.TB
	file  *os.File // stands for its name space
	added int      // addresses
}

// loopbackMTU is how much the loopback of a machine takes at a time.
const loopbackMTU = 65536

// OwnNetwork gives this goroutine, the sockets that it opens, and the processes that it starts a network of their own, whose only link is loopback
// and takes mtu octets at a time; 0 for as many as loopback has otherwise. The thread is never used for anything else. Other goroutines enter by
// Network.Run. Without the right to it the test is skipped.
func OwnNetwork(tb testing.TB, mtu uint32) *Network {
	tb.Helper()
	if mtu == 0 {
		mtu = loopbackMTU
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		tb.Skip("only root may make a network namespace")
	} else if err != nil {
		tb.Fatal(err)
	}
	if err := loopbackUp(mtu); err != nil {
		tb.Fatal(err)
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	return &Network{tb: tb, file: file}
}

// loopbackUp turns loopback on.
func loopbackUp(mtu uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint32(mtu)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, req); err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// Add gives the network one more address, of IPv4, from which clients may ask.
func (n *Network) Add(addr netip.Addr) {
	n.tb.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		n.tb.Fatal(err)
	}
	defer unix.Close(fd)
	n.added++
	req, err := unix.NewIfreq(fmt.Sprint("lo:", n.added))
	if err == nil {
		err = req.SetInet4Addr(addr.AsSlice())
	}
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCSIFADDR, req)
	}
	if err != nil {
		n.tb.Fatal("adding ", addr, ": ", err)
	}
}

// Run calls work n times side by side, in goroutines that are in the network, and returns when all have returned.
func (n *Network) Run(times int, work func()) {
	n.tb.Helper()
	var running sync.WaitGroup
	for range times {
		running.Go(func() {
			runtime.LockOSThread() // for ever: the thread ends with the goroutine
			if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
				n.tb.Errorf("entering the network: %v", err)
				return
			}
			work()
		})
	}
	running.Wait()
}
