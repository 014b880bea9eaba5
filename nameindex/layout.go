package nameindex

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The file, in little endian:
//
//	0        header of 4096 octets: see header.encode; its last four are its CRC32C
//	4096     manifest     opaque
//	         set offsets  (sets + 1) x u32, into the set payloads
//	         set payloads opaque, in order of set ids
//	         apart        the names that are kept apart: each is a length octet and the wire form without the root octet
//	         code         codeLengths: how many bits each symbol of a name has, an octet each, by the symbol before it
//	         directory    one entry of 16 octets a bucket, aligned to 64: u32 offset into the names, 12 fingerprints (0: none)
//	         names        a bucket after the other: u8 count, the fingerprints of its 13th and further entries, the entries.
//	                      An entry is a head and the name in the file's code (codec 2). The head is an octet: in its lower three bits the
//	                      set id, in the others how many octets the code has. Where a part has all its bits set, what lies above that
//	                      number follows (uvarint), for the set first.
//	         checksums    CRC32C of every 1 MiB of all of the above
//	end - 48 footer: u64 magic, u64 length of the file, SHA-256 of everything before the footer
//
// A name's bucket is its hash times the number of buckets, divided by 2^64. Another codec may write the names of entries in another way; nothing
// else depends on it.
const (
	headerLen   = 4096
	footerLen   = 48
	blockLen    = 1 << 20
	dirEntryLen = 16
	dirAlign    = 64
	dirFPs      = 12 // fingerprints in a directory entry
	bucketMean  = 8  // names a bucket
	headSet     = 7  // the highest set in the first octet of an entry: others follow
	headShift   = 3
	headLen     = 31 // the same of lengths
	bucketMax   = 64 // more than this and the builder draws a new seed
	bucketsMax  = 1 << (32 - refBits)
	codecOrder1 = 2 // a Huffman code for each symbol that may come before
	version     = 3
	headerMagic = 0x58444e4945544e43 // "CNTEINDX"
	footerMagic = 0x444e454554434e43 // "CNCTEEND"
)

// The sections of a file, in their order.
const (
	sectionManifest = iota
	sectionSetOffsets
	sectionSets
	sectionApart
	sectionCode
	sectionDirectory
	sectionNames
	sectionChecksums
	sectionCount
)

// section is a part of the file.
type section struct{ off, len uint64 }

func (s section) end() uint64 { return s.off + s.len }

// header is the head of a file, in words.
type header struct {
	codec     uint8
	hashBits  uint8 // the upper bits of the hash that are used
	labelsMin uint8 // of all names
	labelsMax uint8
	sets      uint32
	names     uint64
	buckets   uint64
	seed      [seedLen]byte
	sections  [sectionCount]section
	gain      int64 // of a delta: how many names more are listed with it
	knowsGain bool  // otherwise somebody has to look
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (h *header) encode() []byte {
	b := make([]byte, 0, headerLen)
	b = binary.LittleEndian.AppendUint64(b, headerMagic)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, h.codec, h.hashBits, h.labelsMin, h.labelsMax)
	b = binary.LittleEndian.AppendUint64(b, h.names)
	b = binary.LittleEndian.AppendUint64(b, h.buckets)
	b = binary.LittleEndian.AppendUint32(b, h.sets)
	b = append(b, h.seed[:]...)
	for _, s := range h.sections {
		b = binary.LittleEndian.AppendUint64(b, s.off)
		b = binary.LittleEndian.AppendUint64(b, s.len)
	}
	if h.knowsGain {
		b = binary.LittleEndian.AppendUint64(append(b, 1), uint64(h.gain))
	}
	b = b[:headerLen]
	binary.LittleEndian.PutUint32(b[headerLen-4:], crc32.Checksum(b[:headerLen-4], castagnoli()))
	return b
}

// decodeHeader reads the header of a file of size octets and checks that the sections lie in it, in order.
func decodeHeader(b []byte, size int64) (*header, error) {
	if binary.LittleEndian.Uint64(b) != headerMagic {
		return nil, fmt.Errorf("%w: no magic number", ErrFormat)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return nil, fmt.Errorf("%w: version %d, want %d", ErrFormat, v, version)
	}
	if got, want := crc32.Checksum(b[:headerLen-4], castagnoli()), binary.LittleEndian.Uint32(b[headerLen-4:]); got != want {
		return nil, fmt.Errorf("%w: header has checksum %08x, want %08x", ErrDamaged, got, want)
	}
	h := &header{
		codec: b[12], hashBits: b[13], labelsMin: b[14], labelsMax: b[15],
		names:   binary.LittleEndian.Uint64(b[16:]),
		buckets: binary.LittleEndian.Uint64(b[24:]),
		sets:    binary.LittleEndian.Uint32(b[32:]),
		seed:    [seedLen]byte(b[36:]),
	}
	at := b[36+seedLen:]
	for i := range h.sections {
		h.sections[i] = section{binary.LittleEndian.Uint64(at[16*i:]), binary.LittleEndian.Uint64(at[16*i+8:])}
	}
	at = at[16*len(h.sections):]
	h.knowsGain, h.gain = at[0] == 1, int64(binary.LittleEndian.Uint64(at[1:]))
	if h.codec != codecOrder1 {
		return nil, fmt.Errorf("%w: codec %d", ErrFormat, h.codec)
	}
	return h, h.check(size)
}

// check tells whether the header's own numbers agree with each other and with the size of the file.
func (h *header) check(size int64) error {
	end := uint64(headerLen)
	for i, s := range h.sections {
		if s.off < end || s.off-end >= dirAlign || s.len > uint64(size) || s.end() > uint64(size-footerLen) {
			return fmt.Errorf("%w: section %d lies outside the file", ErrDamaged, i)
		}
		end = s.end()
	}
	sums := h.sections[sectionChecksums]
	switch {
	case end != uint64(size-footerLen), sums.len != 4*blocks(sums.off):
		return fmt.Errorf("%w: length does not fit", ErrDamaged)
	case h.hashBits == 0 || h.hashBits > 64:
		return fmt.Errorf("%w: %d bits of hash", ErrDamaged, h.hashBits)
	case h.sections[sectionSetOffsets].len != 4*(uint64(h.sets)+1):
		return fmt.Errorf("%w: %d sets do not fit", ErrDamaged, h.sets)
	case h.sections[sectionCode].len != codeTableLen:
		return fmt.Errorf("%w: code of %d octets", ErrDamaged, h.sections[sectionCode].len)
	case h.buckets == 0 || h.buckets > bucketsMax || h.sections[sectionDirectory].len != dirEntryLen*h.buckets:
		return fmt.Errorf("%w: %d buckets do not fit", ErrDamaged, h.buckets)
	}
	return nil
}

// blocks returns how many blocks with a checksum of their own n octets have.
func blocks(n uint64) uint64 { return (n + blockLen - 1) / blockLen }

// align returns the next multiple of dirAlign.
func align(n uint64) uint64 { return (n + dirAlign - 1) &^ (dirAlign - 1) }
