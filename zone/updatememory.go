package zone

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"cenote/dnsname"
)

const (
	// updatesRemembered is how many updates are remembered for as long as their signatures hold, so that none is made twice. Those beyond it are not made: who
	// has seen one that is forgotten could have it made again. A key that has sent as many as there is room left for sends no more, so that no key takes the room
	// of the others: alone it has half of all, and where several send as many as they can each has as much as is left.
	updatesRemembered = 1 << 19
	// updateMemory is how long: signatures hold five minutes before and after the time that they name (RFC 8945 section 10), whatever they say themselves.
	updateMemory = 10 * time.Minute
)

// Reasons why no update is made for a while.
var (
	errManyUpdates = fmt.Errorf("its key has sent as many within %v as are remembered of one beside the others; those that are not remembered could be made again by whoever has seen them", updateMemory)
	errUnknownPast = errors.New("it cannot be read which updates were made before the start, and they could be made again")
)

// updateMemories are the last updates, with what was answered. One that comes again, as a client repeats it or somebody else does who saw it, gets the same
// answer and changes nothing. They are written down, so that a restart makes no difference. Methods may be called by many at once; only those of the file wait
// for the disk.
type updateMemories struct {
	file  memoryFile
	again sync.Mutex // is held while the file is read again that could not be read, before mu

	mu     sync.Mutex
	known  map[updateID]uint32 // where each is in order, counted from the first that there ever was
	order  []memory            // as they came, none of which ever changes; those before first are forgotten
	first  int
	gone   uint32 // how many came before those of order
	shares map[keyID]*keyShare
	blind  time.Time // until when an update may have been made that could not be read; zero where all are known
	told   time.Time // when it was logged last that there are such
}

// updateID stands for what was signed: half of its SHA-256.
type updateID [16]byte

// keyID stands for the name of a key; 0 for one that is not known.
type keyID uint64

func keyIDOf(key dnsname.Name) keyID {
	sum := sha256.Sum256([]byte(key))
	return keyID(binary.BigEndian.Uint64(sum[:]))
}

// memory is an update that was answered.
type memory struct {
	id    updateID
	key   keyID
	until int64 // in seconds since 1970
	rcode int32
}

func (r *memory) counts(now time.Time) bool { return now.Unix() < r.until }

// keyShare is what is remembered of one key.
type keyShare struct {
	count int
	told  time.Time // when it was logged last that it has no room
}

func newMemory(r *UpdateRequest, rcode int, now time.Time) memory {
	return memory{id: updateID(r.Signed[:]), key: keyIDOf(r.Key), until: now.Add(updateMemory).Unix(), rcode: int32(rcode)}
}

func (m *updateMemories) find(signed *[sha256.Size]byte, now time.Time) (rcode int, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.known[updateID(signed[:])]
	if !known {
		return 0, false
	}
	r := &m.order[at-m.gone]
	return int(r.rcode), r.counts(now)
}

// room fails while another update of a key could not be told from one that was made before. tells says that it is time to log that.
func (m *updateMemories) room(key dnsname.Name, now time.Time) (tells bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if now.Before(m.blind) {
		return isTime(&m.told, now), fmt.Errorf("%w; none is made until %s", errUnknownPast, m.blind.Format(time.RFC3339))
	}
	share := m.shares[keyIDOf(key)]
	if free := updatesRemembered - (len(m.order) - m.first); share != nil && share.count >= free {
		return isTime(&share.told, now), errManyUpdates
	} else if free <= 0 {
		return isTime(&m.told, now), errManyUpdates
	}
	return false, nil
}

// isTime reports whether it is time to log something that was logged at a time, and notes that it is.
func isTime(told *time.Time, now time.Time) bool {
	is := told.IsZero() || now.Sub(*told) >= time.Minute || now.Before(*told)
	if is {
		*told = now
	}
	return is
}

// forget forgets those whose signatures hold no more. mu is held.
func (m *updateMemories) forget(now time.Time) {
	for m.first < len(m.order) && !m.order[m.first].counts(now) {
		m.drop(m.first)
		m.first++
	}
	if m.first > len(m.order)/2 {
		m.gone += uint32(m.first)
		m.order = append(make([]memory, 0, 2*(len(m.order)-m.first)), m.order[m.first:]...)
		m.first = 0
	}
}

// drop forgets one. mu is held.
func (m *updateMemories) drop(at int) {
	r := &m.order[at]
	if m.known[r.id] == m.gone+uint32(at) { // and not a later one
		delete(m.known, r.id)
	}
	share := m.shares[r.key]
	if share.count--; share.count == 0 {
		delete(m.shares, r.key)
	}
}

// put remembers an update that was answered.
func (m *updateMemories) put(all ...memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known, m.shares = map[updateID]uint32{}, map[keyID]*keyShare{}
	}
	for _, r := range all {
		m.known[r.id] = m.gone + uint32(len(m.order))
		m.order = append(m.order, r)
		if m.shares[r.key] == nil {
			m.shares[r.key] = new(keyShare)
		}
		m.shares[r.key].count++
	}
}

// all are those that are remembered. They never change.
func (m *updateMemories) all() []memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order[m.first:len(m.order):len(m.order)]
}

// open reads the file of a directory, once. Where it cannot be read no update is made until all that could be in it are past.
func (m *updateMemories) open(dir string, now time.Time) error {
	if !m.file.open(dir) {
		return nil
	}
	if err := m.look(now); err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.blind = now.Add(updateMemory)
		return fmt.Errorf("reading which updates were made: %w", err)
	}
	return nil
}

// lookAgain reads the file again that could not be read, if there are updates in it that count.
func (m *updateMemories) lookAgain(now time.Time) {
	if !m.isBlind(now) {
		return
	}
	m.again.Lock()
	defer m.again.Unlock()
	if m.isBlind(now) && m.look(now) == nil { // nobody else has read it meanwhile
		m.mu.Lock()
		defer m.mu.Unlock()
		m.blind = time.Time{}
	}
}

// isBlind reports whether an update may have been made that could not be read.
func (m *updateMemories) isBlind(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.blind)
}

// look takes those in that still count. The file is written anew by the next update.
func (m *updateMemories) look(now time.Time) error {
	text, err := m.file.read()
	if err == nil {
		m.put(readMemories(text, now)...)
	}
	return err
}

// keep remembers an update that was answered. It waits for the disk; an error is that a restart will forget it.
func (m *updateMemories) keep(r memory) error { return m.file.keep(&r, m.all) }
