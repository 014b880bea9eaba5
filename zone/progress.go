package zone

import (
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// Progress is how far a transfer is that is under way.
type Progress struct {
	Primary string    `json:"primary"`
	Serial  uint32    `json:"serial"`  // that it leads to; 0 while that is not known
	Octets  int64     `json:"octets"`  // of its messages so far
	Records int64     `json:"records"` // of them so far, those of differences included
	Began   time.Time `json:"began"`
}

// progress is a Progress while it changes.
type progress struct {
	primary         string
	began           time.Time
	serial          atomic.Uint32
	octets, records atomic.Int64
}

// now is how far it is. A nil progress is none.
func (p *progress) now() *Progress {
	if p == nil {
		return nil
	}
	return &Progress{Primary: p.primary, Serial: p.serial.Load(), Octets: p.octets.Load(), Records: p.records.Load(), Began: p.began}
}

// came notes how much has come of a transfer.
func (p *progress) came(serial uint32, octets int64, records int) {
	if p == nil {
		return
	}
	p.serial.Store(serial)
	p.octets.Store(octets)
	p.records.Store(int64(records))
}

// underWay has the status of a zone tell of a transfer, until ended is called.
func (k *Keeper) underWay(apex dnsname.Name, p *progress) (ended func()) {
	k.state.Lock()
	defer k.state.Unlock()
	k.transfers[apex] = p
	return func() {
		k.state.Lock()
		defer k.state.Unlock()
		if k.transfers[apex] == p { // and not one that took its place
			delete(k.transfers, apex)
		}
	}
}
