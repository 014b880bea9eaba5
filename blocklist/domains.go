package blocklist

import (
	"bytes"

	"cenote/policy"
)

// parseDomains reads a line of a plain list: one name. ".name" is the name and all below it, "*.name" what lies below it.
func parseDomains(f *file, line []byte) {
	row, comment := cutRemark(line)
	if len(row) == 0 || row[0] == ';' || row[0] == '!' || bytes.HasPrefix(row, []byte("//")) {
		return
	}
	f.begin().Comment = f.text(comment)
	switch {
	case bytes.HasPrefix(row, []byte("*.")):
		f.list(row[2:], f.matchOr(policy.KindBelow))
	case row[0] == '.' && len(row) > 1:
		f.list(row[1:], f.matchOr(policy.KindSubtree))
	default:
		f.list(row, f.match())
	}
}

func looksDomains(line []byte) evidence {
	if isCommentLine(line) || isAddress(line) {
		return evidenceNone
	}
	row, _ := cutRemark(line)
	if looksName(bytes.TrimPrefix(bytes.TrimPrefix(row, []byte("*")), []byte("."))) {
		return evidenceRow
	}
	return evidenceNone
}

// looksName reports whether text is shaped like a name of two labels or more; it need not be a good one.
func looksName(text []byte) bool {
	for _, c := range text {
		if !isHostOctet(c) && c != '.' && c < 0x80 {
			return false
		}
	}
	return bytes.IndexByte(text, '.') > 0
}
