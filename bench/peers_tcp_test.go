package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/wire"
)

// tcpEcho serves each connection with serve, and returns a load that asks it for what the questions are.
func tcpEcho(t *testing.T, questions string, serve func(net.Conn)) tcpLoad {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	path := filepath.Join(t.TempDir(), "questions")
	if err := os.WriteFile(path, []byte(questions), 0o600); err != nil {
		t.Fatal(err)
	}
	return tcpLoad{Server: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Queries: path, Seconds: 0.1, Conns: 3, Window: 8}
}

// readMessage reads one message of a connection; nil at its end.
func readMessage(in io.Reader) []byte {
	var size [2]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(in, msg); err != nil {
		return nil
	}
	return msg
}

func writeReply(out io.Writer, msg []byte, rcode byte) {
	msg[2] |= 0x80
	msg[3] = rcode
	out.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
}

// echoing answers n queries of a connection, every two in the other order and in one write, and then ends it.
func echoing(n int, rcode byte) func(net.Conn) {
	return func(conn net.Conn) {
		in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
		for range n / 2 {
			first, second := readMessage(in), readMessage(in)
			if second == nil {
				return
			}
			writeReply(out, second, rcode)
			writeReply(out, first, rcode)
			out.Flush()
		}
	}
}

const threeQuestions = "a.example A\nb.example AAAA\nc.example HTTPS\n"

// never is more queries than a test asks.
const never = 1 << 40

func TestTCPLoad(t *testing.T) {
	for name, tc := range map[string]struct {
		rate  int
		serve func(net.Conn)
		check func(o outcome) bool
	}{
		"as fast as it goes":   {0, echoing(never, 0), func(o outcome) bool { return o.Got > 100 && o.Reconnects == 0 }},
		"at a rate":            {2000, echoing(never, 0), func(o outcome) bool { return o.Sent > 100 && o.Sent <= 200 }},
		"SERVFAIL":             {0, echoing(never, 2), func(o outcome) bool { return o.ServFail == o.Got && o.check() != nil }},
		"REFUSED":              {0, echoing(never, 5), func(o outcome) bool { return o.Refused == o.Got && o.check() != nil }},
		"connections that end": {0, echoing(10, 0), func(o outcome) bool { return o.Got > 100 && o.Reconnects > 5 }},
	} {
		t.Run(name, func(t *testing.T) {
			l := tcpEcho(t, threeQuestions, tc.serve)
			l.Rate, l.Start = tc.rate, 4
			o, err := l.run()
			if err != nil {
				t.Fatal(err)
			}
			if !tc.check(o) || o.Lost != 0 && tc.rate == 0 || o.Next != 4+o.Sent || o.Got > 0 && !(o.P50 > 0 && o.P99 >= o.P50 && o.P999 >= o.P99) || o.Busy <= 0 {
				t.Errorf("got %+v", o)
			}
		})
	}
}

// TestTCPLoadLoses: what gets no reply is counted as lost, and so is what gets a reply with an ID of no query.
func TestTCPLoadLoses(t *testing.T) {
	l := tcpEcho(t, threeQuestions, func(conn net.Conn) {
		for msg := readMessage(conn); msg != nil; msg = readMessage(conn) {
			wire.SetID(msg, wire.ID(msg)+1000)
			writeReply(conn, msg, 0)
		}
	})
	o, err := l.run()
	if err != nil || o.Got != 0 || o.Sent != 24 || o.Lost != 24 || o.check() == nil {
		t.Errorf("got %+v, %v, want 24 queries, all lost", o, err)
	}
}

func TestTCPLoadGivesUp(t *testing.T) {
	l := tcpEcho(t, threeQuestions, func(net.Conn) {})
	if o, err := l.run(); err == nil {
		t.Errorf("a server that ends every connection: got %+v, want an error", o)
	}
	l.Port = 1
	if o, err := l.run(); err == nil {
		t.Errorf("nobody there: got %+v, want an error", o)
	}
}

func TestReadQueries(t *testing.T) {
	l := tcpEcho(t, threeQuestions, nil)
	q, err := readQueries(l.Queries)
	if err != nil || q.len() != 3 {
		t.Fatalf("got %+v, %v, want 3 queries", q, err)
	}
	for i, want := range []uint16{wire.TypeA, wire.TypeAAAA, wire.TypeHTTPS, wire.TypeA} {
		msg := q.query(uint64(i))
		var parsed wire.Query
		if size := int(binary.BigEndian.Uint16(msg)); size != len(msg)-2 {
			t.Errorf("query %d: the length says %d, there are %d", i, size, len(msg)-2)
		}
		if fault := parsed.Parse(msg[2:]); fault != wire.FaultNone || parsed.Type != want || !parsed.OPT.Present {
			t.Errorf("query %d: got %v, type %d, EDNS %v, want type %d", i, fault, parsed.Type, parsed.OPT.Present, want)
		}
	}
	for _, text := range []string{"", "a.example MX\n", strings.Repeat("a", 64) + " A\n"} {
		if err := os.WriteFile(l.Queries, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if q, err := readQueries(l.Queries); err == nil {
			t.Errorf("%q: got %d queries, want an error", text, q.len())
		}
	}
}

// TestUpstreamStream: the upstream answers over TCP what it answers over UDP.
func TestUpstreamStream(t *testing.T) {
	up, err := startUpstream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", up.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	msg, err := encodeQuery("www.example", wire.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
		if got := readMessage(conn); string(got) != string(truth(msg)) {
			t.Errorf("got %x, want %x", got, truth(msg))
		}
	}
	if n := up.asked.Load(); n != 2 {
		t.Errorf("counted %d, want 2", n)
	}
}
