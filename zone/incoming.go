package zone

import (
	"bytes"
	"errors"
	"fmt"

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
// it has is told by the second record: an SOA record with the serial that was asked from begins differences.
type incoming struct {
	apex    dnsname.Name
	from    *Zone // that differences are of; nil: the zone comes whole
	max     int   // records
	most    int64 // octets of them, with their names in full
	soa     Record
	serial  uint32       // of soa, to which all of it leads
	last    dnsname.Name // the owner of the record before
	records []Record     // of the whole zone, soa first
	diffs   []Diff
	count   int   // records that came, outside of the zone or not
	octets  int64 // of them, with their names in full
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
		r := Record{Owner: in.owner(name), Type: w.Type, TTL: w.TTL, Data: bytes.Clone(data)}
		if r.TTL > ttlMax {
			r.TTL = 0 // RFC 2181 section 8
		}
		if err := in.record(r); err != nil {
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

// owner is a name as its canonical form: that of the record before where it is the same, which takes no memory then.
func (in *incoming) owner(name []byte) dnsname.Name {
	if string(in.last) != string(name) {
		in.last = dnsname.Name(name).Canonical()
	}
	return in.last
}

// record takes the next record.
func (in *incoming) record(r Record) error {
	soa := r.Type == wire.TypeSOA
	if soa && (r.Owner != in.apex || !isWellFormed(&r)) {
		return fmt.Errorf("%w: an SOA record of %s, and not of %s", ErrTransfer, r.Owner, in.apex)
	}
	switch in.state {
	case stateFirst:
		if !soa {
			return fmt.Errorf("%w: it does not begin with an SOA record", ErrTransfer)
		}
		in.soa, in.serial, in.state = r, serialOf(&r), stateSecond
	case stateSecond:
		return in.second(r, soa)
	case stateWhole:
		if soa {
			return in.end(&r)
		}
		in.records = append(in.records, r)
	case stateRemoving:
		d := &in.diffs[len(in.diffs)-1]
		if !soa {
			d.Removed = append(d.Removed, r)
			break
		}
		if d.To = serialOf(&r); !isBefore(d.From, d.To) || isBefore(in.serial, d.To) {
			return fmt.Errorf("%w: a difference from serial %d to %d, in a transfer to %d", ErrTransfer, d.From, d.To, in.serial)
		}
		d.Added, in.state = append(d.Added, r), stateAdding
	case stateAdding:
		d := &in.diffs[len(in.diffs)-1]
		switch {
		case !soa:
			d.Added = append(d.Added, r)
		case d.To == in.serial:
			return in.end(&r)
		case serialOf(&r) != d.To:
			return fmt.Errorf("%w: after the difference to serial %d comes one from %d", ErrTransfer, d.To, serialOf(&r))
		default:
			in.remove(r)
		}
	case stateDone:
		return fmt.Errorf("%w: records follow its end", ErrTransfer)
	}
	return nil
}

func (in *incoming) second(r Record, soa bool) error {
	switch {
	case soa && in.from != nil && serialOf(&r) == in.from.serial && in.serial != in.from.serial:
		in.remove(r)
	case soa:
		return fmt.Errorf("%w: differences from serial %d were asked for, and one from %d came", ErrTransfer, in.asked(), serialOf(&r))
	default:
		in.records, in.state = append(in.records, in.soa, r), stateWhole
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
func (in *incoming) remove(r Record) {
	in.diffs, in.state = append(in.diffs, Diff{From: serialOf(&r), Removed: []Record{r}}), stateRemoving
}

// end wants the last record to be the first one again.
func (in *incoming) end(r *Record) error {
	if !isDouble(*r, in.soa) {
		return fmt.Errorf("%w: it began with serial %d, and ends with %d", ErrTransfer, in.serial, serialOf(r))
	}
	in.state = stateDone
	return nil
}

// serialOf is the serial of an SOA record that is well formed.
func serialOf(r *Record) uint32 { return soaSerial(r.Data) }
