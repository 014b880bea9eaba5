package rpz

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"cenote/dnsname"
	"cenote/wire"
)

// WriteMaster writes the zone as a master file (RFC 1035 section 5), with whole names. comment, of one line, comes first.
func (g *Generator) WriteMaster(to io.Writer, serial uint32, comment string) error {
	w := bufio.NewWriterSize(to, 1<<16)
	_, _ = fmt.Fprintf(w, "; %s\n", comment)
	var line []byte
	for _, r := range Apex(g.apex, serial) {
		line = appendRecord(line[:0], &r)
		_, _ = w.Write(line)
	}
	var err error
	for r := range g.Records() {
		line = appendRecord(line[:0], &r)
		if _, err = w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// appendRecord appends a record as one line of a master file.
func appendRecord(b []byte, r *Record) []byte {
	b = appendName(b, r.Owner)
	b = strconv.AppendUint(append(b, ' '), uint64(r.TTL), 10)
	b = append(b, " IN "...)
	b = append(wire.AppendType(b, r.Type), ' ')
	return append(appendData(b, r.Type, r.Data), '\n')
}

// appendName appends a name with its final dot.
func appendName(b, name []byte) []byte {
	if name[0] == 0 {
		return append(b, '.')
	}
	return append(dnsname.AppendText(b, name), '.')
}

// appendData appends the data of a record: of the types that policies are made of as everybody writes them, of others as RFC 3597 section 5 has it.
func appendData(b []byte, rtype uint16, data []byte) []byte {
	switch rtype {
	case wire.TypeA, wire.TypeAAAA:
		if addr, ok := netip.AddrFromSlice(data); ok {
			return addr.AppendTo(b)
		}
	case wire.TypeCNAME, wire.TypeNS:
		if n, _, err := dnsname.Check(data); err == nil && n == len(data) {
			return appendName(b, data)
		}
	case wire.TypeSOA:
		if at := len(data) - 20; at > 0 {
			return appendSOA(b, data, at)
		}
	}
	return fmt.Appendf(b, `\# %d %x`, len(data), data)
}

func appendSOA(b, data []byte, numbers int) []byte {
	n, _, _ := dnsname.Check(data)
	b = appendName(b, data[:n])
	b = appendName(append(b, ' '), data[n:numbers])
	for i := numbers; i < len(data); i += 4 {
		b = strconv.AppendUint(append(b, ' '), uint64(binary.BigEndian.Uint32(data[i:])), 10)
	}
	return b
}
