package zone

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
	"cenote/wire"
)

// Bounds of a transfer's connection.
const (
	dialTimeout = 10 * time.Second
	tlsTimeout  = 3 * time.Second  // of that, to agree on TLS
	silenceMax  = 30 * time.Second // between two messages of a primary
	messagesMax = 10_000_000       // of one transfer
)

// Primary is a server that a zone is taken from.
type Primary struct {
	Addr netip.AddrPort
	// Key signs what is asked, and what comes must then be signed by it. Nil: nothing is signed.
	Key *tsig.Key
	// TLS is how the server is asked by TLS (RFC 9103), which checks who it is. Nil: TCP.
	TLS *tls.Config
	// Pins are the keys of which the certificate of the server must have one, beside what TLS wants. None: every key that TLS takes.
	Pins []Pin
}

// isAs reports whether a server is asked as another one. What a configuration of TLS does by functions is the same in the same one alone.
func (p *Primary) isAs(o *Primary) bool {
	return p.Addr == o.Addr && p.Key.Same(o.Key) && sameTLS(p.TLS, o.TLS) && slices.Equal(p.Pins, o.Pins)
}

func sameTLS(a, b *tls.Config) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	plain := func(c *tls.Config) bool {
		return c.VerifyConnection == nil && c.VerifyPeerCertificate == nil && c.GetClientCertificate == nil && len(c.Certificates) == 0
	}
	return plain(a) && plain(b) && a.ServerName == b.ServerName && a.MinVersion == b.MinVersion && slices.Equal(a.NextProtos, b.NextProtos) &&
		a.InsecureSkipVerify == b.InsecureSkipVerify && (a.RootCAs == b.RootCAs || a.RootCAs != nil && b.RootCAs != nil && a.RootCAs.Equal(b.RootCAs))
}

// String is the address, and how it is asked.
func (p *Primary) String() string {
	out := p.Addr.String()
	if p.TLS != nil {
		out += " by TLS"
	}
	if p.Key != nil {
		out += " key " + p.Key.Name.String()
	}
	return out
}

// TransferBounds bound one transfer.
type TransferBounds struct {
	Octets  int64         // of its messages, and of its records with their names in full
	Records int           // of them
	Time    time.Duration // from the first packet to the last
}

// transfer takes a zone from one primary.
type transfer struct {
	apex     dnsname.Name
	primary  *Primary
	bounds   TransferBounds
	older    bool // a serial that goes back is taken
	hold     bool // nothing is taken, and only asked whether the primary has the same version
	now      func() time.Time
	progress *progress // nil: nobody wants to know
	// accept says why a version that came cannot be taken; nil: every one that is whole can.
	accept func(next *Zone) error
	// changing is told of what differences change as soon as they have come, if nothing can keep the next version from being taken. Nil: nobody asks.
	changing func(*Change)
	octets   int64
	message  []byte // room for one
	steps    int    // of differences that it took; 0: the zone came whole
}

// run returns the version that the primary has: present itself if that is not older, and nil never without an error. Differences are asked for where there is
// a version, and the whole zone if they cannot be had, do not fit, or lead to one that is not accepted.
func (t *transfer) run(ctx context.Context, present *Zone) (*Zone, error) {
	ctx, cancel := context.WithTimeout(ctx, t.bounds.Time)
	defer cancel()
	serial, err := t.serial(ctx)
	switch {
	case err != nil:
		return nil, err
	case present != nil && present.serial == serial:
		return present, nil
	case t.hold:
		return nil, fmt.Errorf("%w to take serial %d from the primary", ErrFrozen, serial)
	case present != nil && isBefore(serial, present.serial) && !t.older:
		return nil, fmt.Errorf("%w: the primary has %d, and %d is served", ErrSerial, serial, present.serial)
	}
	if present != nil && isBefore(present.serial, serial) {
		next, err := t.accepted(ctx, present, present)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrBound) {
			return next, err
		}
		t.steps = 0
		whole, failed := t.accepted(ctx, present, nil)
		if failed != nil && errors.Is(err, errNotAccepted) {
			failed = fmt.Errorf("the differences: %w; the whole zone: %w", err, failed)
		}
		return whole, failed
	}
	return t.accepted(ctx, present, nil)
}

// errNotAccepted is that a version came whole and well-formed, and cannot be taken all the same.
var errNotAccepted = errors.New("what came is not taken")

// accepted is the version that comes of a question, if it can be taken.
func (t *transfer) accepted(ctx context.Context, present, from *Zone) (*Zone, error) {
	next, err := t.ask(ctx, from)
	if err != nil {
		return nil, err
	}
	if next, err = t.after(present, next); err != nil || next == present || t.accept == nil {
		return next, err
	}
	if err := t.accept(next); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAccepted, err)
	}
	return next, nil
}

// after is a version that came, if that does not go back: a zone that comes whole may have another serial than the primary has just told, such as that of
// another server behind the same address.
func (t *transfer) after(present, next *Zone) (*Zone, error) {
	switch {
	case present == nil || next == present:
	case next.serial == present.serial:
		return present, nil
	case isBefore(next.serial, present.serial) && !t.older:
		return nil, fmt.Errorf("%w: the whole zone has %d, and %d is served", ErrSerial, next.serial, present.serial)
	}
	return next, nil
}

// ask takes the differences from a version, or the whole zone, over a connection of its own.
func (t *transfer) ask(ctx context.Context, from *Zone) (*Zone, error) {
	in := &incoming{apex: t.apex, from: from, max: t.bounds.Records, most: t.bounds.Octets}
	qtype := uint16(wire.TypeAXFR)
	if from != nil {
		qtype = wire.TypeIXFR
	}
	err := t.exchange(ctx, qtype, from, func(msg []byte) (bool, error) {
		err := in.message(msg)
		t.progress.came(in.serial, t.octets, in.count)
		return err == nil && (in.state == stateDone || in.isCurrent()), err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", wire.TypeText(qtype), err)
	}
	if in.isCurrent() {
		return from, nil
	}
	return t.result(in)
}

// result is the zone that a transfer leads to.
func (t *transfer) result(in *incoming) (next *Zone, err error) {
	size := t.octets
	if in.from != nil {
		size += int64(len(in.from.data)) // all of which is laid out anew
	}
	var d Diff
	var change *Change
	behind(size, func() {
		if len(in.steps) == 0 {
			next, err = t.whole(&in.records)
			in.records = packed{}
			release(t.octets)
			return
		}
		d, change = t.difference(in)
	})
	if len(in.steps) == 0 {
		return next, err
	}
	if change != nil {
		t.changing(change)
	}
	behind(size, func() {
		if next, err = Apply(in.from, d); err == nil {
			t.steps, err = len(in.steps), t.provable(next)
		}
		in.steps = nil
		release(t.octets)
	})
	return next, err
}

// difference is the one that all that came make together, and what it changes, if somebody asks and nothing can keep the next version from being taken.
func (t *transfer) difference(in *incoming) (Diff, *Change) {
	d := withoutPresent(in.from, Condense(in.steps))
	if t.changing == nil || t.accept != nil {
		return d, nil
	}
	change, err := changeOf(in.from, d)
	if err != nil {
		return d, nil // Apply tells why
	}
	return d, change
}

// withoutPresent is a difference without additions that change nothing, such as nsd 4.6 tells of sets that it has not changed.
func withoutPresent(from *Zone, d Diff) Diff {
	removed := map[dnsname.Name]bool{}
	for i := range d.Removed {
		removed[d.Removed[i].Owner] = true
	}
	d.Added = slices.DeleteFunc(d.Added, func(r Record) bool { return !removed[r.Owner] && from.holds(&r) })
	return d
}

// holds reports whether the zone has a record, with that TTL.
func (z *Zone) holds(r *Record) (found bool) {
	if r.Owner != z.apex && !r.Owner.IsBelow(z.apex) {
		return false
	}
	if n := z.find([]byte(r.Owner)); n != noNode {
		z.eachRecord(n, func(has Record) bool {
			found = has.TTL == r.TTL && isDouble(has, *r)
			return !found
		})
	}
	return found
}

// provable fails for a zone that differences have left without what proves what it does not have, as one that comes whole is refused for.
func (t *transfer) provable(next *Zone) error {
	par, hashed := next.set(0, typeNSEC3PAR)
	if !next.signed || !hashed {
		return nil
	}
	c := &checker{apex: t.apex, file: t.primary.Addr.String(), now: t.now(), lenient: true}
	if c.checkNSEC3(next, par.first(), 0); c.errors > 0 {
		return c.summary()
	}
	return nil
}

// whole is the zone of all its records. Faults that its owner has to mend do not keep it from being served, as those of a file here would.
func (t *transfer) whole(records *packed) (*Zone, error) {
	c := &checker{apex: t.apex, file: t.primary.Addr.String(), now: t.now(), lenient: true, records: make([]Record, 0, records.count)}
	if err := records.each(c.record); err != nil {
		return nil, err
	}
	next, _, err := c.make(c.file)
	return next, err
}

// errAuthority is that a server tells of a zone only what others have told it, or what it once knew.
var errAuthority = fmt.Errorf("%w: it has no authority over the zone: its answer to the question for the SOA record has no AA flag (RFC 1034 section 4.3.5); name a server that serves the zone itself", ErrTransfer)

// serial asks for the SOA record, which counts from a server with authority alone (RFC 5936 section 2.2.1).
func (t *transfer) serial(ctx context.Context) (serial uint32, err error) {
	in := &incoming{apex: t.apex, max: 100, most: t.bounds.Octets}
	err = t.exchange(ctx, wire.TypeSOA, nil, func(msg []byte) (bool, error) {
		if wire.Count(msg, 1) == 0 {
			return false, fmt.Errorf("%w: it has no such zone", ErrTransfer)
		}
		if wire.Flags(msg)&wire.FlagAA == 0 {
			return false, errAuthority
		}
		wire.SetCount(msg, 1, 1) // signatures, servers and their addresses are not looked at
		wire.SetCount(msg, 2, 0)
		wire.SetCount(msg, 3, 0)
		return true, in.message(msg)
	})
	return in.serial, err
}

// exchange sends one question and hands on what comes, until take says that it was all. With a key everything must be signed.
func (t *transfer) exchange(ctx context.Context, qtype uint16, from *Zone, take func(msg []byte) (bool, error)) error {
	conn, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	request, mac := t.request(qtype, from)
	_ = conn.SetDeadline(time.Now().Add(silenceMax))
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(request))), request...)); err != nil {
		return err
	}
	var signed *tsig.StreamVerifier
	if t.primary.Key != nil {
		signed = tsig.NewStreamVerifier(t.primary.Key, mac)
	}
	for range messagesMax {
		msg, err := t.read(ctx, conn)
		if err != nil {
			return err
		}
		if err := t.check(msg, request, signed); err != nil {
			return err
		}
		done, err := take(msg)
		if err != nil {
			return err
		}
		if done && signed != nil && signed.Done() != tsig.FaultNone {
			return fmt.Errorf("%w: %w", ErrUnsigned, signed.Done())
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("%w: more than %d messages", ErrBound, messagesMax)
}

func (t *transfer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.primary.Addr.String())
	if err != nil || t.primary.TLS == nil {
		return conn, err
	}
	config := t.primary.TLS
	if len(t.primary.Pins) > 0 {
		config = pinned(config, t.primary.Pins)
	}
	return agree(ctx, conn, config)
}

// agree brings TLS about on a connection, which is closed where that fails.
func agree(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	secure := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("agreeing on TLS with it: %w", err)
	}
	if secure.ConnectionState().NegotiatedProtocol != "dot" {
		conn.Close()
		return nil, fmt.Errorf("%w: the server does not speak DNS over TLS (RFC 9103 section 7.1)", ErrTransfer)
	}
	return secure, nil
}

// request is a question, signed if there is a key.
func (t *transfer) request(qtype uint16, from *Zone) (msg, mac []byte) {
	msg = make([]byte, wire.HeaderLen, 512)
	wire.SetID(msg, uint16(rand.Uint32()))
	wire.SetCount(msg, 0, 1)
	msg = append(msg, t.apex...)
	msg = binary.BigEndian.AppendUint16(msg, qtype)
	msg = binary.BigEndian.AppendUint16(msg, wire.ClassIN)
	if from != nil {
		wire.SetCount(msg, 2, 1)
		msg = wire.AppendRecord(msg, []byte(t.apex), wire.TypeSOA, wire.ClassIN, 0, from.soa.first())
	}
	if t.primary.Key != nil {
		msg, mac = tsig.Sign(msg, t.primary.Key, t.now(), nil)
	}
	return msg, mac
}

// read reads the next message, which lasts until the one after it.
func (t *transfer) read(ctx context.Context, conn net.Conn) ([]byte, error) {
	if ctx.Err() == nil {
		_ = conn.SetDeadline(time.Now().Add(silenceMax))
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, t.cut(ctx, err)
	}
	t.message = slices.Grow(t.message[:0], int(binary.BigEndian.Uint16(size[:])))
	msg := t.message[:binary.BigEndian.Uint16(size[:])]
	if _, err := io.ReadFull(conn, msg); err != nil {
		return nil, t.cut(ctx, err)
	}
	if t.octets += int64(len(msg)); t.octets > t.bounds.Octets {
		return nil, fmt.Errorf("%w: more than %d octets", ErrBound, t.bounds.Octets)
	}
	return msg, nil
}

func (t *transfer) cut(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: more than %v", ErrTime, t.bounds.Time)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the primary ended it before it was whole", ErrTransfer)
	}
	return err
}

// check looks whether a message is a reply to the request, with a right signature if it has to have one.
func (t *transfer) check(msg, request []byte, signed *tsig.StreamVerifier) error {
	if len(msg) < wire.HeaderLen || wire.ID(msg) != wire.ID(request) || wire.Flags(msg)&wire.FlagQR == 0 || wire.Opcode(msg) != wire.OpcodeQuery {
		return fmt.Errorf("%w: a message that is no reply to what was asked", ErrTransfer)
	}
	if signed != nil {
		s, fault := signed.Next(msg, t.now())
		if fault != tsig.FaultNone || s.Code != 0 {
			return fmt.Errorf("%w: %s", ErrUnsigned, signatureText(&s, fault))
		}
	}
	if rcode := wire.Rcode(msg); rcode != wire.RcodeSuccess {
		return fmt.Errorf("%w %s", ErrRefused, wire.RcodeText(rcode))
	}
	question := request[wire.HeaderLen : wire.HeaderLen+len(t.apex)+4]
	if n := wire.Count(msg, 0); n > 1 || n == 1 && !sameQuestion(msg, question) {
		return fmt.Errorf("%w: a message about something else", ErrTransfer)
	}
	return nil
}

// sameQuestion compares the question of a message with one that is canonical.
func sameQuestion(msg, question []byte) bool {
	end := wire.HeaderLen + len(question)
	if len(msg) < end {
		return false
	}
	got := slices.Clone(msg[wire.HeaderLen:end])
	dnsname.Lower(got[:len(got)-4], got[:len(got)-4])
	return string(got) == string(question)
}

// signatureText tells what is wrong with a signature, with the clocks of both if they differ.
func signatureText(s *tsig.Signature, fault tsig.Fault) string {
	if skew, ok := s.Skew(); ok {
		return fmt.Sprintf("the clock of the primary is %v ahead of this one (BADTIME)", skew)
	}
	if text := tsig.CodeText(s.Code); text != "" {
		return "the primary refuses our signature: " + text
	}
	return fault.String()
}
