package resolver

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"

	"cenote/wire"
)

// secure wraps a connection to an upstream that is asked by TLS (RFC 7858), whose certificate must be for the name that it is known by: without
// that nobody is asked (RFC 8310 section 5, strict).
func (x *exchange) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if x.up.TLS == "" {
		return conn, nil
	}
	c := tls.Client(conn, &tls.Config{
		ServerName: x.up.TLS, RootCAs: x.s.config.Roots, MinVersion: tls.VersionTLS12, ClientSessionCache: x.up.sessions,
		NextProtos: []string{"dot"},
	})
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// sessionsMax is how many TLS sessions of one upstream are kept to be resumed.
const sessionsMax = 4

// paddingBlock is what the length of an encrypted query is a multiple of, so that it tells less (RFC 7830, RFC 8467 section 4.1).
const paddingBlock = 128

// pad appends the padding option to the OPT record at the end of a query.
func pad(query []byte, opt int) []byte {
	size := len(query) + 4
	fill := (paddingBlock - size%paddingBlock) % paddingBlock
	query = wire.AppendOption(query, wire.OptionPadding, make([]byte, fill))
	binary.BigEndian.PutUint16(query[opt+wire.OPTLen-2:], uint16(len(query)-opt-wire.OPTLen))
	return query
}
