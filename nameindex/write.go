package nameindex

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// Stats is what WriteFile wrote.
type Stats struct {
	Names   int
	Sets    int
	Buckets int
	Longest int // names in the fullest bucket
	Reseeds int // how often a bucket was too full and all names were spread anew
	Sizes   Sizes
}

// tempMark is what the names of files that are being written have after the name they will get.
const tempMark = ".tmp-"

// WriteFile writes the index to path: to a temporary file in the same directory first, which is synced and then renamed. Whatever
// happens, path holds either what it held before or the whole new index. A process that is killed in between may leave the temporary file; see
// RemoveLeftovers. The names are gone from b afterwards: it can be used for nothing else.
func (b *Builder) WriteFile(path string, manifest []byte) (Stats, error) {
	p, err := b.plan(manifest)
	if err != nil {
		return Stats{}, fmt.Errorf("building index %s: %w", path, err)
	}
	return b.put(path, p, manifest, !b.unsynced)
}

// put writes a planned file to path, and syncs it if asked to.
func (b *Builder) put(path string, p *plan, manifest []byte, sync bool) (Stats, error) {
	err := replace(path, sync, func(w io.Writer) error { return b.write(w, p, manifest) })
	if err != nil {
		return Stats{}, fmt.Errorf("writing index %s: %w", path, err)
	}
	h := &p.header
	return Stats{
		Names: int(h.names), Sets: int(h.sets), Buckets: int(h.buckets), Longest: p.longest, Reseeds: p.reseeds,
		Sizes: h.sizes(int64(h.sections[sectionChecksums].end() + footerLen)),
	}, nil
}

// RemoveLeftovers removes the temporary files of calls of WriteFile(path) that were killed. Nothing else may be writing to path.
func RemoveLeftovers(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("removing leftovers of index %s: %w", path, err)
	}
	for _, e := range entries {
		if mark := filepath.Base(path) + tempMark; len(e.Name()) > len(mark) && e.Name()[:len(mark)] == mark {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(path), e.Name())))
		}
	}
	return err
}

// replace puts what write writes in the place of path, whole or not at all; with sync also where the power is lost.
func replace(path string, sync bool, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil && sync {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if !sync {
		return nil
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the renaming itself survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write writes the planned file to w.
func (b *Builder) write(w io.Writer, p *plan, manifest []byte) error {
	s := newSummer(w)
	out := bufio.NewWriterSize(s, pieceLen)
	out.Write(p.header.encode()) // a bufio.Writer keeps its first error for Flush
	out.Write(manifest)
	b.writeSets(out, p)
	out.Write(b.apart)
	out.Write(p.lengths.appendTo(nil))
	pad := p.header.sections[sectionDirectory].off - p.header.sections[sectionCode].end()
	out.Write(make([]byte, pad))
	out.Write(p.directory)
	for _, text := range p.names {
		out.Write(text)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return s.finish()
}

func (b *Builder) writeSets(out *bufio.Writer, p *plan) {
	var word [4]byte
	off := 0
	for _, id := range p.order {
		out.Write(binary.LittleEndian.AppendUint32(word[:0], uint32(off)))
		off += len(b.payloads[id])
	}
	out.Write(binary.LittleEndian.AppendUint32(word[:0], uint32(off)))
	for _, id := range p.order {
		out.WriteString(b.payloads[id])
	}
}

// summer passes octets on to a file and takes the checksums that end it.
type summer struct {
	out   io.Writer
	sums  []byte // CRC32C of every finished block
	crc   uint32 // of the block that is being written
	n     uint64
	whole hash.Hash
	table *crc32.Table
}

func newSummer(out io.Writer) *summer {
	return &summer{out: out, whole: sha256.New(), table: castagnoli()}
}

// Write takes the checksums of b and passes it on.
func (s *summer) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		piece := b[done:][:min(uint64(len(b)-done), pieceLen, blockLen-s.n%blockLen)]
		s.crc = crc32.Update(s.crc, s.table, piece)
		if s.n += uint64(len(piece)); s.n%blockLen == 0 {
			s.endBlock()
		}
		s.whole.Write(piece)
		n, err := s.out.Write(piece)
		if done += n; err != nil {
			return done, err
		}
	}
	return len(b), nil
}

func (s *summer) endBlock() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.crc)
	s.crc = 0
}

// finish writes the checksums and the footer.
func (s *summer) finish() error {
	if s.n%blockLen != 0 {
		s.endBlock()
	}
	s.whole.Write(s.sums)
	end := binary.LittleEndian.AppendUint64(s.sums, footerMagic)
	end = binary.LittleEndian.AppendUint64(end, s.n+uint64(len(s.sums))+footerLen)
	_, err := s.out.Write(s.whole.Sum(end))
	return err
}
