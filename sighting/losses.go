package sighting

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// lossListMax bounds what Losses returns.
const lossListMax = 100_000

// Losses returns the intervals since a time in which matches were counted but not recorded one by one, oldest first, as far
// as they are within the retention. The zero time asks for all. At most 100,000 are returned.
func (s *Store) Losses(ctx context.Context, since time.Time) ([]Loss, error) {
	out, files := s.lossesInMemory()
	for f, next := range files {
		if !since.IsZero() && f.day < hourOf(since)/hoursPerDay {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := eachBlock(f, bucketLosses, nil, func(k, v []byte) error {
			if len(k) != 8 || binary.BigEndian.Uint32(k) >= next {
				return nil // committed meanwhile: it was in memory
			}
			return readLosses(v, func(l Loss) { out = append(out, l) })
		})
		if err != nil && !errors.Is(err, errMoved) && !s.suspect(f, err) {
			return nil, err
		}
	}
	out = slices.DeleteFunc(out, func(l Loss) bool { return l.Until.Before(since) })
	slices.SortFunc(out, func(a, b Loss) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Reason, b.Reason), a.Client.Compare(b.Client))
	})
	return out[:min(len(out), lossListMax)], nil
}

// lossesInMemory returns the losses that are not in day files, and the files, each with the number of the run that comes next.
func (s *Store) lossesInMemory() (out []Loss, files map[*dayFile]uint32) {
	l := &s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	files = map[*dayFile]uint32{}
	applied := map[uint32]uint64{}
	for day, f := range l.days {
		files[f], applied[day] = f.published, f.applied
	}
	add := func(o *losses, to uint64) {
		for _, x := range o.m {
			if to == 0 || applied[x.day()] < to {
				out = append(out, x.export(&l.book.list[x.rule]))
			}
		}
	}
	for _, m := range l.frozen {
		add(m.losses, m.to)
	}
	add(l.active.losses, 0)
	add(s.collector.pending, 0)
	return out, files
}

// readLosses reads a block of losses.
func readLosses(b []byte, visit func(Loss)) error {
	b, err := opened(b)
	if err != nil {
		return err
	}
	d := decoder{b: b}
	for len(d.b) > 0 && !d.bad {
		r := d.rule()
		l := d.loss()
		if !d.bad {
			visit(l.export(&r))
		}
	}
	if d.bad {
		return errRow
	}
	return nil
}
