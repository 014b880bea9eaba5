package zone

import (
	"errors"

	"cenote/dnsname"
	"cenote/wire"
)

// ErrUpdate is that a message is no UPDATE message that anything could be read of.
var ErrUpdate = errors.New("the update is malformed")

// ReadUpdate reads what an UPDATE message (RFC 2136 section 2) requires and changes, its zone section aside. Nothing of it is a part of msg.
func ReadUpdate(msg []byte) (*Update, error) {
	w, err := wire.Records(msg)
	if err != nil {
		return nil, ErrUpdate
	}
	u := new(Update)
	for w.Next() && w.Section != wire.SectionAdditional {
		i, err := readInstruction(msg, &w)
		if err != nil {
			return nil, err
		}
		if w.Section == wire.SectionAnswer {
			u.Prerequisites = append(u.Prerequisites, i)
		} else {
			u.Changes = append(u.Changes, i)
		}
	}
	if w.Err != nil {
		return nil, ErrUpdate
	}
	return u, nil
}

// readInstruction reads one record. One that stands for a name or a set has no data, whatever its type.
func readInstruction(msg []byte, w *wire.Walker) (i Instruction, err error) {
	var room [2 * dnsname.WireMax]byte
	owner, _, err := wire.AppendName(room[:0], msg, w.NameOff)
	if err != nil {
		return i, ErrUpdate
	}
	i = Instruction{Owner: dnsname.Name(owner).Canonical(), Type: w.Type, Class: w.Class, TTL: w.TTL}
	if w.DataLen == 0 {
		return i, nil
	}
	data, err := wire.AppendData(room[:0], msg, w.Type, w.DataOff, w.Offset())
	if err != nil {
		return i, ErrUpdate
	}
	i.Data = append([]byte(nil), data...)
	return i, nil
}
