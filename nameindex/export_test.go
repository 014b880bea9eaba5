package nameindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
)

// Replace is the atomic replacement under WriteFile.
var Replace = replace

// TempMark is in the names of files that are being written.
const TempMark = tempMark

// NewCrippledBuilder returns a Builder that uses only the upper bits of its hash, and fills its seeds from random.
func NewCrippledBuilder(hashBits uint8, random func([]byte)) *Builder {
	b := NewBuilder(BuildOptions{})
	b.hashBits, b.random = hashBits, random
	b.reseed()
	return b
}

// Image returns the file that WriteFile writes.
func Image(b *Builder, manifest []byte) ([]byte, error) {
	p, err := b.plan(manifest)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	err = b.write(&file, p, manifest)
	return file.Bytes(), err
}

// OpenImage is Open for a file in memory.
func OpenImage(file []byte) (*Index, error) {
	if len(file) < headerLen+footerLen {
		return nil, ErrDamaged
	}
	return load(bytes.NewReader(file), int64(len(file)), OpenOptions{Beside: len(file)%2 == 1})
}

// Reseal makes every checksum of a changed file right again, so that what lies behind the checksums is tested. It returns false if the
// header is too damaged for that.
func Reseal(file []byte) bool {
	if len(file) < headerLen+footerLen {
		return false
	}
	table := castagnoli()
	binary.LittleEndian.PutUint32(file[headerLen-4:], crc32.Checksum(file[:headerLen-4], table))
	h, err := decodeHeader(file, int64(len(file)))
	if err != nil {
		return false
	}
	sums := h.sections[sectionChecksums]
	for i := range blocks(sums.off) {
		block := file[i*blockLen : min((i+1)*blockLen, sums.off)]
		binary.LittleEndian.PutUint32(file[sums.off+4*i:], crc32.Checksum(block, table))
	}
	whole := sha256.Sum256(file[:sums.end()])
	copy(file[sums.end()+16:], whole[:])
	return true
}
