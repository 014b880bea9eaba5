package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"

	"cenote/wire"
)

// upstream answers every question, over UDP and TCP: A with truthAddr, all else with no data. It is asked for each name once, before anything
// is measured; or by a load of misses for each query, as the server of a zone. Then it shares the load's core.
type upstream struct {
	addr  string
	asked atomic.Uint64 // queries that were answered
}

// truthAddr is what the upstream answers for every name.
var truthAddr = [4]byte{192, 0, 2, 77}

// sinkAddr is what the server answers for listed names.
var sinkAddr = [4]byte{192, 0, 2, 53}

// startUpstream serves until the context ends.
func startUpstream(ctx context.Context) (*upstream, error) {
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 53, 1)})
	if err != nil {
		return nil, err
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		packets.Close()
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		packets.Close()
		streams.Close()
	})
	u := &upstream{addr: packets.LocalAddr().String()}
	go u.servePackets(packets)
	go u.serveStreams(streams)
	return u, nil
}

func (u *upstream) servePackets(conn *net.UDPConn) {
	buf := make([]byte, 4096)
	for {
		n, peer, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if reply := truth(buf[:n]); reply != nil {
			u.asked.Add(1)
			conn.WriteToUDPAddrPort(reply, peer)
		}
	}
}

func (u *upstream) serveStreams(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go u.serveStream(conn)
	}
}

// serveStream answers the queries of one connection, in order, until the peer closes it.
func (u *upstream) serveStream(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		var size [2]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(in, msg); err != nil {
			return
		}
		reply := truth(msg)
		if reply == nil {
			return
		}
		u.asked.Add(1)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// truth makes the upstream's reply.
func truth(msg []byte) []byte {
	var q wire.Query
	if q.Parse(msg) != wire.FaultNone {
		return nil
	}
	const ttl = 86400
	reply := make([]byte, 0, 512)
	reply = binary.BigEndian.AppendUint16(reply, q.ID)
	if msg[2]&1 != 0 { // RD
		reply = append(reply, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	} else {
		reply = append(reply, 0x84, 0x00, 0, 1, 0, 0, 0, 0, 0, 0)
	}
	reply = append(reply, q.Question...)
	if q.Type == wire.TypeA {
		wire.SetCount(reply, 1, 1)
		reply = wire.AppendRecord(reply, []byte{0xc0, wire.HeaderLen}, wire.TypeA, wire.ClassIN, ttl, truthAddr[:])
	} else {
		wire.SetCount(reply, 2, 1)
		soa := append([]byte{0, 0}, make([]byte, 20)...)
		binary.BigEndian.PutUint32(soa[18:], ttl)
		reply = wire.AppendRecord(reply, []byte{0}, wire.TypeSOA, wire.ClassIN, ttl, soa)
	}
	if q.OPT.Present {
		wire.SetCount(reply, 3, 1)
		reply = wire.AppendOPT(reply, wire.UDPSafe, 0, q.OPT.DO, nil)
	}
	return reply
}
