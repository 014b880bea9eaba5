package blocklist

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

// budget is what a feed may still cost, in octets.
type budget struct {
	source  int64 // as stored
	stream  int64 // of unpacked archives, with the members that nobody reads
	content int64 // of files and members; by itself, since a sparse member is longer than what it takes in its archive
}

// metered takes what is read from src off what is left.
type metered struct {
	src  io.Reader
	left *int64
}

// Read fails with ErrTooLarge at the end of the budget.
func (m *metered) Read(b []byte) (int, error) {
	if *m.left <= 0 {
		var one [1]byte
		if n, err := m.src.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, ErrTooLarge
	}
	if int64(len(b)) > *m.left {
		b = b[:*m.left]
	}
	n, err := m.src.Read(b)
	*m.left -= int64(n)
	return n, err
}

// dirDepthMax is how many levels of directories below a feed's own are read.
const dirDepthMax = 8

// readSource reads whatever lies at name: a directory file by file, in the order of names; a file by what it holds.
func (r *reader) readSource(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return r.readPath(name)
	}
	return r.readDir(name)
}

// readDir refuses a directory that was exchanged while it was read: half of it could be the old one.
func (r *reader) readDir(dir string) error {
	before, err := r.listDir(nil, dir, 0)
	if err != nil {
		return err
	}
	for _, f := range before {
		if !r.selects(filepath.Base(f.name)) { // asked again: the first file may have told the format
			continue
		}
		if err := r.readPath(f.name); err != nil {
			return err
		}
	}
	if r.report.Files == 0 {
		return &SourceError{File: dir, Err: ErrNoFile, Next: "the directory has no file that the feed reads; look at files"}
	}
	after, err := r.listDir(nil, dir, 0)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(before, after, sameFile) {
		return &SourceError{File: dir, Err: ErrChanged, Next: nextWhenChanged}
	}
	return nil
}

const nextWhenChanged = "it is read again when it has come to rest"

// dirFile is one file of a directory, seen through links.
type dirFile struct {
	name string
	info fs.FileInfo
}

func sameFile(a, b dirFile) bool {
	return a.name == b.name && os.SameFile(a.info, b.info) && sameContent(a.info, b.info)
}

func sameContent(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// listDir follows links to files, as Kubernetes lays out its volumes, but no links to directories, which could go in a circle. Sockets,
// pipes, devices and links to nowhere are no files.
func (r *reader) listDir(list []dirFile, dir string, depth int) ([]dirFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch info, err := os.Stat(name); {
		case strings.HasPrefix(e.Name(), "."), errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case e.IsDir() && depth < dirDepthMax:
			if list, err = r.listDir(list, name, depth+1); err != nil {
				return nil, err
			}
		case info.Mode().IsRegular():
			list = append(list, dirFile{name, info})
		}
		if len(list) > 2*r.limits.Files {
			return nil, &SourceError{File: dir, Err: ErrTooManyFiles, Next: "raise limits.files"}
		}
	}
	return list, nil
}

// readPath reads one file of the disk: an archive, a compressed file or plain text, by how it begins.
func (r *reader) readPath(name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold us up
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &SourceError{File: name, Err: ErrBinary, Next: "a feed is a file or a directory"}
	}
	if r.budget.source -= info.Size(); r.budget.source < 0 {
		return &SourceError{File: r.shownName(name), Err: ErrTooLarge, Next: "raise limits.source_bytes if it is meant to be so large"}
	}
	if err := r.readContent(f, info, r.shownName(name)); err != nil {
		return err
	}
	after, err := f.Stat()
	if err != nil {
		return err
	}
	if !sameContent(info, after) {
		return &SourceError{File: r.shownName(name), Err: ErrChanged, Next: nextWhenChanged}
	}
	return nil
}

// shownName is a file of the feed as people know it.
func (r *reader) shownName(name string) string {
	if name == r.config.Path {
		return r.config.source()
	}
	return name
}

// Signatures of the files that are not text.
const (
	magicGzip = "\x1f\x8b"
	magicZip  = "PK\x03\x04"
	magicTar  = "ustar" // at magicTarAt
)

const (
	magicTarAt = 257
	headerSize = 512 // of a tar member
)

func (r *reader) readContent(f *os.File, info fs.FileInfo, name string) error {
	member := &file{name: name, base: filepath.Base(f.Name()), modified: info.ModTime()}
	src := bufio.NewReaderSize(f, 1<<16)
	switch head, _ := src.Peek(headerSize); {
	case strings.HasPrefix(string(head), magicZip):
		return r.readZip(f, info.Size(), member)
	case strings.HasPrefix(string(head), magicGzip):
		return r.readGzip(src, member)
	case isTar(head):
		return r.readTar(src, member)
	}
	return r.readFile(member, &metered{src, &r.budget.content})
}

func isTar(head []byte) bool {
	return len(head) >= headerSize && string(head[magicTarAt:magicTarAt+len(magicTar)]) == magicTar
}

func (r *reader) readGzip(src io.Reader, member *file) error {
	unpacked, err := gzip.NewReader(src)
	if err != nil {
		return r.readError(member, err)
	}
	defer unpacked.Close()
	body := bufio.NewReaderSize(unpacked, 1<<16)
	if head, _ := body.Peek(headerSize); isTar(head) {
		return r.readTarGzip(&metered{body, &r.budget.stream}, member)
	}
	member.base = strings.TrimSuffix(member.base, ".gz")
	return r.readFile(member, &metered{body, &r.budget.content})
}

// readTarGzip reads also what follows the archive's own end, so that the checksum of the compression is reached and verified.
func (r *reader) readTarGzip(body io.Reader, member *file) error {
	if err := r.readTar(body, member); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return r.readError(member, err)
	}
	return nil
}

// readTar reads the members that are files, as they come. What lies in a member is never written anywhere, so its name is only a name.
func (r *reader) readTar(body io.Reader, outer *file) error {
	archive := tar.NewReader(body)
	for members := 0; ; members++ {
		header, err := archive.Next()
		if err == io.EOF {
			return r.endArchive(outer)
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return r.readError(outer, err)
		}
		if members >= 2*r.limits.Files {
			return &SourceError{File: outer.name, Err: ErrTooManyFiles, Next: "raise limits.files"}
		}
		if header.Typeflag != tar.TypeReg || !r.selects(path.Base(header.Name)) {
			continue
		}
		if err := r.readFile(memberOf(outer, header.Name, header.ModTime), &metered{archive, &r.budget.content}); err != nil {
			return err
		}
	}
}

// endArchive refuses an archive without a file for us.
func (r *reader) endArchive(outer *file) error {
	if r.report.Files == 0 {
		return &SourceError{File: outer.name, Err: ErrNoFile, Next: "the archive has no file that the feed reads; look at files"}
	}
	return nil
}

func memberOf(outer *file, name string, modified time.Time) *file {
	shown := printable([]byte(name), CommentMax)
	return &file{name: outer.name + ":" + shown, base: path.Base(shown), modified: modified}
}

// readZip reads the members that are files in the order of the archive's directory.
func (r *reader) readZip(f io.ReaderAt, size int64, outer *file) error {
	if err := r.checkZip(f, size); err != nil {
		return r.zipError(outer, err)
	}
	archive, err := zip.NewReader(f, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return r.readError(outer, err)
	}
	for _, m := range archive.File {
		if !m.Mode().IsRegular() || !r.selects(path.Base(m.Name)) {
			continue
		}
		if err := r.readZipMember(m, memberOf(outer, m.Name, m.Modified)); err != nil {
			return err
		}
	}
	return r.endArchive(outer)
}

func (r *reader) readZipMember(m *zip.File, member *file) error {
	body, err := m.Open()
	if err != nil {
		return r.readError(member, err)
	}
	defer body.Close()
	return r.readFile(member, &metered{body, &r.budget.content})
}

func (r *reader) zipError(outer *file, err error) error {
	if errors.Is(err, ErrTooManyFiles) {
		return &SourceError{File: outer.name, Err: err, Next: "raise limits.files"}
	}
	return r.readError(outer, err)
}

// The end record of a zip archive, as far as it matters here.
const (
	zipEndSize      = 22
	zipEndSignature = "PK\x05\x06"
	zipCommentMax   = 1<<16 - 1
	zipEntryMax     = 1 << 10 // octets of the directory for one member with a long name
)

// checkZip looks at the size of the archive's directory before anything reads it whole into memory.
func (r *reader) checkZip(f io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, zipEndSize+zipCommentMax))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	at := strings.LastIndex(string(tail), zipEndSignature)
	if at < 0 || len(tail)-at < zipEndSize {
		return fmt.Errorf("%w: its directory is missing", io.ErrUnexpectedEOF)
	}
	members := int(binary.LittleEndian.Uint16(tail[at+10:]))
	directory := int64(binary.LittleEndian.Uint32(tail[at+12:]))
	if members > r.limits.Files || directory > int64(r.limits.Files)*zipEntryMax {
		return ErrTooManyFiles
	}
	return nil
}
