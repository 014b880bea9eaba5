package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"cenote/wire"
)

// transferred is what came of a zone.
type transferred struct{ records, octets int }

// transferMax is how long a transfer may take.
const transferMax = 2 * time.Minute

// axfr takes a zone whole, and counts what comes. It looks into the last message alone, which ends with the SOA record: reading must not be what takes
// the time.
func axfr(ctx context.Context, addr string, at int, name string) (got transferred, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(addr, strconv.Itoa(at)))
	if err != nil {
		return got, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(transferMax))
	query, err := encodeQuery(name, wire.TypeAXFR)
	if err != nil {
		return got, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return got, err
	}
	in := bufio.NewReaderSize(conn, 1<<18)
	msg := make([]byte, wire.MessageMax)
	for {
		var size [2]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return got, err
		}
		msg = msg[:binary.BigEndian.Uint16(size[:])]
		if _, err := io.ReadFull(in, msg); err != nil {
			return got, err
		}
		if len(msg) < wire.HeaderLen || wire.Rcode(msg) != wire.RcodeSuccess {
			return got, errors.New("it refuses to send the zone")
		}
		first := got.records == 0
		got.records += wire.Count(msg, 1)
		got.octets += len(msg)
		if endsWithSOA(msg) && (!first || wire.Count(msg, 1) > 1) {
			return got, nil
		}
	}
}

// soaTail is how many octets there are at least from the type of an SOA record to its end.
const soaTail = 10 + 2 + 2 + 20

// endsWithSOA says whether the last record of a message is of type SOA. Only a message that is likely to end so is gone through.
func endsWithSOA(msg []byte) bool {
	if len(msg) < wire.HeaderLen+soaTail || !hasTimers(msg[len(msg)-16:]) {
		return false
	}
	last := uint16(0)
	records, err := wire.Records(msg)
	for err == nil && records.Next() {
		if records.Section == wire.SectionAnswer {
			last = records.Type
		}
	}
	return last == wire.TypeSOA
}

// hasTimers says whether octets are the times that all zones of the measurement have in their SOA records.
func hasTimers(b []byte) bool {
	return binary.BigEndian.Uint32(b) == 3600 || binary.BigEndian.Uint32(b[8:]) >= 86400
}

// serialAt asks a server for the serial of a zone.
func serialAt(addr string, at int, name string) (serial uint32, ok bool) {
	conn, err := net.Dial("udp", net.JoinHostPort(addr, strconv.Itoa(at)))
	if err != nil {
		return 0, false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	query, err := encodeQuery(name, wire.TypeSOA)
	if err != nil {
		return 0, false
	}
	reply := make([]byte, 4096)
	if _, err := conn.Write(query); err != nil {
		return 0, false
	}
	n, err := conn.Read(reply)
	if err != nil || n < wire.HeaderLen || wire.Rcode(reply) != wire.RcodeSuccess {
		return 0, false
	}
	records, err := wire.Records(reply[:n])
	for err == nil && records.Next() {
		if records.Type == wire.TypeSOA && records.Section == wire.SectionAnswer {
			return binary.BigEndian.Uint32(reply[records.Offset()-20:]), true
		}
	}
	return 0, false
}
