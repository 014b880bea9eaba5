package zone

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"cenote/dnsname"
	"cenote/wire"
)

// Errors of transfers.
var (
	ErrTransfer = errors.New("the transfer is faulty")
	ErrBound    = errors.New("the transfer goes over a bound")
	ErrTime     = fmt.Errorf("%w", ErrBound)    // that of its time
	ErrUnsigned = fmt.Errorf("%w", ErrTransfer) // the signature of the primary, or ours, is not as it has to be
	ErrRefused  = errors.New("the primary answers")
)

// incoming reads the records of a transfer as they come (RFC 5936 section 2.2, RFC 1995 section 4) and says when there are no more. Which of the two forms
// it has is told by the second record: an SOA record with the serial that was asked from begins differences. What it keeps takes hardly more memory than the
// octets that it counts; how often each of them is there once all has come, take.go says.
type incoming struct {
	apex    dnsname.Name // canonical
	from    *Zone        // that differences are of; nil: the zone comes whole
	max     int          // records
	most    int64        // octets of them, with their names in full
	soa     Record
	serial  uint32  // of soa, to which all of it leads
	records packed  // of the whole zone, soa first
	steps   []*Step // differences, whose sum is not known
	count   int     // records that came, outside of the zone or not
	octets  int64   // of them, with their names in full
	state   incomingState
}

type incomingState uint8

const (
	stateFirst    incomingState = iota // the first SOA record is to come
	stateSecond                        // the record that tells the form
	stateWhole                         // the records of the zone, until its SOA record comes again
	stateRemoving                      // what a difference removes, until the SOA record that it leads to
	stateAdding                        // what it adds, until the next SOA record
	stateDone
)

// isCurrent reports whether the first message says that there is nothing newer: it holds the SOA record alone.
func (in *incoming) isCurrent() bool {
	return in.state == stateSecond && in.from != nil && !isBefore(in.from.serial, in.serial)
}

// message takes the answer records of a message in.
func (in *incoming) message(msg []byte) error {
	w, err := wire.Records(msg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTransfer, err)
	}
	var owner [dnsname.WireMax]byte
	var room [2 * dnsname.WireMax]byte
	for w.Next() {
		if w.Section != wire.SectionAnswer {
			continue
		}
		if in.count++; in.count > in.max {
			return fmt.Errorf("%w: more than %d records", ErrBound, in.max)
		}
		name, _, err := wire.AppendName(owner[:0], msg, w.NameOff)
		if err != nil || w.Class != wire.ClassIN {
			return fmt.Errorf("%w: record %d is malformed", ErrTransfer, in.count)
		}
		data, err := wire.AppendData(room[:0], msg, w.Type, w.DataOff, w.Offset())
		if err != nil {
			return fmt.Errorf("%w: record %d (%s) is malformed", ErrTransfer, in.count, typeName(w.Type))
		}
		// A pointer of two octets stands for a name of up to 255, so that the messages alone do not bound what is kept of them.
		if in.octets += int64(len(name) + recordHeader + len(data)); in.octets > in.most {
			return fmt.Errorf("%w: more than %d octets of records, with their names in full", ErrBound, in.most)
		}
		if len(data) > math.MaxUint16 {
			return fmt.Errorf("%w: record %d (%s) is longer than one can be", ErrTransfer, in.count, typeName(w.Type))
		}
		dnsname.Lower(name, name)
		r := Record{Type: w.Type, TTL: w.TTL, Data: data}
		if r.TTL > ttlMax {
			r.TTL = 0 // RFC 2181 section 8
		}
		if err := in.record(name, &r); err != nil {
			return err
		}
	}
	if w.Err != nil {
		return fmt.Errorf("%w: %w", ErrTransfer, w.Err)
	}
	return nil
}

// recordHeader is what a record has between its owner and its data, in octets (RFC 1035 section 3.2.1).
const recordHeader = 10

// record takes the next record, whose owner is canonical and not in r. Nothing of it is kept but as a copy.
func (in *incoming) record(owner []byte, r *Record) error {
	soa := r.Type == wire.TypeSOA
	if soa && (string(owner) != string(in.apex) || !isWellFormed(r)) {
		return fmt.Errorf("%w: an SOA record of %s, and not of %s", ErrTransfer, dnsname.Name(owner), in.apex)
	}
	switch in.state {
	case stateFirst:
		if !soa {
			return fmt.Errorf("%w: it does not begin with an SOA record", ErrTransfer)
		}
		in.soa = Record{Owner: in.apex, Type: r.Type, TTL: r.TTL, Data: bytes.Clone(r.Data)}
		in.serial, in.state = serialOf(r), stateSecond
	case stateSecond:
		return in.second(owner, r, soa)
	case stateWhole:
		if soa {
			return in.end(r)
		}
		in.keep(owner, r)
	case stateRemoving:
		s := in.steps[len(in.steps)-1]
		if !soa {
			s.removed++
			break
		}
		if s.To = serialOf(r); !isBefore(s.From, s.To) || isBefore(in.serial, s.To) {
			return fmt.Errorf("%w: a difference from serial %d to %d, in a transfer to %d", ErrTransfer, s.From, s.To, in.serial)
		}
		s.added, in.state = 1, stateAdding
	case stateAdding:
		s := in.steps[len(in.steps)-1]
		switch {
		case !soa:
			s.added++
		case s.To == in.serial:
			return in.end(r)
		case serialOf(r) != s.To:
			return fmt.Errorf("%w: after the difference to serial %d comes one from %d", ErrTransfer, s.To, serialOf(r))
		default:
			in.remove(owner, r)
			return nil
		}
	case stateDone:
		return fmt.Errorf("%w: records follow its end", ErrTransfer)
	}
	if n := len(in.steps); n > 0 {
		in.steps[n-1].data = appendRecord(in.steps[n-1].data, owner, r)
	}
	return nil
}

// keep keeps a record of a whole zone, if it is within that.
func (in *incoming) keep(owner []byte, r *Record) {
	if isWithin(owner, []byte(in.apex)) {
		in.records.add(owner, r)
	}
}

func (in *incoming) second(owner []byte, r *Record, soa bool) error {
	switch {
	case soa && in.from != nil && serialOf(r) == in.from.serial && in.serial != in.from.serial:
		in.remove(owner, r)
	case soa:
		return fmt.Errorf("%w: differences from serial %d were asked for, and one from %d came", ErrTransfer, in.asked(), serialOf(r))
	default:
		in.state = stateWhole
		in.keep([]byte(in.apex), &in.soa)
		in.keep(owner, r)
	}
	return nil
}

func (in *incoming) asked() uint32 {
	if in.from == nil {
		return 0
	}
	return in.from.serial
}

// remove begins a difference with the SOA record that it removes.
func (in *incoming) remove(owner []byte, r *Record) {
	room := make([]byte, 0, 2*(len(owner)+packedHeader+len(r.Data))) // for the SOA record to which it leads, too
	in.steps = append(in.steps, &Step{From: serialOf(r), removed: 1, data: appendRecord(room, owner, r)})
	in.state = stateRemoving
}

// end wants the last record, an SOA record, to be the first one again.
func (in *incoming) end(r *Record) error {
	if !bytes.Equal(r.Data, in.soa.Data) {
		return fmt.Errorf("%w: it began with serial %d, and ends with %d", ErrTransfer, in.serial, serialOf(r))
	}
	in.state = stateDone
	return nil
}

// serialOf is the serial of an SOA record that is well formed.
func serialOf(r *Record) uint32 { return soaSerial(r.Data) }
