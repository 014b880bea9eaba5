package sighting

import (
	"bytes"

	"github.com/zeebo/xxh3"
	"go.etcd.io/bbolt"
)

// learnFirsts reads from the day files which clients were already seen with which family.
func (s *Store) learnFirsts() error {
	for _, f := range s.ledger.days {
		err := eachBlock(f, bucketFirst, nil, func(_, v []byte) error {
			return readFirsts(v, func(o firstSeen, family []byte) error {
				day, _ := s.collector.known.get(pairHash(xxh3.HashSeed(family, s.seed), &o.client, 0, 0))
				if day != nil {
					*day = max(*day, o.hour/hoursPerDay)
				}
				return nil
			})
		})
		if err != nil && !s.suspect(f, err) {
			return err
		}
	}
	return nil
}

// learnBounds reads today's rows, so that the bound per client and day holds across a restart.
func (s *Store) learnBounds() error {
	today := s.today()
	s.collector.turnDay(today)
	f := s.ledger.days[today]
	if f == nil {
		return nil
	}
	for _, info := range f.runs {
		if err := s.learnRun(f, info); err != nil && !s.suspect(f, err) {
			return err
		}
	}
	return nil
}

func (s *Store) learnRun(f *dayFile, info runInfo) error {
	r, err := newRunReader(f, f.version, info, [16]byte{}, lastClient)
	if err != nil {
		return err
	}
	for {
		ok, err := r.next()
		if !ok || err != nil {
			return err
		}
		t, rule, err := r.term(r.row.indicator)
		if err != nil {
			return err
		}
		if t.name == "" {
			continue
		}
		zone := xxh3.HashStringSeed(rule.zone, s.seed)
		s.collector.overBound(capHash(&r.row.client, zone, []byte(t.name)), &r.row.client)
	}
}

// lastClient is the highest address there is.
var lastClient = [16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// eachBlock calls visit for each key that begins with prefix, and its value, in short transactions. visit gets copies.
func eachBlock(f *dayFile, bucket, prefix []byte, visit func(k, v []byte) error) error {
	from := bytes.Clone(prefix)
	for {
		var keys, blocks [][]byte
		err := f.view(func(tx *bbolt.Tx) error {
			c := f.blocks(tx, bucket)
			k, v, err := c.seek(from)
			for ; err == nil && k != nil && bytes.HasPrefix(k, prefix) && len(keys) < blocksPerView; k, v, err = c.next() {
				keys, blocks = append(keys, bytes.Clone(k)), append(blocks, bytes.Clone(v))
			}
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		from = append(keys[len(keys)-1], 0)
		for i := range blocks {
			if err := visit(keys[i], blocks[i]); err != nil {
				return err
			}
		}
	}
}

// blocksPerView is how many values eachBlock copies in one transaction.
const blocksPerView = 64

// suspect marks a file that a reader found damaged, so that the writer puts it aside. It reports whether err is about damage.
func (s *Store) suspect(f *dayFile, err error) bool {
	if !isDamage(err) {
		return false
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if !f.bad {
		s.log.Error("day file of sightings is damaged", "file", f.path, "error", err)
	}
	f.bad = true
	s.wakeWriter()
	return true
}
