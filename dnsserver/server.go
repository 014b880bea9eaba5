package dnsserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Server answers DNS queries over UDP, TCP and TLS. New binds its sockets, Run serves them. All methods may be called from many goroutines.
type Server struct {
	core      *core
	endpoints []*endpoint
	loops     []udpLoop
	network   *network
	tcp       *tcpServer
	portable  bool       // use the portable UDP loop whatever the system
	resizing  sync.Mutex // held while the buffers of sockets are changed
}

// New checks c and binds every address in it, so that what is wrong with either is known before anything is served. Whoever does not go on
// to Run calls Close.
func New(c Config) (*Server, error) {
	c.Bounds = c.Bounds.withDefaults()
	core, err := newCore(c)
	if err != nil {
		return nil, err
	}
	endpoints, err := openEndpoints(context.Background(), &c)
	if err != nil {
		return nil, err
	}
	s := &Server{core: core, endpoints: endpoints, network: newNetwork(core)}
	s.tcp = newTCPServer(core, s.network)
	if err := s.openCertificates(); err != nil {
		s.Close()
		return nil, err
	}
	for _, e := range endpoints {
		for _, socket := range e.udp {
			s.loops = append(s.loops, udpLoop{socket: socket, worker: core.newWorker(), network: s.network})
		}
	}
	s.warnOfSmallBuffers()
	s.warnOfHashing()
	return s, nil
}

// withDefaults returns b with the defaults where it is zero.
func (b Bounds) withDefaults() Bounds {
	setDefault(&b.Workers, runtime.GOMAXPROCS(0))
	setDefault(&b.Waiting, 10_000)
	setDefault(&b.ReceiveBuffer, 4<<20)
	setDefault(&b.Connections, 4096)
	setDefault(&b.PerClient, 64)
	setDefault(&b.Pipeline, 64)
	setDefault(&b.Idle, 10*time.Second)
	setDefault(&b.Read, 3*time.Second)
	setDefault(&b.Write, 3*time.Second)
	setDefault(&b.Transfers, 10)
	setDefault(&b.Shutdown, 5*time.Second)
	return b
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// warnOfSmallBuffers tells the operator, once for each size that is asked for, that the kernel gave less than was asked for: bursts will be lost sooner.
func (s *Server) warnOfSmallBuffers() {
	if len(s.loops) == 0 {
		return
	}
	got := s.loops[0].socket.receiveBuffer()
	want := s.core.bounds.Load().ReceiveBuffer
	if got > 0 && got < want {
		s.core.log.Warn("receive buffer is smaller than configured; raise net.core.rmem_max or grant CAP_NET_ADMIN",
			"octets", got, "configured", want)
	}
}

// warnOfHashing tells the operator, once, that the kernel spreads datagrams in its own way.
func (s *Server) warnOfHashing() {
	for _, e := range s.endpoints {
		if e.spread != nil {
			s.core.log.Warn("the kernel spreads queries over the workers by address and port; one busy forwarder keeps one worker busy", "err", e.spread)
			return
		}
	}
}

// Addrs lists the sockets as they are bound, with the ports that the kernel chose; each has either UDP or TCP set.
func (s *Server) Addrs() []Listen {
	var all []Listen
	for _, e := range s.endpoints {
		all = append(all, e.addrs()...)
	}
	return all
}

// Apply puts settings in force for the queries that come from now on. After an error nothing has changed.
func (s *Server) Apply(settings Settings) error { return s.core.apply(settings) }

// SetBounds puts bounds in force for what is let in from now on; what is already in work stays. Workers is that of New, for each has a socket of
// its own.
func (s *Server) SetBounds(b Bounds) {
	s.resizing.Lock()
	defer s.resizing.Unlock()
	before := s.core.bounds.Load().ReceiveBuffer
	s.core.setBounds(b)
	if after := s.core.bounds.Load().ReceiveBuffer; after != before {
		s.resizeBuffers(after)
	}
}

func (s *Server) resizeBuffers(octets int) {
	for _, l := range s.loops {
		l.socket.resize(octets)
	}
	s.warnOfSmallBuffers()
}

// Close closes the sockets of a server that Run was not called for. After Run it does nothing.
func (s *Server) Close() { closeEndpoints(s.endpoints) }

// Run serves until ctx ends. It then reads what had come by then, answers it, waits for the queries under way for as long as
// Bounds.Shutdown, and returns when all it started has ended. An error means that a listener failed for good.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops, listeners sync.WaitGroup
	for _, l := range s.loops {
		loops.Go(s.runner(l).run)
	}
	failed := make(chan error, len(s.endpoints))
	for _, e := range s.endpoints {
		if e.tcp != nil {
			listeners.Go(func() { failed <- s.accept(ctx, e) })
		}
	}
	var certificates sync.WaitGroup
	certificates.Go(func() { s.followCertificates(ctx) })
	defer certificates.Wait()
	defer cancel()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		cancel()
	}
	s.stopReading(&loops, &listeners)
	s.finishQueries()
	s.core.updates.told.lines.Wait()
	return err
}

func (s *Server) accept(ctx context.Context, e *endpoint) error {
	var encryption *tls.Config
	if e.certificate != nil {
		encryption = e.certificate.config()
	}
	if err := s.tcp.accept(ctx, e.tcp, encryption); err != nil {
		return fmt.Errorf("accepting on %v: %w", e.tcp.Addr(), err)
	}
	return nil
}

func (s *Server) runner(l udpLoop) udpRunner {
	if s.portable {
		return newUDPPortable(l)
	}
	return newUDPRunner(l)
}

// stopReading ends what brings queries in, and returns when the UDP workers have answered what had come.
func (s *Server) stopReading(loops, listeners *sync.WaitGroup) {
	for _, e := range s.endpoints {
		if e.tcp != nil {
			e.tcp.Close()
		}
		for _, u := range e.udp {
			u.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
	listeners.Wait()
	s.tcp.stop()
	loops.Wait()
}

// finishQueries waits for the queries under way. Those that still wait for the network at the end of Bounds.Shutdown are answered from what
// is there.
func (s *Server) finishQueries() {
	bounds := s.core.bounds.Load()
	giveUp := time.AfterFunc(bounds.Shutdown, s.network.cancel)
	endAll := time.AfterFunc(bounds.Shutdown+bounds.Write, s.tcp.endAll)
	s.tcp.running.Wait() // before the network, for connections still send queries there
	s.network.running.End()
	giveUp.Stop()
	endAll.Stop()
	s.network.cancel()
}

// transportCounts are the figures of the sockets, summed over all of them, for the metrics.
type transportCounts struct {
	udpReceived, udpSent, udpCut, udpFailed, udpFull, udpReadFailed, udpKernelDrops uint64
}

// countUDP sums what the UDP sockets counted.
func (s *Server) countUDP() (c transportCounts) {
	for _, l := range s.loops {
		u := l.socket
		c.udpReceived += u.received.Load()
		c.udpSent += u.sent.Load()
		c.udpCut += u.cut.Load()
		c.udpFailed += u.failed.Load()
		c.udpFull += u.full.Load()
		c.udpReadFailed += u.readFailed.Load()
		c.udpKernelDrops += uint64(u.dropped())
	}
	return c
}
