package zone

import (
	"bufio"
	"fmt"
	"io"
)

// WriteMaster writes the zone as a master file (RFC 1035 section 5), a record a line, in canonical order. What the library cannot write so that it reads the
// same again is written in the notation of RFC 3597 section 5, which all name servers read.
func (z *Zone) WriteMaster(to io.Writer) error {
	out := bufio.NewWriterSize(to, 1<<16)
	w := masterWriter{}
	for r := range z.All() {
		out.WriteString(w.line(&r))
		out.WriteByte('\n')
	}
	return out.Flush()
}

// line is a record in presentation form, or in the notation of RFC 3597.
func (w *masterWriter) line(r *Record) string {
	if text, ok := w.text(r); ok {
		return text
	}
	return fmt.Sprintf("%s\t%d\tIN\tTYPE%d\t\\# %d %X", textOf(r.Owner), r.TTL, r.Type, len(r.Data), r.Data)
}
