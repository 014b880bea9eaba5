package dnstest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Query is one query that the server received, whatever became of it.
type Query struct {
	Name   string // in the letter case that came, with the final dot
	Type   uint16
	ID     uint16
	Client netip.AddrPort
	TCP    bool
	RD     bool
	CD     bool
	DO     bool
	EDNS   bool
	UDPMax uint16 // the payload size of the OPT record
	Subnet string // the network of a client that it tells of (RFC 7871), as in "192.0.2.0/24"; empty if none
	Server netip.AddrPort
	At     time.Time
}

// Server is a fake upstream. Start makes one.
type Server struct {
	addr      netip.AddrPort
	recursive bool // its replies say RA
	udp       *net.UDPConn
	tcp       *net.TCPListener // nil if it does not listen by TCP
	place     io.Closer        // keeps its port from other tests, also while it is closed; nil for a server of a Tree
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu     sync.Mutex // guards the rest
	source source
	hook   Hook
	faults faults
	lossy  *rand.Rand // decides which queries a Loss takes, the same ones in every run
	asked  []Query
	conns  map[net.Conn]bool
}

// A source knows what a server answers. It fills in a reply that has its question and OPT record.
type source interface {
	answer(reply *dns.Msg, q Query, f Fault) error
}

// Start runs a server that answers from text until the test ends. It fails the test if the text cannot be read.
func Start(tb testing.TB, text string) *Server {
	tb.Helper()
	s, err := newServer(text)
	if err != nil {
		tb.Fatalf("dnstest: %v", err)
	}
	tb.Cleanup(func() {
		s.Close()
		s.place.Close()
	})
	return s
}

func (s *Server) serve() {
	s.running.Go(s.serveUDP)
	if s.tcp != nil {
		s.running.Go(s.serveTCP)
	}
}

// Addr is where the server listens, by UDP and by TCP.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Close stops the server and closes its sockets, as when a machine goes away: whoever asks then is told that nobody listens. It may be
// called again.
func (s *Server) Close() {
	if s.udp == nil {
		return // it never listened
	}
	s.cancel()
	s.udp.Close()
	if s.tcp != nil {
		s.tcp.Close()
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// reopenWait is how long Reopen waits for its port: a socket of somebody's client may have got it meanwhile.
const reopenWait = 30 * time.Second

// Reopen starts a server again that was closed, at the address it had, with its records and faults, as when a machine comes back.
func (s *Server) Reopen(tb testing.TB) {
	tb.Helper()
	udp, tcp, err := listenAt(s.addr)
	for deadline := time.Now().Add(reopenWait); err != nil && time.Now().Before(deadline); udp, tcp, err = listenAt(s.addr) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		tb.Fatalf("dnstest: %v", err)
	}
	s.begin(udp, tcp)
}

// begin serves from sockets, the first time or again.
func (s *Server) begin(udp *net.UDPConn, tcp *net.TCPListener) {
	s.udp, s.tcp = udp, tcp
	s.mu.Lock()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.Unlock()
	s.serve()
}

// SetText replaces the records and the faults.
func (s *Server) SetText(text string) error {
	z, faults, err := parseText(text)
	if err != nil {
		return err
	}
	s.set(z, faults)
	return nil
}

// set replaces what the server answers from and its faults.
func (s *Server) set(from source, faults faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source, s.faults = from, faults
}

func (s *Server) setFaults(faults faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults.clone()
}

func (s *Server) setSource(from source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source = from
}

func (s *Server) setHook(hook Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Break adds a fault for a name, for every name below one if it is "*.NAME", or for every name if it is "*". The fault of the closest one
// holds. Faults of one name are used in order: the next once the Times of the one before are over.
func (s *Server) Break(name string, f Fault) {
	key, err := faultKey(name)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[key] = append(s.faults[key], &f)
}

// Mend takes away all faults.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// Queries returns what has come so far, oldest first.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Query(nil), s.asked...)
}

// Asked counts the queries for a name and type, letter case aside. Type 0 stands for every type.
func (s *Server) Asked(name string, qtype uint16) int {
	n := 0
	for _, q := range s.Queries() {
		if strings.EqualFold(q.Name, dns.Fqdn(name)) && (qtype == 0 || qtype == q.Type) {
			n++
		}
	}
	return n
}

// Total counts all queries.
func (s *Server) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func newServer(text string) (*Server, error) {
	s := makeServer(true)
	if err := s.SetText(text); err != nil {
		return nil, err
	}
	var udp *net.UDPConn
	var tcp *net.TCPListener
	var err error
	if s.place, udp, tcp, err = listen(); err != nil {
		return nil, err
	}
	s.addr = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	s.begin(udp, tcp)
	return s, nil
}

// makeServer returns a server that does not listen yet.
func makeServer(recursive bool) *Server {
	return &Server{recursive: recursive, conns: map[net.Conn]bool{}, faults: faults{}, lossy: rand.New(rand.NewPCG(1, 2))}
}

// listen finds a port that is free for both transports, and takes its place.
func listen() (place io.Closer, udp *net.UDPConn, tcp *net.TCPListener, err error) {
	for range portTries {
		addr := somePort() // one that no client is given while the server is closed
		if place, err = takePlace(addr.Port()); err != nil {
			continue
		}
		if udp, tcp, err = listenAt(addr); err == nil {
			return place, udp, tcp, nil
		}
		place.Close()
	}
	return nil, nil, nil, fmt.Errorf("no port is free for both UDP and TCP: %w", err)
}

// listenAt opens both transports at an address.
func listenAt(addr netip.AddrPort) (udp *net.UDPConn, tcp *net.TCPListener, err error) {
	if udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)); err != nil {
		return nil, nil, err
	}
	if tcp, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(udp.LocalAddr().(*net.UDPAddr).AddrPort())); err != nil {
		udp.Close()
		return nil, nil, err
	}
	return udp, tcp, nil
}

func (s *Server) serveUDP() {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, peer, err := s.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a port unreachable that a client's closed socket sent back
		}
		msg := append([]byte(nil), buf[:n]...)
		s.running.Go(func() {
			s.handle(msg, peer, false, func(reply []byte, _ bool) { s.udp.WriteToUDPAddrPort(reply, peer) })
		})
	}
}

func (s *Server) serveTCP() {
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		if s.keep(conn) {
			s.running.Go(func() { s.serveConn(conn) })
		}
	}
}

// keep notes an open connection, so that Close can end it; after Close it ends it at once.
func (s *Server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		conn.Close()
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *Server) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	conn.Close()
}

// serveConn answers the queries of a connection side by side, so that a slow one does not hold up the rest.
func (s *Server) serveConn(conn net.Conn) {
	defer s.forget(conn)
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	var write sync.Mutex
	for s.ctx.Err() == nil {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, msg); err != nil {
			return
		}
		s.running.Go(func() {
			hangUp := s.handle(msg, peer, true, func(reply []byte, trickle bool) {
				write.Lock()
				defer write.Unlock()
				framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)
				if trickle {
					s.trickle(conn, framed)
					return
				}
				conn.Write(framed)
			})
			if hangUp {
				conn.Close()
			}
		})
	}
}

// trickle writes all but the last octet of b, one at a time.
func (s *Server) trickle(conn net.Conn, b []byte) {
	for i := range len(b) - 1 {
		if _, err := conn.Write(b[i : i+1]); err != nil || s.ctx.Err() != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// handle answers one message through send, and reports whether its connection is to be ended.
func (s *Server) handle(msg []byte, peer netip.AddrPort, tcp bool, send func(reply []byte, trickle bool)) (hangUp bool) {
	query := new(dns.Msg)
	if query.Unpack(msg) != nil || len(query.Question) != 1 || query.Response {
		return false
	}
	q, fault := s.note(query, peer, tcp)
	if !s.wait(fault) || fault.Drop {
		return false
	}
	if fault.Close && tcp {
		return true
	}
	reply := s.reply(query, q, fault)
	if reply == nil {
		return false
	}
	if fault.spoils() {
		for n := range max(fault.Copies, 1) {
			if wrong, err := fault.spoil(reply, n); err == nil {
				send(wrong, false)
			}
		}
		if !fault.ThenRight {
			return false
		}
	}
	if opt := reply.IsEdns0(); opt != nil && fault.Pad > 0 && !tcp {
		opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, fault.Pad)})
	}
	if wire, err := reply.Pack(); err == nil {
		send(wire, fault.Trickle)
	}
	return false
}

// note writes the query down and finds the fault that holds for it; the zero Fault if there is none.
func (s *Server) note(query *dns.Msg, peer netip.AddrPort, tcp bool) (Query, Fault) {
	q := query.Question[0]
	entry := Query{Name: q.Name, Type: q.Qtype, ID: query.Id, Client: peer, TCP: tcp, RD: query.RecursionDesired, CD: query.CheckingDisabled,
		Server: s.addr, At: time.Now()}
	if opt := query.IsEdns0(); opt != nil {
		entry.EDNS, entry.DO, entry.UDPMax = true, opt.Do(), opt.UDPSize()
		for _, o := range opt.Option {
			if ecs, ok := o.(*dns.EDNS0_SUBNET); ok {
				entry.Subnet = fmt.Sprintf("%v/%d", ecs.Address, ecs.SourceNetmask)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, entry)
	f := s.faults.take(q.Name, q.Qtype)
	if f.Loss > 0 && s.lossy.Float64() < f.Loss {
		f.Drop = true
	}
	return entry, f
}

// wait sits out the delay and the hold of a fault. It returns false if the server ended meanwhile.
func (s *Server) wait(f Fault) bool {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-s.ctx.Done():
		}
	}
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-s.ctx.Done():
		}
	}
	return s.ctx.Err() == nil
}

// reply makes the right reply, as far as the fault lets it be right; nil if the hook wants none.
func (s *Server) reply(query *dns.Msg, q Query, f Fault) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	reply.RecursionAvailable, reply.CheckingDisabled, reply.Compress = s.recursive, query.CheckingDisabled, true
	size := dns.MinMsgSize
	if q.EDNS && !f.NoEDNS {
		size = max(size, int(q.UDPMax))
		reply.SetEdns0(1232, q.DO)
	}
	s.mu.Lock()
	from, hook := s.source, s.hook
	s.mu.Unlock()
	switch {
	case f.Rcode != 0:
		reply.Rcode = f.Rcode
	case f.NoEDNS && q.EDNS:
		reply.Rcode = dns.RcodeFormatError
	case f.Truncate && !q.TCP:
		reply.Truncated = true
	default:
		if from.answer(reply, q, f) != nil {
			reply.Rcode = dns.RcodeServerFailure
		}
	}
	if f.LowerCase {
		reply.Question[0].Name = strings.ToLower(reply.Question[0].Name)
	}
	if hook != nil {
		reply = hook(q, reply.Copy()) // its records are the zone's
	}
	if reply != nil && !q.TCP && reply.Len() > size {
		cut(reply, size)
	}
	return reply
}

// cut makes a reply fit: without the additional section if it can do without, otherwise with TC and no records but OPT.
func cut(reply *dns.Msg, size int) {
	var opt []dns.RR
	if rr := reply.IsEdns0(); rr != nil {
		opt = []dns.RR{rr}
	}
	if len(reply.Answer) > 0 || reply.Authoritative {
		if reply.Extra = opt; reply.Len() <= size {
			return
		}
	}
	reply.Truncated, reply.Answer, reply.Ns, reply.Extra = true, nil, nil, opt
}
