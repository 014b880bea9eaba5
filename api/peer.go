package api

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// peerKey is where the context of a request keeps who asks over the Unix socket.
type peerKey struct{}

// withPeer notes who is at the other end of a connection, as the kernel says.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	if held, ok := conn.(*slotConn); ok {
		conn = held.Conn
	}
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peerName(local))
}

// peerName is the name of the user who opened the connection, or the number where it has none; "" if the kernel does not say.
func peerName(conn *net.UnixConn) string {
	raw, err := conn.SyscallConn()
	if err != nil {
		return ""
	}
	var peer *unix.Ucred
	err = raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || peer == nil {
		return ""
	}
	uid := strconv.FormatUint(uint64(peer.Uid), 10)
	if known, err := user.LookupId(uid); err == nil {
		return known.Username
	}
	return "user " + uid
}

// who names whoever asks: as the kernel says, and before it the name that they give themselves, if it is another one.
func who(ctx context.Context, given string) string {
	peer, _ := ctx.Value(peerKey{}).(string)
	peer = cmp.Or(peer, "somebody")
	if given == "" || given == peer {
		return peer
	}
	return fmt.Sprintf("%s (as %s)", given, peer)
}
