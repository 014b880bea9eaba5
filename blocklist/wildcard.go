package blocklist

import (
	"bytes"

	"cenote/policy"
)

// parseWildcard reads a line of a list of wildcards: "*.name". A bare name in such a list is itself.
func parseWildcard(f *file, line []byte) {
	row, comment := cutRemark(line)
	if len(row) == 0 || row[0] == ';' || row[0] == '!' {
		return
	}
	f.begin().Comment = f.text(comment)
	if name, ok := bytes.CutPrefix(row, []byte("*.")); ok {
		f.list(name, f.match())
		return
	}
	f.list(row, f.matchOr(policy.KindExact))
}

func looksWildcard(line []byte) evidence {
	row, _ := cutRemark(line)
	if name, ok := bytes.CutPrefix(row, []byte("*.")); ok && looksName(append([]byte("x."), name...)) {
		return evidenceRow
	}
	return evidenceNone
}
