package resolver

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ignorePathMTU makes a socket deaf to forged reports of a small path MTU, with which others can make queries and replies come in
// fragments, whose content is easier to forge. A kernel that does not know the option goes without.
func ignorePathMTU(network, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		if strings.HasSuffix(network, "6") {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
		} else {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
		}
	})
}
