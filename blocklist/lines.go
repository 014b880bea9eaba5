package blocklist

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// LineMax is how many octets a line of a feed may have. Longer ones are refused, not cut: the rest could mean something else.
const LineMax = 64 << 10

// lineReader hands out the lines of one file. A line lives until the next call.
type lineReader struct {
	src    *bufio.Reader
	number int // of the last line, from 1
}

func newLineReader() *lineReader { return &lineReader{src: bufio.NewReaderSize(nil, LineMax)} }

func (l *lineReader) reset(src io.Reader) {
	l.src.Reset(src)
	l.number = 0
}

// peek returns the beginning of the file without its byte order mark, as much of it as detection may look at.
func (l *lineReader) peek() ([]byte, error) {
	head, err := l.src.Peek(LineMax)
	if err == io.EOF {
		err = nil
	}
	return head, err
}

// skipMark takes the UTF-8 byte order mark off the beginning.
func (l *lineReader) skipMark() {
	if head, _ := l.src.Peek(len(byteOrderMark)); string(head) == byteOrderMark {
		l.src.Discard(len(byteOrderMark))
	}
}

const byteOrderMark = "\xef\xbb\xbf"

var errLineTooLong = errors.New("line is too long")

// next returns the next line without its line feed; the carriage return of a CRLF is a blank like others. After errLineTooLong it goes on
// with the line after; line then holds how the long one began.
func (l *lineReader) next() (line []byte, err error) {
	line, err = l.src.ReadSlice('\n')
	l.number++
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case err == io.EOF && len(line) > 0:
		return line, nil
	case err != bufio.ErrBufferFull:
		l.number--
		return nil, err
	}
	start := bytes.Clone(line[:faultTextMax+1])
	for err == bufio.ErrBufferFull {
		_, err = l.src.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return start, errLineTooLong
}

// skip passes over n lines, of whatever length, or over as many as there are.
func (l *lineReader) skip(n int) error {
	for open := false; n > 0; {
		some, err := l.src.Peek(max(1, l.src.Buffered()))
		if len(some) == 0 {
			if open {
				l.number++
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
		ends := bytes.Count(some, lineEnd)
		if ends >= n {
			some = some[:nthLine(some, n)]
			ends = n
		}
		open = some[len(some)-1] != '\n'
		l.number, n = l.number+ends, n-ends
		l.src.Discard(len(some)) // which is there
	}
	return nil
}

var lineEnd = []byte{'\n'}

// nthLine returns where the n-th line of text, from 1, has ended; there are so many.
func nthLine(text []byte, n int) (at int) {
	for ; n > 0; n-- {
		at += bytes.IndexByte(text[at:], '\n') + 1
	}
	return at
}
