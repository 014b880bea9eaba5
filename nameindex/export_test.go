package nameindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Replace is the atomic replacement under WriteFile.
func Replace(path string, write func(io.Writer) error) error { return replace(path, true, write) }

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
	return image(b, manifest, b.plan)
}

// MergeImage returns the file that MergeFile writes.
func MergeImage(b *Builder, manifest []byte) ([]byte, error) {
	return image(b, manifest, func(m []byte) (*plan, error) { return b.mergePlan(len(m)) })
}

func image(b *Builder, manifest []byte, planned func([]byte) (*plan, error)) ([]byte, error) {
	p, err := planned(manifest)
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

// Code is the code of names that have certain frequencies.
type Code struct {
	lengths codeLengths
	coder   *coder
	decoder *decoder
}

// NewCode returns the code for symbols that come as often as weight says of each pair.
func NewCode(weight func(before, symbol int) uint64) *Code {
	var f frequencies
	for before := range symbols {
		for s := range symbols {
			f[before][s] = weight(before, s)
		}
	}
	c := &Code{lengths: f.lengths()}
	c.coder, c.decoder = newCoder(&c.lengths), newDecoder(&c.lengths)
	return c
}

// CodeOf returns the code for the symbols of names, in wire form without their root octets.
func CodeOf(names ...string) *Code {
	var f frequencies
	for _, name := range names {
		f.add([]byte(name))
	}
	return NewCode(func(before, s int) uint64 { return f[before][s] })
}

// Check, Append and Name are those of the parts of a code.
func (c *Code) Check() error                   { return c.lengths.check() }
func (c *Code) Append(dst, name []byte) []byte { return c.coder.append(dst, name) }

// Equal holds a whole code against a name.
func (c *Code) Equal(code, name []byte) bool {
	return c.coder.equal(code, name)
}

func (c *Code) Name(code []byte) ([]byte, bool) {
	return c.decoder.name(nil, code)
}

// CodeLenMax is the most octets that a name takes.
const CodeLenMax = codeLenMax

// HuffmanLengths returns how many bits each symbol has for weights, and whether none has too many.
func HuffmanLengths(weights []uint64) (lengths []uint8, fits bool) {
	var out [symbols]uint8
	fits = huffman((*[symbols]uint64)(weights), &out)
	return out[:], fits
}
